"""Tokens of a reply into spoken words: references become what they stand for, and where each stands is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from npc.dialogue.composed.speech import decapitalised
from npc.dialogue.realiser.grammar import Vocabulary


@dataclass(frozen=True, slots=True)
class Rendered:
    """`text` as spoken, `own` the model's own words alone (references as "…"), and for every reference (part, index)
    the words [start, end) it takes in `text`."""

    text: str
    own: str
    spans: tuple[tuple[str, int, int, int], ...]


def render(
    tokens: Sequence[int], values: Mapping[tuple[str, int], str], address: str, vocabulary: Vocabulary
) -> Rendered:
    """`values` by (part, index): a clause as a sentence, anything else as it stands within one."""
    text, own, part = "", "", ""
    spans: list[tuple[str, int, int, int]] = []
    for token in tokens:
        piece = vocabulary.text[token]
        if part:
            index = int(piece[2:-1])
            value = values[part, index].strip().rstrip(".")
            fresh = not text or text.rstrip()[-1] in ".!?"
            value = value[:1].upper() + value[1:] if fresh else lowered(value)
            text += (" " if text else "") + value
            own += (" " if own else "") + "…"
            end = len(text.split())
            spans.append((part, index, end - len(value.split()), end))
            part = ""
        elif piece == "<you>":
            text, own = f"{text}, {address}", f"{own}, …"
        elif piece.startswith("<"):
            part = piece[1:-1]
        else:
            if piece[:1] in ".!?" and text[-1:] in "!?":
                piece = piece[1:]
            text, own = text + piece, own + piece
    return Rendered(_neat(text), _neat(own), tuple(spans))


_WORDS = (
    "one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty sixty seventy "
    "eighty ninety half both all each some most many few another any several"
)
_NUMBERS = frozenset(_WORDS.split())


def lowered(text: str) -> str:
    """A clause as it goes on within a sentence: a number word loses its capital as articles and pronouns do."""
    first = text.split(" ", 1)[0]
    return text[:1].lower() + text[1:] if first.lower().split("-")[0] in _NUMBERS else decapitalised(text)


def _neat(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\.(,)", r"\1", text)
    return text[:1].upper() + text[1:]
