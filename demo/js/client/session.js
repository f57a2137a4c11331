/**
 * The client of one conversation: socket, opt-in, sequence numbers, resume, and what is sounding. No DOM; the socket class, the
 * clock and randomness are given, so the same file runs in a page, in a worker and under Node.
 *
 *   const session = new RealtimeSession({ url, openSocket: (url, protocols) => new WebSocket(url, protocols), now: () => performance.now() });
 *   session.on('npc.cues', (event) => …);      // any server event by its type, or '*' for all of them
 *   session.on('audio', (frame) => …);         // decoded frames: audio and blendshapes
 *   session.on('problem', (text) => …);        // a message that could not be read; it was dropped
 *   session.on('connection', ({ state }) => …) // connecting, open, lost, closed
 *   session.on('gone', () => …);               // the server lost the session and begins a new one, with replies numbered anew
 *   session.connect();
 */
import { retryDelayMs } from './backoff.js';
import { decodeFrame, encodeInputAudio, KIND } from './frames.js';

/** Milliseconds between two playback reports to the server. */
const PLAYBACK_REPORT_MS = 100;
/** Messages kept until the server is known to have them; a second of 20 ms audio frames is 50. */
const KEPT_MESSAGES = 1024;
/** Close codes after which trying again cannot help: ended, bad ticket, wrong version, replaced by another connection, abuse. */
const FINAL_CODES = new Set([1000, 4000, 4401, 4406, 4409, 4429]);
/** The server no longer has the session: the next connection starts a new one. */
const SESSION_GONE = 4404;

export class RealtimeSession {
  constructor({ url, ticket = null, session = {}, openSocket, now, random = Math.random, schedule = (run, ms) => setTimeout(run, ms) }) {
    this.url = url;
    this.ticket = ticket;
    this.wanted = session;
    this.openSocket = openSocket;
    this.now = now;
    this.random = random;
    this.schedule = schedule;
    this.listeners = new Map();
    this.seq = 0;
    this.attempt = 0;
    this.resume = null;
    /** Set from a reopened socket to `npc.resumed`: what goes out before the server has said what arrived would go out twice. */
    this.resuming = false;
    this.inputSamples = 0;
    this.sent = 0;
    this.kept = [];
    this.stale = new Set();
    this.responses = new Map();
    this.lastReport = -Infinity;
    this.closed = false;
  }

  on(type, handler) {
    const handlers = this.listeners.get(type) ?? [];
    this.listeners.set(type, [...handlers, handler]);
    return this;
  }

  emit(type, payload) {
    for (const handler of this.listeners.get(type) ?? []) handler(payload);
  }

  connect() {
    const url = new URL(this.url);
    url.searchParams.set('npc', '1');
    const protocols = ['realtime'];
    if (this.resume) {
      url.searchParams.set('after', String(this.seq));
      protocols.push(`npc-resume.${this.resume.token}`);
    }
    if (this.ticket) protocols.push(`openai-insecure-api-key.${this.ticket}`);
    this.emit('connection', { state: 'connecting', attempt: this.attempt });
    const socket = this.openSocket(url.href, protocols);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.opened();
    socket.onmessage = ({ data }) => (typeof data === 'string' ? this.receiveText(data) : this.receiveFrame(data));
    socket.onclose = ({ code, reason }) => this.lost(socket, code, reason);
    this.socket = socket;
  }

  opened() {
    this.attempt = 0;
    this.resuming = Boolean(this.resume);
    if (!this.resuming) Object.assign(this, { sent: 0, kept: [] });
    if (!this.resuming) this.send({ type: 'session.update', session: { type: 'realtime', ...this.wanted } });
    this.emit('connection', { state: 'open' });
  }

  lost(socket, code, reason) {
    if (socket !== this.socket || this.closed) return;
    this.socket = null;
    if (FINAL_CODES.has(code)) {
      this.closed = true;
      this.emit('connection', { state: 'closed', code, reason });
      return;
    }
    if (code === SESSION_GONE) this.forget();
    const delay = retryDelayMs(this.attempt, this.random());
    this.attempt += 1;
    this.emit('connection', { state: 'lost', code, reason, retryInMs: delay });
    this.schedule(() => this.closed || this.connect(), delay);
  }

