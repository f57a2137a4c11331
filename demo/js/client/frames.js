/**
 * The binary frame of the wire: a 16-byte little-endian header, then PCM16 or blendshape weights.
 *
 *   0      1      2        4                 8                              16
 *   | kind | flags | track | response ordinal | start sample (u64)          | payload
 */
export const KIND = Object.freeze({ AUDIO_OUT: 1, BLENDSHAPES: 2, AUDIO_IN: 3 });
const HEADER = 16;
const LAST_OF_ITEM = 1;

/** Input audio from sample `start` of the session's input. Returns an ArrayBuffer. */
export function encodeInputAudio(pcm, start) {
  const buffer = new ArrayBuffer(HEADER + pcm.length * 2);
  const view = new DataView(buffer);
  view.setUint8(0, KIND.AUDIO_IN);
  view.setBigUint64(8, BigInt(start), true);
  new Int16Array(buffer, HEADER).set(pcm);
  return buffer;
}

/**
 * Decode a server frame. Returns {kind, last, track, ordinal, start} and either {pcm} or {samplesPerFrame, channels, frames},
 * where frames is a Uint8Array of [frame][channel]. Throws RangeError for a frame that is cut or of an unknown kind.
 */
export function decodeFrame(buffer) {
  if (buffer.byteLength < HEADER) throw new RangeError(`frame of ${buffer.byteLength} bytes is shorter than its header`);
  const view = new DataView(buffer);
  const frame = {
    kind: view.getUint8(0),
    last: (view.getUint8(1) & LAST_OF_ITEM) !== 0,
    track: view.getUint16(2, true),
    ordinal: view.getUint32(4, true),
    start: Number(view.getBigUint64(8, true)),
  };
  if (frame.kind === KIND.AUDIO_OUT) {
    if ((buffer.byteLength - HEADER) % 2) throw new RangeError('PCM16 payload of odd length');
    return { ...frame, pcm: new Int16Array(buffer, HEADER) };
  }
  if (frame.kind !== KIND.BLENDSHAPES) throw new RangeError(`unknown frame kind ${frame.kind}`);
  if (buffer.byteLength < HEADER + 8) throw new RangeError('blendshape frame is cut in its header');
  const count = view.getUint16(HEADER, true);
  const channels = view.getUint16(HEADER + 2, true);
  if (buffer.byteLength !== HEADER + 8 + count * channels) throw new RangeError('blendshape frame is cut');
  if (count && !view.getUint32(HEADER + 4, true)) throw new RangeError('samples per frame must be at least 1');
  return {
    ...frame, count, channels, samplesPerFrame: view.getUint32(HEADER + 4, true), frames: new Uint8Array(buffer, HEADER + 8),
  };
}
