/** node queued.mjs: a reply sounds and another waits; the player cuts in and both are flushed, with a fade. JSON: what then sounds and was told. */
const told = [];
let Processor = null;
Object.assign(globalThis, { sampleRate: 24000, currentTime: 0, AudioWorkletProcessor: class { port = { postMessage: ({ state, ordinal }) => told.push(`${state} ${ordinal}`) }; } });
globalThis.registerProcessor = (_name, made) => { Processor = made; };
await import('../../../demo/js/audio/playback-worklet.js');
const worklet = new Processor();
const pull = () => {
  const out = new Float32Array(480);
  worklet.process([], [[out]]);
  return out;
};
for (const ordinal of [1, 2]) worklet.audio({ ordinal, start: 0, pcm: new Int16Array(24000).fill(10000), last: true });
pull();
for (const ordinal of [1, 2]) worklet.flush({ ordinal, fadeMs: 8 });
pull();
console.log(JSON.stringify({ silent: pull().every((x) => x === 0), stopped: told.filter((one) => one.startsWith('stopped')) }));
