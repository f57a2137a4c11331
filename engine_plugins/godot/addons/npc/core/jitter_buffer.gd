# Audio between the socket and the speaker: plays items in order and counts every sample that left.
#
#   idle --audio--> priming --60 ms queued, or the item whole--> playing --queue empty--> starved --audio--> priming
#     ^                                                        |  \--pause--> paused --resume--> playing
#     +----------------- last sample pulled, or flushed -------+
extends Reference

# No server leaves a hole this long: a frame behind one does not belong here.
const LONGEST_HOLE_SECONDS = 10

var state = "idle"
var ordinal = 0
var played = 0       # samples of item `ordinal` that have left
var underruns = 0
var finished = []    # [ordinal, samples] of items that sounded to their end: the owner takes them out
var _items = []      # {ordinal, chunks, head, played, end, whole, primed}
var _flushed = {}
var _prime = 0
var _longest_hole = 0
var _fade = 0
var _paused = false
var _gain = 1.0
var _target = 1.0
var _slope = 0.0
var _fade_left = 0


func _init(rate, prime_ms = 60, fade_ms = 8):
	_prime = rate * prime_ms / 1000
	_longest_hole = rate * LONGEST_HOLE_SECONDS
	_fade = int(max(1, rate * fade_ms / 1000))


# False for audio too far ahead to belong to its item.
func push(frame):
	if _flushed.has(frame.ordinal):
		return true
	var item = _find(frame.ordinal)
	if item == null:
		item = {"ordinal": frame.ordinal, "chunks": [], "head": 0, "played": frame.start, "end": frame.start, "whole": false, "primed": false}
		_items.append(item)
		if state == "idle":
			state = "priming"
	var hole = frame.start - item.end
	if hole > _longest_hole:
		return false
	if hole > 0:
		# Silence where audio is missing: the clock stays on the item's samples.
		var silence = []
		silence.resize(hole)
		for i in range(hole):
			silence[i] = 0
		item.chunks.append(silence)
		item.end = frame.start
	# A resumed socket may repeat what is queued already: keep only samples past the end.
	var known = int(max(0, item.end - frame.start))
	if known < frame.pcm.size():
		item.chunks.append(frame.pcm.slice(known, frame.pcm.size() - 1))
		item.end = frame.start + frame.pcm.size()
	item.whole = item.whole or frame.last
	return true


# The next `count` samples as an array, silence where there are none.
func pull(count):
	var output = []
	output.resize(count)
	for i in range(count):
		output[i] = 0
	if _items.empty():
		state = "idle"
		return output
	if _paused and _gain <= 0.0:
		state = "paused"
		return output
	var item = _items[0]
	if not item.primed:
		if not item.whole and item.end - item.played < _prime:
			return output
		item.primed = true
	state = "playing"
	var filled = _drain(item, output, count)
	item.played += filled
	ordinal = item.ordinal
	played = item.played
	if _gain != 1.0 or _fade_left > 0:
		_shape(output, filled)
	if filled < count:
		_ran_out(item)
	return output


# Nothing more of this response sounds, now or later.
func flush(gone):
	_flushed[gone] = true
	var item = _find(gone)
	var waited = not _items.empty() and _items[0].ordinal != gone
	if item != null:
		_items.erase(item)
	if waited:
		return  # what sounds before it, or its pause, goes on
	_paused = false
	_gain = 1.0
	_target = 1.0
	_fade_left = 0
	if _items.empty():
		state = "idle"


# Another session begins: nothing of the one before sounds, and its ordinals may come again.
func clear():
	_items.clear()
	_flushed.clear()
	finished.clear()
	_paused = false
	_gain = 1.0
	_target = 1.0
	_fade_left = 0
	state = "idle"
	ordinal = 0
	played = 0


func pause():
	_paused = true
	_fade_to(0.0)


func duck(to):
	_fade_to(to)


func resume():
	_paused = false
	_fade_to(1.0)


func _find(wanted):
	for item in _items:
		if item.ordinal == wanted:
			return item
	return null


func _drain(item, output, count):
	var filled = 0
	while filled < count and not item.chunks.empty():
		var chunk = item.chunks[0]
		var take = min(count - filled, chunk.size() - item.head)
		for i in range(take):
			output[filled + i] = chunk[item.head + i]
		filled += take
		item.head += take
		if item.head == chunk.size():
			item.chunks.pop_front()
			item.head = 0
	return filled


func _ran_out(item):
	if item.whole:
		_items.pop_front()
		finished.append([item.ordinal, item.played])
		state = "idle" if _items.empty() else "priming"
		return
	underruns += 1
	item.primed = false
	state = "starved"


func _fade_to(to):
	_target = to
	_slope = (_target - _gain) / _fade
	_fade_left = _fade


func _shape(output, filled):
	for i in range(filled):
		output[i] = int(output[i] * _gain)
		if _fade_left == 0:
			continue
		_fade_left -= 1
		_gain = _target if _fade_left == 0 else _gain + _slope
