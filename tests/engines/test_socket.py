"""Unity's socket against a bare WebSocket server: it says that it leaves, and survives that the server does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.engines.conftest import PLUGINS, need, run

UNITY = PLUGINS / "unity"


@pytest.fixture(scope="module")
def talker(json_dll: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("socket") / "SocketTalk.exe"
    sources = [*sorted((UNITY / "Runtime/Core").glob("*.cs")), UNITY / "Runtime/Net/ClientSocket.cs"]
    talk = UNITY / "Tests/Socket/SocketTalk.cs"
    run(need("mcs", "mono-devel"), "-langversion:7.2", f"-out:{out}", f"-r:{json_dll}", *sources, talk)
    return out


async def talked(talker: Path, how: str, *, hang_up: bool) -> tuple[str, list[str], int | None]:
    """(what the program printed, what the server heard, the close code it got)."""
    heard: list[str] = []
    code: int | None = None

    async def handle(socket: ServerConnection) -> None:
        nonlocal code
        try:
            heard.append(str(await socket.recv()))
            if hang_up:
                await socket.close(4000, "over")
            await socket.wait_closed()
        except ConnectionClosed:
            pass
        code = socket.close_code

    async with serve(handle, "127.0.0.1", 0, subprotocols=["realtime"]) as server:  # type: ignore[list-item]
        port = server.sockets[0].getsockname()[1]
        mono = need("mono", "mono-devel")
        url = f"ws://127.0.0.1:{port}"
        printed = await asyncio.to_thread(run, mono, "--debug", talker, url, how, seconds=30)
    return printed.strip(), heard, code


def test_leaving_is_said_after_what_was_sent(talker: Path) -> None:
    printed, heard, code = asyncio.run(talked(talker, "leave", hang_up=False))
    assert (printed, heard, code) == ("0", ["hello"], 1000)


def test_a_server_that_hangs_up_between_two_polls_breaks_no_game_loop(talker: Path) -> None:
    printed, heard, _ = asyncio.run(talked(talker, "left", hang_up=True))
    assert (printed, heard) == ("4000", ["on"])
