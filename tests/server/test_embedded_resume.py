"""The real embedded session over a line that keeps breaking: the reply is heard whole, at its exact samples."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from npc.client import OutputAudio, RealtimeClient
from npc.config.settings import load_settings
from npc.protocol import (
    ContentPart,
    ConversationItemCreate,
    MessageItem,
    NpcCues,
    ResponseCreate,
    ResponseDone,
    ResponseTranscriptDone,
)
from npc.server.assembly import build
from npc.tts.fetch_flite import locate
from tests.server.cutting import cutting
from tests.server.running import running

pytestmark = pytest.mark.slow


async def _answer(client: RealtimeClient, text: str) -> tuple[int, str, int]:
    """Ask by text: samples of the answer, its words, and the last word cue."""
    item = MessageItem(role="user", content=[ContentPart(type="input_text", text=text)])
    await client.send(ConversationItemCreate(item=item))
    await client.send(ResponseCreate())
    at, words, last_cue = 0, "", 0
    async for incoming in client:
        if isinstance(incoming, OutputAudio):
            assert incoming.start == at
            at += incoming.pcm.size
        elif isinstance(incoming, NpcCues) and incoming.clock == "output":
            last_cue = max([last_cue, *(cue.at for cue in incoming.cues if cue.kind == "word")])
        elif isinstance(incoming, ResponseTranscriptDone):
            words = incoming.transcript
        elif isinstance(incoming, ResponseDone) and at:
            assert incoming.response.status == "completed"
            return at, words, last_cue
    raise AssertionError("the session ended before the answer did")


def test_a_spoken_answer_survives_dropped_sockets(tmp_path: Path) -> None:
    if locate() is None:
        pytest.skip("no Flite library: run `npc doctor --fix`")

    async def main() -> None:
        rng = random.Random(4)
        overrides = {"store.folder": str(tmp_path), "tts.greets": False}
        service = build(load_settings(profile="embedded", overrides=overrides))
        async with running(service) as server:
            await asyncio.wrap_future(service._minds["sela-marrow"])
            sizes = [8000, *(rng.randrange(2000, 40_000) for _ in range(12))]
            async with (
                cutting(server.port, iter(sizes)) as proxy,
                RealtimeClient.connect(f"ws://127.0.0.1:{proxy.port}", character="sela-marrow") as client,
            ):
                for text in ("What do you sell?", "Who are you, and what is this place?"):
                    samples, words, last_cue = await asyncio.wait_for(_answer(client, text), 60)
                    assert words
                    assert samples > 12_000
                    assert last_cue < samples
                assert proxy.kills >= 5
                assert client.resumes >= 5
            assert server.app.hub.metrics.resumed_resync == 0

    asyncio.run(main())
