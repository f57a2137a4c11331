"""Pages of the key-value cache, who holds them, and the tree that shares them.

    root ── [32 tokens] ── [32 tokens] ── [7 tokens]          persona, knowledge, the conversation so far
                     └──── [32 tokens] ── [19 tokens]         another session of the same character

A node is one page: up to 32 tokens whose keys and values are computed. A sequence holds references to the pages it
reads; a page with one reader may be written, a shared one is copied first (copy on write). A match ends at any token:
the last, partly matching page is shared too, and copied when the sequence goes its own way. Pages that only the tree
holds are given back least recently used leaf first; pinned nodes stay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from npc.inference.kernels import PAGE


class PagePool:
    """Reference counts of `count` pages."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._refs = [0] * count
        self._free = list(range(count - 1, -1, -1))

    @property
    def free(self) -> int:
        """Pages nobody holds."""
        return len(self._free)

    def take(self) -> int | None:
        """A free page with one holder, or None."""
        if not self._free:
            return None
        page = self._free.pop()
        self._refs[page] = 1
        return page

    def hold(self, page: int) -> None:
        """One more holder."""
        assert self._refs[page] > 0
        self._refs[page] += 1

    def release(self, page: int) -> None:
        """One holder less; the last one frees the page."""
        assert self._refs[page] > 0
        self._refs[page] -= 1
        if not self._refs[page]:
            self._free.append(page)

    def holders(self, page: int) -> int:
        """How many hold the page."""
        return self._refs[page]


@dataclass(eq=False, slots=True)
class Node:
    """One cached page under its parent. `children` by their tokens."""

    tokens: tuple[int, ...]
    page: int
    parent: Node | None
    used: int = 0
    pins: int = 0
    children: dict[tuple[int, ...], Node] = field(default_factory=dict)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    n = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        n += 1
    return n


class PrefixTree:
    """Computed pages by the tokens they hold, one root per adapter (an adapter changes every key and value)."""

    def __init__(self, pool: PagePool) -> None:
        self._pool = pool
        self._roots: dict[str | None, Node] = {}
        self._clock = 0
        self.nodes = 0

    def match(self, tokens: Sequence[int], adapter: str | None = None) -> tuple[list[int], int]:
        """Pages (held for the caller, who releases them) and how many leading tokens they cover."""
        pages, covered = [], 0
        for node, count in self._walk(tokens, adapter):
            self._pool.hold(node.page)
            pages.append(node.page)
            covered += count
        return pages, covered

    def _walk(self, tokens: Sequence[int], adapter: str | None) -> list[tuple[Node, int]]:
        node, at = self._roots.get(adapter), 0
        found: list[tuple[Node, int]] = []
        self._clock += 1
        while node is not None and at < len(tokens):
            rest = tuple(tokens[at : at + PAGE])
            child = node.children.get(rest)
            count = len(rest) if child is not None else 0
            if child is None:
                for other in node.children.values():
                    if (n := _common(other.tokens, rest)) > count:
                        child, count = other, n
            if child is None:
                break
            child.used = self._clock
            found.append((child, count))
            at += count
            node = child if count == PAGE else None
        return found

    def add(self, tokens: Sequence[int], pages: list[int], adapter: str | None = None) -> None:
        """Remember the pages of computed `tokens`. Where the tree already has a page for the same tokens, `pages` is
        changed to it and the duplicate released, so equal prefixes end up in one place."""
        node = self._roots.setdefault(adapter, Node((), -1, None))
        self._clock += 1
        for i, at in enumerate(range(0, len(tokens), PAGE)):
            rest = tuple(tokens[at : at + PAGE])
            child = node.children.get(rest)
            if child is None and any(_common(other.tokens, rest) == len(rest) for other in node.children.values()):
                return  # a longer tail is there already
            if child is None:
                for shorter in [n for n in node.children.values() if n.tokens == rest[: len(n.tokens)]]:
                    if len(shorter.tokens) < len(rest) and not shorter.pins and not shorter.children:
                        self._drop(shorter)
                child = Node(rest, pages[i], node)
                node.children[rest] = child
                self._pool.hold(pages[i])
                self.nodes += 1
            elif child.page != pages[i]:
                self._pool.hold(child.page)
                self._pool.release(pages[i])
                pages[i] = child.page
            child.used = self._clock
            node = child

    def pin(self, tokens: Sequence[int], adapter: str | None = None) -> int:
        """Keep what is cached of `tokens` until `unpin`; returns how many tokens that is."""
        found = self._walk(tokens, adapter)
        for node, _ in found:
            node.pins += 1
        return sum(count for _, count in found)

    def unpin(self, tokens: Sequence[int], adapter: str | None = None) -> None:
        """Undo one `pin` of the same tokens."""
        for node, _ in self._walk(tokens, adapter):
            node.pins = max(0, node.pins - 1)

    def evict(self, wanted: int) -> int:
        """Free up to `wanted` pages that nobody but the tree holds; returns how many."""
        freed = 0
        while freed < wanted:
            leaves = [n for n in self._all() if not n.children and not n.pins and self._pool.holders(n.page) == 1]
            if not leaves:
                break
            leaves.sort(key=lambda n: n.used)
            for leaf in leaves[: wanted - freed]:
                self._drop(leaf)
                freed += 1
        return freed

    def clear(self) -> None:
        """Forget everything, pins too."""
        for node in self._all():
            self._pool.release(node.page)
        self._roots.clear()
        self.nodes = 0

    def _drop(self, node: Node) -> None:
        assert node.parent is not None
        del node.parent.children[node.tokens]
        self._pool.release(node.page)
        self.nodes -= 1

    def _all(self) -> list[Node]:
        found: list[Node] = []
        stack = [n for root in self._roots.values() for n in root.children.values()]
        while stack:
            node = stack.pop()
            found.append(node)
            stack.extend(node.children.values())
        return found


