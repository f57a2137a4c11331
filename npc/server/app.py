"""The ASGI application: the gate before everything, `/v1/realtime` beside FastAPI's own stack, REST and page in it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from npc.config.paths import data_dir
from npc.conversation.port import Service, UnknownCharacter
from npc.server import http, launches
from npc.server import training as training_routes
from npc.server.auth import Gate, Refused
from npc.server.endpoint import RealtimeEndpoint, Receive, Scope, Send, header_map, refuse
from npc.server.hub import Hub
from npc.server.metrics import Metrics
from npc.server.page import Page
from npc.server.settings import ServerSettings
from npc.server.training import Training

#: Period of the loop-lag probe: ten samples a second cost nothing and catch a 100 ms stall.
_LAG_PERIOD_S = 0.1
#: The largest request body there is (a ticket request) has a few hundred bytes.
_MAX_BODY = 64 * 1024
_PATH = "/v1/realtime"
_LAUNCH = "/v1/launch/"


class Application(FastAPI):
    """FastAPI behind the Host and Origin rules. Sockets go past its middleware, which would wrap every message."""

    begin: Callable[[], Awaitable[None]]
    """Start the service; a second call does nothing."""
    hub: Hub
    gate: Gate
    realtime: RealtimeEndpoint
    launchers: frozenset[str] = frozenset()
    """Origins of learning systems: they may post a launch, and nothing else."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        try:
            also = self.launchers if scope["path"].startswith(_LAUNCH) else frozenset()
            self.gate.check_place(header_map(scope), scheme, also)
        except Refused as refused:
            self.hub.metrics.refused_auth += 1
            await self._turn_away(refused, scope, receive, send)
            return
        if scope["type"] != "websocket":
            oversized = _oversized(header_map(scope))
            if oversized is not None:
                await self._turn_away(oversized, scope, receive, send)
                return
            await super().__call__(scope, receive, send)
        elif scope["path"] == _PATH:
            await self.realtime(scope, receive, send)
        else:
            await refuse(scope, send, Refused(404, "not_found", f"the only WebSocket here is {_PATH}"))

    async def _turn_away(self, refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await refuse(scope, send, refused)
        else:
            response = http.error_body(refused.status, refused.code, refused.message)
            await response(scope, receive, send)


def create_app(service: Service, settings: ServerSettings, training: Training | None = None) -> Application:
    """The application over `service`. Its lifespan starts the service, and drains and closes it.

    `training` adds attempts, their reports, and launches from learning systems.
    """
    metrics = Metrics()
    hub = Hub(service, settings.bounds, metrics)
    metrics.live = lambda: len(hub)
    gate = Gate(settings, settings.ticket_secret or secrets.token_bytes(32))

    begun = False

    async def begin() -> None:
        nonlocal begun
        if not begun:
            begun = True
            await service.start()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await begin()
        loop = asyncio.get_running_loop()
        probe = loop.create_task(_probe_lag(metrics))
        tidying = loop.create_task(training.run()) if training is not None else None
        try:
            yield
        finally:
            probe.cancel()
            try:
                await hub.drain()
                if training is not None and tidying is not None:
                    await training_routes.stop(tidying, training)
            finally:
                await service.close()

    app = Application(title="npc", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json")
    app.begin = begin
    app.hub, app.gate, app.realtime = hub, gate, RealtimeEndpoint(hub, gate)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type"],
        )
    app.include_router(http.routes(service, hub, gate, settings.bounds))
    if training is not None:
        app.launchers = frozenset(training.settings.lms_origins)
        app.include_router(training_routes.routes(training, hub, gate))
        app.include_router(launches.routes(training, service, gate, settings.bounds))
    app.add_exception_handler(Refused, http.refused)
    app.add_exception_handler(UnknownCharacter, http.unknown_character)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)
    try:
        app.mount("/", Page(data_dir("demo")), name="page")
    except FileNotFoundError:
        # A service without its page is still a service.
        pass
    return app


def _oversized(headers: Mapping[str, str]) -> Refused | None:
    """Why a request body may not be read, judged by its headers, before it fills the memory."""
    if "transfer-encoding" in headers:
        return Refused(411, "length_required", "send the body with a Content-Length")
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > _MAX_BODY:
        return Refused(413, "body_too_large", f"a request body may hold {_MAX_BODY} bytes")
    return None


async def _probe_lag(metrics: Metrics) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LAG_PERIOD_S
        await asyncio.sleep(_LAG_PERIOD_S)
        metrics.loop_lag.observe(max(0.0, loop.time() - due))


def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    param = ".".join(str(part) for part in first["loc"][1:]) or None
    return http.error_body(422, "invalid_value", f"{param or 'body'}: {first['msg']}", param)


def _plain(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return http.error_body(error.status_code, "not_found" if error.status_code == 404 else "http", str(error.detail))
