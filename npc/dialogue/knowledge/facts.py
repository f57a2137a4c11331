"""Facts: what a character knows, one sentence each, with where it comes from and who may hear it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from npc.dialogue.character import Character
from npc.dialogue.composed.speech import Speaker
from npc.dialogue.knowledge.parts import parts


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing known. `confidence` in [0, 1]; `time` says when it holds, in words or ISO 8601.

    A secret is told only when `tell_to` is fulfilled (see `gate.py`); a secret without one is never told.
    `page` and `line` count from 1 and point into the document named by `source`.
    """

    id: str
    text: str
    source: str
    page: int | None = None
    line: int | None = None
    holder: str | None = None
    time: str | None = None
    confidence: float = 1.0
    secret: bool = False
    tell_to: str | None = None
    deflect: str | None = None
    topics: tuple[str, ...] = ()

    @property
    def guarded(self) -> bool:
        """Whether the gate must judge it before each turn."""
        return self.secret or self.tell_to is not None


@dataclass(frozen=True, slots=True)
class Statement:
    """One self-standing sentence of a fact: what retrieval scores and a reply says. `part` counts from 0 of `of`."""

    fact: Fact
    text: str
    part: int = 0
    of: int = 1

    @property
    def key(self) -> str:
        return f"{self.fact.id}/{self.part}"


def statements(facts: Iterable[Fact]) -> tuple[Statement, ...]:
    """Every fact cut into its self-standing parts."""
    found = []
    for fact in facts:
        pieces = parts(fact.text)
        found += [Statement(fact, piece, part, len(pieces)) for part, piece in enumerate(pieces)]
    return tuple(found)


#: Pronouns that open a fact, by the character's own: then the character is meant, for nobody was named before.
_OPENING = {"she": ("She", "Her"), "he": ("He", "His")}


def _named(text: str, character: Character) -> str:
    """ "Her mule died" -> "Sela's mule died", "She cannot swim" -> "Sela cannot swim", of a character called she."""
    nominative, possessive = _OPENING.get(character.pronouns, ("", ""))
    first, _, rest = text.partition(" ")
    if not nominative or first not in (nominative, possessive):
        return text
    name = next(iter(Speaker(character.name).names[1:]), character.name)
    return f"{name}'s {rest}" if first == possessive else f"{name} {rest}"


#: Holders that are everybody.
_EVERYBODY = frozenset({"everyone", "everybody", "anyone", "all"})


def holders(character: Character) -> frozenset[str]:
    """The names, in lower case, that a fact's `holder` may have for this character to know it."""
    return _EVERYBODY | {name.lower() for name in (character.id, character.name, *Speaker(character.name).names)}


def known_to(holder: str | None, names: frozenset[str]) -> bool:
    """Whether one of `names` (see `holders`) holds a fact; one without a holder belongs to whoever has the document."""
    return holder is None or holder.strip().lower() in names


def facts_of(character: Character) -> tuple[Fact, ...]:
    """The facts written in a character file that the character itself knows, in the file's order."""
    names = holders(character)
    return tuple(
        Fact(
            id=fact.id,
            text=_named(fact.text, character),
            source=fact.source,
            holder=fact.holder or character.id,
            time=fact.time,
            confidence=fact.confidence,
            secret=fact.is_secret,
            tell_to=fact.tell_to,
            deflect=fact.deflect,
            topics=fact.topics,
        )
        for fact in character.facts
        if known_to(fact.holder, names)
    )
