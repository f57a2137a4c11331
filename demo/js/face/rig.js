/**
 * Which morph target of a loaded model each ARKit channel drives. Names are compared without case, separators and common prefixes, so
 * camelCase, PascalCase, `_L/_R` and `blendShape1.` all match; VRM expressions count as names. What a model lacks is stood in for:
 *
 *   its own channel ─else─▶ a viseme or expression near to it ─else─▶ one jaw: morph target or bone ─else─▶ said once, nothing moves
 */
import { vrmExpressions } from './vrm.js';

/** eyeBlinkLeft, EyeBlink_L and blendShape1.eyeBlink_L all become "eyeblinkleft". */
export function canonical(name) {
  const bare = name.split('.').at(-1).replace(/^(ctrl_expressions_|expressions_)/i, '').replace(/[\s_-]?l$/i, (end) => (/[_-]l$/i.test(end) ? 'left' : end))
    .replace(/[\s_-]?r$/i, (end) => (/[_-]r$/i.test(end) ? 'right' : end));
  return bare.replace(/[^a-z0-9]/gi, '').toLowerCase();
}

/** What stands in for a channel the model lacks: [name, share of the weight]; the first that exists is taken. */
const SUBSTITUTES = {
  jawOpen: [['mouthOpen', 1], ['viseme_aa', 1], ['aa', 0.9], ['a', 0.9]],
  mouthFunnel: [['viseme_O', 0.9], ['oh', 0.8], ['o', 0.8], ['mouthPucker', 0.8]], mouthPucker: [['viseme_U', 0.9], ['ou', 0.8], ['u', 0.8], ['mouthFunnel', 0.8]],
  mouthStretchLeft: [['viseme_E', 0.5], ['ee', 0.4], ['e', 0.4]], mouthStretchRight: [['viseme_I', 0.5], ['ih', 0.4], ['i', 0.4]],
  mouthPressLeft: [['viseme_PP', 0.5]], mouthPressRight: [['viseme_PP', 0.5]], mouthRollLower: [['viseme_FF', 0.8]],
  mouthSmileLeft: [['mouthSmile', 0.5], ['happy', 0.4], ['joy', 0.4]], mouthSmileRight: [['mouthSmile', 0.5], ['happy', 0.4], ['joy', 0.4]],
  mouthFrownLeft: [['sad', 0.4], ['sorrow', 0.4]], mouthFrownRight: [['sad', 0.4], ['sorrow', 0.4]], browDownLeft: [['angry', 0.4]], browDownRight: [['angry', 0.4]],
  eyeWideLeft: [['surprised', 0.4]], eyeWideRight: [['surprised', 0.4]],
  eyeBlinkLeft: [['blinkLeft', 1], ['blink', 0.5]], eyeBlinkRight: [['blinkRight', 1], ['blink', 0.5]],
};
/** A single target that can only be a jaw. */
const ANY_JAW = /jaw|mouth_?open|open_?mouth|^open$/i;

/** Drives every mesh with morph targets below `root`. `report` says once what did not match. */
export class Rig {
  /** `parser` is GLTFLoader's, for VRM expressions; null for a plain model. */
  constructor(root, channels, parser = null) {
    this.channels = channels;
    const found = new Map();
    const add = (name, target) => found.set(canonical(name), [...(found.get(canonical(name)) ?? []), target]);
    root.traverse((node) => {
      for (const [name, index] of Object.entries(node.morphTargetDictionary ?? {})) add(name, { node, index, own: 1 });
    });
    const vrm = parser ? vrmExpressions(parser) : null;
    for (const [name, targets] of vrm?.expressions ?? []) if (!found.has(canonical(name))) for (const target of targets) add(name, target);
    this.head = vrm?.head ?? null;
    this.backwards = vrm?.backwards ?? false;
    this.names = [...found.keys()];
    this.matched = channels.filter((channel) => found.has(canonical(channel)));
    this.targets = channels.map((channel) => this.choose(channel, found));
    this.missing = channels.filter((_, c) => !this.targets[c].length);
    const jaw = channels.indexOf('jawOpen');
    this.closes = found.has(canonical('mouthClose')) ? -1 : channels.indexOf('mouthClose');
    this.jaw = jaw;
    if (!this.targets[jaw].length) {
      const spare = [...found].find(([name]) => ANY_JAW.test(name));
      if (spare) this.targets[jaw] = spare[1].map((target) => ({ ...target, share: target.own, sum: true }));
    }
    this.mouthless = !this.targets[jaw].length;
    this.touched = new Set(this.targets.flat().map(({ node }) => node));
  }

  choose(channel, found) {
    const own = found.get(canonical(channel));
    if (own) return own.map((target) => ({ ...target, share: target.own, sum: false }));
    const stand = (SUBSTITUTES[channel] ?? []).find(([name]) => found.has(canonical(name)));
    return stand ? found.get(canonical(stand[0])).map((target) => ({ ...target, share: target.own * stand[1], sum: true })) : [];
  }

  /** One line for a person, or null when every channel found its target. `bone`: a jaw bone moves in place of targets. */
  report(bone = false) {
    const { missing, matched, channels } = this;
    if (matched.length === channels.length) return null;
    if (!this.names.length) return bone ? 'This model has no morph targets: only its jaw will move. Export it with ARKit blend shapes for a whole face.' : 'This model has no morph targets, so its face cannot move. Export it with ARKit blend shapes.';
    const some = missing.slice(0, 6).join(', ');
    if (missing.length === channels.length) return bone ? `None of this model's ${this.names.length} morph targets has a name we know: only its jaw will move.` : `None of this model's ${this.names.length} morph targets has a name we know (${this.names.slice(0, 4).join(', ')} …), so its face cannot move. Rename them to ARKit's.`;
    if (!matched.length) return `This model has no ARKit targets; ${channels.length - missing.length} of ${channels.length} face channels are stood in for by its visemes and expressions.`;
    return `${channels.length - matched.length} of ${channels.length} face channels have no morph target of their own in this model (${some || channels.find((one) => !matched.includes(one))}${missing.length > 6 ? ' …' : ''}); the rest will move.`;
  }

  /** Write weights (Float32Array by channel) once per frame. */
  apply(weights) {
    for (const node of this.touched) node.morphTargetInfluences.fill(0);
    this.targets.forEach((targets, c) => {
      // A model that cannot close its lips over an open jaw shuts the jaw instead.
      const wanted = c === this.jaw && this.closes >= 0 ? Math.max(0, weights[c] - weights[this.closes]) : weights[c];
      for (const { node, index, share, sum } of targets) {
        const weight = wanted * share;
        node.morphTargetInfluences[index] = sum ? Math.min(1, node.morphTargetInfluences[index] + weight) : weight;
      }
    });
  }
}
