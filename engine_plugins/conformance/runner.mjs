/**
 * Plays the conformance vectors against the page's client core and its playback worklet: node runner.mjs FOLDER. The worklet runs
 * under a stand-in for the audio thread that calls `process` for as many samples as the vector pulls.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Performer } from '../../demo/js/face/performer.js';
import { RealtimeSession } from '../../demo/js/client/session.js';
import { CueQueue } from '../../demo/js/client/cues.js';
import { IdleMotion } from '../../demo/js/client/idle.js';
import { PlayedClock } from '../../demo/js/client/playout.js';
import { Xorshift32 } from '../../demo/js/client/random.js';

/** No idle life: the vectors speak of the track alone. */
const STILL = { at: () => ({ blink: 0, eyes: [0, 0], chest: 0, head: [0, 0, 0] }) };
const STATES = { starved: 'starved', paused: 'paused', playing: 'playing', finished: 'idle', stopped: 'idle' };

/** The worklet module under a stand-in AudioWorkletGlobalScope; imported afresh for each vector. */
async function makePlayback(rate, copy) {
  let Processor = null;
  const port = { postMessage: (message) => port.sent.push(message), sent: [] };
  globalThis.sampleRate = rate;
  globalThis.currentTime = 0;
  globalThis.AudioWorkletProcessor = class { constructor() { this.port = port; } };
  globalThis.registerProcessor = (_name, made) => { Processor = made; };
  await import(`../../demo/js/audio/playback-worklet.js?copy=${copy}`);
  return new Processor();
}

class Runner {
  constructor(file, vector, playback) {
    Object.assign(this, { file, vector, playback, failures: 0, problems: 0, sent: [], nowMs: 0 });
    const socket = { readyState: 1, send: (data) => this.sent.push(data), close() {} };
    this.plans = [];
    this.session = new RealtimeSession({
      url: 'ws://host/v1/realtime?model=a', random: () => 0, now: () => this.nowMs, schedule: () => {},
      openSocket: (url, protocols) => { this.plans.push({ url, protocols }); return socket; },
    });
    this.clock = new PlayedClock(vector.rate);
    this.session.on('session.created', ({ session }) => { this.performer = new Performer(session.npc.capabilities.blendshapes, vector.rate); this.performer.idle = STILL; });
    this.session.on('audio', ({ ordinal, start, pcm, last }) => this.playback.audio({ ordinal, start, pcm, last }));
    this.session.on('blendshapes', (frame) => this.performer?.blendshapes(frame));
    this.session.on('npc.cues', ({ response_id: id, cues, clock }) => { if (clock === 'input') { cues.forEach((cue) => this.inputCues.add(cue)); return; } const ordinal = this.session.ordinalOf(id); if (!this.session.stale.has(ordinal)) this.performer.cues(ordinal, cues); });
    this.session.on('npc.output', ({ action, response_id: id }) => this.output(action, this.session.ordinalOf(id)));
    this.session.on('gone', () => this.begin());
    this.session.on('problem', () => { this.problems += 1; });
    this.session.connect();
    this.plans = [];
    this.begin();
  }

  /** Nothing sounds, and nothing is known of a session before. */
  begin() {
    this.playback.clear();
    this.performer?.forget();
    this.inputCues = new CueQueue();
    this.played = { ordinal: null, played: 0, state: 'idle' };
    this.state = 'idle';
  }

  output(action, ordinal) {
    if (action === 'flush') this.performer.flush(ordinal);
    this.playback[action]?.({ ordinal, fadeMs: action === 'flush' ? 0 : 8 });
    this.reports();
  }

  /** Hand the worklet's reports on, as the page does. */
  reports() {
    for (const report of this.playback.port.sent.splice(0)) {
      if (report.type === 'problem') {
        this.problems += 1;
        continue;
      }
      this.clock.report(report);
      if (report.state === 'stopped') this.session.reportPlayback(report);
      if (report.state === 'stopped' && report.ordinal !== this.played.ordinal) continue;
      this.played = report;
      this.state = STATES[report.state] ?? report.state;
      if (report.state === 'finished') this.finished = report;
    }
  }

  play() {
    this.vector.steps.forEach((step, index) => {
      this.where = `${this.file}: step ${index} ${step.do}`;
      this.sent = [];
      this.problems = 0;
      this[`do_${step.do}`](step);
      if (step.error !== undefined) this.same('error', step.error, this.problems > 0);
      if (step.sent) this.checkSent(step.sent);
      if (step.heard) this.same('audio sent from', step.heard.join(' '), this.sent.filter((data) => typeof data !== 'string').map((frame) => new DataView(frame).getBigUint64(8, true)).join(' '));
    });
    return this.failures;
  }

