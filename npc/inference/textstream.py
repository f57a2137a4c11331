"""Tokens to text as it appears, and stop strings that may cross token borders.

Text is held back while it could still change: a byte of an unfinished character, or the beginning of a stop string.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """What one token gave: text that is now certain, and whether a stop string was completed (not in the text)."""

    text: str
    stopped: bool


class TextStream:
    """Incremental decoding of one sequence."""

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: tuple[str, ...] = ()) -> None:
        self._decode, self._stop = decode, tuple(s for s in stop if s)
        self._tokens: list[int] = []
        self._base = 0
        self._shown = ""
        self._held = ""

    def push(self, token: int) -> Piece:
        """Add a token."""
        self._tokens.append(token)
        # Decode from a few tokens back, not from the start: a tokenizer may join a token with the one before it.
        text = self._decode(self._tokens[self._base :])
        if text.endswith("\ufffd") and len(self._tokens) - self._base < 12:
            return Piece("", False)
        fresh = text[len(self._shown) :]
        if len(self._tokens) - self._base > 8:
            self._base = len(self._tokens) - 4
            self._shown = self._decode(self._tokens[self._base :])
        else:
            self._shown = text
        return self._release(self._held + fresh)

    def finish(self) -> str:
        """The text still held back, when generation ended for another reason."""
        held, self._held = self._held, ""
        text = self._decode(self._tokens[self._base :])
        return held + text[len(self._shown) :].rstrip("\ufffd")

    def _release(self, text: str) -> Piece:
        ends = [at for s in self._stop if (at := text.find(s)) >= 0]
        if ends:
            self._held = ""
            return Piece(text[: min(ends)], True)
        keep = 0
        for s in self._stop:
            for n in range(min(len(s) - 1, len(text)), keep, -1):
                if text.endswith(s[:n]):
                    keep = n
                    break
        self._held = text[len(text) - keep :]
        return Piece(text[: len(text) - keep], False)
