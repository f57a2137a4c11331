/**
 * Things built from simple bodies by what they are called, so that any author's scene gets a stage of its own. Every maker returns a
 * group that stands on y = 0, in metres beside a head 25 cm tall; `userData` says {big, glow, spin, door, top}.
 */
import * as THREE from 'three';

const COLOURS = { green: '#3f8f5f', black: '#23212a', grey: '#8d8f98', gray: '#8d8f98', white: '#efece4', red: '#b8473d', blue: '#42679f', yellow: '#d9a935', walnut: '#6b4226', wooden: '#8a5a34', brass: '#c79a4b', iron: '#4a4a52', silver: '#c9ccd4', stone: '#9a9488', orange: '#d9772f' };
const BRASS = '#c79a4b';
const WOOD = '#8a5a34';

/** The colour a description names, or `otherwise`. */
const colourIn = (text, otherwise) => COLOURS[Object.keys(COLOURS).find((name) => new RegExp(`\\b${name}\\b`, 'i').test(text))] ?? otherwise;

function part(geometry, colour, { at = [0, 0, 0], turn = [0, 0, 0], metal = 0, rough = 0.6, glow = null, clear = 1 } = {}) {
  const material = new THREE.MeshStandardMaterial({ color: colour, metalness: metal, roughness: rough, transparent: clear < 1, opacity: clear });
  if (glow) material.emissive.set(glow).multiplyScalar(0.35);
  const mesh = new THREE.Mesh(geometry, material);
  mesh.position.set(...at);
  mesh.rotation.set(...turn);
  return mesh;
}

const rod = (r, h, r2 = r) => new THREE.CylinderGeometry(r2, r, h, 20);
const block = (x, y, z) => new THREE.BoxGeometry(x, y, z);
const ring = (r, thick, arc = 2 * Math.PI) => new THREE.TorusGeometry(r, thick, 8, 28, arc);
const ball = (r) => new THREE.SphereGeometry(r, 20, 14);

function group(parts, data = {}) {
  const made = new THREE.Group();
  made.add(...parts);
  Object.assign(made.userData, data);
  return made;
}

function face(paint, size = 128) {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = size;
  paint(canvas.getContext('2d'), size);
  const texture = new THREE.CanvasTexture(canvas);
  texture.colorSpace = THREE.SRGBColorSpace;
  return texture;
}

function painted(geometry, paint, options = {}) {
  const mesh = part(geometry, '#ffffff', options);
  mesh.material.map = face(paint);
  return mesh;
}

function dial(context, size) {
  context.fillStyle = '#f4ecd8';
  context.fillRect(0, 0, size, size);
  context.translate(size / 2, size / 2);
  context.strokeStyle = context.fillStyle = '#2b2320';
  for (let hour = 0; hour < 12; hour += 1) {
    context.rotate(Math.PI / 6);
    context.fillRect(-1.5, -size * 0.45, 3, size * (hour % 3 === 2 ? 0.1 : 0.06));
  }
  context.fillRect(-2.5, -size * 0.26, 5, size * 0.3);
  context.rotate(2);
  context.fillRect(-1.5, -size * 0.38, 3, size * 0.42);
}

/** Lines as on a page or a slate: a heading and rows of writing. */
const writing = (paper, ink) => (context, size) => {
  context.fillStyle = paper;
  context.fillRect(0, 0, size, size);
  context.fillStyle = ink;
  context.fillRect(size * 0.14, size * 0.12, size * 0.5, size * 0.07);
  for (let row = 0; row < 6; row += 1) context.fillRect(size * 0.14, size * (0.28 + row * 0.1), size * (0.7 - 0.13 * ((row * 7) % 4)), size * 0.035);
};

