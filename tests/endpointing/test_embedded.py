"""The embedded end-of-turn detector: what it must get right by words and voice, its bounds, its file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.conversation.endpointing.embedded import INPUTS, Curve, EmbeddedDetector, Weights, load, save
from npc.conversation.endpointing.interface import LONGEST_MS, SHORTEST_MS, EndOfTurnDetector, Judgement, Pause
from npc.conversation.endpointing.text import TextModel, features, words_of

MS = 16


@pytest.fixture(scope="module")
def detector() -> EmbeddedDetector:
    return EmbeddedDetector()


#: Log-odds of a voice that sounds finished, and of one that hangs: common values of the voice model.
FINISHED, HANGING = 2.5, -2.5


def wait(detector: EmbeddedDetector, text: str, ending: float | None = None) -> float:
    return detector.judge(Pause(200 * MS, 2_000 * MS, text, ending=ending)).until / MS


def test_is_a_detector(detector: EmbeddedDetector) -> None:
    assert isinstance(detector, EndOfTurnDetector)
    assert detector.audio_seconds == 0


@pytest.mark.parametrize(
    "text",
    ["where is the harbour", "what is your name", "yes", "goodbye", "can you help me", "hello"],
)
def test_finished_turns_are_answered_soon(detector: EmbeddedDetector, text: str) -> None:
    assert wait(detector, text, FINISHED) < 450
    assert wait(detector, text) < 650


def test_a_hanging_voice_is_waited_for_whatever_the_words(detector: EmbeddedDetector) -> None:
    assert wait(detector, "it was dark", HANGING) > wait(detector, "it was dark", FINISHED)
    assert wait(detector, "i can sell you the mule", HANGING) > 500


@pytest.mark.parametrize(
    "text",
    ["i would like to", "and", "um", "the", "i am looking for a", "if you", "can you tell me where the", "well",
     "i wanted to ask you about my", "because", "she gave it to the"],
)  # fmt: skip
def test_open_clauses_wait_long(detector: EmbeddedDetector, text: str) -> None:
    assert wait(detector, text) > 700


def test_more_words_change_the_judgement(detector: EmbeddedDetector) -> None:
    assert wait(detector, "i would like to buy") > wait(detector, "i would like to buy a lamp")


@given(
    text=st.text(max_size=60),
    ending=st.none() | st.floats(-1e4, 1e4),
    speech=st.integers(0, 10**7),
    language=st.sampled_from(["en", "en-GB", "de", "ja"]),
)
def test_every_judgement_is_within_bounds(text: str, ending: float | None, speech: int, language: str) -> None:
    pause = Pause(100, speech, text, ending=ending, language=language)
    judged = EmbeddedDetector().judge(pause)
    assert 0.0 <= judged.complete <= 1.0
    assert SHORTEST_MS * MS <= judged.until <= LONGEST_MS * MS


def test_words_of_another_language_are_not_read_as_english(detector: EmbeddedDetector) -> None:
    said = [detector.judge(Pause(3_200, 32_000, text, language="de")) for text in ("und", "wo ist der Hafen")]
    assert said[0] == said[1]


def test_remaining_counts_from_the_last_voiced_sample() -> None:
    assert Judgement(0.9, 4_000).remaining(1_000) == 3_000
    assert Judgement(0.9, 4_000).remaining(5_000) == 0


def test_a_judgement_is_cheap(detector: EmbeddedDetector) -> None:
    pauses = [Pause(3_200, 32_000, f"where is the number {n} boat to the island", ending=1.0) for n in range(200)]
    began = time.process_time()
    for pause in pauses:
        detector.judge(pause)
    assert (time.process_time() - began) / len(pauses) < 0.001


def test_curve_is_straight_between_points_and_level_outside() -> None:
    curve = Curve(((0.2, 1000.0), (0.8, 400.0)))
    assert [curve.milliseconds(p) for p in (0.0, 0.2, 0.5, 0.8, 1.0)] == [1000, 1000, 700, 400, 400]
    with pytest.raises(ValueError, match=r"\[150, 1200\] ms"):
        Curve(((0.5, 20.0),))
    with pytest.raises(ValueError, match="in order"):
        Curve(((0.5, 300.0), (0.2, 900.0)))


def test_model_file_survives_and_refuses_other_inputs(tmp_path: Path) -> None:
    weights = Weights({"w1=and": -2.0}, 0.1, (0.5,) * len(INPUTS), -0.2, Curve(((0.5, 300.0),)))
    save(tmp_path / "m.gz", weights)
    assert load(tmp_path / "m.gz") == weights
    with pytest.raises(ValueError, match="expected"):
        Weights({}, 0.0, (1.0,), 0.0, Curve(((0.5, 300.0),)))


def test_text_features_see_ends_and_beginnings() -> None:
    found = features(words_of("If I bring the pelts"))
    assert {"w1=pelts", "c1=plural", "first=if"} <= set(found)
    assert len(found) == len(set(found))
    assert features([]) == ["empty"]
    assert TextModel({"w1=and": -3.0}, 1.0).logit("you and") == -2.0


def test_the_shipped_model_is_small() -> None:
    from npc.conversation.endpointing import embedded

    assert embedded._MODEL.stat().st_size < 32_000
