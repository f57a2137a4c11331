"""Does the text so far sound finished? Features of a partial transcript, and the linear model over them.

    "i would like to buy"   …transitive verb at the end, nothing bought      → open
    "if i bring the pelts"  …a subordinate clause and no main clause yet     → open
    "where is the smith"    …wh + verb + noun                                → probably complete

Recognisers give no punctuation, so features are words and word classes near the end, how the text begins, and which
clauses are still open. Weights come from `npc.training.endpointing`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from npc.phonetics.wordclass import word_class

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+")
_FINITE = frozenset({"be", "modal", "do", "have"})
_SUBJECTS = frozenset({"subject", "you", "it", "there"})
_LENGTHS = (1, 2, 3, 4, 6, 9, 14)


def words_of(text: str) -> list[str]:
    """Lower-case words of a transcript; figures are words too."""
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


def features(words: Sequence[str]) -> list[str]:
    """Names of the binary features of a text, in no order that matters; each at most once."""
    if not words:
        return ["empty"]
    classes = [word_class(word) for word in words]
    padded = ["<", "<", *classes]
    last, before, third = padded[-1], padded[-2], padded[-3]
    length = sum(len(words) >= bound for bound in _LENGTHS)
    found = [
        f"w1={words[-1]}",
        f"c1={last}",
        f"c2={before} {last}",
        f"c3={third} {before} {last}",
        f"length={length}",
        f"length={length} c1={last}",
        f"first={classes[0]} {length}",
        f"first={words[0]}",
    ]
    if len(words) > 1:
        found += [f"w2={words[-2]} {words[-1]}", f"start={classes[0]} {classes[1]}", f"v2={words[-2]}"]
    clauses = _clauses(classes)
    found += [f"clauses={clauses}", f"clauses={clauses} {last}", f"clauses={clauses} {classes[0]} {length}"]
    since = _since_break(classes)
    found += [f"since={since} {last}", f"since={since} {classes[-1 - min(since, len(classes) - 1)]} {last}"]
    return found


def _clauses(classes: Sequence[str]) -> str:
    """How many clauses were opened and how many have a verb: "sub/main" counts with the kind of beginning."""
    begins = (
        "sub"
        if classes[0] == "subordinator" or (classes[0] == "wh" and len(classes) > 1 and classes[1] in _SUBJECTS)
        else "question"
        if classes[0] in _FINITE or classes[0] == "wh"
        else "plain"
    )
    finite = sum(name in _FINITE or name in ("say", "transitive", "ed") for name in classes)
    subjects = sum(name in _SUBJECTS for name in classes)
    return f"{begins} {min(finite, 3)} {min(subjects, 3)}"


def _since_break(classes: Sequence[str]) -> int:
    """Words since the last one that opened a clause or phrase, at most 4."""
    for distance, name in enumerate(reversed(classes)):
        if name in ("coordinator", "subordinator", "wh", "so", "preposition", "to", "article", "possessive", "say"):
            return min(distance, 4)
    return 5


class TextModel:
    """Logistic regression over `features`: `weights` by feature name, unknown features count nothing."""

    def __init__(self, weights: Mapping[str, float], bias: float) -> None:
        self._weights, self._bias = dict(weights), bias

    def logit(self, text: str) -> float:
        """Log-odds that a turn is over after this text."""
        return self._bias + sum(self._weights.get(name, 0.0) for name in features(words_of(text)))
