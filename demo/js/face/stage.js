/** The lit scene: the character behind a counter, the things around it, and the camera that frames them. */
import * as THREE from 'three';
import { GLTFLoader } from 'three/addons/loaders/GLTFLoader.js';
import { RoomEnvironment } from 'three/addons/environments/RoomEnvironment.js';
import { Backdrop } from '../scene/backdrop.js';
import { discard } from '../scene/discard.js';
import { Hands } from '../scene/hands.js';
import { Table } from '../scene/table.js';
import { Rig } from './rig.js';

/** Radians that a full eyeLook channel turns an eyeball node, and that a full jawOpen turns a jaw bone. */
const EYE_REACH = 0.5;
const JAW_REACH = 0.28;
/** Our heads are 0.465 m from counter to crown; other models are scaled so that head and shoulders fill the same space. */
const BUST = 0.465;
/** What the camera holds: metres above the counter, and where its middle is. */
const VIEW = { tall: 0.66, narrow: 0.4, middle: 0.205, height: 0.3 };

export class Stage {
  constructor(canvas, channels) {
    this.canvas = canvas;
    this.channels = channels;
    this.index = new Map(channels.map((name, i) => [name, i]));
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true, powerPreference: 'high-performance' });
    this.renderer.toneMapping = THREE.ACESFilmicToneMapping;
    this.renderer.toneMappingExposure = 1.05;
    this.renderer.setPixelRatio(Math.min(globalThis.devicePixelRatio || 1, 2));
    this.scene = new THREE.Scene();
    const generator = new THREE.PMREMGenerator(this.renderer);
    this.scene.environment = generator.fromScene(new RoomEnvironment(), 0.04).texture;
    this.scene.environmentIntensity = 0.35;
    this.camera = new THREE.PerspectiveCamera(24, 1, 0.05, 20);
    this.target = new THREE.Vector3(0, VIEW.middle, 0);
    this.backdrop = new Backdrop();
    this.table = new Table();
    this.hands = null;
    this.scene.add(this.backdrop.group, this.table.group);
    this.model = null;
    this.rig = null;
    this.calm = false;
  }

  /** Show a place {location, time, entities}. */
  set(scene) {
    this.backdrop.dress(scene ?? {});
    this.table.lay((scene?.entities ?? []).filter(({ visible }) => visible !== false));
    this.resize(true);
  }

  /**
   * Load a GLB or VRM by URL; resolves to the rig's report (a line for a person, or null). The old model stays if this fails. Of loads
   * that overlap, the last one asked for is shown.
   */
  async load(url) {
    this.wanted = url;
    const gltf = await new GLTFLoader().loadAsync(url);
    if (this.wanted !== url) {
      discard(gltf.scene);
      return null;
    }
    if (this.model) discard(this.model);
    if (this.hands) discard(this.hands.group);
    this.model = gltf.scene;
    this.rig = new Rig(this.model, this.channels, gltf.parser);
    this.head = this.rig.head ?? this.find(/^(head|neck_joint|headjoint)$/i) ?? this.find(/head/i) ?? this.model;
    this.jaw = this.rig.mouthless ? this.find(/jaw/i) : null;
    this.eyes = { Left: this.find(/eye.*(left|_l)$/i), Right: this.find(/eye.*(right|_r)$/i) };
    this.place();
    this.scene.add(this.model);
    this.rest = this.head.quaternion.clone();
    this.jawRest = this.jaw?.quaternion.clone();
    this.hands = this.makeHands();
    if (this.hands) this.scene.add(this.hands.group);
    return this.rig.report(Boolean(this.jaw));
  }

  find(pattern) {
    let found = null;
    this.model.traverse((node) => { if (!found && pattern.test(node.name)) found = node; });
    return found;
  }

  /** Scale a model so that its bust stands behind the counter, whether it is a head, a bust or a whole body. */
  place() {
    const box = new THREE.Box3().setFromObject(this.model);
    const tall = Math.max(1e-3, box.max.y - box.min.y);
    const head = this.head === this.model ? null : this.head.getWorldPosition(new THREE.Vector3());
    const above = head && this.isWhole(box, head) ? (box.max.y - head.y) * 1.9 : tall;
    const scale = Math.abs(above / BUST - 1) < 0.15 ? 1 : BUST / above;
    this.model.scale.multiplyScalar(scale);
    const centre = box.getCenter(new THREE.Vector3());
    this.model.position.set(-(head?.x ?? centre.x) * scale, BUST - box.max.y * scale, (head ? 0 : -centre.z) * scale);
    if (this.rig.backwards) this.model.rotation.y = Math.PI;
  }

  /** A head joint in the upper fifth of a tall figure belongs to a whole body, which brings hands of its own. */
  isWhole(box, head) {
    this.whole = (head.y - box.min.y) / (box.max.y - box.min.y) > 0.75;
    return this.whole;
  }

  makeHands() {
    if (this.whole) return null;
    const colours = { skin: null, cloth: null };
    this.model.traverse((node) => {
      const name = node.material?.name ?? '';
      const key = Object.keys(colours).find((one) => name.toLowerCase().includes(one));
      if (key && !colours[key]) colours[key] = outerColour(node);
    });
    if (!colours.skin || !colours.cloth) return null;
    const material = (colour, rough) => new THREE.MeshStandardMaterial({ color: colour, roughness: rough });
    return new Hands(material(colours.skin, 0.52), material(colours.cloth, 0.9), material(colours.cloth.clone().lerp(new THREE.Color('#f2e2bd'), 0.65), 0.9));
  }

  /** Degrees [left, up] from the character's eyes to a thing, or to the player (the camera); null for what is not here. */
  aim(target) {
    const eyes = new THREE.Vector3(0, 0.33, 0.08);
    const there = !target || target === 'player' ? this.camera.position.clone() : this.table.anchor(target);
    if (!there) return null;
    const line = there.sub(eyes);
    const base = this.camera.position.clone().sub(eyes);
    const angle = ({ x, y, z }) => [Math.atan2(x, z), Math.atan2(y, Math.hypot(x, z))];
    const [[yaw, pitch], [yaw0, pitch0]] = [angle(line), angle(base)];
    return [THREE.MathUtils.radToDeg(yaw - yaw0), THREE.MathUtils.radToDeg(pitch - pitch0)].map((degrees) => Math.max(-40, Math.min(40, degrees)));
  }

  /** The id of the thing under a point of the canvas in [-1, 1], or null. */
  pick(x, y) {
    const ray = new THREE.Raycaster();
    ray.setFromCamera(new THREE.Vector2(x, y), this.camera);
    for (const { object } of ray.intersectObject(this.table.group, true)) {
      for (let node = object; node; node = node.parent) if (node.userData.id) return node.userData.id;
    }
    return null;
  }

  /** Draw one frame: weights by channel, head {yaw, pitch, roll, chest} in radians and [0, 1], at `now` seconds. */
  draw({ weights, head }, now = 0) {
    const dt = Math.min(0.1, Math.max(0, now - (this.drawn ?? now)));
    this.drawn = now;
    this.resize(false);
    this.backdrop.update(now, this.calm);
    this.table.update(dt, this.hands, this.calm);
    this.hands?.update(now, dt);
    if (this.model) {
      this.rig.apply(weights);
      this.head.quaternion.copy(this.rest).multiply(new THREE.Quaternion().setFromEuler(new THREE.Euler(-head.pitch, head.yaw, head.roll)));
      this.turnEyes(weights);
      if (this.jaw) this.jaw.quaternion.copy(this.jawRest).multiply(new THREE.Quaternion().setFromEuler(new THREE.Euler(JAW_REACH * weights[this.index.get('jawOpen')], 0, 0)));
    }
    this.renderer.render(this.scene, this.camera);
  }

  turnEyes(weights) {
    const w = (name) => weights[this.index.get(name)];
    for (const side of ['Left', 'Right']) {
      const eye = this.eyes[side];
      if (!eye || eye.morphTargetInfluences) continue;
      const outward = w(`eyeLookOut${side}`) - w(`eyeLookIn${side}`);
      eye.rotation.set((w(`eyeLookDown${side}`) - w(`eyeLookUp${side}`)) * EYE_REACH, (side === 'Left' ? outward : -outward) * EYE_REACH, 0);
    }
  }

  /** Follow the size of the canvas: the face keeps its size in wide views and its width in narrow ones. */
  resize(force) {
    const canvas = this.renderer.domElement;
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = this.renderer.getPixelRatio();
    if (!force && canvas.width === Math.floor(width * ratio) && canvas.height === Math.floor(height * ratio)) return;
    this.renderer.setSize(width, height, false);
    const { camera } = this;
    camera.aspect = width / Math.max(1, height);
    const seen = Math.max(VIEW.tall, VIEW.narrow / camera.aspect);
    const distance = seen / 2 / Math.tan(THREE.MathUtils.degToRad(camera.fov / 2));
    camera.position.set(0, VIEW.height, distance);
    camera.lookAt(this.target);
    camera.updateProjectionMatrix();
    this.table.arrange((seen * camera.aspect) / 2);
    this.backdrop.fit(camera, this.target);
  }
}

/** The colour of a mesh: its material's, times its vertex colours at the outermost points, where a sleeve begins and no trim runs. */
function outerColour({ geometry, material }) {
  const colour = material.color.clone();
  const { color: paint, position } = geometry.attributes;
  if (!paint) return colour;
  const far = Math.max(...Array.from({ length: position.count }, (_, i) => Math.abs(position.getX(i))));
  const sum = [0, 0, 0, 0];
  for (let i = 0; i < paint.count; i += 1) {
    if (Math.abs(position.getX(i)) < 0.6 * far) continue;
    for (const c of [0, 1, 2]) sum[c] += paint.getComponent(i, c);
    sum[3] += 1;
  }
  return colour.multiply(new THREE.Color(...sum.slice(0, 3).map((value) => value / Math.max(1, sum[3]))));
}
