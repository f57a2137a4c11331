"""The session's side of a companion: it is joined, told what happens, and heeded; instructors speak to both.

    npc.instructor ─▶ Company ─▶ whisper, inject, take over … or the companion's own

The session gives its recorder and mind away when a companion is joined, before the talk begins, and says nothing to the
character while it is paused (the trainee's sound becomes silence, so that both clocks go on).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.conversation.answering import Answering
from npc.conversation.character_side import CharacterSide
from npc.conversation.companion import CannotJoin, Companion, Companions, Wish
from npc.conversation.ground import Ground
from npc.conversation.hearing import Hearing
from npc.conversation.people import Temperament
from npc.conversation.port import AudioOut
from npc.conversation.recorder import Recorder
from npc.conversation.terms import Terms
from npc.dialogue.interface import Mind, WorldEvent
from npc.protocol import ErrorEvent, NpcInstructed, NpcInstructor, Rehearsal


class _Both:
    """A recorder that is two: the operator's log, which may be given up, and the companion's."""

    def __init__(self, first: Recorder, second: Recorder) -> None:
        self._first, self._second = first, second

    def record(self, kind: str, data: Mapping[str, Any], at: float) -> None:
        self._first.record(kind, data, at)
        self._second.record(kind, data, at)

    async def end(self) -> None:
        await self._first.end()

    def keep(self, days: int) -> None:
        self._first.keep(days)

    async def discard(self) -> None:
        await self._first.discard()


class Company:
    """The session's side: whether somebody goes along, and what they are told. Owned by the session."""

    def __init__(
        self, ground: Ground, hearing: Hearing, answering: Answering, character: CharacterSide, terms: Terms
    ) -> None:
        self._ground, self._hearing, self._answering = ground, hearing, answering
        self._character, self._terms = character, terms
        self.companion: Companion | None = None
        self.paused = False

    # -- joining -------------------------------------------------------------------------------------------------------

    def join(self, scenario: str, rehearsal: Rehearsal) -> None:
        """Begin a scenario, behind the loop's back. Raises CannotJoin where it is too late for one."""
        companions = self._ground.engines.companions
        if companions is None:
            raise CannotJoin("this server runs no scenarios", "scenario")
        if self.companion is not None or self._ground.expecting:
            raise CannotJoin("this session runs a scenario already; open another session", "scenario")
        if self._talk_began:
            raise CannotJoin("choose the scenario before the talk begins", "scenario")
        ground = self._ground
        ground.expecting = True
        wish = Wish(scenario, rehearsal, ground.player, ground.engines.character_id, ground.session_id)
        ground.spawn(self._join(companions, wish))

    @property
    def _talk_began(self) -> bool:
        return bool(len(self._ground.items)) or self._answering.active is not None

    async def _join(self, companions: Companions, wish: Wish) -> None:
        ground = self._ground
        try:
            companion = await companions.join(wish)
        except CannotJoin as error:
            refused = ErrorEvent.of(str(error), code="invalid_value", param=f"session.npc.{error.param}")
            ground.outbox.send(refused)
            return
        finally:
            ground.expecting = False
        if self._talk_began:
            await companion.close("the talk began without it")
            refused = ErrorEvent.of("the talk began before the scenario was there", code="too_late")
            ground.outbox.send(refused)
            return
        self.companion = companion
        ground.overhear = self._sounded
        ground.tells_player_emotion = companion.reads_emotion
        ground.give_recorder(lambda own: _Both(own, companion.recorder))
        companion.recorder.record("session.opened", ground.opened(), ground.clock())
        ground.engines = replace(ground.engines, others=companion.speakers)
        self.swap_mind(companion.mind, companion.temperament)
        companion.begin(self)
        if companion.greets:
            self._character.greet_soon()

    # -- told by the session -------------------------------------------------------------------------------------------

    def heard(self, pcm: NDArray[np.int16], rate: int) -> NDArray[np.int16]:
        """Sound on its way to the ear: kept, and silenced during a pause."""
        if self.companion is None:
            return pcm
        if self.paused:
            pcm = np.zeros_like(pcm)
        self.companion.heard(pcm, rate, self._ground.clock(), self._hearing.received)
        return pcm

    def _sounded(self, item: object) -> None:
        """Output on its way to the client."""
        if self.companion is not None and isinstance(item, AudioOut):
            rate = self._ground.session.audio.output.format.rate
            self.companion.sounded(item, rate, self._ground.clock())

    def committed(self) -> None:
        """A turn is in the mind."""
        if self.companion is not None:
            self._character.tell_state()
            self.companion.committed()

    async def close(self, reason: str) -> None:
        if self.companion is not None:
            await self.companion.close(reason)

    # -- instructors ---------------------------------------------------------------------------------------------------

    def instruct(
        self,
        event: NpcInstructor,
        by: str,
        snapshot: Callable[[], Mapping[str, Any]],
        answer: Callable[[NpcInstructed], None],
    ) -> None:
        """Do what an instructor asked; `answer` reaches that instructor alone, `snapshot` is the session as it stands.
        Raises CannotJoin for what cannot be."""
        text = (event.text or "").strip()
        detail: dict[str, Any] = {"text": text} if text else {}
        named = event.action == "inject" and event.trigger is not None
        if event.action in ("whisper", "take_over", "inject") and not text and not named:
            raise CannotJoin(f"{event.action} needs a text", "text")
        # Recorded first: what follows is its effect.
        told = {"action": event.action, "text": text, "by": by, "level": event.level, "trigger": event.trigger}
        self._ground.record("instructed", {name: value for name, value in told.items() if value is not None})
        match event.action:
            case "whisper":
                self._character.observe(WorldEvent("whisper", {"text": text}))
            case "inject" if not named:
                self._character.observe(WorldEvent("event", {"text": text, "salience": 1.0, "react": True}))
            case "take_over":
                self._character.say(text)
            case "observe":
                detail = dict(snapshot())
                if self.companion is not None:
                    detail |= self.companion.snapshot()
            case "bookmark" | "release":
                pass
            case _:
                if self.companion is None:
                    raise CannotJoin(f"{event.action} needs a running scenario", "action")
                detail |= self.companion.instruct(event, by) or {}
        answer(NpcInstructed(character=self._ground.engines.character_id, action=event.action, detail=detail or None))

    # -- Stage ---------------------------------------------------------------------------------------------------------

    def clock(self) -> float:
        return self._ground.clock()

    def send(self, event: Any) -> None:
        self._ground.outbox.send(event)

    def observe(self, event: WorldEvent) -> None:
        self._character.observe(event)

    def record(self, kind: str, data: Mapping[str, Any]) -> None:
        self._ground.record(kind, data)

    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        return self._ground.spawn(work)

    def swap_mind(self, mind: Mind, temperament: Temperament) -> None:
        self._terms.take_interruptions(temperament)
        self._terms.swap_mind(mind)

    def pause(self, paused: bool) -> None:
        self.paused = paused
