/** Where the character stands: light and a painted, out-of-focus background chosen from what the scene says about its place and hour. */
import * as THREE from 'three';

const SIZE = [360, 225];

/** Seeded noise in [0, 1), so that a place looks the same each time. */
function noise(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}

function gradient(context, stops) {
  const made = context.createLinearGradient(0, 0, 0, SIZE[1]);
  stops.forEach((colour, i) => made.addColorStop(i / (stops.length - 1), colour));
  context.fillStyle = made;
  context.fillRect(0, 0, ...SIZE);
}

function glow(context, x, y, r, colour, strength = 1) {
  const made = context.createRadialGradient(x, y, 0, x, y, r);
  made.addColorStop(0, colour);
  made.addColorStop(0.35, `${colour}99`);
  made.addColorStop(1, `${colour}00`);
  context.globalAlpha = strength;
  context.fillStyle = made;
  context.fillRect(x - r, y - r, 2 * r, 2 * r);
  context.globalAlpha = 1;
}

function lanterns(context, random) {
  gradient(context, ['#15142b', '#2b2446', '#5a3a4d', '#3a2836']);
  for (let k = 0; k < 9; k += 1) {
    const x = k * 44 - 14;
    const tall = 60 + 50 * random();
    context.fillStyle = ['#1c1830', '#231c36', '#2a2038'][k % 3];
    context.fillRect(x, 175 - tall, 40, tall + 60);
    context.beginPath();
    context.moveTo(x - 6, 176 - tall);
    context.lineTo(x + 20, 150 - tall);
    context.lineTo(x + 46, 176 - tall);
    context.fill();
    if (random() > 0.35) glow(context, x + 10 + 20 * random(), 190 - tall * 0.6, 8, '#ffca7a', 0.9);
  }
  for (let k = 0; k < 26; k += 1) glow(context, 360 * random(), 28 + 120 * random(), 5 + 13 * random(), ['#ffb45e', '#ff8f4a', '#ffd690', '#ff7d6b'][k % 4], 0.25 + 0.5 * random());
  for (let k = 0; k < 5; k += 1) glow(context, 80 * k, 196, 110, '#8d7fa8', 0.16);
}

function windows(context) {
  gradient(context, ['#6d5844', '#87694b', '#5b4332', '#3a2a22']);
  for (const x of [28, 152, 276]) {
    context.fillStyle = '#f6e3b4';
    context.beginPath();
    context.moveTo(x, 160);
    context.lineTo(x, 52);
    context.arc(x + 28, 52, 28, Math.PI, 0);
    context.lineTo(x + 56, 160);
    context.fill();
    context.fillStyle = '#7a6148';
    for (const bar of [18, 37]) context.fillRect(x + bar, 24, 2.4, 136);
    for (const bar of [60, 92, 124]) context.fillRect(x, bar, 56, 2.4);
    glow(context, x + 28, 95, 96, '#ffdf9e', 0.34);
  }
  context.globalAlpha = 0.12;
  context.fillStyle = '#fff0c8';
  for (const x of [40, 165, 290]) {
    context.beginPath();
    context.moveTo(x, 60);
    context.lineTo(x + 44, 60);
    context.lineTo(x + 130, 225);
    context.lineTo(x + 40, 225);
    context.fill();
  }
  context.globalAlpha = 1;
}

function corridor(context) {
  gradient(context, ['#dfe9ea', '#b8cfd2', '#8fb0b6', '#5f8088']);
  context.fillStyle = '#f3fbfb';
  for (const y of [14, 34]) context.fillRect(90 - y, y, 180 + 2 * y, 6);
  context.fillStyle = '#9ec3c9';
  context.fillRect(128, 62, 104, 120);
  context.fillStyle = '#cfe5e6';
  for (const x of [134, 184]) context.fillRect(x, 68, 42, 110);
  context.fillStyle = '#4d8fa3';
  context.fillRect(0, 128, 128, 7);
  context.fillRect(232, 128, 128, 7);
  context.fillStyle = '#d96a5c';
  context.fillRect(0, 140, 128, 4);
  context.fillRect(232, 140, 128, 4);
  glow(context, 180, 40, 130, '#ffffff', 0.5);
}

