"""How near two words are in meaning: spelling, an everyday thesaurus, and word vectors where there is an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np

from npc.dialogue.knowledge.words import alike, stem, tokens
from npc.inference.encoder import SentenceEncoder, Vectors

#: Cosines of MiniLM word vectors: unrelated words lie around 0.26 (95th percentile 0.41), synonyms above 0.5.
_FLOOR, _CEILING = 0.40, 0.80
#: What one shared thesaurus group is worth beside the word itself.
_SAME_GROUP = 0.7
#: Word pairs whose likeness is kept; a character with 200 words meets some 20,000 in a long talk.
_PAIRS = 200_000
_NO_GROUPS: frozenset[int] = frozenset()


@lru_cache(maxsize=1)
def thesaurus() -> dict[str, frozenset[int]]:
    """Stem -> numbers of the groups it stands in."""
    groups: dict[str, set[int]] = {}
    text = (files("npc.dialogue.knowledge") / "thesaurus.txt").read_text("utf-8")
    for number, line in enumerate(text.splitlines()):
        if line.startswith("#"):
            continue
        for word in tokens(line):
            groups.setdefault(stem(word), set()).add(number)
    return {word: frozenset(numbers) for word, numbers in groups.items()}


@lru_cache(maxsize=1)
def contrasts() -> dict[str, dict[int, int]]:
    """Stem -> {line: side} of the contrasts it stands in."""
    sides: dict[str, dict[int, int]] = {}
    text = (files("npc.dialogue.knowledge") / "contrasts.txt").read_text("utf-8")
    for number, line in enumerate(text.splitlines()):
        if not line.startswith("#"):
            for side, words in enumerate(line.split("|")):
                for word in tokens(words):
                    sides.setdefault(stem(word), {})[number] = side
    return sides


def opposed(a: str, b: str) -> bool:
    """Whether two stems are different sides of a contrast ("red" and "yellow", "north" and "south")."""
    first, second = contrasts().get(a, {}), contrasts().get(b, {})
    return any(second.get(line, side) != side for line, side in first.items())


class WordMeaning:
    """Likeness of stems in [0, 1], with vectors of the surface words kept as they are met."""

    def __init__(self, encoder: SentenceEncoder | None) -> None:
        self._encoder = encoder
        self._vectors: dict[str, Vectors] = {}
        self._groups, self._contrasts = thesaurus(), contrasts()
        self._known: dict[tuple[str, str], float] = {}

    def learn(self, words: Sequence[str]) -> None:
        """Fetch vectors of words not met before, in one batch."""
        if self._encoder is None:
            return
        fresh = [word for word in dict.fromkeys(words) if word not in self._vectors and word.isalpha()]
        if fresh:
            for word, vector in zip(fresh, self._encoder.encode(fresh), strict=True):
                self._vectors[word] = vector

    def weigh(self, words: Sequence[str], others: Sequence[str]) -> None:
        """Compare every word with every other one at once: a product of matrices instead of one of vectors a pair."""
        fresh = [word for word in words if any((word, other) not in self._known for other in others)]
        mine = [word for word in fresh if word in self._vectors]
        theirs = [other for other in others if other in self._vectors]
        if not mine or not theirs:
            return
        if len(self._known) + len(mine) * len(theirs) > _PAIRS:
            self._known.clear()
        near = np.stack([self._vectors[w] for w in mine]) @ np.stack([self._vectors[w] for w in theirs]).T
        for word, row in zip(mine, near.tolist(), strict=True):
            for other, cosine in zip(theirs, row, strict=True):
                self._known[word, other] = self._compare(word, other, cosine)

    def likeness(self, a: str, b: str) -> float:
        """1 for the same word, up to 0.9 for misspellings, 0.7 within a thesaurus group, else by vectors."""
        found = self._known.get((a, b))
        if found is None:
            found = self._compare(a, b)
            if self._encoder is None or (a in self._vectors and b in self._vectors):
                if len(self._known) >= _PAIRS:
                    self._known.clear()
                self._known[a, b] = found
        return found

    def _compare(self, a: str, b: str, cosine: float | None = None) -> float:
        first, second = stem(a), stem(b)
        # Words spelt alike begin alike: most pairs end here.
        spelt = alike(first, second) if first[:1] == second[:1] else 0.0
        against = first in self._contrasts and second in self._contrasts and opposed(first, second)
        if spelt >= 0.85 and not (spelt < 1.0 and against):
            return spelt
        if against:
            return 0.0
        best = spelt
        if not self._groups.get(first, _NO_GROUPS).isdisjoint(self._groups.get(second, _NO_GROUPS)):
            best = max(best, _SAME_GROUP)
        if cosine is None:
            va, vb = self._vectors.get(a), self._vectors.get(b)
            cosine = float(va @ vb) if va is not None and vb is not None else 0.0
        return max(best, min(1.0, max(0.0, (cosine - _FLOOR) / (_CEILING - _FLOOR))) * 0.85)
