/**
 * Two arms from the shoulders to simple hands, by two-bone inverse kinematics: they rest on the counter, beat and open with the speech,
 * point, and carry things over. Lengths are metres beside a head 25 cm tall; x is the character's left.
 */
import * as THREE from 'three';

const SHOULDER = new THREE.Vector3(0.138, 0.075, 0.0);
const UPPER = 0.125;
const FORE = 0.135;
/** Wrist positions (x for the left hand, mirrored for the right) and how far the fingers curl, in [0, 1]. */
const POSES = {
  rest: { wrist: [0.1, 0.012, 0.165], curl: 0.35, palm: 0 }, beat: { wrist: [0.17, 0.1, 0.19], curl: 0.25, palm: 0.5 },
  stroke: { wrist: [0.165, 0.055, 0.2], curl: 0.2, palm: 0.6 }, open: { wrist: [0.2, 0.075, 0.2], curl: 0.05, palm: 1.4 },
  point: { wrist: [0.22, 0.11, 0.17], curl: 0.95, palm: 0.2 }, up: { wrist: [0.19, 0.16, 0.16], curl: 0.05, palm: 0.3 },
};
const OPENING = /open|offer|shrug|welcome|present|unsure|explain/;
const POINTING = /point|indicate|show/;
const RAISING = /wave|greet|stop|halt|calm|refuse/;
/** Time constant in seconds of a hand on its way. */
const TAU = 0.09;

const flat = (name) => ({ x, y, z }) => new THREE.Vector3(name === 'Left' ? x : -x, y, z);

class Arm {
  constructor(side, skin, sleeve, cuff) {
    this.side = side;
    this.mirror = flat(side);
    this.shoulder = this.mirror(SHOULDER);
    this.group = new THREE.Group();
    this.upper = new THREE.Mesh(new THREE.CapsuleGeometry(0.034, 1, 6, 14), sleeve);
    this.fore = new THREE.Mesh(new THREE.CylinderGeometry(0.023, 0.031, 1, 16), sleeve);
    this.elbow = new THREE.Mesh(new THREE.SphereGeometry(0.032, 14, 10), sleeve);
    this.hand = this.makeHand(skin, cuff);
    this.group.add(this.upper, this.fore, this.elbow, this.hand);
    this.wrist = this.mirror(new THREE.Vector3(...POSES.rest.wrist));
    this.shape = { curl: POSES.rest.curl, palm: 0, point: 0 };
    this.goal = { wrist: this.wrist.clone(), curl: POSES.rest.curl, palm: 0, point: 0 };
    this.set(0);
  }

  makeHand(skin, cuff) {
    const hand = new THREE.Group();
    const palm = new THREE.Mesh(new THREE.SphereGeometry(0.024, 16, 12).scale(1, 0.5, 1.12), skin);
    palm.position.z = 0.027;
    const band = new THREE.Mesh(new THREE.CylinderGeometry(0.0255, 0.0265, 0.016, 18), cuff);
    band.rotation.x = Math.PI / 2;
    this.fingers = [-0.0155, -0.0055, 0.0045, 0.0145].map((x, k) => this.finger(x, 0.03 - 0.004 * Math.abs(k - 1.5), 0.0062, skin));
    this.thumb = this.finger(0, 0.022, 0.0068, skin);
    this.thumb.root.position.set(this.side === 'Left' ? -0.019 : 0.019, -0.002, 0.02);
    this.thumb.root.rotation.y = this.side === 'Left' ? -0.85 : 0.85;
    hand.add(palm, band, this.thumb.root, ...this.fingers.map(({ root }) => root));
    return hand;
  }

  finger(x, length, r, skin) {
    const root = new THREE.Group();
    root.position.set(x, 0, 0.045);
    const bone = (size) => new THREE.Mesh(new THREE.CapsuleGeometry(r, size, 4, 10).rotateX(Math.PI / 2).translate(0, 0, size / 2), skin);
    const tip = new THREE.Group();
    tip.position.z = length * 0.55;
    tip.add(bone(length * 0.42));
    root.add(bone(length * 0.55), tip);
    return { root, tip };
  }

  /** Aim for a named pose, or a wrist position in the world. */
  aim({ wrist, curl = 0.3, palm = 0, point = 0 }) {
    Object.assign(this.goal, { wrist, curl, palm, point });
  }

  pose(name, weight = 1) {
    const [rest, there] = [POSES.rest, POSES[name]];
    const wrist = this.mirror(new THREE.Vector3(...rest.wrist).lerp(new THREE.Vector3(...there.wrist), weight));
    this.aim({ wrist, curl: there.curl, palm: there.palm * weight, point: name === 'point' ? 1 : 0 });
  }

