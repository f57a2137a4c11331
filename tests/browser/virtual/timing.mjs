/**
 * node timing.mjs: how far the pose drawn is from the sound heard when the frame is seen, in ms. A JSON object by device.
 * Replies of 2-9 s with gaps, two minutes for each device.
 */
import { Machine, quantile, RATE } from './machine.mjs';

const DEVICES = {
  'built-in, 5 ms buffers': { buffer: 128, latency: 0.012 },
  'usual, 21 ms buffers': { buffer: 512, latency: 0.03 },
  'usual, browser without output time stamps': { buffer: 512, latency: 0.03, timestamps: false },
  'bluetooth, 43 ms buffers': { buffer: 1024, latency: 0.18 },
};

const report = {};
for (const [name, device] of Object.entries(DEVICES)) {
  const machine = await Machine.make({ ...device, seed: 7 });
  const errors = [];
  machine.onShown = ({ ordinal, sample, state, ear }) => {
    if (state === 'playing' && ear?.ordinal === ordinal) errors.push(((sample - ear.sample) / RATE) * 1000);
  };
  let time = 0.5;
  for (let ordinal = 1; time < 120; ordinal += 1) {
    const seconds = 2 + (ordinal * 1.7) % 7;
    machine.at(time, () => machine.speak(ordinal, seconds));
    time += seconds + 1;
  }
  machine.run(time);
  const sizes = errors.map(Math.abs);
  report[name] = { frames: errors.length, p50: quantile(sizes, 0.5), p95: quantile(sizes, 0.95), max: Math.max(...sizes), mean: errors.reduce((a, b) => a + b, 0) / errors.length };
}
console.log(JSON.stringify(report));
