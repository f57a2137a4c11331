"""Voices unlike those that the end-of-turn networks learned from: they are known as such, and then not asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npc.audio.pcm import Pcm16, to_int16
from npc.audio.resample import resample
from npc.conversation import network_file
from npc.conversation.endpointing import familiar, voice
from npc.conversation.endpointing.familiar import Familiar
from npc.training.endpointing_familiar import fit
from npc.training.endpointing_sound import say, sounded
from npc.training.rooms import shaped_noise
from npc.tts.flite import FliteSettings, FliteVoice


def spoken(name: str) -> tuple[Pcm16, int]:
    """A sentence of a learned voice in light noise, and its end."""
    said = say("Could you show me the way to the market?", FliteVoice(FliteSettings(name)))
    assert said is not None
    turn = sounded(said, 0, np.random.default_rng(3))
    return turn.pcm, turn.end


def buzz(seconds: float, seed: int) -> Pcm16:
    """Something voiced that none of the learned voices sounds like: a hum and a steady hiss."""
    rng = np.random.default_rng(seed)
    at = np.arange(round(seconds * 16_000)) / 16_000
    tone = np.sin(2 * np.pi * 190.0 * at) * (1.0 + 0.5 * np.sin(2 * np.pi * 4.0 * at))
    return to_int16(0.1 * tone + 0.02 * shaped_noise(rng, at.size, 2_000.0, 6_000.0))


@pytest.mark.parametrize("name", ["slt", "rms", "awb"])
@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_learned_voices_are_known_at_every_rate_of_the_wire(name: str, rate: int) -> None:
    pcm, end = spoken(name)
    heard = resample(resample(pcm, 16_000, rate), rate, 16_000) if rate != 16_000 else pcm
    assert voice.shipped().logit(heard, end) is not None


def test_of_a_voice_that_is_not_known_nothing_is_said() -> None:
    assert voice.shipped().logit(buzz(2.0, 1), 30_000) is None


@pytest.mark.parametrize("folder", ["common_voice", "ljspeech", "barista"])
def test_recorded_people_are_not_taken_for_learned_voices(folder: str) -> None:
    place = Path(__file__).parents[3] / "shared" / "data" / "speech" / folder
    clips = sorted(place.glob("*.flac"))[:6]
    if not clips:
        pytest.skip(f"recordings of people are not here ({folder})")
    from npc.bench.turns import clips as of

    known = [voice.shipped().logit(pcm, end) is not None for (pcm, end), _ in zip(of(place), clips, strict=False)]
    assert sum(known) <= 1


def test_the_distance_is_about_one_for_what_was_learned_and_the_limit_holds_nearly_all(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    tilt = np.linspace(0.0, -9.0, voice.BANDS + 2)
    windows = [rng.normal(tilt, 1.0, (voice.FRAMES, voice.BANDS + 2)).astype(np.float16) for _ in range(600)]
    network_file.save(tmp_path / "familiar.npz", fit(windows))
    known = Familiar(network_file.load(tmp_path / "familiar.npz"))
    given = [voice.normalised(window.astype(np.float32)) for window in windows]
    assert np.mean([known.distance(one) for one in given]) == pytest.approx(1.0, rel=0.1)
    assert 0.985 <= np.mean([known.knows(one) for one in given]) < 1.0
    assert not known.knows(-given[0])


def test_silence_and_windows_of_one_level_have_a_manner() -> None:
    flat = np.zeros((voice.FRAMES, voice.BANDS + 2), np.float32)
    assert np.isfinite(familiar.manner(flat)).all()
