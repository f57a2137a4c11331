"""Audio-only visemes: streaming equals batch, phones tile the sound, and shipped weights beat loudness by far."""

from __future__ import annotations

import json
from importlib import resources
from itertools import pairwise

import numpy as np
import pytest

from npc.animation import Affect, FaceAnimator
from npc.animation.audio import DELAY_S, MELS, PHONE_OF, RATE, AudioVisemes, log_mel
from npc.animation.channels import INDEX
from npc.animation.interface import OCULUS15
from npc.phonetics.phones import Phone


def noise(seconds: float, seed: int = 1) -> np.ndarray:
    """Bursts of filtered noise and silence: enough to make visemes change."""
    rng = np.random.default_rng(seed)
    wave = rng.normal(0, 3000, round(seconds * RATE))
    envelope = (np.sin(np.arange(len(wave)) / 2500) > 0).astype(float)
    return np.clip(wave * envelope, -32768, 32767).astype(np.int16)


def hear(pcm: np.ndarray, pieces: list[int], rate: int = RATE) -> list[Phone]:
    ear, at, phones = AudioVisemes(rate), 0, []
    for size in pieces:
        phones += ear.push(pcm[at : at + size])
        at += size
    phones += ear.push(pcm[at:])
    phones += ear.finish()
    return phones


def test_streaming_equals_batch() -> None:
    pcm = noise(3.0)
    assert hear(pcm, [1, 7, 160, 333, 5000, 0, 12_000]) == hear(pcm, [])


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000, 96_000])
def test_phones_tile_the_sound_at_any_rate(rate: int) -> None:
    pcm = noise(2.0)[: 2 * rate]
    phones = hear(pcm, [rate // 50] * 20, rate)
    assert phones[0].span.start == 0
    assert all(a.span.end == b.span.start for a, b in pairwise(phones))
    assert phones[-1].span.end == len(pcm)


def test_what_is_known_trails_the_sound_by_the_stated_delay() -> None:
    pcm = noise(3.0)
    ear, ends = AudioVisemes(), []
    for at in range(0, len(pcm), 160):
        ends += [(at + 160 - p.span.end) / RATE for p in ear.push(pcm[at : at + 160])]
    assert max(ends) <= DELAY_S + 0.035


def test_silence_and_empty_input() -> None:
    assert hear(np.zeros(RATE, np.int16), []) == [Phone("", hear(np.zeros(RATE, np.int16), [])[0].span)]
    assert hear(np.zeros(0, np.int16), []) == []
    assert log_mel(np.zeros(100, np.int16)).shape == (0, MELS)
    ear = AudioVisemes()
    ear.finish()
    with pytest.raises(ValueError, match="finished"):
        ear.push(noise(0.1))


def test_its_phones_drive_an_ordinary_face_stream() -> None:
    pcm = noise(2.0)
    face = FaceAnimator().open(RATE, 60, 1)
    phones = tuple(hear(pcm, []))
    face.push(phones, len(pcm), Affect())
    block = face.finish(len(pcm)).blendshapes
    assert block is not None
    assert {p.ipa for p in phones} <= set(PHONE_OF)
    assert len(PHONE_OF) == len(OCULUS15)


def test_shipped_weights_beat_loudness_by_25_points() -> None:
    """The report that training wrote beside the weights; `npc bench animation` measures them again."""
    report = json.loads(resources.files("npc.animation").joinpath("weights/visemes.json").read_text())
    for name in ("held_out_sentences", "held_out_voice"):
        assert report[name]["accuracy"] - report[name]["loudness_baseline"] >= 0.25


def test_a_face_that_only_hears_moves_without_gaps() -> None:
    pcm, ear, known_to, blocks = noise(3.0), AudioVisemes(), 0, []
    face = FaceAnimator().open(RATE, 60, 1)
    for heard in (*(ear.push(pcm[at : at + 800]) for at in range(0, len(pcm), 800)), ear.finish()):
        known_to = heard[-1].span.end if heard else known_to
        blocks.append(face.push(heard, known_to, Affect()).blendshapes)
    blocks.append(face.finish(len(pcm)).blendshapes)
    known = [b for b in blocks if b is not None]
    assert known[0].start == 0
    for a, b in pairwise(known):
        assert b.start == a.start + len(a.frames) * a.samples_per_frame
    frames = np.concatenate([b.frames for b in known])
    assert frames[:, INDEX["jawOpen"]].max() > 10
    assert not frames[-1].any()
