"""The benchmarks of this room measure what they say, on a handful of sentences."""

from __future__ import annotations

import json

import pytest

from npc.bench import animation, cues
from npc.bench.harness import Run
from npc.bench.spoken import sentences, speak
from npc.tts import fetch_flite

pytestmark = pytest.mark.skipif(fetch_flite.locate() is None, reason="no Flite library: npc doctor --fix")


def test_sentences_are_distinct_and_repeatable() -> None:
    found = sentences(500, 1)
    assert len(set(found)) == 500
    assert found == sentences(500, 1)
    assert found != sentences(500, 2)


def test_animation_bench_meets_its_goals_on_a_few_sentences() -> None:
    result = animation.measure(Run(3, None, {"sentences": 12, "minutes": 2.0, "head": "roe"}))
    json.dumps(result, allow_nan=False)
    rates = result["rates"]
    for fps in (60, 30):
        assert rates[f"bilabial_{fps}"] >= 0.99
        assert rates[f"false_closure_{fps}"] <= 0.02
        assert rates[f"labiodental_{fps}"] >= 0.97
        assert rates[f"rounding_{fps}"] >= 0.9
    assert result["bad_values"] == 0
    assert result["track_bytes_per_s"] <= 4000
    assert result["frame_accuracy"]["sound_only"] >= result["frame_accuracy"]["loudness_only"] + 0.25
    assert "sound leads loudness by" in animation.report(result)


def test_eyes_and_nods_over_ten_minutes_fall_in_the_ranges_of_people() -> None:
    spoken = list(speak(sentences(24, 5)))
    speaking, listening = animation._speaking(spoken, 10.0, 5), animation._listening(10.0, 5)
    assert 12 <= speaking["blinks_per_min"] <= 28
    assert speaking["blinks_near_phrase_or_turn_ends"] >= 0.5
    # Log-normal gaps: their logarithm spreads, and the middle lies where people's does.
    assert 1.4 <= speaking["blink_gap_median_s"] <= 4.0
    assert 0.3 <= speaking["blink_gap_log_sd"] <= 0.9
    assert 0.35 <= speaking["gaze_at_listener"] <= 0.5
    assert 0.65 <= listening["gaze_at_speaker"] <= 0.85
    assert 8 <= speaking["nods_per_min"] <= 22
    assert 5 <= listening["nods_per_min"] <= 16
    assert 1 <= listening["backchannels_per_min"] <= 10


def test_cues_bench_meets_its_goals_on_a_few_sentences() -> None:
    result = cues.measure(Run(3, None, {"sentences": 12}))
    assert result["phones_without_cue"] == 0
    assert result["viseme_onset_ms"]["p95"] <= 25
    assert result["closure_centre_ms"]["p50"] <= 15
    assert "energy minimum" in cues.report(result)
