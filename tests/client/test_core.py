"""The client core: one shape for both transports, holes refused, flushed responses dropped, resume state exact."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.client import ClientCore, FaceFrames, OutputAudio
from npc.client.core import OutOfOrder
from npc.protocol import (
    AudioPlace,
    MessageItem,
    NpcBlendshapes,
    NpcOutput,
    NpcResponse,
    NpcResumed,
    NpcResync,
    NpcSession,
    ProtocolError,
    Response,
    ResponseAudioDelta,
    ResponseCreated,
    ResponseDone,
    ResponseOutputItemAdded,
    Resume,
    Session,
    SessionCreated,
    dump,
)
from npc.protocol.frames import Kind, encode_audio, encode_blendshapes

PCM = np.arange(100).astype(np.int16)


class _Server:
    """Numbers what it sends, as the carrier does."""

    def __init__(self) -> None:
        self.core = ClientCore()
        self.seq = 0

    def send(self, event: Any) -> list[Any]:
        if isinstance(event, bytes):
            self.seq += 1
            return self.core.feed(event)
        self.seq += 1
        return self.core.feed(dump(event.model_copy(update={"npc_seq": self.seq})))

    def begin(self) -> None:
        resume = Resume(token="t1", window_s=30.0)
        self.send(SessionCreated(session=Session(id="s", model="ada", npc=NpcSession(resume=resume))))
        self.send(ResponseCreated(response=Response(id="r", status="in_progress", npc=NpcResponse(ordinal=1))))
        item = MessageItem(id="i", role="assistant", content=[])
        self.send(ResponseOutputItemAdded(response_id="r", item=item))


def _delta(start: int | None = None, last: bool = False) -> ResponseAudioDelta:
    place = AudioPlace(start=start, last=last) if start is not None else None
    delta = base64.b64encode(PCM.astype("<i2").tobytes()).decode()
    return ResponseAudioDelta(response_id="r", item_id="i", delta=delta, npc=place)


def _same(one: OutputAudio, other: OutputAudio) -> None:
    np.testing.assert_array_equal(one.pcm, other.pcm)
    fields = ("response_id", "item_id", "start", "track", "last")
    assert all(getattr(one, name) == getattr(other, name) for name in fields)


def test_base64_and_binary_become_the_same() -> None:
    text, binary = _Server(), _Server()
    text.begin()
    binary.begin()
    (a,) = text.send(_delta(100, last=True))
    (b,) = binary.send(encode_audio(Kind.OUTPUT_AUDIO, PCM, 100, ordinal=1, last=True))
    _same(a, b)
    weights = np.arange(104, dtype=np.uint8).reshape(2, 52)
    (c,) = text.send(
        NpcBlendshapes(
            character="ada", response_id="r", item_id="i", start=0, samples_per_frame=400, frames=weights.tolist()
        )
    )
    (d,) = binary.send(encode_blendshapes(weights, 0, 400, ordinal=1))
    assert isinstance(c, FaceFrames)
    assert isinstance(d, FaceFrames)
    np.testing.assert_array_equal(c.frames, d.frames)
    assert (c.response_id, c.item_id, c.start) == (d.response_id, d.item_id, d.start)


def test_a_stock_server_s_audio_is_counted() -> None:
    server = _Server()
    server.begin()
    starts = [server.send(_delta())[0].start for _ in range(3)]
    assert starts == [0, 100, 200]


@pytest.mark.parametrize("by", ["npc.output", "response.done"])
def test_frames_of_a_flushed_response_are_dropped(by: str) -> None:
    server = _Server()
    server.begin()
    if by == "npc.output":
        server.send(NpcOutput(character="ada", response_id="r", item_id="i", action="flush", at_sample=0))
    else:
        server.send(ResponseDone(response=Response(id="r", status="cancelled")))
    assert server.send(_delta(0)) == []
    assert server.send(encode_audio(Kind.OUTPUT_AUDIO, PCM, 0, ordinal=1)) == []
    assert server.send(encode_blendshapes(np.zeros((1, 52), np.uint8), 0, 400, ordinal=1)) == []


def test_a_hole_in_the_numbering_is_refused() -> None:
    server = _Server()
    server.begin()
    server.seq += 1
    with pytest.raises(OutOfOrder):
        server.send(_delta(0))


def test_a_resync_moves_the_numbering_on() -> None:
    server = _Server()
    server.begin()
    server.seq = 40
    resync = NpcResync(character="ada", first_lost=4, last_lost=40, snapshot={})
    assert server.send(resync)[0].type == "npc.resync"
    server.send(_delta(0))
    assert server.core.last_seq == 42


def test_tokens_are_taken_as_they_come() -> None:
    server = _Server()
    server.begin()
    assert server.core.token == "t1"
    resumed = NpcResumed(token="t2", window_s=5.0, complete=True, received=0, input_samples=0)
    server.core.feed(dump(resumed))
    assert (server.core.token, server.core.window_s, server.core.last_seq) == ("t2", 5.0, server.seq)


@given(st.integers(0, 900), st.integers(0, 900))
def test_what_the_server_does_not_have_is_sent_again(sent: int, received: int) -> None:
    core = ClientCore()
    for n in range(sent):
        core.sending(f"m{n}")
    received = min(received, sent)
    missing = core.missing(received)
    expected = [f"m{n}" for n in range(received, sent)]
    assert missing == expected[-600:]


def test_rubbish_from_a_server_is_a_protocol_error() -> None:
    core = ClientCore()
    for message in ("{", '{"type":"no.such"}', '{"type":"session.created"}'):
        with pytest.raises(ProtocolError):
            core.feed(message)
