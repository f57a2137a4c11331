/** The emotion wheel: the fifteen feelings where they lie in valence and arousal, and the path of the character among them. */

const COLOURS = {
  neutral: '#b9b0c4', joy: '#f2cf7c', trust: '#7fd3a6', fear: '#b59cff', surprise: '#86d7ff', sadness: '#86b8ff', disgust: '#a7c46a',
  anger: '#ff7f90', anticipation: '#ffb86b', curiosity: '#7fe0d4', concern: '#c2a2e8', amusement: '#ffd76e', pride: '#ffa94d', relief: '#9be3bd', shame: '#d7869c',
};
/** Where the names stand on the rim, in turns from "pleasant" counter-clockwise: a drawing's order, by pleasantness and liveliness. */
const RIM = [['joy', 0.06], ['amusement', 0.115], ['anticipation', 0.17], ['curiosity', 0.225], ['surprise', 0.28], ['fear', 0.36], ['anger', 0.425], ['disgust', 0.49], ['shame', 0.555], ['sadness', 0.625], ['concern', 0.695], ['relief', 0.83], ['trust', 0.9], ['pride', 0.97]];
const STEPS = 24;

export const emotionColour = (label) => COLOURS[label] ?? COLOURS.neutral;

export class Wheel {
  constructor(canvas) {
    this.canvas = canvas;
    this.trail = [];
    this.state = { label: 'neutral', intensity: 0, valence: 0, arousal: 0 };
  }

  feel(state) {
    this.state = state;
    this.trail = [...this.trail, [state.valence ?? 0, state.arousal ?? 0, state.label]].slice(-STEPS);
    this.canvas.setAttribute('aria-label', `Emotion wheel: ${state.label}, valence ${(state.valence ?? 0).toFixed(2)}, arousal ${(state.arousal ?? 0).toFixed(2)}`);
    this.draw();
  }

  draw() {
    if (this.canvas.offsetParent === null) return;
    const scale = globalThis.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.canvas.width = width * scale;
    this.canvas.height = height * scale;
    const context = this.canvas.getContext('2d');
    context.scale(scale, scale);
    context.translate(width / 2, height / 2);
    const r = Math.min((width - 150) / 2, height / 2 - 26);
    this.rim(context, r);
    context.strokeStyle = '#4a4360';
    for (const part of [1, 0.5]) circle(context, 0, 0, r * part, 'stroke');
    for (const [x, y] of [[r, 0], [0, r]]) {
      context.beginPath();
      context.moveTo(-x, -y);
      context.lineTo(x, y);
      context.stroke();
    }
    this.path(context, r);
  }

  rim(context, r) {
    context.font = '11.5px system-ui';
    context.textBaseline = 'middle';
    for (const [label, turn] of RIM) {
      const [x, y] = [Math.cos(2 * Math.PI * turn), -Math.sin(2 * Math.PI * turn)];
      context.globalAlpha = label === this.state.label ? 1 : 0.85;
      context.fillStyle = emotionColour(label);
      circle(context, x * r, y * r, label === this.state.label ? 5 : 3, 'fill');
      context.textAlign = x > 0.12 ? 'left' : x < -0.12 ? 'right' : 'center';
      context.fillStyle = label === this.state.label ? '#f6f1e7' : '#b9b0c4';
      context.fillText(label, x * (r + 9), y * (r + 12));
    }
    context.globalAlpha = 1;
  }

  path(context, r) {
    context.lineWidth = 1.5;
    context.strokeStyle = '#8b83a0';
    context.beginPath();
    this.trail.forEach(([valence, arousal], i) => context[i ? 'lineTo' : 'moveTo'](valence * r, -arousal * r));
    context.stroke();
    this.trail.forEach(([valence, arousal, label], i) => {
      const last = i === this.trail.length - 1;
      context.globalAlpha = last ? 1 : 0.25 + (0.5 * i) / this.trail.length;
      context.fillStyle = emotionColour(label);
      circle(context, valence * r, -arousal * r, last ? 6 + 6 * (this.state.intensity ?? 0) : 2.5, 'fill');
    });
    context.globalAlpha = 1;
  }
}

function circle(context, x, y, r, how) {
  context.beginPath();
  context.arc(x, y, r, 0, 2 * Math.PI);
  context[how]();
}
