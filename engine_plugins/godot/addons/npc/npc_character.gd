# One character of the npc service. Add it as a child of the one that speaks; connect its signals; give it a face by `face`.
# The voice is pulled into an AudioStreamGenerator: the samples pulled, less what the generator still holds, are the clock.
extends Node

# A game action the character takes: do it, then call finish_action(call_id, ok, note).
signal action(call_id, name, arguments)
signal action_cancelled(call_id, name, undo)
# The words of the reply so far, as they are heard.
signal caption(text)
# What the recogniser understood of the player.
signal heard(text)
signal emotion(name)
# Something for the log; the conversation goes on.
signal problem(text)
# Any event of the server.
signal event(type, message)

const CharacterClient = preload("core/character_client.gd")
const IdleFace = preload("core/idle_face.gd")
const RATE = 24000
const BLOCK = 480

export(String) var server = "ws://127.0.0.1:8765"
export(String) var character = "sela-marrow"
# API key or short-lived ticket; empty on loopback.
export(String) var key = ""
# Id under which the character remembers this player.
export(String) var player_id = "player"
export(bool) var connect_on_ready = true
# Stream the microphone: hands-free when always on, push to talk when a key sets it.
export(bool) var listening = true
export(NodePath) var face

var client
var state = "off"
var _idle
var _idle_seed = 0
var _socket
var _retry_at_ms = -1.0
var _generator
var _player
var _playback
var _caption = ""
var _microphone
var _captured = []
var _phase = 0.0
var _close_code = 1006
var _last_capture_ms = 0


func _ready():
	_make_voice()
	_make_microphone()
	if connect_on_ready:
		connect_to_server()


func connect_to_server():
	disconnect_from_server()
	var session = {"npc": {
		"transport": {"audio": "binary", "animation": "binary", "lead_ms": 200},
		"cues": {"visemes": "oculus15", "blendshapes": "arkit52", "fps": 60},
		"player": {"id": player_id},
	}}
	client = CharacterClient.new(server + "/v1/realtime?model=" + character.percent_encode(), session, key, RATE)
	client.connect("action", self, "_on_action")
	client.connect("action_cancelled", self, "_on_action_cancelled")
	client.connect("problem", self, "_on_problem")
	client.connect("event", self, "_on_event")
	_open_socket()


func disconnect_from_server():
	if _socket != null:
		_socket.disconnect_from_host(1000)
	_socket = null
	client = null
	state = "off"
	_retry_at_ms = -1.0


# A typed turn.
func say(text):
	if client != null:
		client.say(text)


func finish_action(call_id, ok, note = ""):
	if client != null:
		client.action_result(call_id, {"ok": ok, "note": note})


# What the character sees, e.g. {"entities": [{"id": "chest", "name": "left chest"}]}.
func set_scene(scene):
	if client != null:
		client.scene_update(scene)


# Speak 16-bit samples at 24 kHz as the player: a recording, or a microphone of your own.
func hear(samples):
	if client != null and listening:
		client.send_audio(samples)


func _process(_delta):
	if client == null:
		return
	var now = OS.get_ticks_msec()
	if _socket != null:
		_socket.poll()
	if _retry_at_ms >= 0.0 and now >= _retry_at_ms:
		_retry_at_ms = -1.0
		_open_socket()
	_fill_voice()
	_send_microphone()
	client.step(now, _queued_seconds())
	for cue in client.due:
		if cue.get("kind") == "word":
			_caption = cue.name if _caption == "" else _caption + " " + cue.name
			emit_signal("caption", _caption)
		elif cue.get("kind") == "emotion":
			emit_signal("emotion", cue.name)
	var shown = get_node_or_null(face)
	if shown != null:
		shown.show(client.channels, _living(now))
	_flush()


# The client's pose with blinks and saccades on it while nothing sounds.
func _living(now):
	if client.channels.empty():
		return client.pose
	if _idle == null or _idle_seed != client.idle_seed:
		_idle_seed = client.idle_seed
		_idle = IdleFace.new(_idle_seed)
	return _idle.step(now, client.audio.state != "idle", client.channels, client.pose)


func _open_socket():
	var plan = client.connect_plan()
	state = "connecting"
	_socket = WebSocketClient.new()
	# Godot's default of 64 kB is too small for a burst of audio after a resume.
	_socket.set_buffers(512, 2048, 512, 2048)
	_socket.connect("connection_established", self, "_on_open")
	_socket.connect("data_received", self, "_on_data")
	# Deferred: the socket is let go in the handler, which must not happen while it is emitting.
	_socket.connect("connection_closed", self, "_on_closed", [], CONNECT_DEFERRED)
	_socket.connect("connection_error", self, "_on_closed", [], CONNECT_DEFERRED)
	_socket.connect("server_close_request", self, "_on_close_request")
	if _socket.connect_to_url(plan.url, plan.protocols) != OK:
		_lost(1006)


