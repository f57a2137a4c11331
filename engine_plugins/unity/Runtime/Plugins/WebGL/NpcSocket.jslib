// The browser's WebSocket for WebGL builds: what happens is queued and polled from C#.
mergeInto(LibraryManager.library, {
  $NpcSockets: { list: [] },

  NpcSocketOpen: function (url, protocols) {
    var entry = { events: [] };
    var socket = new WebSocket(UTF8ToString(url), UTF8ToString(protocols).split('\n'));
    socket.binaryType = 'arraybuffer';
    socket.onopen = function () { entry.events.push({ kind: 1, size: 0 }); };
    socket.onmessage = function (message) {
      var text = typeof message.data === 'string';
      var bytes = text ? new TextEncoder().encode(message.data) : new Uint8Array(message.data);
      entry.events.push({ kind: text ? 2 : 3, size: bytes.length, bytes: bytes });
    };
    socket.onclose = function (event) { entry.events.push({ kind: 4, size: event.code }); };
    entry.socket = socket;
    return NpcSockets.list.push(entry) - 1;
  },
  NpcSocketOpen__deps: ['$NpcSockets'],

  NpcSocketPeek: function (id, size) {
    var next = NpcSockets.list[id].events[0];
    HEAP32[size >> 2] = next ? next.size : 0;
    return next ? next.kind : 0;
  },
  NpcSocketPeek__deps: ['$NpcSockets'],

  NpcSocketTake: function (id, into, size) {
    var next = NpcSockets.list[id].events.shift();
    if (size) HEAPU8.set(next.bytes, into);
  },
  NpcSocketTake__deps: ['$NpcSockets'],

  NpcSocketSendText: function (id, text) {
    var socket = NpcSockets.list[id].socket;
    if (socket.readyState === 1) socket.send(UTF8ToString(text));
  },
  NpcSocketSendText__deps: ['$NpcSockets'],

  NpcSocketSendBinary: function (id, bytes, size) {
    var socket = NpcSockets.list[id].socket;
    if (socket.readyState === 1) socket.send(HEAPU8.slice(bytes, bytes + size));
  },
  NpcSocketSendBinary__deps: ['$NpcSockets'],

  NpcSocketClose: function (id) {
    var entry = NpcSockets.list[id];
    entry.socket.onopen = entry.socket.onmessage = entry.socket.onclose = null;
    entry.socket.close(1000);
    NpcSockets.list[id] = null;
  },
  NpcSocketClose__deps: ['$NpcSockets'],
});
