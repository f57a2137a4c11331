# Writes the 52 channels to the blend shapes of every MeshInstance below `root`, once per frame. Names are matched without case,
# separators and prefixes; what does not match is reported once. Blend shapes need the GLES3 renderer.
extends Node

export(NodePath) var root
# Per channel name: [multiplier, offset].
export(Dictionary) var calibration = {}

# Channels without a blend shape, filled when the session begins.
var missing = []
var _bound = []
var _targets = []  # per channel: array of [mesh instance, property]


func show(channels, pose):
	if channels.empty():
		return
	if _bound != channels:
		_bind(channels)
	for c in range(channels.size()):
		var own = calibration.get(channels[c], [1.0, 0.0])
		var weight = clamp(pose[c] * own[0] + own[1], 0.0, 1.0)
		for target in _targets[c]:
			target[0].set(target[1], weight)


# eyeBlinkLeft, EyeBlink_L and blendShape1.eyeBlink_L all become "eyeblinkleft".
static func canonical(name):
	var bare = name.split(".")[-1]
	if bare.to_lower().ends_with("_l"):
		bare = bare.left(bare.length() - 2) + "left"
	elif bare.to_lower().ends_with("_r"):
		bare = bare.left(bare.length() - 2) + "right"
	return bare.to_lower().replace("_", "").replace("-", "").replace(" ", "")


func _bind(channels):
	_bound = channels.duplicate()
	_targets = []
	missing = []
	var found = {}
	_collect(get_node(root), found)
	for channel in channels:
		var targets = found.get(canonical(channel), [])
		_targets.append(targets)
		if targets.empty():
			missing.append(channel)
	if not missing.empty():
		push_warning("NPC face: no blend shape for " + PoolStringArray(missing).join(", "))


func _collect(node, found):
	if node is MeshInstance:
		for property in node.get_property_list():
			if property.name.begins_with("blend_shapes/"):
				var name = canonical(property.name.trim_prefix("blend_shapes/"))
				found[name] = found.get(name, []) + [[node, property.name]]
	for child in node.get_children():
		_collect(child, found)
