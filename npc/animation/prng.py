"""A random stream that any engine can reproduce bit for bit: Marsaglia's xorshift32 (2003), triple (13, 17, 5).

Only 32-bit integer operations are used, so JavaScript, C#, C++ and GDScript ports agree exactly; `mix` derives
independent streams from one session seed (finaliser of MurmurHash3, public domain).
"""

from __future__ import annotations

_MASK = 0xFFFFFFFF


def mix(seed: int, stream: int) -> int:
    """A well-spread non-zero 32-bit state for stream number `stream` of `seed`."""
    h = (seed ^ (stream * 0x9E3779B1)) & _MASK
    h ^= h >> 16
    h = (h * 0x85EBCA6B) & _MASK
    h ^= h >> 13
    h = (h * 0xC2B2AE35) & _MASK
    h ^= h >> 16
    return h or 0x9E3779B9


class Xorshift32:
    """The stream itself. `state` is never zero."""

    __slots__ = ("state",)

    def __init__(self, seed: int, stream: int = 0) -> None:
        self.state = mix(seed & _MASK, stream)

    def next(self) -> int:
        """The next integer in [1, 2**32 - 1]."""
        x = self.state
        x ^= (x << 13) & _MASK
        x ^= x >> 17
        x ^= (x << 5) & _MASK
        self.state = x
        return x

    def below(self, n: int) -> int:
        """An integer in [0, n) for n <= 65536: the high 16 bits scaled, the same everywhere."""
        return ((self.next() >> 16) * n) >> 16

    def unit(self) -> float:
        """A float in [0, 1) with 16 random bits."""
        return (self.next() >> 16) / 65536.0

    def pick(self, table: tuple[int, ...]) -> int:
        """One entry of an inverse-CDF table, each equally likely."""
        return table[self.below(len(table))]


def unit_at(seed: int, stream: int, index: int) -> float:
    """A float in [0, 1) that depends only on (seed, stream, index): random access, no state to carry between pushes."""
    return (mix(mix(seed & _MASK, stream), index) >> 8) / 16777216.0
