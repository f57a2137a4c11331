/**
 * node handlers.mjs: a handler of the page breaks on a message, and an action comes with arguments that are no JSON; then another
 * conversation begins. JSON: what is said of them, and what is done of the action.
 */
import { RealtimeSession } from '../../../demo/js/client/session.js';
import { Actor } from '../../../demo/js/scene/actor.js';

const session = new RealtimeSession({ url: 'ws://host/v1/realtime', openSocket: () => ({}), now: () => 0 });
const report = { problems: [], thrown: null, told: [], sent: 0 };
session.on('problem', (text) => report.problems.push(text));
session.on('broken', () => { JSON.parse('{'); });
try {
  session.receiveText('{"type": "broken"}');
} catch (error) {
  report.thrown = error.name;
}
session.receiveText('{"type":');
session.receiveText('7');
const actor = new Actor({ send: () => { report.sent += 1; }, tell: (_id, line) => report.told.push(line), changed() {} });
actor.things = [{ id: 'rope', name: 'coil of rope' }];
actor.announce({ call_id: 'c', name: 'sell_rope', arguments: 'rope please' }, 1);
actor.forget();
actor.over(1);
report.done = actor.done.size;
console.log(JSON.stringify(report));
