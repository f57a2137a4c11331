/**
 * node soak.mjs [MINUTES]: one item as long as the soak on devices 200 ppm fast and slow; the offset between pose and sound in the
 * first and in the last minute, and the worst minute between them. JSON by skew, milliseconds.
 */
import { Machine, quantile, RATE } from './machine.mjs';

const minutes = Number(process.argv[2] ?? 30);
const report = {};
for (const ppm of [200, -200]) {
  const machine = await Machine.make({ ppm, seed: 3 });
  const byMinute = Array.from({ length: minutes }, () => []);
  machine.onShown = ({ shown, ordinal, sample, state, ear }) => {
    if (state === 'playing' && ear?.ordinal === ordinal) byMinute[Math.min(minutes - 1, Math.floor(shown / 60))].push(((sample - ear.sample) / RATE) * 1000);
  };
  machine.speak(1, minutes * 60);
  machine.run(minutes * 60);
  const medians = byMinute.map((errors) => quantile(errors, 0.5));
  const sizes = byMinute.flat().map(Math.abs);
  report[ppm] = { drift: medians.at(-1) - medians[0], worst_minute: Math.max(...medians.map(Math.abs)), p95: quantile(sizes, 0.95), frames: sizes.length, underruns: machine.worklet.underruns };
}
console.log(JSON.stringify(report));