  do_connect(step) {
    this.session.connect();
    const { url, protocols } = this.plans.at(-1);
    for (const part of step.url_has) this.same(`url has ${part}`, true, url.includes(part));
    for (const part of step.url_lacks ?? []) this.same(`url has ${part}`, false, url.includes(part));
    this.same('protocols', step.protocols.join(' '), protocols.join(' '));
  }

  do_opened() {
    this.session.opened();
  }

  do_text({ event }) {
    this.session.receive(event);
  }

  do_binary({ hex }) {
    this.session.receiveFrame(Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16)).buffer);
    this.reports();
    if (this.state === 'idle' && this.playback.items.length) this.state = 'priming';
  }

  do_pull(step) {
    const out = new Float32Array(step.samples);
    this.playback.process([], [[out]]);
    this.reports();
    const item = this.playback.items[0];
    if (item?.played > 0 && item.primed) this.played = { ...this.played, ordinal: item.ordinal, played: item.played };
    this.clock.report({ ...this.played, at: 0, state: this.state });
    const value = (x) => Math.round(x * 32768);
    if (step.silent) this.same('silent', true, out.every((x) => x === 0));
    if (step.first !== undefined) this.same('first', step.first, value(out[0]));
    if (step.last !== undefined) this.same('last', step.last, value(out.at(-1)));
    if (step.played !== undefined) this.same('played', step.played, this.played.played);
    if (step.state !== undefined) this.same('state', step.state, this.state);
  }

  do_step(step) {
    this.nowMs = step.ms;
    const { ordinal } = this.played;
    const sample = this.played.played - step.latency * this.vector.rate;
    // The page starts these by its own clock, from the same distance to what it has sent.
    const heard = this.session.inputSamples;
    const listening = this.inputCues.due(heard).filter(({ at }) => heard - at <= this.vector.rate / 2);
    const pose = this.performer.step(step.ms / 1000, ordinal, sample);
    if (this.state === 'playing') this.session.reportPlayback({ ...this.played, state: 'playing' });
    if (this.finished) this.session.reportPlayback(this.finished);
    this.finished = null;
    if (step.cues) this.same('cues', step.cues.join(' '), [...listening, ...pose.due].map((cue) => cue.name).join(' '));
    if (step.sample !== undefined) this.same('sample', step.sample, sample);
    if (step.ordinal !== undefined) this.same('ordinal', step.ordinal, ordinal);
    for (const [name, wanted] of Object.entries(step.weights ?? {})) {
      const got = pose.weights[this.performer.index.get(name)];
      if (Math.abs(got - wanted) > 0.005) this.fail(`${name} is ${got}, expected ${wanted}`);
    }
  }

  do_closed(step) {
    let outcome = null;
    this.session.on('connection', (event) => { outcome = event; });
    this.session.socket ??= {};
    this.session.lost(this.session.socket, step.code, '');
    if (step.final) this.same('final', 'closed', outcome.state);
    else this.same('retry_ms', step.retry_ms, outcome.retryInMs);
  }

  do_hear({ samples }) {
    this.session.sendAudio(new Int16Array(samples));
  }

  do_say({ text }) {
    this.session.say(text);
  }

  do_idle({ seed, ms, pose: wanted }) {
    const { blink, eyes, chest, head } = new IdleMotion(seed).at(ms);
    const got = { blink, eye_yaw: eyes[0], eye_pitch: eyes[1], chest, head_yaw: head[0], head_pitch: head[1], head_roll: head[2] };
    for (const [name, value] of Object.entries(wanted)) if (Math.abs(got[name] - value) > 1e-4) this.fail(`${name} is ${got[name]}, expected ${value}`);
  }

  do_random({ seed, stream, integers }) {
    const source = new Xorshift32(seed, stream);
    for (const wanted of integers) this.same('integer', wanted, source.next());
  }

  checkSent(wanted) {
    const sent = this.sent.filter((data) => typeof data === 'string').map((data) => JSON.parse(data));
    this.same('messages sent', wanted.length, sent.length);
    wanted.forEach((fields, i) => {
      for (const [field, value] of Object.entries(fields)) if (sent[i] && sent[i][field] !== value) this.fail(`sent ${field} is ${sent[i][field]}, expected ${value}`);
    });
  }

  same(what, wanted, got) {
    if (wanted !== got) this.fail(`${what} is ${got}, expected ${wanted}`);
  }

  fail(what) {
    console.log(`${this.where}: ${what}`);
    this.failures += 1;
  }
}

const folder = process.argv[2];
const files = readdirSync(folder).filter((name) => name.endsWith('.json')).sort();
let failed = 0;
for (const [copy, file] of files.entries()) {
  const vector = JSON.parse(readFileSync(join(folder, file), 'utf8'));
  failed += new Runner(file, vector, await makePlayback(vector.rate, copy)).play() ? 1 : 0;
}
console.log(`${files.length - failed} passed, ${failed} failed`);
process.exit(failed || !files.length ? 1 : 0);
