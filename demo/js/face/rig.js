/**
 * Which morph target of a loaded model each ARKit channel drives. Names are compared without case, separators and common prefixes, so
 * camelCase, PascalCase, `_L/_R` and `blendShape1.` all match; a model with visemes only, or with a single jaw, still moves.
 */

const LEFT_RIGHT = /(left|right)$/;

/** eyeBlinkLeft, EyeBlink_L and blendShape1.eyeBlink_L all become "eyeblinkleft". */
export function canonical(name) {
  const bare = name.split('.').at(-1).replace(/^(ctrl_expressions_|expressions_)/i, '').replace(/[\s_-]?l$/i, (end) => (/[_-]l$/i.test(end) ? 'left' : end))
    .replace(/[\s_-]?r$/i, (end) => (/[_-]r$/i.test(end) ? 'right' : end));
  return bare.replace(/[^a-z0-9]/gi, '').toLowerCase();
}

/** What stands in for a channel the model lacks: [channel, share of the weight]. */
const SUBSTITUTES = {
  mouthFunnel: [['mouthPucker', 0.8]], mouthPucker: [['mouthFunnel', 0.8]], jawOpen: [['mouthOpen', 1], ['viseme_aa', 1], ['aa', 0.9], ['a', 0.9]],
  mouthSmileLeft: [['mouthSmile', 0.5], ['happy', 0.4]], mouthSmileRight: [['mouthSmile', 0.5], ['happy', 0.4]],
  eyeBlinkLeft: [['blinkLeft', 1], ['blink', 0.5]], eyeBlinkRight: [['blinkRight', 1], ['blink', 0.5]], mouthRollLower: [['viseme_PP', 0.7]],
};

/** Drives every mesh with morph targets below `root`. `report` says once what did not match. */
export class Rig {
  constructor(root, channels) {
    this.channels = channels;
    this.targets = channels.map(() => []);
    const found = new Map();
    root.traverse((node) => {
      for (const [name, index] of Object.entries(node.morphTargetDictionary ?? {})) {
        const key = canonical(name);
        found.set(key, [...(found.get(key) ?? []), { node, index }]);
      }
    });
    this.missing = [];
    channels.forEach((channel, c) => {
      const own = found.get(canonical(channel));
      const stand = own ? null : (SUBSTITUTES[channel] ?? []).find(([name]) => found.has(canonical(name)));
      const chosen = own ?? (stand ? found.get(canonical(stand[0])) : []);
      this.targets[c] = chosen.map((target) => ({ ...target, share: own ? 1 : stand[1], sum: !own }));
      if (!chosen.length) this.missing.push(channel);
    });
    this.touched = new Set(this.targets.flat().map(({ node }) => node));
  }

  /** One line for a person, or null when every channel found its target. */
  report() {
    if (this.missing.length === this.channels.length) return 'This model has no morph targets that we know, so its face cannot move. Export it with ARKit blend shapes.';
    if (!this.missing.length) return null;
    const some = this.missing.slice(0, 6).join(', ');
    return `${this.missing.length} of ${this.channels.length} face channels have no morph target in this model (${some}${this.missing.length > 6 ? ' …' : ''}); the rest will move.`;
  }

  /** Write weights (Float32Array by channel) once per frame. */
  apply(weights) {
    for (const node of this.touched) node.morphTargetInfluences.fill(0);
    this.targets.forEach((targets, c) => {
      for (const { node, index, share, sum } of targets) {
        const weight = weights[c] * share;
        node.morphTargetInfluences[index] = sum ? Math.min(1, node.morphTargetInfluences[index] + weight) : weight;
      }
    });
  }
}

export const isPaired = (channel) => LEFT_RIGHT.test(channel.toLowerCase());