function works(context, random) {
  gradient(context, ['#2b3440', '#48525a', '#7a6a55', '#41362c']);
  context.strokeStyle = '#1f2730';
  context.lineWidth = 5;
  for (let x = -20; x < 380; x += 56) {
    context.strokeRect(x, 20, 56, 60);
    context.beginPath();
    context.moveTo(x, 80);
    context.lineTo(x + 56, 20);
    context.stroke();
  }
  context.fillStyle = '#2a3036';
  for (const [x, w, h] of [[14, 46, 120], [80, 60, 84], [224, 40, 132], [280, 70, 96]]) context.fillRect(x, 190 - h, w, h);
  context.fillStyle = '#c89a3a';
  for (let x = 0; x < 360; x += 24) context.fillRect(x, 188, 12, 7);
  for (let k = 0; k < 12; k += 1) glow(context, 360 * random(), 40 + 90 * random(), 8 + 12 * random(), k % 3 ? '#ffc36b' : '#ff7b52', 0.5);
}

function parlour(context, random) {
  gradient(context, ['#54455c', '#6b5264', '#7c5a5c', '#4b3640']);
  context.fillStyle = '#2c3454';
  context.fillRect(232, 28, 96, 112);
  for (let k = 0; k < 14; k += 1) glow(context, 238 + 84 * random(), 70 + 66 * random(), 4 + 5 * random(), ['#ffcf7d', '#ff9d6b', '#9fc0ff'][k % 3], 0.6);
  context.fillStyle = '#8b6a58';
  for (const [x, y, w, h] of [[228, 24, 104, 5], [228, 138, 104, 6], [228, 24, 5, 118], [327, 24, 5, 118], [278, 28, 3, 112]]) context.fillRect(x, y, w, h);
  context.fillStyle = '#3e2c35';
  context.fillRect(16, 30, 104, 160);
  const spines = ['#a6584c', '#c79a5b', '#5f7f86', '#7a6a9a', '#b88a78', '#58705a'];
  for (const shelf of [38, 78, 118, 158]) {
    for (let x = 22; x < 108;) {
      const wide = 4 + Math.floor(5 * random());
      const tall = 22 + 8 * random();
      context.fillStyle = spines[Math.floor(spines.length * random())];
      if (random() > 0.12) context.fillRect(x, shelf + 31 - tall, wide, tall);
      x += wide + 1;
    }
    context.fillStyle = '#5b4038';
    context.fillRect(16, shelf + 31, 104, 4);
  }
  glow(context, 176, 84, 96, '#ffca85', 0.5);
  glow(context, 176, 84, 24, '#ffe7bd', 0.8);
}

function woods(context, random) {
  gradient(context, ['#a9c8a4', '#6d9a7a', '#3f6650', '#24382c']);
  for (let k = 0; k < 16; k += 1) {
    context.fillStyle = ['#2d4a38', '#375a42', '#24402f'][k % 3];
    context.fillRect(360 * random(), 0, 6 + 14 * random(), 225);
  }
  for (let k = 0; k < 30; k += 1) glow(context, 360 * random(), 160 * random(), 4 + 10 * random(), '#e9f2b0', 0.35);
}

function dusk(context, random) {
  gradient(context, ['#221c33', '#3a2d4d', '#4a3450', '#241c2b']);
  for (let k = 0; k < 22; k += 1) glow(context, 360 * random(), 190 * random(), 10 + 26 * random(), ['#b48bd6', '#ff9d5c', '#86b8ff'][k % 3], 0.16);
}

/** Places by what a scene calls itself; light colours are key, fill, rim; `wood` is the counter. */
const PLACES = [
  [/\b(market|lantern|tavern|inn|night|fog|bazaar)s?\b/, { paint: lanterns, key: '#ffd2a0', fill: '#8a84ff', rim: '#ff9a4d', wood: '#6a4630', air: '#ffcf8a', drift: 0.012 }],
  [/\b(hospital|clinic|ward|surgery|front desk|pharmacy|practice|consulting room)s?\b/, { paint: corridor, key: '#fff6ea', fill: '#bfe3ea', rim: '#d6f2ff', wood: '#c9cfcf', air: '#ffffff', drift: 0 }],
  [/\b(site|plant room|pump|factory|works|warehouse|industrial|yard|refinery|tank|boiler|vessel)s?\b/, { paint: works, key: '#ffe0b0', fill: '#8fa6c0', rim: '#ffae5a', wood: '#5f6468', air: '#ffd79a', drift: 0.006 }],
  [/\b(flat|home|house|kitchen|apartment|parlour|living room|call)s?\b/, { paint: parlour, key: '#ffe3c2', fill: '#b4a6d8', rim: '#ffb678', wood: '#6b4a3a', air: '#ffdfae', drift: 0.003 }],
  [/\b(forest|wood|garden|grove|field)s?\b/, { paint: woods, key: '#fff2cf', fill: '#a8d0a8', rim: '#e8ffb0', wood: '#6b5138', air: '#f2ffc0', drift: 0.01 }],
  [/\b(museum|gallery|library|hall|shop|store|office|counter|school|room)s?\b/, { paint: windows, key: '#ffe9c4', fill: '#b9a8c8', rim: '#ffd28a', wood: '#6e4529', air: '#ffe9b8', drift: 0.004 }],
];
const ELSEWHERE = { paint: dusk, key: '#ffe4c8', fill: '#a9b8ff', rim: '#ff9d5c', wood: '#4a3540', air: '#ffd6b0', drift: 0.006 };

