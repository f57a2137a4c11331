/**
 * Scenario mode: choose a scenario, read the briefing, rehearse it by talking, see how it stands, and go to the report.
 *
 *   CHOOSING ──begin──▶ RUNNING ──story over, time up, or "End"──▶ FINISHED ──▶ review.html?attempt=…
 *      ▲                   └─ page reloaded or server lost: the attempt goes on from its last finished turn
 *      └──────────────── leave
 */
import { api, launch } from '../server.js';

const KEY = 'npc.attempt';
const OUTCOMES = { completed: 'You brought it to its end.', failed: 'It ended badly.', timeout: 'The time is up.', abandoned: 'You ended it before its end.', ended_by_instructor: 'Your instructor ended it.' };
const STATES = { met: 'met', not_met: 'not met', not_observed: 'not yet' };
/** The trigger by which a trainee ends an attempt. */
const LEAVE = 'end_attempt';
/** What an `error` about the attempt that was asked for names. */
const ATTEMPT = 'session.npc.rehearsal.attempt';
/** A page that was reloaded finds its attempt still held by the session before it, until the server gives that up. */
const HELD = /running in another session/;
const RETRY_MS = 4000;
const RETRIES = 45;

const element = (tag, text = '', properties = {}) => Object.assign(document.createElement(tag), { textContent: text, ...properties });
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

export class Rehearsal {
  /** `open(scenario or null)` begins a conversation with or without a scenario; `send(event)` goes to the server. */
  constructor({ dialog, view, tab, button, show, open, send }) {
    Object.assign(this, { dialog, view, tab, button, show, open, send });
    this.scenarios = [];
    this.scenario = null;
    this.attempt = null;
    this.items = new Map();
    this.tries = 0;
    this.part = (name) => this.dialog.querySelector(`[data-part="${name}"]`) ?? this.view.querySelector(`[data-part="${name}"]`);
    button.addEventListener('click', () => this.choose());
    this.part('cancel').addEventListener('click', () => this.dialog.close());
    this.part('begin').addEventListener('click', () => this.begin());
    this.part('end').addEventListener('click', () => this.send({ type: 'npc.event', trigger: LEAVE }));
    this.part('leave').addEventListener('click', () => this.leave());
    setInterval(() => this.tick(), 500);
  }

  /** List the server's scenarios. Resolves to the one that `?scenario=` names and that can go on by itself, else null. */
  async offer() {
    this.scenarios = (await api('v1/scenarios'))?.data ?? [];
    this.button.hidden = !this.scenarios.length;
    const asked = new URLSearchParams(location.search).get('scenario');
    if (asked) this.choose(asked);
  }

  choose(id = this.scenario?.id) {
    this.part('list').replaceChildren(...this.scenarios.map((one, k) => this.card(one, id ? one.id === id : k === 0)));
    this.brief();
    this.dialog.showModal();
  }

  card(scenario, checked) {
    const label = element('label', '', { className: 'card' });
    const radio = element('input', '', { type: 'radio', name: 'scenario', value: scenario.id, checked });
    radio.addEventListener('change', () => this.brief());
    const words = element('span');
    words.append(element('strong', scenario.title), element('small', scenario.summary), element('small', `${scenario.character.name}, ${scenario.character.role} · ${scenario.minutes} min · ${scenario.sector}`));
    label.append(radio, words);
    return label;
  }

  get chosen() {
    const id = this.dialog.querySelector('[name=scenario]:checked')?.value;
    return this.scenarios.find((one) => one.id === id) ?? this.scenarios[0];
  }

  /** What the trainee is told before it begins. */
  brief() {
    const { chosen } = this;
    if (!chosen) return;
    this.part('role').textContent = chosen.trainee.name;
    this.part('brief').textContent = chosen.trainee.brief;
    this.part('knows').replaceChildren(...chosen.trainee.knows.map((text) => element('li', text)));
    this.part('objectives').replaceChildren(...chosen.objectives.map((text) => element('li', text)));
    const level = this.part('level');
    level.replaceChildren(...chosen.levels.map(({ name, label }) => new Option(label, name)));
    level.value = launch()?.level ?? chosen.default_level;
    this.part('consent-row').hidden = chosen.privacy.audio !== 'consent';
    const kept = chosen.privacy.retention_days ? `kept for ${chosen.privacy.retention_days} days` : 'not kept';
    this.part('privacy').textContent = `The words of this attempt are ${kept}. ${chosen.privacy.emotion ? 'How you feel is estimated from your words.' : 'How you feel is not inferred.'} ${chosen.warnings.map((text) => text.replace(/^\S+: /, '')).join(' ')}`;
    this.part('begin').textContent = this.unfinished(chosen.id) ? 'Go on where you stopped' : 'Begin';
  }

