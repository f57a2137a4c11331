# One conversation without socket, node, clock or thread: bytes and events in, samples, cues, poses and messages out.
extends Reference

signal event(type, message)
signal action(call_id, name, arguments)
signal action_cancelled(call_id, name, undo)
signal problem(text)

const Frame = preload("frame.gd")
const JitterBuffer = preload("jitter_buffer.gd")
const Score = preload("score.gd")
# Milliseconds between two playback reports.
const REPORT_EVERY_MS = 100.0
# Messages kept until the server is known to have them; a second of 20 ms audio frames is 50.
const KEPT_MESSAGES = 1024
# A cue on the input clock that is later than this is not worth showing.
const LATE_MS = 500
# An interrupted face is at rest after this long.
const REST_SECONDS = 0.12
# Ended, bad ticket, wrong version, replaced by another connection, abuse: trying again cannot help.
const FINAL_CODES = [1000, 4000, 4401, 4406, 4409, 4429]
# The server no longer has the session: the next connection starts a new one.
const SESSION_GONE = 4404

var outgoing = []      # String or PoolByteArray, for the socket
var audio
var due = []
var channels = []      # names, in the order of `pose`; empty until the session is created
var pose = PoolRealArray()
var idle_seed = 0
var seq = 0
var heard_sample = 0.0

var _url = ""
var _key = ""
var _session = {}
var _rate = 24000
var _spoken = []       # {response_id, item_id, ordinal, score}
var _stale = {}
var _kept = []
var _sent_count = 0
var _resume_token = ""
var _away = false      # from a lost socket to the next session, or to what the server says of our messages (npc.resumed)
var _input_samples = 0
var _input_cues = Score.new()
var _attempt = 0
var _last_report_ms = -1e12
var _reported = 0
var _flushed_ms = -1e12
var _last_step_ms = 0.0
var _flushed_pose = PoolRealArray()


func _init(url, session = {}, key = "", rate = 24000):
	_url = url
	_session = session
	_key = key
	_rate = rate
	audio = JitterBuffer.new(rate)


# What the socket must do next: {url, protocols}.
func connect_plan():
	var plan = {"url": _url + ("&" if "?" in _url else "?") + "npc=1", "protocols": ["realtime"]}
	if _resume_token != "":
		plan.url += "&after=%d" % seq
		plan.protocols.append("npc-resume." + _resume_token)
	if _key != "":
		plan.protocols.append("openai-insecure-api-key." + _key)
	return plan


func opened():
	_attempt = 0
	if _resume_token != "":
		return  # what goes out before the server has said what arrived would go out twice
	var early = outgoing
	outgoing = []
	_away = false
	_sent_count = 0
	_input_samples = 0
	_kept.clear()
	var wanted = _session.duplicate(true)
	wanted["type"] = "realtime"
	if not wanted.has("npc"):
		wanted["npc"] = {}
	send({"type": "session.update", "session": wanted})
	for message in early:
		if typeof(message) == TYPE_STRING:
			_post(message)


# Milliseconds to wait before connecting again, or -1 when trying again cannot help. `random` is in [0, 1).
func closed(code, random):
	outgoing.clear()  # all of it is kept, and goes out again after a resume
	_away = true
	if code in FINAL_CODES:
		return -1.0
	if code == SESSION_GONE:
		_forget()
	var delay = min(5000.0, 200.0 * pow(2, min(_attempt, 20))) * (1.0 - 0.25 * random)
	_attempt += 1
	return delay


# The next session counts its messages, samples and replies from the start.
func _forget():
	_resume_token = ""
	seq = 0
	_input_samples = 0
	_input_cues = Score.new()
	_spoken.clear()
	_stale.clear()
	_reported = 0
	audio.clear()


func receive_text(text):
	var parsed = JSON.parse(text)
	if parsed.error != OK or typeof(parsed.result) != TYPE_DICTIONARY:
		emit_signal("problem", "not a JSON object: " + text.left(60))
		return
	var message = parsed.result
	if message.has("npc_seq"):
		if int(message.npc_seq) <= seq:
			return
		seq = int(message.npc_seq)
	var type = message.get("type", "")
	match type:
		"session.created", "session.updated":
			_take_session(message.get("session", {}))
		"npc.resumed":
			_take_resumed(message)
		"response.created":
			_take_response(message.get("response", {}))
		"response.output_item.added":
			_take_item(message)
		"npc.cues":
			_take_cues(message)
		"npc.output":
			_take_output(message)
		"npc.action.cancelled":
			emit_signal("action_cancelled", message.get("call_id", ""), message.get("name", ""), message.get("undo", false))
		"response.function_call_arguments.done":
			_take_call(message)
		"error":
			emit_signal("problem", message.get("error", {}).get("message", "error"))
	emit_signal("event", type, message)


func receive_binary(bytes):
	seq += 1  # a binary frame takes the next number without carrying it
	var frame = Frame.new().decode(bytes)
	if frame.problem != "":
		emit_signal("problem", frame.problem)
		return
	if _stale.has(frame.ordinal):
		return
	if frame.kind == Frame.OUTPUT_AUDIO:
		if not audio.push(frame):
			emit_signal("problem", "audio at sample %d is too far ahead of its item" % frame.start)
		return
	var item = _of_ordinal(frame.ordinal)
	if item != null and not item.score.add_block(frame):
		emit_signal("problem", "blendshape block with another number of channels")


