"""REST beside the socket: health, metrics, characters, voices, a player's memory, tickets.

No postponed annotations here: FastAPI must see the dependencies that live inside `routes`.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, Field

from npc.conversation.port import Rehearses, Service, UnknownCharacter
from npc.server.auth import INSTRUCTOR, Gate, Identity, Refused, Ticket, bearer
from npc.server.hub import Hub
from npc.server.settings import Bounds


class ExpiresAfter(BaseModel):
    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=10)] = 600


class TicketPlayer(BaseModel):
    id: Annotated[str, Field(min_length=1, max_length=200)]


class TicketNpc(BaseModel):
    """What a ticket is bound to beside its character. `origin` as browsers send it; scopes: "instructor"."""

    player: TicketPlayer | None = None
    origin: str | None = None
    scopes: list[Literal["instructor"]] = []


class TicketSession(BaseModel):
    """The part of a session object that a ticket fixes; anything else in it is ignored."""

    model: str | None = None
    npc: TicketNpc = TicketNpc()


class TicketRequest(BaseModel):
    expires_after: ExpiresAfter = ExpiresAfter()
    session: TicketSession = TicketSession()


def routes(service: Service, hub: Hub, gate: Gate, bounds: Bounds) -> APIRouter:
    """All REST routes. Errors are `{"error": {type, code, message, param}}`."""
    router = APIRouter()

    def identity(request: Request) -> Identity:
        headers = {name.lower(): value for name, value in request.headers.items()}
        return gate.identify(bearer(headers), headers.get("origin"), time.time())

    def by_key(who: Annotated[Identity, Depends(identity)]) -> Identity:
        if not who.by_key:
            raise Refused(403, "key_needed", "a ticket cannot do this; use an API key")
        return who

    known = Annotated[Identity, Depends(identity)]
    trusted = Annotated[Identity, Depends(by_key)]

    @router.get("/healthz")
    async def healthz() -> Response:
        """The process answers."""
        return PlainTextResponse("ok\n")

    @router.get("/readyz")
    async def readyz() -> Response:
        """Engines are loaded and new sessions are welcome."""
        state = dict(service.ready())
        if hub.draining:
            state["ready"] = False
        return JSONResponse(state, 200 if state.get("ready") else 503)

    @router.get("/metrics")
    async def metrics(_: trusted) -> Response:
        return Response(hub.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.get("/v1/characters")
    async def characters(_: known) -> dict[str, Any]:
        return _listing(service.characters())

    @router.get("/v1/characters/{character_id}")
    async def character(character_id: str, _: known) -> Mapping[str, Any]:
        return service.character(character_id)

    @router.get("/v1/characters/{character_id}/knowledge")
    async def knowledge(character_id: str, _: known) -> dict[str, Any]:
        return _listing(service.knowledge(character_id))

    @router.get("/v1/voices")
    async def voices(_: known) -> dict[str, Any]:
        return _listing(service.voices())

    @router.get("/v1/scenarios")
    async def scenarios(_: known) -> dict[str, Any]:
        """Training scenarios that can be begun with `session.npc.scenario`."""
        return _listing(await asyncio.to_thread(service.scenarios) if isinstance(service, Rehearses) else ())

    @router.get("/v1/sessions")
    async def sessions(who: known) -> dict[str, Any]:
        """Live sessions, for an instructor who wants to watch one (`/v1/realtime?watch=<id>`)."""
        if INSTRUCTOR not in who.scopes:
            raise Refused(403, "scope", "this needs a ticket with the instructor scope")
        return _listing(hub.listing())

    @router.get("/v1/players/{player_id}/memory")
    async def memory(player_id: str, who: known, character: Annotated[str, Query(min_length=1)]) -> Mapping[str, Any]:
        _own(who, player_id, character)
        return await service.memory(player_id, character)

    @router.delete("/v1/players/{player_id}/memory")
    async def forget(player_id: str, who: known, character: Annotated[str, Query(min_length=1)]) -> dict[str, Any]:
        _own(who, player_id, character)
        return {"player": player_id, "character": character, "removed": await service.forget(player_id, character)}

    @router.post("/v1/realtime/client_secrets")
    async def client_secrets(asked: TicketRequest, who: trusted) -> dict[str, Any]:
        """Mint a short-lived ticket, shaped as the OpenAI endpoint of the same name."""
        session = asked.session
        if session.model is not None:
            service.character(session.model)
        if INSTRUCTOR in session.npc.scopes and INSTRUCTOR not in who.scopes:
            raise Refused(403, "scope", "this key may not give the instructor scope")
        expires = int(time.time()) + min(asked.expires_after.seconds, bounds.ticket_max_s)
        player = session.npc.player.id if session.npc.player else None
        ticket = Ticket(
            expires=expires,
            nonce=secrets.token_urlsafe(9),
            player=player,
            character=session.model,
            origin=session.npc.origin,
            scopes=tuple(session.npc.scopes),
        )
        return {
            "value": gate.mint(ticket),
            "expires_at": expires,
            "session": {
                "type": "realtime",
                "object": "realtime.session",
                "id": f"sess_{ticket.nonce}",
                "model": session.model,
                "npc": {"player": {"id": player} if player else None, "origin": session.npc.origin},
            },
        }

    return router


def _listing(items: Any) -> dict[str, Any]:
    return {"object": "list", "data": list(items)}


def _own(who: Identity, player_id: str, character: str) -> None:
    """A ticket reaches only the memory of the player and character it is bound to."""
    if who.by_key:
        return
    if who.player != player_id or (who.character is not None and who.character != character):
        raise Refused(403, "not_yours", "this ticket does not reach that player's memory")


def error_body(status: int, code: str, message: str, param: str | None = None) -> JSONResponse:
    """The error shape of the Realtime API."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse({"error": {"type": kind, "code": code, "message": message, "param": param}}, status)


def unknown_character(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, UnknownCharacter)
    return error_body(404, "unknown_character", str(error.args[0] if error.args else error), "character")


def refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return error_body(error.status, error.code, error.message)
