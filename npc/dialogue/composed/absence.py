"""What speaks for "nothing known answers this": features of that choice, by the statement likest to the turn.

A near miss is often the likest statement and still lacks what is asked for: another thing's price, the right thing's
colour where its age was wanted. So the likest statement's fit and coverage, its lead over the next fact, and whether
the words it lacks stand in another statement ("elsewhere") are weighed for "nothing", signed so that more of any of
them speaks for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from npc.dialogue.knowledge.words import STOPWORDS, stem, tokens


class Stated(Protocol):
    """What is read of a candidate."""

    @property
    def key(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def fact_id(self) -> str | None: ...


def absence(rows: Sequence[tuple[Stated, Mapping[str, float]]], asking: str) -> dict[str, float]:
    """Features of "nothing" among candidates with theirs; empty without the taught encoder or candidates."""
    if not rows or "taught" not in rows[0][1]:
        return {}
    taught = [f["taught"] for _, f in rows]
    order = sorted(range(len(rows)), key=lambda row: -taught[row])
    likest, f = rows[order[0]]
    whose = likest.fact_id or likest.key
    second = next((row for row in order[1:] if (rows[row][0].fact_id or rows[row][0].key) != whose), None)
    words = stems(asking)
    own = set(stems(likest.text))
    also = set(stems(rows[second][0].text)) if second is not None else set()
    elsewhere = {word for candidate, _ in rows for word in stems(candidate.text)}
    count = max(1, len(words))
    mean = sum(taught) / len(taught)
    spread = math.sqrt(sum((score - mean) ** 2 for score in taught) / len(taught)) + 0.1
    return {
        "null_gap": taught[second] - taught[order[0]] if second is not None else -1.0,
        "null_soft": -max(features["soft"] for _, features in rows),
        "null_best_soft": -f["soft"],
        "null_fit": -f["fit"],
        "null_misfit": f["misfit"],
        "null_weakest": -f["weakest"],
        "null_opposed": f["opposed"],
        "null_other_one": max(f["other_one"], f["other_time"]) - f["same_one"],
        "null_elsewhere": sum(word not in own and word in elsewhere for word in words) / count,
        "null_union": -sum(word in own or word in also for word in words) / count,
        "null_words": min(8, len(words)) / 8.0,
        "null_z": (mean - taught[order[0]]) / spread / 4.0,
        "null_best_z": -f.get("taught_best_z", 0.0),
    }


@lru_cache(maxsize=4096)
def stems(text: str) -> tuple[str, ...]:
    """Stems of the words that carry a topic, each once."""
    return tuple(stem(word) for word in dict.fromkeys(tokens(text)) if word not in STOPWORDS)
