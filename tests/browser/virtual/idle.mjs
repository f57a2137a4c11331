/** node idle.mjs: idle life frame by frame and in one leap to the same moment, after a day. JSON: whether both agree, and what is remembered. */
import { IdleMotion } from '../../../demo/js/client/idle.js';

const day = 24 * 3600 * 1000;
const [walked, leapt] = [new IdleMotion(7), new IdleMotion(7)];
for (let t = 0; t <= day; t += 1000) walked.at(t);
const same = [...Array(600).keys()].every((k) => JSON.stringify(walked.at(day + k * 16.7)) === JSON.stringify(leapt.at(day + k * 16.7)));
console.log(JSON.stringify({ same, blinks: walked.blinks.length, saccades: walked.saccades.length }));
