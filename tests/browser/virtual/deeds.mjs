/** node deeds.mjs ACTION ARGUMENTS THINGS (both JSON): what the stage makes of an action. */
import { deedOf } from '../../../demo/js/scene/deeds.js';

const [, , action, given, things] = process.argv;
console.log(JSON.stringify(deedOf(action, JSON.parse(given), JSON.parse(things))));
