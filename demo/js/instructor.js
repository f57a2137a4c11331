/**
 * The instructor's chair: watches a live session over a socket of its own (`?watch=`) and steers it with `npc.instructor`.
 *
 *   v1/sessions ─▶ chooser ─▶ socket ─▶ lines, state, rubric          (what the trainee's page gets, and nothing is hidden)
 *   whisper, inject, take over, bookmark, pause, difficulty, end ─▶ npc.instructor ─▶ answered to this page alone
 */
import { Microphone, MicrophoneError } from './audio/devices.js';
import { RealtimeSession } from './client/session.js';
import { launch } from './server.js';

const $ = (id) => document.getElementById(id);
const RATE = 24000;
const LOOK_MS = 3000;
const KEY = 'npc.instructor';
const PLACEHOLDERS = {
  whisper: 'Only the character hears this',
  inject: 'Something that happens, for instance: the lift doors open',
  take_over: 'The character says exactly this',
};
const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, '0')}`;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** The conversation as lines, by id; a line that is not final yet is grey. */
class Lines {
  constructor(list, bookmark) {
    this.list = list;
    this.bookmark = bookmark;
    this.byId = new Map();
  }

  clear() {
    this.byId.clear();
    this.list.replaceChildren();
  }

  set(id, kind, name, text, at, partial = false) {
    if (!text.trim()) return;
    const stay = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight > 60;
    let line = this.byId.get(id);
    if (!line) {
      const mark = make('button', { type: 'button', title: 'Bookmark this', textContent: '★' });
      line = make('li', {}, make('time', { textContent: clock(at) }), make('b', { textContent: name }), make('p'), mark);
      mark.addEventListener('click', () => {
        line.classList.add('marked');
        this.bookmark(line.querySelector('p').textContent);
      });
      this.byId.set(id, line);
      this.list.append(line);
    }
    line.className = `${kind}${partial ? ' partial' : ''}${line.classList.contains('marked') ? ' marked' : ''}`;
    line.querySelector('p').textContent = text;
    if (!stay) this.list.scrollTop = this.list.scrollHeight;
  }
}

class Chair {
  constructor() {
    this.ticket = sessionStorage.getItem(KEY) ?? launch()?.ticket ?? null;
    this.lines = new Lines($('lines'), (text) => this.instruct('bookmark', { text }));
    this.scenarios = new Map();
    this.partial = new Map();
    this.hands = 0;
    this.speaking = false;
    /** Set while the server holds the character's voice for us. */
    this.taken = false;
    this.microphone = new Microphone(RATE, (pcm) => this.taken && this.session?.sendAudio(pcm));
    this.microphone.onLost = () => this.microphone.close();
    /** Page time at which the attempt began, ms; null before one is watched. */
    this.began = null;
    this.bind();
  }

  async api(path) {
    const headers = this.ticket ? { Authorization: `Bearer ${this.ticket}` } : {};
    return fetch(new URL(path, document.baseURI), { headers });
  }

  async start() {
    const answer = await this.api('v1/sessions').catch(() => null);
    if (answer?.status === 401 || answer?.status === 403) return this.ask();
    $('door').hidden = true;
    $('room').hidden = $('desk').hidden = false;
    const scenarios = await this.api('v1/scenarios').then((one) => (one.ok ? one.json() : { data: [] })).catch(() => ({ data: [] }));
    this.scenarios = new Map(scenarios.data.map((one) => [one.id, one]));
    await this.look();
    this.looking ??= setInterval(() => this.look(), LOOK_MS);
  }

  ask() {
    $('door').hidden = false;
    $('room').hidden = $('desk').hidden = true;
    $('key').focus();
  }

  /** Sessions come and go; the one that is watched stays chosen. */
  async look() {
    const found = await this.api('v1/sessions').then((one) => one.json()).catch(() => null);
    if (!found?.data) return;
    const chooser = $('session');
    const live = found.data;
    const label = (one) => `${one.character}${one.player ? `, ${one.player}` : ''} (${clock(one.seconds)})`;
    const options = live.map((one) => new Option(label(one), one.id));
    if (this.watched && !live.some((one) => one.id === this.watched)) options.unshift(new Option('the session that has ended', this.watched));
    if (!options.length) options.push(new Option('none', ''));
    chooser.replaceChildren(...options);
    const asked = this.watched ?? new URLSearchParams(location.search).get('session') ?? live[0]?.id ?? '';
    chooser.value = asked;
    if (asked && asked !== this.watched && live.some((one) => one.id === asked)) this.watch(asked);
  }

  watch(id) {
    this.session?.close();
    this.watched = id;
    this.began = null;
    this.lines.clear();
    this.partial.clear();
    // Nothing of the session watched before: not its score, nor that it was paused, nor our voice in it.
    this.speaking = this.taken = false;
    $('speak').setAttribute('aria-pressed', 'false');
    for (const id of ['rubric', 'level', 'score']) $(id).replaceChildren();
    delete $('scenario').dataset.id;
    document.body.dataset.state = 'idle';
    $('pause').textContent = 'Pause';
    for (const id of ['scenario', 'trainee', 'section', 'turn', 'feeling']) $(id).textContent = '–';
    const url = new URL('v1/realtime', document.baseURI);
    url.protocol = url.protocol.replace('http', 'ws');
    url.searchParams.set('watch', id);
    const session = new RealtimeSession({
      url: url.href,
      ticket: this.ticket,
      session: { npc: { transport: { audio: 'base64', animation: 'json' } }, audio: { input: { format: { type: 'audio/pcm', rate: RATE } } } },
      openSocket: (address, protocols) => new WebSocket(address, protocols),
      now: () => performance.now(),
    });
    this.session = session;
    session.on('connection', (state) => this.connected(state));
    session.on('*', (event) => this[HANDLERS[event.type]]?.(event));
    session.connect();
  }

  connected({ state, reason }) {
    $('connection').dataset.state = state;
    const words = { connecting: 'Connecting', open: 'Watching', lost: 'Connection lost, trying again', closed: reason || 'The session is over' };
    $('connection').lastElementChild.textContent = words[state];
    for (const id of ['pause', 'bookmark', 'end', 'send', 'speak', 'level']) $(id).disabled = state !== 'open';
  }

  now() {
    return this.began === null ? 0 : (performance.now() - this.began) / 1000;
  }

  // -- what the session says ---------------------------------------------------------------------------------------------

  instructed({ action, detail }) {
    if (action === 'observe') {
      if (detail?.attempt) this.attempt(detail.attempt);
      return;
    }
    const heard = action === 'take_over' && detail?.listening;
    this.notice(heard ? 'Listening to you; let go to say it.' : `Done: ${action.replace('_', ' ')}.`);
    if (action !== 'take_over' || detail?.text) this.hand(action, detail?.text ?? detail?.level ?? '');
  }

  /** Everything so far, when this page comes in the middle. */
  attempt(attempt) {
    this.began = performance.now() - attempt.duration_s * 1000;
    $('trainee').textContent = attempt.trainee;
    this.rubric(attempt.scenario.id, attempt.scenario.title);
    for (const turn of attempt.turns) this.lines.set(turn.item_id || `turn-${turn.n}`, turn.speaker, this.name(turn.speaker), turn.text, turn.start_s);
    for (const one of attempt.interventions.filter(({ action }) => action !== 'observe')) this.hand(one.action, one.text, one.at_s);
    for (const one of attempt.verdicts) this.judged(one.item, one.state, one.evidence, false);
  }

  rehearsal(event) {
    const { scenario, level, state, section, elapsed_s: elapsed, score, pass_mark: mark, outcome } = event;
    this.began = performance.now() - elapsed * 1000;
    this.rubric(scenario, this.scenarios.get(scenario)?.title ?? scenario);
    if ($('trainee').textContent === '–') this.instruct('observe');
    if ($('level').value !== level) $('level').value = level;
    document.body.dataset.state = state;
    $('pause').textContent = state === 'paused' ? 'Go on' : 'Pause';
    $('section').textContent = section.replaceAll(/[_-]/g, ' ') || '–';
    $('score').textContent = score === null || score === undefined ? '' : `${Math.round(score)} of 100, pass ${mark}`;
    if (state === 'finished') this.notice(`The attempt is over: ${outcome.replaceAll('_', ' ')}.`);
  }

  rubric(id, title) {
    if ($('scenario').dataset.id === id) return;
    $('scenario').dataset.id = id;
    $('scenario').textContent = title;
    const scenario = this.scenarios.get(id);
    if (!scenario) return;
    $('level').replaceChildren(...scenario.levels.map(({ name, label }) => new Option(label, name)));
    $('rubric').replaceChildren(...scenario.rubric.items.map((item) => {
      // What must not be said is authored as what would break it.
      const never = item.kind === 'must_not_say' && !/^(does|do|did|is|must|should) ?n[o']t|^(never|no|avoid|without|refrain)/i.test(item.description);
      const text = never ? `Never ${item.description[0].toLowerCase()}${item.description.slice(1)}` : item.description;
      const line = make('li', { className: 'not_observed' }, make('div', { textContent: text }));
      line.dataset.kind = item.kind;
      line.dataset.item = item.id;
      return line;
    }));
  }

  assessment({ rubric_item: item, state, evidence }) {
    this.judged(item, state, evidence, true);
  }

  judged(item, state, evidence, fresh) {
    const line = [...$('rubric').children].find((one) => one.dataset.item === item);
    if (!line) return;
    line.className = `${state}${fresh ? ' fresh' : ''}`;
    line.querySelector('q')?.remove();
    // Otherwise the evidence is where it was looked for and not found.
    const shown = (state === 'met') !== (line.dataset.kind === 'must_not_say') && state !== 'not_observed';
    if (shown && evidence?.length && evidence.length <= 3) line.firstElementChild.append(make('q', { textContent: evidence[0].quote }));
  }

  name(speaker) {
    return speaker === 'trainee' ? 'Trainee' : ($('session').selectedOptions[0]?.textContent.split(/[-,]/)[0] ?? 'Character').replace(/^./, (c) => c.toUpperCase());
  }

  grew(id, speaker, delta) {
    this.partial.set(id, (this.partial.get(id) ?? '') + delta);
    this.lines.set(id, speaker, this.name(speaker), this.partial.get(id), this.now(), true);
  }

  said(id, speaker, text) {
    this.partial.delete(id);
    this.lines.set(id, speaker, this.name(speaker), text, this.now());
  }

  traineeGrew({ item_id: id, delta }) { this.grew(id, 'trainee', delta); }
  traineeSaid({ item_id: id, transcript }) { this.said(id, 'trainee', transcript); }
  characterGrew({ item_id: id, delta }) { this.grew(id, 'character', delta); }
  characterSaid({ item_id: id, transcript, text }) { this.said(id, 'character', transcript ?? text); }

  added({ item }) {
    const text = item.content?.map((part) => part.text ?? '').join(' ').trim();
    if (item.role === 'user' && text) this.said(item.id, 'trainee', text);
  }

  turned({ state }) { $('turn').textContent = state.replace('_', ' '); }
  felt({ state }) { $('feeling').textContent = state.intensity > 0.05 ? `${state.label}, ${Math.round(state.intensity * 100)} %` : 'calm'; }

  narrated({ kind, name }) {
    if (kind === 'section_entered') $('section').textContent = name.replaceAll(/[_-]/g, ' ');
    this.hands += 1;
    this.lines.set(`story-${this.hands}`, 'story', 'Story', `${kind.replaceAll('_', ' ')}: ${name.replaceAll(/[_-]/g, ' ')}`, this.now());
  }

  failed({ error }) { this.notice(error.message, true); }

  // -- what the instructor does ------------------------------------------------------------------------------------------

  instruct(action, more = {}) {
    if (!this.session?.send({ type: 'npc.instructor', action, ...more })) this.notice('Not connected; nothing was sent.', true);
  }

  hand(action, text, at = this.now()) {
    this.hands += 1;
    this.lines.set(`hand-${this.hands}`, 'hand', 'You', `${action.replaceAll('_', ' ')}${text ? `: ${text}` : ''}`, at);
  }

  notice(text, bad = false) {
    $('notice').textContent = text;
    $('notice').classList.toggle('bad', bad);
  }

  get kind() {
    return new FormData($('act')).get('kind');
  }

  bind() {
    $('session').addEventListener('change', ({ target }) => target.value && this.watch(target.value));
    $('pause').addEventListener('click', () => this.instruct(document.body.dataset.state === 'paused' ? 'resume' : 'pause'));
    $('bookmark').addEventListener('click', () => this.instruct('bookmark', $('words').value.trim() ? { text: $('words').value.trim() } : {}));
    $('end').addEventListener('click', () => confirm('End this attempt for the trainee?') && this.instruct('end'));
    $('level').addEventListener('change', ({ target }) => this.instruct('difficulty', { level: target.value }));
    $('act').addEventListener('change', () => {
      $('words').placeholder = PLACEHOLDERS[this.kind];
      $('speak').hidden = this.kind !== 'take_over';
    });
    $('act').addEventListener('submit', (event) => {
      event.preventDefault();
      const text = $('words').value.trim();
      if (!text) return this.notice('Write something first.', true);
      this.instruct(this.kind, { text });
      $('words').value = '';
    });
    $('key-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.ticket = $('key').value.trim();
      sessionStorage.setItem(KEY, this.ticket);
      this.start();
    });
    const speak = $('speak');
    speak.addEventListener('pointerdown', () => this.speak(true));
    for (const kind of ['pointerup', 'pointerleave']) speak.addEventListener(kind, () => this.speak(false));
    speak.addEventListener('keydown', ({ key, repeat }) => [' ', 'Enter'].includes(key) && !repeat && this.speak(true));
    speak.addEventListener('keyup', ({ key }) => [' ', 'Enter'].includes(key) && this.speak(false));
    setInterval(() => { $('elapsed').textContent = clock(this.now()); }, 500);
  }

  /** What is said while the button is held is recognised by the server and said in the character's voice. */
  async speak(on) {
    if (on === this.speaking) return;
    this.speaking = on;
    $('speak').setAttribute('aria-pressed', String(on));
    if (!on) {
      if (this.taken) this.instruct('release');
      this.taken = false;
      return;
    }
    try {
      if (!this.microphone.stream) await this.microphone.open();
      // Let go while the browser was asking, or pressed twice meanwhile.
      if (!this.speaking || this.taken) return;
      this.taken = true;
      this.instruct('take_over');
    } catch (error) {
      if (!(error instanceof MicrophoneError)) throw error;
      this.speaking = false;
      $('speak').setAttribute('aria-pressed', 'false');
      this.notice(error.message, true);
    }
  }
}

const HANDLERS = {
  'npc.instructed': 'instructed',
  'npc.rehearsal': 'rehearsal',
  'npc.assessment': 'assessment',
  'npc.turn': 'turned',
  'npc.emotion': 'felt',
  'npc.narrative': 'narrated',
  'conversation.item.added': 'added',
  'conversation.item.input_audio_transcription.delta': 'traineeGrew',
  'conversation.item.input_audio_transcription.completed': 'traineeSaid',
  'response.output_audio_transcript.delta': 'characterGrew',
  'response.output_audio_transcript.done': 'characterSaid',
  'response.output_text.delta': 'characterGrew',
  'response.output_text.done': 'characterSaid',
  error: 'failed',
};

const chair = new Chair();
globalThis.npcChair = chair;
await chair.start();
