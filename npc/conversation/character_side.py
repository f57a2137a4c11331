"""The character's own side of a session: what it notices, says of itself, and is told of its replies.

event, scene, result ─▶ observe ─▶ wants to speak? ─▶ react, once nobody speaks
reply over, flushed ─▶ on_outcome ─▶ items, cancelled actions, metrics, health
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from npc.conversation.answering import Asked, Outcome
from npc.conversation.items import PartKind, with_text
from npc.conversation.turn_events import State, Typed
from npc.dialogue.interface import PlayerTurn, WorldEvent
from npc.protocol import (
    ConversationItemTruncated,
    EmotionState,
    NpcActionCancelled,
    NpcEmotion,
    NpcMetrics,
    NpcNarrative,
)

if TYPE_CHECKING:
    from npc.conversation.session import TalkSession

#: The character speaks first this long after the player is there, unless the player does.
GREETING_AFTER = 0.4


class CharacterSide:
    """What the character does of itself. Owned by the session."""

    def __init__(self, session: TalkSession) -> None:
        self._session = session
        self._busy = asyncio.Lock()
        self._reacting = False

    def listening(self) -> None:
        """Nobody speaks any more: say what had to wait."""
        if self._reacting:
            self._reacting = False
            self.react()

    def greet_soon(self) -> None:
        if self._session.engines.greets and not self._session.company.expected:
            self._session.spawn(self._greet())

    async def _greet(self) -> None:
        await asyncio.sleep(GREETING_AFTER)
        # Thinking has a watchdog; waiting for a character that is still being read must not end in silence.
        ready = getattr(self._session.mind, "ready", None)
        if ready is not None:
            await ready()
        if self._session.company.expected:
            # A scenario that was asked for meanwhile brings its own greeting.
            return
        if (
            self._session.turn.state is State.LISTENING
            and not len(self._session.items)
            and self._session.answering.active is None
        ):
            self._session.step(Typed())
            self._session.answering.answer(Asked(None, self._session.clock()))

    def observe(self, event: WorldEvent) -> None:
        """Tell the mind; when it wants to speak about it, it does."""
        self._session.record("observed", {"kind": event.kind, "data": dict(event.data)})
        self._session.spawn(self._observe(event))

    async def _observe(self, event: WorldEvent) -> None:
        async with self._busy:
            try:
                wants = await asyncio.wait_for(self._session.mind.observe(event), 5.0)
            except Exception as error:
                self._session.status("llm", "degraded", f"an event was not taken in: {error}")
                return
        self.tell_state()
        # A stock client asks for the answer to a function result itself.
        if wants and (self._session.opted_in or event.kind != "action_result"):
            self.react()

    def react(self) -> None:
        """The character wants to say something of itself; it waits until nobody speaks."""
        if self._session.turn.state is not State.LISTENING or self._session.answering.active is not None:
            self._reacting = True
            return
        self._session.step(Typed())
        turn = PlayerTurn(f"turn_{self._session.turns.next_number()}", "", spoken=False)
        self._session.answering.answer(Asked(turn, self._session.clock()))

    def on_outcome(self, outcome: Outcome) -> bool:
        item = self._session.items.find(outcome.item_id)
        if item is not None:
            part: PartKind = "output_text" if outcome.text_only else "output_audio"
            complete = not outcome.interrupted
            self._session.items.replace(with_text(item, outcome.heard, complete, part))
            self._session.record(
                "item.text",
                {"item_id": outcome.item_id, "text": outcome.heard, "complete": complete, "part": part},
            )
        character = self._session.engines.character_id
        for action in outcome.cancelled:
            undo = action.call_id in outcome.undone
            self._session.outbox.send(
                NpcActionCancelled(character=character, call_id=action.call_id, name=action.name, undo=undo)
            )
        if outcome.interrupted and outcome.played and self._session.opted_in:
            heard_ms = outcome.played * 1000 // outcome.rate
            self._session.outbox.send(ConversationItemTruncated(item_id=outcome.item_id, audio_end_ms=heard_ms))
        self._session.outbox.send(
            NpcMetrics(
                character=character,
                response_id=outcome.response_id,
                stages_ms=outcome.stages,
                speculation=outcome.speculation,
            )
        )
        self._session.record("metrics", {"response_id": outcome.response_id, "stages_ms": outcome.stages})
        self._report_health(outcome)
        unheard = outcome.interrupted and not outcome.heard and outcome.turn is not None and bool(outcome.turn.text)
        if unheard and self._session.turn.state is State.USER_SPEAKING:
            return False
        if outcome.turn is not None:
            self._session.turns.unanswered = [
                text for text in self._session.turns.unanswered if text not in outcome.turn.text
            ]
        return True

    def _report_health(self, outcome: Outcome) -> None:
        if outcome.voice_failed is not None:
            self._session.status("tts", "degraded", f"the voice failed: {outcome.voice_failed}", "text")
        else:
            self._session.status("tts", "ok", "ok")
        if outcome.mind_failed is not None:
            self._session.status("llm", "degraded", f"the mind failed: {outcome.mind_failed}", "a line in character")
        else:
            self._session.status("llm", "ok", "ok")

    def tell_state(self) -> None:
        state = self._session.mind.state()
        character = self._session.engines.character_id
        self._session.outbox.send(
            NpcEmotion(
                character=character,
                state=_emotion(state.affect),
                player=_emotion(state.player_affect) if self._session.company.reads_emotion else None,
            )
        )
        for entry in state.narrative:
            self._session.record("story", dict(entry))
            with contextlib.suppress(ValueError):
                self._session.outbox.send(NpcNarrative.model_validate({"character": character, **entry}))


def _emotion(affect: Any) -> EmotionState:
    return EmotionState(
        label=affect.label,
        intensity=min(1.0, max(0.0, affect.intensity)),
        valence=min(1.0, max(-1.0, affect.valence)),
        arousal=min(1.0, max(-1.0, affect.arousal)),
        dominance=min(1.0, max(-1.0, affect.dominance)),
    )
