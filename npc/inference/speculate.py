"""Guess the next tokens cheaply; the model checks them all in one step.

The check is exact: the model's own token is chosen at every position as if it had come one by one, and a guess only
counts where it is that token. Output is the same with and without, greedy or sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from npc.inference.kernels import PAGE
from npc.inference.step import Batch, Step


class Drafter(Protocol):
    """Proposes continuations. `key` names the sequence, so that a drafter may keep state for it."""

    def propose(
        self, key: int, tokens: Sequence[int], count: int, choose: Callable[[np.ndarray, int], int]
    ) -> list[int]:
        """Up to `count` guesses for what follows `tokens`. `choose(logits, position)` picks as the sequence will."""

    def forget(self, key: int) -> None:
        """The sequence is gone."""

    def close(self) -> None:
        """Free what it holds."""


class PromptLookup:
    """The continuation of the latest earlier occurrence of the last three, two or one tokens (Saxena 2023)."""

    def __init__(self, longest: int = 3, shortest: int = 2, window: int = 1024) -> None:
        self._sizes, self._window = range(longest, shortest - 1, -1), window

    def propose(
        self, key: int, tokens: Sequence[int], count: int, choose: Callable[[np.ndarray, int], int]
    ) -> list[int]:
        """See Drafter."""
        recent = np.asarray(tokens[-self._window :])
        for n in self._sizes:
            if len(recent) <= n:
                continue
            windows = np.lib.stride_tricks.sliding_window_view(recent[:-1], n)
            hits = np.flatnonzero((windows == recent[-n:]).all(1))
            if len(hits):
                at = int(hits[-1]) + n
                return [int(t) for t in recent[at : at + count]]
        return []

    def forget(self, key: int) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is held."""


class DraftModel:
    """A smaller model of the same vocabulary guesses, choosing as the sequence will (same random numbers)."""

    def __init__(self, step: Step, sequences: int = 4) -> None:
        """`step` is used by this drafter alone; its pages are divided among `sequences` at a time."""
        self._step = step
        width = step.pages // sequences
        self._limit = min(width * PAGE, step.positions)
        self._tables = np.arange(sequences * width, dtype=np.int32).reshape(sequences, width)
        self._slots: dict[int, tuple[int, list[int]]] = {}
        self._free: list[tuple[int, list[int]]] = [(slot, []) for slot in range(sequences)]

    def propose(
        self, key: int, tokens: Sequence[int], count: int, choose: Callable[[np.ndarray, int], int]
    ) -> list[int]:
        """See Drafter."""
        if key not in self._slots:
            if not self._free:
                return []
            # A reply begins as the one before it did: what the slot holds of that is not computed again.
            likest = max(self._free, key=lambda free: _common(free[1], tokens))
            self._free.remove(likest)
            self._slots[key] = likest
        slot, held = self._slots[key]
        if len(tokens) + count > self._limit:
            return []
        del held[_common(held, tokens[:-1]) :]
        guesses: list[int] = []
        while len(guesses) < count:
            pending = [*tokens, *guesses][len(held) :]
            logits = None
            for at in range(0, len(pending), 64):
                part = np.asarray(pending[at : at + 64], np.int32)
                positions = np.arange(len(held), len(held) + len(part), dtype=np.int32)
                outputs = np.array([len(part) - 1], np.int32)
                zero = np.zeros(len(part), np.int32)
                logits = self._step.forward(Batch(part, positions, zero, self._tables[slot : slot + 1], outputs)).logits
                held.extend(int(t) for t in part)
            assert logits is not None
            guesses.append(choose(logits[0], len(held)))
        return guesses

    def forget(self, key: int) -> None:
        """Free the sequence's slot."""
        if key in self._slots:
            self._free.append(self._slots.pop(key))

    def close(self) -> None:
        """Free the draft model."""
        self._step.close()


def _common(held: Sequence[int], tokens: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(held, tokens, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(held), len(tokens)))
