/** The page: joins the session, the audio, the face and the views. Each of them is useful without this file. */
import { Microphone, MicrophoneError, Speaker } from './audio/devices.js';
import { RealtimeSession } from './client/session.js';
import { pcmFromBase64 } from './client/frames.js';
import { EarClock, FramePace, PlayedClock } from './client/playout.js';
import { Performer } from './face/performer.js';
import { Reply } from './reply.js';
import { api, openCharacters } from './server.js';
import { Captions } from './ui/captions.js';
import { MindView, emotionColour } from './ui/mind.js';
import { ScoreView } from './ui/score.js';
import { readSettings, Settings } from './ui/settings.js';
import { makeTabs } from './ui/tabs.js';
import { Transcript } from './ui/transcript.js';
import { Waterfall } from './ui/waterfall.js';

const RATE = 24000;
const $ = (id) => document.getElementById(id);
const STATES = { connecting: 'Connecting', open: 'Connected', lost: 'Connection lost, trying again', closed: 'Disconnected' };

/** A stable name for this browser, so that the character remembers its owner. */
function playerId() {
  let id = localStorage.getItem('npc.player');
  if (!id) localStorage.setItem('npc.player', (id = `web-${crypto.randomUUID()}`));
  return id;
}

class Page {
  constructor() {
    this.captions = new Captions($('caption-you'), $('caption-them'));
    this.transcript = new Transcript($('transcript'), $('transcript-empty'));
    this.waterfall = new Waterfall($('waterfall'), $('history'));
    this.score = new ScoreView($('score'), $('score-legend'));
    this.mind = new MindView({ wheel: $('wheel'), dials: $('dials'), citations: $('citations'), memory: $('memory'), knowledge: $('knowledge').querySelector('ul') });
    this.clock = new PlayedClock(RATE);
    this.ear = new EarClock();
    this.pace = new FramePace();
    this.speaker = new Speaker(RATE, (report) => this.played(report));
    this.microphone = new Microphone(RATE, (pcm, level) => this.heard(pcm, level));
    this.waiting = [];
    this.replies = new Map();
    this.talking = false;
    this.settings = new Settings($('settings'), (values) => this.configure(values));
    makeTabs(document.querySelector('[role=tablist]'), () => this.mind.draw());
    $('panel-toggle').addEventListener('click', () => this.togglePanel());
    $('say-form').addEventListener('submit', (event) => this.type(event));
    $('forget').addEventListener('click', () => this.forget());
    this.bindTalking();
  }

  async start() {
    const { characters, chosen } = await openCharacters($('character'));
    $('character').addEventListener('change', () => this.open(characters.get($('character').value)));
    await this.open(chosen);
  }

  /** Open a conversation with a character; the one before ends. */
  async open(character) {
    this.session?.close();
    this.character = character;
    $('name').textContent = character.name;
    $('role').textContent = character.role ?? character.description ?? '';
    document.title = `Talk to ${character.name}`;
    this.captions.clear();
    this.captions.player('');
    const url = new URL(`v1/realtime?model=${encodeURIComponent(character.id)}`, location.href.replace(/^http/, 'ws'));
    this.session = new RealtimeSession({
      url: url.href, openSocket: (address, protocols) => new WebSocket(address, protocols), now: () => performance.now(),
      session: this.wanted(),
    });
    this.listen(this.session);
    this.session.connect();
    this.mind.known((await api(`v1/characters/${character.id}/knowledge`))?.facts ?? []);
    await this.remembered();
  }

  wanted() {
    const push = readSettings().turns === 'push';
    return {
      audio: {
        input: { format: { type: 'audio/pcm', rate: RATE }, turn_detection: push ? null : { type: 'semantic_vad' } },
        output: { format: { type: 'audio/pcm', rate: RATE } },
      },
      npc: {
        player: { id: playerId(), locale: navigator.language },
        transport: { audio: 'binary', animation: 'binary', lead_ms: 200 },
        cues: { visemes: 'oculus15', blendshapes: 'arkit52', fps: 60, words: true, gestures: true, gaze: true, emotion: true },
      },
    };
  }

