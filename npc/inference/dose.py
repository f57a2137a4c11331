"""Dose and response of steering directions: does more of a direction give more of the trait, and what does it cost?

For each strength the model continues the same prompts. A judge that has nothing to do with the model scores the text
(for the four traits of `npc.inference.traits` the classifier trained for it, for any other direction the sentence
encoder's likeness to its two sets of example sentences), and the unsteered model's perplexity on that text says how far
it was pushed from what it would say itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from npc.inference.encoder import SentenceEncoder
from npc.inference.engine import Engine
from npc.inference.interface import Priority, Sampling
from npc.inference.kernels import PAGE, Floats
from npc.inference.steering import Direction
from npc.inference.step import Batch, Step

Judge = Callable[[Sequence[str]], float]
STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Dose:
    """One strength: the judge's mean score (NaN without a judge), the unsteered model's perplexity on what was said,
    and the replies, so that a second judge needs no second run."""

    strength: float
    score: float
    perplexity: float
    texts: tuple[str, ...]


def likeness_judge(encoder: SentenceEncoder, more: Sequence[str], less: Sequence[str]) -> Judge:
    """Mean likeness to `more` minus likeness to `less`, by sentence vectors: about -0.3..0.3."""
    high, low = encoder.encode(more).mean(0), encoder.encode(less).mean(0)

    def judge(texts: Sequence[str]) -> float:
        vectors = encoder.encode([t or "." for t in texts])
        return float((vectors @ (high - low)).mean())

    return judge


def perplexity(model: Step, tokens: Sequence[int], first: int) -> float:
    """Perplexity of tokens[first:] given what is before them. Uses pages 0.. of an idle model."""
    n = len(tokens)
    span = np.arange(n, dtype=np.int32)
    pages = np.arange(-(-n // PAGE), dtype=np.int32)[None]
    rows = model.forward(Batch(np.asarray(tokens, np.int32), span, np.zeros(n, np.int32), pages, span[first - 1 : -1]))
    assert rows.logits is not None
    wide = rows.logits.astype(np.float64)
    wide -= wide.max(1, keepdims=True)
    likely = wide - np.log(np.exp(wide).sum(1, keepdims=True))
    return float(np.exp(-likely[np.arange(n - first), np.asarray(tokens[first:])].mean()))


def replies(
    model: Step,
    prompts: Sequence[Sequence[int]],
    steering: Floats | None,
    *,
    max_tokens: int,
    ends: frozenset[int],
    seed: int,
) -> list[list[int]]:
    """Tokens said to each prompt, sampled at temperature 0.7 with fixed seeds, without end tokens."""
    engine = Engine(model)
    said: list[list[int]] = [[] for _ in prompts]
    at_once = engine.limits.waiting
    for first in range(0, len(prompts), at_once):
        numbers = {
            engine.submit(
                prompt,
                Sampling(max_tokens=max_tokens, temperature=0.7, seed=seed + i),
                priority=Priority.FOCUS,
                end_tokens=ends,
                steering=steering,
            ): i
            for i, prompt in enumerate(prompts[first : first + at_once], first)
        }
        while engine.busy:
            for event in engine.step():
                if event.token is not None and event.token not in ends:
                    said[numbers[event.sequence]].append(event.token)
    engine.tree.clear()
    return said


def response(
    model: Step,
    direction: Direction,
    prompts: Sequence[Sequence[int]],
    decode: Callable[[Sequence[int]], str],
    judge: Judge | None,
    *,
    strengths: Sequence[float] = STRENGTHS,
    max_tokens: int = 40,
    ends: frozenset[int] = frozenset(),
    seed: int = 1,
) -> list[Dose]:
    """The table of one direction, with the same seeds at each strength, so that doses are comparable."""
    table: list[Dose] = []
    for strength in strengths:
        vector = np.float32(strength) * direction.vectors if strength else None
        said = replies(model, prompts, vector, max_tokens=max_tokens, ends=ends, seed=seed)
        spoken = [(p, s) for p, s in zip(prompts, said, strict=True) if s]
        costs = [perplexity(model, [*p, *s], len(p)) for p, s in spoken]
        texts = [decode(s) for s in said]
        table.append(
            Dose(
                strength,
                judge(texts) if judge is not None else float("nan"),
                float(np.exp(np.mean(np.log(costs)))) if costs else float("nan"),
                tuple(texts),
            )
        )
    return table


def monotone(table: Sequence[Dose]) -> float:
    """Spearman's rank correlation of strength and score: 1 when every larger dose scores higher."""
    ranks = np.argsort(np.argsort([d.score for d in table])).astype(float)
    order = np.argsort(np.argsort([d.strength for d in table])).astype(float)
    return float(np.corrcoef(ranks, order)[0, 1])
