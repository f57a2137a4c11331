"""The socket shell against a server that misbehaves: what goes wrong is told, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from npc.client import ConnectionLost, RealtimeClient
from npc.protocol import Session, SessionCreated, dump

Play = Callable[[ServerConnection], Awaitable[None]]


def run(play: Play, use: Callable[[RealtimeClient], Awaitable[Any]]) -> Any:
    """`use` a client of a server that does `play` with each of its sockets."""

    async def both() -> Any:
        async with serve(play, "127.0.0.1", 0, subprotocols=["realtime"]) as server:  # type: ignore[list-item]
            port = server.sockets[0].getsockname()[1]
            async with asyncio.timeout(10), RealtimeClient.connect(f"http://127.0.0.1:{port}") as client:
                return await use(client)

    return asyncio.run(both())


async def greet(socket: ServerConnection) -> None:
    await socket.send(dump(SessionCreated(npc_seq=1, session=Session(id="s", model="ada"))))


async def read_all(client: RealtimeClient) -> list[Any]:
    return [incoming async for incoming in client]


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (json.dumps({"type": "npc.unheard_of", "npc_seq": 2}), "unknown event type 'npc.unheard_of'"),
        (json.dumps({"type": "input_audio_buffer.cleared", "npc_seq": 9}), "message 9 came after 1"),
        (b"\x01", "a binary frame has at least 16 bytes"),
        ("{", "not valid JSON"),
    ],
)
def test_what_cannot_be_read_is_told_and_is_no_orderly_end(message: str | bytes, complaint: str) -> None:
    """It once ended the iteration as if the server had said goodbye."""

    async def play(socket: ServerConnection) -> None:
        await greet(socket)
        await socket.send(message)
        await socket.wait_closed()

    with pytest.raises(ConnectionLost, match=complaint):
        run(play, read_all)


def test_an_orderly_end_ends_the_iteration() -> None:
    assert [one.type for one in run(greet, read_all)] == ["session.created"]


@pytest.mark.parametrize("url", ["localhost:8765", "http://", "ws://[bad"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    async def connect() -> None:
        async with RealtimeClient.connect(url):
            raise AssertionError("unreachable")

    with pytest.raises(ValueError, match="url must"):
        asyncio.run(connect())
