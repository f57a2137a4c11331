/**
 * Life without speech: blinks, saccades, breathing and sway from the session's seed, by integer randomness, so that every client shows
 * the same. The specification is the docstring of npc/animation/idle.py; times are milliseconds since the session began.
 */
import { BLINK_GAP_MS, SACCADE_GAP_MS, SWAY } from './constants.js';
import { Xorshift32 } from './random.js';

const CLOSE_MS = 65;
const HOLD_MS = 35;
const OPEN_MS = 140;
const SACCADE_MS = 50;
const TURN = 2 * Math.PI;

const smooth = (x) => {
  const t = Math.min(1, Math.max(0, x));
  return t * t * (3 - 2 * t);
};

export class IdleMotion {
  constructor(seed) {
    this.blinkRandom = new Xorshift32(seed, 1);
    this.saccadeRandom = new Xorshift32(seed, 2);
    this.blinks = [];
    this.saccades = [];
    const breath = new Xorshift32(seed, 3);
    this.breathPeriod = 3600 + breath.below(801);
    this.breathOffset = breath.below(this.breathPeriod);
    const sway = new Xorshift32(seed, 4);
    this.sines = SWAY.map(([base1, span1, base2, span2, one, two]) => [[base1, span1, one], [base2, span2, two]].map(([base, span, amplitude]) => {
      const period = base + sway.below(span);
      return { period, offset: sway.below(period), amplitude };
    }));
  }

  /** Draw events until one begins after `t`. */
  extend(t) {
    while (!this.blinks.length || this.blinks.at(-1) <= t) this.blinks.push((this.blinks.at(-1) ?? 0) + this.blinkRandom.pick(BLINK_GAP_MS));
    while (!this.saccades.length || this.saccades.at(-1).at <= t) {
      const at = (this.saccades.at(-1)?.at ?? 0) + this.saccadeRandom.pick(SACCADE_GAP_MS);
      const [yaw, pitch] = [this.saccadeRandom.below(4001) - 2000, this.saccadeRandom.below(2401) - 1200];
      const reach = this.saccadeRandom.below(8) === 0 ? 3 : 1;
      this.saccades.push({ at, yaw: yaw * reach, pitch: pitch * reach });
    }
  }

  /** Forget what ended a second ago, so that a long session costs no more than a short one. */
  trim(t) {
    while (this.blinks.length > 2 && this.blinks[1] + 1000 < t) this.blinks.shift();
    while (this.saccades.length > 3 && this.saccades[2].at + 1000 < t) this.saccades.shift();
  }

  /** `t` may go back by a second at most. {blink, chest in [0, 1]; eyes [left, up] and head [yaw, pitch, roll] in degrees} at `t` milliseconds. */
  at(t) {
    this.extend(t);
    this.trim(t);
    const blinks = this.blinks.filter((start) => start <= t).slice(-2);
    const lids = blinks.map((start) => smooth((t - start) / CLOSE_MS) - smooth((t - start - CLOSE_MS - HOLD_MS) / OPEN_MS));
    const [from, to] = [{ at: 0, yaw: 0, pitch: 0 }, ...this.saccades.filter(({ at }) => at <= t)].slice(-2);
    const aim = to ?? from;
    const way = smooth((t - aim.at) / SACCADE_MS);
    const wave = ({ period, offset, amplitude }) => amplitude * Math.sin((TURN * ((t + offset) % period)) / period);
    return {
      blink: Math.max(0, ...lids),
      eyes: [(from.yaw + way * (aim.yaw - from.yaw)) / 1000, (from.pitch + way * (aim.pitch - from.pitch)) / 1000],
      chest: 0.5 - 0.5 * Math.cos((TURN * ((t + this.breathOffset) % this.breathPeriod)) / this.breathPeriod),
      head: this.sines.map((pair) => wave(pair[0]) + wave(pair[1])),
    };
  }
}
