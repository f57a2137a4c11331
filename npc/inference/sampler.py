"""From logits to a token: penalties, masks, temperature, top-k, top-p, min-p, and one uniform number a position.

The random number of a position depends on the seed and the position alone, so a token does not depend on how it was
computed: one by one, drafted and checked, after a preemption, or beside other sequences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from npc.inference.interface import ModelError, Sampling
from npc.inference.kernels import Floats

_MASK = (1 << 64) - 1


def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) from seed and position (SplitMix64, Steele et al. 2014)."""
    x = (seed * 0x9E3779B97F4A7C15 + (position + 1) * 0xBF58476D1CE4E5B9) & _MASK
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = ((x ^ (x >> shift)) * factor) & _MASK
    return ((x ^ (x >> 31)) >> 11) / 2.0**53


def check(sampling: Sampling, vocab: int) -> None:
    """Raise ModelError naming the first parameter that cannot be used with a vocabulary of `vocab` tokens."""
    for name, fine, wanted in (
        ("max_tokens", sampling.max_tokens >= 1, "at least 1"),
        ("temperature", 0.0 <= sampling.temperature < math.inf, "0 (greedy) or more"),
        ("top_k", sampling.top_k >= 0, "0 (all) or more"),
        ("top_p", 0.0 < sampling.top_p <= 1.0, "in (0, 1]"),
        ("min_p", 0.0 <= sampling.min_p <= 1.0, "in [0, 1]"),
        ("repetition_penalty", 0.0 < sampling.repetition_penalty < math.inf, "above 0"),
    ):
        if not fine:
            raise ModelError(f"{name} must be {wanted}, not {getattr(sampling, name)}")
    for token, bias in sampling.logit_bias:
        if not 0 <= token < vocab or math.isnan(bias):
            raise ModelError(f"logit_bias {bias} of token {token}: tokens are 0 to {vocab - 1}, a bias is a number")


def adjust(logits: Floats, tokens: Sequence[int], sampling: Sampling, mask: Floats | None) -> Floats:
    """Logits after repetition penalty (Keskar et al. 2019, over all `tokens` so far), bias and grammar mask (added)."""
    if sampling.repetition_penalty == 1.0 and not sampling.logit_bias and mask is None:
        return logits
    out = logits.copy()
    if sampling.repetition_penalty != 1.0 and tokens:
        seen = np.unique(np.asarray(tokens))
        values = out[seen]
        out[seen] = np.where(values > 0, values / sampling.repetition_penalty, values * sampling.repetition_penalty)
    for token, bias in sampling.logit_bias:
        out[token] += np.float32(bias)
    if mask is not None:
        out += mask
    return out


def choose(logits: Floats, sampling: Sampling, draw: Callable[[], float]) -> int:
    """The token: the largest logit at temperature 0, else by the inverse of the cumulative distribution at `draw()`."""
    if sampling.temperature <= 0.0:
        return int(logits.argmax())
    kept = np.flatnonzero(np.isfinite(logits))
    if sampling.top_k and sampling.top_k < len(kept):
        kept = kept[np.argpartition(-logits[kept], sampling.top_k - 1)[: sampling.top_k]]
    kept = kept[np.lexsort((kept, -logits[kept]))] if sampling.top_k or sampling.top_p < 1.0 else kept
    scaled = logits[kept].astype(np.float64) / sampling.temperature
    weight = np.exp(scaled - scaled.max())
    if sampling.top_p < 1.0:
        share = np.cumsum(weight) / weight.sum()
        count = int(np.searchsorted(share, sampling.top_p)) + 1
        kept, weight = kept[:count], weight[:count]
    if sampling.min_p > 0.0:
        likely = weight >= sampling.min_p * weight.max()
        kept, weight = kept[likely], weight[likely]
    total = np.cumsum(weight)
    return int(kept[min(int(np.searchsorted(total, draw() * total[-1], side="right")), len(kept) - 1)])


def log_probability(logits: Floats, token: int) -> float:
    """Natural log of the softmax of `logits` at `token`."""
    wide = logits.astype(np.float64)
    top = wide.max()
    return float(wide[token] - top - np.log(np.exp(wide - top).sum()))
