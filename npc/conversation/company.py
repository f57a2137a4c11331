"""The session's side of a companion: it is joined, told what happens, and heeded; instructors speak to both.

    npc.instructor ─▶ Company ─▶ whisper, inject, take over … or the companion's own

The session gives its recorder and mind away when a companion is joined, before the talk begins, and says nothing to the
character while it is paused (the trainee's sound becomes silence, so that both clocks go on).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from npc.conversation.companion import CannotJoin, Companion, Companions, Wish
from npc.conversation.people import Temperament
from npc.conversation.port import AudioOut
from npc.conversation.recorder import Recorder
from npc.dialogue.interface import Mind, WorldEvent
from npc.protocol import ErrorEvent, NpcInstructed, NpcInstructor, Rehearsal

if TYPE_CHECKING:
    from npc.conversation.session import TalkSession


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
