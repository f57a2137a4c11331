"""The ear: onsets and pauses dated to where they were, and turns that follow each other within a frame."""

from __future__ import annotations

import numpy as np
import pytest

from npc.bench.scripted import VOICE, FixedWait, LevelVad
from npc.conversation.ear import Ear, EarEvent, NoOwnVoice
from npc.conversation.turn_events import Heard, Judged, VoiceStarted, VoiceStopped

FRAME = 512


def ear(rate: int = 16_000) -> Ear:
    return Ear(rate, LevelVad().open(), FixedWait(3840), NoOwnVoice())


def sound(frames: int, loud: bool) -> np.ndarray:
    return np.full(frames * FRAME, VOICE * 4 if loud else 0, np.int16)


def without_ticks(events: tuple[EarEvent, ...]) -> list[EarEvent]:
    return [event for event in events if not isinstance(event, Heard)]


def test_events_are_dated_to_the_sound() -> None:
    made = ear()
    sensed = made.sense(np.concatenate([sound(10, False), sound(20, True), sound(10, False)]))
    started, stopped, judged = without_ticks(sensed.events)
    assert started == VoiceStarted(10 * FRAME, 11 * FRAME)
    assert stopped == VoiceStopped(30 * FRAME, 32 * FRAME)
    assert judged == Judged(3840, 0.9)


@pytest.mark.parametrize("piece", [1, 160, 511, 512, 777, 5000])
def test_how_the_sound_is_cut_changes_nothing(piece: int) -> None:
    whole = np.concatenate([sound(5, False), sound(12, True), sound(9, False), sound(4, True), sound(8, False)])
    expected = ear().sense(whole).events
    made, events = ear(), []
    for begin in range(0, whole.size, piece):
        events += made.sense(whole[begin : begin + piece]).events
    assert tuple(events) == expected


def test_a_turn_that_begins_before_the_last_one_was_closed_is_judged() -> None:
    """The player went on in the frame that ended the turn: `new_turn` came late and unmade the new turn."""
    made = ear()
    made.sense(np.concatenate([sound(20, True), sound(8, False), sound(5, True)]))
    made.new_turn()
    events = without_ticks(made.sense(np.concatenate([sound(5, True), sound(8, False)])).events)
    assert [type(event) for event in events] == [VoiceStopped, Judged]


def test_a_turn_that_is_over_is_judged_no_more() -> None:
    made = ear()
    made.sense(np.concatenate([sound(20, True), sound(4, False)]))
    made.new_turn()
    assert without_ticks(made.sense(sound(20, False)).events) == []


def test_other_rates_come_out_on_the_16_khz_clock() -> None:
    made = ear(24_000)
    loud = np.full(24_000, VOICE * 4, np.int16)
    quiet = np.zeros(24_000, np.int16)
    events = without_ticks(made.sense(np.concatenate([quiet, loud, quiet])).events)
    assert isinstance(events[0], VoiceStarted)
    assert abs(events[0].at - 16_000) <= FRAME