function lamp(text) {
  const tall = /storm|tall|big|street/i.test(text) ? 0.16 : 0.11;
  const glass = colourIn(text.replace(/brass|iron|silver/gi, ''), '#ffd9a0');
  const flame = part(ball(0.011), '#fff0c0', { at: [0, tall * 0.45, 0], glow: '#ffb347' });
  const shell = part(rod(0.026, tall * 0.5, 0.022), glass, { at: [0, tall * 0.48, 0], clear: 0.42, glow: glass, rough: 0.1 });
  const light = new THREE.PointLight('#ffb766', 0.05, 0.9, 1.6);
  light.position.set(0, tall * 0.5, 0.03);
  const posts = [0, 1, 2, 3].map((k) => part(rod(0.0022, tall * 0.5), BRASS, { at: [0.026 * Math.cos(k * 1.57), tall * 0.48, 0.026 * Math.sin(k * 1.57)], metal: 0.85, rough: 0.3 }));
  return group([
    part(rod(0.034, tall * 0.2, 0.028), BRASS, { at: [0, tall * 0.1, 0], metal: 0.85, rough: 0.32 }), shell, flame, ...posts, light,
    part(new THREE.ConeGeometry(0.032, tall * 0.18, 20), BRASS, { at: [0, tall * 0.82, 0], metal: 0.85, rough: 0.32 }),
    part(ring(0.018, 0.0026), BRASS, { at: [0, tall + 0.008, 0], metal: 0.85, rough: 0.3 }),
  ], { glow: [shell.material, flame.material], light, top: tall });
}

function rope(text) {
  const colour = colourIn(text, /silk/i.test(text) ? '#b9bcc8' : '#b08a54');
  return group([0, 1, 2, 3].map((k) => part(ring(0.042 - k * 0.002, 0.009), colour, { at: [0.002 * (k % 2), 0.009 + k * 0.015, 0], turn: [Math.PI / 2 + 0.04 * (k % 3), 0, k], rough: 0.95 })), { top: 0.07 });
}

function barrel() {
  const staves = new THREE.LatheGeometry([[0, 0], [0.075, 0], [0.092, 0.07], [0.095, 0.11], [0.092, 0.15], [0.075, 0.22], [0, 0.22]].map(([x, y]) => new THREE.Vector2(x, y)), 22);
  const hoop = (y, r) => part(ring(r, 0.004), '#55504f', { at: [0, y, 0], turn: [Math.PI / 2, 0, 0], metal: 0.7, rough: 0.5 });
  const one = (x, z) => group([part(staves, WOOD, { rough: 0.85 }), hoop(0.045, 0.088), hoop(0.175, 0.088)]).translateX(x).translateZ(z);
  return group([one(-0.1, 0), one(0.11, 0.02)], { big: true, top: 0.22 });
}

function board(text) {
  const slate = /slate|chalk|black/i.test(text);
  const sheet = painted(block(0.125, 0.105, 0.004), writing(slate ? '#2d3236' : '#eee3c8', slate ? '#e8e4d8' : '#8a6a4a'), { at: [0, 0.066, 0.006], turn: [-0.22, 0, 0] });
  return group([part(block(0.14, 0.12, 0.008), WOOD, { at: [0, 0.065, 0], turn: [-0.22, 0, 0] }), sheet, part(block(0.008, 0.09, 0.05), WOOD, { at: [0, 0.04, -0.03], turn: [0.35, 0, 0] })], { top: 0.125, glow: [sheet.material] });
}

function box(text) {
  const colour = colourIn(text, /card|paper|parcel/i.test(text) ? '#a97f51' : '#4a4a52');
  const metal = /iron|steel|cash|safe/i.test(text) ? 0.7 : 0;
  const lid = group([part(block(0.104, 0.022, 0.074), colour, { at: [0, 0.008, 0.035], metal, rough: 0.45 })]);
  lid.position.set(0, 0.052, -0.035);
  return group([part(block(0.1, 0.052, 0.07), colour, { at: [0, 0.026, 0], metal, rough: 0.5 }), lid, part(block(0.014, 0.018, 0.006), BRASS, { at: [0, 0.045, 0.037], metal: 0.8 })], { door: { node: lid, axis: 'x', angle: -1.2 }, top: 0.075 });
}

