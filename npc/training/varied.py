"""Written talks put otherwise, so that an encoder learns what answers and not who was named or what was said before.

    names      in half of the steps most names of a world are others, the same ones in its statements and its turns
    context    a turn that stands by itself is now and then read behind another exchange of its world, or behind none

Nothing else changes: what is right stays right.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from npc.dialogue.composed.likeness import Behind, Stated
from npc.training.turns import Choice

#: Share of the steps with other names, and of the names that are others then.
RENAMED, EACH = 0.5, 0.7
#: Share of the turns that stand by themselves and are read behind another exchange, or (one in two) behind none.
SWAPPED = 0.3

#: A name: a capital behind a small word, not one of several in a row ("Mill Lane" is left alone).
_NAME = re.compile(r"\b[a-z']+[,;:]? ([A-Z][a-z]{2,})\b(?! [A-Z])")
_PLACED = re.compile(r"\b(in|at|to|from|near|of|for|towards|via)\s$")
#: Capitals that mean something beside whom they name.
_KEPT = frozenset(
    (
        "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "January", "February", "March",
        "April", "May", "June", "July", "August", "September", "October", "November", "December", "Christmas", "Easter",
        "English", "French", "German", "God", "Mr", "Mrs", "Miss", "Ms", "Dr", "Saint",
    )
)  # fmt: skip
#: Turns that lean on what was said before.
_LEANING = re.compile(
    r"\b(it|its|that|those|these|they|them|he|him|his|she|her|ones?|then|there)\b|^(and|or|what about|how about|but)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Names:
    """Names of some worlds: word to whether it is a place; and every name there is, persons' and places'."""

    own: Mapping[str, bool]
    others: Mapping[bool, Sequence[str]]


def common_words(worlds: Sequence[Sequence[Choice]]) -> frozenset[str]:
    """Words that any statement writes small: as names they would not be known again in a turn written small."""
    texts = {c.text for choices in worlds for choice in choices for c in choice.candidates}
    return frozenset(word for text in texts for word in re.findall(r"\b[a-z]+\b", text))


def names_of(choices: Sequence[Choice], common: frozenset[str]) -> dict[str, bool]:
    """Names in the statements and turns of a world, and whether each is mostly a place's."""
    texts = sorted({c.text for choice in choices for c in choice.candidates} | {choice.text for choice in choices})
    found: dict[str, list[bool]] = {}
    for text in texts:
        for match in _NAME.finditer(text):
            word = match[1]
            if word not in _KEPT and word.rstrip("s") not in _KEPT and word.lower() not in common:
                found.setdefault(word, []).append(_PLACED.search(text[: match.start(1)]) is not None)
    return {word: sum(places) * 2 > len(places) for word, places in sorted(found.items())}


def names_of_all(worlds: Sequence[Sequence[Choice]]) -> list[Names]:
    """The names of each world, with those of all worlds to take others from."""
    common = common_words(worlds)
    own = [names_of(choices, common) for choices in worlds]
    others = {kind: sorted({w for names in own for w in names if names[w] == kind}) for kind in (True, False)}
    return [Names(names, others) for names in own]


def varied(
    picked: Sequence[Choice], texts: Sequence[Stated], names: Names, chance: random.Random
) -> tuple[list[Choice], list[Stated]]:
    """The turns of a step and the statements, put otherwise. What is right is not looked at and stays."""
    changed: dict[str, str] = {}
    if chance.random() < RENAMED:
        for word, place in names.own.items():
            if chance.random() < EACH:
                changed[word] = chance.choice(names.others[place])
    befores = [choice.before for choice in picked if choice.before[0]]
    turns = []
    for choice in picked:
        before = choice.before
        if stands_alone(choice) and chance.random() < SWAPPED:
            before = chance.choice(befores) if befores and chance.random() < 0.5 else ("", "")
        player, reply = (renamed(part, changed) for part in before)
        turns.append(replace(choice, text=renamed(choice.text, changed), before=(player, reply)))
    return turns, [
        renamed(text, changed) if isinstance(text, str) else Behind(*(renamed(part, changed) for part in text))
        for text in texts
    ]


def stands_alone(choice: Choice) -> bool:
    """Whether a turn means the same whatever was said before it."""
    leaning = choice.kind in ("followup", "correction", "unknown") or _LEANING.search(choice.text) is not None
    return not leaning and len(choice.text.split()) > 4


def renamed(text: str, changed: Mapping[str, str]) -> str:
    """The text with other names; in a text written small throughout they are small, too."""
    if not changed:
        return text
    small = text == text.lower()
    names = {old.lower(): new.lower() for old, new in changed.items()} if small else changed
    return re.sub(r"\b\w+\b", lambda match: names.get(match.group(), match.group()), text)
