"""Where model work runs: serial lanes over shared thread pools. The event loop only moves messages.

A lane runs one call at a time, in order, so engine objects that are not thread-safe belong to one lane. Lanes of one
kind share a pool ("hearing" is kept apart from the rest, so that a busy recogniser never delays the decision that the
player has begun to speak).

    lane = workers.lane("asr")
    partial = await lane.run(stream.accept, pcm)
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Protocol, TypeVar

T = TypeVar("T")
Kind = Literal["hearing", "asr", "second_pass", "tts"]
_END = object()


class LaneFull(RuntimeError):
    """A lane has more calls waiting than its bound: the engine behind it is stuck or far too slow."""


class Lane(Protocol):
    """Serial execution of blocking calls."""

    @property
    def waiting(self) -> int:
        """Calls submitted and not begun."""

    def run(self, call: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Run `call` after all earlier calls. Cancelling the future skips a call that has not begun."""


class Workers(Protocol):
    def lane(self, kind: Kind) -> Lane: ...

    def close(self) -> None:
        """Wait for running calls and stop."""


class _ThreadLane:
    """At most `bound` calls wait; `LaneFull` beyond."""

    def __init__(self, pool: ThreadPoolExecutor, bound: int) -> None:
        self._pool, self._bound = pool, bound
        self._lock = threading.Lock()
        self._calls: deque[tuple[Callable[..., Any], tuple[Any, ...], asyncio.Future[Any]]] = deque()
        self._running = False

    @property
    def waiting(self) -> int:
        return len(self._calls)

    def run(self, call: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._lock:
            if len(self._calls) >= self._bound:
                raise LaneFull(f"{len(self._calls)} calls are waiting for a worker")
            self._calls.append((call, args, future))
            start = not self._running
            self._running = True
        if start:
            self._pool.submit(self._drain)
        return future

    def _drain(self) -> None:
        while True:
            with self._lock:
                if not self._calls:
                    self._running = False
                    return
                call, args, future = self._calls.popleft()
            if future.cancelled():
                continue
            try:
                result, error = call(*args), None
            except Exception as raised:
                result, error = None, raised
            # A loop that has closed meanwhile has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                future.get_loop().call_soon_threadsafe(_settle, future, result, error)


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError("a worker call raised StopIteration"))
    else:
        future.set_exception(error)


class ThreadWorkers:
    """Lanes over thread pools of the given sizes."""

    #: One thread hears for all sessions (0.3 ms of work a frame); the rest follow the two cores we aim at.
    SIZES: dict[Kind, int] = {"hearing": 1, "asr": 2, "second_pass": 1, "tts": 2}  # noqa: RUF012

    def __init__(self, bound: int = 512) -> None:
        self._bound = bound
        self._pools = {kind: ThreadPoolExecutor(size, f"npc-{kind}") for kind, size in self.SIZES.items()}

    def lane(self, kind: Kind) -> Lane:
        return _ThreadLane(self._pools[kind], self._bound)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)


class _InlineLane:
    waiting = 0

    def run(self, call: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            result = call(*args)
        except Exception as error:
            _settle(future, None, error)
        else:
            _settle(future, result, None)
        return future


class InlineWorkers:
    """Runs every call at once on the caller's thread: for virtual time, where a thread would break the order."""

    def lane(self, kind: Kind) -> Lane:
        return _InlineLane()

    def close(self) -> None:
        return None


async def iterate(lane: Lane, make: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
    """Items of a blocking iterator, each made on the lane; closing this closes the iterator there."""
    iterator = await lane.run(make)

    def advance() -> Any:
        return next(iterator, _END)

    try:
        while (item := await lane.run(advance)) is not _END:
            yield item
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            # A lane that is full or a loop that is closing leaves the iterator to the garbage collector.
            with contextlib.suppress(LaneFull, RuntimeError):
                lane.run(close).add_done_callback(_forget)


def _forget(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
