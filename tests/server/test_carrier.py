"""The carrier against a naive reference: sent, lost, replayed, flushed, everything arrives once and in order."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npc.client import ClientCore, OutputAudio
from npc.conversation.port import AudioOut, BlendshapesOut
from npc.protocol import (
    Cue,
    MessageItem,
    NpcCues,
    NpcOutput,
    NpcResponse,
    NpcSession,
    NpcTurn,
    Response,
    ResponseCreated,
    ResponseDone,
    ResponseOutputItemAdded,
    ResponseTranscriptDelta,
    Resume,
    Session,
    SessionCreated,
    SpeechStarted,
    Transport,
)
from npc.protocol.frames import BlendshapeFrame, decode
from npc.server.carrier import Carrier
from npc.server.settings import Bounds


def _carrier(*, opted_in: bool = True, **bounds: int) -> Carrier:
    carrier = Carrier("sess_x", Bounds(**bounds), opted_in=opted_in, wake=lambda: None)
    carrier.resume = Resume(token="t", window_s=1.0)
    return carrier


def _begin(carrier: Carrier, transport: Transport | None = None) -> None:
    npc = NpcSession(transport=transport or Transport())
    carrier.send(SessionCreated(session=Session(id="sess_x", model="ada", npc=npc)))
    carrier.send(ResponseCreated(response=Response(id="r", status="in_progress", npc=NpcResponse(ordinal=1))))
    carrier.send(ResponseOutputItemAdded(response_id="r", item=MessageItem(id="i", role="assistant", content=[])))


def _audio(start: int, size: int, response: str = "r") -> AudioOut:
    return AudioOut(response, "i", 1, 0, start, np.arange(start, start + size).astype(np.int16))


def _word(n: int) -> ResponseTranscriptDelta:
    return ResponseTranscriptDelta(response_id="r", item_id="i", delta=str(n))


def _all(carrier: Carrier) -> list[Any]:
    messages = []
    while (message := carrier.take()) is not None:
        messages.append(message)
    return messages


_OPS = st.lists(
    st.one_of(
        st.tuples(st.just("audio"), st.integers(1, 500)),
        st.tuples(st.just("word"), st.just(0)),
        st.tuples(st.just("take"), st.integers(1, 8)),
        st.tuples(st.just("break"), st.integers(0, 5)),
    ),
    max_size=60,
)


@settings(max_examples=150)
@given(_OPS, st.booleans())
def test_every_message_once_in_order_over_a_line_that_breaks(ops: list[tuple[str, int]], binary: bool) -> None:
    carrier, core = _carrier(), ClientCore()
    _begin(carrier, Transport(audio="binary" if binary else "base64"))
    sent: list[Any] = []
    got: list[Any] = []
    at = words = 0

    def deliver(message: Any) -> None:
        for incoming in core.feed(message):
            if isinstance(incoming, OutputAudio):
                got.append((incoming.start, incoming.pcm.tolist()))
            elif isinstance(incoming, ResponseTranscriptDelta):
                got.append(incoming.delta)

    for op, n in ops:
        if op == "audio":
            carrier.send(_audio(at, n))
            sent.append((at, np.arange(at, at + n).astype(np.int16).tolist()))
            at += n
        elif op == "word":
            carrier.send(_word(words))
            sent.append(str(words))
            words += 1
        elif op == "take":
            for _ in range(n):
                if (message := carrier.take()) is not None:
                    deliver(message)
        else:
            for _ in range(n):
                carrier.take()  # Taken by a socket that died: the client never saw it.
            assert carrier.rewind(core.last_seq, dict, "ada"), "nothing is lost within the bounds"
    for message in _all(carrier):
        deliver(message)
    assert got == sent


@settings(max_examples=100)
@given(st.lists(st.integers(1, 900), min_size=5, max_size=60), st.data())
def test_past_its_bounds_the_carrier_says_what_was_lost(sizes: list[int], data: st.DataObject) -> None:
    carrier = _carrier(replay_ms=50)
    _begin(carrier)
    for n, size in enumerate(sizes):
        carrier.send(_audio(sum(sizes[:n]), size))
    last = len(_all(carrier))
    after = data.draw(st.integers(0, last))
    complete = carrier.rewind(after, lambda: {"state": "speaking"}, "ada")
    replayed = [json.loads(message) for message in _all(carrier)]
    if complete:
        assert [event["npc_seq"] for event in replayed] == list(range(after + 1, last + 1))
    else:
        (resync,) = replayed
        assert resync["type"] == "npc.resync"
        assert (resync["first_lost"], resync["last_lost"], resync["npc_seq"]) == (after + 1, last, last + 1)
        kept = sum(size for size in sizes[after - last :])
        assert kept > 50 * 24, "it was lost because it did not fit"


def test_a_flush_overtakes_the_audio_that_waits() -> None:
    carrier = _carrier()
    _begin(carrier)
    _all(carrier)
    carrier.send(_audio(0, 480))
    carrier.send(_word(1))
    carrier.send(
        NpcCues(character="ada", clock="output", response_id="r", item_id="i", cues=[Cue(kind="word", name="a", at=0)])
    )
    carrier.send(_audio(480, 480))
    carrier.send(_audio(0, 480, response="other"))
    carrier.send(NpcOutput(character="ada", response_id="r", item_id="i", action="flush", at_sample=0))
    carrier.send(_audio(960, 480))
    carrier.send(ResponseDone(response=Response(id="r", status="cancelled")))
    events = [json.loads(message) for message in _all(carrier)]
    assert [event["type"] for event in events] == [
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "npc.output",
        "response.done",
    ]
    assert events[1]["response_id"] == "other"
    assert [event["npc_seq"] for event in events] == [4, 5, 6, 7], "and leaves no hole"


def test_for_a_stock_client_cancelling_does_the_same() -> None:
    carrier = _carrier(opted_in=False)
    _begin(carrier)
    _all(carrier)
    carrier.send(_audio(0, 480))
    carrier.send(SpeechStarted(audio_start_ms=1, item_id="u"))
    carrier.send(NpcOutput(character="ada", response_id="r", item_id="i", action="flush", at_sample=0))
    carrier.send(ResponseDone(response=Response(id="r", status="cancelled")))
    kinds = [json.loads(message)["type"] for message in _all(carrier)]
    assert kinds == ["input_audio_buffer.speech_started", "response.done"]


def test_before_opting_in_nothing_of_the_extension_passes() -> None:
    carrier = _carrier(opted_in=False)
    _begin(carrier, Transport(audio="binary", animation="binary"))
    carrier.send(NpcTurn(character="ada", state="listening", at_sample=0))
    carrier.send(_audio(0, 480))
    carrier.send(BlendshapesOut("r", "i", 1, 0, 0, 400, np.zeros((1, 52), np.uint8)))
    messages = _all(carrier)
    assert all(isinstance(message, str) for message in messages)
    assert not any('"npc"' in message or '"npc.' in message for message in messages)
    assert carrier.rewind(carrier.seq, dict, "ada"), "nothing was kept, nothing is missing"


def test_blendshapes_travel_as_negotiated() -> None:
    weights = (np.arange(104) % 256).astype(np.uint8).reshape(2, 52)
    block = BlendshapesOut("r", "i", 1, 0, 800, 400, weights)
    text, binary = _carrier(), _carrier()
    _begin(text)
    _begin(binary, Transport(animation="binary"))
    for carrier in (text, binary):
        _all(carrier)
        carrier.send(block)
    event = json.loads(_all(text)[0])
    assert (event["type"], event["character"], event["start"]) == ("npc.blendshapes", "ada", 800)
    np.testing.assert_array_equal(event["frames"], weights)
    frame = decode(_all(binary)[0])
    assert isinstance(frame, BlendshapeFrame)
    assert (frame.start, frame.samples_per_frame, frame.ordinal) == (800, 400, 1)
    np.testing.assert_array_equal(frame.weights, weights)


def test_what_waits_is_bounded_while_connected_and_while_not() -> None:
    carrier = _carrier(queue_ms=100)
    _begin(carrier)
    _all(carrier)
    for n in range(6):
        carrier.send(_audio(n * 480, 480))
    assert carrier.overrun
    carrier.connected = False
    for n in range(6, 30):
        carrier.send(_audio(n * 480, 480))
    assert not carrier.rewind(3, lambda: {"next": 1}, "ada")
    messages = [json.loads(message) for message in _all(carrier)]
    assert messages[0]["type"] == "npc.resync"
    numbers = [message["npc_seq"] for message in messages]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert not carrier.overrun


def test_an_idle_carrier_holds_nothing_heavy() -> None:
    carrier = _carrier(replay_ms=100, replay_bytes=10_000)
    _begin(carrier)
    for n in range(500):
        carrier.send(_audio(n * 480, 480))
        carrier.take()
    assert sum(len(message) for _, message, _ in carrier._sent) <= 10_000


def test_a_number_that_was_never_sent_is_refused() -> None:
    carrier = _carrier()
    _begin(carrier)
    _all(carrier)
    for after in (-1, 4):
        with pytest.raises(ValueError, match="never sent"):
            carrier.rewind(after, dict, "ada")


def test_the_head_of_an_audio_event_is_the_typed_event() -> None:
    """The hot path writes its JSON by hand; it must be what the typed event would be."""
    from npc.protocol import ResponseAudioDelta, dump, parse_server

    carrier = _carrier()
    _begin(carrier)
    _all(carrier)
    carrier.send(AudioOut('r"1', "ï", 1, 2, 7, np.array([1, -1], np.int16), True, 3, 4))
    event = parse_server(_all(carrier)[0])
    assert isinstance(event, ResponseAudioDelta)
    assert (event.response_id, event.item_id, event.output_index, event.content_index) == ('r"1', "ï", 3, 4)
    assert event.npc is not None
    assert (event.npc.start, event.npc.track, event.npc.last) == (7, 2, True)
    assert parse_server(dump(event)) == event


def test_a_client_that_resumes_gets_time_to_take_what_waits() -> None:
    """Cut off for not reading, it came back, and was cut off again with the next item: more waited than the bound."""
    carrier = _carrier(queue_ms=1000)
    _begin(carrier)
    while carrier.take() is not None:
        pass
    for k in range(30):
        carrier.send(_audio(k * 960, 960))
    assert carrier.overrun
    carrier.connected = False
    assert carrier.rewind(carrier.seq, dict, "ada")
    carrier.connected = True
    for k in range(30, 40):
        carrier.send(_audio(k * 960, 960))
        assert not carrier.overrun
        carrier.take()
    for k in range(40, 62):
        carrier.send(_audio(k * 960, 960))
    assert carrier.overrun, "who still does not read is cut off at twice the bound"
    carrier.rewind(carrier.seq, dict, "ada")
    while carrier.take() is not None:
        pass
    for k in range(62, 92):
        carrier.send(_audio(k * 960, 960))
    assert carrier.overrun, "who has caught up has the bound of everybody"
