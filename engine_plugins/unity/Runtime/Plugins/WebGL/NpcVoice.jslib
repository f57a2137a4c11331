// The voice for WebGL builds: one script processor plays from a ring; the C# side tops it up and asks how much is queued.
mergeInto(LibraryManager.library, {
  $NpcVoiceState: { context: null, ring: null, read: 0, write: 0 },

  NpcVoiceQueued: function (rate) {
    var state = NpcVoiceState;
    if (!state.context) {
      state.context = new AudioContext({ sampleRate: rate });
      state.ring = new Float32Array(rate);
      var node = state.context.createScriptProcessor(512, 0, 1);
      node.onaudioprocess = function (event) {
        var out = event.outputBuffer.getChannelData(0);
        for (var i = 0; i < out.length; i += 1) {
          out[i] = state.read < state.write ? state.ring[state.read % state.ring.length] : 0;
          if (state.read < state.write) state.read += 1;
        }
      };
      node.connect(state.context.destination);
    }
    // Browsers start sound only after a click or key; until then nothing is consumed.
    if (state.context.state === 'suspended') state.context.resume();
    return state.write - state.read;
  },
  NpcVoiceQueued__deps: ['$NpcVoiceState'],

  NpcVoicePush: function (samples, count) {
    var state = NpcVoiceState;
    for (var i = 0; i < count; i += 1) {
      state.ring[state.write % state.ring.length] = HEAP16[(samples >> 1) + i] / 32768;
      state.write += 1;
    }
  },
  NpcVoicePush__deps: ['$NpcVoiceState'],

  NpcVoiceClear: function () {
    NpcVoiceState.read = NpcVoiceState.write;
  },
  NpcVoiceClear__deps: ['$NpcVoiceState'],
});
