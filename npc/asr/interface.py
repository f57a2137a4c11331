"""What a speech recogniser promises. Implementations live beside this file, named after what they wrap.

    recogniser = npc.asr.load("pocketsphinx")                # one per process, thread-safe
    recogniser.prepare(bias)                                 # optional, once per session: be ready for its words
    stream = recogniser.open(Bias(phrases=("Velkora",)))     # one per utterance; owned by one worker thread
    partial = stream.accept(pcm)                             # blocking: call it off the event loop
    first = stream.finish()                                  # text of the first pass
    better = stream.refine()                                 # optional slower pass over the same utterance
    carry = stream.carry()                                   # what was learned of voice and room, for the next `open`

All audio is PCM16 mono at `npc.audio.clock.LISTEN_RATE` (16 kHz) and all times are samples since the stream was opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import Span

Pcm16 = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class RecognizedWord:
    """One word as heard: its text, its span at 16 kHz and a confidence in [0, 1]."""

    text: str
    span: Span
    confidence: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What the recogniser believes was said so far.

    `stable_words` counts the leading words that later audio is not expected to change (0 when unknown);
    `confidence` in [0, 1] is of the whole text; `language` is a BCP 47 tag such as "en".
    """

    text: str
    words: tuple[RecognizedWord, ...] = ()
    stable_words: int = 0
    confidence: float = 0.0
    language: str = "en"
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Bias:
    """Words this character is likely to hear: names, places, items, knowledge words.

    `pronunciations` maps a word to ARPAbet phone strings ("V EH L K AO R AH"); words without one are pronounced by
    `npc.phonetics`.
    """

    phrases: tuple[str, ...] = ()
    pronunciations: tuple[tuple[str, str], ...] = field(default=())


class RecognizerError(RuntimeError):
    """The engine crashed, hung or is overloaded. The utterance is lost, the recogniser lives on: open the next one."""


class RecognizerStream(Protocol):
    """One utterance. Not thread-safe; every call may block and belongs on a worker, and but for `close` may raise
    RecognizerError."""

    def accept(self, pcm: Pcm16) -> Hypothesis | None:
        """Feed audio of any length; a new partial when the text changed, else None."""

    def finish(self) -> Hypothesis:
        """End the first pass and return its final text. Call once."""

    def refine(self) -> Hypothesis | None:
        """A second, better pass over all audio accepted so far, or None where the engine has none.

        Only reads the accepted audio, so it may run on another worker while `accept` goes on.
        """

    def carry(self) -> object | None:
        """What this utterance taught about the voice and the room (opaque; None when nothing): give it to the next
        `open` of the same session."""

    def close(self) -> None:
        """Release the decoder. Safe to call twice."""


@runtime_checkable
class StreamingRecognizer(Protocol):
    """A loaded recogniser. `open` is thread-safe and cheap enough for every utterance (< 5 ms)."""

    name: str
    languages: Sequence[str]

    def prepare(self, bias: Bias, language: str = "en") -> None:
        """Get ready for this bias in the background; returns at once. Never needed; saves the first turn a wait."""

    def open(self, bias: Bias = Bias(), language: str = "en", carry: object | None = None) -> RecognizerStream:
        """Start an utterance; `carry` comes from an earlier stream of the same session and this recogniser. Raises
        ValueError for a language the engine does not speak, RecognizerError when it cannot take one more."""

    def close(self) -> None:
        """Release models and workers."""
