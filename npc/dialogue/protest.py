"""What a character that protests says of an interruption, ahead of its next answer.

    "A storm lamp burns for el—"   "What about rope?"   "I wasn't finished, friend. Rope costs one silver for ten feet."

Once in a while: who is cut short again soon after falls silent and answers.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Answers between one protest and the next.
REST = 4


class Protest:
    """The lines of one talk. Only what was heard counts: an answer that was never committed leaves the line waiting."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = tuple(lines)
        self._said = 0
        self._rest = 0
        self.line = ""
        """What stands to be said; empty where there is nothing to protest."""

    def interrupted(self) -> None:
        """The player cut in."""
        if self._lines and not self._rest:
            self.line = self._lines[self._said % len(self._lines)]

    def answered(self, heard: str, *, whole: bool) -> None:
        """A turn was answered; `heard` of the answer reached the player, which may be the one that was cut short."""
        self._rest = max(0, self._rest - 1)
        if self.line and heard.startswith(self.line):
            self._said, self._rest = self._said + 1, REST
            self.line = ""
        elif whole:
            self.line = ""
