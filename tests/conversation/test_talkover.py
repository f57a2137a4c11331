"""The network that hears who speaks over the character: its arithmetic, its memory, and what it tells apart."""

from __future__ import annotations

import numpy as np
import pytest

from npc.audio.vad import FRAME
from npc.conversation.talkover import INPUTS, REMAINS, Features, Frame, Network, Talkover, Who, shipped


def frame(rng: np.random.Generator, level: float = 1000.0) -> Frame:
    sound = (rng.standard_normal(FRAME) * level).astype(np.int16)
    return Frame(sound, sound, rng.standard_normal(FRAME) * 0.1, 0.1, False, 0.8)


def test_probabilities_add_up_and_voices_are_players() -> None:
    rng, ear = np.random.default_rng(1), Talkover()
    for _ in range(20):
        seen = ear.step(frame(rng), True)
        assert seen is not None
        assert seen.nobody + seen.noise + seen.listener + seen.talker == pytest.approx(1.0, abs=1e-5)
        assert seen.player == pytest.approx(seen.listener + seen.talker)


def test_nothing_is_judged_while_the_character_is_silent_and_nothing_remembered_of_its_last_reply() -> None:
    rng, ear = np.random.default_rng(2), Talkover()
    assert ear.step(frame(rng), False) is None
    spoken = [frame(rng) for _ in range(10)]
    first = [ear.step(one, True) for one in spoken]
    after = [ear.step(frame(rng), False) for _ in range(REMAINS)]
    assert all(seen is not None for seen in after[:-1]), "the echo of the last sound is still to come"
    assert after[-1] is None
    assert [ear.step(one, True) for one in spoken] == first


def test_the_features_of_a_sound_do_not_depend_on_what_lies_more_than_a_window_before() -> None:
    rng = np.random.default_rng(3)
    frames = [frame(rng) for _ in range(4)]
    whole, late = Features(), Features()
    rows = [whole.step(one) for one in frames]
    late.step(frames[2])
    assert np.array_equal(late.step(frames[3]), rows[3])
    assert rows[0].shape == (INPUTS,)


def test_the_network_is_the_one_that_was_trained() -> None:
    torch = pytest.importorskip("torch")
    from npc.training import talkover as training

    torch.manual_seed(4)
    trained = training._network().eval()
    given = torch.randn(1, 30, INPUTS)
    with torch.no_grad():
        expected = trained(given)[0][0].numpy()
    network = Network(training.exported(trained))
    state = network.begin()
    for row, wanted in zip(given[0].numpy(), expected, strict=True):
        logits, state = network.step(row, state)
        assert logits == pytest.approx(wanted, abs=1e-4)
    assert logits.shape == (len(Who),)
    assert shipped().begin().shape == state.shape
