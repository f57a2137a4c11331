/** Latency: the stages of the last turn as bars on one axis, and the voice-to-voice time of the turns before. */

/** The stages of `npc.metrics` up to the first sound, in order; others (the end of the reply, sums) are no part of the way. */
const NAMES = {
  decided: 'deciding you are done', transcribed: 'last words heard', mind_started: 'mind begins', first_clause: 'first clause thought',
  first_audio: 'first sound made', first_sent: 'first sound sent', playback_start: 'first sound played',
};
const SLOW_MS = 800;

export class Waterfall {
  constructor(box, history) {
    this.box = box;
    this.history = history;
    this.turns = [];
  }

  /** Take `npc.metrics`: stage ends in ms from the player's last sound, and the milliseconds this page needed to play (or null). */
  measured(ends, playout, speculation) {
    const marks = Object.keys(NAMES).filter((name) => name in ends).map((name) => [name, ends[name]]).sort(([, a], [, b]) => a - b);
    const stages = marks.map(([name, end], i) => ({ name, start_ms: i ? marks[i - 1][1] : 0, end_ms: end }));
    const sent = marks.length ? marks.at(-1)[1] : null;
    if (sent !== null && playout !== null) stages.push({ name: 'playback_start', start_ms: sent, end_ms: sent + playout });
    this.show(stages, sent === null ? null : sent + (playout ?? 0), speculation);
  }

  /** `stages` is [{name, start_ms, end_ms}] from the player's last sound; `total` the voice-to-voice milliseconds or null. */
  show(stages, total, speculation) {
    const end = Math.max(total ?? 0, ...stages.map((stage) => stage.end_ms), 1);
    const bars = document.createElement('div');
    bars.className = 'bars';
    for (const { name, start_ms: start, end_ms: stop } of stages) {
      const row = document.createElement('div');
      row.className = name === 'decided' ? 'wait' : '';
      row.append(cell('span', NAMES[name] ?? name.replaceAll('_', ' ')), this.track(start / end, stop / end), cell('output', `${Math.round(stop - start)} ms`));
      bars.append(row);
    }
    const figure = cell('p', total === null ? '–' : `${Math.round(total)}`);
    figure.className = 'figure';
    figure.append(cell('small', total === null ? ' not measured' : ' ms voice to voice'));
    const won = cell('p', speculation ? `Thinking ahead won ${Math.round(speculation.won_ms ?? 0)} ms; ${speculation.wasted ?? 0} drafts thrown away.` : '');
    won.className = 'note';
    this.box.replaceChildren(figure, bars, won);
    if (total !== null) this.remember(total);
  }

  track(from, to) {
    const track = document.createElement('span');
    track.className = 'track';
    const bar = document.createElement('i');
    bar.style.left = `${Math.max(0, from) * 100}%`;
    bar.style.width = `${Math.max(0, to - Math.max(0, from)) * 100}%`;
    track.append(bar);
    return track;
  }

  remember(total) {
    this.turns = [...this.turns, total].slice(-16);
    const top = Math.max(...this.turns, SLOW_MS);
    this.history.replaceChildren(...this.turns.map((value) => {
      const bar = document.createElement('i');
      bar.style.height = `${(value / top) * 100}%`;
      bar.className = value > SLOW_MS ? 'slow' : '';
      bar.title = `${Math.round(value)} ms`;
      return bar;
    }));
  }
}

function cell(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
