"""A dropped socket loses nothing: every event once, in order, audio on at the exact sample, both ways."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import numpy as np
import pytest
import websockets

from npc.client import OutputAudio, RealtimeClient
from npc.protocol import (
    ContentPart,
    ConversationItemCreate,
    ErrorEvent,
    MessageItem,
    NpcOutput,
    NpcResumed,
    ResponseCancel,
    ResponseCreate,
    ResponseDone,
    ResponseTranscriptDelta,
    SessionUpdate,
)
from npc.server.settings import Bounds, ServerSettings
from tests.server.cutting import cutting
from tests.server.running import running, until
from tests.server.scripted import FRAME, ScriptedService

FRAMES = 40


def _say(text: str) -> ConversationItemCreate:
    return ConversationItemCreate(item=MessageItem(role="user", content=[ContentPart(type="input_text", text=text)]))


async def _turn(client: RealtimeClient, *, binary: bool) -> tuple[list[Any], np.ndarray]:
    """One spoken turn: its events without audio, and the audio put together."""
    if binary:
        update = {"session": {"npc": {"transport": {"audio": "binary"}}}}
        await client.send(SessionUpdate.model_validate(update))
    await client.send(_say("one two three four five six seven eight"))
    await client.send(ResponseCreate())
    events: list[Any] = []
    audio: list[np.ndarray] = []
    at = 0
    async for incoming in client:
        if isinstance(incoming, OutputAudio):
            assert incoming.start == at, "audio goes on at the exact sample"
            at += incoming.pcm.size
            audio.append(incoming.pcm)
        elif not isinstance(incoming, NpcResumed):
            events.append(incoming)
            if isinstance(incoming, ResponseDone):
                break
    return events, np.concatenate(audio)


def _without_ids(events: list[Any]) -> list[tuple[Any, ...]]:
    return [
        (event.type, event.npc_seq, event.delta if isinstance(event, ResponseTranscriptDelta) else None)
        for event in events
    ]


@pytest.mark.parametrize("binary", [False, True], ids=["base64", "binary"])
def test_a_hundred_connections_killed_at_random_bytes(binary: bool) -> None:
    """Run for both transports: 200 kills. The client's core refuses any hole or repetition in the numbering itself."""

    async def main() -> None:
        rng = random.Random(11 + binary)
        service = ScriptedService(frames=FRAMES, frame_s=0.0)
        async with running(service) as server:
            async with RealtimeClient.connect(server.http, character="ada") as client:
                expected, _ = await _turn(client, binary=binary)
            kills = 0
            while kills < 100:
                # The first connection must live until the client has its token; then anything may die, anywhere.
                first = 4500
                sizes = [first + rng.randrange(20_000), *(rng.randrange(1, 12_000) for _ in range(7))]
                async with cutting(server.port, iter(sizes)) as proxy:
                    async with RealtimeClient.connect(f"ws://127.0.0.1:{proxy.port}", character="ada") as client:
                        events, audio = await asyncio.wait_for(_turn(client, binary=binary), 20)
                    kills += proxy.kills
                assert _without_ids(events) == _without_ids(expected)
                np.testing.assert_array_equal(audio, np.arange(FRAMES * FRAME).astype(np.int16))
            await asyncio.sleep(0)
            assert server.app.hub.metrics.resumed_resync == 0

    asyncio.run(main())


def test_nothing_said_is_lost_or_said_twice() -> None:
    """Client events and input audio over a line that keeps breaking arrive once, in order."""

    async def main() -> None:
        rng = random.Random(5)
        service = ScriptedService()
        async with running(service) as server:
            sizes = [6000, *(rng.randrange(60, 900) for _ in range(25))]
            async with (
                cutting(server.port, iter(sizes)) as proxy,
                RealtimeClient.connect(f"ws://127.0.0.1:{proxy.port}", character="ada") as client,
            ):
                await client.created()
                drain = asyncio.ensure_future(_collect(client))
                for n in range(150):
                    await client.send_audio(np.full(120, n, np.int16))
                    await client.send(_say(f"line {n}"))
                    if n % 10 == 0:
                        await asyncio.sleep(0.002)
                conversation = service.conversations[0]
                await until(lambda: len(conversation.events) >= 150, 10)
                assert client.resumes >= 5
                drain.cancel()
            texts = [event.item.text() for event in conversation.events]
            assert texts == [f"line {n}" for n in range(150)]
            assert conversation.heard == 150 * 120

    asyncio.run(main())