  listen(session) {
    session
      .on('connection', (event) => this.connection(event))
      .on('session.created', ({ session: made }) => this.created(made))
      .on('session.updated', ({ session: made }) => this.created(made))
      .on('conversation.item.input_audio_transcription.delta', (event) => this.partial(event))
      .on('conversation.item.input_audio_transcription.completed', (event) => this.final(event))
      .on('response.created', ({ response }) => this.responding(response))
      .on('response.output_audio_transcript.delta', (event) => this.replies.get(event.response_id)?.add(event.delta))
      .on('response.output_text.delta', (event) => this.replies.get(event.response_id)?.add(event.delta))
      .on('response.output_audio.delta', (event) => this.base64Audio(event))
      .on('response.function_call_arguments.done', (event) => this.acted(event))
      .on('response.done', ({ response }) => this.replies.get(response.id)?.done(response))
      .on('audio', (frame) => this.play(frame))
      .on('blendshapes', (frame) => this.performer?.blendshapes(frame))
      .on('npc.cues', (event) => this.cues(event))
      .on('npc.output', (event) => this.output(event))
      .on('npc.turn', (event) => this.turned(event))
      .on('npc.emotion', (event) => this.felt(event))
      .on('npc.citations', (event) => this.replies.get(event.response_id)?.cite(event.citations))
      .on('npc.metrics', (event) => this.measured(event))
      .on('npc.status', (event) => this.status(event))
      .on('error', ({ error }) => this.notice(error.message));
  }

  connection({ state, reason }) {
    $('connection').dataset.state = state;
    $('connection').lastElementChild.textContent = STATES[state];
    if (state === 'lost') this.notice('The server is not answering. Nothing is lost: the conversation goes on as soon as it is back.');
    if (state === 'open') this.notice('');
    if (state === 'closed' && reason) this.notice(`The server ended the conversation: ${reason}. Reload the page to start again.`);
  }

  async created(session) {
    const capabilities = session.npc?.capabilities;
    if (!capabilities || this.performer) return;
    this.performer = new Performer(capabilities.blendshapes, RATE);
    this.performer.seed(capabilities.idle_seed);
    this.performer.calm = readSettings().calm;
    this.face = await this.makeFace(capabilities.blendshapes);
    await this.settings.offerLooks((url) => this.wear(url), this.character);
    document.body.dataset.ready = 'true';
    requestAnimationFrame((timestamp) => this.frame(timestamp));
  }

  async makeFace(channels) {
    try {
      const { Stage } = await import('./face/stage.js');
      return new Stage($('stage'), channels);
    } catch (error) {
      this.notice('This browser has no WebGL, so the face is drawn simply. The conversation works all the same.');
      const { SimpleFace } = await import('./face/simple.js');
      const canvas = $('stage').cloneNode();
      $('stage').replaceWith(canvas);
      console.warn(error);
      return new SimpleFace(canvas, channels);
    }
  }

  async wear(url) {
    const report = await this.face.load(url).catch((error) => `This model could not be loaded: ${error.message}`);
    if (report) this.notice(report);
  }

  /** Draw what will be heard when this frame is seen. */
  frame(timestamp) {
    requestAnimationFrame((next) => this.frame(next));
    const seen = this.pace.presented(timestamp);
    const { ordinal, sample, running } = this.sounding(seen);
    const pose = this.performer.step(seen / 1000, ordinal, sample, running);
    this.drawn = { ordinal, sample, seen, weights: pose.weights };
    this.captions.advance(ordinal, sample);
    for (const cue of pose.due) if (cue.kind === 'emotion') this.mood(cue.name);
    this.face.draw(pose);
    this.score.draw(ordinal, sample);
  }

  /** {ordinal, sample, running} at page time `page`: which sample reaches the ear then, and whether the sound goes on. */
  sounding(page) {
    if (!this.speaker.running) return { ordinal: null, sample: 0, running: true };
    this.ear.observe(this.speaker.ear());
    const { ordinal, sample, state } = this.clock.now(this.ear.at(page));
    return { ordinal, sample, running: (state === 'playing' || state === 'finished') && !this.ear.stalled(page) };
  }

