"""The character's own side of a session: what it notices, says of itself, and is told of its replies.

event, scene, result ─▶ observe ─▶ wants to speak? ─▶ react, once nobody speaks
reply over, flushed ─▶ on_outcome ─▶ items, cancelled actions, metrics, health
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from npc.conversation.answering import Answering
from npc.conversation.ground import Ground
from npc.conversation.items import PartKind, with_text
from npc.conversation.outcome import Asked, Outcome
from npc.conversation.turn_events import State, Typed
from npc.conversation.turns import Turns
from npc.dialogue.interface import Clause, PlayerTurn, WorldEvent
from npc.protocol import (
    ConversationItemTruncated,
    EmotionState,
    NpcActionCancelled,
    NpcEmotion,
    NpcMetrics,
    NpcNarrative,
)

#: The character speaks first this long after the player is there, unless the player does.
GREETING_AFTER = 0.4
#: World events that may wait for the mind; beyond it the newest is dropped.
MOST_WAITING = 256


class CharacterSide:
    """What the character does of itself. Owned by the session."""

    def __init__(self, ground: Ground, answering: Answering, turns: Turns) -> None:
        self._ground, self._answering, self._turns = ground, answering, turns
        self._busy = asyncio.Lock()
        self._observing = 0
        self._reacting = False

    def listening(self) -> None:
        """Nobody speaks any more: say what had to wait."""
        if self._reacting:
            self._reacting = False
            self.react()

    def greet_soon(self) -> None:
        if self._ground.engines.greets and not self._ground.expecting:
            self._ground.spawn(self._greet())

    async def _greet(self) -> None:
        await asyncio.sleep(GREETING_AFTER)
        # Thinking has a watchdog; waiting for a character that is still being read must not end in silence.
        await self._mind_is_there()
        if self._ground.expecting:
            # A scenario that was asked for meanwhile brings its own greeting.
            return
        if (
            self._ground.turn.state is State.LISTENING
            and not len(self._ground.items)
            and self._answering.active is None
        ):
            self._ground.step(Typed())
            self._answering.answer(Asked(None, self._ground.clock()))

    async def _mind_is_there(self) -> None:
        """A character that is still being read (`LateMind`) takes its time; a deadline counts from then on."""
        ready = getattr(self._ground.mind, "ready", None)
        if ready is not None:
            await ready()

    def observe(self, event: WorldEvent) -> asyncio.Task[None] | None:
        """Tell the mind; when it wants to speak about it, it does. The task ends when the mind has taken it in; None:
        it was dropped."""
        if self._observing >= MOST_WAITING:
            self._ground.status("llm", "degraded", "events come faster than they are taken in; the newest was dropped")
            return None
        self._observing += 1
        self._ground.record("observed", {"kind": event.kind, "data": dict(event.data)})
        return self._ground.spawn(self._observe(event))

    async def _observe(self, event: WorldEvent) -> None:
        try:
            await self._take_in(event)
        finally:
            self._observing -= 1

    async def _take_in(self, event: WorldEvent) -> None:
        async with self._busy:
            await self._mind_is_there()
            try:
                wants = await asyncio.wait_for(self._ground.mind.observe(event), 5.0)
            except Exception as error:
                self._ground.status("llm", "degraded", f"an event was not taken in: {error}")
                return
        self.tell_state()
        # A stock client asks for the answer to a function result itself.
        if wants and (self._ground.opted_in or event.kind != "action_result"):
            self.react()

    def react(self) -> None:
        """The character wants to say something of itself; it waits until nobody speaks."""
        if self._ground.turn.state is not State.LISTENING or self._answering.active is not None:
            self._reacting = True
            return
        self._ground.step(Typed())
        turn = PlayerTurn(f"turn_{self._turns.next_number()}", "", spoken=False)
        self._answering.answer(Asked(turn, self._ground.clock()))

    def say(self, text: str) -> None:
        """Say these words in the character's voice (an instructor took it over)."""
        self._ground.step(Typed())
        self._answering.answer(Asked(None, self._ground.clock(), line=(Clause(text),)))

    def on_outcome(self, outcome: Outcome) -> bool:
        item = self._ground.items.find(outcome.item_id)
        if item is not None:
            part: PartKind = "output_text" if outcome.text_only else "output_audio"
            complete = not outcome.interrupted
            self._ground.items.replace(with_text(item, outcome.heard, complete, part))
            self._ground.record(
                "item.text",
                {"item_id": outcome.item_id, "text": outcome.heard, "complete": complete, "part": part},
            )
        character = self._ground.engines.character_id
        for action in outcome.cancelled:
            undo = action.call_id in outcome.undone
            self._ground.outbox.send(
                NpcActionCancelled(character=character, call_id=action.call_id, name=action.name, undo=undo)
            )
        if outcome.interrupted and outcome.played and self._ground.opted_in:
            heard_ms = outcome.played * 1000 // outcome.rate
            self._ground.outbox.send(ConversationItemTruncated(item_id=outcome.item_id, audio_end_ms=heard_ms))
        self._ground.outbox.send(
            NpcMetrics(
                character=character,
                response_id=outcome.response_id,
                stages_ms=outcome.stages,
                speculation=outcome.speculation,
            )
        )
        self._ground.record("metrics", {"response_id": outcome.response_id, "stages_ms": outcome.stages})
        self._report_health(outcome)
        unheard = outcome.interrupted and not outcome.answer_heard and bool(outcome.answers)
        goes_on = self._ground.turn.state in (State.USER_SPEAKING, State.THINKING)
        if unheard and (goes_on or outcome.asked_again):
            if outcome.answered:
                self._turns.unheard(outcome.answers)
            return False
        if not outcome.answered:
            self._turns.answered(outcome.answers)
        return True

    def _report_health(self, outcome: Outcome) -> None:
        if outcome.voice_failed is not None:
            self._ground.status("tts", "degraded", f"the voice failed: {outcome.voice_failed}", "text")
        else:
            self._ground.status("tts", "ok", "ok")
        if outcome.mind_failed is not None:
            self._ground.status("llm", "degraded", f"the mind failed: {outcome.mind_failed}", "a line in character")
        else:
            self._ground.status("llm", "ok", "ok")

    def tell_state(self) -> None:
        state = self._ground.mind.state()
        character = self._ground.engines.character_id
        self._ground.outbox.send(
            NpcEmotion(
                character=character,
                state=_emotion(state.affect),
                player=_emotion(state.player_affect) if self._ground.tells_player_emotion else None,
            )
        )
        for entry in state.narrative:
            self._ground.record("story", dict(entry))
            with contextlib.suppress(ValueError):
                self._ground.outbox.send(NpcNarrative.model_validate({"character": character, **entry}))


def _emotion(affect: Any) -> EmotionState:
    return EmotionState(
        label=affect.label,
        intensity=min(1.0, max(0.0, affect.intensity)),
        valence=min(1.0, max(-1.0, affect.valence)),
        arousal=min(1.0, max(-1.0, affect.arousal)),
        dominance=min(1.0, max(-1.0, affect.dominance)),
    )
