"""A session: one player, one character, one task tree. The shell around the pure cores, made of parts on one ground.

    carrier ──receive(event)──▶ requests ─┐                         ┌─▶ hearing   (ear, recogniser)
            ──hear(pcm)──────▶ hearing ───┼─▶ turn core ─▶ effects ─┼─▶ answering (mind, voice, face, playout)
            ──attach(bool)───▶ answering ─┘   step(event, now)      └─▶ outbox    (base events, npc.*)

Everything here runs on the event loop and takes microseconds; engines work on lanes. Cancelling a reply cancels its
maker and its playout and nothing else. An engine that fails is reported in `npc.status` and done without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.asr.interface import Hypothesis
from npc.audio.clock import LISTEN_RATE, rescale
from npc.conversation.answering import Answering
from npc.conversation.attending import Attending
from npc.conversation.character_side import CharacterSide
from npc.conversation.company import Company
from npc.conversation.ear import EarEvent
from npc.conversation.engines import Engines
from npc.conversation.ground import Ground
from npc.conversation.hearing import NOTHING, Hearing
from npc.conversation.outcome import Outcome
from npc.conversation.parts import Parts
from npc.conversation.playout import Happening
from npc.conversation.port import Opening, Outbox
from npc.conversation.recorder import Recorder
from npc.conversation.requests import Requests
from npc.conversation.terms import Terms
from npc.conversation.turn_events import (
    CancelReply,
    Draft,
    DropDraft,
    DropUtterance,
    Effect,
    EndTurn,
    Entered,
    Heard,
    OpenUtterance,
    PauseReply,
    ReplyAudible,
    ReplyOver,
    ReplyProgress,
    ResumeReply,
    SpeechStarted,
    SpeechStopped,
    State,
    VoiceStarted,
)
from npc.conversation.turns import Turns
from npc.dialogue.interface import WorldEvent
from npc.protocol import (
    ClientEvent,
    NpcInstructor,
    NpcTurn,
    SessionCreated,
)
from npc.protocol import SpeechStarted as WireSpeechStarted
from npc.protocol import SpeechStopped as WireSpeechStopped

#: A recogniser that has not said its last word after so much silence is drafted without: embedded, it takes 50 ms from
#: the closing of the gate at 64 ms, and every second partial is corrected by it, which would make the draft in vain.
PARTIAL_AFTER = LISTEN_RATE * 160 // 1000


class TalkSession(Ground):
    """Implements `port.Conversation`."""

    def __init__(self, opening: Opening, engines: Engines, outbox: Outbox, recorder: Recorder | None = None) -> None:
        super().__init__(opening, engines, outbox, recorder)
        rate = self.session.audio.input.format.rate
        self.hearing = Hearing(engines, rate, self._heard, self._words, self._deaf, self._spawn_any)
        self.attending = Attending(engines.character_id, engines.seed, self.outbox.send)
        self.answering = Answering(self, self.mind)
        self.turns = Turns(self, self.hearing, self.answering)
        self.character = CharacterSide(self, self.answering, self.turns)
        self._terms = Terms(self, self.hearing, self.attending, self.answering)
        self._company = Company(self, self.hearing, self.answering, self.character, self._terms)
        parts = Parts(
            self.hearing, self.attending, self.answering, self.turns, self.character, self._terms, self._company
        )
        self._requests = Requests(self, parts, self.snapshot)

    # -- the seam to the carrier ---------------------------------------------------------------------------------------

    def receive(self, event: ClientEvent) -> None:
        self.when_running(lambda: self._receive(event))

    def hear(self, pcm: NDArray[np.int16]) -> None:
        self.when_running(lambda: self._hear(pcm))

    def attach(self, connected: bool) -> None:
        self.when_running(lambda: self.answering.attach(connected))

    def instruct(self, event: NpcInstructor, by: str, outbox: Outbox) -> None:
        self.when_running(lambda: self._requests.instruct(event, by, outbox))

    def snapshot(self) -> Mapping[str, Any]:
        live = self.answering.active
        return {
            "turn": self.turn.state.value,
            "items": [item.model_dump(mode="json") for item in self.items.all()],
            "response": None
            if live is None
            else {
                "response_id": live.writer.response_id,
                "item_id": live.writer.item_id,
                "next_sample": live.pacer.sent,
            },
            "input_samples": self.hearing.received,
        }

    async def run(self) -> None:
        await self.live(self._open, self._wind_up)

    def _open(self) -> None:
        self.record("session.opened", self.opened())
        self.outbox.send(SessionCreated(session=self.session))
        self.hearing.expect(self.bias())
        self._terms.listen_as_asked()
        if self.opted_in:
            self.character.greet_soon()

    async def _wind_up(self) -> None:
        # What goes wrong with one of them is no reason to leave the others undone.
        await self.guarded(self._fall_silent())
        self.record("session.closed", {"reason": self.close_reason, "heard": self.turn.heard})
        await self.guarded(self._company.close(self.close_reason))
        await self.guarded(asyncio.wait_for(self.end_log(), 5.0))

    async def _fall_silent(self) -> None:
        await self.turns.settled()
        await self._requests.settled()
        self.hearing.drop()
        await self.answering.close()

    def _spawn_any(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        self.spawn(work)

    def _receive(self, event: ClientEvent) -> None:
        self.record("client", event.model_dump(mode="json", exclude_none=True))
        self._requests.handle(event)

    # -- effects of the turn core --------------------------------------------------------------------------------------

    def perform(self, effect: Effect) -> None:
        match effect:
            case Entered(label, at):
                self._entered(label, at)
            case OpenUtterance(at):
                self.hearing.open(at)
            case DropUtterance():
                self.hearing.drop()
            case SpeechStarted(at):
                item_id = self.turns.speech_item = self.turns.speech_item or self.new_id("item")
                self.outbox.send(WireSpeechStarted(audio_start_ms=at * 1000 // LISTEN_RATE, item_id=item_id))
            case SpeechStopped(at):
                if self.turns.speech_item is not None:
                    self.outbox.send(
                        WireSpeechStopped(audio_end_ms=at * 1000 // LISTEN_RATE, item_id=self.turns.speech_item)
                    )
            case Draft():
                self.turns.draft()
            case DropDraft():
                self.answering.drop_draft()
            case EndTurn(start, end, respond):
                self.turns.end_turn(start, end, respond)
            case PauseReply():
                self.answering.pause()
            case ResumeReply():
                self.answering.resume()
            case CancelReply(reason, finish_clause):
                self._cancel_reply(reason, finish_clause)

    def _entered(self, label: str, at: int) -> None:
        rate = self.session.audio.input.format.rate
        self.outbox.send(
            NpcTurn.model_validate(
                {
                    "character": self.engines.character_id,
                    "state": label,
                    "at_sample": rescale(at, LISTEN_RATE, rate),
                }
            )
        )
        self.attending.entered(label, at)
        if label == State.LISTENING:
            self.character.listening()

    def _cancel_reply(self, reason: str, finish_clause: bool) -> None:
        self.answering.drop_draft()
        if reason == "timeout":
            self.status("llm", "degraded", "no answer in time", "the turn was given up")
        if self.engines.temperament == "protest" and reason == "interrupted":
            self.character.observe(WorldEvent("event", {"trigger": "interrupted", "salience": 0.4, "react": False}))
        self.answering.cancel("turn_detected", finish_clause)

    # -- hearing -------------------------------------------------------------------------------------------------------

    def _hear(self, pcm: NDArray[np.int16]) -> None:
        if not self.turn.rules.hands_free and not self.hearing.listening:
            self.hearing.open(self.hearing.heard)
        live = self.answering.active
        sounding = live.sounding() if live is not None else NOTHING
        pcm = self._company.heard(pcm, self.session.audio.input.format.rate)
        self.hearing.hear(pcm, sounding, self.session.audio.output.format.rate)

    def _words(self, hypothesis: Hypothesis) -> None:
        self.turns.words(hypothesis)

    def _heard(self, events: Sequence[EarEvent]) -> None:
        for event in events:
            self.when_running(lambda event=event: self.step(event))  # type: ignore[misc]
            turn = self.turn
            if isinstance(event, Heard):
                self.attending.heard(event, turn.voice)
            if turn.state is not State.USER_SPEAKING:
                continue
            if isinstance(event, VoiceStarted):
                self.hearing.resumed()
            elif turn.drafted and not turn.voice and turn.heard - turn.voice_end >= PARTIAL_AFTER:
                self.turns.draft_anyway()

    def _deaf(self, message: str) -> None:
        self.status("asr", "degraded", message, "typing works")

    # -- told by answering ---------------------------------------------------------------------------------------------

    def on_committed(self) -> None:
        self._company.committed()

    def on_answered(self, answers: tuple[str, ...]) -> None:
        self.turns.answered(answers)

    def on_outcome(self, outcome: Outcome) -> bool:
        return self.character.on_outcome(outcome)

    def on_playout(self, happening: Happening) -> None:
        match happening:
            case "audible":
                self.character.tell_state()
                self.step(ReplyAudible())
            case "progress":
                self.step(ReplyProgress())
            case "over":
                self.step(ReplyOver())
