"""Cues fire on their sample, and what was heard is reported as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.client import CueScheduler, OutputAudio, Playback
from npc.protocol import Cue, NpcCues, NpcOutput, Response, ResponseAudioDone, ResponseDone

RATE = 24_000


def _cues(*at: int, clock: Any = "output", response: str = "r", item: str = "i") -> NpcCues:
    cues = [Cue(kind="viseme", name=f"v{sample}", at=sample) for sample in at]
    if clock == "input":
        return NpcCues(character="ada", clock="input", cues=cues)
    return NpcCues(character="ada", clock=clock, response_id=response, item_id=item, cues=cues)


def _push(playback: Playback, size: int, start: int = 0, last: bool = False, response: str = "r") -> None:
    playback.receive(OutputAudio(response, "i", start, np.ones(size, np.int16), 0, last))


@given(
    st.lists(st.integers(0, 9599), min_size=1, max_size=40),
    st.lists(st.integers(1, 2000), min_size=1, max_size=40),
)
def test_every_cue_fires_once_in_the_block_that_holds_its_sample(ats: list[int], blocks: list[int]) -> None:
    playback = Playback(RATE, prebuffer_ms=0)
    playback.receive(_cues(*ats))
    _push(playback, 9600, last=True)
    fired: list[int] = []
    played = 0
    for block in [*blocks, 9600]:
        playback.read(block)
        now = min(9600, played + block)
        for due in playback.due():
            assert played <= due.cue.at < now, "no cue before its sound, none after its block"
            fired.append(due.cue.at)
        played = now
    assert fired == sorted(ats)


def test_cues_that_come_with_a_later_block_still_fire() -> None:
    playback = Playback(RATE, prebuffer_ms=0)
    _push(playback, 4800)
    playback.read(2400)
    playback.receive(_cues(1000, 3000))
    playback.read(100)
    assert [due.cue.at for due in playback.due()] == [1000]
    playback.read(1000)
    due = playback.due()
    assert [(d.cue.at, d.late) for d in due] == [(3000, 499)]


def test_reports_every_100_ms_and_at_each_end() -> None:
    playback = Playback(RATE, prebuffer_ms=0)
    _push(playback, RATE, last=True)
    reports = []
    for _ in range(60):
        playback.read(480)
        reports += playback.reports()
    assert [r.state for r in reports] == ["playing"] * (len(reports) - 1) + ["finished"]
    played = [r.played_samples for r in reports]
    assert played[-1] == RATE
    gaps = np.diff(played)
    assert len(reports) >= 10
    assert (gaps <= 2400).all()
    assert (gaps > 0).all()


def test_a_flush_reports_where_it_stopped_and_silences_its_cues() -> None:
    playback = Playback(RATE, prebuffer_ms=0)
    playback.receive(_cues(100, 5000))
    _push(playback, RATE)
    playback.read(2400)
    playback.due()
    playback.reports()
    playback.receive(
        NpcOutput(character="ada", response_id="r", item_id="i", action="flush", at_sample=2400, fade_ms=5)
    )
    (report,) = playback.reports()
    assert (report.state, report.played_samples) == ("stopped", 2400)
    assert not playback.read(RATE)[200:].any()
    assert playback.due() == []


def test_a_pause_reports_and_resumes_at_the_same_sample() -> None:
    playback = Playback(RATE, prebuffer_ms=0)
    _push(playback, RATE)
    playback.read(4800)
    playback.reports()

    def output(action: Any) -> NpcOutput:
        return NpcOutput(character="ada", response_id="r", item_id="i", action=action, at_sample=4800)

    playback.receive(output("pause"))
    (report,) = playback.reports()
    assert (report.state, report.played_samples) == ("stopped", 4800)
    playback.read(RATE)
    assert playback.reports() == []
    playback.receive(output("resume"))
    playback.read(2400)
    (report,) = playback.reports()
    assert (report.state, report.played_samples) == ("playing", 7200)


def test_duck_without_a_gain_goes_to_a_third() -> None:
    playback = Playback(RATE, prebuffer_ms=0)
    playback.receive(OutputAudio("r", "i", 0, np.full(RATE, 1000, np.int16)))
    playback.read(10)
    duck = NpcOutput(character="ada", response_id="r", item_id="i", action="duck", at_sample=10)
    playback.receive(duck)
    playback.read(10)
    assert set(playback.read(100)) <= {299, 300}


def test_a_cancelled_response_is_flushed_for_clients_without_npc_output() -> None:
    playback = Playback(RATE, prebuffer_ms=0)
    _push(playback, RATE)
    playback.read(480)
    playback.receive(ResponseDone(response=Response(id="r", status="cancelled")))
    assert not playback.read(RATE).any()


def test_a_reply_without_a_last_mark_ends_with_its_audio_done() -> None:
    playback = Playback(RATE)
    _push(playback, 600)
    playback.receive(ResponseAudioDone(response_id="r", item_id="i"))
    assert np.count_nonzero(playback.read(1000)) == 600
    assert playback.reports()[-1].state == "finished"


def test_cues_past_the_end_of_the_sound_are_the_decay_to_rest() -> None:
    playback = Playback(RATE, prebuffer_ms=0)
    playback.receive(_cues(100, 700))
    _push(playback, 600, last=True)
    playback.read(1000)
    assert [due.cue.at for due in playback.due()] == [100, 700]


@pytest.mark.parametrize(("now", "fires"), [(99, 0), (100, 1), (12_100, 1), (12_101, 0)])
def test_the_input_clock_fires_what_is_due_and_forgets_what_is_too_late(now: int, fires: int) -> None:
    scheduler = CueScheduler(RATE)
    scheduler.add(_cues(100, clock="input"))
    assert len(scheduler.heard(now)) == fires
