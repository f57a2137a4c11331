# The binary frame of the wire: 16 bytes little-endian header (kind, flags, track, response ordinal, start sample), then PCM16 or
# blendshape weights.
extends Reference

const OUTPUT_AUDIO = 1
const BLENDSHAPES = 2
const INPUT_AUDIO = 3
const HEADER_BYTES = 16

var kind = 0
var last = false
var track = 0
var ordinal = 0
var start = 0
var pcm = []            # output audio: samples, -32768..32767
var weights = PoolByteArray()  # blendshapes: [count][channels], 0..255
var count = 0
var channels = 0
var samples_per_frame = 1
var problem = ""        # what is wrong with the message, or ""


func end():
	return start + count * samples_per_frame


# Decode a server message; look at `problem` first.
func decode(bytes):
	var size = bytes.size()
	if size < HEADER_BYTES:
		problem = "frame of %d bytes is shorter than its header" % size
		return self
	var stream = StreamPeerBuffer.new()
	stream.data_array = bytes
	kind = stream.get_u8()
	last = (stream.get_u8() & 1) != 0
	track = stream.get_u16()
	ordinal = stream.get_u32()
	start = stream.get_64()
	if kind == OUTPUT_AUDIO:
		_read_audio(stream, size - HEADER_BYTES)
	elif kind == BLENDSHAPES:
		_read_weights(stream, bytes)
	else:
		problem = "unknown frame kind %d" % kind
	return self


func _read_audio(stream, length):
	if length % 2 != 0:
		problem = "PCM16 payload of odd length"
		return
	pcm.resize(length / 2)
	for i in range(pcm.size()):
		pcm[i] = stream.get_16()


func _read_weights(stream, bytes):
	var body = HEADER_BYTES + 8
	if bytes.size() < body:
		problem = "blendshape frame is cut in its header"
		return
	count = stream.get_u16()
	channels = stream.get_u16()
	samples_per_frame = stream.get_u32()
	if bytes.size() != body + count * channels:
		problem = "blendshape frame is cut"
		return
	if count > 0 and samples_per_frame == 0:
		problem = "samples per frame must be at least 1"
		return
	if count * channels > 0:
		weights = bytes.subarray(body, bytes.size() - 1)


# Microphone audio (array of samples) from sample `from` of the session's input.
static func encode_input(samples, from):
	var stream = StreamPeerBuffer.new()
	stream.put_u8(INPUT_AUDIO)
	stream.put_u8(0)
	stream.put_u16(0)
	stream.put_u32(0)
	stream.put_64(from)
	for sample in samples:
		stream.put_16(sample)
	return stream.data_array
