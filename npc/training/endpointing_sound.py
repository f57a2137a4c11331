"""Speech with pauses for training the end-of-turn detector: Flite in many voices, in light noise, some of it in a room.

lead ────┬─ speech ────┬─ pause 0.3-1.2 s ─┬─ speech ────┬──── tail
noise    │             │ pauses[0]         │         end │ noise goes on
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import LISTEN_RATE
from npc.audio.pcm import Pcm16, to_int16
from npc.conversation.endpointing.text import words_of
from npc.phonetics.wordclass import word_class
from npc.training.rooms import convolve, impulse_response, room_noise
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import SpeechRequest

_LEAD, _TAIL = LISTEN_RATE * 4 // 10, LISTEN_RATE * 15 // 10
#: What `closing` keeps of a voice, and of the silence behind it.
_CLOSING, _SHUT = LISTEN_RATE * 24 // 10, LISTEN_RATE * 4 // 10
_FADE = LISTEN_RATE // 200
_STEP = LISTEN_RATE // 100


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence as a voice said it: clean sound, and of each word where it ends in the text and where it lies."""

    text: str
    sound: NDArray[np.float64]
    words: tuple[tuple[int, int, int], ...]

    @property
    def commas(self) -> frozenset[int]:
        """Numbers of the words that a comma stands in front of."""
        return frozenset(n + 1 for n, (end, _, _) in enumerate(self.words) if self.text[end - 1] in ",;:")

    def until(self, word: int) -> str:
        """The text before a word, without the comma."""
        return self.text[: self.words[word - 1][0]].rstrip(",;: ")


@dataclass(frozen=True, slots=True)
class Sounded:
    """A turn at 16 kHz, the sample at which its inner pause begins (None: none) and one past its last loud one."""

    pcm: Pcm16
    pause: int | None
    end: int


def speaker(rng: np.random.Generator) -> FliteVoice:
    """One of three voices, faster or slower, higher or lower, of a longer or shorter throat."""
    return FliteVoice(
        FliteSettings(
            str(rng.choice(["slt", "rms", "awb"])),
            rate=float(rng.uniform(0.88, 1.15)),
            pitch_semitones=float(rng.uniform(-3.0, 3.0)),
            pitch_range=float(rng.uniform(0.85, 1.3)),
            tract=float(rng.uniform(0.93, 1.08)),
        )
    )


def say(text: str, who: FliteVoice) -> Said | None:
    """None where the voice counts words otherwise than we do (figures, abbreviations)."""
    chunks = list(who.synthesize(SpeechRequest(text)))
    words = [(word.text_end, word.span.start, word.span.end) for chunk in chunks for word in chunk.words]
    if len(words) != len(words_of(text)):
        return None
    return Said(text, np.concatenate([chunk.pcm for chunk in chunks]).astype(np.float64) / 32768.0, tuple(words))


def pause_place(marked: str, said: Said, rng: np.random.Generator) -> int:
    """The word to pause before: at a bar of the marked text, else where people do; 0 for no pause."""
    bars = np.cumsum([len(words_of(piece)) for piece in marked.split("|")[:-1]])
    if bars.size:
        return int(bars[rng.integers(bars.size)])
    words = words_of(said.text)
    weights = np.zeros(len(words))
    for at in range(1, len(words)):
        after, here = word_class(words[at]), word_class(words[at - 1])
        strong = at in said.commas or here == "filler" or after in ("coordinator", "subordinator", "wh", "so")
        weights[at] = 4.0 if strong else 2.0 if after in ("preposition", "to") or here == "say" else 0.5
    return int(rng.choice(len(words), p=weights / weights.sum())) if len(words) > 1 else 0


def closing(said: Said, before: int, rng: np.random.Generator, rooms: float = 0.0) -> Sounded:
    """The last 2.4 s before a pause in front of word `before`, or (0) before the end, and 0.4 s of silence: what
    `sounded` gives around that place, for a third of its cost. The mark is `end` alone."""
    clean = said.sound
    until, cut = (said.words[before - 1][2], _between(said, before)) if before else (_last_loud(clean), clean.size)
    head = clean[max(0, until - _CLOSING) : cut].copy()
    if before:
        head[-_FADE:] *= np.linspace(1.0, 0.0, _FADE)
    mark = _LEAD + until - max(0, until - _CLOSING)
    level, scale = _level(clean, rng)
    padded = np.zeros(_LEAD + _CLOSING + _SHUT)
    padded[_LEAD : _LEAD + head.size] = (head * scale)[: padded.size - _LEAD]
    return Sounded(_in_noise(padded, level, rng, rooms)[: mark + _SHUT], None, mark)


def sounded(said: Said, before: int, rng: np.random.Generator, rooms: float = 0.0) -> Sounded:
    """The sentence with a pause before word `before` (0: none), at some level in some noise, the share `rooms` of them
    with what the walls of a room give back 6 to 18 dB below the direct sound."""
    clean, pause = said.sound, None
    if before:
        until, again = said.words[before - 1][2], said.words[before][1]
        gap = round(float(rng.uniform(0.3, 1.2)) * LISTEN_RATE)
        cut = _between(said, before)
        head, rest = clean[:cut].copy(), clean[cut:].copy()
        head[-_FADE:] *= np.linspace(1.0, 0.0, _FADE)
        rest[:_FADE] *= np.linspace(0.0, 1.0, _FADE)
        clean = np.concatenate([head, np.zeros(max(0, gap - (again - until))), rest])
        pause = _LEAD + until
    end = _LEAD + _last_loud(clean)
    level, scale = _level(clean, rng)
    padded = np.concatenate([np.zeros(_LEAD), clean * scale, np.zeros(_TAIL)])
    return Sounded(_in_noise(padded, level, rng, rooms), pause, end)


def _between(said: Said, before: int) -> int:
    """The middle of the gap in front of a word."""
    return (said.words[before - 1][2] + said.words[before][1]) // 2


def _powers(clean: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.add.reduceat(clean**2, np.arange(0, clean.size, _STEP)) / _STEP)


def _last_loud(clean: NDArray[np.float64]) -> int:
    """One past the last 10 ms within 40 dB of the loudest."""
    power = _powers(clean)
    return (int(np.flatnonzero(power > power.max() * 1e-4)[-1]) + 1) * _STEP


def _level(clean: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """A level to speak at (RMS of full scale), and the factor that brings the sound there."""
    power = _powers(clean)
    level = float(10 ** (rng.uniform(-32.0, -18.0) / 20.0))
    return level, level / float(np.sqrt(power[power > power.max() * 1e-3].mean()))


def _in_noise(padded: NDArray[np.float64], level: float, rng: np.random.Generator, rooms: float) -> Pcm16:
    if rng.random() < rooms:
        walls = convolve(padded, impulse_response(int(rng.integers(2**31)), float(rng.uniform(0.1, 0.4))))
        padded = padded + walls[: padded.size] * 10 ** (rng.uniform(-18.0, -6.0) / 20.0)
    loud = 32768.0 * level * 10 ** (rng.uniform(-35.0, -16.0) / 20.0)
    noise = room_noise(int(rng.integers(2**31)), padded.size, loud)
    return to_int16(padded + noise / 32768.0)
