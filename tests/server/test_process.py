"""The server as a process: starts, stops on SIGTERM with the sentence finished, leaves nothing behind. Page, traces."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from npc.conversation.port import Opening, Outbox
from npc.protocol import NpcMetrics, Response, ResponseCreated, ResponseDone
from npc.server import Bounds, ServerSettings, serve, tracing
from npc.server.auth import Identity
from npc.server.hub import Hub
from npc.server.metrics import Metrics
from npc.server.page import content_policy
from tests.server.scripted import ScriptedConversation, ScriptedService

ROOT = Path(__file__).parents[2]
PROGRAM = """
from npc.server import Bounds, ServerSettings, serve
from tests.server.scripted import ScriptedService

bounds = Bounds(drain_s={drain_s})
serve(
    ScriptedService(frames={frames}, frame_s=0.02),
    ServerSettings(port=0, bounds=bounds),
    started=lambda url: print(url, flush=True),
)
"""


@contextmanager
def _process(*, frames: int, drain_s: float = 10.0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    program = textwrap.dedent(PROGRAM).format(frames=frames, drain_s=drain_s)
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), process.stderr.read()
        yield process, url
    finally:
        process.kill()
        process.communicate()


async def _open(url: str) -> Any:
    ws = await websockets.connect(f"{url.replace('http', 'ws')}/v1/realtime?model=ada", compression=None, proxy=None)
    await ws.recv()
    return ws


def test_sigterm_lets_the_sentence_end_and_nothing_new_begin() -> None:
    async def main() -> None:
        with _process(frames=60) as (process, url):
            speaking, idle = await _open(url), await _open(url)
            await speaking.send('{"type":"response.create"}')
            while json.loads(await speaking.recv())["type"] != "response.output_audio.delta":
                pass
            os.kill(process.pid, signal.SIGTERM)
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(idle.recv(), 3)
            assert idle.close_code == 1012
            with pytest.raises(OSError):
                await websockets.connect(f"{url.replace('http', 'ws')}/v1/realtime?model=ada", proxy=None)
            frames, done = 1, None
            while done is None:
                event = json.loads(await asyncio.wait_for(speaking.recv(), 5))
                frames += event["type"] == "response.output_audio.delta"
                done = event if event["type"] == "response.done" else None
            assert frames == 60
            assert done["response"]["status"] == "completed"
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(speaking.recv(), 3)
            assert speaking.close_code == 1012
            assert await asyncio.to_thread(process.wait, 10) in (0, -signal.SIGTERM)

    asyncio.run(main())


def test_a_drain_has_an_end() -> None:
    async def main() -> None:
        with _process(frames=3000, drain_s=0.3) as (process, url):
            speaking = await _open(url)
            await speaking.send('{"type":"response.create"}')
            await speaking.recv()
            os.kill(process.pid, signal.SIGTERM)
            with contextlib.suppress(websockets.ConnectionClosed):
                async for _ in speaking:
                    pass
            assert speaking.close_code == 1012
            assert await asyncio.to_thread(process.wait, 10) in (0, -signal.SIGTERM)

    asyncio.run(main())


def test_an_address_in_use_is_the_caller_s_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        serve(ScriptedService(), ServerSettings(port=taken.getsockname()[1]))


def test_a_service_that_cannot_start_says_why() -> None:
    class Broken(ScriptedService):
        async def start(self) -> None:
            raise RuntimeError("there is no usable character")

    with pytest.raises(RuntimeError, match="no usable character"):
        serve(Broken(), ServerSettings(port=0))


def test_the_page_s_policy_allows_its_own_inline_scripts_only(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text('<script type="importmap">{"a":1}</script><script src="js/x.js"></script>')
    policy = content_policy(tmp_path)
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert scripts.count("sha256-") == 1
    assert "unsafe" not in scripts
    (tmp_path / "index.html").write_text("<p>nothing</p>")
    assert "sha256" not in content_policy(tmp_path)


def test_the_page_is_served_with_its_policy() -> None:
    if not (ROOT / "demo" / "index.html").exists():
        pytest.skip("no demo page in this checkout")

    async def main() -> None:
        with _process(frames=1) as (_, url):
            async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
                page = await client.get("/")
                assert page.status_code == 200
                assert "<html" in page.text.lower()
                assert "script-src 'self'" in page.headers["content-security-policy"]
                for secret in ("/characters/sela-marrow/character.yaml", "/characters/", "/js/../characters/x"):
                    assert (await client.get(secret)).status_code == 404

    asyncio.run(main())


def test_a_session_and_its_responses_become_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    trace = tracing.SessionTrace("sess_1", "ada")
    trace.follow(ResponseCreated(response=Response(id="r1", status="in_progress")))
    trace.follow(NpcMetrics(character="ada", response_id="r1", stages_ms={"first_audio": 120.0}))
    trace.follow(ResponseDone(response=Response(id="r1", status="failed")))
    trace.follow(ResponseCreated(response=Response(id="r2", status="in_progress")))
    trace.end("client left")
    spans = {span.name + str(span.attributes.get("npc.response", "")): span for span in exporter.get_finished_spans()}
    assert set(spans) == {"npc.session", "npc.responser1", "npc.responser2"}
    failed = spans["npc.responser1"]
    assert failed.attributes["npc.stage_ms.first_audio"] == 120.0
    assert not failed.status.is_ok
    assert failed.parent.span_id == spans["npc.session"].context.span_id
    assert spans["npc.session"].attributes["npc.end"] == "client left"


def test_sessions_that_do_not_close_hold_a_stop_up_for_no_longer_than_they_were_given() -> None:
    """Each call of the drain waited anew: twice `drain_s` for uvicorn, twice more in the lifespan."""

    class Stuck(ScriptedConversation):
        async def close(self, reason: str) -> None:
            await asyncio.Event().wait()

    class StuckService(ScriptedService):
        def open(self, opening: Opening, outbox: Outbox) -> Stuck:
            return Stuck(opening, outbox, frames=1, frame_s=0.0)

    async def main() -> None:
        hub = Hub(StuckService(), Bounds(drain_s=0.3), Metrics())
        live = hub.open("ada", Identity(), opted_in=False)
        hub.start(live)
        began = asyncio.get_running_loop().time()
        await hub.drain()
        await hub.drain()
        assert asyncio.get_running_loop().time() - began < 0.9
        live.task.cancel()
        await asyncio.wait([live.task])

    asyncio.run(main())
