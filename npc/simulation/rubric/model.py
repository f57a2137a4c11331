"""Rubric items, the turns they are judged on, and verdicts with their evidence. Frozen; nothing here decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["must_say", "must_not_say", "must_ask", "order", "timing", "action", "fact_elicited"]
Speaker = Literal["trainee", "character"]


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a rubric. `params` by kind:

    must_say, must_ask, must_not_say: examples (sentences that would count), phrases (words that hint at it)
    order: before, after (ids of other items)
    timing: metric, min and/or max
    action: name, and optionally arguments that must be equal
    fact_elicited: fact (what the character must have said)
    """

    id: str
    kind: Kind
    description: str
    params: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    critical: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the conversation, in seconds from its start. `actions` are those the speaker took in it."""

    n: int
    speaker: Speaker
    text: str
    start_s: float
    end_s: float
    actions: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Words `[word_start, word_end)` of a turn that support a verdict, and the audio they lie in, in seconds.

    The audio span is the share of the turn that the words take, which is exact where the turn has no long pause.
    """

    turn: int
    word_start: int
    word_end: int
    start_s: float
    end_s: float
    quote: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`met` is None when the item could not be observed (its trigger never came). `confidence` in [0, 1]."""

    item: str
    met: bool | None
    confidence: float
    evidence: tuple[Evidence, ...] = ()
    reason: str = ""


def cite(turn: Turn, word_start: int = 0, word_end: int | None = None) -> Evidence:
    """Evidence for words of a turn; the whole turn by default."""
    words = turn.text.split()
    end = len(words) if word_end is None else word_end
    length = max(1, len(words))
    span = turn.end_s - turn.start_s
    return Evidence(
        turn.n,
        word_start,
        end,
        round(turn.start_s + span * word_start / length, 3),
        round(turn.start_s + span * end / length, 3),
        " ".join(words[word_start:end]),
    )