  /** Move for `dt` seconds towards the goal. */
  set(dt, tau = TAU) {
    const way = dt ? 1 - Math.exp(-dt / tau) : 1;
    this.wrist.lerp(this.goal.wrist, way);
    for (const name of ['curl', 'palm', 'point']) this.shape[name] += (this.goal[name] - this.shape[name]) * way;
    this.solve();
  }

  solve() {
    const reach = this.wrist.clone().sub(this.shoulder);
    const distance = reach.length();
    const stretch = Math.max(1, distance / (0.985 * (UPPER + FORE)));
    const [a, b] = [UPPER * stretch, FORE * stretch];
    const along = (a * a - b * b + distance * distance) / (2 * distance);
    const height = Math.sqrt(Math.max(0, a * a - along * along));
    const forward = reach.normalize();
    const outward = this.mirror(new THREE.Vector3(0.8, -0.7, -0.35));
    const bend = outward.sub(forward.clone().multiplyScalar(outward.dot(forward))).normalize();
    const elbow = this.shoulder.clone().addScaledVector(forward, along).addScaledVector(bend, height);
    this.stretchBetween(this.upper, this.shoulder, elbow, 0.9);
    this.stretchBetween(this.fore, elbow, this.wrist, 1);
    this.elbow.position.copy(elbow);
    this.hand.position.copy(this.wrist);
    this.turnHand(elbow);
  }

  stretchBetween(mesh, from, to, share) {
    const line = to.clone().sub(from);
    mesh.position.copy(from).addScaledVector(line, 0.5);
    mesh.scale.set(1, line.length() * share, 1);
    mesh.quaternion.setFromUnitVectors(new THREE.Vector3(0, 1, 0), line.normalize());
  }

  turnHand(elbow) {
    const direction = this.wrist.clone().sub(elbow).normalize();
    if (this.goal.toward) direction.lerp(this.goal.toward, this.shape.point).normalize();
    this.hand.quaternion.setFromUnitVectors(new THREE.Vector3(0, 0, 1), direction);
    this.hand.rotateZ((this.side === 'Left' ? 1 : -1) * (this.shape.palm + 0.15));
    this.fingers.forEach(({ root, tip }, k) => {
      const straight = k === (this.side === 'Left' ? 0 : 3) ? this.shape.point : 0;
      root.rotation.x = this.shape.curl * 1.25 * (1 - straight);
      tip.rotation.x = this.shape.curl * 1.5 * (1 - straight);
    });
    this.thumb.tip.rotation.x = this.shape.curl * 0.8;
  }
}

export class Hands {
  /** Materials: of the skin, the sleeves and their cuffs. */
  constructor(skin, sleeve, cuff) {
    this.arms = { Left: new Arm('Left', skin, sleeve, cuff), Right: new Arm('Right', skin, sleeve, cuff) };
    this.group = new THREE.Group();
    this.group.add(this.arms.Left.group, this.arms.Right.group);
    this.gestures = [];
    this.side = 'Right';
    this.busy = null;
    this.still = false;
  }

  /** A gesture from `now`: its stroke after `stroke` seconds, over after `length`. */
  gesture(name, now, stroke, length, weight = 0.7) {
    if (this.still) return;
    this.side = this.side === 'Left' ? 'Right' : 'Left';
    this.gestures.push({ name, from: now, stroke: now + stroke, until: now + Math.max(length, stroke + 0.25), weight, side: this.side });
  }

  /** Point to something at `x` for some seconds, with the hand on that side. */
  indicate(x, seconds) {
    if (this.still || this.now === undefined) return;
    this.gestures.push({ name: 'point', from: this.now, stroke: this.now + 0.2, until: this.now + seconds, weight: 1, side: x >= 0 ? 'Left' : 'Right' });
  }

  /** Nothing of a reply that was cut is gestured on. */
  drop() {
    this.gestures = [];
  }

  /** The hand nearer to `x` does something by hand: `run(arm)` each frame until `release`. */
  take(x) {
    this.busy = this.arms[x >= 0 ? 'Left' : 'Right'];
    return this.busy;
  }

  release() {
    this.busy = null;
  }

  update(now, dt) {
    this.now = now;
    this.gestures = this.gestures.filter(({ until }) => until > now);
    for (const arm of Object.values(this.arms)) {
      if (arm !== this.busy) this.speak(arm, now);
      arm.set(dt, arm === this.busy ? 0.05 : TAU);
    }
  }

  speak(arm, now) {
    const open = this.gestures.findLast(({ name, side }) => side === arm.side || OPENING.test(name));
    arm.goal.toward = null;
    if (!open) arm.pose('rest');
    else if (OPENING.test(open.name)) arm.pose('open', open.weight + 0.2);
    else if (POINTING.test(open.name)) arm.pose('point', 1);
    else if (RAISING.test(open.name)) arm.pose('up', 1);
    else arm.pose(now < open.stroke - 0.1 ? 'beat' : 'stroke', 0.55 + 0.45 * open.weight);
  }
}
