"""What a reply answers, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from npc.conversation.ledger import LedgerAction
from npc.conversation.playout import Playout
from npc.dialogue.interface import Clause, PlayerTurn


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reply answers: the turn (None: the character speaks of itself), when it was decided, when voice ended."""

    turn: PlayerTurn | None
    decided: float
    voice_ended: float | None = None
    transcribed: float | None = None
    metadata: dict[str, Any] | None = None
    text_only: bool | None = None
    line: tuple[Clause, ...] | None = None
    """Said instead of asking the mind."""
    answers: tuple[str, ...] = ()
    """What the player said that is answered by it, newest last."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a reply."""

    response_id: str
    item_id: str
    turn: PlayerTurn | None
    text: str
    heard: str
    answer_heard: str
    """`heard` without a filler: what the mind is told, and what makes the player's words answered."""
    played: int
    rate: int
    status: str
    interrupted: bool
    text_only: bool
    begun: tuple[LedgerAction, ...]
    cancelled: tuple[LedgerAction, ...]
    undone: frozenset[str]
    stages: dict[str, float]
    speculation: dict[str, float]
    answers: tuple[str, ...] = ()
    answered: bool = False
    """`Host.on_answered` has been told of them."""
    asked_again: bool = False
    """A later reply answers the same."""
    mind_failed: Exception | None = None
    voice_failed: Exception | None = None


def heard_of(playout: Playout) -> tuple[str, int]:
    """What was heard of a reply by what is known now, and the samples played. Text is read, not heard: what was sent
    was taken in."""
    played = playout.ledger.played(playout.pacer.lead)
    if playout.reply.text_only and playout.ledger.sent == 0:
        return " ".join(clause.text for clause in playout.reply.made[: playout.clauses_told]), played
    return playout.ledger.heard_text(played), played


def answer_in(heard: str, made: Sequence[Clause]) -> str:
    """What of the words heard was answer: all but the filler before it."""
    if not made or not made[0].filler:
        return heard
    return " ".join(heard.split()[len(made[0].text.split()) :])


def merged(turn: PlayerTurn, earlier: tuple[str, ...]) -> PlayerTurn:
    """A turn together with what the player had said before it and was never answered."""
    text = " ".join(part for part in (*earlier, turn.text) if part)
    return replace(turn, text=text)
