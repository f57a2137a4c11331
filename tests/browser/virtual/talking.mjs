/**
 * node talking.mjs CASE: the microphone button, the microphone and the speaker of the page, in a browser that answers when it is told to.
 * Prints JSON.
 *
 *   released    push to talk, the button let go while the browser still asks for the microphone
 *   slipped     push to talk, let go beside the button
 *   twice       hands-free, two presses while the browser asks
 *   worklet     the microphone is given but its worklet does not load
 *   speaker     the speaker's worklet does not load the first time, and the context never says that it runs
 */
const listeners = new Map();
const on = (where) => (type, run) => listeners.set(`${where} ${type}`, [...(listeners.get(`${where} ${type}`) ?? []), run]);
const fire = (name, event = {}) => (listeners.get(name) ?? []).forEach((run) => run(event));
const element = (id) => ({ addEventListener: on(id), setAttribute() {}, value: '', textContent: '' });
const elements = new Map(['mic', 'mic-label', 'say', 'say-form'].map((id) => [id, element(id)]));
const stored = new Map();
const pending = [];
const stopped = [];
let asked = 0;
let loads = 0;
let broken = 0;

class Context {
  constructor() {
    this.state = 'suspended';
    this.audioWorklet = { addModule: async () => { loads += 1; if (loads <= broken) throw new Error('no network'); } };
  }

  addEventListener() {}
  createMediaStreamSource() { return { connect() {} }; }
  resume() { return new Promise(() => {}); }
  async close() { this.state = 'closed'; }
}
class AudioNode {
  constructor() { this.port = {}; }
  connect(next) { return next; }
}
Object.assign(globalThis, {
  matchMedia: () => ({ matches: false }), addEventListener: on('window'), location: { search: '' },
  document: { activeElement: null, getElementById: (id) => elements.get(id) },
  localStorage: { getItem: (key) => stored.get(key) ?? null, setItem: (key, value) => stored.set(key, value) },
  AudioContext: Context, AudioWorkletNode: AudioNode,
});
const track = { stop: () => stopped.push('track') };
const getUserMedia = () => new Promise((give) => { asked += 1; pending.push(() => give({ getTracks: () => [track] })); });
Object.defineProperty(globalThis, 'navigator', { value: { mediaDevices: { getUserMedia } } });

const { Microphone, Speaker } = await import('../../../demo/js/audio/devices.js');
const { Talking } = await import('../../../demo/js/talking.js');
const settle = () => new Promise((done) => { setTimeout(done, 5); });
const sent = [];
const notices = [];

/** The button over a microphone whose sound comes at once. */
function button(turns) {
  stored.set('npc.settings', JSON.stringify({ turns }));
  Context.prototype.resume = async () => {};
  const session = { send: (event) => sent.push(event.type) };
  return new Talking({ microphone: new Microphone(24000, () => {}), session: () => session, ready: async () => {}, said() {}, notice: (text) => notices.push(text) });
}

const cases = {
  async released() {
    const talking = button('push');
    fire('mic pointerdown');
    await settle();
    fire('window pointerup');
    pending.forEach((give) => give());
    await settle();
    return { on: talking.on, sent };
  },
  async slipped() {
    const talking = button('push');
    fire('mic pointerdown');
    await settle();
    pending.forEach((give) => give());
    await settle();
    const held = talking.on;
    fire('window pointerup');
    await settle();
    return { held, on: talking.on, sent };
  },
  async twice() {
    const talking = button('hands-free');
    fire('mic click');
    fire('mic click');
    fire('mic click');
    await settle();
    pending.forEach((give) => give());
    await settle();
    return { on: talking.on, asked };
  },
  async worklet() {
    broken = 1;
    const talking = button('hands-free');
    fire('mic click');
    await settle();
    pending.forEach((give) => give());
    await settle();
    return { on: talking.on, stopped: stopped.length, notices };
  },
  async speaker() {
    broken = 1;
    const speaker = new Speaker(24000, () => {});
    const first = await speaker.open().then(() => 'open', (error) => error.message);
    const began = performance.now();
    const second = await speaker.open().then(() => 'open', (error) => error.message);
    return { first, second, seconds: (performance.now() - began) / 1000 };
  },
};
const report = await cases[process.argv[2]]();
console.log(JSON.stringify(report));
process.exit(0);
