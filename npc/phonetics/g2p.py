"""Grapheme to phoneme: how an unknown word is probably said, several ways.

A joint n-gram model (Bisani and Ney 2008, doi:10.1016/j.specom.2008.01.002): a word and its phones are one sequence of
*graphones*, a letter with the 0 to 2 phones it stands for; an n-gram over graphones is learned from the CMU dictionary
and searched with a beam.

    v·V  e·EH  l·L  k·K  o·AO  r·R  a·AH          P = Π p(graphone | four graphones before)

Probabilities interpolate all orders by Witten and Bell's estimate. `g2p.json.gz` holds the counts; made by
`python -m npc.training.g2p`.
"""

from __future__ import annotations

import gzip
import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_MODEL = Path(__file__).with_name("g2p.json.gz")
_BEAM = 24
_MARK = -1


@dataclass(frozen=True, slots=True)
class Pronunciation:
    """Phones in ARPAbet without stress, and the natural logarithm of their probability."""

    phones: str
    log_probability: float


class GraphoneModel:
    """An n-gram model over graphones.

    `graphones` lists (letter, phones); `counts` maps a history (up to order - 1 graphone indices, -1 the word's edge)
    to the counts of what followed it.
    """

    def __init__(
        self,
        graphones: list[tuple[str, str]],
        counts: Mapping[tuple[int, ...], Mapping[int, int]],
        order: int,
    ) -> None:
        self._graphones, self._counts, self.order = graphones, counts, order
        self._by_letter: dict[str, list[int]] = {}
        for index, (letter, _) in enumerate(graphones):
            self._by_letter.setdefault(letter, []).append(index)
        self._totals = {history: sum(after.values()) for history, after in counts.items()}

    def probability(self, graphone: int, history: tuple[int, ...]) -> float:
        """Witten-Bell: p(g|h) = (c(hg) + T(h)·p(g|h')) / (c(h) + T(h)), T the number of kinds that followed h."""
        p = 1.0 / (len(self._graphones) + 1)
        for start in range(len(history), -1, -1):
            after = self._counts.get(history[start:])
            if after is None:
                break
            kinds = len(after)
            p = (after.get(graphone, 0) + kinds * p) / (self._totals[history[start:]] + kinds)
        return p

    def pronounce(self, word: str, count: int = 1) -> list[Pronunciation]:
        """The `count` likeliest pronunciations of a word of letters a-z and apostrophe; empty for an empty word."""
        keep = self.order - 1
        beam: list[tuple[float, tuple[int, ...], tuple[str, ...]]] = [(0.0, (_MARK,) * keep, ())]
        for letter in word:
            grown = [
                (
                    score + math.log(self.probability(graphone, history)),
                    (*history, graphone)[-keep:],
                    (*phones, *self._graphones[graphone][1].split()),
                )
                for score, history, phones in beam
                for graphone in self._by_letter.get(letter, ())
            ]
            grown.sort(key=lambda path: -path[0])
            beam = grown[:_BEAM]
        found: dict[str, float] = {}
        for score, history, phones in beam:
            if phones:
                spoken = " ".join(phones)
                score += math.log(self.probability(_MARK, history))
                found[spoken] = max(score, found.get(spoken, -math.inf))
        best = sorted(found.items(), key=lambda item: -item[1])[:count]
        return [Pronunciation(phones, score) for phones, score in best]


def save_model(path: Path, model: GraphoneModel) -> None:
    """Write counts as rows [history…, graphone, count, …], compressed, the same bytes every time."""
    rows = [[list(history), *(n for pair in after.items() for n in pair)] for history, after in model._counts.items()]
    body = json.dumps(
        {"order": model.order, "graphones": model._graphones, "rows": rows}, separators=(",", ":")
    ).encode()
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(body)


def load_model(path: Path) -> GraphoneModel:
    """Read what `save_model` wrote."""
    data = json.loads(gzip.decompress(path.read_bytes()))
    counts = {tuple(row[0]): dict(zip(row[1::2], row[2::2], strict=True)) for row in data["rows"]}
    return GraphoneModel([(letter, phones) for letter, phones in data["graphones"]], counts, data["order"])


@lru_cache(maxsize=1)
def default_model() -> GraphoneModel:
    """The model that ships with the package, read on first use."""
    return load_model(_MODEL)


def letters(word: str) -> str:
    """The word in the model's letters: lower case, accents dropped ("Zoë" → "zoe"), everything else left out."""
    plain = unicodedata.normalize("NFKD", word.lower().replace("ß", "ss").replace("æ", "ae").replace("ø", "o"))
    return "".join(letter for letter in plain if "a" <= letter <= "z" or letter == "'").strip("'")


def pronounce(word: str, count: int = 1) -> tuple[str, ...]:
    """Likely pronunciations of an invented or unknown word, likeliest first, as ARPAbet phones without stress.

    >>> pronounce("Velkora")[0]
    'V EH L K AO R AH'
    """
    return tuple(found.phones for found in default_model().pronounce(letters(word), count))
