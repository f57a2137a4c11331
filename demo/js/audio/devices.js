/** Microphone and speaker: the two worklets, wrapped so that the rest of the page deals in PCM16 and sample counts. */

/** What to tell a person when the microphone cannot be had, by DOMException name. */
const MICROPHONE_ADVICE = {
  NotAllowedError: 'The microphone is blocked. Allow it from the icon in the address bar, then press the button again. You can also type.',
  NotFoundError: 'No microphone was found. Plug one in, or type instead.',
  NotReadableError: 'Another program is using the microphone. Close it and try again, or type instead.',
  SecurityError: 'Browsers give the microphone only to pages on https or on 127.0.0.1. Open this page that way, or type instead.',
};

export class MicrophoneError extends Error {}

/** Without an output device some browsers never say that a context runs; the sound then begins when they do. */
const RESUME_MS = 2000;

/** Plays PCM16 at `rate` and reports every played sample. The context runs at the item's rate, so frames are samples. */
export class Speaker {
  /** `onPlayed(report)` follows the samples; `onRunning()` is called when sound can be played, again after each time it could not. */
  constructor(rate, onPlayed, onRunning = () => {}) {
    this.rate = rate;
    this.onPlayed = onPlayed;
    this.onRunning = onRunning;
  }

  /** Call from a click or key press: browsers start sound only then. A context that the system suspended goes on. Throws what failed. */
  async open() {
    this.made ??= this.make().catch((error) => {
      this.made = null;
      this.context?.close();
      throw error;
    });
    await this.made;
    await Promise.race([this.context.resume(), new Promise((done) => { setTimeout(done, RESUME_MS); })]);
  }

  async make() {
    this.context = new AudioContext({ sampleRate: this.rate, latencyHint: 'interactive' });
    this.context.addEventListener('statechange', () => this.running && this.onRunning());
    await this.context.audioWorklet.addModule(new URL('playback-worklet.js', import.meta.url));
    this.node = new AudioWorkletNode(this.context, 'npc-playback', { numberOfInputs: 0, outputChannelCount: [1] });
    this.node.port.onmessage = ({ data }) => (data.type === 'problem' ? console.warn(data.text) : this.onPlayed(data));
    this.node.connect(this.context.destination);
  }

  get running() {
    // The context may run before its worklet has loaded; sound that comes in between is kept by the page.
    return Boolean(this.node) && this.context.state === 'running';
  }

  /** {page, context}: context time (s) that reached the ear at page time (ms). Without the browser's own figure: half a buffer off. */
  ear() {
    const { contextTime, performanceTime } = this.context.getOutputTimestamp?.() ?? {};
    if (contextTime > 0 && performanceTime > 0) return { page: performanceTime, context: contextTime };
    const { currentTime, outputLatency, baseLatency } = this.context;
    return { page: performance.now(), context: currentTime - (outputLatency || baseLatency || 0) };
  }

  play(ordinal, start, pcm, last) {
    const own = pcm.slice();
    this.node.port.postMessage({ type: 'audio', ordinal, start, pcm: own, last }, [own.buffer]);
  }

  command(type, options = {}) {
    this.node?.port.postMessage({ type, ...options });
  }
}

/** Gives 20 ms frames of PCM16 at `rate`, with the browser's echo cancellation on unless `raw`. */
export class Microphone {
  constructor(rate, onFrame) {
    this.rate = rate;
    this.onFrame = onFrame;
    /** Called when the system takes the microphone away. */
    this.onLost = () => {};
  }

  /** Asks for the microphone, once however often it is called meanwhile. Throws MicrophoneError with advice for a person. */
  open(options) {
    this.opening ??= this.ask(options).finally(() => { this.opening = null; });
    return this.opening;
  }

  async ask({ raw = false } = {}) {
    if (!navigator.mediaDevices?.getUserMedia) throw new MicrophoneError(MICROPHONE_ADVICE.SecurityError);
    const clean = !raw;
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: clean, noiseSuppression: clean, autoGainControl: clean },
      });
    } catch (error) {
      throw new MicrophoneError(MICROPHONE_ADVICE[error.name] ?? `The microphone did not open: ${error.message}. You can type instead.`);
    }
    for (const track of stream.getTracks()) track.onended = () => this.onLost();
    const context = new AudioContext({ latencyHint: 'interactive' });
    try {
      await context.audioWorklet.addModule(new URL('mic-worklet.js', import.meta.url));
      const node = new AudioWorkletNode(context, 'npc-microphone', { numberOfOutputs: 0, processorOptions: { rate: this.rate } });
      node.port.onmessage = ({ data }) => this.onFrame(data.pcm, data.level);
      context.createMediaStreamSource(stream).connect(node);
      await context.resume();
      Object.assign(this, { stream, context });
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      await context.close();
      throw new MicrophoneError(`The microphone did not start: ${error.message}. Press the button again, or type instead.`);
    }
  }

  async close() {
    const { stream, context } = this;
    this.stream = this.context = null;
    for (const track of stream?.getTracks() ?? []) track.stop();
    await context?.close();
  }
}
