"""Somebody who goes along with a session and may steer it: the running training scenario, as the session sees it.

    session.update {npc: {scenario}} ─▶ Companions.join ─▶ Companion: its mind, its recorder
    records, sound of both sides ─────▶ Companion          (what an attempt is made of)
    Companion ─▶ Stage ─▶ events to the client, world events to the mind, pause

The session knows nothing of scenarios; its side of this is `company.py`.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from npc.conversation.people import PlayerRef, Temperament
from npc.conversation.port import AudioOut
from npc.conversation.recorder import Recorder
from npc.conversation.reply import Speaker
from npc.dialogue.interface import Mind, WorldEvent
from npc.protocol import NpcInstructor, Rehearsal


class CannotJoin(ValueError):
    """The scenario cannot be begun; `param` names the field of `session.npc` that is wrong."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asked for: a scenario by id, how, by whom, of which character."""

    scenario: str
    rehearsal: Rehearsal
    player: PlayerRef
    character_id: str
    session_id: str


class Stage(Protocol):
    """What a companion may do with its session. All on the event loop."""

    def clock(self) -> float:
        """Session time in seconds."""

    def send(self, event: Any) -> None:
        """An `npc.*` event to the client (and to who watches it)."""

    def observe(self, event: WorldEvent) -> None:
        """Tell the mind."""

    def record(self, kind: str, data: Mapping[str, Any]) -> None:
        """Write to the session's log."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        """A task of the session."""

    def swap_mind(self, mind: Mind, temperament: Temperament) -> None:
        """The character goes on as another mind, and takes interruptions so."""

    def pause(self, paused: bool) -> None:
        """Nobody is listened to until it is over; what is being said is said to its end."""


class Companion(Protocol):
    """One attempt under way. Called on the event loop; nothing blocks."""

    @property
    def mind(self) -> Mind:
        """Who answers."""

    @property
    def temperament(self) -> Temperament:
        """How it takes interruptions."""

    @property
    def speakers(self) -> Mapping[str, Speaker]:
        """Voices of further characters by id; empty where there is one character."""

    @property
    def greets(self) -> bool:
        """Whether the character speaks first: not when an attempt goes on."""

    @property
    def reads_emotion(self) -> bool:
        """Whether what was read in the player may be told at all."""

    @property
    def recorder(self) -> Recorder:
        """Gets every record of the session from `session.opened` on."""

    def begin(self, stage: Stage) -> None:
        """The session is the companion's from here on."""

    def heard(self, pcm: NDArray[np.int16], rate: int, at: float, before: int) -> None:
        """Sound of the trainee, whose last sample came at session time `at`, behind `before` samples of the session."""

    def sounded(self, audio: AudioOut, rate: int, at: float) -> None:
        """Sound of the character that is sent now."""

    def committed(self) -> None:
        """A turn is over and in the mind."""

    def instruct(self, event: NpcInstructor, by: str) -> Mapping[str, Any] | None:
        """An instructor's `difficulty`, `pause`, `resume`, `end`, or `inject` of a named event; what to answer.

        Raises CannotJoin when it makes no sense now.
        """

    def snapshot(self) -> Mapping[str, Any]:
        """Where the attempt stands, for an instructor who has just come. JSON values."""

    async def close(self, reason: str) -> None:
        """The session ends; everything is on disk when it returns."""


class Companions(Protocol):
    """Where scenarios come from."""

    async def join(self, wish: Wish) -> Companion:
        """Begin, or go on with, an attempt. Raises CannotJoin."""
