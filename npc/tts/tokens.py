"""Cut a clause into the tokens a letter-to-sound front end reads, each with its characters in the text.

    "Well-met," said Éowyn — "5 gold!"
     └──┬───┘  └┬─┘ └─┬─┘     │ └┬─┘
      token    token token    … token      before '"', after ',', name ASCII

A token is a run without white space; dashes and ellipses between words count as white space with a comma's pause.
Quotes and brackets around it are kept apart (`before`, `after`): the phrasing looks at them, nobody says them. What has
no letter, digit or spoken symbol is no token.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Longest piece given to the letter-to-sound rules at once: nothing pronounceable is longer, and Flite copies words
#: into buffers of 64 bytes.
LONGEST = 40

#: Of a longer run without white space (a hash, a joke) only this much is spoken: forty x take nine seconds to say.
MOST_OF_A_RUN = 80

_RUN = re.compile(r"[^\s—–…―]+")
_BREAK = re.compile(r"[—–…―]")
_BEFORE, _AFTER = "\"'`({[<*_~#|", "\"'`.,:;!?(){}[]<>*_~#|"
_FOLD = str.maketrans({
    "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‐": "-", "‑": "-", "−": "-",
    "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ß": "ss", "ð": "th", "Ð": "Th", "þ": "th",
    "Þ": "Th", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i", "×": "x", "°": "degrees", "€": "euro", "£": "pounds",
})  # fmt: skip
_SPOKEN = re.compile(r"[A-Za-z0-9%&@+=$]")


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its ASCII name, the marks around it, its characters `[start, end)`, and its phones where given."""

    name: str
    before: str
    after: str
    start: int
    end: int
    phones: tuple[str, ...] | None = None


def fold(text: str) -> str:
    """ASCII nearest to `text`: accents dropped, ligatures spelt out, other scripts left out.

    >>> fold("Éowyn’s")
    "Eowyn's"
    """
    plain = unicodedata.normalize("NFKD", text.translate(_FOLD))
    return plain.translate(_FOLD).encode("ascii", "ignore").decode("ascii")


def lexicon_key(spelling: str) -> str:
    """How a lexicon's spelling is matched: folded, lower case."""
    return fold(spelling).lower()


def tokenise(text: str, lexicon: Mapping[str, Sequence[str]] | None = None) -> list[Token]:
    """Tokens of `text` in order. `lexicon` maps `lexicon_key(spelling)` to phones; a possessive 's is understood."""
    known = lexicon or {}
    found: list[Token] = []
    for run in _RUN.finditer(text):
        if found and _BREAK.search(text, found[-1].end, run.start()):
            last = found[-1]
            found[-1] = Token(last.name, last.before, last.after or ",", last.start, last.end, last.phones)
        found.extend(_split(run.group(), run.start(), known))
    return found


def _split(raw: str, at: int, known: Mapping[str, Sequence[str]]) -> list[Token]:
    """The tokens of one run: usually one, more when it is too long to be a word."""
    folded = fold(raw)
    inner = folded.lstrip(_BEFORE)
    before = folded[: len(folded) - len(inner)]
    name = inner.rstrip(_AFTER)
    after = inner[len(name) :]
    if not _SPOKEN.search(name):
        return []
    # A control character (a stray NUL would end the C string early) is never part of a name.
    name = "".join(character for character in name if character.isprintable())
    end = at + len(raw)
    phones = _phones(name, known)
    if phones is not None or len(name) <= LONGEST:
        return [Token(name, before, after, at, end, phones)]
    pieces = [name[i : i + LONGEST] for i in range(0, min(len(name), MOST_OF_A_RUN), LONGEST)]
    spoken = [piece for piece in pieces if _SPOKEN.search(piece)]
    return [Token(piece, "", after if piece is spoken[-1] else "", at, end) for piece in spoken]


def _phones(name: str, known: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    lower = name.lower()
    if lower in known:
        return tuple(known[lower])
    if lower.endswith("'s") and lower[:-2] in known:
        stem = tuple(known[lower[:-2]])
        return (*stem, *_possessive(stem[-1]))
    return None


def _possessive(last: str) -> tuple[str, ...]:
    """The sound of 's after a phone (ARPAbet): /ɪz/ after a sibilant, /s/ after a voiceless consonant, else /z/."""
    bare = last.rstrip("012").upper()
    if bare in {"S", "Z", "SH", "ZH", "CH", "JH"}:
        return ("IH0", "Z")
    return ("S",) if bare in {"P", "T", "K", "F", "TH"} else ("Z",)


def runs(text: str) -> list[tuple[int, int]]:
    """Characters `[start, end)` of every run between white space that has a letter or digit of any script: what an
    engine with its own text analysis speaks as a word."""
    spans = [(run.start(), run.end()) for run in _RUN.finditer(text)]
    return [(start, end) for start, end in spans if any(character.isalnum() for character in text[start:end])]
