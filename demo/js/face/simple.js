/** A drawn face for browsers without WebGL: the same 52 channels, on a 2D canvas. */
export class SimpleFace {
  constructor(canvas, channels) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.index = new Map(channels.map((name, i) => [name, i]));
    this.missing = null;
  }

  async load() {
    return null;
  }

  draw({ weights, head }) {
    const { canvas, context } = this;
    const scale = globalThis.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    const size = Math.min(canvas.width, canvas.height) * 0.34;
    const w = (name) => weights[this.index.get(name)] ?? 0;
    context.save();
    context.translate(canvas.width / 2 + head.yaw * size * 0.5, canvas.height * 0.46 - head.pitch * size * 0.5);
    context.rotate(head.roll);
    this.ellipse(0, 0, size * 0.86, size, '#e2a37f');
    for (const [side, name] of [[1, 'Left'], [-1, 'Right']]) this.eye(side * size * 0.34, -size * 0.14, size * 0.15, name, w);
    this.mouth(size, w);
    context.restore();
  }

  ellipse(x, y, rx, ry, fill) {
    this.context.beginPath();
    this.context.ellipse(x, y, Math.max(0.1, rx), Math.max(0.1, ry), 0, 0, 2 * Math.PI);
    this.context.fillStyle = fill;
    this.context.fill();
  }

  eye(x, y, r, side, w) {
    const open = Math.max(0.04, 1 - w(`eyeBlink${side}`) + 0.3 * w(`eyeWide${side}`) - 0.3 * w(`eyeSquint${side}`));
    const sideways = side === 'Left' ? w('eyeLookOutLeft') - w('eyeLookInLeft') : w('eyeLookInRight') - w('eyeLookOutRight');
    this.ellipse(x, y, r, r * 0.8 * open, '#fbf8f2');
    if (open > 0.2) this.ellipse(x + sideways * r * 0.5, y + (w(`eyeLookDown${side}`) - w(`eyeLookUp${side}`)) * r * 0.4, r * 0.4, r * 0.4 * Math.min(1, open * 1.4), '#3c2f2a');
    const lift = (0.6 * w('browInnerUp') + w(`browOuterUp${side}`) - w(`browDown${side}`)) * r * 0.8;
    this.context.fillStyle = '#5a3a2a';
    this.context.fillRect(x - r, y - r * 1.5 - lift, r * 2, r * 0.22);
  }

  mouth(size, w) {
    const opening = Math.max(0, w('jawOpen') - w('mouthClose')) * size * 0.5;
    const smile = (w('mouthSmileLeft') + w('mouthSmileRight') - w('mouthFrownLeft') - w('mouthFrownRight')) * size * 0.09;
    const wide = size * (0.3 + 0.07 * (w('mouthStretchLeft') + w('mouthSmileLeft')) - 0.13 * Math.max(w('mouthPucker'), w('mouthFunnel')));
    const { context } = this;
    context.beginPath();
    context.moveTo(-wide, size * 0.46 - smile);
    context.quadraticCurveTo(0, size * 0.44 + smile * 0.4 - opening * 0.35, wide, size * 0.46 - smile);
    context.quadraticCurveTo(0, size * 0.5 + smile + opening, -wide, size * 0.46 - smile);
    context.fillStyle = '#5b1f22';
    context.fill();
    context.lineWidth = size * 0.035;
    context.strokeStyle = '#b5584f';
    context.stroke();
  }
}
