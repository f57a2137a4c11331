# Life without speech from the session's seed, the same in every client. The specification is the docstring of npc/animation/idle.py;
# times are milliseconds since the session began.
extends Reference

const Generated = preload("generated.gd")
const SeededRandom = preload("seeded_random.gd")
const CLOSE_MS = 65.0
const HOLD_MS = 35.0
const OPEN_MS = 140.0
const SACCADE_MS = 50.0

var _blink_random
var _saccade_random
var _blinks = []
var _saccades = [[0, 0, 0]]  # [at, yaw, pitch]; the first is the rest before any
var _sines = []              # [period, offset, amplitude]
var _breath_period = 1
var _breath_offset = 0


func _init(from_seed):
	_blink_random = SeededRandom.new(from_seed, 1)
	_saccade_random = SeededRandom.new(from_seed, 2)
	var breath = SeededRandom.new(from_seed, 3)
	_breath_period = 3600 + breath.below(801)
	_breath_offset = breath.below(_breath_period)
	var sway = SeededRandom.new(from_seed, 4)
	for row in Generated.SWAY:
		for i in range(2):
			var period = int(row[2 * i]) + sway.below(int(row[2 * i + 1]))
			_sines.append([period, sway.below(period), row[4 + i]])


# {blink, eye_yaw, eye_pitch, chest, head_yaw, head_pitch, head_roll}: lids and chest in [0, 1], angles in degrees.
# `ms` may go back by a second at most: what is older is forgotten, so that a long session costs no more than a short one.
func at(ms):
	_extend(ms)
	while _blinks.size() > 2 and _blinks[1] + 1000 < ms:
		_blinks.pop_front()
	while _saccades.size() > 3 and _saccades[2][0] + 1000 < ms:
		_saccades.pop_front()
	var blink = 0.0
	for start in _blinks:
		if start <= ms:
			blink = max(blink, _smooth((ms - start) / CLOSE_MS) - _smooth((ms - start - CLOSE_MS - HOLD_MS) / OPEN_MS))
	var to = _saccades[0]
	var from = to
	for one in _saccades:
		if one[0] <= ms:
			from = to
			to = one
	var way = _smooth((ms - to[0]) / SACCADE_MS)
	return {
		"blink": blink,
		"eye_yaw": (from[1] + way * (to[1] - from[1])) / 1000.0,
		"eye_pitch": (from[2] + way * (to[2] - from[2])) / 1000.0,
		"chest": 0.5 - 0.5 * cos(TAU * ((ms + _breath_offset) % _breath_period) / _breath_period),
		"head_yaw": _wave(0, ms) + _wave(1, ms),
		"head_pitch": _wave(2, ms) + _wave(3, ms),
		"head_roll": _wave(4, ms) + _wave(5, ms),
	}


func _extend(ms):
	while _blinks.empty() or _blinks[-1] <= ms:
		var last = 0 if _blinks.empty() else _blinks[-1]
		_blinks.append(last + _blink_random.pick(Generated.BLINK_GAP_MS))
	while _saccades[-1][0] <= ms:
		var time = _saccades[-1][0] + _saccade_random.pick(Generated.SACCADE_GAP_MS)
		var yaw = _saccade_random.below(4001) - 2000
		var pitch = _saccade_random.below(2401) - 1200
		var reach = 3 if _saccade_random.below(8) == 0 else 1
		_saccades.append([time, yaw * reach, pitch * reach])


func _wave(index, ms):
	var sine = _sines[index]
	return sine[2] * sin(TAU * ((ms + sine[1]) % sine[0]) / sine[0])


static func _smooth(x):
	var t = clamp(x, 0.0, 1.0)
	return t * t * (3.0 - 2.0 * t)
