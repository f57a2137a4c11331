"""Events survive the wire, mistakes are named where they were made, and session changes merge as documented."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.animation.interface import OCULUS15 as ANIMATION_VISEMES
from npc.protocol import (
    A2F,
    ARKIT52,
    CLIENT_EVENTS,
    EMOTIONS,
    OCULUS15,
    PLUTCHIK,
    SERVER_EVENTS,
    VRM,
    ContentPart,
    ConversationItemCreate,
    ErrorEvent,
    InputAudioBufferCommitted,
    MessageItem,
    NpcCues,
    ProtocolError,
    ResponseTranscriptDelta,
    Session,
    SessionCreated,
    SessionUpdate,
    apply_update,
    dump,
    parse_client,
    parse_server,
)

SAMPLES: list[dict[str, Any]] = [
    {"type": "session.update", "session": {"npc": {"player": {"id": "p1", "name": "Ann"}, "cues": {"fps": 30}}}},
    {"type": "session.update", "session": {"audio": {"input": {"turn_detection": None}}}},
    {"type": "input_audio_buffer.append", "audio": "AAA="},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {
        "type": "conversation.item.create",
        "event_id": "e1",
        "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
    },
    {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c1", "output": "{}"}},
    {"type": "conversation.item.retrieve", "item_id": "i1"},
    {"type": "conversation.item.truncate", "item_id": "i1", "content_index": 0, "audio_end_ms": 1200},
    {"type": "conversation.item.delete", "item_id": "i1"},
    {"type": "response.create", "response": {"output_modalities": ["text"]}},
    {"type": "response.cancel"},
    {"type": "npc.scene.update", "scene": {"entities": [{"id": "lamp", "position": [1.0, 0.0, 2.0]}], "time": "dusk"}},
    {"type": "npc.event", "text": "the player drew a sword", "salience": 0.9, "react": True},
    {"type": "npc.playback", "response_id": "r", "item_id": "i", "played_samples": 4800, "state": "playing"},
    {"type": "npc.save", "slot": "one"},
    {"type": "npc.load", "slot": "one", "fork": "two"},
    {"type": "npc.instructor", "action": "whisper", "text": "slower"},
    {"type": "npc.room", "action": "join", "member": "bob", "kind": "character"},
]


@pytest.mark.parametrize("sample", SAMPLES, ids=[s["type"] for s in SAMPLES])
def test_client_events_say_again_exactly_what_was_said(sample: dict[str, Any]) -> None:
    assert json.loads(dump(parse_client(sample))) == sample


def test_every_client_event_has_a_sample() -> None:
    assert {sample["type"] for sample in SAMPLES} == set(CLIENT_EVENTS)


@given(st.sampled_from(sorted(SERVER_EVENTS)), st.data())
def test_server_events_round_trip(kind: str, data: st.DataObject) -> None:
    from tests.protocol.strategies import server_event

    event = data.draw(server_event(SERVER_EVENTS[kind]))
    text = dump(event)
    again = parse_server(text)
    assert again == event
    assert dump(again) == text


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("{", "invalid_json", None),
        ("[]", "invalid_type", None),
        ('{"a": NaN}', "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ({}, "missing_required_parameter", "type"),
        ({"type": 3}, "invalid_type", "type"),
        ({"type": "no.such"}, "unknown_event_type", "type"),
        ({"type": "conversation.item.create"}, "missing_required_parameter", "item"),
        ({"type": "conversation.item.create", "item": {}}, "missing_required_parameter", "item.type"),
        ({"type": "conversation.item.create", "item": {"type": "x"}}, "invalid_value", "item.type"),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": 3}]},
            },
            "invalid_type",
            "item.content[0].text",
        ),
        (
            {
                "type": "session.update",
                "session": {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 8000}}}},
            },
            "invalid_value",
            "session.audio.output.format.rate",
        ),
        (
            {"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}},
            "invalid_value",
            "session.audio.input.format.type",
        ),
        (
            {
                "type": "session.update",
                "session": {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 7}}}},
            },
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
        ({"type": "session.update", "session": {"npc": {"transport": {"lead_ms": 9}}}}, "invalid_value", None),
        ({"type": "session.update", "session": {"tools": [{"name": "bad name"}]}}, "invalid_value", None),
        (
            {"type": "npc.playback", "response_id": "r", "item_id": "i", "played_samples": -1, "state": "playing"},
            "invalid_value",
            "played_samples",
        ),
        ({"type": "npc.event"}, "invalid_value", None),
    ],
)
def test_mistakes_are_named(message: Any, code: str, param: str | None) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_client(message)
    assert caught.value.code == code
    if param is not None:
        assert caught.value.param == param
    assert caught.value.to_event().error.message


def test_an_error_carries_the_event_it_answers() -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_client({"type": "conversation.item.delete", "event_id": "mine"})
    error = caught.value.to_event().error
    assert (error.event_id, error.param, error.code) == ("mine", "item_id", "missing_required_parameter")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        max_leaves=8,
    ),
    st.sampled_from(SAMPLES),
    st.randoms(),
)
def test_damage_anywhere_is_a_protocol_error_or_a_valid_event(junk: Any, sample: dict[str, Any], rng: Any) -> None:
    damaged = json.loads(json.dumps(sample))
    spots: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            spots.append((node, key))
            collect(node[key])

    collect(damaged)
    node, key = rng.choice(spots)
    node[key] = junk
    with contextlib.suppress(ProtocolError):
        parse_client(damaged)


def test_stock_sdks_may_send_nulls_and_fields_of_other_products() -> None:
    event = parse_client(
        {
            "type": "session.update",
            "session": {
                "type": "realtime",
                "model": "gpt-realtime",
                "tracing": "auto",
                "prompt": {"id": "x"},
                "instructions": None,
                "include": ["item.input_audio_transcription.logprobs"],
                "max_output_tokens": "inf",
                "tool_choice": "auto",
                "audio": {
                    "input": {"transcription": {"model": "gpt-4o-mini-transcribe"}, "noise_reduction": None},
                    "output": {"voice": "marin", "speed": 1.0},
                },
            },
        }
    )
    assert isinstance(event, SessionUpdate)
    before = Session(id="s", model="ada")
    after = apply_update(before, event.session, voices=["slt"])
    assert after.model == "ada"
    assert after.audio.output.voice == before.audio.output.voice
    assert after.tracing is None
    assert after.audio.input.transcription is not None
    assert after.audio.input.transcription.model is None


def _update(session: Session, **fields: Any) -> Session:
    event = parse_client({"type": "session.update", "session": fields})
    assert isinstance(event, SessionUpdate)
    return apply_update(session, event.session, voices=["slt", "rms"])


def test_session_changes_merge() -> None:
    session = _update(Session(id="s", model="ada"), audio={"input": {"turn_detection": {"type": "server_vad"}}})
    session = _update(session, audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 700}}})
    session = _update(session, audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.7}}})
    detection = session.audio.input.turn_detection
    assert detection is not None
    assert detection.type == "server_vad"
    assert (detection.silence_duration_ms, detection.threshold) == (700, 0.7)
    session = _update(session, audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    assert session.audio.input.turn_detection.type == "semantic_vad"  # type: ignore[union-attr]
    session = _update(session, audio={"input": {"turn_detection": None}})
    assert session.audio.input.turn_detection is None
    session = _update(session, audio={"output": {"voice": {"id": "rms"}}})
    assert session.audio.output.voice == "rms"
    assert session.audio.input.turn_detection is None, "what was not given stays"
    assert session.npc is None
    session = _update(session, npc={})
    session = _update(session, npc={"cues": {"fps": 30}, "player": {"name": "Ann"}})
    session = _update(session, npc={"player": {"id": "p"}})
    assert session.npc is not None
    assert (session.npc.cues.fps, session.npc.player.name, session.npc.player.id) == (30, "Ann", "p")


def test_tools_are_replaced_whole() -> None:
    tool = {"type": "function", "name": "give", "parameters": {"type": "object", "properties": {"a": {}}}}
    session = _update(Session(id="s", model="ada"), tools=[tool])
    session = _update(session, tools=[{**tool, "parameters": {"type": "object"}}])
    assert session.tools[0].parameters == {"type": "object"}


def test_a_session_is_always_sent_whole() -> None:
    text = json.loads(dump(SessionCreated(session=Session(id="s", model="ada"))))["session"]
    assert text["audio"]["input"]["turn_detection"]["interrupt_response"] is True
    assert text["tracing"] is None
    assert "npc" not in text


def test_nulls_only_where_they_mean_something() -> None:
    assert json.loads(dump(InputAudioBufferCommitted(item_id="i")))["previous_item_id"] is None
    assert "event_id" not in json.loads(dump(ResponseTranscriptDelta(response_id="r", item_id="i", delta="x")))
    error = json.loads(dump(ErrorEvent.of("no", code="c")))["error"]
    assert error == {"type": "invalid_request_error", "code": "c", "message": "no", "param": None, "event_id": None}


def test_text_of_a_message() -> None:
    item = MessageItem(
        role="user", content=[ContentPart(type="input_text", text="a"), ContentPart(type="input_audio", transcript="b")]
    )
    assert item.text() == "a b"
    assert json.loads(dump(ConversationItemCreate(item=item)))["item"]["type"] == "message"


def test_names() -> None:
    assert len(ARKIT52) == len(set(ARKIT52)) == 52
    assert (ARKIT52[0], ARKIT52[17], ARKIT52[18], ARKIT52[51]) == ("eyeBlinkLeft", "jawOpen", "mouthClose", "tongueOut")
    assert OCULUS15 == ANIMATION_VISEMES
    plutchik = {"joy", "trust", "fear", "surprise", "sadness", "disgust", "anger", "anticipation"}
    vrm = {"happy", "angry", "sad", "relaxed", "surprised", "neutral"}
    a2f = {"amazement", "anger", "cheekiness", "disgust", "fear", "grief", "joy", "outofbreath", "pain", "sadness"}
    for table, names in ((PLUTCHIK, plutchik), (VRM, vrm), (A2F, a2f)):
        assert set(table) == set(EMOTIONS)
        for mapping in table.values():
            assert set(mapping) <= names
            assert all(0.0 < weight <= 1.0 for weight in mapping.values())


def test_every_npc_event_names_its_character() -> None:
    for kind, event in SERVER_EVENTS.items():
        if kind.startswith("npc.") and kind != "npc.resumed":
            assert event.model_fields["character"].is_required(), kind
    assert NpcCues.model_fields["clock"].is_required()
