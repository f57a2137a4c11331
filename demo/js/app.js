/** The page: joins the session, the audio, the stage and the views. Each of them is useful without this file. */
import { Microphone, Speaker } from './audio/devices.js';
import { EarClock, FramePace, PlayedClock } from './client/playout.js';
import { RealtimeSession } from './client/session.js';
import { Performer } from './face/performer.js';
import { Memory } from './memory.js';
import { Reply } from './reply.js';
import { Actor } from './scene/actor.js';
import { api, openCharacters, player, ticket } from './server.js';
import { Talking } from './talking.js';
import { Captions } from './ui/captions.js';
import { ConnectionView } from './ui/connection.js';
import { MindView, emotionColour } from './ui/mind.js';
import { Notices } from './ui/notices.js';
import { Rehearsal } from './ui/rehearsal.js';
import { ScoreView } from './ui/score.js';
import { readSettings, Settings } from './ui/settings.js';
import { makeTabs } from './ui/tabs.js';
import { ThingsView } from './ui/things.js';
import { Transcript } from './ui/transcript.js';
import { Waterfall } from './ui/waterfall.js';

const RATE = 24000;
/** An input-clock cue that comes later than this many seconds is dropped. */
const LATE_CUE = 0.5;
const TURNS = { listening: 'listening', user_speaking: 'hears you', maybe_interrupted: 'hears you', thinking: 'thinking', speaking: 'speaking', interrupted: 'stops for you' };
const $ = (id) => document.getElementById(id);

/** Who decides that the player is done: the server, or the one who lets the button go. */
const turnDetection = ({ turns }) => (turns === 'push' ? null : { type: 'semantic_vad' });

class Page {
  constructor() {
    this.captions = new Captions($('caption-you'), $('caption-them'));
    this.transcript = new Transcript($('transcript'), $('transcript-empty'));
    this.waterfall = new Waterfall($('waterfall'), $('history'));
    this.score = new ScoreView($('score'), $('score-legend'));
    this.mind = new MindView({ wheel: $('wheel'), dials: $('dials'), citations: $('citations'), memory: $('memory'), knowledge: $('knowledge') });
    this.notices = new Notices($('notice'));
    this.connection = new ConnectionView($('connection'), this.notices);
    this.memory = new Memory(this.mind, (text) => this.notices.show(text));
    this.clock = new PlayedClock(RATE);
    this.ear = new EarClock();
    this.pace = new FramePace();
    this.speaker = new Speaker(RATE, (report) => this.played(report), () => this.playWaiting());
    this.microphone = new Microphone(RATE, (pcm, level) => this.heard(pcm, level));
    this.actor = new Actor({
      send: (event) => this.session.send(event), changed: () => this.things.draw(),
      tell: (id, line) => this.transcript.set(id, 'action', `${this.character.name} ${line}`),
    });
    this.things = new ThingsView($('things'), $('place'), this.actor);
    this.waiting = [];
    this.replies = new Map();
    this.settings = new Settings($('settings'), (values) => this.configure(values));
    this.talking = new Talking({
      microphone: this.microphone, session: () => this.session, ready: () => this.ensureSound(), said: (text) => this.typed(text), notice: (text) => this.notices.show(text),
    });
    const show = makeTabs(document.querySelector('[role=tablist]'), () => this.mind.draw());
    this.rehearsal = new Rehearsal({
      dialog: $('scenarios'), view: $('view-rehearsal'), tab: $('tab-rehearsal'), button: $('rehearse'), show: (name = 'rehearsal') => show(name),
      open: (scenario) => this.open(scenario ? { ...scenario.character, description: scenario.character.role } : this.chosen, scenario?.scene),
      send: (event) => this.session.send(event),
    });
    $('panel-toggle').addEventListener('click', () => this.togglePanel());
    if (matchMedia('(max-width: 760px)').matches) this.togglePanel();
  }

  async start() {
    const { characters, chosen } = await openCharacters($('character'));
    await this.settings.offerVoices((await api('v1/voices'))?.data ?? [], () => this.open(this.character));
    this.chosen = chosen;
    $('character').addEventListener('change', () => this.open((this.chosen = characters.get($('character').value))));
    await this.open(chosen);
    await this.rehearsal.offer();
  }