  /** The next session counts its messages, samples and replies from the start. */
  forget() {
    Object.assign(this, { resume: null, seq: 0, inputSamples: 0, lastReport: -Infinity });
    this.stale.clear();
    this.responses.clear();
    this.emit('gone', {});
  }

  close() {
    this.closed = true;
    this.socket?.close(1000);
    this.emit('connection', { state: 'closed', code: 1000, reason: '' });
  }

  get open() {
    return this.socket?.readyState === 1 && !this.resuming;
  }

  /** Send a client event. While the socket is down it waits for the resume; false when there is nothing to resume. */
  send(event) {
    return this.post(JSON.stringify(event));
  }

  /** Send microphone audio as a binary frame. What is said while the socket is down is dropped: it would arrive stale. */
  sendAudio(pcm) {
    if (!this.open) return false;
    const start = this.inputSamples;
    this.inputSamples += pcm.length;
    return this.post(encodeInputAudio(pcm, start));
  }

  post(message) {
    if (!this.open && !this.resume) return false;
    this.sent += 1;
    this.kept.push(message);
    if (this.kept.length > KEPT_MESSAGES) this.kept.shift();
    if (this.open) this.socket.send(message);
    return true;
  }

  /** A typed turn: the text as a user message, then a reply to it. */
  say(text) {
    const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
    return this.send({ type: 'conversation.item.create', item }) && this.send({ type: 'response.create' });
  }

  receiveText(text) {
    let event = null;
    try {
      event = JSON.parse(text);
    } catch {
      // Said below: what is no JSON is no object either.
    }
    if (typeof event?.type === 'string') this.receive(event);
    else this.emit('problem', `not a JSON event: ${text.slice(0, 60)}`);
  }

  receive(event) {
    if (event.npc_seq !== undefined) {
      if (event.npc_seq <= this.seq) return;
      this.seq = event.npc_seq;
    }
    if (event.type === 'npc.resumed') this.resumed(event);
    const resume = event.session?.npc?.resume;
    if (resume?.token) this.resume = resume;
    if (event.type === 'response.created') this.remember(event.response);
    if (event.type === 'response.output_item.added') this.rememberItem(event);
    if (event.type === 'npc.output' && event.action === 'flush') this.flushed(event.response_id);
    this.emit(event.type, event);
    this.emit('*', event);
  }

  /** The first message on a resumed socket: the next token, and how many of our messages arrived; the rest goes out again. */
  resumed(event) {
    this.resume = { token: event.token, window_s: event.window_s };
    this.resuming = false;
    const lost = Math.max(0, this.sent - event.received);
    for (const message of lost ? this.kept.slice(-lost) : []) this.socket.send(message);
  }

  receiveFrame(buffer) {
    // A binary frame takes the next sequence number without carrying it.
    this.seq += 1;
    try {
      const frame = decodeFrame(buffer);
      if (!this.stale.has(frame.ordinal)) this.emit(frame.kind === KIND.AUDIO_OUT ? 'audio' : 'blendshapes', frame);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.emit('problem', error.message);
    }
  }

  remember(response) {
    const ordinal = response?.npc?.ordinal;
    if (ordinal !== undefined) this.responses.set(response.id, { ordinal, itemId: null });
  }

  rememberItem(event) {
    const known = this.responses.get(event.response_id);
    if (known && !known.itemId && event.item?.type === 'message') known.itemId = event.item.id;
  }

  /** The ordinal of a response, or undefined for one never announced. */
  ordinalOf(responseId) {
    return this.responses.get(responseId)?.ordinal;
  }

  flushed(responseId) {
    const ordinal = this.ordinalOf(responseId);
    if (ordinal !== undefined) this.stale.add(ordinal);
  }

  /** Tell the server what was really heard. Reports of playing are thinned to one in 100 ms; other states go at once. */
  reportPlayback({ ordinal, played, state }) {
    const entry = [...this.responses].find(([, one]) => one.ordinal === ordinal);
    if (!entry || !entry[1].itemId) return;
    const now = this.now();
    if (state === 'playing' && now - this.lastReport < PLAYBACK_REPORT_MS) return;
    this.lastReport = now;
    const told = state === 'finished' || state === 'stopped' ? state : 'playing';
    this.send({ type: 'npc.playback', response_id: entry[0], item_id: entry[1].itemId, played_samples: Math.floor(played), state: told });
  }
}
