"""Where the lips are shut in a recording: the energy minimum of every P, B and M that follows a vowel.

    vowel ───╲            ╱─── vowel        level: 20 ms Hann-weighted energy of the delivered audio
              ╲__________╱                  the minimum is the middle of the stretch within 3 dB of the lowest point,
         start│  ^ here  │end               because a closure is a floor, not a point

This is evidence from the sound alone; the phone times only say where to look (from 5 ms after the phone's start to 10
ms before its end, so that the neighbours do not leak into the 20 ms window).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import samples_in
from npc.phonetics import arpabet
from npc.phonetics.phones import Phone

BILABIALS = ("p", "b", "m")
VOWELS = frozenset({arpabet.IPA[name] for name in arpabet.VOWELS} | {"ə", "ɚ"})
_WINDOW_MS, _FLOOR_DB = 20.0, 3.0
_AFTER_START_MS, _BEFORE_END_MS = 5.0, 10.0
_SHORTEST_MS = 5.0


@dataclass(frozen=True, slots=True)
class Closure:
    """One closure: the phone, the sample of its energy minimum, and how far that lies under the vowel before (dB)."""

    phone: Phone
    sample: int
    depth_db: float


def closure_minima(pcm: NDArray[np.int16], rate: int, phones: Sequence[Phone]) -> list[Closure]:
    """Minima of all P, B, M after a vowel, in order; `phones` in samples of `pcm`. Phones too short to hold the window
    (under 20 ms) are left out: there is nothing to measure."""
    level = level_db(pcm, rate)
    found = []
    for before, phone in itertools.pairwise(phones):
        if phone.ipa not in BILABIALS or before.ipa not in VOWELS:
            continue
        first = phone.span.start + samples_in(_AFTER_START_MS, rate)
        last = min(level.size, phone.span.end - samples_in(_BEFORE_END_MS, rate))
        if last - first < samples_in(_SHORTEST_MS, rate):
            continue
        part = level[first:last]
        lowest = low = high = int(np.argmin(part))
        while low > 0 and part[low - 1] <= part[lowest] + _FLOOR_DB:
            low -= 1
        while high < part.size - 1 and part[high + 1] <= part[lowest] + _FLOOR_DB:
            high += 1
        vowel = level[before.span.start : before.span.end].max()
        found.append(Closure(phone, first + (low + high) // 2, float(vowel - part[lowest])))
    return found


def level_db(pcm: NDArray[np.int16], rate: int) -> NDArray[np.float64]:
    """Level at every sample: energy under a 20 ms Hann window centred there, in dB (of int16 units)."""
    if not pcm.size:
        return np.zeros(0)
    window = np.hanning(samples_in(_WINDOW_MS, rate) + 2)[1:-1]
    energy = np.convolve(pcm.astype(np.float64) ** 2, window / window.sum(), mode="same")
    return np.asarray(10.0 * np.log10(energy[: pcm.size] + 1.0))