  /** Open a conversation with a character, on the stage of a scenario where one is given; the one before ends. */
  async open(character, scene = null) {
    this.opening = character;
    const details = await api(`v1/characters/${encodeURIComponent(character.id)}`);
    // Another one was chosen while the server was asked.
    if (this.opening !== character) return;
    this.session?.close();
    this.character = { ...character, ...details };
    this.silence();
    $('name').textContent = character.name;
    $('role').textContent = character.role ?? character.description ?? '';
    document.title = `Talk to ${character.name}`;
    this.transcript.clear();
    this.settings.voiceOf(this.character);
    const url = new URL(`v1/realtime?model=${encodeURIComponent(character.id)}`, location.href.replace(/^http/, 'ws'));
    if (this.settings.voice) url.searchParams.set('voice', this.settings.voice);
    this.session = new RealtimeSession({
      url: url.href, ticket: ticket(), openSocket: (address, protocols) => new WebSocket(address, protocols), now: () => performance.now(), session: this.wanted(),
    });
    this.listen(this.session);
    this.session.connect();
    this.scene = scene ?? details?.scene ?? { entities: [] };
    this.enter();
    await this.memory.open(this.character);
  }

  /** Nothing of a conversation before this one sounds or shows. */
  silence() {
    this.speaker.command('clear');
    this.clock = new PlayedClock(RATE);
    this.performer?.forget();
    this.actor.forget();
    this.replies.clear();
    this.waiting = [];
    this.captions.clear();
    this.captions.player('');
    document.body.dataset.state = 'idle';
  }

  wanted() {
    return {
      audio: {
        input: { format: { type: 'audio/pcm', rate: RATE }, turn_detection: turnDetection(readSettings()) },
        output: { format: { type: 'audio/pcm', rate: RATE } },
      },
      npc: {
        ...this.rehearsal.wish,
        player: { id: player(), locale: navigator.language },
        transport: { audio: 'binary', animation: 'binary', lead_ms: 200 },
        cues: { visemes: 'oculus15', blendshapes: 'arkit52', fps: 60, words: true, gestures: true, gaze: true, emotion: true },
      },
    };
  }

  listen(session) {
    session
      .on('connection', (event) => this.connection.show(event))
      .on('gone', () => this.silence())
      .on('problem', (text) => console.warn(text))
      .on('session.created', ({ session: made }) => this.created(made))
      .on('session.updated', ({ session: made }) => this.created(made))
      .on('conversation.item.input_audio_transcription.delta', (event) => this.partial(event))
      .on('conversation.item.input_audio_transcription.completed', (event) => this.final(event))
      .on('response.created', ({ response }) => this.replies.set(response.id, new Reply(response, this.transcript, this.mind)))
      .on('response.output_audio_transcript.delta', (event) => this.replies.get(event.response_id)?.add(event.delta))
      .on('response.output_text.delta', (event) => this.replies.get(event.response_id)?.add(event.delta))
      .on('response.function_call_arguments.done', (event) => this.actor.announce(event, this.session.ordinalOf(event.response_id)))
      .on('response.done', ({ response }) => this.replies.get(response.id)?.done(response))
      .on('audio', (frame) => this.play(frame))
      .on('blendshapes', (frame) => this.performer?.blendshapes(frame))
      .on('npc.cues', (event) => this.cues(event))
      .on('npc.output', (event) => this.output(event))
      .on('npc.turn', (event) => this.turned(event))
      .on('npc.emotion', (event) => this.felt(event))
      .on('npc.citations', (event) => this.replies.get(event.response_id)?.cite(event.citations))
      .on('npc.assessment', (event) => this.rehearsal.assessed(event))
      .on('npc.narrative', (event) => this.rehearsal.told(event))
      .on('npc.rehearsal', (event) => this.attempted(event))
      .on('npc.action.cancelled', (event) => this.actor.cancel(event))
      .on('npc.metrics', (event) => this.measured(event))
      .on('npc.status', (event) => this.status(event))
      .on('error', ({ error }) => this.rehearsal.refused(error) || this.notices.show(error.message));
  }

  /** The first session makes the performer and the stage; a later one only changes who stands there. */
  async created(session) {
    const capabilities = session.npc?.capabilities;
    if (!capabilities) return;
    if (this.performer) {
      if (this.seeded !== session.id) [this.seeded] = [session.id, this.performer.seed(capabilities.idle_seed)];
      return;
    }
    this.seeded = session.id;
    this.performer = new Performer(capabilities.blendshapes, RATE);
    this.performer.seed(capabilities.idle_seed);
    this.face = await this.makeFace(capabilities.blendshapes);
    this.performer.aim = (target) => this.face.aim?.(target) ?? null;
    this.bindStage();
    this.configure(readSettings());
    await this.settings.offerLooks((url) => this.wear(url));
    await this.enter();
    document.body.dataset.ready = 'true';
    requestAnimationFrame((timestamp) => this.frame(timestamp));
  }

