"""A session: one player, one character, one task tree. The shell around the pure cores.

    carrier ──receive(event)──▶ requests ─┐                         ┌─▶ hearing   (ear, recogniser)
            ──hear(pcm)──────▶ hearing ───┼─▶ turn core ─▶ effects ─┼─▶ answering (mind, voice, face, playout)
            ──attach(bool)───▶ answering ─┘   step(event, now)      └─▶ outbox    (base events, npc.*)

Everything here runs on the event loop and takes microseconds; engines work on lanes. Cancelling a reply cancels its
maker and its playout and nothing else. An engine that fails is
reported in `npc.status` and done without.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.asr.interface import Bias
from npc.audio.clock import LISTEN_RATE, rescale
from npc.conversation import turn as core
from npc.conversation.answering import Answering, Asked, Outcome
from npc.conversation.attending import Attending
from npc.conversation.character_side import CharacterSide
from npc.conversation.company import Company
from npc.conversation.detection import detector_for, gate_for
from npc.conversation.ear import EarEvent
from npc.conversation.engines import Engines
from npc.conversation.health import Health
from npc.conversation.hearing import NOTHING, Hearing
from npc.conversation.items import Items
from npc.conversation.opted_in import OptedIn
from npc.conversation.people import PlayerRef
from npc.conversation.playout import Happening
from npc.conversation.port import Opening, Outbox
from npc.conversation.recorder import NoRecorder, Recorder
from npc.conversation.requests import Requests
from npc.conversation.turn_events import (
    CancelReply,
    Draft,
    DropDraft,
    DropUtterance,
    Effect,
    EndTurn,
    Entered,
    Event,
    Heard,
    OpenUtterance,
    PauseReply,
    ReplyAudible,
    ReplyOver,
    ReplyProgress,
    ResumeReply,
    Rules,
    SpeechStarted,
    SpeechStopped,
    State,
    Tick,
    Typed,
    VoiceStarted,
)
from npc.conversation.turns import Turns
from npc.dialogue.interface import Clause, Mind, WorldEvent
from npc.protocol import (
    Audio,
    AudioOutput,
    Capabilities,
    ClientEvent,
    ErrorEvent,
    Item,
    NpcInstructor,
    NpcSession,
    NpcTurn,
    Session,
    SessionCreated,
)
from npc.protocol import SpeechStarted as WireSpeechStarted
from npc.protocol import SpeechStopped as WireSpeechStopped

log = logging.getLogger(__name__)

#: Silence after which the recogniser is asked for its last word on what was said: longer than a stop inside a word,
#: early enough to be answered before the shortest wait is over.
CONCLUDE_AFTER = LISTEN_RATE * 96 // 1000


class TalkSession:
    """Implements `port.Conversation`."""

    def __init__(self, opening: Opening, engines: Engines, outbox: Outbox, recorder: Recorder | None = None) -> None:
        self.session_id = opening.session_id
        self.opening, self.engines = opening, engines
        self.company = Company(self)
        self.outbox: Outbox = OptedIn(outbox, lambda: self.opted_in, self.company)
        self._recorder: Recorder = recorder or NoRecorder()
        self.recording = not isinstance(self._recorder, NoRecorder)
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._session = self._initial()
        self.items = Items()
        self._ids = 0
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._early: list[Callable[[], None]] = []
        self._closing = asyncio.Event()
        self._closed = asyncio.Event()
        self._close_reason = ""
        self.turn = core.Turn(rules=self._rules())
        self._timer: asyncio.TimerHandle | None = None
        self.player = PlayerRef(opening.player_id)
        self.mind: Mind = engines.open_mind(self.player)
        self.answering = Answering(self, self.mind)
        self.requests = Requests(self)
        self.turns = Turns(self)
        self.character = CharacterSide(self)
        self.hearing = Hearing(
            engines, self._session.audio.input.format.rate, self._heard, self.turns.words, self._deaf, self._spawn_any
        )
        self.attending = Attending(engines.character_id, engines.seed, self.outbox.send)
        self._health = Health(engines.character_id, self.record, self.outbox)
        self.voices = engines.voices

    # -- the seam to the carrier ---------------------------------------------------------------------------------------

    @property
    def opted_in(self) -> bool:
        return self._session.npc is not None

    def receive(self, event: ClientEvent) -> None:
        self._when_running(lambda: self._receive(event))

    def hear(self, pcm: NDArray[np.int16]) -> None:
        self._when_running(lambda: self._hear(pcm))

    def attach(self, connected: bool) -> None:
        self._when_running(lambda: self.answering.attach(connected))

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
        if self._closing.is_set():
            self._closed.set()
            return
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._open()
                await self._closing.wait()
                await self._wind_up()
                for task in tuple(self._tasks):
                    task.cancel()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._closed.set()

    async def close(self, reason: str) -> None:
        self._close_reason = self._close_reason or reason
        self._closing.set()
        if self._group is not None:
            await self._closed.wait()

    # -- life ----------------------------------------------------------------------------------------------------------

    def _initial(self) -> Session:
        npc = None
        if self.opening.opted_in:
            npc = NpcSession(capabilities=self.capabilities())
        return Session(
            id=self.opening.session_id,
            model=self.opening.character_id,
            instructions=self.engines.instructions,
            audio=Audio(output=AudioOutput(voice=self.engines.voice_id)),
            npc=npc,
        )

    def capabilities(self) -> Capabilities:
        return Capabilities(idle_seed=self.engines.seed, limits=self.opening.limits)

    def _open(self) -> None:
        self.record("session.opened", self.opened())
        self.outbox.send(SessionCreated(session=self._session))
        self.hearing.expect(self._bias())
        self._listen_as_asked()
        if self.opted_in:
            self.character.greet_soon()
        early, self._early = self._early, []
        for call in early:
            call()

    def opened(self) -> dict[str, Any]:
        """What a log begins with."""
        return {
            "session": self._session.model_dump(mode="json"),
            "character": self.engines.character_id,
            "player": asdict(self.player),
            "seed": self.engines.seed,
            "rules": asdict(self.turn.rules),
            "hashes": dict(self.engines.hashes),
        }

    async def _wind_up(self) -> None:
        await self.turns.settled()
        self.hearing.drop()
        await self.answering.close()
        self.record("session.closed", {"reason": self._close_reason, "heard": self.turn.heard})
        await self.company.close(self._close_reason)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._recorder.end(), 5.0)

    def _when_running(self, call: Callable[[], None]) -> None:
        if self._closing.is_set():
            return
        if self._group is None:
            self._early.append(call)
            return
        try:
            call()
        except Exception as error:
            log.exception("session step failed", extra={"session": self.session_id})
            self.outbox.send(ErrorEvent.of(f"internal error: {error}", type="server_error", code="internal_error"))

    # -- for answering, hearing and requests ---------------------------------------------------------------------------

    def clock(self) -> float:
        """Session time in seconds, to the microsecond: what the log holds and replay repeats."""
        return round(self._loop.time() - self._began, 6)

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self.session_id[-12:]}_{self._ids}"

    def effective(self) -> Session:
        return self._session

    def set_effective(self, session: Session) -> None:
        """After `session.update`."""
        old, self._session = self._session, session
        if session.audio.input.format.rate != old.audio.input.format.rate:
            self.hearing.set_rate(session.audio.input.format.rate)
        self.turn = replace(self.turn, rules=self._rules())
        self._listen_as_asked()
        self.record("session.updated", {"session": session.model_dump(mode="json"), "rules": asdict(self.turn.rules)})

    def forget_log(self) -> None:
        """`privacy.retain`: the player wants nothing kept beyond the session."""
        self.recording = self.company.companion is not None
        self.spawn(self._recorder.discard())

    def give_recorder(self, joined: Callable[[Recorder], Recorder]) -> None:
        """Somebody goes along who keeps a log of their own."""
        self._recorder, self.recording = joined(self._recorder), True

    def _listen_as_asked(self) -> None:
        detection = self._session.audio.input.turn_detection
        self.hearing.configure(detector_for(detection, self.engines.detector), gate_for(detection))
        npc, rate = self._session.npc, self._session.audio.input.format.rate
        self.attending.configure(npc.cues if npc is not None else None, rate)
        self.hearing.ear.pitched = self.attending.wanted

    def set_player(self, player: PlayerRef) -> None:
        """Another player than the ticket named, or another wish about privacy: the mind is opened anew."""
        if player == self.player:
            return
        self.player = player
        if self.company.companion is None:
            self.swap_mind(self.engines.open_mind(player))

    def swap_mind(self, mind: Mind) -> None:
        """The character goes on as another mind; the old one is closed."""
        old, self.mind = self.mind, mind
        self.answering.mind = mind
        self.hearing.expect(self._bias())
        self.spawn(old.close())

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of this session; what it raises is logged and reported, never fatal."""
        if self._group is None:
            raise RuntimeError("the session is not running")
        task = self._group.create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before its first step never enters its work, which would complain.
        task.add_done_callback(lambda _: work.close())
        return task

    def _spawn_any(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        self.spawn(work)

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            log.exception("session task failed", extra={"session": self.session_id})
            self.record("task.failed", {"error": str(error)})
            self.outbox.send(ErrorEvent.of(f"internal error: {error}", type="server_error", code="internal_error"))

    def add_item(self, item: Item) -> str | None:
        previous = self.items.add(item)
        self.record("item.added", {"item": item.model_dump(mode="json"), "after": previous})
        return previous

    def record(self, kind: str, data: Mapping[str, Any]) -> None:
        self._recorder.record(kind, data, self.clock())

    def status(self, component: str, state: str, message: str, fallback: str | None = None) -> None:
        """Tell the client about a part's health, once per change."""
        self._health.tell(component, state, message, fallback)

    # -- turn core -----------------------------------------------------------------------------------------------------

    def _rules(self) -> Rules:
        detection = self._session.audio.input.turn_detection
        npc = self._session.npc
        interruption = npc.interruption if npc is not None else None
        allowed = detection is not None and detection.interrupt_response
        return Rules(
            hands_free=detection is not None,
            respond=detection is not None and detection.create_response,
            interruptible=allowed and (interruption is None or interruption.enabled),
            min_words=interruption.min_words if interruption is not None else 0,
            temperament=self.engines.temperament,
        )

    def step(self, event: Event) -> None:
        """Feed the turn core and do what it wants."""
        now = self.clock()
        before = self.turn
        self.turn, effects = core.step(before, event, now)
        if self.recording and (effects or replace(before, heard=self.turn.heard) != self.turn):
            told = [[type(effect).__name__, asdict(effect)] for effect in effects]
            data = {"heard": before.heard, "event": type(event).__name__, "fields": asdict(event), "effects": told}
            self._recorder.record("turn", data, now)
        for effect in effects:
            self._do(effect)
        self._arm()

    def _arm(self) -> None:
        due = core.wake(self.turn)
        if self._timer is not None:
            if due is not None and not self._timer.cancelled() and self._timer.when() <= self._began + due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer = self._loop.call_at(self._began + due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        due = core.wake(self.turn)
        if due is not None and self.clock() + 1e-4 >= due:
            self._when_running(lambda: self.step(Tick()))
        else:
            self._arm()

    def _do(self, effect: Effect) -> None:
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
        rate = self._session.audio.input.format.rate
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
        pcm = self.company.heard(pcm, self._session.audio.input.format.rate)
        self.hearing.hear(pcm, sounding, self._session.audio.output.format.rate)

    def _heard(self, events: Sequence[EarEvent]) -> None:
        for event in events:
            self._when_running(lambda event=event: self.step(event))  # type: ignore[misc]
            turn = self.turn
            if isinstance(event, Heard):
                self.attending.heard(event, turn.voice)
            if turn.state is not State.USER_SPEAKING:
                continue
            if isinstance(event, VoiceStarted):
                self.hearing.resumed()
            elif turn.drafted and not turn.voice and turn.heard - turn.voice_end >= CONCLUDE_AFTER:
                self.hearing.conclude()

    def _deaf(self, message: str) -> None:
        self.status("asr", "degraded", message, "typing works")

    # -- answering -----------------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Say these words in the character's voice (an instructor took it over)."""
        self.step(Typed())
        self.answering.answer(Asked(None, self.clock(), line=(Clause(text),)))

    def cancel_by_client(self) -> None:
        """`response.cancel`."""
        self.answering.cancel("client_cancelled")
        self.step(ReplyOver())

    def on_committed(self) -> None:
        self.company.committed()

    def instruct(self, event: NpcInstructor, by: str, outbox: Outbox) -> None:
        self._when_running(lambda: self.requests.instruct(event, by, outbox))

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

    # -- inside --------------------------------------------------------------------------------------------------------

    def _receive(self, event: ClientEvent) -> None:
        self.record("client", event.model_dump(mode="json", exclude_none=True))
        self.requests.handle(event)

    def _bias(self) -> Bias:
        return Bias(self.mind.bias_words(), self.engines.pronunciations)