async def _collect(client: RealtimeClient) -> None:
    async for _ in client:
        pass


async def _open(url: str, *protocols: str) -> Any:
    return await websockets.connect(url, subprotocols=["realtime", *protocols], compression=None)


async def _token(ws: Any) -> str:
    created = json.loads(await ws.recv())
    return str(created["session"]["npc"]["resume"]["token"])


def test_a_token_opens_one_connection_once_the_client_has_spoken_on_it() -> None:
    async def main() -> None:
        async with running(ScriptedService()) as server:
            ws = await _open(server.ws("model=ada&npc=1"))
            token = await _token(ws)
            ws.transport.abort()
            again = server.ws("model=ada&npc=1&after=1")
            second = await _open(again, f"npc-resume.{token}")
            resumed = json.loads(await second.recv())
            assert resumed["type"] == "npc.resumed"
            assert "npc_seq" not in resumed
            assert resumed["complete"] is True
            # The client never used this socket: it may not have read the new token, so the old one still works.
            second.transport.abort()
            third = await _open(again, f"npc-resume.{token}")
            fresh = json.loads(await third.recv())["token"]
            assert fresh != token
            await third.send('{"type":"input_audio_buffer.clear"}')
            assert json.loads(await third.recv())["type"] == "input_audio_buffer.cleared"
            for old in (token, resumed["token"]):
                refused = await _open(again, f"npc-resume.{old}")
                with pytest.raises(websockets.ConnectionClosed):
                    await refused.recv()
                assert refused.close_code == 4404
            await third.close()

    asyncio.run(main())


def test_a_resume_takes_over_from_a_socket_that_only_seems_alive() -> None:
    async def main() -> None:
        async with running(ScriptedService()) as server:
            first = await _open(server.ws("model=ada&npc=1"))
            token = await _token(first)
            second = await _open(server.ws("after=1"), f"npc-resume.{token}")
            assert json.loads(await second.recv())["type"] == "npc.resumed"
            with pytest.raises(websockets.ConnectionClosed):
                await first.recv()
            assert first.close_code == 4409
            assert len(server.app.hub) == 1
            assert server.service.conversations[0].links == [], "the session never was without a socket"
            await second.close()

    asyncio.run(main())


def test_past_the_replay_buffer_comes_a_snapshot() -> None:
    async def main() -> None:
        settings = ServerSettings(bounds=Bounds(replay_ms=100))
        service = ScriptedService(frames=60)
        async with running(service, settings) as server:
            ws = await _open(server.ws("model=ada&npc=1"))
            token = await _token(ws)
            await ws.send('{"type":"response.create"}')
            while json.loads(await ws.recv())["type"] != "response.done":
                pass
            ws.transport.abort()
            again = await _open(server.ws("after=2"), f"npc-resume.{token}")
            resumed = json.loads(await again.recv())
            assert resumed["complete"] is False
            resync = json.loads(await again.recv())
            assert resync["type"] == "npc.resync"
            assert resync["first_lost"] == 3
            assert resync["npc_seq"] == resync["last_lost"] + 1
            assert resync["snapshot"]["state"] == "listening"
            await again.send('{"type":"input_audio_buffer.clear"}')
            assert json.loads(await again.recv())["npc_seq"] == resync["npc_seq"] + 1
            await again.close()

    asyncio.run(main())


