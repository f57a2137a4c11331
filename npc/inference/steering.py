"""Steering vectors: directions in the residual stream that push a model towards a trait while it writes.

A direction is the mean difference of hidden states over contrastive prompts (Turner et al. 2023; Rimsky et al. 2024),
per layer, scaled so that strength 1 adds `SHARE` of the stream's own typical length in the chosen layers. Strengths
are bounded, off is bit-identical to unsteered; it acts from the last prompt token on, so cached prefixes stay shared.

    learn_direction   two sets of prompts; states at their ends. For sentences, where the trait is in what was said.
    learn_along       prompts that ask for much and for little, each with what the model said to it; states all along
                      the reply. For models that are asked by marks: how a trait is kept up while speaking is in it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from npc.inference.config import CheckpointError
from npc.inference.interface import ModelError
from npc.inference.kernels import PAGE, Floats
from npc.inference.step import Batch, Sizes, Step

STRENGTH_LIMIT = 1.0
#: Of the stream's length at strength 1: more costs language (docs/log.md: twice this, perplexity 2-10).
SHARE = 0.35


@dataclass(frozen=True, slots=True)
class Direction:
    """`vectors` is layers x hidden: zero in layers it leaves alone."""

    name: str
    vectors: Floats


def combine(wanted: Sequence[tuple[str, float]], directions: Mapping[str, Direction]) -> Floats | None:
    """The sum of directions times their strengths (clipped to [-1, 1]), or None when all are 0. Raises ModelError."""
    total: Floats | None = None
    for name, strength in wanted:
        if name not in directions:
            raise ModelError(f"no steering direction {name!r}; there are: {', '.join(directions) or 'none'}")
        bounded = max(-STRENGTH_LIMIT, min(STRENGTH_LIMIT, strength))
        if bounded:
            part = np.float32(bounded) * directions[name].vectors
            total = part if total is None else total + part
    return None if total is None else np.ascontiguousarray(total, np.float32)


@dataclass(frozen=True, slots=True)
class States:
    """The residual stream after each layer over some tokens: its mean, layers x hidden, and its mean length, layers."""

    mean: Floats
    length: Floats


def hidden_states(model: Step, tokens: Sequence[int], first: int | None = None) -> States:
    """The stream at the last token, or over those from `first` on. Uses pages 0.. of an idle model."""
    n = len(tokens)
    tables = np.arange(-(-n // PAGE), dtype=np.int32)[None]
    begin = n - 1 if first is None else first
    total = np.zeros((model.config.layers, model.config.hidden), np.float32)
    length = np.zeros(model.config.layers, np.float32)
    for at in range(0, n, 128):
        span = np.arange(at, min(at + 128, n), dtype=np.int32)
        batch = Batch(
            np.asarray(tokens, np.int32)[span],
            span,
            np.zeros(len(span), np.int32),
            tables,
            np.zeros(0, np.int32),
            want_taps=True,
        )
        taps = model.forward(batch).taps
        assert taps is not None
        wanted = taps[:, max(0, begin - at) :]
        total += wanted.sum(1)
        length += np.linalg.norm(wanted, axis=2).sum(1)
    return States(total / np.float32(n - begin), length / np.float32(n - begin))


def learn_direction(
    model: Step,
    name: str,
    more: Sequence[Sequence[int]],
    less: Sequence[Sequence[int]],
    layers: range | None = None,
) -> Direction:
    """The direction from prompts that show little of a trait to those that show much. `layers` defaults to the middle
    half, where directions are known to act best. Raises ValueError when the two sets cannot be told apart."""
    if not more or not less:
        raise ValueError("a direction needs prompts of both kinds")
    high = [hidden_states(model, t) for t in more]
    low = [hidden_states(model, t) for t in less]
    return _scaled(name, high, low, layers)


def learn_along(
    model: Step,
    name: str,
    more: Sequence[tuple[Sequence[int], Sequence[int]]],
    less: Sequence[tuple[Sequence[int], Sequence[int]]],
    layers: range | None = None,
) -> Direction:
    """The direction from (prompt, reply) of both kinds. Raises ValueError as `learn_direction` does."""
    if not more or not less:
        raise ValueError("a direction needs prompts of both kinds")
    high = [hidden_states(model, [*prompt, *said], len(prompt) - 1) for prompt, said in more]
    low = [hidden_states(model, [*prompt, *said], len(prompt) - 1) for prompt, said in less]
    return _scaled(name, high, low, layers)


def _scaled(name: str, high: Sequence[States], low: Sequence[States], layers: range | None) -> Direction:
    """From states of both kinds. Strength 1 is `SHARE` of their typical length, spread evenly over the layers."""
    count = len(high[0].length)
    chosen = list(layers if layers is not None else range(count // 4, max(count // 4 + 1, 3 * count // 4)))
    difference = np.mean([s.mean for s in high], axis=0) - np.mean([s.mean for s in low], axis=0)
    length = np.linalg.norm(difference, axis=1, keepdims=True)
    if not np.isfinite(length).all() or length[chosen].min() < 1e-6:
        raise ValueError(f"direction {name!r}: the two sets of prompts give the same hidden states")
    typical = np.mean([s.length for s in (*high, *low)], axis=0)[:, None]
    vectors = np.zeros_like(difference)
    vectors[chosen] = (difference / length * typical * np.float32(SHARE / np.sqrt(len(chosen))))[chosen]
    return Direction(name, vectors.astype(np.float32))


def fitting(direction: Direction, model: Sizes) -> Direction:
    """The direction, which must be of this model's sizes. Raises CheckpointError."""
    shape = (model.layers, model.hidden)
    if direction.vectors.shape != shape:
        raise CheckpointError(f"direction {direction.name!r} has shape {direction.vectors.shape}, the model {shape}")
    if not np.isfinite(direction.vectors).all():
        raise CheckpointError(f"direction {direction.name!r} holds NaN or infinity")
    return direction


def save_directions(path: Path, directions: Sequence[Direction]) -> None:
    """Write directions as one file of arrays (never pickle), under exactly this name."""
    with path.open("wb") as file, zipfile.ZipFile(file, "w") as held:
        for direction in directions:
            with held.open(f"{direction.name}.npy", "w") as member:
                np.save(member, direction.vectors, allow_pickle=False)


def load_directions(path: Path) -> list[Direction]:
    """Read what `save_directions` wrote. Raises CheckpointError."""
    try:
        with path.open("rb") as file:
            held = np.load(file, allow_pickle=False)
            if not isinstance(held, np.lib.npyio.NpzFile):
                raise ValueError("one array, not a set of them by name")
            return [Direction(name, held[name].astype(np.float32)) for name in held.files]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: not a file of steering directions: {error}") from None
