"""What is remembered: one record a thing, with where it came from and how long it matters."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["name", "fact", "promise", "event", "relationship", "summary"]
Consent = Literal["session", "lasting"]

#: Days until a record of salience 0.5 has lost half its weight; a name (salience 1) keeps four times as long.
HALF_LIFE_DAYS = 30.0
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Memory:
    """One thing a character remembers about a player.

    `subject` and `value` are set where it is a slot ("name" -> "Tamsin"); a newer value supersedes the old one.
    `speaker` says whose words it comes from; `turn_id` is the turn it was heard in; `told_by` names the character it
    was passed on by, when it is gossip. Times are seconds since the epoch, salience and confidence in [0, 1].
    """

    id: str
    kind: Kind
    text: str
    created: float
    subject: str = ""
    value: str = ""
    speaker: Literal["player", "character", "game"] = "player"
    turn_id: str = ""
    salience: float = 0.5
    confidence: float = 1.0
    consent: Consent = "lasting"
    told_by: str | None = None
    superseded_by: str | None = None


@dataclass(frozen=True, slots=True)
class Spoken:
    """A turn as it was said and heard, in order."""

    turn_id: str
    player: str
    reply: str
    created: float
    interrupted: bool = False
    fact_ids: tuple[str, ...] = ()
    session: str = ""


@dataclass(frozen=True, slots=True)
class Recalled:
    """A memory with why it was recalled: relevance, recency and salience, each in [0, 1], and their product-sum."""

    memory: Memory
    score: float
    relevance: float
    recency: float
    reasons: tuple[str, ...] = field(default=())


def recency(memory: Memory, now: float) -> float:
    """2 ** (-age / half-life); the half-life grows from a quarter to four times the base with salience."""
    age_days = max(0.0, now - memory.created) / _DAY
    half_life = HALF_LIFE_DAYS * math.pow(4.0, 2.0 * memory.salience - 1.0)
    return math.pow(2.0, -age_days / half_life)