func _on_open(_protocol = ""):
	state = "open"
	_socket.get_peer(1).set_write_mode(WebSocketPeer.WRITE_MODE_TEXT)
	client.opened()
	_flush()


func _on_data():
	var peer = _socket.get_peer(1)
	while peer.get_available_packet_count() > 0:
		var packet = peer.get_packet()
		if peer.was_string_packet():
			client.receive_text(packet.get_string_from_utf8())
		else:
			client.receive_binary(packet)


func _on_close_request(code, _reason):
	_close_code = code


func _on_closed(_clean = false):
	_lost(_close_code)
	_close_code = 1006


func _lost(code):
	if client == null:
		return  # the socket's end was told after disconnect_from_server
	_socket = null
	var delay = client.closed(code, randf())
	state = "waiting" if delay >= 0 else "over"
	_retry_at_ms = OS.get_ticks_msec() + delay if delay >= 0 else -1.0


func _flush():
	if state != "open" or _socket == null:
		return
	var peer = _socket.get_peer(1)
	while not client.outgoing.empty():
		var message = client.outgoing.pop_front()
		var text = typeof(message) == TYPE_STRING
		peer.set_write_mode(WebSocketPeer.WRITE_MODE_TEXT if text else WebSocketPeer.WRITE_MODE_BINARY)
		peer.put_packet(message.to_utf8() if text else message)


func _make_voice():
	_generator = AudioStreamGenerator.new()
	_generator.mix_rate = RATE
	_generator.buffer_length = 0.1
	_player = AudioStreamPlayer.new()
	_player.stream = _generator
	add_child(_player)
	_player.play()
	_playback = _player.get_stream_playback()


func _fill_voice():
	while _playback.get_frames_available() >= BLOCK:
		var frames = PoolVector2Array()
		for sample in client.audio.pull(BLOCK):
			frames.append(Vector2.ONE * (sample / 32768.0))
		_playback.push_buffer(frames)


func _queued_seconds():
	return max(0.0, _generator.buffer_length - float(_playback.get_frames_available()) / RATE) + AudioServer.get_output_latency()


# The microphone needs "audio/enable_audio_input" in the project's settings; without it only hear() and say() are there.
func _make_microphone():
	if not ProjectSettings.get_setting("audio/enable_audio_input"):
		return
	var bus = AudioServer.bus_count
	AudioServer.add_bus(bus)
	AudioServer.set_bus_name(bus, "NpcMicrophone")
	AudioServer.set_bus_mute(bus, true)
	_microphone = AudioEffectRecord.new()
	AudioServer.add_bus_effect(bus, _microphone)
	_microphone.set_recording_active(true)
	var source = AudioStreamPlayer.new()
	source.stream = AudioStreamMicrophone.new()
	source.bus = "NpcMicrophone"
	add_child(source)
	source.play()


# Godot 3.2 has no capture effect: the record effect is read and started again every 100 ms.
func _send_microphone():
	if _microphone == null or OS.get_ticks_msec() - _last_capture_ms < 100:
		return
	_last_capture_ms = OS.get_ticks_msec()
	var recording = _microphone.get_recording()
	_microphone.set_recording_active(false)
	_microphone.set_recording_active(true)
	if recording == null or not listening:
		return
	var step = float(recording.mix_rate) / RATE
	var stride = 4 if recording.stereo else 2
	var bytes = StreamPeerBuffer.new()
	bytes.data_array = recording.data
	for at in range(0, recording.data.size() - stride + 1, stride):
		bytes.seek(at)
		_phase += 1.0
		while _phase >= step:
			_phase -= step
			_captured.append(bytes.get_16())
			bytes.seek(at)
	while _captured.size() >= BLOCK:
		client.send_audio(_captured.slice(0, BLOCK - 1))
		_captured = _captured.slice(BLOCK, _captured.size() - 1) if _captured.size() > BLOCK else []


func _on_event(type, message):
	if type == "response.created":
		_caption = ""
	elif type == "conversation.item.input_audio_transcription.completed":
		emit_signal("heard", message.get("transcript", ""))
	emit_signal("event", type, message)


func _on_action(call_id, name, arguments):
	emit_signal("action", call_id, name, arguments)


func _on_action_cancelled(call_id, name, undo):
	emit_signal("action_cancelled", call_id, name, undo)


func _on_problem(text):
	push_warning("NPC %s: %s" % [character, text])
	emit_signal("problem", text)
