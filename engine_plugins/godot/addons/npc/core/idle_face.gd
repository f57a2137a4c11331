# Blinks and saccades on the face while no item sounds; an item's own track brings them while it does.
extends Reference

const IdleMotion = preload("idle_motion.gd")
# Idle life comes and goes within this time when an item ends or begins.
const OWN_FADE_MS = 250.0
# Weight 1 of an eyeLook channel is this rotation of the eye, degrees.
const EYE_RANGE = 28.0
# Channel: [is it yaw, sign].
const LOOKS = {
	"eyeLookOutLeft": [true, 1.0], "eyeLookInRight": [true, 1.0], "eyeLookInLeft": [true, -1.0], "eyeLookOutRight": [true, -1.0],
	"eyeLookUpLeft": [false, 1.0], "eyeLookUpRight": [false, 1.0], "eyeLookDownLeft": [false, -1.0], "eyeLookDownRight": [false, -1.0],
}

var _motion
var _own = 1.0
var _last_ms = 0.0


func _init(seed_):
	_motion = IdleMotion.new(seed_)


# `pose` with the idle life of session time `now_ms` on it.
func step(now_ms, sounding, channels, pose):
	var way = max(0.0, now_ms - _last_ms) / OWN_FADE_MS
	_own = clamp(_own + (-way if sounding else way), 0.0, 1.0)
	_last_ms = now_ms
	var now = _motion.at(int(now_ms))
	for c in range(channels.size()):
		var name = channels[c]
		if name == "eyeBlinkLeft" or name == "eyeBlinkRight":
			pose[c] = max(pose[c], _own * now.blink)
		elif LOOKS.has(name):
			var angle = now.eye_yaw if LOOKS[name][0] else now.eye_pitch
			pose[c] = min(1.0, pose[c] + max(0.0, LOOKS[name][1] * _own * angle / EYE_RANGE))
	return pose
