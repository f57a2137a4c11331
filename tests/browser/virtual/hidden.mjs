/**
 * node hidden.mjs: the page is hidden for four seconds of a reply, in which its sound goes on. JSON: ms between pose and sound in the
 * first frames after it is shown again, head moves then under way (nods of the hidden time must not all be made up for), and how far
 * the jaw moved before and after.
 */
import { BLENDSHAPES } from '../../../demo/js/client/constants.js';
import { Machine, RATE } from './machine.mjs';

const jaw = BLENDSHAPES.indexOf('jawOpen');
const machine = await Machine.make({ seed: 5 });
const report = { first_ms: 0, moves: 0, jaw_before: 0, jaw_after: 0 };
let after = 0;
machine.onShown = ({ shown, ordinal, sample, state, ear, pose }) => {
  if (state !== 'playing' || ear?.ordinal !== ordinal) return;
  const side = shown < 3 ? 'jaw_before' : 'jaw_after';
  report[side] = Math.max(report[side], pose.weights[jaw]);
  if (shown < 6.5) return;
  after += 1;
  if (after > 3) return;
  report.first_ms = Math.max(report.first_ms, Math.abs(((sample - ear.sample) / RATE) * 1000));
  report.moves = Math.max(report.moves, machine.performer.moves.length);
};
machine.at(0.5, () => {
  machine.speak(1, 9);
  machine.performer.cues(1, [3, 3.5, 4, 4.5, 5].map((at) => ({ kind: 'head', name: 'nod', at: at * RATE, until: (at + 0.4) * RATE })));
});
machine.at(2.5, () => { machine.hidden = true; });
machine.at(6.5, () => { machine.hidden = false; });
machine.run(11);
console.log(JSON.stringify(report));