function watch(text) {
  const parts = [
    part(rod(0.04, 0.014, 0.034), '#5b3b26', { at: [0, 0.007, 0] }), part(block(0.008, 0.05, 0.006), BRASS, { at: [0, 0.035, -0.012], metal: 0.8 }),
    part(rod(0.034, 0.014), '#d5d8de', { at: [0, 0.062, 0], turn: [Math.PI / 2 - 0.2, 0, 0], metal: 0.85, rough: 0.25 }),
    painted(new THREE.CircleGeometry(0.03, 28), dial, { at: [0, 0.0635, 0.0085], turn: [-0.2, 0, 0] }), part(ring(0.01, 0.002), BRASS, { at: [0, 0.105, 0], metal: 0.8 }),
  ];
  if (/glass case|dome|under glass/i.test(text)) parts.push(part(new THREE.SphereGeometry(0.062, 24, 16, 0, 2 * Math.PI, 0, Math.PI / 2).scale(1, 1.9, 1), '#dfe9f2', { at: [0, 0.014, 0], clear: 0.16, rough: 0.05 }));
  return group(parts, { top: 0.12 });
}

function clock(text) {
  const wall = /wall|pendulum/i.test(text);
  const tall = wall ? 0.3 : 0.46;
  const swing = group([part(block(0.006, 0.13, 0.003), BRASS, { at: [0, -0.065, 0], metal: 0.8 }), part(rod(0.024, 0.006), BRASS, { at: [0, -0.135, 0], turn: [Math.PI / 2, 0, 0], metal: 0.85, rough: 0.25 })]);
  swing.position.set(0, tall - 0.12, 0.048);
  return group([
    part(block(0.13, tall, 0.08), colourIn(text, '#6b4226'), { at: [0, tall / 2, 0], rough: 0.5 }), part(block(0.09, tall - 0.16, 0.01), '#2a1a12', { at: [0, tall / 2 - 0.07, 0.037] }),
    painted(new THREE.CircleGeometry(0.05, 32), dial, { at: [0, tall - 0.07, 0.0415] }), part(ring(0.051, 0.005), BRASS, { at: [0, tall - 0.07, 0.042], metal: 0.85, rough: 0.3 }), swing,
  ], { big: true, swing, top: tall, raise: wall ? 0.16 : 0 });
}

function sundial(text) {
  const bowl = new THREE.SphereGeometry(0.055, 24, 12, 0, 2 * Math.PI, Math.PI / 2, Math.PI / 2);
  const stone = part(bowl, colourIn(text, '#9a9488'), { at: [0, 0.062, 0], rough: 0.95 });
  stone.material.side = THREE.DoubleSide;
  return group([stone, part(rod(0.028, 0.012), '#8a857a', { at: [0, 0.006, 0], rough: 0.95 }), part(rod(0.0025, 0.055, 0.001), BRASS, { at: [0, 0.062, 0.01], turn: [0.6, 0, 0], metal: 0.7 })], { top: 0.08 });
}

function gear(r, colour) {
  const teeth = Array.from({ length: 12 }, (_, k) => part(block(0.007, 0.009, 0.006), colour, { at: [r * 1.08 * Math.cos((k * Math.PI) / 6), r * 1.08 * Math.sin((k * Math.PI) / 6), 0], turn: [0, 0, (k * Math.PI) / 6 + Math.PI / 2], metal: 0.7, rough: 0.35 }));
  return group([part(ring(r, 0.005), colour, { metal: 0.7, rough: 0.35 }), part(block(r * 2, 0.005, 0.004), colour, { metal: 0.7 }), part(block(0.005, r * 2, 0.004), colour, { metal: 0.7 }), ...teeth]);
}

function machine(text) {
  const colour = colourIn(text, BRASS);
  const spin = [[-0.026, 0.052, 0.032], [0.03, 0.075, 0.024], [0.012, 0.03, 0.016]].map(([x, y, r]) => {
    const wheel = gear(r, colour);
    wheel.position.set(x, y, 0.012);
    return wheel;
  });
  return group([part(block(0.13, 0.012, 0.06), WOOD, { at: [0, 0.006, 0] }), part(block(0.1, 0.1, 0.006), '#6d4a2e', { at: [0, 0.06, -0.012] }), ...spin], { spin, top: 0.115 });
}

