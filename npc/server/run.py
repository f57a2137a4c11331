"""The server process: uvicorn as measured fastest here, and a stop that lets characters finish their sentence.

SIGTERM: `/readyz` says no, new sessions are refused, idle ones end, those that speak may finish within `drain_s`. A
second signal, or SIGINT from a terminal twice, stops at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from npc.conversation.port import Service
from npc.server.app import Application, create_app
from npc.server.settings import ServerSettings
from npc.server.training import Training
from npc.server.websocket import RealtimeWebSocketProtocol

#: Connections that may wait to be accepted: every client of a restarted server comes back at once.
_BACKLOG = 2048


class _Server(uvicorn.Server):
    """Drains sessions before uvicorn closes its connections."""

    def __init__(self, config: uvicorn.Config, app: Application, started: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._app = app
        self._announce = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # Begun here, what goes wrong is the caller's exception; in the lifespan it would be a logged traceback.
        await self._app.begin()
        await super().startup(sockets)
        # What is loaded by now stays for the life of the process: a full collection that walks it stops every stream
        # for the length of several audio frames.
        gc.collect()
        gc.freeze()
        if self.started and self._announce is not None:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._announce(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        drain = asyncio.ensure_future(self._app.hub.drain())
        while not drain.done() and not self.force_exit:
            await asyncio.wait([drain], timeout=0.1)
        if not drain.done():
            drain.cancel()
        await super().shutdown(sockets)


def configure(app: Application, settings: ServerSettings, **overrides: Any) -> uvicorn.Config:
    """uvicorn's settings: uvloop, the sans-I/O WebSocket, no compression (audio does not compress), capped messages."""
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "loop": "auto",
        "ws": RealtimeWebSocketProtocol,
        "ws_per_message_deflate": False,
        "ws_max_size": settings.bounds.hard_message_bytes,
        "ws_ping_interval": 20.0,
        "ws_ping_timeout": 20.0,
        "access_log": False,
        "log_level": "warning",
        "server_header": False,
        "timeout_graceful_shutdown": max(1, round(settings.bounds.drain_s)),
    }
    return uvicorn.Config(app, **{**options, **overrides})


def serve(
    service: Service,
    settings: ServerSettings,
    *,
    started: Callable[[str], None] | None = None,
    training: Training | None = None,
) -> None:
    """Run until stopped. `started` is told the address once connections are accepted. Blocks.

    Raises OSError when the address cannot be had, and what `service.start` raises.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    app = create_app(service, settings, training)
    # uvicorn raises the signal again after it has stopped; for Ctrl-C the stop is the answer.
    with listening, contextlib.suppress(KeyboardInterrupt):
        _Server(configure(app, settings), app, started).run(sockets=[listening])
