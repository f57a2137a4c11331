/**
 * A page's surroundings on a virtual clock: a server that paces audio, an audio device with a clock of its own and the page's real
 * worklet in it, a display, and the ear. Nothing here waits; `run` steps from event to event. Times are as untidy as on a machine:
 * threads wake late, the system misjudges its latency by up to 2 ms, frame timestamps by half of one, and every thirtieth frame is late.
 *
 *   server ─20 ms frames, lead 200 ms─▶ worklet.process (device clock, skewed) ─latency─▶ ear
 *              reports, delayed 0-8 ms ◀──┘                      display: callback 0-4 ms after its tick, seen at a later tick
 */
import { BLENDSHAPES } from '../../../demo/js/client/constants.js';
import { EarClock, FramePace, PlayedClock } from '../../../demo/js/client/playout.js';
import { Xorshift32 } from '../../../demo/js/client/random.js';
import { Performer } from '../../../demo/js/face/performer.js';

export const RATE = 24000;
const QUANTUM = 128;
const CHUNK = 480;
const FPS = 60;

let copies = 0;

/** The page's playback worklet under a stand-in for the audio thread's global scope. */
async function makeWorklet(post) {
  let Processor = null;
  globalThis.sampleRate = RATE;
  globalThis.AudioWorkletProcessor = class { constructor() { this.port = { postMessage: post }; } };
  globalThis.registerProcessor = (_name, made) => { Processor = made; };
  copies += 1;
  await import(`../../../demo/js/audio/playback-worklet.js?copy=${copies}`);
  return new Processor();
}

export class Machine {
  /** `ppm` is how much faster than the wall the device runs, `buffer` its callback in samples, `latency` its delay to the ear (s), `timestamps` whether the browser tells what reached the ear. */
  static async make({ ppm = 0, buffer = 512, latency = 0.03, seed = 1, timestamps = true } = {}) {
    const machine = new Machine();
    Object.assign(machine, { speed: 1 + ppm * 1e-6, buffer, latency, timestamps, random: new Xorshift32(seed), frames: 0, wall: 0, queue: [], blocks: [], seen: [], heard: [] });
    machine.clock = new PlayedClock(RATE);
    machine.hearing = new EarClock();
    machine.pace = new FramePace();
    machine.performer = new Performer(BLENDSHAPES, RATE);
    machine.worklet = await makeWorklet((report) => machine.post(report));
    machine.at(0, () => machine.device());
    machine.at(0.003, () => machine.tick());
    return machine;
  }

  at(time, run) {
    let place = this.queue.length;
    while (place > 0 && this.queue[place - 1].time > time) place -= 1;
    this.queue.splice(place, 0, { time, run });
  }

  run(until) {
    while (this.queue.length && this.queue[0].time <= until) {
      const { time, run } = this.queue.shift();
      this.wall = time;
      run();
    }
    this.wall = until;
  }

  /** A report reaches the page after up to 8 ms of other work. */
  post(report) {
    this.at(this.wall + this.random.unit() * 0.008, () => {
      this.clock.report(report);
      this.hearing.observe(this.reading());
    });
  }

  /** What a page can know of the ear: the system's time stamp of the last buffer, or the context's time less its latency. */
  reading() {
    if (this.timestamps) return { page: this.called * 1000, context: this.called * this.speed - this.latency + this.misjudged };
    return { page: this.wall * 1000, context: this.frames / RATE - this.latency };
  }

  /** The device asks for one buffer; the ear hears it `latency` later on the device's clock. */
  device() {
    this.called = this.wall;
    this.misjudged = (this.random.unit() - 0.5) * 0.004;
    for (let done = 0; done < this.buffer; done += QUANTUM) {
      globalThis.currentTime = this.frames / RATE;
      const item = this.worklet.items[0];
      const before = item?.played;
      const out = new Float32Array(QUANTUM);
      this.worklet.process([], [[out]]);
      const moved = item && item.played > before;
      this.blocks.push({ context: this.frames / RATE, ordinal: moved ? item.ordinal : null, first: before ?? 0, count: moved ? item.played - before : 0, loud: Math.max(...out.map(Math.abs)) });
      this.frames += QUANTUM;
    }
    while (this.blocks.length > 2000) this.blocks.shift();
    // The audio thread wakes up to 3 ms late; the sound does not wait for it.
    this.at(this.frames / RATE / this.speed + this.random.unit() * 0.003, () => this.device());
  }

  /** What reaches the ear at wall time `wall`: {ordinal, sample, loud}, or null where no block is known. */
  ear(wall) {
    const context = wall * this.speed - this.latency;
    for (let i = this.blocks.length - 1; i >= 0; i -= 1) {
      const block = this.blocks[i];
      if (block.context <= context) return { ordinal: block.ordinal, sample: block.first + (context - block.context) * RATE, loud: block.loud };
    }
    return null;
  }

  /** One tick of the display: the page draws for the moment the frame is seen, which one frame in thirty misses; none while `hidden`. */
  tick() {
    const tick = this.wall;
    this.at(tick + 1 / FPS, () => this.tick());
    if (this.hidden) return;
    this.at(tick + this.random.unit() * 0.004, () => {
      const page = this.pace.presented((tick + (this.random.unit() - 0.5) * 0.001) * 1000);
      this.hearing.observe(this.reading());
      const { ordinal, sample, state } = this.clock.now(this.hearing.at(page));
      const running = (state === 'playing' || state === 'finished') && !this.hearing.stalled(page);
      const { weights, due } = this.performer.step(page / 1000, ordinal, sample, running);
      const pose = { weights: weights.slice(), due };
      const shown = tick + (this.random.below(30) === 0 ? 2 : 1) / FPS;
      this.at(shown, () => this.onShown?.({ shown, ordinal, sample, state, pose, ear: this.ear(shown) }));
    });
  }

  /** The server speaks an item: `seconds` of a tone and a mouth that opens and shuts four times a second, paced 200 ms ahead. */
  speak(ordinal, seconds, { lead = 0.2, stopAt = Infinity } = {}) {
    const begun = this.wall;
    const total = Math.round(seconds * RATE);
    const jaw = BLENDSHAPES.indexOf('jawOpen');
    const send = (start) => {
      if (start >= total || this.wall >= stopAt || this.worklet.flushed.has(ordinal)) return;
      const count = Math.min(CHUNK, total - start);
      const pcm = Int16Array.from({ length: count }, (_, i) => 12000 * Math.sin((start + i) * 0.11));
      this.worklet.audio({ ordinal, start, pcm, last: start + count >= total });
      const frames = new Uint8Array(BLENDSHAPES.length * 2);
      for (const k of [0, 1]) frames[k * BLENDSHAPES.length + jaw] = 120 + Math.round(110 * Math.sin(((start + k * 240) / RATE) * 2 * Math.PI * 4));
      this.performer.blendshapes({ ordinal, start, samplesPerFrame: 240, count: 2, channels: BLENDSHAPES.length, frames });
      this.at(Math.max(this.wall, begun + (start + count) / RATE - lead), () => send(start + count));
    };
    send(0);
  }

  /** `npc.output {action: flush}` arrives. */
  flush(ordinal) {
    this.worklet.flush({ ordinal, fadeMs: 8 });
    this.performer.flush(ordinal);
  }
}

/** The value below which `share` of the values lie. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
