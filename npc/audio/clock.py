"""Audio time: integer sample counts at a named rate, and spans of them.

Every time inside the product is a count of samples (`at`, `start`, `until`), never seconds since some wall-clock epoch.
Seconds appear only where a person reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Rate of everything the recogniser, the voice-activity detector and the turn core hear.
LISTEN_RATE = 16_000
#: Rates a client may ask for, each way.
WIRE_RATES = (24_000, 16_000)


def rescale(samples: int, from_rate: int, to_rate: int) -> int:
    """Convert a sample count between rates, rounding half up; exact for whole ratios.

    >>> rescale(160, 16_000, 24_000)
    240
    """
    if from_rate <= 0 or to_rate <= 0:
        raise ValueError(f"rates must be positive, got {from_rate} and {to_rate}")
    return (samples * to_rate * 2 + from_rate) // (2 * from_rate)


def ms(samples: int, rate: int) -> float:
    """Milliseconds that `samples` last at `rate`."""
    return samples * 1000.0 / rate


def samples_in(milliseconds: float, rate: int) -> int:
    """Samples in `milliseconds` at `rate`, rounded to the nearest."""
    return round(milliseconds * rate / 1000.0)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Half-open interval `[start, end)` in samples of whatever clock its owner names."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"span ends before it starts: [{self.start}, {self.end})")

    @property
    def length(self) -> int:
        return self.end - self.start

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end

    def shifted(self, by: int) -> Span:
        return Span(self.start + by, self.end + by)
