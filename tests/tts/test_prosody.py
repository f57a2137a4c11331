"""Feeling moves the voice in the direction the literature gives, within bounds, and neutral changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.tts import Prosody, prosody_of

signed = st.floats(-1.0, 1.0)


def test_neutral_is_the_base() -> None:
    base = Prosody(rate=0.9, pitch_semitones=1.0, energy=1.1, pitch_range=1.2)
    assert prosody_of(0.0, 0.0, 0.0, base=base) == base
    assert prosody_of(1.0, 1.0, 1.0, intensity=0.0, base=base) == base


def test_anger_is_faster_louder_wider_and_sadness_the_reverse() -> None:
    anger, sadness = prosody_of(-0.5, 0.8, 0.7), prosody_of(-0.7, -0.5, -0.6)
    assert anger.rate == pytest.approx(1.13, abs=0.01)
    assert sadness.rate == pytest.approx(0.89, abs=0.01)
    assert anger.energy > 1.4 > 1.0 > sadness.energy
    assert anger.pitch_range > 1.0 > sadness.pitch_range
    assert anger.pitch_semitones > 0.0 > sadness.pitch_semitones


@given(signed, signed, signed, st.floats(0.0, 1.0), st.floats(0.5, 2.0), st.floats(-6.0, 6.0))
def test_any_mood_on_any_base_is_a_prosody(
    valence: float, arousal: float, dominance: float, intensity: float, rate: float, pitch: float
) -> None:
    made = prosody_of(valence, arousal, dominance, intensity=intensity, base=Prosody(rate=rate, pitch_semitones=pitch))
    assert 0.7 <= made.rate <= 1.5
    assert -5.0 <= made.pitch_semitones <= 5.0


@given(signed, signed, st.floats(-1.0, 0.8))
def test_more_arousal_is_never_slower_or_softer(valence: float, dominance: float, arousal: float) -> None:
    less, more = (prosody_of(valence, a, dominance) for a in (arousal, arousal + 0.2))
    assert more.rate >= less.rate
    assert more.energy >= less.energy
    assert more.pitch_semitones >= less.pitch_semitones


def test_nonsense_is_clamped() -> None:
    assert prosody_of(float("nan"), 9.0, -9.0, intensity=4.0) == prosody_of(0.0, 1.0, -1.0)
