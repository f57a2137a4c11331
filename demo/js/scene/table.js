/**
 * The things around the character: laid on the counter or behind it, lit, opened, set going, picked up and handed over.
 *
 *   ON_COUNTER ──give: hand comes, lifts, carries over──▶ YOURS (the player's side)
 *       ◀──────────────take, or a cancelled action──────────┘
 */
import * as THREE from 'three';
import { discard } from './discard.js';
import { makeProp } from './props.js';

const COUNTER_Y = -0.01;
/** Seconds of a hand-over: reach, lift, cross, set down, go back. */
const LEGS = [0.5, 0.3, 0.65, 0.3, 0.3];
const LIFT = 0.07;
const SPOT_SECONDS = 3.5;

const smooth = (t) => t * t * (3 - 2 * t);

export class Table {
  constructor() {
    this.group = new THREE.Group();
    this.props = new Map();
    this.carrying = [];
    this.spots = new Map();
    this.half = 0.4;
    this.spot = new THREE.PointLight('#fff1cf', 0, 0.7, 1.5);
    this.group.add(this.spot);
  }

  /** Put up the entities of a scene [{id, kind, name, description}]; what was there goes. */
  lay(entities) {
    for (const prop of this.props.values()) discard(prop);
    this.props.clear();
    this.carrying = [];
    this.spots.clear();
    for (const entity of entities) this.add(entity);
    this.arrange(this.half);
  }

  add(entity) {
    const prop = makeProp(entity);
    const shadow = new THREE.Mesh(new THREE.CircleGeometry(0.05, 20), new THREE.MeshBasicMaterial({ color: '#000000', transparent: true, opacity: 0.22, depthWrite: false }));
    shadow.rotation.x = -Math.PI / 2;
    shadow.position.y = 0.0015;
    if (!prop.userData.big) prop.add(shadow);
    prop.userData.shadow = shadow;
    prop.userData.yours = false;
    this.props.set(entity.id, prop);
    this.group.add(prop);
    return prop;
  }

  /** Find everything its place in a view of `half` metres to each side. Small things stand in front, large ones behind the shoulders. */
  arrange(half) {
    this.half = half;
    const all = [...this.props.values()];
    const small = all.filter(({ userData }) => !userData.big && !userData.yours && !userData.carried);
    const big = all.filter(({ userData }) => userData.big);
    const yours = all.filter(({ userData }) => userData.yours && !userData.carried);
    small.forEach((prop, k) => prop.position.copy(this.slot(k, small.length)));
    big.forEach((prop, k) => {
      const side = k % 2 ? 1 : -1;
      const rank = Math.floor(k / 2);
      prop.position.set(side * Math.min(half * 1.18, 0.27 + 0.2 * rank + half * 0.25), (prop.userData.raise ?? 0) - 0.04, -0.42 - 0.1 * rank);
      prop.rotation.y = -side * 0.35;
    });
    yours.forEach((prop, k) => prop.position.copy(this.near(k)));
  }

  slot(k, count) {
    const side = k % 2 ? -1 : 1;
    const rank = Math.floor(k / 2);
    const ranks = Math.max(1, Math.ceil(count / 2));
    const [inner, outer] = [Math.min(0.19, this.half * 0.62), Math.max(0.2, this.half * 0.86)];
    const x = ranks === 1 ? (inner + outer) / 2 : inner + ((outer - inner) * rank) / (ranks - 1);
    return new THREE.Vector3(side * x, COUNTER_Y, 0.22 + 0.035 * ((rank + (side > 0 ? 1 : 0)) % 2));
  }

  near(k) {
    return new THREE.Vector3((k % 2 ? -1 : 1) * (0.055 + 0.085 * Math.floor(k / 2)), COUNTER_Y, 0.42);
  }

  /** Where to look for a thing, in the world; null when it is not here. */
  anchor(id) {
    const prop = this.props.get(id);
    return prop ? prop.getWorldPosition(new THREE.Vector3()).add(new THREE.Vector3(0, prop.userData.top * 0.6, 0)) : null;
  }

  /** Ids of the things that the player holds. */
  get yours() {
    return [...this.props.values()].filter(({ userData }) => userData.yours).map(({ userData }) => userData.id);
  }