class OutOfPages(RuntimeError):
    """No page is free and nothing in the tree can go."""


class Evicting(Protocol):
    """What a table asks when no page is free."""

    def evict(self, wanted: int) -> int:
        """Free up to `wanted` pages that nobody else holds; how many."""


class Table(ABC):
    """The pages one sequence holds, and who may write them: a page with other holders is copied first."""

    def __init__(self, pool: PagePool, tree: Evicting, copy: Callable[[int, int], None]) -> None:
        self._pool, self._tree, self._copy = pool, tree, copy
        self.pages: list[int] = []

    def adopt(self, pages: list[int]) -> None:
        """Take over pages already held (from a tree's `match` or a fork)."""
        self.pages = pages

    def fork(self) -> list[int]:
        """The same pages, held once more: for another sequence's `adopt`."""
        for page in self.pages:
            self._pool.hold(page)
        return list(self.pages)

    @abstractmethod
    def reserve(self, first: int, end: int) -> None:
        """Make tokens first..end-1 writable. Raises OutOfPages (what was reserved before stays reserved)."""

    @abstractmethod
    def truncate(self, tokens: int) -> None:
        """Keep what the first `tokens` tokens need."""

    def _own(self, i: int) -> None:
        if self._pool.holders(self.pages[i]) > 1:
            fresh = self._take()
            self._copy(self.pages[i], fresh)
            self._pool.release(self.pages[i])
            self.pages[i] = fresh

    def _take(self) -> int:
        page = self._pool.take()
        if page is None and self._tree.evict(1):
            page = self._pool.take()
        if page is None:
            raise OutOfPages(f"all {self._pool.count} cache pages are in use")
        return page

    def _release_from(self, keep: int) -> None:
        for page in self.pages[keep:]:
            self._pool.release(page)
        del self.pages[keep:]


class PageTable(Table):
    """The pages of one sequence of keys and values, token 0 first."""

    def reserve(self, first: int, end: int) -> None:
        """New pages where there are none yet, and copies of shared ones."""
        for i in range(first // PAGE, -(-end // PAGE)):
            if i == len(self.pages):
                self.pages.append(self._take())
            else:
                self._own(i)

    def truncate(self, tokens: int) -> None:
        """Keep the pages of the first `tokens` tokens."""
        self._release_from(-(-tokens // PAGE))
