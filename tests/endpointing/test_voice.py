"""The voice half of the end-of-turn detector: its features, its arithmetic against torch, and what it hears."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npc.audio.pcm import Pcm16
from npc.audio.vad import SileroVad
from npc.conversation import network_file
from npc.conversation.endpointing import voice
from npc.training.endpointing_sound import closing, say, sounded
from npc.training.endpointing_voice import _network as network
from npc.training.endpointing_voice import _sentence, area, exported
from npc.tts.flite import FliteVoice


def tone(seconds: float, hertz: float = 140.0) -> Pcm16:
    at = np.arange(round(seconds * 16_000)) / 16_000
    return (6_000 * np.sign(np.sin(2 * np.pi * hertz * at))).astype(np.int16)


def test_features_are_of_the_frames_around_the_last_voiced_sample() -> None:
    found = voice.features(tone(3.0), 40_000)
    assert found.shape == (voice.FRAMES, voice.BANDS + 2)
    # The last frames of a pitch track have too little sound behind them.
    assert np.exp(found[:-4, voice.BANDS]) * 150.0 == pytest.approx(np.full(voice.FRAMES - 4, 140.0), rel=0.02)
    assert found[:-4, -1].all()


def test_what_is_missing_in_front_is_silence() -> None:
    found = voice.features(tone(0.5), 7_000)
    assert not found[: voice.FRAMES // 2, -1].any()
    assert found[-5, -1] == 1.0


def test_nothing_after_the_closing_of_the_gate_is_looked_at() -> None:
    sound = tone(3.0)
    np.testing.assert_array_equal(voice.features(sound, 30_000), voice.features(sound[: 30_000 + voice.AFTER], 30_000))


def test_level_does_not_matter() -> None:
    loud, soft = tone(2.0), (tone(2.0) // 4).astype(np.int16)
    difference = voice.normalised(voice.features(loud, 30_000)) - voice.normalised(voice.features(soft, 30_000))
    assert np.abs(difference).max() < 0.05


def test_the_forward_pass_is_that_of_the_trained_network(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    trained = network()
    trained(torch.randn(64, voice.FRAMES, voice.BANDS + 2))  # moves the running means of the normalisation
    trained.eval()
    given = np.random.default_rng(1).normal(size=(voice.FRAMES, voice.BANDS + 2)).astype(np.float32)
    with torch.no_grad():
        expected = float(trained(torch.tensor(given)[None]))
    assert voice.VoiceModel(exported(trained)).forward(given) == pytest.approx(expected, abs=1e-5)
    path = tmp_path / "voice.npz"
    network_file.save(path, exported(trained))
    assert voice.VoiceModel(network_file.load(path)).forward(given) == pytest.approx(expected, abs=0.01)
    other = {name: -value if name.startswith("out") else value for name, value in exported(trained).items()}
    network_file.save(path, voice.joined([exported(trained), exported(trained), other]))
    assert voice.parted(network_file.load(path)).forward(given) == pytest.approx(expected / 3, abs=0.01)


def test_a_closing_is_what_the_whole_turn_holds_around_its_pause() -> None:
    """Windows for training are cut from a short piece; a session hears the whole turn."""
    said = say("I wanted to ask the gardener for a basket of pears.", FliteVoice())
    assert said is not None
    for before, mark in ((5, "pause"), (0, "end")):
        whole, part = sounded(said, before, np.random.default_rng(1)), closing(said, before, np.random.default_rng(1))
        at = getattr(whole, mark)
        assert at is not None
        near = [sound.pcm[place - 16_000 : place + 400] for sound, place in ((whole, at), (part, part.end))]
        loud = [piece / np.abs(piece).max() for piece in near]
        assert np.corrcoef(*loud)[0, 1] > 0.9
        assert np.abs(part.pcm[part.end + 400 :]).max() < 0.2 * np.abs(part.pcm).max()


def test_a_sentence_with_a_comma_gives_windows_on_both_sides_of_it() -> None:
    """The same words stand before a comma and as a sentence of their own, so that only the voice tells them apart."""
    rng, vad = np.random.default_rng(2), SileroVad()
    found = list(_sentence("The baker lost his hat, | and my uncle found it.", rng, vad, rooms=0.0))
    kinds = [window.kind for window in found]
    assert kinds[:2] == ["end", "comma"]
    assert set(kinds) <= {"end", "comma", "plain", "alone"}
    assert len({window.group for window in found}) == 1, "a sentence is held out whole"
    assert [window.label for window in found[:2]] == [1, 0]
    assert all(window.features.shape == (voice.FRAMES, voice.BANDS + 2) for window in found)


def test_area_under_the_curve() -> None:
    truth = np.array([0.0, 0.0, 1.0, 1.0])
    assert area(np.array([1.0, 2.0, 3.0, 4.0]), truth) == 1.0
    assert area(np.array([1.0, 3.0, 2.0, 4.0]), truth) == 0.75


@pytest.mark.parametrize("name", ["slt", "rms", "awb"])
def test_a_voice_that_breaks_off_does_not_sound_finished(name: str) -> None:
    from npc.tts.flite import FliteSettings

    rng = np.random.default_rng(5)
    said = say("I wanted to ask the gardener for a basket of pears.", FliteVoice(FliteSettings(name)))
    assert said is not None
    stopped = sounded(said, 5, rng, rooms=0.0)  # "I wanted to ask the | gardener"
    assert stopped.pause is not None
    model = voice.shipped()
    broken, ended = (model.logit(stopped.pcm, at + 1_200) for at in (stopped.pause, stopped.end))
    assert broken is not None
    assert ended is not None
    assert broken < ended
