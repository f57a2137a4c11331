"""The steering bench: learnt and tested on different turns, off is the unsteered model bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npc.bench import steering
from npc.bench.harness import Run
from npc.dialogue.realiser.model import model_folder, model_status
from npc.inference.dose import replies
from npc.inference.steering import Direction, combine

needs_model = pytest.mark.skipif(not model_status().available, reason="the dialogue model (or its kernels) is not here")


def test_directions_have_contrasts_that_differ_and_turns_of_their_own() -> None:
    assert set(steering.CONTRASTS) == {"valence", "arousal", "formality", "assertiveness"}
    for pairs in steering.CONTRASTS.values():
        assert not {more for more, _ in pairs} & {less for _, less in pairs}
    assert not {words for _, words in steering.LEARN} & {words for _, words in steering.TEST}


@needs_model
def test_it_measures_every_direction_at_every_dose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(steering, "LEARN", steering.LEARN[:2])
    monkeypatch.setattr(steering, "TEST", steering.TEST[:2])
    monkeypatch.setattr(steering, "REPEATS", 1)
    learn, seeds = steering._Subject.learn, set[int]()

    def noted(subject: steering._Subject, name: str, seed: int) -> Direction:
        seeds.add(seed)
        return learn(subject, name, seed)

    monkeypatch.setattr(steering._Subject, "learn", noted)
    result = steering.measure(Run(2, tmp_path, {"seeds": 2}))
    assert seeds == {2}, "--seed reaches what is learnt, not only what is tested"
    for found in result["directions"].values():
        assert [d["strength"] for d in found["doses"]] == [-1.0, -0.5, 0.0, 0.5, 1.0]
        assert all(d["perplexity"] >= 1 for d in found["doses"])
        assert len(found["by_seed"]) == 2
    unsteered = {found["doses"][2]["sample"] for found in result["directions"].values()}
    assert len(unsteered) == 1, "off says the same whatever the direction"
    assert "valence" in steering.report(result)
    assert "<svg" in (tmp_path / "steering.svg").read_text("utf-8")


@needs_model
def test_off_is_bit_identical_and_a_dose_is_not() -> None:
    subject = steering._Subject(model_folder())
    try:
        direction = subject.learn("valence", 1)
        prompts = subject.prompts((steering.PLAIN,), steering.TEST[:6])
        plain = replies(subject.step, prompts, None, max_tokens=20, ends=subject.ends, seed=1)
        off = combine([("valence", 0.0)], {"valence": direction})
        assert off is None
        assert replies(subject.step, prompts, off, max_tokens=20, ends=subject.ends, seed=1) == plain
        zero = np.zeros_like(direction.vectors)
        assert replies(subject.step, prompts, zero, max_tokens=20, ends=subject.ends, seed=1) == plain
        full = combine([("valence", 1.0)], {"valence": direction})
        assert replies(subject.step, prompts, full, max_tokens=20, ends=subject.ends, seed=1) != plain
    finally:
        subject.close()