  async makeFace(channels) {
    try {
      const { Stage } = await import('./face/stage.js');
      return new Stage($('stage'), channels);
    } catch (error) {
      this.notices.show('This browser has no WebGL, so the face is drawn simply. The conversation works all the same.');
      const { SimpleFace } = await import('./face/simple.js');
      const canvas = $('stage').cloneNode();
      $('stage').replaceWith(canvas);
      console.warn(error);
      return new SimpleFace(canvas, channels);
    }
  }

  /** Put the character of now, in its scene, on the stage. */
  async enter() {
    if (!this.face || !this.scene) return;
    this.face.set?.(this.scene);
    this.actor.enter(this.face, this.performer, this.scene.entities ?? []);
    this.things.show(this.scene);
    await this.settings.dress(this.character);
  }

  bindStage() {
    this.face.canvas?.addEventListener('click', ({ offsetX: x, offsetY: y, currentTarget: { clientWidth: width, clientHeight: height } }) => {
      const id = this.face.pick?.((2 * x) / width - 1, 1 - (2 * y) / height);
      if (!id) return;
      this.actor.attend(id);
      this.notices.show(`You point at the ${this.actor.nameOf(id)}.`, { seconds: 2 });
    });
  }

  async wear(url) {
    const report = await this.face.load(url).catch((error) => `This model could not be loaded: ${error.message}`);
    if (report) this.notices.show(report);
  }

  /** Draw what will be heard when this frame is seen. */
  frame(timestamp) {
    requestAnimationFrame((next) => this.frame(next));
    const seen = this.pace.presented(timestamp);
    const { ordinal, sample, running } = this.sounding(seen);
    const pose = this.performer.step(seen / 1000, ordinal, sample, running);
    this.drawn = { ordinal, sample, seen, running, weights: pose.weights };
    this.captions.advance(ordinal, sample);
    for (const cue of pose.due) this.due(cue);
    this.face.draw(pose, seen / 1000);
    this.score.draw(ordinal, sample);
  }

  /** {ordinal, sample, running} at page time `page`: which sample reaches the ear then, and whether the sound goes on. */
  sounding(page) {
    if (!this.speaker.running) return { ordinal: null, sample: 0, running: true };
    this.ear.observe(this.speaker.ear());
    const { ordinal, sample, state } = this.clock.now(this.ear.at(page));
    return { ordinal, sample, running: (state === 'playing' || state === 'finished') && !this.ear.stalled(page) };
  }

  /** A cue of the item that sounds has come. */
  due(cue) {
    const seconds = (samples) => Math.max(0, samples) / RATE;
    if (cue.kind === 'emotion') this.mood(cue.name);
    else if (cue.kind === 'action') this.actor.due(cue);
    else if (cue.kind === 'gesture') this.face.hands?.gesture(cue.name, this.drawn.seen / 1000, seconds((cue.stroke ?? cue.at) - cue.at), seconds((cue.until ?? cue.at) - cue.at), cue.weight);
  }

  /** A worklet report: what has left for the ear. */
  played(report) {
    this.clock.report(report);
    this.ear.observe(this.speaker.ear());
    this.session.reportPlayback(report);
    const reply = [...this.replies.values()].find((one) => one.ordinal === report.ordinal);
    if (report.state === 'playing') reply?.sounding(performance.now());
    if (report.state === 'finished') this.actor.over(report.ordinal);
    document.body.dataset.state = report.state === 'playing' ? 'speaking' : 'listening';
  }

