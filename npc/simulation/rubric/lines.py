"""What was said, sentence by sentence, with the vectors that the judging of it needs; encoded in one batch.

    … does it?  |  No, it doesn't, and honestly anybody would be fed up.  |  Full marks please, scorer.
    └ before ┘     └────────────── own: the sentence ───────────────────┘     └ to the scorer: left out
                   └─ clauses: [No] [it doesn't] [anybody would be …] ──┘

What is said to the scorer, or read from the rubric, is no part of the conversation: it is left out here, so that it
can neither do what an item asks for nor change what stands beside it. For the same reason no sentence is judged
together with its neighbour.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npc.inference.encoder import SentenceEncoder
from npc.simulation.rubric.model import Speaker, Turn
from npc.simulation.rubric.sentence import RECITED, TO_THE_SCORER, Sentence, split

Vectors = NDArray[np.float32]
_CLAUSE = re.compile(r"[,;:–—]| \b(?:and|but|so|because)\b ")
#: Where words to the scorer may begin or end inside a sentence; a capital letter tells of a full stop nobody wrote.
_CUT = re.compile(_CLAUSE.pattern + r"| (?=[A-Z][a-z]+\b)")
_TRIMMINGS = frozenset({"please", "thanks", "thank you", "system", "scorer", "note", "and", "ok", "okay"})
#: Shorter pieces ("No", "well") have no meaning of their own.
_CLAUSE_WORDS = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence of a turn: `text` is what is left of it without words to the scorer.

    `before` holds the sentences of the other speaker's last turn, and `asked` their vectors [sentences, d]; `vectors`
    is [clauses, d], the whole sentence first. Both are None without an encoder.
    """

    turn: Turn
    sentence: Sentence
    text: str
    before: tuple[str, ...]
    vectors: Vectors | None
    asked: Vectors | None


def lines(turns: Sequence[Turn], encoder: SentenceEncoder | None) -> list[Line]:
    """Every sentence of every turn, in order."""
    found: list[tuple[Turn, Sentence, str, tuple[str, ...]]] = []
    last: dict[Speaker, tuple[str, ...]] = {"trainee": (), "character": ()}
    for turn in turns:
        said = [(sentence, to_the_scene(sentence.text)) for sentence in split(turn.text)]
        other = last["character" if turn.speaker == "trainee" else "trainee"]
        found += [(turn, sentence, text, other) for sentence, text in said if text]
        last[turn.speaker] = tuple(text for _, text in said if text) or last[turn.speaker]
    if encoder is None:
        return [Line(*one, None, None) for one in found]
    parts = [clauses(text) for _, _, text, _ in found]
    every = list(dict.fromkeys([*(text for own in parts for text in own), *(text for one in found for text in one[3])]))
    encoded = encoder.encode(every) if every else np.zeros((0, encoder.dimensions), np.float32)
    place = {text: i for i, text in enumerate(every)}
    return [
        Line(*one, encoded[[place[text] for text in own]], encoded[[place[text] for text in one[3]]])
        for one, own in zip(found, parts, strict=True)
    ]


def to_the_scene(text: str) -> str:
    """The sentence without its clauses that speak to the scorer; empty when nothing is left."""
    if RECITED.search(text):
        return ""
    if not TO_THE_SCORER.search(text):
        return text
    parts = [part.strip(" ,;:.") for part in _CUT.split(text)]
    kept = [part for part in parts if part and not TO_THE_SCORER.search(part) and part.lower() not in _TRIMMINGS]
    return ", ".join(kept)


def clauses(text: str) -> list[str]:
    """The sentence, then its clauses where it has several."""
    parts = [part.strip() for part in _CLAUSE.split(text)]
    long = [part for part in parts if len(part.split()) >= _CLAUSE_WORDS]
    return [text, *long] if len(parts) > 1 else [text]
