"""`npc talk` against a server of the test's own: what it prints, keeps, and says when something goes wrong."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from npc.audio.wav import read_wav
from npc.cli.talk import _parser, _Talk, main, missing_parts
from npc.protocol import (
    Response as Reply,
)
from npc.protocol import (
    ResponseAudioDelta,
    ResponseAudioDone,
    ResponseDone,
    ResponseTranscriptDelta,
    ServerEvent,
    Session,
    SessionCreated,
    dump,
)

Answer = Callable[[ServerConnection], Awaitable[None]]


@contextlib.contextmanager
def server(answer: Answer, readyz: str = "") -> Iterator[str]:
    """A server that says hello and does `answer` for each `response.create`; its address. `readyz` is its health."""
    ready = threading.Event()
    address: list[str] = []
    over: list[Callable[[], object]] = []

    async def play(socket: ServerConnection) -> None:
        await socket.send(dump(SessionCreated(session=Session(id="s", model="ada"))))
        async for message in socket:
            if json.loads(message)["type"] == "response.create":
                await answer(socket)

    def health(socket: ServerConnection, request: Request) -> Response | None:
        return socket.respond(200, readyz) if request.path == "/readyz" else None

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        over.append(lambda: loop.call_soon_threadsafe(stop.set))
        async with serve(play, "127.0.0.1", 0, subprotocols=["realtime"], process_request=health) as listening:  # type: ignore[list-item]
            address.append(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield address[0]
    over[0]()
    thread.join(10)


async def say(socket: ServerConnection, seconds: float = 0.1) -> None:
    """A whole reply of a tone."""
    pcm = np.full(int(24_000 * seconds), 1000, "<i2").tobytes()
    place = {"response_id": "r", "item_id": "i"}
    events: list[ServerEvent] = [
        ResponseTranscriptDelta(**place, delta="Good day."),
        ResponseAudioDelta(**place, delta=base64.b64encode(pcm).decode()),
        ResponseAudioDone(**place),
        ResponseDone(response=Reply(id="r", status="completed")),
    ]
    for event in events:
        await socket.send(dump(event))


async def die(socket: ServerConnection) -> None:
    socket.transport.abort()


async def say_and_die(socket: ServerConnection) -> None:
    await say(socket, 2.0)
    await asyncio.sleep(0.3)
    await die(socket)


def test_a_typed_turn_is_answered_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.wav"
    with server(say) as url:
        assert main(["--url", url, "--character", "ada", "--text", "hello", "--out", str(out), "--quiet"]) == 0
    assert capsys.readouterr().out == "ada: Good day.\n"
    pcm, rate = read_wav(out)
    assert (int((pcm == 1000).sum()), rate) == (2400, 24_000)


@pytest.mark.parametrize(
    ("readyz", "told"),
    [
        (
            '{"components": {"llm": {"state": "down", "message": "there is no directory /x"}, "vad": {"state": "ok"}}}',
            "npc talk: llm is down: there is no directory /x\n",
        ),
        ('{"components": []}', ""),
        ("no JSON", ""),
    ],
)
def test_a_part_that_the_server_lacks_is_named(capsys: pytest.CaptureFixture[str], readyz: str, told: str) -> None:
    """A model that did not load was answered for by `composed` without a word."""
    with server(say, readyz) as url:
        assert missing_parts(url.replace("http", "ws")) == ([told[10:-1]] if told else [])
        assert main(["--url", url, "--character", "ada", "--text", "hello"]) == 0
    assert capsys.readouterr().err.count(" is down") == bool(told)


@pytest.mark.parametrize("answer", [die, say_and_die])
def test_a_server_that_goes_away_ends_the_talk_at_once(
    answer: Answer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It waited half a minute for the answer, or for ever for the rest of the sound."""
    with server(answer) as url:
        began = time.monotonic()
        assert main(["--url", url, "--text", "hello", "--out", str(tmp_path / "a.wav")]) == 1
        assert time.monotonic() - began < 8
    assert "the connection was lost" in capsys.readouterr().err


def test_ctrl_c_keeps_what_was_said_until_then(tmp_path: Path) -> None:
    out = tmp_path / "a.wav"

    async def interrupted(url: str) -> None:
        given = _parser().parse_args(["--url", url, "--text", "hello", "--text", "more", "--out", str(out)])
        talk = asyncio.create_task(_Talk(given, url).run())
        await asyncio.sleep(1.0)
        talk.cancel()
        await asyncio.wait([talk])

    async def once(socket: ServerConnection) -> None:
        if not said:
            said.append(True)
            await say(socket)

    said: list[bool] = []
    with server(once) as url:
        asyncio.run(interrupted(url))
    assert int((read_wav(out)[0] == 1000).sum()) == 2400


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--url", "localhost:8765"), "url must be an address like"),
        (("--url", "http://127.0.0.1:1"), "cannot reach the server"),
        (("--wav", "{tmp}/nothing.wav"), "nothing.wav: No such file or directory"),
        (("--wav", "{tmp}/text.wav"), "text.wav"),
        (("--out", "{tmp}/none/a.wav"), "none: there is no such folder"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], complaint: str
) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    wanted = [one.replace("{tmp}", str(tmp_path)) for one in arguments]
    try:
        status = main([*wanted, "--text", "hello", *([] if "--url" in wanted else ["--url", "http://127.0.0.1:1"])])
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    assert status != 0
    assert complaint in capsys.readouterr().err
