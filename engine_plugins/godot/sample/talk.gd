# The sample scene: the head of the demo, a character, captions. Arguments after --: --server=URL --say=TEXT --wav=FILE --shot=FILE
# --report=FILE --seconds=N; with them it talks by itself, writes what happened and quits, which is how the tests run it.
extends Spatial

var _options = {}
var _report = {"heard": "", "caption": "", "actions": [], "problems": [], "widest_jaw": 0.0, "statuses": [], "words": "", "voiced_samples": 0}
var _samples = []
var _at = 0
var _begun_ms = -1
var _shot = false
var _stage = "greeting"
var _completed = 0
var _asked_after = 0
var _spoke_ms = 0
var _cut_ms = 0
var _sounded_ms = 0


func _ready():
	for argument in OS.get_cmdline_args():
		if argument.begins_with("--") and "=" in argument:
			_options[argument.split("=")[0].trim_prefix("--")] = argument.substr(argument.find("=") + 1)
	var head = load("res://sample/head.glb")
	if head != null:
		$Head.add_child(head.instance())
		_use_vertex_colours($Head)
	$Character.connect("action", self, "_on_action")
	$Character.connect("caption", self, "_on_caption")
	$Character.connect("heard", self, "_on_heard")
	$Character.connect("problem", self, "_on_problem")
	$Character.connect("event", self, "_on_event")
	$Character.server = _options.get("server", $Character.server)
	if _options.has("wav"):
		_samples = _read(_options.wav)
	$Character.connect_to_server()


# The head's colours are in its vertices, which Godot's importer reads and does not switch on.
func _use_vertex_colours(node):
	if node is MeshInstance:
		for surface in range(node.mesh.get_surface_count()):
			var material = node.mesh.surface_get_material(surface)
			if material is SpatialMaterial:
				material.vertex_color_use_as_albedo = true
	for child in node.get_children():
		_use_vertex_colours(child)


# PCM16 mono at 24 kHz, without header.
func _read(path):
	var file = File.new()
	if file.open(path, File.READ) != OK:
		_on_problem("cannot read " + path)
		return []
	var stream = StreamPeerBuffer.new()
	stream.data_array = file.get_buffer(file.get_len())
	var samples = []
	for _i in range(stream.get_size() / 2):
		samples.append(stream.get_16())
	return samples


func _process(_delta):
	var client = $Character.client
	if client == null or client.channels.empty():
		return
	var now = OS.get_ticks_msec()
	if _begun_ms < 0:
		_begun_ms = now
	if _options.has("wav"):
		_talk(now)
	for cue in client.due:
		if cue.kind == "word":
			_report.words += cue.name + " "
	var jaw = client.pose[client.channels.find("jawOpen")]
	_report.widest_jaw = max(_report.widest_jaw, jaw)
	if _options.has("shot") and not _shot and jaw > 0.25:
		_shot = true
		var picture = get_viewport().get_texture().get_data()
		picture.flip_y()
		picture.save_png(_options.shot)
	if _options.has("seconds") and now - _begun_ms > float(_options.seconds) * 1000.0:
		_finish()


# A conversation by itself, one stage after the other: the character greets; the recording is spoken in real time, and silence
# after it; a typed line asks for an action; the next reply is cut short 0.2 s in, and then the mouth must be at rest.
func _talk(now):
	var client = $Character.client
	if client.audio.state != "idle":
		_sounded_ms = now
	# A quick player needs half a second before answering.
	var idle = now - _sounded_ms > 500
	match _stage:
		"greeting":
			if _completed >= 1 and idle:
				_stage = "speaking"
				_spoke_ms = now
		"speaking":
			_hear_until(now - _spoke_ms)
			if _completed >= 2 and idle and _report.heard != "":
				_stage = "acting"
				_report.voiced_samples = client.audio.played
				$Character.say(_options.get("say", "Goodbye."))
		"acting":
			if _completed >= 3 and idle and not _report.actions.empty():
				_ask()
		"asking":
			if client.audio.state == "playing" and client.audio.played > 4800:
				_stage = "cut"
				client.send({"type": "response.cancel"})
		"cut":
			if "cancelled" in _report.statuses:
				_stage = "resting"
				_cut_ms = now
			elif _completed > _asked_after and idle:
				_ask()  # a short reply had been sent to its end before the cut came
		"resting":
			if now - _cut_ms > 160:
				_report["after_cut"] = client.audio.state
				_report["mouth_after_cut"] = _widest(client.pose)
				_finish()


func _ask():
	_stage = "asking"
	_asked_after = _completed
	$Character.say("Tell me everything you know about this place.")


func _hear_until(ms):
	while _at < ms * 24:
		var block = []
		for i in range(480):
			block.append(_samples[_at + i] if _at + i < _samples.size() else 0)
		$Character.hear(block)
		_at += 480


func _widest(pose):
	var widest = 0.0
	for weight in pose:
		widest = max(widest, weight)
	return widest


func _on_action(call_id, name, arguments):
	_report.actions.append({"name": name, "arguments": arguments})
	$Character.finish_action(call_id, true, "done")


func _on_caption(text):
	_report.caption = text
	$Caption.text = text


func _on_heard(text):
	_report.heard += text + " "


func _on_problem(text):
	_report.problems.append(text)


func _on_event(type, message):
	if type == "response.done":
		_report.statuses.append(message.response.status)
		if message.response.status == "completed":
			_completed += 1


func _finish():
	if _options.has("report"):
		var file = File.new()
		file.open(_options.report, File.WRITE)
		file.store_string(JSON.print(_report))
		file.close()
	get_tree().quit()
