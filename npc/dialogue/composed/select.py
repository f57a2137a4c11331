"""Choosing the answer: the trained weights over the features, "nothing known answers" among the choices."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.dialogue.composed.features import Candidate, Heard, Index, Leaning, Scored, asking_text, measure
from npc.dialogue.composed.question import Question, understand
from npc.dialogue.context import Exchange
from npc.dialogue.knowledge.words import numbers_in, stem, tokens


class Weights:
    """The mean of a few small networks: each a linear score plus one hidden layer over standardised features."""

    def __init__(self, nets: Sequence[Mapping[str, Any]]) -> None:
        self._names = {name: i for i, name in enumerate(nets[0]["names"])}
        keys = ("linear", "mean", "scale", "inner", "bias", "outer")
        self._nets = [tuple(np.array(net[key], dtype=np.float64) for key in keys) for net in nets]

    def score(self, rows: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
        """One score a row; features that were not trained on count for nothing."""
        x = np.zeros((len(rows), len(self._names)))
        for i, row in enumerate(rows):
            for name, value in row.items():
                if (column := self._names.get(name)) is not None:
                    x[i, column] = value
        total = np.zeros(len(rows))
        for linear, mean, scale, inner, bias, outer in self._nets:
            total += x @ linear + np.tanh(((x - mean) / scale) @ inner + bias) @ outer
        return total / len(self._nets)


@lru_cache(maxsize=2)
def weights(kind: str) -> Weights:
    """Trained weights: "encoder", or "lexical" for when no sentence encoder is installed."""
    trained = json.loads((files("npc.dialogue") / "data" / "selector.json").read_text("utf-8"))
    return Weights(trained.get(kind) or trained["encoder"])


@dataclass(frozen=True, slots=True)
class Choice:
    """Candidates best first, and the score of "nothing known answers this" on the same scale."""

    ranked: tuple[Scored, ...]
    nothing: float
    asking: str

    @property
    def best(self) -> Scored | None:
        return self.ranked[0] if self.ranked else None

    @property
    def margin(self) -> float:
        """How far the best candidate stands above "nothing", in log-odds; minus infinity without candidates."""
        return self.ranked[0].score - self.nothing if self.ranked else -math.inf

    @property
    def confidence(self) -> float:
        """Probability of the best candidate against "nothing"."""
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, self.margin))))


def choose(
    index: Index,
    question: Question,
    *,
    place: str = "",
    now: str = "",
    leaning: Leaning | None = None,
    heard: Heard | None = None,
) -> Choice:
    """Rank all candidates against the question."""
    asking = asking_text(index, question, place, leaning)
    used = weights("encoder" if index.encoder is not None else "lexical")
    rows, nothing = measure(index, question, asking, leaning, now, heard=heard)
    scores = used.score([nothing, *(features for _, features in rows)])
    scored = [Scored(c, float(score), f) for (c, f), score in zip(rows, scores[1:], strict=True)]
    scored.sort(key=lambda item: -item.score)
    return Choice(tuple(scored), float(scores[0]), asking)


_LESS = re.compile(
    r"\b(cheaper|cheapest|less|least|fewer|fewest|quicker|quickest|faster|fastest|sooner|soonest|earlier|earliest|shorter|"
    r"shortest|smaller|smallest|nearer|nearest|closer|closest|lighter|lightest|younger|youngest|lower|lowest|first)\b",
    re.I,
)
_MORE = re.compile(
    r"\b(more|most|dearer|dearest|bigger|biggest|larger|largest|slower|slowest|later|latest|longer|longest|higher|highest|"
    r"heavier|heaviest|older|oldest|farther|farthest|further|deeper|deepest|taller|tallest|expensive|dear|costlier)\b",
    re.I,
)


def is_comparison(asking: str) -> bool:
    """Whether two things are to be weighed: "which is quicker", "A or B"."""
    compared = bool(_LESS.search(asking) or _MORE.search(asking))
    return compared and bool(re.search(r"\b(which|who|what|or|than)\b", asking, re.I))


def compare(choice: Choice, spread: float = 3.0) -> Scored | None:
    """Of the near-best candidates that say the same kind of thing with a number of the same unit each, the one the
    question asks for. It stands as high above "nothing" as the best of them: they were found together."""
    if not choice.ranked or not is_comparison(choice.asking):
        return None
    top = choice.ranked[0]
    figure = _figure(top.candidate.text)
    near = [s for s in choice.ranked[:5] if top.score - s.score < spread]
    alike = [
        (found[0], s)
        for s in near
        if (found := _figure(s.candidate.text)) is not None
        and figure is not None
        and found[1] == figure[1]
        and _overlap(s.candidate.text, top.candidate.text) >= 0.4
    ]
    if len(alike) < 2:
        return None
    less = bool(_LESS.search(choice.asking))
    wanted = (min if less else max)(alike, key=lambda pair: pair[0])[1]
    return replace(wanted, score=top.score)


def _figure(text: str) -> tuple[float, str] | None:
    """The first number of a text and the word behind it: "costs four silver" is 4.0, "silver"."""
    found = numbers_in(text)
    if not found:
        return None
    value, at = found[0]
    words = tokens(re.sub(r"(?<=\d),(?=\d{3}\b)", "", text))
    return value, stem(words[at + 1]) if at + 1 < len(words) else ""


def _overlap(a: str, b: str) -> float:
    first, second = set(tokens(a)), set(tokens(b))
    return len(first & second) / max(1, min(len(first), len(second)))


def same_fact(choice: Choice, chosen: Scored) -> Sequence[Scored]:
    """All parts of the chosen candidate's fact, in the order of the parts."""
    parts = [
        s for s in choice.ranked if s.candidate.fact_id is not None and s.candidate.fact_id == chosen.candidate.fact_id
    ]
    return sorted(parts, key=lambda s: s.candidate.part)


#: Log-odds for a secret whose condition this very turn fulfilled, and for what answered the very same question before:
#: it is what the player is after.
_WANTED = 9.0


def favour(choice: Choice, wanted: frozenset[str]) -> Choice:
    """Raise the facts that the player is after whatever the search thinks of them."""
    if not wanted:
        return choice
    raised = [replace(s, score=s.score + _WANTED * (s.candidate.fact_id in wanted)) for s in choice.ranked]
    return replace(choice, ranked=tuple(sorted(raised, key=lambda s: -s.score)))


def told_to(question: Question, history: Sequence[Exchange]) -> frozenset[str]:
    """The facts told when the very same was asked before: the search, following on what was told last, looks for
    something else."""
    asked = tokens(question.asking)
    same = (e for e in reversed(history) if e.fact_ids and tokens(understand(e.player).asking) == asked)
    exchange = next(same, None) if asked else None
    return frozenset(exchange.fact_ids) if exchange is not None else frozenset()


def said_part(told: Sequence[Candidate], reply: str) -> Candidate | None:
    """Which part of the cited fact was really said."""
    words = set(re.findall(r"\w+", reply.lower()))
    return max(
        told, key=lambda c: len(words & set(re.findall(r"\w+", c.text.lower()))) / len(c.text.split()), default=None
    )
