"""The dialogue model's training from nothing: it runs, resumes, and its export runs on our own core, token for token."""  # noqa: E501

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from npc.inference.checkpoint import Checkpoint  # noqa: E402
from npc.inference.config import read_config  # noqa: E402
from npc.inference.kernels import CacheFormat, Format  # noqa: E402
from npc.inference.reference import ReferenceStep  # noqa: E402
from npc.inference.weights import from_tensors  # noqa: E402
from npc.training.mind.__main__ import batch_at, build_tokenizer, parse, train  # noqa: E402
from npc.training.mind.episodes import ATTRIBUTES, SPECIAL, bodies, episode, wordings  # noqa: E402
from npc.training.mind.model import MindModel, Shape  # noqa: E402
from tests.inference import tiny  # noqa: E402


def test_every_attribute_has_forty_wordings_and_holds_some_out() -> None:
    for attribute in ATTRIBUTES:
        assert wordings(attribute) >= 40
        assert not set(bodies(attribute, True)) & set(bodies(attribute, False))
        assert bodies(attribute, True)


def test_episodes_never_spell_a_value() -> None:
    chance = random.Random(3)
    for _ in range(50):
        for piece in episode(chance):
            if piece.weight == 5.0:
                assert piece.text in ("<end>", "<none>") or piece.text[:3] in ("<e>", "<v>")


def test_batches_are_a_function_of_seed_and_step() -> None:
    tokenizer = build_tokenizer(1, 600)
    assert all(tokenizer.token_to_id(token) is not None for token in SPECIAL)
    first, again, other = (batch_at(step, 1, tokenizer, 64)[0] for step in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_training_runs_resumes_and_exports(tmp_path: Path) -> None:
    flags = ["--width", "64", "--layers", "2", "--length", "96", "--vocabulary", "600", "--work", str(tmp_path)]
    first = train(parse([*flags, "--minutes", "0.03"]))
    second = train(parse([*flags, "--minutes", "0.03"]))
    assert second["steps"] > first["steps"] > 0
    assert set(second["accuracy"]) == {"seen_wordings", "held_out_wordings"}
    folder = tmp_path / "model"
    config = read_config(folder)
    weights = from_tensors(config, Checkpoint(folder), Format.F32 if hasattr(Format, "F32") else Format.BF16)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    shape = Shape(vocabulary=config.vocab, width=64, layers=2, heads=1, inner=176, length=96)
    model = MindModel(shape)
    model.load_state_dict(saved)
    ids = [3, 20, 40, 41, 60, 7, 99]
    with torch.no_grad():
        expected = model(torch.tensor([ids]))[0].numpy()
    ours = tiny.logits(ReferenceStep(config, weights, pages=8, positions=96, cache=CacheFormat.F16), ids)
    assert np.abs(ours[:, : config.vocab] - expected).max() < 0.15
    assert (ours[:, : config.vocab].argmax(-1) == expected.argmax(-1)).mean() > 0.8


def test_width_must_fit_the_heads() -> None:
    with pytest.raises(SystemExit):
        parse(["--width", "100"])
