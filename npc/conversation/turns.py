"""Spoken and typed turns of a session, from the first partial to the request for an answer.

partials ─▶ drafts ─▶ end of turn ─▶ final text ─▶ the player's item ─▶ answer
                                                    └ unanswered until something of the answer was heard
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import Any

from npc.asr.interface import Hypothesis
from npc.audio.clock import LISTEN_RATE
from npc.conversation.answering import Answering
from npc.conversation.ground import Ground
from npc.conversation.hearing import Hearing
from npc.conversation.items import spoken_item, with_text
from npc.conversation.outcome import Asked, merged
from npc.conversation.speculation import words_of
from npc.conversation.turn_events import Committed, NothingSaid, ReplyOver, State, Typed, Words
from npc.conversation.utterance import Transcript, Utterance
from npc.dialogue.interface import Clause, PlayerTurn
from npc.protocol import (
    ConversationItemAdded,
    ConversationItemDone,
    InputAudioBufferCommitted,
    TranscriptionCompleted,
    TranscriptionDelta,
    TranscriptionUsage,
)

#: Sound this long without a word gets "I did not catch that"; shorter is let pass (conversation.md §5).
WORTH_ASKING = LISTEN_RATE * 700 // 1000
#: A better text is only of use where so much is left to draft for it: mind 90 ms and voice 25 at the 95th percentile.
DRAFT_TAKES = LISTEN_RATE * 115 // 1000
#: What the player said and was not answered is put in front of their next turn, at most so many turns of it.
MOST_UNANSWERED = 4


class Turns:
    """What the player says. Owned by the session."""

    def __init__(self, ground: Ground, hearing: Hearing, answering: Answering) -> None:
        self._ground, self._hearing, self._answering = ground, hearing, answering
        self.speech_item: str | None = None
        """Id that the item of the turn under way will have."""
        self.unanswered: list[str] = []
        self.typed: list[str] = []
        """Typed since the last answer."""
        self._turns = 0
        self._response_wanted = False
        self._finishing: asyncio.Task[None] | None = None

    def next_number(self) -> int:
        """A turn begins that the player did not speak."""
        self._turns += 1
        return self._turns

    async def settled(self) -> None:
        """A turn that just ended has its text."""
        if self._finishing is not None:
            await asyncio.wait({self._finishing}, timeout=2.0)

    def type(self, text: str) -> None:
        """The player typed something; it is answered when that is asked for."""
        self.typed = [*self.typed, text][-MOST_UNANSWERED:]

    def answered(self, texts: tuple[str, ...]) -> None:
        """Something of the answer to these was heard."""
        left = list(texts)
        kept = []
        for text in self.unanswered:
            if text in left:
                left.remove(text)
            else:
                kept.append(text)
        self.unanswered = kept

    def unheard(self, texts: tuple[str, ...]) -> None:
        """Nothing of the answer to these was heard after all."""
        self.unanswered = [*texts, *self.unanswered][-MOST_UNANSWERED:]

    def words(self, hypothesis: Hypothesis) -> None:
        text = self._hearing.text
        self._ground.record(
            "asr.partial", {"text": text, "confidence": hypothesis.confidence, "heard": self._hearing.heard}
        )
        self._ground.mind.listen(text)
        live = self._answering.active
        echoed = live is not None and live.says(words_of(text))
        self._ground.step(Words(text, hypothesis.confidence, echoed))
        if self._ground.turn.drafted and not self._ground.turn.voice and self._hearing.concluded:
            self._draft_text(text)

    def draft(self) -> None:
        """This pause may be the end: ask for the final text, which a draft is made for as soon as it is there."""
        turn = self._ground.turn
        left = turn.voice_end + (turn.until or 0) - turn.heard - DRAFT_TAKES
        self._hearing.refine(max(0, left) / LISTEN_RATE)
        self._hearing.conclude()
        if self._hearing.concluded:
            self.draft_anyway()

    def draft_anyway(self) -> None:
        """Draft for what is known now."""
        self._draft_text(self._hearing.text)

    def _draft_text(self, text: str) -> None:
        if text and self._ground.turn.rules.respond:
            # Under the number that the turn will have, so that the mind knows its draft again at the commit.
            self._answering.draft(self._player_turn(text, 1.0, True, self._turns + 1))

    def end_turn(self, start: int, end: int, respond: bool) -> None:
        self._turns += 1
        item_id, self.speech_item = self.speech_item or self._ground.new_id("item"), None
        if not self._ground.turn.rules.hands_free:
            start = self._hearing.opened
        utterance = self._hearing.detach()
        decided = self._ground.clock()
        voice_ended = decided - (self._hearing.heard - end) / LISTEN_RATE
        self._finishing = self._ground.spawn(
            self._finish_turn(utterance, item_id, max(0, end - start), respond, decided, voice_ended, self._turns)
        )

    async def _finish_turn(
        self,
        utterance: Utterance | None,
        item_id: str,
        length: int,
        respond: bool,
        decided: float,
        voice_ended: float,
        number: int,
    ) -> None:
        transcript = Transcript("", 0.0, False, 0.0)
        if utterance is not None:
            transcript = await self._hearing.finish(utterance)
        transcribed = self._ground.clock()
        text = transcript.text.strip()
        self._ground.record("asr.final", {"item_id": item_id, **asdict(transcript)})
        self._add_spoken(item_id, text, length)
        current = number == self._turns and self._ground.turn.state is State.THINKING
        if text:
            self.unanswered = [*self.unanswered, text][-MOST_UNANSWERED:]
        if not current:
            # What was asked for is for the turn that came meanwhile.
            return
        wanted = respond or self._response_wanted
        self._response_wanted = False
        asked = Asked(None, decided, voice_ended, transcribed)
        if text and wanted:
            turn = self._player_turn("", transcript.confidence, True, number)
            self._answering.answer(replace(asked, turn=turn, answers=tuple(self.unanswered)))
        elif wanted and length >= WORTH_ASKING:
            self._answering.drop_draft()
            self._answering.answer(replace(asked, line=(Clause(self._ground.engines.lines["not_heard"]),)))
        else:
            self._answering.drop_draft()
            if self._answering.active is None:
                self._ground.step(NothingSaid())

    def _add_spoken(self, item_id: str, text: str, length: int) -> None:
        item = spoken_item(item_id)
        previous = self._ground.add_item(item)
        self._ground.outbox.send(InputAudioBufferCommitted(previous_item_id=previous, item_id=item_id))
        self._ground.outbox.send(ConversationItemAdded(previous_item_id=previous, item=item))
        done = with_text(item, text, complete=True)
        self._ground.items.replace(done)
        self._ground.record("item.text", {"item_id": item_id, "text": text, "complete": True})
        if self._ground.session.audio.input.transcription is not None:
            if text:
                self._ground.outbox.send(TranscriptionDelta(item_id=item_id, delta=text))
            usage = TranscriptionUsage(seconds=round(length / LISTEN_RATE, 3))
            self._ground.outbox.send(TranscriptionCompleted(item_id=item_id, transcript=text, usage=usage))
        self._ground.outbox.send(ConversationItemDone(previous_item_id=previous, item=done))

    def _player_turn(self, text: str, confidence: float, spoken: bool, number: int) -> PlayerTurn:
        voice = self._hearing.ear.prosody
        delivery: dict[str, float] = {}
        if spoken and voice is not None:
            delivery = {
                "pitch_hz": voice.pitch_hz,
                "pitch_slope": voice.pitch_slope,
                "energy_db": voice.level_db,
                "rate_wps": voice.syllable_rate / 1.5,
                "pause_ratio": 1.0 - voice.voiced,
            }
        turn = PlayerTurn(f"turn_{number}", text, spoken, confidence, delivery, self._ground.player.name)
        return merged(turn, tuple(self.unanswered))

    def commit_sound(self) -> None:
        """`input_audio_buffer.commit`: the turn ends with the sound received so far."""
        self._finishing = self._ground.spawn(self._commit_sound())

    async def _commit_sound(self) -> None:
        await self._hearing.drained()
        wanted = self._response_wanted
        self._ground.step(Committed(self._hearing.heard))
        self._response_wanted = wanted
        if wanted and self._finishing is asyncio.current_task():
            # The turn core had nothing to end (a reply is being made): the request stands by itself.
            self._response_wanted = False
            self.respond()

    def respond(self, asked_text_only: bool | None = None, metadata: dict[str, Any] | None = None) -> None:
        """`response.create`: answer what was said or typed since the last answer, or go on."""
        finishing = self._finishing
        if finishing is not None and not finishing.done() and finishing is not asyncio.current_task():
            self._response_wanted = True
            return
        active = self._answering.active is not None
        self._answering.cancel("client_cancelled")
        if active or self._ground.turn.state is not State.THINKING:
            self._ground.step(Typed())
        self._turns += 1
        self.unanswered = [*self.unanswered, *self.typed][-MOST_UNANSWERED:]
        spoken = not self.typed and bool(self.unanswered)
        self.typed.clear()
        turn = self._player_turn("", 1.0, spoken, self._turns)
        answers, now = tuple(self.unanswered), self._ground.clock()
        self._answering.answer(Asked(turn, now, metadata=metadata, text_only=asked_text_only, answers=answers))

    def break_off(self) -> None:
        """`response.cancel`: what the character is saying ends here."""
        self._answering.cancel("client_cancelled")
        self._ground.step(ReplyOver())