  /** A worklet report: what has left for the ear. */
  played(report) {
    this.clock.report(report);
    this.ear.observe(this.speaker.ear());
    this.session.reportPlayback(report);
    const reply = [...this.replies.values()].find((one) => one.ordinal === report.ordinal);
    if (report.state === 'playing') reply?.sounding(performance.now());
    document.body.dataset.state = report.state === 'playing' ? 'speaking' : 'listening';
  }

  heard(pcm, level) {
    if (this.talking) this.session.sendAudio(pcm);
    $('level').style.transform = `scaleX(${Math.min(1, level * 6)})`;
  }

  partial({ item_id: id, delta }) {
    if (this.partialItem !== id) [this.partialItem, this.partialText] = [id, ''];
    this.partialText += delta;
    this.captions.player(this.partialText);
  }

  final({ item_id: id, transcript }) {
    this.captions.player(transcript);
    if (transcript.trim()) this.transcript.set(id, 'you', transcript);
  }

  responding(response) {
    const ordinal = response.npc?.ordinal;
    this.replies.set(response.id, new Reply(response.id, ordinal, this.transcript, this.mind));
  }

  base64Audio(event) {
    const place = event.npc ?? {};
    this.play({ ordinal: this.session.ordinalOf(event.response_id), start: place.start ?? 0, pcm: pcmFromBase64(event.delta), last: place.last ?? false });
  }

  play(frame) {
    this.replies.forEach((reply) => reply.ordinal === frame.ordinal && reply.received(performance.now()));
    if (this.speaker.running) this.speaker.play(frame.ordinal, frame.start, frame.pcm, frame.last);
    else this.waiting = [...this.waiting, frame].slice(-1500);
  }

  cues({ clock, response_id: response, cues }) {
    if (clock === 'input') {
      for (const cue of cues) this.performer?.start(cue, performance.now() / 1000, cue.until ? (cue.until - cue.at) / RATE : 0);
      return;
    }
    const ordinal = this.session.ordinalOf(response);
    this.performer?.cues(ordinal, cues);
    const words = cues.filter((cue) => cue.kind === 'word');
    if (words.length) this.captions.add(ordinal, words.map(({ name, at }) => ({ text: name, at })));
    const kinds = { gesture: 'body', head: 'body', gaze: 'body', blink: 'body' };
    this.score.add(ordinal, cues.map((cue) => ({ ...cue, kind: kinds[cue.kind] ?? cue.kind })), RATE);
  }

  output({ action, response_id: response, fade_ms: fadeMs = 8 }) {
    const ordinal = this.session.ordinalOf(response);
    if (action !== 'flush') this.speaker.command(action, { fadeMs });
    else {
      this.speaker.command('flush', { ordinal, fadeMs });
      this.waiting = this.waiting.filter((frame) => frame.ordinal !== ordinal);
      this.performer?.flush(ordinal);
      this.captions.interrupted();
    }
  }

  turned({ state }) {
    document.body.dataset.turn = state;
    if (state === 'user_speaking') this.captions.player('');
  }

  felt({ state, player }) {
    this.mind.emotion(state, player);
    this.mood(state.label);
  }

  mood(label) {
    $('mood').lastElementChild.textContent = label;
    $('mood').firstElementChild.style.background = emotionColour(label);
  }

  acted({ call_id: id, name, arguments: text }) {
    const described = Object.entries(JSON.parse(text || '{}')).map(([key, value]) => `${key} ${value}`).join(', ');
    this.transcript.set(id, 'action', `${name ?? 'action'}${described ? `: ${described}` : ''}`);
    const output = JSON.stringify({ ok: true, note: 'done on the demo page' });
    this.session.send({ type: 'conversation.item.create', item: { type: 'function_call_output', call_id: id, output } });
  }

  measured({ response_id: response, stages_ms: stages, speculation }) {
    const reply = this.replies.get(response);
    const marks = Object.entries(stages).sort(([, a], [, b]) => a - b);
    const bars = marks.map(([name, end], i) => ({ name, start_ms: i ? marks[i - 1][1] : 0, end_ms: end }));
    const sent = marks.length ? marks.at(-1)[1] : null;
    const local = reply?.playoutMs();
    if (sent !== null && local !== null && local !== undefined) bars.push({ name: 'playback_start', start_ms: sent, end_ms: sent + local });
    this.waterfall.show(bars, sent === null ? null : sent + (local ?? 0), speculation);
    setTimeout(() => this.remembered(), 300);
  }

