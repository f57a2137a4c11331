"""What the talkover network learns from: labels in time, noises from a seed, and no words of the benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npc.audio.vad import FRAME
from npc.bench.players_text import INTERRUPTIONS
from npc.conversation.endpointing.text import words_of
from npc.conversation.overlap import Wording, wording
from npc.conversation.talkover import INPUTS, Who
from npc.training import talkover_clips
from npc.training.noises import noise
from npc.training.talkover_clips import FRAMES, SHORT
from npc.training.talkover_texts import LISTENING, talking


def test_a_sound_is_labelled_from_its_onset_until_a_while_after_its_end() -> None:
    first, last = 10 * FRAME + 100, 20 * FRAME
    labels, weights = talkover_clips._labels(Who.LISTENER, first, last, 60)
    assert not labels[:10].any()
    assert (labels[10:30] == Who.LISTENER).all(), "who was heard is remembered for 0.3 s"
    assert weights[10] < weights[11], "the frame in which a sound begins holds little of it"
    assert (weights[30:38] == 0.0).all()
    assert not labels[40:].any()
    assert weights[40:].all()


def test_nobody_is_nobody() -> None:
    labels, weights = talkover_clips._labels(Who.NOBODY, 0, 0, 30)
    assert not labels.any()
    assert weights.all()


@pytest.mark.parametrize("seed", range(25))
def test_noises_are_finite_loud_and_the_same_for_a_seed(seed: int) -> None:
    made = noise(np.random.default_rng(seed))
    assert 0.015 < made.size / 16_000 < 3.0
    assert np.isfinite(made).all()
    assert np.abs(made).max() == pytest.approx(1.0)
    assert np.array_equal(made, noise(np.random.default_rng(seed)))


def test_no_interruption_of_the_benchmark_is_among_the_words_learned() -> None:
    rng = np.random.default_rng(1)
    benched = {tuple(words_of(text)) for text in INTERRUPTIONS}
    assert not benched & {tuple(words_of(talking(rng))) for _ in range(3_000)}


def test_signs_of_listening_are_those_that_the_turn_core_knows_or_like_them() -> None:
    known = [text for text in LISTENING if wording(text) is Wording.BACKCHANNEL]
    assert len(known) > 0.7 * len(LISTENING)


def test_clips_come_long_and_short_with_the_phones_that_the_player_says() -> None:
    made = talkover_clips.batch((5, 0), 9)
    assert [len(clip.labels) for clip in made] == [FRAMES, *[SHORT] * 7, FRAMES]
    for clip in made:
        assert clip.inputs.shape == (len(clip.labels), INPUTS)
        assert np.isfinite(clip.inputs.astype(np.float32)).all()
        spoken = np.flatnonzero(clip.phones)
        who = clip.labels[clip.onset + 1] if clip.onset >= 0 else Who.NOBODY
        assert (spoken.size > 0) == (who in (Who.LISTENER, Who.TALKER))
        assert (clip.labels[spoken[spoken > clip.onset]] == who).all(), "phones are the player's"


def test_a_piece_of_the_cache_comes_back_as_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talkover_clips, "_PIECE", 9)
    talkover_clips._made(((5, 0), tmp_path / "5-000.npz"))
    kept = sorted(talkover_clips._stored(tmp_path / "5-000.npz"), key=lambda clip: len(clip.labels))
    made = sorted(talkover_clips.batch((5, 0), 9), key=lambda clip: len(clip.labels))
    for one, other in zip(kept, made, strict=True):
        assert one.onset == other.onset
        for name in ("inputs", "labels", "weights", "phones"):
            assert np.array_equal(getattr(one, name), getattr(other, name))
