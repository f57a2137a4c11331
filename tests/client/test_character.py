"""The Python core of the engine clients: the conformance vectors, and what no vector says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from npc.client import CharacterClient
from npc.client.track import BlendshapeTrack
from npc.protocol.frames import BlendshapeFrame
from tests.client.conformance_runner import play

VECTORS = Path(__file__).resolve().parents[2] / "engine_plugins" / "conformance" / "vectors"


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_the_vectors(path: Path) -> None:
    assert play(path) == []


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "7",
        '{"type": "npc.cues"}',
        '{"type": "npc.output", "response_id": 1}',
        '{"type": "response.created", "response": null}',
        '{"type": "session.created", "session": []}',
        '{"type": "npc.cues", "clock": "input", "cues": [{"kind": "head"}]}',
    ],
)
def test_a_message_that_cannot_be_read_is_said_once_and_dropped(text: str) -> None:
    client = CharacterClient("ws://host/v1/realtime?model=a")
    client.receive_text(text)
    assert len(client.problems) == 1
    client.step(0.0)
    assert client.due == []


def test_what_was_typed_before_the_first_session_follows_its_update_and_is_counted() -> None:
    client = CharacterClient("ws://host/v1/realtime?model=a")
    client.closed(1006, 0.0)  # the server was not up yet
    client.say("hello")
    client.send_audio(np.zeros(480, np.int16))
    client.opened()
    sent = [json.loads(message) for message in client.outgoing]
    assert [message["type"] for message in sent] == ["session.update", "conversation.item.create", "response.create"]
    client.receive_text(json.dumps({"type": "session.created", "session": {"npc": {"resume": {"token": "t"}}}}))
    client.closed(1006, 0.0)
    client.opened()
    client.receive_text(json.dumps({"type": "npc.resumed", "token": "u", "received": 2}))
    assert [json.loads(message)["type"] for message in client.outgoing] == ["response.create"]


def test_a_track_is_the_same_in_whatever_order_its_blocks_come() -> None:
    rng = np.random.default_rng(1)
    blocks = [BlendshapeFrame(0, 1, k * 2400, 400, rng.integers(0, 256, (6, 4), np.uint8)) for k in range(8)]
    straight, mixed = BlendshapeTrack(4), BlendshapeTrack(4)
    for block in blocks:
        straight.add(block)
    for k in rng.permutation(16):
        mixed.add(blocks[k % 8])
    for sample in rng.uniform(0, 24_000, 200):
        assert np.array_equal(straight.sample(sample, 24_000), mixed.sample(sample, 24_000))
