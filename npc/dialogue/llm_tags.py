"""The marks a language model may put into its reply, taken out while it streams. Pure; nothing marked ever reaches
speech.

    <emotion:joy> Rope is six silver <cite:price-rope>. <act:give_item {"item": "rope"}> *smiles* [joy] <|im_end|>
      └ Mood("joy")   text             └ Cite             └ Act                         └── removed ──────────┘

Held back while undecided: from "<", "[" or "*" to its end, at most MAX_MARK characters; what is not closed by then is
dropped with its bracket. So a mark split across tokens anywhere reads the same as in one piece.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from npc.protocol.names import EMOTIONS

MAX_MARK = 600


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Mood:
    emotion: str


@dataclass(frozen=True, slots=True)
class Cite:
    fact_id: str


@dataclass(frozen=True, slots=True)
class Act:
    name: str
    arguments: Mapping[str, Any]


Piece = Text | Mood | Cite | Act

_CLOSERS = {"<": ">", "[": "]", "*": "*", "{": "}"}
_NAMES = frozenset(str(name) for name in EMOTIONS)
_ACT = re.compile(r"^act:\s*([a-z][a-z0-9_]{0,63})\s*(\{.*\})?\s*/?$", re.DOTALL | re.IGNORECASE)


class TagParser:
    """Feed tokens, take pieces."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> list[Piece]:
        found: list[Piece] = []
        for letter in text:
            if not self._held:
                if letter in _CLOSERS:
                    self._held = letter
                elif letter not in ">]}`#|~_":
                    self._emit(found, letter)
                continue
            self._held += letter
            if self._closed():
                mark, self._held = self._held, ""
                piece = _read(mark)
                if piece is not None:
                    found.append(piece)
                elif found and isinstance(found[-1], Text) and not found[-1].text.endswith(" "):
                    self._emit(found, " ")
            elif len(self._held) > MAX_MARK or (letter == "\n" and self._held[0] != "<"):
                # Never closed: a lone star or bracket. The words after it are speech, the sign is not.
                rest, self._held = self._held[1:], ""
                if self._opened_as_tag(rest):
                    continue
                for piece in self.feed(rest):
                    if isinstance(piece, Text):
                        self._emit(found, piece.text)
                    else:
                        found.append(piece)
        return found

    def finish(self) -> list[Piece]:
        """The end: a mark that never closed is dropped; words behind a lone star or bracket are kept."""
        held, self._held = self._held, ""
        if not held or held[0] in "<{":
            return []
        return [*self.feed(held[1:]), *self.finish()]

    def _closed(self) -> bool:
        if self._held[-1] != _CLOSERS[self._held[0]]:
            return False
        # The ">" inside the JSON of an action does not end it.
        if self._held[0] == "<" and "{" in self._held:
            return self._held.count("{") <= self._held.count("}")
        return True

    @staticmethod
    def _opened_as_tag(rest: str) -> bool:
        return bool(re.match(r"\s*[/|a-zA-Z#]", rest)) and len(rest) >= MAX_MARK

    @staticmethod
    def _emit(found: list[Piece], text: str) -> None:
        if found and isinstance(found[-1], Text):
            found[-1] = Text(found[-1].text + text)
        else:
            found.append(Text(text))


def _read(mark: str) -> Piece | None:
    inner = mark[1:-1].strip()
    if mark[0] == "[":
        return Mood(inner.lower()) if inner.lower() in _NAMES else None
    if mark[0] != "<":
        return None
    name, _, value = inner.partition(":")
    value = value.strip().rstrip("/").strip()
    match name.strip().lower():
        case "emotion" | "mood" | "e":
            return Mood(value.lower()) if value.lower() in _NAMES else None
        case "cite" | "fact" | "source":
            return Cite(value) if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}", value) else None
        case "act":
            act = _ACT.match(inner)
            if act is None:
                return None
            try:
                arguments = json.loads(act.group(2) or "{}")
            except ValueError:
                return None
            return Act(act.group(1).lower(), arguments) if isinstance(arguments, dict) else None
    return None
