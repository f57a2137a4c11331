"""The mark is found in a few seconds of speech, not elsewhere, costs no time and no length."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.audio.resample import resample
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import Pcm16, SpeechRequest
from npc.tts.watermark import THRESHOLD, Marker, Watermarked, detect

TEXT = (
    "The bridge over the river has been down since the spring flood, and nobody has come to mend it. "
    "We asked the miller, the smith and the priest."
)


@pytest.fixture(scope="module")
def speech(flite: None) -> dict[str, Pcm16]:
    voices = {name: FliteVoice(FliteSettings(name)) for name in ("slt", "rms", "awb")}
    return {n: np.concatenate([c.pcm for c in v.synthesize(SpeechRequest(TEXT))]) for n, v in voices.items()}


@pytest.mark.parametrize("name", ["slt", "rms", "awb"])
def test_found_in_marked_speech_only_and_only_with_the_key(speech: dict[str, Pcm16], name: str) -> None:
    marked = Marker(16_000).mark(speech[name])
    assert detect(marked, 16_000).marked
    assert detect(marked, 16_000).score > THRESHOLD + 2
    assert not detect(speech[name], 16_000).marked
    assert not detect(marked, 16_000, key="another key").marked


def test_a_long_recording_takes_little_memory() -> None:
    """Regression: the frames of all of it, and copies of them, were held at once: gigabytes an hour."""
    sound = np.random.default_rng(0).integers(-3000, 3000, 60 * 16_000).astype(np.int16)
    tracemalloc.start()
    assert not detect(sound, 16_000).marked
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 90e6


def test_found_in_a_cut_at_another_level_and_rate_and_in_noise(speech: dict[str, Pcm16]) -> None:
    marked = Marker(16_000).mark(speech["rms"])
    cut = (marked[12_345:100_000] * 0.4).astype(np.int16)
    assert detect(cut, 16_000).marked
    assert detect(resample(marked, 16_000, 24_000), 24_000).marked
    noise = np.random.default_rng(3).normal(0.0, marked.std() / 10**1.25, marked.size)
    assert detect((marked + noise).astype(np.int16), 16_000).marked


def test_at_least_25_db_under_the_speech(speech: dict[str, Pcm16]) -> None:
    for pcm in speech.values():
        difference = Marker(16_000).mark(pcm).astype(float) - pcm
        assert 10 * np.log10(np.mean(pcm.astype(float) ** 2) / np.mean(difference**2)) > 25.0


@given(st.lists(st.integers(0, 700), max_size=12))
def test_marking_in_pieces_is_marking_the_whole(sizes: list[int]) -> None:
    pcm = np.random.default_rng(sum(sizes)).integers(-8_000, 8_000, sum(sizes)).astype(np.int16)
    marker, at, made = Marker(16_000), 0, [np.zeros(0, dtype=np.int16)]
    for size in sizes:
        made.append(marker.mark(pcm[at : at + size]))
        at += size
    np.testing.assert_array_equal(np.concatenate(made), Marker(16_000).mark(pcm))


def test_times_and_lengths_are_the_inner_voice_s(flite: None) -> None:
    inner = FliteVoice(FliteSettings("slt"))
    request = SpeechRequest("Hello there, friend.")
    plain, marked = list(inner.synthesize(request)), list(Watermarked(inner).synthesize(request))
    assert [(c.phones, c.words, c.pcm.size) for c in plain] == [(c.phones, c.words, c.pcm.size) for c in marked]


@pytest.mark.parametrize("pcm", [np.zeros(0, np.int16), np.zeros(48_000, np.int16), np.ones(5, np.int16)])
def test_silence_and_scraps_are_not_marked(pcm: Pcm16) -> None:
    assert not detect(pcm, 16_000).marked
