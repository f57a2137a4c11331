/** The inside of the character: the emotion wheel, its dials, what it cited, what it remembers of the player, what it may tell. */
import { Wheel } from './wheel.js';

export { emotionColour } from './wheel.js';

const DIALS = [['intensity', 0, 1], ['valence', -1, 1], ['arousal', -1, 1], ['dominance', -1, 1]];
/** What a standing between two people is made of, as the memory gives it. */
const STANDING = { trust: 'trust', liking: 'liking', familiarity: 'knows you', stance: 'stance' };

export class MindView {
  constructor({ wheel, dials, citations, memory, knowledge }) {
    Object.assign(this, { dials, citations, memory, knowledge });
    this.wheel = new Wheel(wheel);
    this.facts = new Map();
    this.search = knowledge.querySelector('input');
    this.search.addEventListener('input', () => this.listFacts());
  }

  emotion(state, player) {
    this.wheel.feel(state);
    const rows = [['feels', text(state.label)], ...DIALS.map(([name, low, high]) => [name, dial(state[name] ?? 0, low, high)])];
    if (player?.label) rows.push(['reads in you', text(player.label)]);
    this.dials.replaceChildren(...rows.flatMap(([name, value]) => [element('dt', name), wrap('dd', value)]));
  }

  draw() {
    this.wheel.draw();
  }

  /** Each citation: the words it supports, and the source behind them, which opens. */
  cited(citations, words) {
    const rows = citations.map(({ fact_id: id, source, word_start: from, word_end: to }) => {
      const fact = this.facts.get(id);
      const details = document.createElement('details');
      const summary = document.createElement('summary');
      summary.append(element('q', words.slice(from, to).join(' ') || fact?.text || id), element('small', ` ${source || fact?.source || 'character card'}`));
      details.append(summary, element('p', fact?.text ?? 'From a document of this character; the passage itself is not in the public list.'), element('small', `fact ${id}`));
      const link = /^https?:\/\//.test(source ?? '') ? Object.assign(element('a', 'Open the source'), { href: source, target: '_blank', rel: 'noreferrer' }) : this.showInList(id, fact);
      details.append(link);
      return wrap('li', details);
    });
    if (rows.length) this.citations.replaceChildren(...rows);
  }

  showInList(id, fact) {
    const button = Object.assign(element('button', fact ? 'Show it among all facts' : ''), { className: 'ghost', hidden: !fact, type: 'button' });
    button.addEventListener('click', () => {
      this.knowledge.open = true;
      this.search.value = '';
      this.listFacts();
      const row = this.knowledge.querySelector(`[data-fact="${CSS.escape(id)}"]`);
      row?.scrollIntoView({ block: 'center' });
      row?.focus();
    });
    return button;
  }

  /** What `GET /v1/players/{id}/memory` says: {memories, turns, standing}. */
  remembered({ memories = [], turns = [], standing = {} }) {
    const rows = memories.map((entry) => {
      const row = element('li', entry.text ?? String(entry));
      const small = [entry.kind, entry.when, entry.source].filter(Boolean).join(' · ');
      if (small) row.append(element('small', small));
      return row;
    });
    const known = Object.entries(standing).filter(([, value]) => typeof value === 'number');
    if (known.length) rows.unshift(wrap('li', ...known.map(([name, value]) => wrap('span', text(`${STANDING[name] ?? name} `), dial(value, -1, 1)))));
    if (turns.length) rows.push(element('li', `${turns.length} turns of talk kept`));
    this.memory.replaceChildren(...(rows.length ? rows : [Object.assign(element('li', 'Nothing yet.'), { className: 'empty' })]));
  }

  known(facts) {
    this.facts = new Map(facts.map((fact) => [fact.id, fact]));
    this.knowledge.querySelector('summary span').textContent = `${facts.length}`;
    this.search.value = '';
    this.listFacts();
    this.citations.replaceChildren(Object.assign(element('li', 'No fact cited yet.'), { className: 'empty' }));
  }

  listFacts() {
    const wanted = this.search.value.trim().toLowerCase();
    const rows = [...this.facts.values()].filter((fact) => `${fact.text} ${fact.source} ${fact.id}`.toLowerCase().includes(wanted)).map((fact) => {
      const row = element('li', fact.text);
      row.append(element('small', `${fact.source ?? 'card'} · ${fact.id}`));
      row.dataset.fact = fact.id;
      row.tabIndex = -1;
      return row;
    });
    this.knowledge.querySelector('ul').replaceChildren(...(rows.length ? rows : [Object.assign(element('li', 'No fact with these words.'), { className: 'empty' })]));
  }
}

/** A value between its ends, drawn and written. */
function dial(value, low, high) {
  const made = document.createElement('span');
  made.className = 'dial';
  const at = (x) => ((Math.min(high, Math.max(low, x)) - low) / (high - low)) * 100;
  const [from, to] = [at(0), at(value)];
  const bar = document.createElement('i');
  bar.style.left = `${Math.min(from, to)}%`;
  bar.style.width = `${Math.abs(to - from)}%`;
  const track = wrap('span', bar);
  track.className = 'rail';
  made.append(track, element('output', low < 0 ? `${value >= 0 ? '+' : '−'}${Math.abs(value).toFixed(2)}` : value.toFixed(2)));
  return made;
}

const text = (value) => document.createTextNode(value);

function element(tag, content) {
  const made = document.createElement(tag);
  made.textContent = content;
  return made;
}

function wrap(tag, ...children) {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}
