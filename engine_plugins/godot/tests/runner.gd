# Plays the conformance vectors against the GDScript core: godot3-server --path engine_plugins/godot -s tests/runner.gd -- FOLDER.
# Prints what failed; exit status 1 if anything did.
extends SceneTree

const Client = preload("res://addons/npc/core/character_client.gd")
const IdleMotion = preload("res://addons/npc/core/idle_motion.gd")
const IdleFace = preload("res://addons/npc/core/idle_face.gd")
const SeededRandom = preload("res://addons/npc/core/seeded_random.gd")

var client
var problems = 0
var failures = 0
var where = ""


func _init():
	var folder = OS.get_cmdline_args()[OS.get_cmdline_args().size() - 1]
	var passed = 0
	var failed = 0
	for file in _files(folder):
		failures = 0
		var reader = File.new()
		reader.open(folder + "/" + file, File.READ)
		_play(file, JSON.parse(reader.get_as_text()).result)
		if failures == 0:
			passed += 1
		else:
			failed += 1
	print("%d passed, %d failed" % [passed, failed])
	OS.exit_code = 0 if failed == 0 and passed > 0 else 1
	quit(OS.exit_code)


func _files(folder):
	var found = []
	var directory = Directory.new()
	if directory.open(folder) != OK:
		print("no folder " + folder)
		return found
	directory.list_dir_begin(true)
	var name = directory.get_next()
	while name != "":
		if name.ends_with(".json"):
			found.append(name)
		name = directory.get_next()
	found.sort()
	return found


func _play(file, vector):
	client = Client.new("ws://host/v1/realtime?model=a", {}, "", int(vector.rate))
	client.connect("problem", self, "_on_problem")
	var index = 0
	for step in vector.steps:
		where = "%s: step %d %s" % [file, index, step["do"]]
		index += 1
		client.outgoing.clear()
		problems = 0
		call("_do_" + step["do"], step)
		if step.has("error"):
			_same("error", step.error, problems > 0)
		if step.has("sent"):
			_sent(step.sent)
		if step.has("heard"):
			_heard(step.heard)


func _on_problem(_text):
	problems += 1


func _do_connect(step):
	var plan = client.connect_plan()
	for part in step.url_has:
		_same("url has " + part, true, part in plan.url)
	for part in step.get("url_lacks", []):
		_same("url has " + part, false, part in plan.url)
	_same("protocols", str(step.protocols), str(plan.protocols))


func _do_opened(_step):
	client.opened()


func _do_text(step):
	client.receive_text(JSON.print(step.event))


func _do_binary(step):
	var bytes = PoolByteArray()
	for i in range(step.hex.length() / 2):
		bytes.append(("0x" + step.hex.substr(2 * i, 2)).hex_to_int())
	client.receive_binary(bytes)


func _do_pull(step):
	var output = client.audio.pull(int(step.samples))
	if step.has("silent"):
		_same("silent", true, output.max() == 0 and output.min() == 0)
	if step.has("first"):
		_same("first", int(step.first), output[0])
	if step.has("last"):
		_same("last", int(step.last), output[output.size() - 1])
	if step.has("played"):
		_same("played", int(step.played), client.audio.played)
	if step.has("state"):
		_same("state", step.state, client.audio.state)


func _do_step(step):
	client.step(step.ms, step.latency)
	if step.has("cues"):
		var names = []
		for cue in client.due:
			names.append(cue.name)
		_same("cues", str(step.cues), str(names))
	if step.has("sample"):
		_same("sample", float(step.sample), client.heard_sample)
	if step.has("ordinal"):
		_same("ordinal", int(step.ordinal), client.audio.ordinal)
	for name in step.get("weights", {}):
		var got = client.pose[client.channels.find(name)]
		if abs(got - step.weights[name]) > 0.005:
			_fail("%s is %f, expected %f" % [name, got, step.weights[name]])


func _do_closed(step):
	var delay = client.closed(int(step.code), 0.0)
	if step.has("final"):
		_same("final", true, delay < 0)
	else:
		_same("retry_ms", float(step.retry_ms), delay)


func _do_hear(step):
	var silence = []
	silence.resize(int(step.samples))
	for i in range(silence.size()):
		silence[i] = 0
	client.send_audio(silence)


func _do_say(step):
	client.say(step.text)


func _do_idle(step):
	var pose = IdleMotion.new(int(step.seed)).at(int(step.ms))
	for name in step.pose:
		if abs(pose[name] - step.pose[name]) > 0.0001:
			_fail("%s is %f, expected %f" % [name, pose[name], step.pose[name]])


func _do_life(step):
	var face = IdleFace.new(int(step.seed))
	for frame in step.frames:
		var pose = PoolRealArray()
		for _channel in step.channels:
			pose.append(0.0)
		pose = face.step(frame.ms, frame.sounding, step.channels, pose)
		for c in range(step.channels.size()):
			if abs(pose[c] - frame.weights[c]) > 0.0001:
				_fail("%s is %f, expected %f at %d ms" % [step.channels[c], pose[c], frame.weights[c], frame.ms])


func _do_random(step):
	var source = SeededRandom.new(int(step.seed), int(step.stream))
	for wanted in step.integers:
		_same("integer", int(wanted), source.next())


func _sent(wanted):
	var sent = []
	for message in client.outgoing:
		if typeof(message) == TYPE_STRING:
			sent.append(JSON.parse(message).result)
	_same("messages sent", wanted.size(), sent.size())
	for i in range(min(wanted.size(), sent.size())):
		for field in wanted[i]:
			_same("sent " + field, wanted[i][field], sent[i].get(field))


func _heard(wanted):
	var starts = []
	for message in client.outgoing:
		if typeof(message) == TYPE_RAW_ARRAY:
			var stream = StreamPeerBuffer.new()
			stream.data_array = message
			stream.seek(8)
			starts.append(float(stream.get_64()))
	_same("audio sent from", str(wanted), str(starts))


func _same(what, wanted, got):
	if typeof(wanted) == typeof(got) and wanted == got:
		return
	_fail("%s is %s, expected %s" % [what, str(got), str(wanted)])


func _fail(what):
	print(where + ": " + what)
	failures += 1
