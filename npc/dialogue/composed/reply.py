"""A composed reply: its words, the facts it cites by word span, and how it becomes clauses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from npc.dialogue.context import Context
from npc.dialogue.interface import Citation, Clause
from npc.dialogue.knowledge.facts import Fact


@dataclass(frozen=True, slots=True)
class Reply:
    """The words, the facts cited by word span, and the route that led there (for the bench and the inspector)."""

    text: str
    route: str
    citations: tuple[Citation, ...] = ()
    slots: Mapping[str, str] = field(default_factory=dict)
    """What was filled into a stock line (thing, value, text, why), for a realiser that words it anew."""
    plain: str = ""
    """The composer's words, where a realiser put others in their place."""


def behind(first: Reply, then: Reply) -> Reply:
    """One reply after another, citations in place."""
    shift = len(first.text.split())
    spans = [replace(c, word_start=c.word_start + shift, word_end=c.word_end + shift) for c in then.citations]
    return Reply(f"{first.text} {then.text}", "whisper", (*first.citations, *spans))


def cite(reply: Reply, said: str, fact_id: str, source: str) -> Reply:
    start = len(reply.text[: reply.text.find(said)].split()) if said in reply.text else 0
    span = Citation(fact_id, source, start, start + len(said.split()))
    return replace(reply, citations=(span,))


def cite_all(reply: Reply, told: Sequence[tuple[str, Fact]]) -> Reply:
    """The facts whose words stand in the reply, each by its own span."""
    spans = tuple(
        c for said, fact in told if said in reply.text for c in cite(reply, said, fact.id, fact.source).citations
    )
    return replace(reply, citations=spans)


def clauses(reply: Reply, context: Context) -> list[Clause]:
    """Sentences of a reply as clauses, citations shifted to their clause, the action placed before its first word."""
    pieces = [piece for piece in re.split(r"(?<=[.!?])\s+(?=[A-Z\"'])", reply.text) if piece.strip()] or [reply.text]
    found, at = [], 0
    for number, piece in enumerate(pieces):
        size = len(piece.split())
        spans = tuple(
            replace(c, word_start=max(0, c.word_start - at), word_end=min(size, c.word_end - at))
            for c in reply.citations
            if c.word_start < at + size and c.word_end > at
        )
        actions = (context.action,) if number == 0 and context.act == "action" and context.action else ()
        found.append(Clause(piece, context.affect, spans, actions))
        at += size
    return found
