/**
 * node rehearsal.mjs MESSAGE: a page goes on with an attempt that it had kept, and the server refuses it with MESSAGE. JSON: which attempts
 * the page asked for, one after the other, and what it keeps.
 */
const element = () => ({ addEventListener() {}, replaceChildren() {}, append() {}, dataset: {}, classList: { toggle() {} }, querySelector: () => ({ value: 'walk-out' }), close() {}, checked: false, hidden: true });
const kept = new Map([['npc.attempt', JSON.stringify({ scenario: 'walk-out', attempt: 'old', level: 'plain' })]]);
const parts = new Map();
const place = { ...element(), querySelector: (name) => (name.startsWith('[data-part') ? parts.get(name) ?? parts.set(name, element()).get(name) : { value: 'walk-out' }) };
Object.assign(globalThis, {
  sessionStorage: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) },
  document: { createElement: element, getElementById: element, body: element() }, setInterval() {}, setTimeout() {},
});
const { Rehearsal } = await import('../../../demo/js/ui/rehearsal.js');
const asked = [];
const rehearsal = new Rehearsal({ dialog: place, view: place, tab: element(), button: element(), show() {}, send() {}, open: async () => { asked.push(rehearsal.wish.rehearsal.attempt ?? null); } });
rehearsal.scenarios = [{ id: 'walk-out', title: 'Walk-out', trainee: { name: 'you', brief: '', knows: [] }, objectives: [], actions: [], levels: [], rubric: { items: [] } }];
await rehearsal.begin();
const mended = rehearsal.refused({ message: process.argv[2], param: 'session.npc.rehearsal.attempt' });
await Promise.resolve();
console.log(JSON.stringify({ asked, mended, kept: kept.has('npc.attempt') }));
