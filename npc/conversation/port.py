"""The seam between a session and whatever carries it (a WebSocket, a test, the bench).

The session takes `npc.protocol` client events and input audio, and emits `Outbound` items in order. The carrier
numbers them (`npc_seq`), turns audio and blendshapes into base64 events or binary frames as negotiated, and keeps them
for resume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from npc.protocol import ClientEvent, Limits, NpcInstructor


@dataclass(frozen=True, slots=True)
class AudioOut:
    """Paced output audio: PCM16 at the session's output rate, from sample `start` of the item."""

    response_id: str
    item_id: str
    ordinal: int
    track: int
    start: int
    pcm: NDArray[np.int16]
    last: bool = False
    output_index: int = 0
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class BlendshapesOut:
    """Frames of the ARKit-52 track: u8 [frames, 52], frame k at sample `start + k * samples_per_frame`."""

    response_id: str
    item_id: str
    ordinal: int
    track: int
    start: int
    samples_per_frame: int
    frames: NDArray[np.uint8]


class Outbox(Protocol):
    """Where a session's output goes. `send` never blocks; the carrier applies its own bound and policy."""

    def send(self, item: Any) -> None:
        """A `npc.protocol` server event, an `AudioOut` or a `BlendshapesOut`."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a carrier knows when a connection asks to talk.

    `opted_in` is true when the query said `npc=1`; a later `session.update` with `session.npc` opts in as well, and the
    session sends nothing of `npc.*` before that. `limits` belongs into `session.npc.capabilities.limits`; the carrier
    adds `session.npc.resume` to `session.created` or `session.updated` itself.
    """

    session_id: str
    character_id: str
    player_id: str = "player"
    opted_in: bool = False
    scopes: frozenset[str] = frozenset()
    limits: Limits | None = None
    voice: str = ""
    """Id of a voice card to speak with instead of the character's own; one that is not here is ignored."""


class UnknownCharacter(LookupError):
    """No character of that id; the message lists those there are."""


class Conversation(Protocol):
    """One live session. All methods are called on the event loop; none but `run` and `close` awaits anything.

    The session emits `session.created` as the first thing `run` does, and answers every client event itself
    (`session.updated`, `error` for a bad value, …). The carrier parses and refuses malformed input before.
    """

    session_id: str

    @property
    def opted_in(self) -> bool:
        """Whether `npc.*` events, binary frames and `npc_seq` may be sent."""

    def receive(self, event: ClientEvent) -> None:
        """A typed `npc.protocol` client event, in order; `input_audio_buffer.append` comes through `hear` instead."""

    def hear(self, pcm: NDArray[np.int16]) -> None:
        """Input audio, mono PCM16 at the session's input rate, any length. Bounded inside: oldest audio is dropped."""

    def attach(self, connected: bool) -> None:
        """The socket was lost (False: pacing pauses, nothing is dropped) or is back (True: on from that sample)."""

    def snapshot(self) -> Mapping[str, Any]:
        """State for `npc.resync`: turn state, items, the response in progress and its next sample. JSON values only."""

    async def run(self) -> None:
        """The session's task tree: returns after `close`, raises nothing but cancellation."""

    async def close(self, reason: str) -> None:
        """End the talk: what was heard is committed, memory and log are flushed, every task is awaited. Idempotent."""


@runtime_checkable
class Instructable(Protocol):
    """A session that takes an instructor's events from another socket than its own."""

    def instruct(self, event: NpcInstructor, by: str, outbox: Outbox) -> None:
        """Do it and answer to `outbox` alone: the trainee is not to see what is whispered."""


@runtime_checkable
class Rehearses(Protocol):
    """A service that runs training scenarios."""

    def scenarios(self) -> Sequence[Mapping[str, Any]]:
        """Public summary of each scenario. Reads files: call it off the event loop."""

    async def transcribe(self, pcm: NDArray[np.int16], rate: int) -> str:
        """Words of a recording (an instructor's, who speaks for the character); empty where nothing is recognised."""


class Service(Protocol):
    """Everything behind the server, as `npc.server.assembly.build(settings)` makes it. One per process."""

    async def start(self) -> None:
        """Load engines and characters; `ready` turns true. Raises a RuntimeError that says what to do."""

    async def close(self) -> None:
        """Close every session, then the engines."""

    def ready(self) -> Mapping[str, Any]:
        """`{"ready": bool, "components": {name: {"state": ok|degraded|down, "message": str}}}`."""

    async def load(self, character_id: str, voice: str) -> None:
        """Have ready what a session of this character with this voice needs, so that `open` loads nothing: it runs on
        the event loop. A name that is not there is left to `open`."""

    def open(self, opening: Opening, outbox: Outbox) -> Conversation:
        """A new session; raises `UnknownCharacter`. The caller runs it as a task."""

    def characters(self) -> Sequence[Mapping[str, Any]]:
        """Public summary of each character: id, name, description, language, voice."""

    def character(self, character_id: str) -> Mapping[str, Any]:
        """One character in full, without its secrets; raises `UnknownCharacter`."""

    def knowledge(self, character_id: str) -> Sequence[Mapping[str, Any]]:
        """Facts the character may tell: id, text, source; raises `UnknownCharacter`."""

    def voices(self) -> Sequence[Mapping[str, Any]]:
        """Voice cards that loaded."""

    async def memory(self, player_id: str, character_id: str) -> Mapping[str, Any]:
        """What the character remembers of the player, for export."""

    async def forget(self, player_id: str, character_id: str) -> int:
        """Erase it; number of records removed."""