function papers(text) {
  const clip = /clip|form|file/i.test(text);
  const sheets = Array.from({ length: clip ? 1 : 5 }, (_, k) => part(block(0.062, 0.003, 0.088), k % 2 ? '#efe7d3' : '#dfe6ea', { at: [0, 0.004 + k * 0.0032, 0], turn: [0, 0.08 * ((k * 3) % 5 - 2), 0] }));
  const top = painted(new THREE.PlaneGeometry(0.056, 0.08), writing('#f6f0e2', '#7a6a5a'), { at: [0, clip ? 0.0062 : 0.0195, 0], turn: [-Math.PI / 2, 0, 0] });
  const extra = clip ? [part(block(0.074, 0.004, 0.1), WOOD, { at: [0, 0.001, 0] }), part(block(0.03, 0.006, 0.01), '#b9bcc4', { at: [0, 0.008, -0.042], metal: 0.8 }), part(rod(0.0028, 0.07), '#2d4f8a', { at: [0.026, 0.009, 0.01], turn: [Math.PI / 2, 0, 0.3] })] : [];
  const lying = group([...sheets, top, ...extra]);
  lying.rotation.x = 0.5;
  lying.position.y = 0.026;
  return group([lying], { top: 0.05 });
}

function umbrella(text) {
  const colour = colourIn(text, '#2b2b36');
  const closed = group([part(new THREE.ConeGeometry(0.02, 0.13, 14), colour, { at: [0, 0.065, 0], turn: [Math.PI, 0, 0], rough: 0.8 }), part(rod(0.0035, 0.06), '#7a5232', { at: [0, 0.155, 0] }), part(ring(0.013, 0.0035, Math.PI), '#7a5232', { at: [0.013, 0.185, 0] })]);
  closed.rotation.z = 0.12;
  return group([closed], { top: 0.2 });
}

function tissueBox() {
  return group([part(block(0.1, 0.05, 0.06), '#7fb4c8', { at: [0, 0.025, 0] }), part(block(0.07, 0.006, 0.03), '#2d5566', { at: [0, 0.05, 0] }), part(new THREE.ConeGeometry(0.022, 0.03, 5), '#f3f5f5', { at: [0, 0.06, 0] })], { top: 0.075 });
}

function plant() {
  const leaves = Array.from({ length: 9 }, (_, k) => part(new THREE.ConeGeometry(0.012, 0.1, 6).translate(0, 0.05, 0), k % 2 ? '#3f7f4f' : '#58995f', { at: [0, 0.055, 0], turn: [0.7 * Math.sin(k * 2.4), k, 0.7 * Math.cos(k * 2.4)], rough: 0.9 }));
  return group([part(rod(0.026, 0.055, 0.036), '#a85d3c', { at: [0, 0.0275, 0], rough: 0.9 }), ...leaves], { top: 0.15 });
}

function door(text) {
  const leaf = group([part(block(0.22, 0.5, 0.012), /glass/i.test(text) ? '#a9c8d8' : '#6b4a34', { at: [0.11, 0.25, 0], clear: /glass/i.test(text) ? 0.45 : 1, rough: 0.2 }), part(ball(0.012), BRASS, { at: [0.195, 0.24, 0.015], metal: 0.8 })]);
  leaf.position.x = -0.11;
  const frame = '#d8d4cc';
  return group([leaf, part(block(0.02, 0.53, 0.03), frame, { at: [-0.125, 0.262, 0] }), part(block(0.02, 0.53, 0.03), frame, { at: [0.125, 0.262, 0] }), part(block(0.27, 0.02, 0.03), frame, { at: [0, 0.53, 0] })], { big: true, door: { node: leaf, axis: 'y', angle: -1.1 }, top: 0.54 });
}

function wheelchair() {
  const wheel = (x) => part(ring(0.085, 0.007), '#33343c', { at: [x, 0.09, 0], turn: [0, Math.PI / 2, 0], metal: 0.4 });
  return group([wheel(-0.075), wheel(0.075), part(block(0.13, 0.012, 0.12), '#35506b', { at: [0, 0.11, 0] }), part(block(0.13, 0.13, 0.012), '#35506b', { at: [0, 0.18, -0.06], turn: [-0.12, 0, 0] })], { big: true, top: 0.25 });
}

