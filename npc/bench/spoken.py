"""Sentences and their sound for the animation benchmarks: many distinct ones,
said by the embedded voices with phone times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.animation.prng import Xorshift32
from npc.phonetics.phones import Phone
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import SpeechRequest

VOICES: Final = ("slt", "rms", "awb")

_WHO: Final = (
    "The miller",
    "My brother",
    "A merchant from the coast",
    "The young captain",
    "Our oldest friend",
    "That woman by the well",
    "The blacksmith's daughter",
    "Every farmer here",
    "Somebody in the tower",
    "The people of the valley",
    "A mob of boys",
    "The pale bishop",
    "My father's horse",
    "Nobody but the beggar",
)
_DOES: Final = (
    "brought home",
    "would never give up",
    "found",
    "has been looking for",
    "keeps talking about",
    "bought",
    "remembers",
    "moved",
    "will fetch",
    "chose",
    "laughed at",
    "could not lift",
    "sometimes borrows",
    "left behind",
)
_WHAT: Final = (
    "a broken cup",
    "the pumpkin pie",
    "five of the best apples",
    "a map of the marsh",
    "the blue velvet robe",
    "this heavy box",
    "a loaf of warm bread",
    "the missing key",
    "a very good bottle of wine",
    "those funny shoes",
    "the lamp above the table",
    "two bags of rubies",
    "a whole pile of wood",
    "the judge's famous violin",
    "an owl with one wing",
    "the old rope bridge",
)
_WHEN: Final = (
    "before the snow came",
    "when the moon was up",
    "after supper, I believe",
    "at the harbour this morning",
    "for no reason at all",
    "while we were asleep",
    "and put it under the bed",
    "but nobody noticed",
    "in the middle of the storm",
    "just to show you",
    "and I have the proof",
    "as the bells began to ring",
    "near the village pump",
    "if my memory serves me",
)
_OPEN: Final = ("", "", "Well, ", "You know, ", "To be honest, ", "Of course, ", "Maybe ", "Pardon me, but ", "Oh, ")


def sentences(count: int, seed: int) -> list[str]:
    """`count` distinct sentences of 5 to 20 words (28,000 are possible)."""
    rng = Xorshift32(seed, 71)
    found: dict[str, None] = {}
    while len(found) < count:
        opening, who, does, what, when = (part[rng.below(len(part))] for part in (_OPEN, _WHO, _DOES, _WHAT, _WHEN))
        start = who if not opening else opening + who[0].lower() + who[1:]
        found[f"{start} {does} {what} {when}."] = None
    return list(found)


@dataclass(frozen=True, slots=True)
class Spoken:
    """One sentence as sound: PCM16 at `rate`, its phones in samples, the voice and the level in dBFS."""

    text: str
    voice: str
    rate: int
    pcm: NDArray[np.int16]
    phones: tuple[Phone, ...]
    loudness_db: float


def speak(texts: list[str]) -> Iterator[Spoken]:
    """Say the sentences with the embedded voices in turn. Raises what `npc.tts.flite` raises where Flite is missing."""
    voices = [FliteVoice(FliteSettings(name)) for name in VOICES]
    try:
        for i, text in enumerate(texts):
            voice = voices[i % len(voices)]
            chunks = list(voice.synthesize(SpeechRequest(text)))
            pcm = np.concatenate([c.pcm for c in chunks])
            level = float(np.sqrt(np.mean((pcm.astype(np.float64) / 32768.0) ** 2)))
            yield Spoken(
                text,
                VOICES[i % len(voices)],
                voice.sample_rate,
                pcm,
                tuple(p for c in chunks for p in c.phones),
                20.0 * float(np.log10(max(level, 1e-5))),
            )
    finally:
        for voice in voices:
            voice.close()
