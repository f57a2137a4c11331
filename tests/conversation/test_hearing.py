"""Sound that comes otherwise than as it is spoken: a recording at once, a client that was silent while we spoke."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from npc.audio.vad import FRAME
from npc.bench.scripted import VOICE, FixedWait, LevelVad, ScriptedMind, ScriptedRecognizer
from npc.bench.virtual_time import virtual_loop
from npc.conversation.ear import Ear, NoOwnVoice
from npc.conversation.hearing import MAX_AHEAD_S, MAX_PENDING_S
from npc.conversation.talkover import Frame, Presence
from tests.conversation.talk import RATE, clauses, engines, event, talking


def recording(*parts: tuple[float, bool]) -> np.ndarray:
    """(seconds, loud) one after the other."""
    return np.concatenate([np.full(round(seconds * RATE), VOICE * 4 * loud, np.int16) for seconds, loud in parts])


def run(scenario: Any) -> Any:
    with virtual_loop() as loop:
        return loop.run_until_complete(scenario)


@pytest.mark.parametrize("piece_s", [16.0, 0.02], ids=["in one message", "in 20 ms messages at once"])
def test_a_recording_that_is_sent_at_once_is_heard_whole(piece_s: float) -> None:
    """What went beyond two seconds was dropped, the whole message when it came as one."""
    recognizer = ScriptedRecognizer({16_000: "one second", 15 * 16_000: "fifteen seconds"})
    mind = ScriptedMind(lambda text: clauses("Aye."))

    async def scenario() -> None:
        async with talking(engines(mind, recognizer=recognizer)) as (session, outbox):
            session.receive(event("session.update", session={"audio": {"input": {"turn_detection": None}}}))
            sound = recording((16.0, True))
            piece = round(piece_s * RATE)
            for begin in range(0, sound.size, piece):
                session.hear(sound[begin : begin + piece])
            session.receive(event("input_audio_buffer.commit"))
            session.receive(event("response.create"))
            await asyncio.sleep(3.0)
            assert not outbox.of("npc.status")
            assert mind.asked[-1].text == "fifteen seconds"

    run(scenario())


def test_the_turns_of_a_recording_stay_apart() -> None:
    mind = ScriptedMind(lambda text: clauses("Aye."))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            session.hear(recording((0.6, True), (1.5, False), (0.6, True), (1.5, False)))
            await asyncio.sleep(4.0)
            starts = [one.audio_start_ms for one in outbox.of("input_audio_buffer.speech_started")]
            ends = [one.audio_end_ms for one in outbox.of("input_audio_buffer.speech_stopped")]
            assert np.allclose(starts, [0, 2100], atol=64)
            assert np.allclose(ends, [600, 2700], atol=64)
            said = outbox.of("conversation.item.input_audio_transcription.completed")
            assert [one.transcript for one in said] == ["hello there", "hello there"]

    run(scenario())


def test_more_than_a_recording_is_dropped_from_its_beginning_and_told() -> None:
    async def scenario() -> None:
        async with talking(engines(ScriptedMind(lambda text: clauses("Aye.")))) as (session, outbox):
            session.hear(recording((60.0, False)))
            await asyncio.sleep(1.0)
            assert session.hearing.heard / 16_000 == pytest.approx(MAX_PENDING_S + MAX_AHEAD_S, abs=0.2)
            assert "the oldest was dropped" in outbox.of("npc.status")[0].message

    run(scenario())


def test_what_we_said_while_the_microphone_was_off_is_over_when_it_is_on() -> None:
    """Ten seconds of a reply, told with the first sound of a client that had been muted, counted as sounding on."""
    heard: list[bool] = []

    class Sense:
        def step(self, frame: Frame, sounding: bool) -> Presence | None:
            heard.append(sounding)
            return None

    ear = Ear(16_000, LevelVad().open(), FixedWait(), NoOwnVoice(), talkover=Sense())
    ear.sent(np.ones(10 * 16_000, np.int16))
    ear.sense(np.zeros(10 * FRAME, np.int16))
    assert heard == [True] + [False] * 9
    ear.sent(np.ones(4 * FRAME, np.int16))
    ear.sense(np.zeros(6 * FRAME, np.int16))
    assert heard[10:] == [True] * 4 + [False] * 2
