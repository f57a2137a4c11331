"""A trainee over the real wire, like any other client: speaks or types, listens to the end, acts, and reports playback.

steps ─▶ say: voice or typed ─▶ wait until the reply has been heard ─▶ next step … ─▶ the scenario's end
microphone: silence while there is nothing to say, on the client's own clock, as a page would send it
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from npc.client import Pacer, Playback
from npc.client.core import Incoming
from npc.protocol import (
    ClientEvent,
    ConversationItemCreate,
    ErrorEvent,
    NpcEvent,
    NpcRehearsal,
    NpcTurn,
    ResponseCreate,
    ResponseDone,
    ResponseTextDelta,
    ResponseTranscriptDelta,
    SessionUpdate,
    TranscriptionCompleted,
)
from npc.simulation.package import Package
from npc.simulation.trainees import Step

Pcm16 = NDArray[np.int16]

RATE = 16_000
FRAME = RATE // 50
#: A reply begins within this time, or there is none, seconds.
REPLY_BEGINS = 12.0
#: Nobody speaks for longer than this in one go, seconds.
REPLY_ENDS = 60.0
#: A trainee answers so long after the character has stopped, seconds: the usual gap between turns (Stivers et al.,
#: 2009: 0.2 s on the mean, most below one).
BREATH = 0.6
#: When the steps are used up, the scenario may come to its own end for so long, seconds.
LAST_CHANCE = 40.0


class Client(Protocol):
    """What a run needs of its connection: `RealtimeClient`, or `studio.InProcessClient`."""

    @property
    def input_samples(self) -> int: ...
    async def created(self) -> object: ...
    async def send(self, event: ClientEvent) -> None: ...
    async def send_audio(self, pcm: Pcm16) -> None: ...
    def __aiter__(self) -> AsyncIterator[Incoming]: ...


class Refused(RuntimeError):
    """The server did not let the scenario begin; the message is its own."""


@dataclass
class Rehearsed:
    """What became of a run."""

    attempt: str = ""
    outcome: str = "running"
    score: float | None = None
    passed: bool | None = None
    lines: list[tuple[str, str]] = field(default_factory=list)
    """(speaker, text) as the server has it."""


class TraineeClient:
    """One run. `voice` makes sound of a line (blocking); None types."""

    def __init__(
        self,
        client: Client,
        package: Package,
        voice: Callable[[str], Pcm16] | None,
        on_line: Callable[[str, str], None] = lambda speaker, text: None,
    ) -> None:
        self._client, self._package, self._voice, self._on_line = client, package, voice, on_line
        self._playback = Playback(RATE, RATE)
        self._result = Rehearsed()
        self._state = ""
        self._replies = 0
        self._sounding = False
        self._turn = ""
        self._line = ""
        self._speech: list[Pcm16] = []
        self._changed = asyncio.Event()
        self._refused: str | None = None

    async def run(
        self, steps: Iterable[Step], level: str | None, consent_audio: bool, player: str, attempt: str | None = None
    ) -> Rehearsed:
        """Take the steps; returns when the scenario is over. Raises Refused, ConnectionLost."""
        await self._client.created()
        rehearsal = {"consent": {"audio": consent_audio}}
        rehearsal |= {key: value for key, value in (("level", level), ("attempt", attempt)) if value is not None}  # type: ignore[misc]
        update = {
            "type": "realtime",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": RATE},
                    "turn_detection": {"type": "semantic_vad"} if self._voice else None,
                },
                "output": {"format": {"type": "audio/pcm", "rate": RATE}},
            },
            "npc": {
                "player": {"id": player},
                "transport": {"audio": "binary", "animation": "binary"},
                "cues": {"visemes": "none", "blendshapes": "none"},
                "privacy": {"retain": "session"},
                "scenario": self._package.scenario.id,
                "rehearsal": rehearsal,
            },
        }
        await self._client.send(SessionUpdate.model_validate({"type": "session.update", "session": update}))
        tasks = [
            asyncio.create_task(self._read()),
            asyncio.create_task(Pacer(self._client, self._playback, sink=self._heard).run()),
        ]
        if self._voice is not None:
            tasks.append(asyncio.create_task(self._microphone()))
        try:
            await self._steps(steps, resumed=attempt is not None)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return self._result

    # -- the steps -----------------------------------------------------------------------------------------------------

    async def _steps(self, steps: Iterable[Step], resumed: bool) -> None:
        if not await self._until(lambda: bool(self._state), 60.0):
            raise Refused(self._refused or "the scenario did not begin within a minute")
        if not resumed:
            await self._reply(0)
        for step in steps:
            if self._over():
                return
            await asyncio.sleep(BREATH)
            if step.wait is not None:
                await self._until(self._over, step.wait)
            elif step.do is not None:
                await self._client.send(NpcEvent(trigger=step.do, data=step.arguments or None))
            elif step.say is not None:
                before = self._replies
                await self._say(step.say)
                await self._reply(before)
        if not await self._until(self._over, LAST_CHANCE):
            await self._client.send(NpcEvent(trigger="end_attempt"))
            await self._until(self._over, 30.0)

    async def _say(self, text: str) -> None:
        if self._voice is None:
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
            await self._client.send(
                ConversationItemCreate.model_validate({"type": "conversation.item.create", "item": item})
            )
            await self._client.send(ResponseCreate())
            self._result.lines.append(("trainee", text))
            self._on_line("trainee", text)
            return
        self._speech.append(await asyncio.to_thread(self._voice, text))
        await self._until(lambda: not self._speech, REPLY_ENDS)

    async def _reply(self, before: int) -> None:
        """Until a reply after the `before`th has been heard to its end, or none has come."""
        if not await self._until(lambda: self._replies > before or self._over(), REPLY_BEGINS):
            return
        quiet = 0
        for _ in range(int(REPLY_ENDS / 0.1)):
            quiet = 0 if self._sounding or self._turn in ("thinking", "speaking", "maybe_interrupted") else quiet + 1
            if quiet >= 3 or self._over():
                return
            await asyncio.sleep(0.1)

    def _over(self) -> bool:
        return (self._state == "finished" and self._result.score is not None) or self._refused is not None

    async def _until(self, reached: Callable[[], bool], seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not reached():
            if self._refused is not None and not self._state:
                raise Refused(self._refused)
            left = deadline - loop.time()
            # Less than a timer can tell is nothing: a clock that jumps would never get there.
            if left <= 1e-6:
                return False
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), min(left, 0.25))
            except TimeoutError:
                continue
        return True

    # -- wire ----------------------------------------------------------------------------------------------------------

    async def _microphone(self) -> None:
        """A room with nobody else in it: faint noise, and the trainee's voice when there is something to say."""
        loop = asyncio.get_running_loop()
        noise = np.random.default_rng(1).integers(-3, 4, RATE, np.int16)
        began, sent = loop.time(), 0
        while True:
            if self._speech:
                block, rest = self._speech[0][:FRAME], self._speech[0][FRAME:]
                if rest.size:
                    self._speech[0] = rest
                else:
                    del self._speech[0]
                    self._changed.set()
                block = np.pad(block, (0, FRAME - block.size))
            else:
                start = sent % (RATE - FRAME)
                block = noise[start : start + FRAME]
            await self._client.send_audio(block)
            sent += FRAME
            await asyncio.sleep(max(0.0, began + sent / RATE - loop.time()))

    def _heard(self, pcm: Pcm16) -> None:
        self._sounding = self._playback.buffer.buffered_ms > 0

    async def _read(self) -> None:
        async for incoming in self._client:
            self._playback.receive(incoming)
            match incoming:
                case TranscriptionCompleted(transcript=text) if text.strip():
                    self._result.lines.append(("trainee", text.strip()))
                    self._on_line("trainee", text.strip())
                case ResponseTranscriptDelta(delta=text) | ResponseTextDelta(delta=text):
                    self._line += text
                case ResponseDone():
                    if self._line.strip():
                        self._result.lines.append(("character", self._line.strip()))
                        self._on_line("character", self._line.strip())
                        self._replies += 1
                    self._line = ""
                case NpcTurn(state=state):
                    self._turn = state
                case NpcRehearsal():
                    self._state, self._result.attempt = incoming.state, incoming.attempt
                    self._result.outcome = incoming.outcome
                    self._result.score, self._result.passed = incoming.score, incoming.passed
                case ErrorEvent(error=error):
                    if not self._state:
                        self._refused = error.message
                    self._on_line("server", error.message)
            self._changed.set()