  /** Do what a deed {kind, target, label} says, by hand where it takes one. Returns the id of the thing it was done to, or null. */
  perform(deed, hands) {
    let prop = this.props.get(deed.target);
    if (!prop && deed.kind === 'give') {
      prop = this.add({ id: `given-${deed.label}`, name: deed.label, kind: 'item' });
      prop.position.copy(this.slot(1, 6));
    }
    if (!prop) return null;
    const { id, door, spin, swing } = prop.userData;
    if (deed.kind === 'give' && !prop.userData.big) this.carry(prop, true, hands);
    else if (deed.kind === 'take' && prop.userData.yours) this.carry(prop, false, hands);
    else {
      this.spots.set(id, SPOT_SECONDS);
      hands?.indicate(prop.position.x, SPOT_SECONDS * 0.6);
    }
    if (deed.kind === 'light') prop.userData.lit = true;
    if ((deed.kind === 'open' || deed.kind === 'close') && door) prop.userData.opening = deed.kind === 'open';
    if (deed.kind === 'work' || deed.kind === 'point') prop.userData.going = spin || swing ? 6 : 0;
    return id;
  }

  /** Undo a hand-over that was called off. */
  undo(id, hands) {
    const prop = this.props.get(id);
    if (prop?.userData.yours) this.carry(prop, false, hands);
  }

  carry(prop, over, hands) {
    this.carrying = this.carrying.filter((one) => one.prop !== prop);
    const from = prop.position.clone();
    prop.userData.yours = over;
    prop.userData.carried = true;
    prop.userData.shadow.visible = false;
    const rest = [...this.props.values()].filter(({ userData }) => userData.yours && !userData.carried).length;
    const home = [...this.props.values()].filter(({ userData }) => !userData.big && !userData.yours).length;
    const to = over ? this.near(rest) : this.slot(Math.max(0, home - 1), Math.max(home, 1));
    this.carrying.push({ prop, from, to, time: 0, arm: hands?.take(from.x) ?? null });
  }

  update(dt, hands, calm) {
    for (const one of this.carrying) this.move(one, dt, hands);
    this.carrying = this.carrying.filter(({ done }) => !done);
    this.shine(dt);
    for (const { userData } of this.props.values()) this.work(userData, dt, calm);
  }

  move(one, dt, hands) {
    one.time += dt;
    const { prop, from, to, arm } = one;
    const above = (place) => place.clone().setY(place.y + LIFT);
    const stops = [from, from, above(from), above(to), to, to];
    let [leg, time] = [0, one.time];
    while (leg < LEGS.length && time > LEGS[leg]) time -= LEGS[leg++];
    const at = leg >= LEGS.length ? to.clone() : stops[leg].clone().lerp(stops[leg + 1], smooth(time / LEGS[leg]));
    prop.position.copy(at);
    if (arm && leg < LEGS.length - 1) {
      const grip = new THREE.Vector3(at.x, at.y + prop.userData.top * 0.75, at.z - 0.055);
      arm.aim({ wrist: grip, curl: leg === 0 ? 0.1 : 0.6, palm: 0.4 });
    } else if (arm && !one.released) {
      one.released = true;
      hands.release();
    }
    if (leg < LEGS.length) return;
    one.done = true;
    prop.userData.carried = false;
    prop.userData.shadow.visible = true;
  }

  /** A light over what is spoken of, and lamps that were lit. */
  shine(dt) {
    let brightest = null;
    for (const [id, left] of this.spots) {
      if (left <= dt) this.spots.delete(id);
      else this.spots.set(id, left - dt);
      brightest = id;
    }
    const target = brightest ? this.anchor(brightest) : null;
    if (target) this.spot.position.copy(target).add(new THREE.Vector3(0, 0.12, 0.14));
    this.spot.intensity += ((target ? 0.22 : 0) - this.spot.intensity) * Math.min(1, dt * 6);
  }

  work(data, dt, calm) {
    if (data.light) data.light.intensity += ((data.lit ? 0.3 : 0.05) - data.light.intensity) * Math.min(1, dt * 4);
    for (const material of data.light ? data.glow : []) material.emissiveIntensity += ((data.lit ? 5 : 1) - material.emissiveIntensity) * Math.min(1, dt * 4);
    if (data.door) {
      const { node, axis, angle } = data.door;
      node.rotation[axis] += ((data.opening ? angle : 0) - node.rotation[axis]) * Math.min(1, dt * 3);
    }
    data.going = Math.max(0, (data.going ?? 0) - dt);
    data.phase = (data.phase ?? 0) + dt;
    const pace = data.going ? 2.2 : 0.25;
    if (!calm && data.spin) data.spin.forEach((wheel, k) => { wheel.rotation.z += (k % 2 ? -1 : 1) * dt * pace * (1 + 0.3 * k); });
    if (!calm && data.swing) data.swing.rotation.z = 0.22 * Math.sin(data.phase * 3.1);
  }
}