function person(text) {
  const small = /boy|girl|child/i.test(text) ? 0.8 : 1;
  const made = group([part(new THREE.CapsuleGeometry(0.075, 0.16, 6, 16), '#3d3550', { at: [0, 0.16, 0], rough: 0.95 }), part(ball(0.066), '#8a6a5c', { at: [0, 0.37, 0], rough: 0.8 }), part(ball(0.069), '#3a2a22', { at: [0, 0.385, -0.012], rough: 0.95 }), part(ball(0.007), '#201a1c', { at: [-0.023, 0.372, 0.063] }), part(ball(0.007), '#201a1c', { at: [0.023, 0.372, 0.063] })], { big: true, top: 0.44 * small });
  made.scale.setScalar(small);
  return made;
}

function vessel(text) {
  const colour = colourIn(text, /bottle|potion|flask|vial/i.test(text) ? '#5aa38f' : '#c8bda8');
  const neck = /bottle|potion|flask|vial/i.test(text);
  const profile = neck ? [[0, 0], [0.026, 0], [0.028, 0.05], [0.01, 0.075], [0.01, 0.1], [0.013, 0.102], [0, 0.102]] : [[0, 0], [0.022, 0], [0.028, 0.06], [0.025, 0.06], [0.02, 0.006], [0, 0.006]];
  return group([part(new THREE.LatheGeometry(profile.map(([x, y]) => new THREE.Vector2(x, y)), 22), colour, { clear: neck ? 0.75 : 1, rough: 0.15 })], { top: neck ? 0.1 : 0.06 });
}

function parcel(text) {
  const colour = colourIn(text, '#b58a5b');
  return group([part(block(0.08, 0.055, 0.06), colour, { at: [0, 0.0275, 0], rough: 0.9 }), part(block(0.082, 0.057, 0.006), '#e8dcc0', { at: [0, 0.028, 0] }), part(block(0.006, 0.057, 0.062), '#e8dcc0', { at: [0, 0.028, 0] }), part(ring(0.012, 0.003), '#e8dcc0', { at: [0, 0.064, 0] })], { top: 0.075 });
}

/** Which maker a thing gets: the first pattern found in its kind and name, then in its description. */
const MAKERS = [
  [/\b(person|man|woman|boy|girl|nurse|guard|colleague|customer|child)\b/, person], [/door|gate|hatch/, door], [/wheelchair|trolley|vehicle/, wheelchair], [/rope|cable|hose|coil/, rope], [/masks?|tissue|gloves/, tissueBox],
  [/lamp|lantern|candle|torch|beacon/, lamp], [/barrel|drum|keg|tank|cylinder/, barrel], [/sundial/, sundial], [/watch|chronometer|timekeeper|compass/, watch], [/clock/, clock],
  [/machine|escapement|engine|model|gear|pump|valve|detector|meter|monitor/, machine], [/umbrella|stick|cane/, umbrella], [/sign|slate|board|map|poster|screen|notice/, board],
  [/leaflet|paper|form|clipboard|book|file|letter|ticket|permit|receipt|badge|card|leaflets|record|note|bill/, papers], [/plant|fern|flower|tree/, plant], [/cup|mug|glass|bottle|potion|flask|vial|bowl|jug|pills|medicine/, vessel],
  [/box|chest|case|safe|container|crate|kit|bag|phone|radio|helmet/, box],
];

/** Build the thing that an entity {id, kind, name, description} describes. */
export function makeProp(entity) {
  const [called, described] = [`${entity.name ?? ''} ${entity.id}`.toLowerCase(), String(entity.description ?? '').toLowerCase()];
  const kind = String(entity.kind ?? '').toLowerCase();
  const maker = [called, kind, described].map((text) => MAKERS.find(([pattern]) => pattern.test(text))?.[1]).find(Boolean) ?? parcel;
  const made = maker(`${called} ${described}`);
  made.name = entity.id;
  made.userData = { big: false, glow: [], top: 0.08, ...made.userData, id: entity.id, label: entity.name ?? entity.id };
  return made;
}
