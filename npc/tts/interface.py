"""What a synthesiser promises. Implementations live beside this file, named after what they wrap.

A clause goes in, audio comes out in chunks, each with the phones and words that begin in it. All times are samples at
`Synthesizer.sample_rate`, counted from the first sample of the clause.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from npc.phonetics.phones import Phone, SpokenWord

Pcm16 = NDArray[np.int16]


class EngineUnavailable(RuntimeError):
    """An engine cannot run here: a library or a model is missing. The message says how to get it."""


class EngineFailed(RuntimeError):
    """A loaded engine died, overran its deadline or could not say a clause. The next clause may be tried: the engine
    has been or will be started again. The message says what happened."""


@dataclass(frozen=True, slots=True)
class Prosody:
    """How to say it, relative to the voice's own habit: factors in [0.5, 2.0], pitch in semitones [-6, +6]."""

    rate: float = 1.0
    pitch_semitones: float = 0.0
    energy: float = 1.0
    pitch_range: float = 1.0

    def __post_init__(self) -> None:
        for name in ("rate", "energy", "pitch_range"):
            if not 0.5 <= getattr(self, name) <= 2.0:
                raise ValueError(f"prosody {name} must lie in [0.5, 2.0], got {getattr(self, name)}")
        if not -6.0 <= self.pitch_semitones <= 6.0:
            raise ValueError(f"prosody pitch_semitones must lie in [-6, 6], got {self.pitch_semitones}")


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """One clause of clean text (no tags, no markup), the voice's engine settings and the prosody."""

    text: str
    prosody: Prosody = Prosody()
    language: str = "en"
    lexicon: tuple[tuple[str, str], ...] = ()
    """Words this character says in its own way: (spelling, ARPAbet phones)."""


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """Consecutive audio; `phones` and `words` are those that begin in it (empty: the engine has no times)."""

    pcm: Pcm16
    phones: tuple[Phone, ...] = ()
    words: tuple[SpokenWord, ...] = ()


@runtime_checkable
class Synthesizer(Protocol):
    """A loaded voice. `synthesize` blocks and may be called from several worker threads."""

    name: str
    sample_rate: int
    languages: Sequence[str]

    def synthesize(self, request: SpeechRequest) -> Iterator[SpeechChunk]:
        """Yield the clause as it is made. Closing the iterator stops the work.

        The words of all chunks together cover every spoken word of the text once, in order.
        """

    def close(self) -> None:
        """Release the voice."""
