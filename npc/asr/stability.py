"""Which leading words of a growing hypothesis later audio will not change."""

from __future__ import annotations

from collections.abc import Sequence

from npc.audio.clock import LISTEN_RATE


class StableWords:
    """A word counts as stable when it and all before it have stood unchanged for `hold_ms` of audio.

    PocketSphinx revises the last words of its best path while the language model weighs what follows. How many words
    that stood for 400 ms are in the final text is measured by `npc bench asr` (`stable_words_kept`).
    """

    def __init__(self, hold_ms: int = 400) -> None:
        self._hold = hold_ms * LISTEN_RATE // 1000
        self._words: list[str] = []
        self._since: list[int] = []

    def update(self, words: Sequence[str], at: int) -> int:
        """The hypothesis at sample `at`; how many of its leading words are stable."""
        same = 0
        while same < min(len(words), len(self._words)) and words[same] == self._words[same]:
            same += 1
        self._since = self._since[:same] + [at] * (len(words) - same)
        self._words = list(words)
        stable = 0
        while stable < len(words) and at - self._since[stable] >= self._hold:
            stable += 1
        return stable
