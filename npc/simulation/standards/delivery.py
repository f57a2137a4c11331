"""Sending what the outbox holds until it has arrived: batches, back-off, and what each answer means.

    waiting ─▶ batch ─▶ POST ─┬ 2xx ───────────────▶ delivered
                              ├ 409 ───────────────▶ one by one; a single 409 was stored before: delivered
                              ├ 400, 413, 422 ─────▶ halves, down to the one that is at fault: refused
                              └ anything else, no answer ▶ wait (Retry-After, or back-off), then again

Nothing is ever given up because the other side is away, or is not where the settings say (401, 404). Time and
randomness are arguments.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from npc.simulation.standards.outbox import Entry, Outbox

log = logging.getLogger(__name__)

#: Statements in one POST: far below the 1 MB that servers commonly take, at 2 kB each.
BATCH = 50


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a sending. `status` 0: no answer. `retry_after` in seconds, when the server named it."""

    status: int
    message: str = ""
    retry_after: float | None = None

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300

    @property
    def at_fault(self) -> bool:
        """The request itself is wrong, and will be wrong again."""
        return self.status in (400, 413, 422)


class Target(Protocol):
    """Where a batch goes."""

    async def send(self, entries: Sequence[Entry]) -> Answer:
        """Send all of them at once. Bounded in time; raises nothing."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential with full jitter (M. Brooker, "Exponential Backoff and Jitter", 2015), from `first` to `most` s.

    A minute at the most: after an outage everything is sent within a minute of the server's return.
    """

    first: float = 1.0
    most: float = 60.0
    factor: float = 2.0
    draw: Callable[[float, float], float] = field(default_factory=lambda: random.Random().uniform)

    def wait(self, failures: int) -> float:
        """Seconds after `failures` failed attempts in a row."""
        ceiling = min(self.most, self.first * self.factor ** min(failures - 1, 30))
        return max(self.first / 2, self.draw(0, ceiling))


@dataclass
class Progress:
    """What a delivery has done so far."""

    delivered: int = 0
    refused: int = 0
    failures: int = 0
    last_error: str = ""


class Delivery:
    """Empties the outbox of one target."""

    def __init__(
        self,
        outbox: Outbox,
        name: str,
        target: Target,
        *,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        batch: int = BATCH,
    ) -> None:
        self._outbox, self._name, self._target = outbox, name, target
        self._backoff, self._sleep, self._batch = backoff or Backoff(), sleep, batch
        self.progress = Progress()

    async def run(self) -> Progress:
        """Send until nothing waits. Cancel it to stop; what was not taken stays in the outbox."""
        failures = 0
        while waiting := await asyncio.to_thread(self._outbox.waiting, self._name, self._batch):
            answer = await self._offer(waiting)
            if answer is None:
                failures = 0
                continue
            failures += 1
            self.progress.failures += 1
            self.progress.last_error = answer.message or f"status {answer.status}"
            pause = self._backoff.wait(failures)
            if answer.retry_after is not None:
                pause = max(pause, min(answer.retry_after, self._backoff.most))
            log.warning("not delivered, will be sent again", extra={"target": self._name, "status": answer.status})
            await self._sleep(pause)
        return self.progress

    async def once(self) -> Answer | None:
        """Try what waits, without a second attempt; None when everything was taken or set aside."""
        while waiting := await asyncio.to_thread(self._outbox.waiting, self._name, self._batch):
            answer = await self._offer(waiting)
            if answer is not None:
                return answer
        return None

    async def _offer(self, entries: Sequence[Entry]) -> Answer | None:
        """Send; None when each is delivered or refused, else the answer that asks for patience."""
        answer = await self._target.send(entries)
        if answer.taken or (answer.status == 409 and len(entries) == 1):
            await asyncio.to_thread(self._outbox.delivered, entries)
            self.progress.delivered += len(entries)
            return None
        if answer.at_fault and len(entries) == 1:
            reason = f"{answer.status}: {answer.message}"[:500]
            await asyncio.to_thread(self._outbox.refuse, entries[0], reason)
            self.progress.refused += 1
            log.error("refused for good, kept aside", extra={"target": self._name, "status": answer.status})
            return None
        if answer.at_fault or answer.status == 409:
            middle = len(entries) // 2 if answer.at_fault else 1
            parts = (entries[:middle], entries[middle:])
            for part in parts:
                late = await self._offer(part)
                if late is not None:
                    return late
            return None
        return answer
