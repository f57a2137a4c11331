/**
 * The speaker's side of the audio clock: plays items in order, counts every sample that left, and stops at once.
 *
 *   IDLE --audio--> PRIMING --enough queued or the item is whole--> PLAYING --queue empty--> STARVED --audio--> PRIMING
 *     ^                                                   |  \--pause--> PAUSED --resume--> PLAYING
 *     +------------------- last sample played, or flush --+
 *
 * Messages in:  {type:'audio', ordinal, start, pcm:Int16Array, last}, {type:'flush', ordinal, fadeMs}, {type:'pause'|'duck', fadeMs},
 *               {type:'resume'}, {type:'clear'}
 * Messages out: {type:'played', ordinal, played, state, at, underruns, queuedMs} every 20 ms of playing and at each change of state.
 * `played` counts samples of the item from its first, at the context's rate, which is the item's rate.
 */
const REPORT_EVERY = 0.02;
const PRIME_MS = 60;
/** No server leaves a hole this long: audio behind one does not belong to its item. */
const LONGEST_HOLE_S = 10;
const DUCK_GAIN = 0.2;

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.items = [];
    this.flushed = new Set();
    this.paused = false;
    this.gain = 1;
    this.target = 1;
    this.slope = 0;
    this.fadeLeft = 0;
    this.afterFade = null;
    this.state = 'idle';
    this.underruns = 0;
    this.nextReport = 0;
    this.port.onmessage = ({ data }) => this[data.type](data);
  }

  audio({ ordinal, start, pcm, last }) {
    if (this.flushed.has(ordinal)) return;
    let item = this.items.find((one) => one.ordinal === ordinal);
    if (!item) {
      item = { ordinal, chunks: [], head: 0, played: start, end: start, whole: false, primed: false };
      this.items.push(item);
    }
    const hole = start - item.end;
    if (hole > LONGEST_HOLE_S * sampleRate) {
      this.port.postMessage({ type: 'problem', text: `audio at sample ${start} is too far ahead of its item` });
      return;
    }
    // Silence where audio is missing: the clock stays on the item's samples.
    if (hole > 0) item.chunks.push(new Int16Array(hole));
    if (hole > 0) item.end = start;
    // A resumed socket may repeat what is queued already: keep only samples past the end.
    const known = Math.max(0, item.end - start);
    if (known < pcm.length) {
      item.chunks.push(known ? pcm.subarray(known) : pcm);
      item.end = start + pcm.length;
    }
    item.whole ||= last;
  }

  flush({ ordinal, fadeMs = 8 }) {
    this.flushed.add(ordinal);
    const index = this.items.findIndex((one) => one.ordinal === ordinal);
    if (index < 0) return;
    if (index > 0) {
      // It only waited: what sounds before it, its pause or its own fade-out go on.
      this.tell(this.items.splice(index, 1)[0], 'stopped');
      return;
    }
    const finish = () => {
      const item = this.items.shift();
      this.paused = false;
      this.fadeTo(1, 0);
      this.report(item, 'stopped');
    };
    if (this.state !== 'playing' || fadeMs <= 0) finish();
    else this.fadeTo(0, fadeMs, finish);
  }

  /** Another conversation begins: ordinals start again. */
  clear() {
    this.items = [];
    this.flushed.clear();
    this.paused = false;
    this.fadeTo(1, 0);
    this.state = 'idle';
  }

  pause({ fadeMs = 8 }) {
    this.fadeTo(0, fadeMs, () => {
      this.paused = true;
      if (this.items[0]) this.report(this.items[0], 'paused');
    });
  }

  duck({ fadeMs = 30 }) {
    this.fadeTo(DUCK_GAIN, fadeMs);
  }

  resume() {
    this.paused = false;
    this.nextReport = 0;
    this.fadeTo(1, 8);
  }

  fadeTo(target, milliseconds, then = null) {
    this.target = target;
    this.afterFade = then;
    const frames = Math.round((milliseconds / 1000) * sampleRate);
    this.fadeLeft = frames;
    this.slope = frames ? (target - this.gain) / frames : 0;
    if (!frames) this.gain = target;
  }

  /** The item that sounds is in `state` now; say how far it is `ahead` samples from now. */
  report(item, state, ahead = 0) {
    this.state = state;
    this.tell(item, state, ahead);
  }

  tell(item, state, ahead = 0) {
    const queuedMs = ((item.end - item.played) / sampleRate) * 1000;
    this.port.postMessage({
      type: 'played', ordinal: item.ordinal, played: item.played, state, at: currentTime + ahead / sampleRate, underruns: this.underruns, queuedMs,
    });
  }

  process(_inputs, outputs) {
    const out = outputs[0][0];
    out.fill(0);
    const item = this.items[0];
    if (!item || this.paused) return true;
    if (!item.primed) {
      if (!item.whole && item.end - item.played < (PRIME_MS / 1000) * sampleRate) return true;
      item.primed = true;
      this.report(item, 'playing');
    }
    let filled = 0;
    while (filled < out.length && item.chunks.length) {
      const chunk = item.chunks[0];
      const take = Math.min(out.length - filled, chunk.length - item.head);
      for (let i = 0; i < take; i += 1) out[filled + i] = chunk[item.head + i] / 32768;
      filled += take;
      item.head += take;
      if (item.head === chunk.length) {
        item.chunks.shift();
        item.head = 0;
      }
    }
    item.played += filled;
    if (this.gain !== 1 || this.fadeLeft > 0) this.applyGain(out);
    // A fade that ended in this block has paused or removed the item and said so.
    if (this.paused || this.items[0] !== item) return true;
    if (filled < out.length) this.ranOut(item, filled);
    else if (currentTime >= this.nextReport) {
      // `played` counts this block already, and its last sample leaves at the block's end.
      this.report(item, 'playing', out.length);
      this.nextReport = currentTime + REPORT_EVERY;
    }
    return true;
  }

  ranOut(item, filled) {
    if (item.whole) {
      this.items.shift();
      this.report(item, 'finished', filled);
      this.state = 'idle';
      return;
    }
    this.underruns += 1;
    item.primed = false;
    this.report(item, 'starved', filled);
  }

  applyGain(out) {
    for (let i = 0; i < out.length; i += 1) {
      out[i] *= this.gain;
      if (this.fadeLeft === 0) continue;
      this.fadeLeft -= 1;
      this.gain = this.fadeLeft === 0 ? this.target : this.gain + this.slope;
    }
    if (this.fadeLeft === 0 && this.afterFade) {
      const then = this.afterFade;
      this.afterFade = null;
      then();
    }
  }
}

registerProcessor('npc-playback', Playback);