  unfinished(id) {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? 'null');
    return kept?.scenario === id ? kept : null;
  }

  async begin() {
    this.scenario = this.chosen;
    const kept = this.unfinished(this.scenario.id);
    this.attempt = kept?.attempt ?? null;
    this.status = null;
    this.level = kept?.level ?? this.part('level').value;
    this.consent = this.part('consent').checked && !this.part('consent-row').hidden;
    this.items = new Map(this.scenario.rubric.items.map((item) => [item.id, { ...item, state: 'not_observed' }]));
    this.dialog.close();
    this.draw();
    this.rehearsing(true);
    await this.open(this.scenario);
    this.show();
  }

  /** A trainee sees the task, not the inside of the other person. */
  rehearsing(on) {
    this.tab.hidden = !on;
    document.body.classList.toggle('rehearsing', on);
    for (const name of ['mind', 'score']) document.getElementById(`tab-${name}`).hidden = on;
  }

  /** The part of `session.npc` that begins the scenario, or goes on with its attempt. */
  get wish() {
    if (!this.scenario) return {};
    return { scenario: this.scenario.id, rehearsal: { level: this.level, consent: { audio: this.consent }, ...(this.attempt ? { attempt: this.attempt } : {}) } };
  }

  /** An `error` of the server; true when it is about our attempt and is being mended. One that is over or gone is begun anew. */
  refused({ message, param }) {
    if (!this.scenario || !this.attempt || param !== ATTEMPT) return false;
    if (!HELD.test(message) || this.tries >= RETRIES) {
      sessionStorage.removeItem(KEY);
      this.attempt = null;
      this.open(this.scenario);
      return false;
    }
    this.tries += 1;
    this.part('clock').textContent = 'Your last visit is being closed; it goes on in a moment.';
    setTimeout(() => this.scenario && this.open(this.scenario), RETRY_MS);
    return true;
  }

  draw() {
    const { scenario } = this;
    this.part('title').textContent = scenario.title;
    this.part('told').textContent = `${scenario.trainee.name}. ${scenario.trainee.brief}`;
    this.part('facts').replaceChildren(...scenario.trainee.knows.map((text) => element('li', text)));
    this.part('goals').replaceChildren(...scenario.objectives.map((text) => element('li', text)));
    this.part('actions').replaceChildren(...scenario.actions.map(({ name, label, description }) => {
      const made = element('button', label ?? name.replaceAll('_', ' '), { className: 'ghost', title: description });
      made.addEventListener('click', () => {
        this.send({ type: 'npc.event', trigger: name, text: description });
        made.dataset.done = 'true';
      });
      return made;
    }));
    this.part('result').hidden = true;
    this.part('end').hidden = false;
    this.drawItems();
  }

  drawItems() {
    const items = [...this.items.values()];
    this.part('count').textContent = `${items.filter(({ state }) => state === 'met').length} of ${items.length}`;
    this.part('items').replaceChildren(...items.map(({ description, state, reason }) => {
      const row = element('li');
      row.dataset.state = state;
      row.append(element('b', STATES[state] ?? state), element('span', description));
      if (reason && state !== 'not_observed') row.append(element('small', reason));
      return row;
    }));
  }

  /** `npc.assessment`: an item was judged, again and again as the talk goes on. */
  assessed({ rubric_item: id, state, reason }) {
    const item = this.items.get(id);
    if (!item) return;
    Object.assign(item, { state: state ?? item.state, reason });
    this.drawItems();
  }

  /** `npc.narrative`: an objective of the story was met. */
  told({ kind, name, detail }) {
    if (!this.scenario || kind !== 'objective_met') return;
    const row = element('li', detail?.text ?? name.replaceAll('_', ' '));
    row.dataset.state = 'met';
    this.part('goals').append(row);
  }

  /** `npc.rehearsal`: where the attempt stands. */
  stands(event) {
    if (!this.scenario) return;
    this.attempt = event.attempt;
    this.tries = 0;
    this.status = { ...event, at: performance.now() };
    this.tick();
    if (event.state !== 'finished') {
      sessionStorage.setItem(KEY, JSON.stringify({ scenario: event.scenario, attempt: event.attempt, level: event.level }));
      return;
    }
    sessionStorage.removeItem(KEY);
    this.finish(event);
  }

  finish({ attempt, outcome, score, passed }) {
    this.part('end').hidden = true;
    const result = this.part('result');
    const report = element('a', 'Open the report', { href: `review.html?attempt=${encodeURIComponent(attempt)}`, className: 'button' });
    const points = element('p', typeof score === 'number' ? `${Math.round(score)}` : '–', { className: 'figure' });
    points.append(element('small', ` of 100${typeof passed === 'boolean' ? (passed ? ', passed' : ', not passed') : ''}`));
    result.replaceChildren(element('p', OUTCOMES[outcome] ?? outcome), points, report);
    result.hidden = false;
    this.view.scrollTop = 0;
    this.show();
    if (launch()) location.assign(report.href);
  }

  tick() {
    const { status } = this;
    if (!status || !this.scenario) return;
    const running = status.state === 'running' ? (performance.now() - status.at) / 1000 : 0;
    const level = this.scenario.levels.find(({ name }) => name === status.level)?.label ?? status.level;
    const words = { paused: 'paused by your instructor', finished: 'finished' }[status.state];
    this.part('clock').textContent = [clock(status.elapsed_s + running), `of about ${this.scenario.minutes} min`, level, words, status.audio_kept ? 'sound is recorded' : ''].filter(Boolean).join(' · ');
  }

  /** Back to free talk. */
  async leave() {
    this.scenario = this.attempt = this.status = null;
    this.rehearsing(false);
    await this.open(null);
    this.show('talk');
  }
}
