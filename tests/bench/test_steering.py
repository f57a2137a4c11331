"""The steering bench: its judges point the right way, and off is the unsteered model."""

from __future__ import annotations

import pytest

from npc.bench import steering
from npc.bench.harness import Run
from npc.dialogue.realiser.model import model_status


def test_the_emotion_judge_orders_what_everybody_would() -> None:
    glad, sad = ["I love this, what a wonderful day!"], ["I am so sad, this is terrible."]
    assert steering.emotion_judge(0)(glad) > steering.emotion_judge(0)(sad)


def test_directions_have_contrasts_that_differ() -> None:
    assert set(steering.CONTRASTS) == {"valence", "arousal", "formality", "assertiveness"}
    for more, less in steering.CONTRASTS.values():
        assert not set(more) & set(less)


def test_it_measures_every_direction_at_every_dose(monkeypatch: pytest.MonkeyPatch) -> None:
    if not model_status().available:
        pytest.skip("the dialogue model (or its kernels) is not here")
    monkeypatch.setattr(steering, "TURNS", steering.TURNS[:2])
    monkeypatch.setattr(steering, "REPEATS", 1)
    result = steering.measure(Run(1, None, {}))
    for found in result["directions"].values():
        assert [d["strength"] for d in found["doses"]] == [-1.0, -0.5, 0.0, 0.5, 1.0]
        assert all(d["perplexity"] >= 1 for d in found["doses"])
    unsteered = {found["doses"][2]["sample"] for found in result["directions"].values()}
    assert len(unsteered) == 1, "off says the same whatever the direction"
    assert "valence" in steering.report(result)