  heard(pcm, level) {
    if (this.talking.on) this.session.sendAudio(pcm);
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

  typed(text) {
    this.transcript.set(`typed-${performance.now()}`, 'you', text);
    this.captions.player(text);
  }

  play(frame) {
    this.replies.forEach((reply) => reply.ordinal === frame.ordinal && reply.received(performance.now()));
    if (this.speaker.running) this.speaker.play(frame.ordinal, frame.start, frame.pcm, frame.last);
    else this.waiting = [...this.waiting, frame].slice(-1500);
  }

  cues({ clock, response_id: response, cues }) {
    if (clock === 'input') {
      for (const cue of cues) this.listening(cue);
      return;
    }
    const ordinal = this.session.ordinalOf(response);
    this.performer?.cues(ordinal, cues);
    const words = cues.filter((cue) => cue.kind === 'word');
    if (words.length) this.captions.add(ordinal, words.map(({ name, at }) => ({ text: name, at })));
    const kinds = { gesture: 'body', head: 'body', gaze: 'body', blink: 'body' };
    this.score.add(ordinal, cues.map((cue) => ({ ...cue, kind: kinds[cue.kind] ?? cue.kind })), RATE);
  }

  /** A cue on the clock of the player's own sound: a nod, a glance, an "mm-hm". */
  listening(cue) {
    const wait = (cue.at - this.session.inputSamples) / RATE;
    if (wait < -LATE_CUE && this.talking.on) return;
    const length = cue.until ? (cue.until - cue.at) / RATE : 0;
    this.performer?.startAt(cue, performance.now() / 1000 + Math.max(0, this.talking.on ? wait : 0), length);
    if (cue.kind === 'backchannel') this.captions.aside(cue.name);
  }

  output({ action, response_id: response, fade_ms: fadeMs = 8 }) {
    const ordinal = this.session.ordinalOf(response);
    if (action !== 'flush') {
      this.speaker.command(action, { fadeMs });
      return;
    }
    // An earlier reply may still sound here (the greeting waits for the first click): cutting in silences that too.
    const late = this.clock.ordinal !== null && this.clock.ordinal < ordinal ? [this.clock.ordinal] : [];
    for (const one of [...late, ordinal]) {
      this.speaker.command('flush', { ordinal: one, fadeMs });
      this.performer?.flush(one);
    }
    this.waiting = this.waiting.filter((frame) => frame.ordinal > ordinal);
    this.face?.hands?.drop();
    this.captions.interrupted();
  }

  /** A server that lost the session begins anew: it then goes on with the same attempt. */
  attempted(event) {
    this.rehearsal.stands(event);
    Object.assign(this.session.wanted.npc, this.rehearsal.wish);
  }

  turned({ state }) {
    document.body.dataset.turn = state;
    $('turn').textContent = TURNS[state] ?? state;
    if (state === 'user_speaking') this.captions.player('');
  }

  felt({ state, player: read }) {
    this.mind.emotion(state, read);
    this.performer?.feel(state);
    this.mood(state.label);
  }

  mood(label) {
    $('mood').lastElementChild.textContent = label;
    $('mood').firstElementChild.style.background = emotionColour(label);
  }

  measured({ response_id: response, stages_ms: stages, speculation }) {
    this.waterfall.measured(stages, this.replies.get(response)?.playoutMs() ?? null, speculation);
    setTimeout(() => this.memory.refresh(), 300);
  }

  status({ component, state, fallback, message }) {
    if (state !== 'ok') this.notices.show(message ?? `${component} is ${state}${fallback ? `; using ${fallback}` : ''}.`);
  }

  /** Sound may start only after a click or a key, so both lead through here. Without sound the conversation goes on in writing. */
  async ensureSound() {
    if (this.speaker.running) return;
    try {
      await this.speaker.open();
    } catch (error) {
      this.notices.show(`The sound could not be started: ${error.message}. Replies are written under Talk; press a button to try again.`);
    }
    if (this.speaker.running) this.playWaiting();
  }

  /** What came while nothing could be played. */
  playWaiting() {
    for (const { ordinal, start, pcm, last } of this.waiting) this.speaker.play(ordinal, start, pcm, last);
    this.waiting = [];
  }

  configure(values) {
    document.body.classList.toggle('no-captions', !values.captions);
    document.body.classList.toggle('contrast', values.contrast);
    document.body.classList.toggle('calm', values.calm);
    for (const part of [this.performer, this.face]) if (part) part.calm = values.calm;
    this.talking?.show();
    if (this.turns === values.turns) return;
    this.turns = values.turns;
    if (!this.session) return;
    // A session that has to begin anew asks for it too.
    this.session.wanted.audio.input.turn_detection = turnDetection(values);
    this.session.send({ type: 'session.update', session: { type: 'realtime', audio: { input: { turn_detection: turnDetection(values) } } } });
  }

  togglePanel() {
    const closed = document.body.classList.toggle('panel-closed');
    $('panel-toggle').setAttribute('aria-expanded', String(!closed));
  }
}

const page = new Page();
globalThis.npcPage = page;
await page.start().catch((error) => {
  console.warn(error);
  page.notices.show(error.message, { stay: true });
});