  status({ component, state, fallback, message }) {
    if (state !== 'ok') this.notice(message ?? `${component} is ${state}${fallback ? `; using ${fallback}` : ''}.`);
  }

  notice(text) {
    $('notice').hidden = !text;
    $('notice').textContent = text;
    clearTimeout(this.noticeTimer);
    if (text) this.noticeTimer = setTimeout(() => this.notice(''), 9000);
  }

  /** Sound may start only after a click or a key, so both lead through here. */
  async ensureSound() {
    if (this.speaker.running) return;
    await this.speaker.open();
    for (const { ordinal, start, pcm, last } of this.waiting) this.speaker.play(ordinal, start, pcm, last);
    this.waiting = [];
  }

  bindTalking() {
    const mic = $('mic');
    const push = () => readSettings().turns === 'push';
    mic.addEventListener('click', () => push() || this.talk(!this.talking));
    mic.addEventListener('pointerdown', () => push() && this.talk(true));
    mic.addEventListener('pointerup', () => push() && this.talk(false));
    const typing = () => /^(input|textarea|select|button|summary)$/i.test(document.activeElement?.tagName ?? '');
    addEventListener('keydown', (event) => {
      if (event.code !== 'Space' || event.repeat || (typing() && document.activeElement !== mic)) return;
      event.preventDefault();
      this.talk(push() || !this.talking);
    });
    addEventListener('keyup', (event) => event.code === 'Space' && push() && this.talking && this.talk(false));
  }

  async talk(on) {
    const push = readSettings().turns === 'push';
    try {
      await this.ensureSound();
      if (on && !this.microphone.stream) await this.microphone.open({ raw: new URLSearchParams(location.search).has('raw') });
    } catch (error) {
      if (!(error instanceof MicrophoneError)) throw error;
      this.notice(error.message);
      return;
    }
    this.talking = on;
    $('mic').setAttribute('aria-pressed', String(on));
    $('mic-label').textContent = on ? (push ? 'Listening…' : 'Stop talking') : (push ? 'Hold to talk' : 'Start talking');
    if (!push) return;
    if (on) this.session.send({ type: 'input_audio_buffer.clear' });
    else if (this.session.send({ type: 'input_audio_buffer.commit' })) this.session.send({ type: 'response.create' });
  }

  async type(event) {
    event.preventDefault();
    const text = $('say').value.trim();
    if (!text) return;
    await this.ensureSound();
    if (!this.session.say(text)) {
      this.notice('The server is not connected yet; your words are still in the box.');
      return;
    }
    this.transcript.set(`typed-${performance.now()}`, 'you', text);
    this.captions.player(text);
    $('say').value = '';
  }

  configure(values) {
    document.body.classList.toggle('no-captions', !values.captions);
    document.body.classList.toggle('contrast', values.contrast);
    if (this.performer) this.performer.calm = values.calm;
    $('mic-label').textContent = values.turns === 'push' ? 'Hold to talk' : 'Start talking';
    this.session?.send({ type: 'session.update', session: { type: 'realtime', audio: { input: { turn_detection: values.turns === 'push' ? null : { type: 'semantic_vad' } } } } });
  }

  async remembered() {
    const found = await api(`v1/players/${playerId()}/memory?character=${encodeURIComponent(this.character.id)}`);
    this.mind.remembered(found?.entries ?? found?.memories ?? []);
  }

  async forget() {
    await api(`v1/players/${playerId()}/memory?character=${encodeURIComponent(this.character.id)}`, { method: 'DELETE' });
    await this.remembered();
  }

  togglePanel() {
    const closed = document.body.classList.toggle('panel-closed');
    $('panel-toggle').setAttribute('aria-expanded', String(!closed));
  }
}

const page = new Page();
globalThis.npcPage = page;
await page.start();
