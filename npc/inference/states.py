"""Shared prefixes of a model whose memory is one state of fixed size, not a row a token (state-space backbones).

    sequence ── one page: its state after the tokens it has read
    tree     ── snapshots: (all tokens read) -> page; a new sequence starts from the longest that begins its prompt

Same interface and copy-on-write rule as pages of keys and values (cache.py): a page with more than one holder is copied
before it is written, so what the tree holds never changes. A state cannot be rolled back, only left for a snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from npc.inference.cache import PagePool, Table


@dataclass(slots=True)
class _Snapshot:
    page: int
    used: int
    pins: int = 0


class StateTree:
    """Snapshots by the tokens that led to them, one set per adapter."""

    def __init__(self, pool: PagePool) -> None:
        self._pool = pool
        self._held: dict[tuple[str | None, tuple[int, ...]], _Snapshot] = {}
        self._clock = 0

    @property
    def nodes(self) -> int:
        """How many snapshots there are."""
        return len(self._held)

    def match(self, tokens: Sequence[int], adapter: str | None = None) -> tuple[list[int], int]:
        """The page of the longest snapshot that begins `tokens` (held for the caller) and how many tokens it covers."""
        found = self._longest(tokens, adapter)
        if found is None:
            return [], 0
        self._clock += 1
        snapshot = self._held[found]
        snapshot.used = self._clock
        self._pool.hold(snapshot.page)
        return [snapshot.page], len(found[1])

    def _longest(self, tokens: Sequence[int], adapter: str | None) -> tuple[str | None, tuple[int, ...]] | None:
        given = tuple(tokens)
        sizes = sorted({len(key) for name, key in self._held if name == adapter and len(key) <= len(given)})
        return next(((adapter, given[:n]) for n in reversed(sizes) if (adapter, given[:n]) in self._held), None)

    def add(self, tokens: Sequence[int], pages: list[int], adapter: str | None = None) -> None:
        """Keep the state after `tokens`, which is what the one page holds now."""
        key = (adapter, tuple(tokens))
        self._clock += 1
        if key not in self._held and pages:
            self._pool.hold(pages[0])
            self._held[key] = _Snapshot(pages[0], self._clock)

    def pin(self, tokens: Sequence[int], adapter: str | None = None) -> int:
        """Keep the longest snapshot of `tokens` until `unpin`; how many tokens it covers."""
        found = self._longest(tokens, adapter)
        if found is not None:
            self._held[found].pins += 1
        return 0 if found is None else len(found[1])

    def unpin(self, tokens: Sequence[int], adapter: str | None = None) -> None:
        """Undo one `pin` of the same tokens."""
        found = self._longest(tokens, adapter)
        if found is not None:
            self._held[found].pins = max(0, self._held[found].pins - 1)

    def evict(self, wanted: int) -> int:
        """Free up to `wanted` pages that only the tree holds, least recently used first; how many."""
        free = [k for k, s in self._held.items() if not s.pins and self._pool.holders(s.page) == 1]
        free.sort(key=lambda key: self._held[key].used)
        for key in free[:wanted]:
            self._pool.release(self._held.pop(key).page)
        return len(free[:wanted])

    def clear(self) -> None:
        """Forget everything, pins too."""
        for snapshot in self._held.values():
            self._pool.release(snapshot.page)
        self._held.clear()


class StateTable(Table):
    """The state of one sequence: a page, once it has read a token."""

    def reserve(self, first: int, end: int) -> None:
        """Make the state writable: a page, or a copy where others hold it. Raises OutOfPages."""
        if self.pages:
            self._own(0)
        else:
            self.pages.append(self._take())

    def truncate(self, tokens: int) -> None:
        """Without tokens there is no state; any other number must be what the state holds."""
        if not tokens:
            self._release_from(0)
