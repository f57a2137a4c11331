"""Learning directions: states along a reply, what cancels out, and what cannot be told apart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from npc.cli.steer import main as steer
from npc.config.settings import load_settings
from npc.inference.config import CheckpointError
from npc.inference.interface import Message, Sampling
from npc.inference.native import NativeModel
from npc.inference.steering import SHARE, hidden_states, learn_along, learn_direction
from npc.server.engine_parts import load_model
from tests.inference import tiny

PROMPTS = ([5, 9, 11, 3], [5, 8, 11, 3])


@tiny.needs_kernels
def test_states_along_a_reply_are_the_mean_of_the_states_at_each_of_its_tokens() -> None:
    core = tiny.step(*tiny.model())
    tokens = [int(t) for t in np.random.default_rng(2).integers(1, 60, 140)]
    try:
        each = [hidden_states(core, tokens[: n + 1]) for n in range(120, 140)]
        along = hidden_states(core, tokens, 120)
        assert np.abs(along.mean - np.mean([s.mean for s in each], 0)).max() < 1e-4, "also across chunks of 128"
        assert np.allclose(along.length, np.mean([s.length for s in each], 0), rtol=1e-5)
        assert np.allclose(each[0].length, np.linalg.norm(each[0].mean, axis=1), rtol=1e-5)
    finally:
        core.close()


@tiny.needs_kernels
def test_the_other_way_round_is_the_opposite_and_nothing_to_tell_apart_is_an_error() -> None:
    core = tiny.step(*tiny.model())
    try:
        more, less = ([(prompt, reply) for reply in ([7, 7, 2], [20, 31])] for prompt in PROMPTS)
        way, back = learn_along(core, "x", more, less), learn_along(core, "x", less, more)
        assert np.abs(way.vectors + back.vectors).max() < 1e-6
        assert np.linalg.norm(way.vectors) > 0
        with pytest.raises(ValueError, match="same hidden states"):
            learn_along(core, "x", more, more)
        with pytest.raises(ValueError, match="both kinds"):
            learn_along(core, "x", more, [])
        with pytest.raises(ValueError, match="both kinds"):
            learn_direction(core, "x", [PROMPTS[0]], [])
    finally:
        core.close()


@tiny.needs_kernels
def test_full_strength_is_a_share_of_the_stream_spread_over_the_layers() -> None:
    core = tiny.step(*tiny.model())
    try:
        found = learn_direction(core, "x", [PROMPTS[0]], [PROMPTS[1]], layers=range(2))
        lengths = np.mean([hidden_states(core, p).length for p in PROMPTS], axis=0)
        shares = np.linalg.norm(found.vectors, axis=1) / lengths
        assert np.allclose(shares[:2], SHARE / np.sqrt(2), rtol=1e-4)
        assert not found.vectors[2:].any()
    finally:
        core.close()


@tiny.needs_kernels
def test_a_service_loads_the_directions_that_feelings_lean_on(tmp_path: Path) -> None:
    place = tiny.directory(tmp_path / "model", num_hidden_layers=4)
    assert steer(["learn", str(place), "--out", str(tmp_path / "directions.npz")]) == 0
    chosen = {"llm.model": "native", "llm.path": str(place), "llm.directions": str(tmp_path / "directions.npz")}
    model = load_model(load_settings(overrides=chosen, environment={}))
    assert isinstance(model, NativeModel)
    assert set(model.directions) == {"valence", "arousal", "formality", "assertiveness"}

    async def said(sampling: Sampling) -> str:
        return "".join([token.text async for token in model.stream((Message("user", "Hello"),), sampling)])

    async def go() -> tuple[str, str, str]:
        plain = Sampling(max_tokens=24, temperature=0.0)
        lively = Sampling(max_tokens=24, temperature=0.0, steering=(("arousal", 1.0),))
        result = await said(plain), await said(lively), await said(plain)
        await model.close()
        return result

    before, steered, after = asyncio.run(go())
    assert before == after != steered
    with pytest.raises(CheckpointError, match=r"nothing\.npz"):
        load_model(load_settings(overrides={**chosen, "llm.directions": str(tmp_path / "nothing.npz")}, environment={}))
