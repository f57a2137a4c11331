"""An instructor's socket beside a session's: it hears the same, in a form of its own."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import websockets

from npc.server.settings import Bounds, ServerSettings
from tests.server.running import running
from tests.server.scripted import ScriptedService


async def _open(url: str) -> Any:
    return await websockets.connect(url, compression=None, proxy=None)


async def _until(ws: Any, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while True:
            message = await ws.recv()
            assert isinstance(message, str), "binary was never agreed on"
            event = json.loads(message)
            if event["type"] == kind:
                return event


def _update(**session: Any) -> str:
    return json.dumps({"type": "session.update", "session": session})


def _rate(event: dict[str, Any]) -> int:
    return int(event["session"]["audio"]["output"]["format"]["rate"])


SIXTEEN = {"output": {"format": {"type": "audio/pcm", "rate": 16000}}}


def test_a_watcher_is_told_the_rate_of_the_sound_and_keeps_its_own_transport() -> None:
    """It was told 24 kHz whatever the trainee had chosen, and sent binary frames once the trainee chose those."""

    async def main() -> None:
        async with running(ScriptedService()) as server:
            trainee = await _open(server.ws("model=ada&npc=1"))
            session_id = (await _until(trainee, "session.created"))["session"]["id"]
            await trainee.send(_update(audio=SIXTEEN))
            await _until(trainee, "session.updated")
            chair = await _open(server.ws(f"watch={session_id}"))
            created = await _until(chair, "session.created")
            assert _rate(created) == 16000
            await chair.send(_update(audio={"output": {"format": {"type": "audio/pcm", "rate": 24000}}}))
            assert _rate(await _until(chair, "session.updated")) == 16000, "it is the session's to choose"
            binary = {"npc": {"transport": {"audio": "binary"}}}
            await trainee.send(_update(audio={"output": {"format": {"type": "audio/pcm", "rate": 24000}}}, **binary))
            updated = await _until(chair, "session.updated")
            assert _rate(updated) == 24000
            assert updated["session"]["id"] == created["session"]["id"]
            await trainee.send('{"type":"response.create"}')
            await _until(chair, "response.output_audio.delta")
            await chair.close()
            await trainee.close()

    asyncio.run(main())


def test_watchers_count_among_the_sessions() -> None:
    async def main() -> None:
        settings = ServerSettings(bounds=Bounds(max_sessions=2))
        async with running(ScriptedService(), settings) as server:
            trainee = await _open(server.ws("model=ada&npc=1"))
            session_id = (await _until(trainee, "session.created"))["session"]["id"]
            chair = await _open(server.ws(f"watch={session_id}"))
            with pytest.raises(websockets.InvalidStatus) as caught:
                await _open(server.ws(f"watch={session_id}"))
            assert caught.value.response.status_code == 503
            await chair.close()
            await trainee.close()

    asyncio.run(main())


def test_a_page_that_watches_a_session_that_is_over_is_told_so() -> None:
    async def main() -> None:
        async with running(ScriptedService()) as server:
            own = f"http://127.0.0.1:{server.port}"
            ws = await websockets.connect(server.ws("watch=sess_gone"), origin=own, compression=None, proxy=None)
            with pytest.raises(websockets.ConnectionClosed):
                await ws.recv()
            assert (ws.close_code, "no session" in ws.close_reason) == (4000, True)

    asyncio.run(main())
