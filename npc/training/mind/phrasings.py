"""The written phrasings in `phrasings/*.txt`: how players ask and say things, how characters answer.

    = name @intent          a section (the intent only in talk.txt)
    w verb|verb             verbs of the section's facts (facts.txt)
    - {how much is|what's} E   what a player says: alternatives in braces, E a thing, M somebody's, D a number
    > For {e}, {v}.         a reply; [mood,mood] and (manner,manner) before it say when

Held out for validation, by construction: the last fifth of each section's player lines (every section of five lines or
more), and a third of the things and worlds in `words.py`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files

_CONDITION = re.compile(r"^(?:\[(?P<moods>[\w,]+)\]|\((?P<manners>[\w,]+)\))\s*")
_BRACES = re.compile(r"\{([^{}]*\|[^{}]*)\}")
#: Expansions of one line that are used; the first ones by a fixed stride where there are more.
MOST_EXPANSIONS = 120


@dataclass(frozen=True, slots=True)
class Line:
    """A reply, or a piece of one, with the moods and manners it belongs to (none: any)."""

    text: str
    moods: frozenset[str] = frozenset()
    manners: frozenset[str] = frozenset()


@dataclass(slots=True)
class Section:
    """Everything written about one intent, topic or kind of fact."""

    name: str
    intent: str = ""
    verbs: tuple[str, ...] = ()
    said: list[str] = field(default_factory=list)
    replies: list[Line] = field(default_factory=list)

    def players(self, held_out: bool) -> tuple[str, ...]:
        """Player lines for training, or those kept for validation."""
        cut = len(self.said) // 5
        if not cut:
            return tuple(self.said)
        return tuple(self.said[-cut:]) if held_out else tuple(self.said[:-cut])


@lru_cache(maxsize=8)
def sections(name: str) -> dict[str, Section]:
    """The sections of `phrasings/NAME.txt` by name. Raises ValueError naming file and line."""
    found: dict[str, Section] = {}
    current: Section | None = None
    text = (files("npc.training.mind") / "phrasings" / f"{name}.txt").read_text("utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("= "):
            title, _, intent = line[2:].partition(" @")
            current = found[title] = Section(title, intent)
        elif current is None:
            raise ValueError(f"{name}.txt, line {number}: text before the first section")
        elif line.startswith("- "):
            current.said.append(line[2:])
        elif line.startswith("w "):
            current.verbs = tuple(line[2:].split("|"))
        else:
            current.replies.append(_reply(line, f"{name}.txt, line {number}"))
    return found


def _reply(line: str, where: str) -> Line:
    text, moods, manners = line.removeprefix("> "), frozenset[str](), frozenset[str]()
    while (match := _CONDITION.match(text)) is not None:
        moods |= frozenset((match["moods"] or "").split(",")) - {""}
        manners |= frozenset((match["manners"] or "").split(",")) - {""}
        text = text[match.end() :]
    if not text or (not line.startswith("> ") and not moods and not manners):
        raise ValueError(f"{where}: neither a player line, a reply nor a section: {line!r}")
    return Line(text, moods, manners)


@lru_cache(maxsize=4096)
def expansions(line: str) -> tuple[str, ...]:
    """The line's alternatives spelt out, at most MOST_EXPANSIONS, evenly chosen."""
    parts = _BRACES.split(line)
    choices = [[part] if i % 2 == 0 else part.split("|") for i, part in enumerate(parts)]
    count = 1
    for choice in choices:
        count *= len(choice)
    stride = max(1, count // MOST_EXPANSIONS)
    every = itertools.islice(itertools.product(*choices), 0, None, stride)
    return tuple(dict.fromkeys(re.sub(r"\s+", " ", "".join(pieces)).strip() for pieces in every))[:MOST_EXPANSIONS]


def phrasing_count(section: Section) -> int:
    """How many different things a player says in this section."""
    return sum(len(expansions(line)) for line in section.said)


def every_section() -> Iterator[Section]:
    """All sections that players speak in."""
    for name in ("facts", "intents", "talk"):
        yield from (section for section in sections(name).values() if section.said)
