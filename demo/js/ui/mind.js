/** The inside of the character: the emotion wheel, its dials, what it cited, what it remembers of the player, what it may tell. */

const COLOURS = {
  neutral: '#b9b0c4', joy: '#f2cf7c', trust: '#7fd3a6', fear: '#b59cff', surprise: '#86d7ff', sadness: '#86b8ff', disgust: '#a7c46a',
  anger: '#ff7f90', anticipation: '#ffb86b', curiosity: '#7fe0d4', concern: '#c2a2e8', amusement: '#ffd76e', pride: '#ffa94d', relief: '#9be3bd', shame: '#d7869c',
};

export const emotionColour = (label) => COLOURS[label] ?? COLOURS.neutral;

export class MindView {
  constructor({ wheel, dials, citations, memory, knowledge }) {
    Object.assign(this, { wheel, dials, citations, memory, knowledge });
    this.trail = [];
    this.state = { label: 'neutral', intensity: 0, valence: 0, arousal: 0, dominance: 0 };
  }

  emotion(state, player) {
    this.state = state;
    this.trail = [...this.trail, [state.valence, state.arousal]].slice(-24);
    const rows = [['feels', `${state.label} ${Math.round((state.intensity ?? 0) * 100)} %`], ['valence', signed(state.valence)], ['arousal', signed(state.arousal)], ['dominance', signed(state.dominance)]];
    if (player?.label) rows.push(['reads in you', player.label]);
    this.dials.replaceChildren(...rows.flatMap(([name, value]) => [element('dt', name), element('dd', value)]));
    this.draw();
  }

  draw() {
    if (this.wheel.offsetParent === null) return;
    const scale = globalThis.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.wheel;
    this.wheel.width = width * scale;
    this.wheel.height = height * scale;
    const context = this.wheel.getContext('2d');
    context.scale(scale, scale);
    const [cx, cy, r] = [width / 2, height / 2, Math.min(width, height) / 2 - 22];
    context.strokeStyle = '#39334a';
    for (const part of [1, 0.5]) {
      context.beginPath();
      context.arc(cx, cy, r * part, 0, 2 * Math.PI);
      context.stroke();
    }
    context.fillStyle = '#b9b0c4';
    context.font = '12px system-ui';
    context.textAlign = 'center';
    for (const [text, x, y] of [['lively', cx, cy - r - 8], ['calm', cx, cy + r + 16], ['unpleasant', cx - r * 0.62, cy + 4], ['pleasant', cx + r * 0.66, cy + 4]]) context.fillText(text, x, y);
    this.trail.forEach(([valence, arousal], index) => {
      context.globalAlpha = (index + 1) / this.trail.length;
      context.fillStyle = emotionColour(this.state.label);
      context.beginPath();
      context.arc(cx + valence * r, cy - arousal * r, index === this.trail.length - 1 ? 8 : 3, 0, 2 * Math.PI);
      context.fill();
    });
    context.globalAlpha = 1;
  }

  cited(citations, words) {
    const rows = citations.map(({ fact_id: fact, source, word_start: from, word_end: to }) => {
      const row = element('li', '');
      const quote = element('q', words.slice(from, to).join(' ') || fact);
      row.append(quote, element('br', ''), element('small', `${source || 'card'} · ${fact}`));
      return row;
    });
    if (rows.length) this.citations.replaceChildren(...rows);
  }

  remembered(entries) {
    const rows = entries.map((entry) => {
      const row = element('li', entry.text ?? String(entry));
      if (entry.when || entry.source) row.append(element('br', ''), element('small', [entry.when, entry.source].filter(Boolean).join(' · ')));
      return row;
    });
    this.memory.replaceChildren(...(rows.length ? rows : [Object.assign(element('li', 'Nothing yet.'), { className: 'empty' })]));
  }

  known(facts) {
    this.knowledge.replaceChildren(...facts.map((fact) => {
      const row = element('li', fact.text);
      row.append(element('br', ''), element('small', `${fact.source ?? 'card'} · ${fact.id}`));
      return row;
    }));
  }
}

const signed = (value) => `${value >= 0 ? '+' : '−'}${Math.abs(value ?? 0).toFixed(2)}`;

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
