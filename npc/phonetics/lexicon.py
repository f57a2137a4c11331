"""Pronunciations from the CMU dictionary, in the copy that the `pocketsphinx` package carries (no stress digits)."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

_ALTERNATIVE = re.compile(r"\(\d+\)$")


class Lexicon:
    """Words (lower case) and their pronunciations, likeliest first, in ARPAbet: "tomato" → "T AH M EY T OW", …"""

    def __init__(self, entries: Mapping[str, tuple[str, ...]]) -> None:
        self._entries = entries

    def __contains__(self, word: str) -> bool:
        return word.lower() in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def phones(self, word: str) -> tuple[str, ...]:
        """Pronunciations of `word`; empty when it is not in the dictionary."""
        return self._entries.get(word.lower(), ())


def read_lexicon(path: Path) -> Lexicon:
    """Read a dictionary file of lines "word PH PH" and "word(2) PH PH". Raises ValueError naming file and line."""
    entries: dict[str, list[str]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        word, _, phones = line.strip().partition(" ")
        if not word:
            continue
        if not phones:
            raise ValueError(f"{path}:{number}: no phones for {word!r}")
        entries.setdefault(_ALTERNATIVE.sub("", word.lower()), []).append(phones.strip())
    return Lexicon({word: tuple(variants) for word, variants in entries.items()})


def sphinx_model() -> Path | None:
    """Folder of the English model inside the `pocketsphinx` package, found without importing it; None when absent."""
    spec = importlib.util.find_spec("pocketsphinx")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        model = Path(place) / "model" / "en-us"
        if (model / "cmudict-en-us.dict").is_file():
            return model
    return None


@lru_cache(maxsize=1)
def default_lexicon() -> Lexicon:
    """The CMU dictionary (134,000 entries, read once in 0.15 s); empty without the `pocketsphinx` package."""
    model = sphinx_model()
    return read_lexicon(model / "cmudict-en-us.dict") if model else Lexicon({})