def test_the_session_waits_for_its_window_and_not_longer() -> None:
    async def main() -> None:
        settings = ServerSettings(bounds=Bounds(resume_window_s=0.2))
        async with running(ScriptedService(), settings) as server:
            ws = await _open(server.ws("model=ada&npc=1"))
            token = await _token(ws)
            ws.transport.abort()
            await asyncio.sleep(0.05)
            conversation = server.service.conversations[0]
            assert conversation.links == [False]
            assert conversation.closed is None
            await asyncio.sleep(0.3)
            assert conversation.closed == "resume window passed"
            assert len(server.app.hub) == 0
            late = await _open(server.ws("after=1"), f"npc-resume.{token}")
            with pytest.raises(websockets.ConnectionClosed):
                await late.recv()
            assert late.close_code == 4404

    asyncio.run(main())


def test_a_stock_client_that_leaves_ends_its_session_at_once() -> None:
    async def main() -> None:
        async with running(ScriptedService()) as server:
            ws = await _open(server.ws())
            created = json.loads(await ws.recv())
            assert "npc" not in created["session"]
            ws.transport.abort()
            await until(lambda: not len(server.app.hub))
            assert server.service.conversations[0].closed == "client left"

    asyncio.run(main())


@pytest.mark.parametrize("code", [1000, 1001])
def test_a_client_that_says_goodbye_ends_its_session_at_once(code: int) -> None:
    async def main() -> None:
        async with running(ScriptedService()) as server:
            ws = await _open(server.ws("model=ada&npc=1"))
            token = await _token(ws)
            await ws.close(code)
            await until(lambda: not len(server.app.hub))
            assert server.service.conversations[0].closed == "client left"
            late = await _open(server.ws("after=1"), f"npc-resume.{token}")
            with pytest.raises(websockets.ConnectionClosed):
                await late.recv()
            assert late.close_code == 4404

    asyncio.run(main())


def test_a_socket_closed_for_another_reason_can_be_resumed() -> None:
    async def main() -> None:
        async with running(ScriptedService()) as server:
            ws = await _open(server.ws("model=ada&npc=1"))
            token = await _token(ws)
            await ws.close(3001)
            await until(lambda: server.app.hub.sessions()[0].link is None)
            again = await _open(server.ws("after=1"), f"npc-resume.{token}")
            assert json.loads(await again.recv())["type"] == "npc.resumed"
            await again.close()

    asyncio.run(main())


def test_a_client_that_does_not_read_is_cut_off_and_can_resume() -> None:
    async def main() -> None:
        settings = ServerSettings(bounds=Bounds(queue_ms=1000))
        service = ScriptedService(frames=3000)
        async with running(service, settings) as server:
            ws = await _open(server.ws("model=ada&npc=1"))
            token = await _token(ws)
            await ws.send('{"type":"response.create"}')
            ws.transport.pause_reading()
            await until(lambda: server.app.hub.metrics.too_slow, 10)
            await until(lambda: server.app.hub.sessions()[0].link is None)
            ws.transport.abort()
            again = await _open(server.ws("after=1"), f"npc-resume.{token}")
            assert json.loads(await again.recv())["type"] == "npc.resumed"
            await again.close()

    asyncio.run(main())


def test_after_a_flush_nothing_of_the_response_is_sent() -> None:
    async def main() -> None:
        service = ScriptedService(frames=400, frame_s=0.001)
        async with running(service) as server, RealtimeClient.connect(server.http, character="ada") as client:
            await client.created()
            await client.send(_say("a b c"))
            await client.send(ResponseCreate())
            heard = 0
            async for incoming in client:
                assert not isinstance(incoming, ErrorEvent)
                heard += isinstance(incoming, OutputAudio)
                if heard == 20:
                    break
            await client.send(ResponseCancel())
            flushed = False
            async for incoming in client:
                if isinstance(incoming, NpcOutput):
                    flushed = True
                assert not (flushed and isinstance(incoming, OutputAudio))
                if isinstance(incoming, ResponseDone):
                    assert incoming.response.status == "cancelled"
                    break

    asyncio.run(main())
