/**
 * The microphone, resampled to the session's input rate and cut into 20 ms frames of PCM16.
 *
 * Browsers may refuse a context at 24 kHz for a device at 48 kHz, so the context keeps the device's rate and the conversion is
 * here: a windowed-sinc low-pass (16 taps a side at the lower rate) evaluated at each output instant.
 * Message out: {type:'frame', pcm:Int16Array, level} with level the RMS in [0, 1].
 */
const HALF_TAPS = 16;

class Microphone extends AudioWorkletProcessor {
  constructor({ processorOptions: { rate } }) {
    super();
    this.step = sampleRate / rate;
    this.cutoff = Math.min(1, rate / sampleRate);
    this.reach = Math.ceil(HALF_TAPS / this.cutoff);
    this.history = new Float32Array(2 * this.reach);
    this.position = this.reach;
    this.frame = new Int16Array(Math.round(rate * 0.02));
    this.filled = 0;
    this.energy = 0;
  }

  process([input]) {
    const block = input[0];
    if (!block) return true;
    const samples = new Float32Array(this.history.length + block.length);
    samples.set(this.history);
    samples.set(block, this.history.length);
    while (this.position + this.reach < samples.length) {
      this.push(this.step === 1 ? samples[Math.round(this.position)] : this.sinc(samples, this.position));
      this.position += this.step;
    }
    const keep = 2 * this.reach;
    this.position -= samples.length - keep;
    this.history = samples.slice(samples.length - keep);
    return true;
  }

  sinc(samples, centre) {
    const first = Math.ceil(centre - this.reach);
    const last = Math.floor(centre + this.reach);
    let sum = 0;
    let weights = 0;
    for (let i = first; i <= last; i += 1) {
      const x = i - centre;
      const t = Math.PI * x * this.cutoff;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * x) / this.reach);
      const weight = (t === 0 ? 1 : Math.sin(t) / t) * window;
      sum += weight * samples[i];
      weights += weight;
    }
    return sum / weights;
  }

  push(value) {
    const heard = Math.max(-1, Math.min(1, value));
    this.energy += heard * heard;
    this.frame[this.filled] = Math.round(heard * 32767);
    this.filled += 1;
    if (this.filled < this.frame.length) return;
    const pcm = this.frame.slice();
    this.port.postMessage({ type: 'frame', pcm, level: Math.sqrt(this.energy / pcm.length) }, [pcm.buffer]);
    this.filled = 0;
    this.energy = 0;
  }
}

registerProcessor('npc-microphone', Microphone);
