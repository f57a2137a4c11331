"""Whether a statement is about another one of the same kind, or about another time, than the question.

    "When's the first tram?"           The last tram leaves at one.        another tram
    "Who runs the first shift?"        Adeyemi runs the second shift.      another shift
    "How often does number four run?"  The number nine runs every hour.    another number
    "What did it cost last year?"      Rye costs three pennies.            another time

A taught encoder finds such statements very near; what parts them is one word in front of, or behind, a word they share.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from npc.dialogue.knowledge.grammar import PREPOSITIONS, verb_at
from npc.dialogue.knowledge.words import STOPWORDS, numbers_in, stem, tokens

_TIME = re.compile(
    r"\b(?:(?:last|next) (?:year|week|month|night|time|spring|summer|autumn|winter|\w+day)|yesterday|tomorrow"
    r"|\w+ (?:years?|weeks?|months?|days?) ago|in (?:1[0-9]|20)\d\d|when you were|before the|used to)\b",
    re.I,
)
_ORDINALS = frozenset(
    (
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "last",
        "next",
        "other",
        "same",
        "old",
        "new",
    )
)


_RANKS = frozenset(stem(word) for word in _ORDINALS)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Words of a text with what stands beside them: stem of the word -> stems of what qualifies it."""

    beside: frozenset[tuple[str, str]]
    stems: frozenset[str]
    time: str


@lru_cache(maxsize=8192)
def pairs_of(text: str) -> Pairs:
    """The qualified words of a text: "the last tram" and "gate six" are (tram, last) and (gate, six)."""
    words = tokens(text)
    numbers = {at for _, at in numbers_in(text)}
    verb = verb_at(words)
    doing = words[verb[0]] if verb is not None else ""
    found = set()
    for at, word in enumerate(words):
        if at and _names(word, doing) and _qualifies(words[at - 1], doing):
            found.add((stem(word), stem(words[at - 1])))
        if at and at in numbers and _names(words[at - 1], doing) and at - 1 not in numbers:
            found.add((stem(words[at - 1]), stem(word)))
    time = _TIME.search(text)
    return Pairs(frozenset(found), frozenset(stem(word) for word in words), time.group().lower() if time else "")


@lru_cache(maxsize=1024)
def _ranks(mark: str) -> bool:
    """Whether a quality tells one of a kind from the next: a number or an ordinal, not "small" or "red"."""
    return mark in _RANKS or bool(numbers_in(mark))


def _names(word: str, doing: str) -> bool:
    return len(word) > 2 and word not in STOPWORDS and word not in PREPOSITIONS and word != doing


def _qualifies(word: str, doing: str) -> bool:
    return (word in _ORDINALS or word not in STOPWORDS) and word not in PREPOSITIONS and word != doing


def contrast(asked: Pairs, told: Pairs) -> dict[str, float]:
    """Features of a statement: `other_one` a word they share is qualified otherwise, `same_one` as asked, `other_time`
    a time is asked about that the statement does not speak of."""
    other = same = 0.0
    for word, quality in asked.beside:
        theirs = [mark for noun, mark in told.beside if noun == word]
        if quality in theirs:
            same = 1.0
        elif _ranks(quality) and quality not in told.stems and any(_ranks(mark) for mark in theirs):
            other = 1.0
    return {"other_one": other, "same_one": same, "other_time": float(bool(asked.time) and asked.time != told.time)}
