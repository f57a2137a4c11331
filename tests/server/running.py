"""A real server on a free loopback port, in the test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from npc.server.app import Application, create_app
from npc.server.run import configure
from npc.server.settings import ServerSettings
from npc.server.training import Training


@dataclass
class Running:
    """Where it listens, and its insides."""

    port: int
    app: Application
    service: Any

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ws(self, query: str = "model=ada") -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime?{query}"


@asynccontextmanager
async def running(
    service: Any, settings: ServerSettings | None = None, training: Training | None = None
) -> AsyncIterator[Running]:
    """Serve `service` until the block ends; every session must be gone afterwards."""
    settings = settings or ServerSettings(port=0)
    app = create_app(service, settings, training)
    server = uvicorn.Server(configure(app, settings, port=0, loop="none"))
    task = asyncio.ensure_future(server._serve())
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Running(port, app, service)
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 20)
        assert len(app.hub) == 0, "sessions outlived their server"


async def until(true: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until `true()` is; TimeoutError when it does not become so."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
