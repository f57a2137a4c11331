"""Whatever a client sends, it gets an error event that names the mistake, and every session lives on."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
from typing import Any

import numpy as np
import pytest
import websockets

from npc.protocol.frames import Kind, encode_audio
from npc.server.settings import Bounds, ServerSettings
from tests.server.running import running, until
from tests.server.scripted import ScriptedService


async def _error(ws: Any) -> dict[str, Any]:
    while True:
        event = json.loads(await ws.recv())
        if event["type"] == "error":
            return dict(event["error"])


BAD: list[tuple[str | bytes, str, str | None]] = [
    ("{", "invalid_json", None),
    ("null", "invalid_type", None),
    ('{"type":"session.updat"}', "unknown_event_type", "type"),
    ('{"type":"input_audio_buffer.append"}', "missing_required_parameter", "audio"),
    ('{"type":"input_audio_buffer.append","audio":7}', "invalid_type", "audio"),
    ('{"type":"input_audio_buffer.append","audio":"***"}', "invalid_value", "audio"),
    ('{"type":"input_audio_buffer.append","audio":"AAAA"}', "invalid_value", "audio"),
    ('{"type":"conversation.item.delete","event_id":"mine"}', "missing_required_parameter", "item_id"),
    ('{"type":"npc.scene.update","scene":{"entities":[{}]}}', "missing_required_parameter", "scene.entities[0].id"),
    (b"short", "invalid_frame", "header"),
    (encode_audio(Kind.OUTPUT_AUDIO, np.zeros(2, np.int16), 0), "invalid_frame", "kind"),
    (encode_audio(Kind.INPUT_AUDIO, np.zeros(2, np.int16), 0) + b"x", "invalid_frame", "payload"),
    (b"\x03\x80" + bytes(14), "invalid_frame", "flags"),
    ("x" * 70_000, "message_too_long", None),
    (b"\x03" + bytes(70_000), "message_too_long", None),
]


def test_every_mistake_is_answered_and_the_session_lives_on() -> None:
    async def main() -> None:
        settings = ServerSettings(bounds=Bounds(max_message_bytes=65_536))
        async with (
            running(ScriptedService(), settings) as server,
            websockets.connect(server.ws("model=ada&npc=1"), compression=None, proxy=None) as ws,
        ):
            for message, code, param in BAD:
                await ws.send(message)
                error = await _error(ws)
                assert (error["code"], error["param"]) == (code, param), message[:60]
                assert error["message"]
            await ws.send('{"type":"conversation.item.delete","event_id":"mine"}')
            assert (await _error(ws))["event_id"] == "mine"
            await ws.send('{"type":"input_audio_buffer.clear"}')
            assert json.loads(await ws.recv())["type"] == "input_audio_buffer.cleared"
            assert server.app.hub.metrics.errors == len(BAD) + 1

    asyncio.run(main())


def test_before_opting_in_there_is_nothing_but_the_base_protocol() -> None:
    async def main() -> None:
        service = ScriptedService()
        async with running(service) as server, websockets.connect(server.ws(), compression=None, proxy=None) as ws:
            await ws.send(encode_audio(Kind.INPUT_AUDIO, np.zeros(2, np.int16), 0))
            assert (await _error(ws))["code"] == "binary_not_negotiated"
            await ws.send('{"type":"response.create"}')
            seen = []
            while not seen or seen[-1]["type"] != "response.done":
                message = await ws.recv()
                assert isinstance(message, str)
                seen.append(json.loads(message))
            for event in seen:
                assert not event["type"].startswith("npc.")
                assert "npc" not in event
                assert "npc" not in event.get("response", {})
            numbers = [event["npc_seq"] for event in seen]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            await ws.send('{"type":"session.update","session":{"npc":{}}}')
            updated = json.loads(await ws.recv())
            assert updated["session"]["npc"]["resume"]["token"]
            assert updated["session"]["npc"]["capabilities"]["limits"]["max_message_bytes"] == 1 << 20
            await ws.send('{"type":"response.create"}')
            kinds = set()
            while "response.done" not in kinds:
                kinds.add(json.loads(await ws.recv())["type"])
            assert {"npc.turn", "npc.cues", "npc.metrics"} <= kinds

    asyncio.run(main())


def test_a_message_past_the_hard_limit_costs_the_socket_and_not_the_session() -> None:
    async def main() -> None:
        bounds = Bounds(max_message_bytes=1 << 16, hard_message_bytes=1 << 17)
        async with running(ScriptedService(), ServerSettings(bounds=bounds)) as server:
            ws = await websockets.connect(server.ws("model=ada&npc=1"), compression=None, proxy=None)
            await ws.recv()
            await ws.send("x" * (1 << 18))
            with pytest.raises(websockets.ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1009
            assert len(server.app.hub) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("bounds", "message"),
    [(Bounds(errors_per_10s=5), "{"), (Bounds(messages_per_s=5), '{"type":"input_audio_buffer.clear"}')],
    ids=["mistakes", "flood"],
)
def test_abuse_ends_the_session(bounds: Bounds, message: str) -> None:
    async def main() -> None:
        async with running(ScriptedService(), ServerSettings(bounds=bounds)) as server:
            ws = await websockets.connect(server.ws("model=ada&npc=1"), compression=None, proxy=None)
            with contextlib.suppress(websockets.ConnectionClosed):
                for _ in range(200):
                    await ws.send(message)
                    await ws.recv()
            assert ws.close_code == 4429
            await until(lambda: not len(server.app.hub))
            assert server.app.hub.metrics.abuse == 1

    asyncio.run(main())


def _junk(rng: random.Random) -> str | bytes:
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randrange(60))
    if kind == 1:
        return encode_audio(Kind.INPUT_AUDIO, np.zeros(rng.randrange(300), np.int16), rng.randrange(99))
    if kind == 2:
        size = rng.randrange(200)
        return json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(size)).decode()})
    if kind == 3:
        return "".join(chr(rng.randrange(32, 500)) for _ in range(rng.randrange(40)))
    types = ["response.create", "response.cancel", "session.update", "npc.event", "conversation.item.create", "npc.x"]
    return json.dumps({"type": rng.choice(types), "session": rng.choice([{}, {"npc": {}}, 3]), "text": "x"})


def test_a_misbehaving_neighbour_does_not_disturb_a_conversation() -> None:
    """Two sessions interleaved: one sends rubbish, the other's turns stay exact."""

    async def main() -> None:
        rng = random.Random(3)
        bounds = Bounds(errors_per_10s=100_000, messages_per_s=100_000)
        async with running(ScriptedService(frames=10), ServerSettings(bounds=bounds)) as server:
            bad = await websockets.connect(server.ws("model=bob"), compression=None, proxy=None)
            good = await websockets.connect(server.ws("model=ada"), compression=None, proxy=None)
            await good.recv()

            async def drain() -> None:
                async for _ in bad:
                    pass

            reading = asyncio.ensure_future(drain())
            number = 1
            for n in range(30):
                for _ in range(20):
                    await bad.send(_junk(rng))
                await good.send(
                    json.dumps(
                        {
                            "type": "conversation.item.create",
                            "item": {
                                "type": "message",
                                "role": "user",
                                "content": [{"type": "input_text", "text": f"turn {n}"}],
                            },
                        }
                    )
                )
                await good.send('{"type":"response.create"}')
                while True:
                    event = json.loads(await good.recv())
                    number += 1
                    assert event["npc_seq"] == number
                    assert event["type"] != "error"
                    if event["type"] == "response.output_audio_transcript.done":
                        assert event["transcript"] == f"you said turn {n}"
                    if event["type"] == "response.done":
                        break
            await good.close()
            await bad.close()
            await reading
            assert server.app.hub.metrics.errors > 100
            assert server.app.hub.metrics.session_crashes == 0

    asyncio.run(main())


