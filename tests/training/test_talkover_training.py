"""What the talkover network learns from: labels in time, noises from a seed, and no words of the benchmark."""

from __future__ import annotations

import numpy as np
import pytest

from npc.audio.vad import FRAME
from npc.bench.players_text import INTERRUPTIONS
from npc.conversation.endpointing.text import words_of
from npc.conversation.overlap import Wording, wording
from npc.conversation.talkover import Who
from npc.training import talkover
from npc.training.noises import noise
from npc.training.talkover_texts import LISTENING, talking


def test_a_sound_is_labelled_from_its_onset_until_a_while_after_its_end() -> None:
    first, last = 10 * FRAME + 100, 20 * FRAME
    labels, weights = talkover._labels(Who.LISTENER, first, last, 60)
    assert not labels[:10].any()
    assert (labels[10:30] == Who.LISTENER).all(), "who was heard is remembered for 0.3 s"
    assert weights[10] < weights[11], "the frame in which a sound begins holds little of it"
    assert (weights[30:38] == 0.0).all()
    assert not labels[40:].any()
    assert weights[40:].all()


def test_nobody_is_nobody() -> None:
    labels, weights = talkover._labels(Who.NOBODY, 0, 0, 30)
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
