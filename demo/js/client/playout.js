/**
 * From the audio thread's reports to the sample a person hears when the next frame is seen. Pure: every time enters as an argument.
 *
 *   worklet ──report(played at context time)──▶ PlayedClock ──┐
 *   what the ear hears, page time ───────────▶ EarClock ──────┼─▶ now(context time at the ear when the frame is seen) = sample
 *   animation frame timestamps ──────────────▶ FramePace ─────┘
 */
export class PlayedClock {
  constructor(rate) {
    this.rate = rate;
    this.ordinal = null;
    this.played = 0;
    this.at = 0;
    this.state = 'idle';
  }

  /** Take a report of the playback worklet. */
  report({ ordinal, played, at, state }) {
    // An item that was cut while it waited moves nothing.
    if (state === 'stopped' && ordinal !== this.ordinal) return;
    this.ordinal = ordinal;
    this.played = played;
    this.at = at;
    this.state = state;
  }

  /**
   * {ordinal, sample, state}: what sounds at context time `now` with `outputLatency` seconds behind the worklet; sample may be
   * negative. After the last sample of an item the count goes on, for its decay to rest; in a pause or a gap it stands still.
   */
  now(now, outputLatency = 0) {
    const heard = this.played + (now - this.at - outputLatency) * this.rate;
    const runs = this.state === 'playing' || this.state === 'finished';
    return { ordinal: this.ordinal, sample: runs ? heard : Math.min(heard, this.played), state: this.state };
  }
}

/** Milliseconds over which the ear's clock is compared with the page's; 200 ppm of skew are 0.2 ms in it. */
const WINDOW_MS = 1000;
/** A context that made no step for so long (ms) has been stopped by the system: device buffers are 3-100 ms long. */
const STALLED_MS = 300;

/**
 * Which context time reaches the ear at a page time. Readings come when the page has a moment, and the context moves by whole device
 * buffers: the median difference of a second is taken, not the last one.
 */
export class EarClock {
  constructor() {
    this.readings = [];
    this.moved = 0;
  }

  /** Note that context time `context` (s) reached the ear at page time `page` (ms). */
  observe({ page, context }) {
    const last = this.readings.at(-1)?.context;
    if (context !== last) {
      if (context < last || page - this.moved > STALLED_MS) this.readings = [];
      this.moved = page;
    }
    this.readings.push({ page, context, ahead: context - page / 1000 });
    while (this.readings[0].page < page - WINDOW_MS) this.readings.shift();
    const sorted = this.readings.map(({ ahead }) => ahead).sort((a, b) => a - b);
    this.ahead = sorted[sorted.length >> 1];
  }

  /** Context time in seconds at the ear at page time `page` in milliseconds; 0 before the first reading. */
  at(page) {
    return this.readings.length ? page / 1000 + this.ahead : 0;
  }

  /** True when the context has stopped: no device, or suspended by the browser. */
  stalled(page) {
    return this.readings.length > 0 && page - this.moved > STALLED_MS;
  }
}

/** Frames slower than this are stalls (a hidden tab, a long task), no pace. */
const STALL_MS = 100;

/** How long after its callback a frame is seen: one interval of the display, the median of the last frames. */
export class FramePace {
  constructor() {
    this.intervals = [];
    this.last = null;
  }

  /** Take the timestamp of an animation frame; returns the page time at which what is drawn now will be seen. */
  presented(timestamp) {
    const interval = this.last === null ? 0 : timestamp - this.last;
    this.last = timestamp;
    if (interval > 0 && interval < STALL_MS) this.intervals = [...this.intervals, interval].slice(-15);
    const sorted = [...this.intervals].sort((a, b) => a - b);
    return timestamp + (sorted[sorted.length >> 1] ?? 0);
  }
}
