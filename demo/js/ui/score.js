/** The performance score drawn: words, mouth shapes, feeling, gestures and deeds of one reply over its samples, with a playhead. */

const ROWS = [
  { kind: 'word', label: 'words', height: 46, colour: '#f6f1e7' },
  { kind: 'viseme', label: 'mouth', height: 60, colour: '#ff9d5c' },
  { kind: 'emotion', label: 'feeling', height: 36, colour: '#f2cf7c' },
  { kind: 'body', label: 'body', height: 46, colour: '#86b8ff' },
  { kind: 'action', label: 'deeds', height: 36, colour: '#7fd3a6' },
];
const LABEL_WIDTH = 58;

export class ScoreView {
  constructor(canvas, legend) {
    this.canvas = canvas;
    this.legend = legend;
    this.ordinal = null;
    this.cues = [];
    this.rate = 24000;
    this.playhead = 0;
  }

  add(ordinal, cues, rate) {
    if (ordinal !== this.ordinal) {
      this.ordinal = ordinal;
      this.cues = [];
    }
    this.rate = rate;
    this.cues.push(...cues);
  }

  /** Draw with the playhead at sample `played`; cheap to call when the view is hidden. */
  draw(ordinal, played) {
    if (this.canvas.offsetParent === null || !this.cues.length) return;
    if (ordinal === this.ordinal) this.playhead = played;
    const scale = globalThis.devicePixelRatio || 1;
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    if (this.canvas.width !== Math.round(width * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
    }
    const context = this.canvas.getContext('2d');
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const span = Math.max(...this.cues.map((cue) => cue.until ?? cue.at), this.rate);
    const x = (sample) => LABEL_WIDTH + ((width - LABEL_WIDTH - 4) * sample) / span;
    let top = 4;
    for (const row of ROWS) {
      this.drawRow(context, row, top, width, x);
      top += row.height + 8;
    }
    context.fillStyle = '#ff7f90';
    context.fillRect(x(Math.min(Math.max(0, this.playhead), span)), 0, 1.5, top);
    this.legend.textContent = `${(span / this.rate).toFixed(1)} s, ${this.cues.length} cues`;
  }

  drawRow(context, row, top, width, x) {
    context.fillStyle = '#221d2e';
    context.fillRect(LABEL_WIDTH, top, width - LABEL_WIDTH, row.height);
    context.fillStyle = '#b9b0c4';
    context.font = '12px system-ui';
    context.textBaseline = 'middle';
    context.fillText(row.label, 0, top + row.height / 2);
    let lane = 0;
    for (const cue of this.cues) {
      if (cue.kind !== row.kind) continue;
      const left = x(cue.at);
      const wide = Math.max(2, x(cue.until ?? cue.at) - left - 1);
      const tall = row.kind === 'viseme' ? Math.max(3, (cue.weight ?? 1) * (row.height - 16)) : row.height - 10;
      context.globalAlpha = row.kind === 'viseme' ? 0.85 : 0.3;
      context.fillStyle = row.colour;
      context.fillRect(left, top + row.height - 4 - tall, wide, tall);
      context.globalAlpha = 1;
      if (!cue.name) continue;
      context.save();
      context.beginPath();
      context.rect(left, top, row.kind === 'viseme' ? wide + 8 : Math.max(wide, 64), row.height);
      context.clip();
      context.fillStyle = row.kind === 'viseme' ? '#2a1206' : '#f6f1e7';
      context.fillText(cue.name, left + 2, top + (row.kind === 'viseme' ? row.height - 12 : 12 + (lane % 2) * 16));
      context.restore();
      lane += 1;
    }
  }
}
