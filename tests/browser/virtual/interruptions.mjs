/**
 * node interruptions.mjs [COUNT]: a reply is flushed at a random moment, COUNT times in a row; the last one is left to finish. JSON:
 * the longest time in ms until the device's output was silent and until the lips were at rest, cues and frames of a flushed reply
 * applied afterwards, and how far the jaw still moved in the last reply.
 */
import { BLENDSHAPES } from '../../../demo/js/client/constants.js';
import { Machine } from './machine.mjs';

const count = Number(process.argv[2] ?? 20);
const jaw = BLENDSHAPES.indexOf('jawOpen');
const machine = await Machine.make({ buffer: 128, latency: 0.012, seed: 11 });
const report = { silent_ms: 0, rest_ms: 0, stale: 0, last_jaw: 0, interrupted: 0 };
let open = 0;
let flushed = { ordinal: null, time: 0 };
machine.onShown = ({ shown, ordinal, pose }) => {
  open = Math.max(...Array.from(pose.weights).filter((_, c) => !/^eye/.test(BLENDSHAPES[c])));
  if (ordinal === flushed.ordinal) {
    if (open > 0.01) report.rest_ms = Math.max(report.rest_ms, (shown - flushed.time) * 1000);
    report.stale += pose.due.length;
  } else if (ordinal === count) report.last_jaw = Math.max(report.last_jaw, pose.weights[jaw]);
};
let time = 0.5;
for (let ordinal = 1; ordinal <= count; ordinal += 1) {
  machine.at(time, () => {
    machine.speak(ordinal, 4);
    machine.performer.cues(ordinal, [0.5, 1.5, 2.5, 3.5].map((at) => ({ kind: 'head', name: 'nod', at: at * 24000 })));
  });
  if (ordinal === count) break;
  const cut = time + 0.6 + machine.random.unit() * 2;
  machine.at(cut, () => {
    report.interrupted += Number(machine.clock.state === 'playing');
    flushed = { ordinal, time: machine.wall };
    machine.flush(ordinal);
    const after = machine.frames;
    machine.at(cut + 1, () => {
      const loud = machine.blocks.filter((block) => block.context * 24000 >= after && block.loud > 0 && block.ordinal === ordinal);
      if (loud.length) report.silent_ms = Math.max(report.silent_ms, ((loud.at(-1).context * 24000 + 128 - after) / 24) + 1000 * (after / 24000 / machine.speed - flushed.time));
    });
  });
  time = cut + 1.2;
}
machine.run(time + 6);
console.log(JSON.stringify(report));
