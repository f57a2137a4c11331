"""Work on a transcript that still grows: the newest partial only, one at a time, off the caller's way.

    listen("where")  listen("where is")  listen("where is the")        listen("where is the inn")
    work("where") ───────────────────────┐work("where is the")──────┐  work("where is the inn") ─┐
                     (overtaken, left out)

A recogniser gives a partial every 50-200 ms and reading one takes 10-40 ms, so work never piles up: the queue is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


class Ahead:
    """Owned by a mind; used from its session's event loop."""

    def __init__(self, work: Callable[[str], Awaitable[None]]) -> None:
        """`work` may raise: thinking ahead is a favour, and the turn itself will show what is wrong."""
        self._work = work
        self._latest: str | None = None
        self._task: asyncio.Task[None] | None = None

    def listen(self, partial: str) -> None:
        """Work on this partial next. Returns at once."""
        self._latest = partial
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def over(self) -> None:
        """The turn is answered: what was heard of it last needs no more work."""
        self._latest = None

    async def stop(self) -> None:
        """Leave at once."""
        self._latest = None
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while (partial := self._latest) is not None:
            self._latest = None
            try:
                await self._work(partial)
            except Exception as error:
                log.debug("thinking ahead failed: %s", error)
