/**
 * Life without speech: blinks, small saccades and breathing sway from one seed, by integer randomness, so that every client that got
 * the same seed shows the same. Random access in time: `at(t)` depends on the seed and t alone.
 */
import { Xorshift32 } from './random.js';

const BLINK_GAPS = [1.1, 1.6, 2.0, 2.4, 2.8, 3.2, 3.7, 4.3, 5.1, 6.6];
const BLINK_S = 0.19;
const SACCADE_GAPS = [0.4, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0];

export class IdleMotion {
  constructor(seed) {
    this.blinks = new Timeline(seed, 1, BLINK_GAPS);
    this.saccades = new Timeline(seed, 2, SACCADE_GAPS);
    this.phase = new Xorshift32(seed, 3).unit() * 2 * Math.PI;
  }

  /** {blink in [0, 1], saccade [left, up] in degrees, sway [yaw, pitch, roll] in degrees} at `t` seconds of the page's life. */
  at(t) {
    const blink = this.blinks.last(t);
    const age = t - blink.at;
    const closing = age < BLINK_S ? Math.sin((Math.PI * age) / BLINK_S) ** 0.7 : 0;
    const { value } = this.saccades.last(t);
    const breath = 2 * Math.PI * 0.22 * t + this.phase;
    return {
      blink: blink.at > 0 ? closing : 0,
      saccade: [(value[0] - 0.5) * 3, (value[1] - 0.5) * 2],
      sway: [1.4 * Math.sin(0.31 * t + this.phase), 0.5 * Math.sin(breath) + 0.6 * Math.sin(0.23 * t), 0.8 * Math.sin(0.17 * t + 1)],
    };
  }
}

/** Seeded instants with two random values each, extended as time goes on. */
class Timeline {
  constructor(seed, stream, gaps) {
    this.random = new Xorshift32(seed, stream);
    this.gaps = gaps;
    this.events = [{ at: 0, value: [0.5, 0.5] }];
  }

  last(t) {
    while (this.events.at(-1).at <= t) {
      const gap = this.random.pick(this.gaps);
      this.events.push({ at: this.events.at(-1).at + gap, value: [this.random.unit(), this.random.unit()] });
      if (this.events.length > 64) this.events.splice(0, 32);
    }
    return this.events.findLast((event) => event.at <= t) ?? this.events[0];
  }
}
