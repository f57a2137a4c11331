"""An event loop whose clock jumps to the next timer: minutes of conversation in milliseconds, in a fixed order.

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())

Only for code that waits on the loop (timers, futures); threads and sockets have no virtual time, so engines run on
`npc.conversation.workers.InlineWorkers` here. The idea is LiveKit's `tests/virtual_time.py`; with the loop's own clock
injected everywhere nothing needs patching.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _JumpingSelector(selectors.SelectSelector):
    """Where the loop would sleep until its next timer, virtual time moves there at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("virtual time stands still: everybody waits for something that no timer brings")
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and moves only when everybody waits."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


@contextmanager
def virtual_loop() -> Iterator[VirtualLoop]:
    """A fresh loop, closed at the end with everything that still runs on it cancelled."""
    loop = VirtualLoop()
    try:
        yield loop
    finally:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.close()
