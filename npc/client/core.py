"""The protocol side of a client, without a socket: typed events in order, audio in one shape, state for a resume.

`feed` takes messages as they come. Base64 deltas and binary frames become the same `OutputAudio`, JSON and binary
blendshapes the same `FaceFrames`; what belongs to a flushed response is dropped.
"""

from __future__ import annotations

import base64
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npc.protocol import (
    NpcBlendshapes,
    NpcOutput,
    NpcResumed,
    NpcResync,
    ResponseAudioDelta,
    ResponseCreated,
    ResponseDone,
    ResponseOutputItemAdded,
    ServerEvent,
    Session,
    SessionCreated,
    SessionUpdated,
    parse_server,
)
from npc.protocol.frames import AudioFrame, BlendshapeFrame, decode

#: Sent messages kept until the server is known to have them: about 10 s of 20 ms audio with events between.
_UNACKED_MESSAGES = 600
_UNACKED_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class OutputAudio:
    """Character audio: PCM16 at the session's output rate, from sample `start` of the item."""

    response_id: str
    item_id: str
    start: int
    pcm: NDArray[np.int16]
    track: int = 0
    last: bool = False


@dataclass(frozen=True, slots=True)
class FaceFrames:
    """ARKit-52 frames, u8 [frames, 52]: frame k at sample `start + k * samples_per_frame` of the item."""

    response_id: str
    item_id: str
    start: int
    samples_per_frame: int
    frames: NDArray[np.uint8]
    track: int = 0


Incoming = ServerEvent | OutputAudio | FaceFrames


class OutOfOrder(RuntimeError):
    """The server's numbering broke: a bug on one of the two sides."""


class ClientCore:
    """State of one session on the client's side."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.last_seq = 0
        self.token: str | None = None
        self.window_s = 0.0
        self.sent = 0
        """Messages sent in this session, over all its sockets."""
        self._unacked: deque[str | bytes] = deque()
        self._unacked_bytes = 0
        self._responses: dict[int, str] = {}
        self._items: dict[str, str] = {}
        self._flushed: set[str] = set()
        self._next_sample: dict[str, int] = {}

    # ---- down ----------------------------------------------------------------------------------------------------

    def feed(self, message: str | bytes) -> list[Incoming]:
        """What a message brings. Raises ProtocolError or FrameError for one that is neither, OutOfOrder for a hole."""
        if isinstance(message, bytes):
            self.last_seq += 1
            return self._frame(message)
        event = parse_server(message)
        if event.npc_seq is not None:
            if isinstance(event, NpcResync):
                self.last_seq = event.last_lost
            if event.npc_seq != self.last_seq + 1:
                raise OutOfOrder(f"message {event.npc_seq} came after {self.last_seq}")
            self.last_seq = event.npc_seq
        return self._event(event)

    def _event(self, event: ServerEvent) -> list[Incoming]:
        if isinstance(event, SessionCreated | SessionUpdated):
            self.session = event.session
            resume = event.session.npc.resume if event.session.npc else None
            if resume is not None:
                self.token, self.window_s = resume.token, resume.window_s
        elif isinstance(event, NpcResumed):
            self.token, self.window_s = event.token, event.window_s
        elif isinstance(event, ResponseCreated):
            if event.response.npc is not None:
                self._responses[event.response.npc.ordinal] = event.response.id
        elif isinstance(event, ResponseOutputItemAdded):
            if event.item.type == "message" and event.item.id is not None:
                self._items[event.response_id] = event.item.id
        elif isinstance(event, ResponseDone):
            if event.response.status == "cancelled":
                self._flushed.add(event.response.id)
        elif isinstance(event, NpcOutput):
            if event.action == "flush":
                self._flushed.add(event.response_id)
        elif isinstance(event, ResponseAudioDelta):
            return self._delta(event)
        elif isinstance(event, NpcBlendshapes):
            if event.response_id in self._flushed:
                return []
            frames = np.array(event.frames, np.uint8).reshape(len(event.frames), -1)
            return [FaceFrames(event.response_id, event.item_id, event.start, event.samples_per_frame, frames)]
        return [event]

    def _delta(self, event: ResponseAudioDelta) -> list[Incoming]:
        if event.response_id in self._flushed:
            return []
        pcm = np.frombuffer(base64.b64decode(event.delta, validate=True), "<i2")
        expected = self._next_sample.get(event.item_id, 0)
        start, track, last = expected, 0, False
        if event.npc is not None:
            start, track, last = event.npc.start, event.npc.track, event.npc.last
        self._next_sample[event.item_id] = start + pcm.size
        return [OutputAudio(event.response_id, event.item_id, start, pcm, track, last)]

    def _frame(self, message: bytes) -> list[Incoming]:
        frame = decode(message)
        response_id = self._responses.get(frame.ordinal)
        if response_id is None or response_id in self._flushed:
            return []
        item_id = self._items.get(response_id, "")
        if isinstance(frame, AudioFrame):
            return [OutputAudio(response_id, item_id, frame.start, frame.pcm, frame.track, frame.last)]
        assert isinstance(frame, BlendshapeFrame)
        return [FaceFrames(response_id, item_id, frame.start, frame.samples_per_frame, frame.weights, frame.track)]

    # ---- up ------------------------------------------------------------------------------------------------------

    def sending(self, message: str | bytes) -> None:
        """Note a message before it goes out, so that it can go out again."""
        self.sent += 1
        if self.token is None and self.session is not None:
            return
        self._unacked.append(message)
        self._unacked_bytes += len(message)
        while len(self._unacked) > _UNACKED_MESSAGES or self._unacked_bytes > _UNACKED_BYTES:
            self._unacked_bytes -= len(self._unacked.popleft())

    def missing(self, received: int) -> list[str | bytes]:
        """After a resume: the messages that the server does not have, oldest first, as far as they are still kept."""
        lost = max(0, self.sent - received)
        messages = list(self._unacked)
        return messages[len(messages) - lost :] if lost <= len(messages) else messages

    @property
    def resumable(self) -> bool:
        """The server gave a token."""
        return self.token is not None