def test_a_broken_session_says_so_and_leaves_the_others_alone() -> None:
    async def main() -> None:
        async with running(ScriptedService()) as server:
            one = await websockets.connect(server.ws(), compression=None, proxy=None)
            two = await websockets.connect(server.ws(), compression=None, proxy=None)
            await one.recv()
            await two.recv()
            live = server.app.hub.sessions()[0]
            live.crashed(RuntimeError("engine on fire"))
            assert (await _error(one))["type"] == "server_error"
            with pytest.raises(websockets.ConnectionClosed):
                await one.recv()
            assert one.close_code == 1011
            await two.send('{"type":"input_audio_buffer.clear"}')
            assert json.loads(await two.recv())["type"] == "input_audio_buffer.cleared"
            await two.close()

    asyncio.run(main())


def test_an_exception_inside_a_session_ends_that_session_with_an_error_event() -> None:
    async def main() -> None:
        service = ScriptedService()
        async with running(service) as server:
            ws = await websockets.connect(server.ws(), compression=None, proxy=None)
            await ws.recv()

            def broken(event: object) -> None:
                raise KeyError("a bug")

            service.conversations[0].receive = broken  # type: ignore[method-assign, assignment]
            await ws.send('{"type":"response.create"}')
            assert (await _error(ws))["code"] == "internal"
            with pytest.raises(websockets.ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1011
            await until(lambda: not len(server.app.hub))
            assert "npc_session_seconds_count 1.0" in server.app.hub.metrics.render().decode()

    asyncio.run(main())