/** The look of a place, from the words of its location and time. */
export const placeOf = ({ location = '', time = '' } = {}) => PLACES.find(([words]) => words.test(`${location} ${time}`.toLowerCase()))?.[1] ?? ELSEWHERE;

export class Backdrop {
  constructor() {
    this.group = new THREE.Group();
    this.key = new THREE.DirectionalLight('#ffffff', 2.2);
    this.key.position.set(1.5, 1.5, 2.4);
    this.fill = new THREE.DirectionalLight('#ffffff', 0.75);
    this.fill.position.set(-2.2, 0.4, 1.6);
    this.rim = new THREE.DirectionalLight('#ffffff', 2.6);
    this.rim.position.set(-1.3, 1.6, -2.2);
    this.sky = new THREE.HemisphereLight('#d9d2ff', '#3a2c26', 0.5);
    this.canvas = document.createElement('canvas');
    [this.canvas.width, this.canvas.height] = SIZE;
    this.texture = new THREE.CanvasTexture(this.canvas);
    this.texture.colorSpace = THREE.SRGBColorSpace;
    this.wall = new THREE.Mesh(new THREE.PlaneGeometry(1, 1), new THREE.MeshBasicMaterial({ map: this.texture, toneMapped: false, depthWrite: false }));
    this.wall.position.z = -1.1;
    this.wall.renderOrder = -1;
    this.motes = this.makeMotes();
    this.counter = this.makeCounter();
    this.group.add(this.key, this.fill, this.rim, this.sky, this.wall, this.motes, this.counter);
  }

  makeMotes() {
    const random = noise(5);
    const points = Float32Array.from({ length: 3 * 46 }, (_, i) => [1.5 * (random() - 0.5), 0.75 * random() - 0.1, -0.7 + 0.9 * random()][i % 3]);
    const geometry = new THREE.BufferGeometry().setAttribute('position', new THREE.BufferAttribute(points, 3));
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 32;
    glow(canvas.getContext('2d'), 16, 16, 16, '#ffffff');
    return new THREE.Points(geometry, new THREE.PointsMaterial({ size: 0.011, map: new THREE.CanvasTexture(canvas), transparent: true, opacity: 0.55, depthWrite: false, blending: THREE.AdditiveBlending }));
  }

  makeCounter() {
    const made = new THREE.Group();
    const top = new THREE.Mesh(new THREE.BoxGeometry(2.4, 0.03, 0.44), new THREE.MeshStandardMaterial({ roughness: 0.42 }));
    top.position.set(0, -0.025, 0.33);
    const front = new THREE.Mesh(new THREE.BoxGeometry(2.4, 0.5, 0.4), top.material.clone());
    front.position.set(0, -0.29, 0.33);
    made.add(top, front);
    return made;
  }

  /** Dress the stage as `scene` {location, time}. */
  dress(scene) {
    const place = placeOf(scene);
    this.place = place;
    this.key.color.set(place.key);
    this.fill.color.set(place.fill);
    this.rim.color.set(place.rim);
    this.motes.material.color.set(place.air);
    this.motes.visible = place.drift > 0;
    this.counter.children[0].material.color.set(place.wood);
    this.counter.children[1].material.color.set(place.wood).multiplyScalar(0.55);
    place.paint(this.canvas.getContext('2d'), noise(11));
    this.texture.needsUpdate = true;
  }

  /** Fill the camera's view behind the character. */
  fit(camera, target) {
    const far = camera.position.z - this.wall.position.z;
    const height = 2 * far * Math.tan(THREE.MathUtils.degToRad(camera.fov / 2)) * 1.1;
    const width = Math.max(height * camera.aspect, height * (SIZE[0] / SIZE[1]));
    this.wall.scale.set(width, width / (SIZE[0] / SIZE[1]), 1);
    this.wall.position.y = target.y + 0.02;
  }

  /** Let the air move; not at all when `calm`. */
  update(seconds, calm) {
    if (calm || !this.motes.visible) return;
    this.motes.position.y = 0.02 * Math.sin(seconds * 0.3);
    this.motes.position.x = ((seconds * this.place.drift) % 0.4) - 0.2;
    this.motes.material.opacity = 0.45 + 0.12 * Math.sin(seconds * 0.9);
  }
}
