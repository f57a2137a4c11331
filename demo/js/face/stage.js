/** The lit scene: a head on a stage, a soft backdrop, props, and the camera that frames them. */
import * as THREE from 'three';
import { GLTFLoader } from 'three/addons/loaders/GLTFLoader.js';
import { RoomEnvironment } from 'three/addons/environments/RoomEnvironment.js';
import { Rig } from './rig.js';

/** Radians that a full eyeLook channel turns an eyeball node. */
const EYE_REACH = 0.5;

export class Stage {
  constructor(canvas, channels) {
    this.channels = channels;
    this.index = new Map(channels.map((name, i) => [name, i]));
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true, alpha: true, powerPreference: 'high-performance' });
    this.renderer.toneMapping = THREE.ACESFilmicToneMapping;
    this.renderer.toneMappingExposure = 1.05;
    this.renderer.setPixelRatio(Math.min(globalThis.devicePixelRatio || 1, 2));
    this.scene = new THREE.Scene();
    const generator = new THREE.PMREMGenerator(this.renderer);
    this.scene.environment = generator.fromScene(new RoomEnvironment(), 0.04).texture;
    this.scene.environmentIntensity = 0.35;
    this.camera = new THREE.PerspectiveCamera(24, 1, 0.05, 20);
    this.light();
    this.model = null;
    this.rig = null;
  }

  light() {
    const key = new THREE.DirectionalLight('#ffe4c8', 2.3);
    key.position.set(1.6, 1.5, 2.4);
    const fill = new THREE.DirectionalLight('#a9b8ff', 0.7);
    fill.position.set(-2.2, 0.4, 1.6);
    const rim = new THREE.DirectionalLight('#ff9d5c', 2.4);
    rim.position.set(-1.2, 1.6, -2.2);
    this.scene.add(key, fill, rim, new THREE.HemisphereLight('#d9d2ff', '#3a2c26', 0.55));
  }

  /** Load a GLB by URL; resolves to the rig's report (a line for a person, or null). The old model stays if this fails. */
  async load(url) {
    const gltf = await new GLTFLoader().loadAsync(url);
    if (this.model) this.scene.remove(this.model);
    this.model = gltf.scene;
    this.scene.add(this.model);
    this.rig = new Rig(this.model, this.channels);
    this.head = this.find(/^(head|neck_joint|headjoint)$/i) ?? this.find(/head/i) ?? this.model;
    this.eyes = { Left: this.find(/eye.*(left|_l)$/i), Right: this.find(/eye.*(right|_r)$/i) };
    this.rest = this.head.quaternion.clone();
    this.frame();
    return this.rig.report();
  }

  find(pattern) {
    let found = null;
    this.model.traverse((node) => { if (!found && pattern.test(node.name)) found = node; });
    return found;
  }

  /** Put the face at the upper third, close enough to read lips. */
  frame() {
    const box = new THREE.Box3().setFromObject(this.model);
    const size = box.getSize(new THREE.Vector3());
    const centre = box.getCenter(new THREE.Vector3());
    const tall = Math.max(size.y, 1e-3);
    this.target = new THREE.Vector3(centre.x, box.max.y - tall * 0.4, centre.z);
    this.distance = (tall * 0.47) / Math.tan(THREE.MathUtils.degToRad(this.camera.fov / 2));
    this.camera.position.set(centre.x, this.target.y + tall * 0.02, centre.z + this.distance);
    this.camera.near = this.distance / 50;
    this.camera.far = this.distance * 10;
    this.camera.lookAt(this.target);
  }

  /** Draw one frame: weights by channel, head {yaw, pitch, roll} in radians. */
  draw({ weights, head }) {
    this.fit();
    if (this.model) {
      this.rig.apply(weights);
      this.head.quaternion.copy(this.rest).multiply(new THREE.Quaternion().setFromEuler(new THREE.Euler(-head.pitch, head.yaw, head.roll)));
      this.turnEyes(weights);
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

  fit() {
    const canvas = this.renderer.domElement;
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = this.renderer.getPixelRatio();
    if (canvas.width === Math.floor(width * ratio) && canvas.height === Math.floor(height * ratio)) return;
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / Math.max(1, height);
    this.camera.updateProjectionMatrix();
  }
}