# Once per rendered frame: fills `due` and `pose`, and reports playback.
func step(now_ms, latency_seconds):
	_last_step_ms = now_ms
	due = _due_input()
	_report_finished()
	heard_sample = audio.played - latency_seconds * _rate
	var item = _of_ordinal(audio.ordinal)
	if item != null and not _stale.has(item.ordinal):
		due += item.score.due(int(floor(heard_sample)))
		pose = item.score.sample(heard_sample, _rate, channels.size())
		_report(item, now_ms)
		return
	var keep = max(0.0, 1.0 - (now_ms - _flushed_ms) / (1000.0 * REST_SECONDS))
	for c in range(pose.size()):
		pose[c] = _flushed_pose[c] * keep if c < _flushed_pose.size() else 0.0


func _due_input():
	var timely = []
	for cue in _input_cues.due(_input_samples):
		if _input_samples - cue.at <= _rate * LATE_MS / 1000:
			timely.append(cue)
	return timely


# The player's sound. While the socket is away it is dropped: it would arrive stale.
func send_audio(samples):
	if _away:
		return
	_post(Frame.encode_input(samples, _input_samples))
	_input_samples += samples.size()


func say(text):
	send({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}})
	send({"type": "response.create"})


func action_result(call_id, output):
	send({"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": call_id, "output": JSON.print(output)}})


func scene_update(scene):
	var message = scene.duplicate(true)
	message["type"] = "npc.scene.update"
	send(message)


# Send any client event. While the socket is away it waits for the resume or the next session.
func send(message):
	_post(JSON.print(message))


func _post(message):
	_sent_count += 1
	_kept.append(message)
	if _kept.size() > KEPT_MESSAGES:
		_kept.pop_front()
	if not _away or _resume_token == "":
		outgoing.append(message)


# First on a resumed socket: the next token, and how many of our messages arrived; the rest goes out again.
func _take_resumed(message):
	_resume_token = message.get("token", "")
	_away = false
	var lost = int(clamp(_sent_count - int(message.get("received", 0)), 0, _kept.size()))
	outgoing.clear()
	for i in range(_kept.size() - lost, _kept.size()):
		outgoing.append(_kept[i])


func _take_session(session):
	var npc = session.get("npc")
	if typeof(npc) != TYPE_DICTIONARY:
		return
	var resume = npc.get("resume")
	if typeof(resume) == TYPE_DICTIONARY:
		_resume_token = resume.get("token", _resume_token)
	var capabilities = npc.get("capabilities")
	if typeof(capabilities) != TYPE_DICTIONARY or not capabilities.has("blendshapes"):
		return
	channels = capabilities.blendshapes
	pose.resize(channels.size())
	for c in range(channels.size()):
		pose[c] = 0.0
	idle_seed = int(capabilities.get("idle_seed", 0))


func _take_response(response):
	var npc = response.get("npc")
	if typeof(npc) != TYPE_DICTIONARY or not npc.has("ordinal"):
		return
	_spoken.append({"response_id": response.get("id", ""), "item_id": "", "ordinal": int(npc.ordinal), "score": Score.new()})
	if _spoken.size() > 8:
		_spoken.pop_front()


func _take_item(message):
	var item = _of_response(message.get("response_id", ""))
	var added = message.get("item", {})
	if item != null and item.item_id == "" and added.get("type") == "message":
		item.item_id = added.get("id", "")


func _take_cues(message):
	var of_input = message.get("clock") == "input"
	var item = _of_response(message.get("response_id", ""))
	if not of_input and (item == null or _stale.has(item.ordinal)):
		return
	for entry in message.get("cues", []):
		entry.at = int(entry.at)
		if of_input:
			_input_cues.add_cue(entry)
		else:
			item.score.add_cue(entry)


func _take_output(message):
	match message.get("action", ""):
		"pause":
			audio.pause()
		"duck":
			audio.duck(message.get("gain", 0.2))
		"resume":
			audio.resume()
		"flush":
			var item = _of_response(message.get("response_id", ""))
			if item != null:
				_flush(item)


func _take_call(message):
	var parsed = JSON.parse(message.get("arguments", "{}"))
	var arguments = parsed.result if parsed.error == OK and typeof(parsed.result) == TYPE_DICTIONARY else {}
	emit_signal("action", message.get("call_id", ""), message.get("name", ""), arguments)


func _flush(item):
	var heard = audio.played if audio.ordinal == item.ordinal else 0
	_stale[item.ordinal] = true
	audio.flush(item.ordinal)
	_flushed_pose = pose
	_flushed_ms = _last_step_ms
	if item.item_id != "":
		_send_playback(item, heard, "stopped")


func _report_finished():
	while not audio.finished.empty():
		var ended = audio.finished.pop_front()
		var item = _of_ordinal(ended[0])
		if item != null and item.item_id != "":
			_send_playback(item, ended[1], "finished")


func _report(item, now_ms):
	# Idle, or priming the next item: this one has ended and was reported.
	if item.item_id == "" or audio.played == 0 or audio.state == "idle" or audio.state == "priming":
		return
	if item.ordinal == _reported and now_ms - _last_report_ms < REPORT_EVERY_MS:
		return
	_reported = item.ordinal
	_last_report_ms = now_ms
	_send_playback(item, audio.played, "playing")


func _send_playback(item, played, state):
	send({"type": "npc.playback", "response_id": item.response_id, "item_id": item.item_id, "played_samples": int(played), "state": state})


func _of_response(id):
	for item in _spoken:
		if item.response_id == id:
			return item
	return null


func _of_ordinal(ordinal):
	for item in _spoken:
		if item.ordinal == ordinal:
			return item
	return null
