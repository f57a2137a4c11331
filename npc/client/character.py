"""One character for a game loop in Python: bytes and events in; samples, cues, poses and messages out.

No socket, no clock, no thread: the same machine as the Unity, Unreal and Godot cores (`engine_plugins/conformance`),
for engines that run Python (Panda3D, Blender, pygame) and as the reference those cores are read against. Services and
tests that live on asyncio use `RealtimeClient` and `Playback` instead.

     text, binary ──▶ receive ──▶ stale? drop ──▶ cue queues, blendshape track, jitter buffer
     audio thread ──▶ pull(n) ──▶ n samples, and the clock moves
     render frame ──▶ step(ms) ─▶ `due` cues and `pose` at the sample that sounds now; reports into `outgoing`
     socket       ──▶ closed(code) ─▶ when to try again; `connect()` says where and with which sub-protocols
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from npc.client.item_audio import ItemAudio
from npc.client.track import BlendshapeTrack
from npc.protocol.frames import AudioFrame, FrameError, Kind, decode, encode_audio

Message = dict[str, Any]

#: Milliseconds between two playback reports.
REPORT_EVERY_MS: Final = 100.0
#: Messages kept until the server is known to have them; a second of 20 ms audio frames is 50.
KEPT_MESSAGES: Final = 1024
#: An interrupted face is at rest after this long.
REST_S: Final = 0.12
#: A cue on the input clock that is later than this is not worth showing.
LATE_MS: Final = 500
#: Items remembered: the one that sounds, those queued behind it, and those that late messages may still name.
_ITEMS: Final = 8
#: Ended, bad ticket, wrong version, replaced by another connection, abuse: trying again cannot help.
_FINAL: Final = frozenset({1000, 4000, 4401, 4406, 4409, 4429})
#: The server no longer has the session: the next connection starts a new one.
_GONE: Final = 4404
_FIRST_RETRY_MS, _LAST_RETRY_MS = 200.0, 5000.0


@dataclass(frozen=True, slots=True)
class ConnectPlan:
    """What the socket does next."""

    url: str
    protocols: tuple[str, ...]


@dataclass(slots=True)
class _Item:
    response_id: str
    ordinal: int
    item_id: str = ""
    cues: list[Message] = field(default_factory=list)
    track: BlendshapeTrack | None = None


class CharacterClient:
    """One conversation. `key` is an API key or ticket, `session` what `session.update` asks for, `rate` the audio's.

    `outgoing` holds messages for the socket, oldest first; `events` what came down, for captions and actions;
    `problems` sentences for a log. The owner empties all three. `due` and `pose` are those of the last `step`.
    """

    def __init__(self, url: str, session: Message | None = None, key: str = "", rate: int = 24_000) -> None:
        self._url, self._session, self._key, self._rate = url, session or {}, key, rate
        self.audio = ItemAudio(rate)
        self.outgoing: deque[str | bytes] = deque()
        self.events: deque[Message] = deque(maxlen=KEPT_MESSAGES)
        self.problems: deque[str] = deque(maxlen=KEPT_MESSAGES)
        self.due: list[Message] = []
        self.channels: tuple[str, ...] = ()
        self.pose: NDArray[np.float64] = np.zeros(0)
        self.idle_seed = 0
        self.seq = 0
        self.heard_sample = 0.0
        self._items: deque[_Item] = deque(maxlen=_ITEMS)
        self._stale: set[int] = set()
        self._input_cues: list[Message] = []
        self._input_samples = 0
        self._kept: deque[str | bytes] = deque(maxlen=KEPT_MESSAGES)
        self._sent = 0
        self._token = ""
        self._away = False
        """From a lost socket to the next session, or to what the server says of our messages (`npc.resumed`)."""
        self._attempt = 0
        self._reported = 0
        self._reported_ms = float("-inf")
        self._now_ms = 0.0
        self._flushed_ms = float("-inf")
        self._flushed_pose: NDArray[np.float64] = np.zeros(0)

    # ---- socket ------------------------------------------------------------------------------------------------------

    def connect(self) -> ConnectPlan:
        """Where to connect now: a new session, or the old one where it stopped."""
        url = f"{self._url}{'&' if '?' in self._url else '?'}npc=1"
        protocols = ["realtime"]
        if self._token:
            url += f"&after={self.seq}"
            protocols.append(f"npc-resume.{self._token}")
        if self._key:
            protocols.append(f"openai-insecure-api-key.{self._key}")
        return ConnectPlan(url, tuple(protocols))

    def opened(self) -> None:
        """The socket is open."""
        self._attempt = 0
        if self._token:
            return  # what goes out before the server has said what arrived would go out twice
        early = [message for message in self.outgoing if isinstance(message, str)]
        self._away, self._sent, self._input_samples = False, 0, 0
        self._kept.clear()
        self.outgoing.clear()
        self.send({"type": "session.update", "session": {"npc": {}, **self._session, "type": "realtime"}})
        for message in early:
            self._post(message)

    def closed(self, code: int, random: float) -> float | None:
        """Milliseconds to wait before connecting again, None when that cannot help. `random` lies in [0, 1)."""
        self.outgoing.clear()  # all of it is kept, and goes out again after a resume
        self._away = True
        if code in _FINAL:
            return None
        if code == _GONE:
            self._forget()
        delay = min(_LAST_RETRY_MS, _FIRST_RETRY_MS * 2.0 ** min(self._attempt, 20)) * (1.0 - 0.25 * random)
        self._attempt += 1
        return delay

    def _forget(self) -> None:
        """The next session counts its messages, samples and replies from the start."""
        self._token, self.seq, self._input_samples = "", 0, 0
        self._input_cues.clear()
        self._items.clear()
        self._stale.clear()
        self._reported = 0
        self.audio.clear()

    def send(self, message: Message) -> None:
        """Send any client event. While the socket is away it waits for the resume or the next session."""
        self._post(json.dumps(message, ensure_ascii=False))

    def send_audio(self, pcm: NDArray[np.int16]) -> None:
        """The player's sound at the session's input rate; dropped while the socket is away: it would arrive stale."""
        if self._away:
            return
        self._post(encode_audio(Kind.INPUT_AUDIO, pcm, self._input_samples))
        self._input_samples += int(pcm.size)

    def say(self, text: str) -> None:
        """A typed turn."""
        content = [{"type": "input_text", "text": text}]
        self.send(_item({"type": "message", "role": "user", "content": content}))
        self.send({"type": "response.create"})

    def action_result(self, call_id: str, output: Any) -> None:
        """How an action ended; `output` is any JSON value."""
        self.send(_item({"type": "function_call_output", "call_id": call_id, "output": json.dumps(output)}))

    def _post(self, message: str | bytes) -> None:
        self._sent += 1
        self._kept.append(message)
        if not (self._away and self._token):
            self.outgoing.append(message)

    # ---- down --------------------------------------------------------------------------------------------------------

    def receive_text(self, text: str) -> None:
        """A text message. What cannot be read is dropped and noted in `problems`."""
        try:
            message = json.loads(text)
        except ValueError as error:
            message, problem = None, f"not JSON: {error}"
        else:
            problem = "not a JSON object"
        if not isinstance(message, dict):
            self.problems.append(problem)
            return
        number = message.get("npc_seq")
        if isinstance(number, int):
            if number <= self.seq:
                return  # seen before the socket was lost
            self.seq = number
        try:
            self._take(message)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.problems.append(f"{message.get('type')} without what it must have: {error!r}")
            return
        self.events.append(message)

    def _take(self, message: Message) -> None:
        match message.get("type"):
            case "session.created" | "session.updated":
                self._take_session(message["session"])
            case "npc.resumed":
                self._token, self._away = message["token"], False
                lost = min(len(self._kept), max(0, self._sent - message["received"]))
                self.outgoing = deque(list(self._kept)[len(self._kept) - lost :])
            case "response.created":
                npc = message["response"].get("npc") or {}
                if "ordinal" in npc:
                    self._items.append(_Item(message["response"]["id"], npc["ordinal"]))
            case "response.output_item.added":
                item = self._of(message["response_id"])
                if item is not None and not item.item_id and message["item"]["type"] == "message":
                    item.item_id = message["item"]["id"]
            case "npc.cues":
                self._take_cues(message)
            case "npc.output":
                self._take_output(message)
            case "error":
                self.problems.append(message["error"]["message"])

    def receive_binary(self, data: bytes) -> None:
        """A binary frame. A bad one is dropped and noted in `problems`."""
        self.seq += 1  # it takes the next number without carrying it
        try:
            frame = decode(data)
            if frame.ordinal in self._stale:
                return
            if isinstance(frame, AudioFrame):
                self.audio.push(frame)
                return
            item = self._numbered(frame.ordinal)
            if item is not None and self.channels:
                item.track = item.track or BlendshapeTrack(len(self.channels))
                item.track.add(frame)
        except FrameError as error:
            self.problems.append(str(error))

    def _take_session(self, session: Message) -> None:
        npc = session.get("npc") or {}
        self._token = (npc.get("resume") or {}).get("token", self._token)
        capabilities = npc.get("capabilities") or {}
        if "blendshapes" in capabilities:
            self.channels = tuple(capabilities["blendshapes"])
            self.pose = np.zeros(len(self.channels))
            self.idle_seed = capabilities.get("idle_seed", 0)

    def _take_cues(self, message: Message) -> None:
        # Sorted before they are added: a cue without a time must leave nothing behind.
        fresh = sorted(message["cues"], key=_at)
        if message["clock"] == "input":
            self._input_cues = sorted([*self._input_cues, *fresh], key=_at)
            return
        item = self._of(message["response_id"])
        if item is not None and item.ordinal not in self._stale:
            item.cues = sorted([*item.cues, *fresh], key=_at)

    def _take_output(self, message: Message) -> None:
        item = self._of(message["response_id"])
        match message["action"]:
            case "pause":
                self.audio.pause()
            case "duck":
                self.audio.duck(message.get("gain") or 0.2)
            case "resume":
                self.audio.resume()
            case "flush" if item is not None:
                heard = self.audio.played if self.audio.ordinal == item.ordinal else 0
                self._stale.add(item.ordinal)
                self.audio.flush(item.ordinal)
                self._flushed_pose, self._flushed_ms = self.pose.copy(), self._now_ms
                if item.item_id:
                    self._report(item, heard, "stopped")

    # ---- once per rendered frame -------------------------------------------------------------------------------------

    def step(self, now_ms: float, latency_s: float = 0.0) -> None:
        """Fill `due` and `pose` for the sample at the ear: what was pulled less the device's `latency_s`."""
        self._now_ms = now_ms
        self.due = self._due_input()
        self._report_finished()
        item = self._numbered(self.audio.ordinal)
        self.heard_sample = self.audio.played - latency_s * self._rate
        if item is None or item.ordinal in self._stale:
            keep = max(0.0, 1.0 - (now_ms - self._flushed_ms) / (1000.0 * REST_S))
            flushed = self._flushed_pose if self._flushed_pose.shape == self.pose.shape else np.zeros_like(self.pose)
            self.pose = flushed * keep if keep > 0.0 else np.zeros_like(self.pose)
            return
        ready = sum(_at(cue) <= self.heard_sample for cue in item.cues)
        self.due += item.cues[:ready]
        del item.cues[:ready]
        if item.track is not None:
            self.pose = item.track.sample(self.heard_sample, self._rate)
        self._report_progress(item, now_ms)

    def _due_input(self) -> list[Message]:
        ready = sum(_at(cue) <= self._input_samples for cue in self._input_cues)
        due, self._input_cues = self._input_cues[:ready], self._input_cues[ready:]
        return [cue for cue in due if self._input_samples - _at(cue) <= self._rate * LATE_MS // 1000]

    def _report_finished(self) -> None:
        while self.audio.finished:
            ordinal, played = self.audio.finished.popleft()
            item = self._numbered(ordinal)
            if item is not None and item.item_id:
                self._report(item, played, "finished")

    def _report_progress(self, item: _Item, now_ms: float) -> None:
        # Idle, or priming the next item: this one has ended and was reported.
        if not item.item_id or not self.audio.played or self.audio.state in ("idle", "priming"):
            return
        if item.ordinal == self._reported and now_ms - self._reported_ms < REPORT_EVERY_MS:
            return
        self._reported, self._reported_ms = item.ordinal, now_ms
        self._report(item, self.audio.played, "playing")

    def _report(self, item: _Item, played: int, state: str) -> None:
        place = {"response_id": item.response_id, "item_id": item.item_id}
        self.send({"type": "npc.playback", **place, "played_samples": played, "state": state})

    def _numbered(self, ordinal: int) -> _Item | None:
        return next((one for one in self._items if one.ordinal == ordinal), None)

    def _of(self, response_id: str | None) -> _Item | None:
        return next((one for one in self._items if one.response_id == response_id), None)


def _at(cue: Message) -> int:
    return int(cue["at"])


def _item(item: Message) -> Message:
    return {"type": "conversation.item.create", "item": item}
