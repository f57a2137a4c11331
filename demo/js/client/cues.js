/**
 * Cues on the played-sample clock: pure, no DOM, no timers. Time enters as `played`, the sample of the item that is sounding now.
 */

/** Point cues (words, gestures, actions, emotions, gaze) of one spoken item, handed out once, in order, when they are due. */
export class CueQueue {
  constructor() {
    this.pending = [];
    this.applied = new Set();
  }

  /** Add a cue {id?, at, ...}. One whose id was handed out or is waiting already is dropped (a resumed socket may repeat). */
  add(cue) {
    if (cue.id !== undefined && this.applied.has(cue.id)) return;
    if (cue.id !== undefined && this.pending.some((one) => one.id === cue.id)) return;
    let place = this.pending.length;
    while (place > 0 && this.pending[place - 1].at > cue.at) place -= 1;
    this.pending.splice(place, 0, cue);
  }

  /** Every cue with `at <= played`, in order of `at`. */
  due(played) {
    let count = 0;
    while (count < this.pending.length && this.pending[count].at <= played) count += 1;
    const cues = this.pending.splice(0, count);
    for (const cue of cues) if (cue.id !== undefined) this.applied.add(cue.id);
    return cues;
  }
}

/** The blendshape track of one item: frames at a fixed spacing, sampled between frames, decaying to rest when starved. */
export class BlendshapeTrack {
  constructor(channels, decayMs = 150) {
    this.channels = channels;
    this.decayMs = decayMs;
    this.blocks = [];
    this.pose = new Float32Array(channels);
  }

  /** Add frames from sample `start`; late, duplicated and out-of-order blocks are sorted in, the first copy wins. */
  add({ start, samplesPerFrame, count, frames, channels = this.channels }) {
    if (channels !== this.channels) throw new RangeError(`track has ${this.channels} channels, block has ${channels}`);
    if (!count || this.blocks.some((block) => block.start === start)) return;
    const block = { start, samplesPerFrame, count, frames, end: start + count * samplesPerFrame };
    const place = this.blocks.findIndex((one) => one.start > start);
    this.blocks.splice(place < 0 ? this.blocks.length : place, 0, block);
  }

  /** True when the track covers sample `played`. */
  covers(played) {
    return this.blocks.some((block) => played >= block.start && played < block.end);
  }

  /**
   * Weights in [0, 1] at sample `played`, as a Float32Array that the next call overwrites. `rate` is samples per second. Before the
   * first frame: rest. Past the last one known: the last pose, decayed to nothing over `decayMs`.
   */
  sample(played, rate) {
    const { pose, channels } = this;
    let block = null;
    for (const one of this.blocks) if (one.start <= played) block = one;
    if (!block) return pose.fill(0);
    while (this.blocks[0] !== block && this.blocks[0].end < played - rate) this.blocks.shift();
    const exact = (played - block.start) / block.samplesPerFrame;
    const index = Math.min(Math.floor(exact), block.count - 1);
    const following = this.frameAfter(block, index);
    const mix = following ? Math.min(1, exact - index) : 0;
    const late = following ? 0 : Math.max(0, played - block.end);
    const keep = Math.max(0, 1 - (late / rate) * (1000 / this.decayMs));
    for (let c = 0; c < channels; c += 1) {
      const here = block.frames[index * channels + c];
      const next = following ? following.frames[following.index * channels + c] : here;
      pose[c] = ((here + (next - here) * mix) / 255) * keep;
    }
    return pose;
  }

  frameAfter(block, index) {
    if (index + 1 < block.count) return { frames: block.frames, index: index + 1 };
    const next = this.blocks[this.blocks.indexOf(block) + 1];
    return next && next.start === block.end ? { frames: next.frames, index: 0 } : null;
  }
}
