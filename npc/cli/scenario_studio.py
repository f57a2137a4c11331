"""Runs in virtual time, in this process: the whole service with its real engines, on a loop whose clock jumps.

Blocking work runs where it is asked for, so it takes no virtual time: latencies mean nothing here, and everything else
is as it would be. References and recomputed sessions are made this way, because neither the load nor the speed of the
machine can change them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from npc.bench.virtual_time import VirtualLoop
from npc.config.paths import state_dir
from npc.config.settings import Settings, load_settings
from npc.conversation.port import Opening
from npc.conversation.workers import InlineWorkers
from npc.server.assembly import TalkService, build
from npc.simulation.package import Package
from npc.simulation.studio import InProcessClient

T = TypeVar("T")


class StudioLoop(VirtualLoop):
    """Threads have no virtual time: what would go to one runs at once."""

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def run_virtually(work: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine on a studio loop to its end; what still runs then is cancelled."""
    loop = StudioLoop()
    asyncio.set_event_loop(loop)
    try:

        async def whole() -> T:
            return await work()

        return loop.run_until_complete(whole())
    finally:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.close()
        asyncio.set_event_loop(None)


def studio_settings(scenarios: tuple[Path, ...], folder: Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The embedded profile, with its state in `folder`."""
    found: dict[str, Any] = {"scenarios": [str(path) for path in scenarios], "store.folder": str(folder)}
    found |= overrides or {}
    return load_settings("embedded", overrides=found, environment={})


def in_studio(
    package: Package,
    take: Callable[[InProcessClient], Awaitable[T]],
    folder: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> T:
    """One session with the scenario's character, given to `take`. `overrides` are settings by dotted path."""
    settings = studio_settings((package.folder.parent.resolve(),), folder or state_dir(), overrides)

    async def whole() -> T:
        service = build(settings, InlineWorkers())
        await service.start()
        try:
            return await _session(service, package, take)
        finally:
            await service.close()

    return run_virtually(whole)


async def _session(service: TalkService, package: Package, take: Callable[[InProcessClient], Awaitable[T]]) -> T:
    service.warm(package.main.id)
    session_id = f"sess_{random.SystemRandom().getrandbits(80):020x}"
    opening = Opening(session_id, package.main.id, opted_in=True)
    client = InProcessClient(lambda outbox: service.open(opening, outbox))
    try:
        return await take(client)
    finally:
        await client.close()
