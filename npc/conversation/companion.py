"""Somebody who goes along with a session and may steer it: the running training scenario, as the session sees it.

    session.update {npc: {scenario}} ─▶ Companions.join ─▶ Companion: its mind, its recorder
    records, sound of both sides ─────▶ Companion          (what an attempt is made of)
    npc.instructor ───────────────────▶ Company ─▶ whisper, inject, take over … or the companion's own
    Companion ─▶ Stage ─▶ events to the client, world events to the mind, pause

The session knows nothing of scenarios: it gives its recorder and mind away when one is joined, before the talk begins,
and says nothing to the character while it is paused (the trainee's sound becomes silence, so that both clocks go on).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from npc.conversation.engines import PlayerRef, Recorder, Temperament
from npc.conversation.port import AudioOut
from npc.conversation.reply import Speaker
from npc.dialogue.interface import Mind, WorldEvent
from npc.protocol import ErrorEvent, NpcInstructed, NpcInstructor, Rehearsal

if TYPE_CHECKING:
    from npc.conversation.session import TalkSession


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


class _Both:
    """A recorder that is two: the operator's log, which may be given up, and the companion's."""

    def __init__(self, first: Recorder, second: Recorder) -> None:
        self._first, self._second = first, second

    def record(self, kind: str, data: Mapping[str, Any], at: float) -> None:
        self._first.record(kind, data, at)
        self._second.record(kind, data, at)

    async def end(self) -> None:
        await self._first.end()

    async def discard(self) -> None:
        await self._first.discard()


class Company:
    """The session's side: whether somebody goes along, and what they are told. Owned by the session."""

    def __init__(self, session: TalkSession) -> None:
        self._session = session
        self.companion: Companion | None = None
        self._joining = False
        self.paused = False

    # -- joining -------------------------------------------------------------------------------------------------------

    def join(self, scenario: str, rehearsal: Rehearsal) -> None:
        """Begin a scenario, behind the loop's back. Raises CannotJoin where it is too late for one."""
        session = self._session
        companions = session.engines.companions
        if companions is None:
            raise CannotJoin("this server runs no scenarios", "scenario")
        if self.companion is not None or self._joining:
            raise CannotJoin("this session runs a scenario already; open another session", "scenario")
        if len(session.items) or session.answering.active is not None:
            raise CannotJoin("choose the scenario before the talk begins", "scenario")
        self._joining = True
        wish = Wish(scenario, rehearsal, session.player, session.engines.character_id, session.session_id)
        session.spawn(self._join(companions, wish))

    @property
    def expected(self) -> bool:
        """A scenario is being opened: nobody greets before it is there."""
        return self._joining

    async def _join(self, companions: Companions, wish: Wish) -> None:
        session = self._session
        try:
            companion = await companions.join(wish)
        except CannotJoin as error:
            self._joining = False
            refused = ErrorEvent.of(str(error), code="invalid_value", param=f"session.npc.{error.param}")
            session.outbox.send(refused)
            return
        self._joining = False
        if len(session.items) or session.answering.active is not None:
            await companion.close("the talk began without it")
            refused = ErrorEvent.of("the talk began before the scenario was there", code="too_late")
            session.outbox.send(refused)
            return
        self.companion = companion
        session.give_recorder(lambda own: _Both(own, companion.recorder))
        companion.recorder.record("session.opened", session.opened(), session.clock())
        session.engines = replace(session.engines, others=companion.speakers)
        self.swap_mind(companion.mind, companion.temperament)
        companion.begin(self)
        if companion.greets:
            session.character.greet_soon()

    @property
    def reads_emotion(self) -> bool:
        """Whether the client may be told what was read in the player."""
        return self.companion is None or self.companion.reads_emotion

    # -- told by the session -------------------------------------------------------------------------------------------

    def heard(self, pcm: NDArray[np.int16], rate: int) -> NDArray[np.int16]:
        """Sound on its way to the ear: kept, and silenced during a pause."""
        if self.companion is None:
            return pcm
        if self.paused:
            pcm = np.zeros_like(pcm)
        self.companion.heard(pcm, rate, self._session.clock(), self._session.hearing.received)
        return pcm

    def sounded(self, item: object) -> None:
        """Output on its way to the client."""
        if self.companion is not None and isinstance(item, AudioOut):
            rate = self._session.effective().audio.output.format.rate
            self.companion.sounded(item, rate, self._session.clock())

    def committed(self) -> None:
        """A turn is in the mind."""
        if self.companion is not None:
            self._session.character.tell_state()
            self.companion.committed()

    async def close(self, reason: str) -> None:
        if self.companion is not None:
            await self.companion.close(reason)

    # -- instructors ---------------------------------------------------------------------------------------------------

    def instruct(self, event: NpcInstructor, by: str, answer: Callable[[NpcInstructed], None]) -> None:
        """Do what an instructor asked; `answer` reaches that instructor alone. Raises CannotJoin for what cannot be."""
        session = self._session
        text = (event.text or "").strip()
        detail: dict[str, Any] = {"text": text} if text else {}
        named = event.action == "inject" and event.trigger is not None
        if event.action in ("whisper", "take_over", "inject") and not text and not named:
            raise CannotJoin(f"{event.action} needs a text", "text")
        # Recorded first: what follows is its effect.
        told = {"action": event.action, "text": text, "by": by, "level": event.level, "trigger": event.trigger}
        session.record("instructed", {name: value for name, value in told.items() if value is not None})
        match event.action:
            case "whisper":
                session.character.observe(WorldEvent("whisper", {"text": text}))
            case "inject" if not named:
                session.character.observe(WorldEvent("event", {"text": text, "salience": 1.0, "react": True}))
            case "take_over":
                session.say(text)
            case "observe":
                detail = dict(session.snapshot())
                if self.companion is not None:
                    detail |= self.companion.snapshot()
            case "bookmark" | "release":
                pass
            case _:
                if self.companion is None:
                    raise CannotJoin(f"{event.action} needs a running scenario", "action")
                detail |= self.companion.instruct(event, by) or {}
        answer(NpcInstructed(character=session.engines.character_id, action=event.action, detail=detail or None))

    # -- Stage ---------------------------------------------------------------------------------------------------------

    def clock(self) -> float:
        return self._session.clock()

    def send(self, event: Any) -> None:
        self._session.outbox.send(event)

    def observe(self, event: WorldEvent) -> None:
        self._session.character.observe(event)

    def record(self, kind: str, data: Mapping[str, Any]) -> None:
        self._session.record(kind, data)

    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        return self._session.spawn(work)

    def swap_mind(self, mind: Mind, temperament: Temperament) -> None:
        session = self._session
        session.engines = replace(session.engines, temperament=temperament)
        session.set_effective(session.effective())
        session.swap_mind(mind)

    def pause(self, paused: bool) -> None:
        self.paused = paused
