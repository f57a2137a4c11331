"""What the parts of a session stand on: who talks, what is written down, the clock, the tasks and the turn core.

    part ──▶ record, spawn, outbox.send
         ──▶ step(event) ──▶ turn core ──▶ effects ──▶ perform (the session hands each to its part)
    timer ─▶ step(Tick)

A part knows the ground and the parts it is given, and never the session that made it. All of it runs on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import asdict, replace
from typing import Any

from npc.asr.interface import Bias
from npc.conversation import turn as core
from npc.conversation.engines import Engines
from npc.conversation.health import Health
from npc.conversation.items import Items
from npc.conversation.opted_in import OptedIn
from npc.conversation.people import PlayerRef
from npc.conversation.port import Opening, Outbox
from npc.conversation.recorder import NoRecorder, Recorder
from npc.conversation.turn_events import Effect, Event, Rules, Tick
from npc.dialogue.interface import Mind
from npc.protocol import Audio, AudioOutput, Capabilities, ErrorEvent, Item, NpcSession, Session

log = logging.getLogger(__name__)


class Ground:
    """State and services that the parts of one session share."""

    def __init__(self, opening: Opening, engines: Engines, outbox: Outbox, recorder: Recorder | None = None) -> None:
        self.session_id = opening.session_id
        self.opening, self.engines = opening, engines
        self.overhear: Callable[[Any], None] | None = None
        """Who else gets every output, on its way to the client."""
        self.outbox: Outbox = OptedIn(outbox, lambda: self.opted_in, self._overheard)
        self._recorder: Recorder = recorder or NoRecorder()
        self.recording = not isinstance(self._recorder, NoRecorder)
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._ids = 0
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._early: list[Callable[[], None]] = []
        self._closing = asyncio.Event()
        self._closed = asyncio.Event()
        self.close_reason = ""
        self.session = self._initial()
        """As agreed with the client up to now."""
        self.items = Items()
        self.player = PlayerRef(opening.player_id)
        self.mind: Mind = engines.open_mind(self.player)
        self.turn = core.Turn(rules=self.rules())
        self._timer: asyncio.TimerHandle | None = None
        self._health = Health(engines.character_id, self.record, self.outbox)
        self.expecting = False
        """Somebody is about to join: nobody greets before they are there."""
        self.tells_player_emotion = True
        """Whether the client may be told what was read in the player."""

    def perform(self, effect: Effect) -> None:
        """Do what the turn core wants."""
        raise NotImplementedError

    # -- what client and session have agreed ---------------------------------------------------------------------------

    @property
    def opted_in(self) -> bool:
        return self.session.npc is not None

    def capabilities(self) -> Capabilities:
        return Capabilities(idle_seed=self.engines.seed, limits=self.opening.limits)

    def _initial(self) -> Session:
        return Session(
            id=self.opening.session_id,
            model=self.opening.character_id,
            instructions=self.engines.instructions,
            audio=Audio(output=AudioOutput(voice=self.engines.voice_id)),
            npc=NpcSession(capabilities=self.capabilities()) if self.opening.opted_in else None,
        )

    def rules(self) -> Rules:
        """The turn core's rules by the effective session."""
        detection = self.session.audio.input.turn_detection
        npc = self.session.npc
        interruption = npc.interruption if npc is not None else None
        allowed = detection is not None and detection.interrupt_response
        return Rules(
            hands_free=detection is not None,
            respond=detection is not None and detection.create_response,
            interruptible=allowed and (interruption is None or interruption.enabled),
            min_words=interruption.min_words if interruption is not None else 0,
            temperament=self.engines.temperament,
        )

    def bias(self) -> Bias:
        """What the recogniser should expect to hear."""
        return Bias(self.mind.bias_words(), self.engines.pronunciations)

    # -- clock, ids, log -----------------------------------------------------------------------------------------------

    def clock(self) -> float:
        """Session time in seconds, to the microsecond: what the log holds and replay repeats."""
        return round(self._loop.time() - self._began, 6)

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self.session_id[-12:]}_{self._ids}"

    def record(self, kind: str, data: Mapping[str, Any]) -> None:
        self._recorder.record(kind, data, self.clock())

    def opened(self) -> dict[str, Any]:
        """What a log begins with."""
        return {
            "session": self.session.model_dump(mode="json"),
            "character": self.engines.character_id,
            "player": asdict(self.player),
            "seed": self.engines.seed,
            "rules": asdict(self.turn.rules),
            "hashes": dict(self.engines.hashes),
        }

    def give_recorder(self, joined: Callable[[Recorder], Recorder]) -> None:
        """Somebody goes along who keeps a log of their own."""
        self._recorder, self.recording = joined(self._recorder), True

    def keep_log(self, days: int) -> None:
        """The log is to be kept no longer than this after the session."""
        self._recorder.keep(days)

    def discard_log(self, recording: bool) -> None:
        """Nothing is kept of this session; `recording`: somebody else's log goes on."""
        self.recording = recording
        self.spawn(self._recorder.discard())

    async def end_log(self) -> None:
        await self._recorder.end()

    def add_item(self, item: Item) -> str | None:
        previous = self.items.add(item)
        self.record("item.added", {"item": item.model_dump(mode="json"), "after": previous})
        return previous

    def status(self, component: str, state: str, message: str, fallback: str | None = None) -> None:
        """Tell the client about a part's health, once per change."""
        self._health.tell(component, state, message, fallback)

    def _overheard(self, item: Any) -> None:
        if self.overhear is not None:
            self.overhear(item)

    # -- tasks ---------------------------------------------------------------------------------------------------------

    async def live(self, begin: Callable[[], None], wind_up: Callable[[], Awaitable[None]]) -> None:
        """From `begin` until somebody calls `close`; then `wind_up`, and every task ends."""
        if self._closing.is_set():
            self._closed.set()
            return
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                begin()
                early, self._early = self._early, []
                for call in early:
                    self.when_running(call)
                await self._closing.wait()
                await wind_up()
                for task in tuple(self._tasks):
                    task.cancel()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._closed.set()

    async def close(self, reason: str) -> None:
        self.close_reason = self.close_reason or reason
        self._closing.set()
        if self._group is not None:
            await self._closed.wait()

    def when_running(self, call: Callable[[], None]) -> None:
        """Now, or as soon as the session runs; what it raises is told to the client, never fatal."""
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

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of this session; what it raises is logged and reported, never fatal."""
        if self._group is None:
            raise RuntimeError("the session is not running")
        task = self._group.create_task(self.guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before its first step never enters its work, which would complain.
        task.add_done_callback(lambda _: work.close())
        return task

    async def guarded(self, work: Awaitable[None]) -> None:
        """Do it; what it raises is logged and reported, and what comes behind it is done all the same."""
        try:
            await work
        except Exception as error:
            log.exception("session task failed", extra={"session": self.session_id})
            self.record("task.failed", {"error": str(error)})
            self.outbox.send(ErrorEvent.of(f"internal error: {error}", type="server_error", code="internal_error"))

    # -- turn core -----------------------------------------------------------------------------------------------------

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
            self.perform(effect)
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
            self.when_running(lambda: self.step(Tick()))
        else:
            self._arm()
