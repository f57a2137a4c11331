"""Who gets in: Host and Origin rules, keys, tickets, and the refusal to listen openly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st

from npc.server.auth import Gate, Refused, Ticket
from npc.server.settings import Bounds, ServerSettings
from tests.server.running import Running, running
from tests.server.scripted import ScriptedService

KEY = "a-key-of-sixteen-characters"


async def _status(server: Running, headers: dict[str, str], protocols: list[str] | None = None) -> int:
    """HTTP status of the upgrade, or the close code if it came after it."""
    if "Host" in headers or "host" in headers:
        # The client library sets Host itself, so ask by hand.
        return await _raw_status(server, headers)
    try:
        async with websockets.connect(
            server.ws(), additional_headers=headers, subprotocols=protocols, compression=None, proxy=None
        ) as ws:
            try:
                await ws.recv()
            except websockets.ConnectionClosed:
                return ws.close_code or 0
            return 101
    except websockets.InvalidStatus as refused:
        return refused.response.status_code


async def _raw_status(server: Running, headers: dict[str, str]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    lines = [
        "GET /v1/realtime?model=ada HTTP/1.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    status = int((await reader.readline()).split()[1])
    writer.transport.abort()
    return status


def test_foreign_pages_and_rebound_names_are_kept_out() -> None:
    async def main() -> None:
        settings = ServerSettings(origins=("https://game.example",), hosts=("npc.example",))
        async with running(ScriptedService(), settings) as server:
            own = f"http://127.0.0.1:{server.port}"
            host = f"127.0.0.1:{server.port}"
            assert await _status(server, {}) == 101
            assert await _status(server, {"Origin": own}) == 101
            assert await _status(server, {"Origin": "https://game.example"}) == 101
            for foreign in ("null", "https://evil.example", f"https://127.0.0.1:{server.port}", "http://127.0.0.1", ""):
                assert await _status(server, {"Origin": foreign}) == 403, foreign
            assert await _status(server, {"Host": host}) == 101
            assert await _status(server, {"Host": f"localhost:{server.port}"}) == 101
            assert await _status(server, {"Host": f"[::1]:{server.port}"}) == 101
            assert await _status(server, {"Host": "npc.example"}) == 101
            # DNS rebinding: Origin and Host agree, and neither is ours.
            evil = f"evil.example:{server.port}"
            assert await _status(server, {"Host": evil, "Origin": f"http://{evil}"}) == 403
            assert await _status(server, {"Host": "127.0.0.1.evil.example"}) == 403
            async with httpx.AsyncClient(base_url=server.http, trust_env=False) as client:
                gone = await client.delete(
                    "/v1/players/ann/memory", params={"character": "ada"}, headers={"Origin": "https://evil.example"}
                )
                assert gone.status_code == 403
                assert gone.json()["error"]["code"] == "origin_not_allowed"
            assert server.service.memories, "the memory is still there"

    asyncio.run(main())


def test_keys() -> None:
    async def main() -> None:
        async with running(ScriptedService(), ServerSettings(keys=(KEY,))) as server:
            assert await _status(server, {}) == 401
            assert await _status(server, {"Authorization": "Bearer wrong-key-wrong-key"}) == 401
            assert await _status(server, {"Authorization": f"Bearer {KEY}"}) == 101
            assert await _status(server, {}, ["realtime", f"openai-insecure-api-key.{KEY}"]) == 101
            # A browser cannot see an HTTP status: it is told by a close code.
            assert await _status(server, {}, ["realtime", "openai-insecure-api-key.wrong"]) == 4401
            async with httpx.AsyncClient(base_url=server.http, trust_env=False) as client:
                assert (await client.get("/v1/characters")).status_code == 401
                assert (await client.get("/metrics")).status_code == 401
                assert (await client.get("/healthz")).status_code == 200
                listed = await client.get("/v1/characters", headers={"Authorization": f"Bearer {KEY}"})
                assert [c["id"] for c in listed.json()["data"]] == ["ada", "bob"]

    asyncio.run(main())


def test_tickets_are_bound_to_what_they_were_minted_for() -> None:
    async def main() -> None:
        async with running(ScriptedService(), ServerSettings(keys=(KEY,))) as server:
            own = f"http://127.0.0.1:{server.port}"
            async with httpx.AsyncClient(base_url=server.http, trust_env=False) as client:

                async def mint(**session: Any) -> Any:
                    body = {"session": {"type": "realtime", **session}, "expires_after": {"seconds": 60}}
                    path = "/v1/realtime/client_secrets"
                    return await client.post(path, json=body, headers={"Authorization": f"Bearer {KEY}"})

                secret = (await mint(model="ada", npc={"player": {"id": "ann"}, "origin": own})).json()
                ticket = secret["value"]
                assert secret["session"]["model"] == "ada"
                offer = ["realtime", f"openai-insecure-api-key.{ticket}"]
                assert await _status(server, {"Origin": own}, offer) == 101
                assert await _status(server, {}, offer) == 403, "another origin"
                bearer = {"Authorization": f"Bearer {ticket}", "Origin": own}
                other = {"character": "bob"}
                assert (await client.get("/v1/players/ann/memory", params=other, headers=bearer)).status_code == 403
                mine = {"character": "ada"}
                assert (await client.get("/v1/players/eve/memory", params=mine, headers=bearer)).status_code == 403
                memory = await client.get("/v1/players/ann/memory", params=mine, headers=bearer)
                assert memory.json() == {"records": ["likes tea"]}
                minted = await client.post("/v1/realtime/client_secrets", json={}, headers=bearer)
                assert minted.status_code == 403, "a ticket mints no tickets"
                assert (await mint(model="nobody")).status_code == 404
                wrong = await mint(npc={"scopes": ["king"]})
                assert (wrong.status_code, wrong.json()["error"]["param"]) == (422, "session.npc.scopes.0")
                async with websockets.connect(
                    f"ws://127.0.0.1:{server.port}/v1/realtime?npc=1",
                    subprotocols=offer,
                    origin=own,
                    compression=None,
                    proxy=None,
                ) as ws:
                    await ws.recv()
                    conversation = server.service.conversations[-1]
                    assert conversation.opening.character_id == "ada"
                    assert conversation.opening.player_id == "ann"
                    await ws.send(json.dumps({"type": "session.update", "session": {"npc": {"player": {"id": "eve"}}}}))
                    updated = json.loads(await ws.recv())
                    assert updated["session"]["npc"]["player"]["id"] == "ann", "the ticket's player stays"

    asyncio.run(main())


def test_refusals_say_what_to_do() -> None:
    async def main() -> None:
        settings = ServerSettings(bounds=Bounds(max_sessions=1))
        async with running(ScriptedService(), settings) as server:
            for query, status, code in (
                ("", 400, "missing_character"),
                ("model=nobody", 404, "unknown_character"),
            ):
                with pytest.raises(websockets.InvalidStatus) as caught:
                    await websockets.connect(server.ws(query), compression=None, proxy=None)
                assert caught.value.response.status_code == status
                assert json.loads(caught.value.response.body)["error"]["code"] == code
            async with websockets.connect(server.ws("model=ada&npc=9"), compression=None, proxy=None) as ws:
                with pytest.raises(websockets.ConnectionClosed):
                    await ws.recv()
                assert ws.close_code == 4406
            async with websockets.connect(server.ws(), compression=None, proxy=None):
                with pytest.raises(websockets.InvalidStatus) as caught:
                    await websockets.connect(server.ws(), compression=None, proxy=None)
                assert caught.value.response.status_code == 503
                # A browser cannot see that status, and its page would take it for a server that is not there.
                own = f"http://127.0.0.1:{server.port}"
                assert await _status(server, {"Origin": own}) == 1013
                server.app.hub.draining = True
                assert await _status(server, {"Origin": own}) == 1012
                server.app.hub.draining = False

    asyncio.run(main())


async def _endless() -> AsyncIterator[bytes]:
    yield b"x"


def test_rest() -> None:
    async def main() -> None:
        async with (
            running(ScriptedService()) as server,
            httpx.AsyncClient(base_url=server.http, trust_env=False) as client,
        ):
            assert (await client.get("/healthz")).text == "ok\n"
            assert (await client.get("/readyz")).json()["ready"] is True
            assert (await client.get("/v1/characters/ada")).json()["name"] == "Ada"
            unknown = await client.get("/v1/characters/nobody/knowledge")
            assert unknown.status_code == 404
            assert "ada, bob" in unknown.json()["error"]["message"]
            assert (await client.get("/v1/characters/ada/knowledge")).json()["data"][0]["id"] == "f1"
            assert (await client.get("/v1/voices")).json()["data"] == [{"id": "ramp"}]
            gone = await client.delete("/v1/players/ann/memory", params={"character": "ada"})
            assert gone.json()["removed"] == 1
            missing = await client.get("/v1/players/ann/memory")
            assert missing.json()["error"]["param"] == "character"
            text = (await client.get("/metrics")).text
            assert "npc_sessions 0.0" in text
            assert "npc_event_loop_lag_seconds_bucket" in text
            big = await client.post("/v1/realtime/client_secrets", content=b"x" * 100_000)
            assert (big.status_code, big.json()["error"]["code"]) == (413, "body_too_large")
            chunked = await client.post("/v1/realtime/client_secrets", content=_endless())
            assert chunked.status_code == 411
            for hidden in ("/characters/sela-marrow/character.yaml", "/../pyproject.toml", "/js/../../Makefile"):
                assert (await client.get(hidden)).status_code == 404

    asyncio.run(main())


def test_listening_openly_without_keys_is_refused() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "npc.example"):
        with pytest.raises(ValueError, match="authentication"):
            ServerSettings(host=host)
        ServerSettings(host=host, keys=(KEY,))
    for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        ServerSettings(host=host)
    with pytest.raises(ValueError, match="16 characters"):
        ServerSettings(keys=("short",))
    with pytest.raises(ValueError, match="origin"):
        ServerSettings(origins=("null",))
    with pytest.raises(ValueError, match="max_sessions"):
        Bounds(max_sessions=0)


@given(st.text(max_size=60), st.integers(0, 80))
def test_no_text_passes_as_a_ticket(junk: str, cut: int) -> None:
    gate = Gate(ServerSettings(keys=(KEY,)), b"s" * 32)
    ticket = gate.mint(Ticket(expires=100, nonce="n", character="ada"))
    assert gate.verify(ticket, None, now=99.0).character == "ada"
    forged = ticket[:cut] + junk
    if forged != ticket:
        with pytest.raises(Refused):
            gate.identify(f"ek_{forged}", None, now=99.0)
    with pytest.raises(Refused) as caught:
        gate.verify(ticket, None, now=100.0)
    assert caught.value.code == "ticket_expired"
    other = Gate(ServerSettings(keys=(KEY,)), b"t" * 32)
    with pytest.raises(Refused):
        other.verify(ticket, None, now=1.0)
