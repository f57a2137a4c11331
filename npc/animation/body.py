"""What head, hands and brows do with speech: beat nods, brow flashes and gesture strokes on stresses, breaths, tilts.

Decided vowel by vowel in time order, so that a reply cut into clauses moves exactly like the same reply in one piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.animation.interface import Affect, BodyCue
from npc.animation.prng import Xorshift32

Floats = NDArray[np.float64]

#: A beat nod on about a third of the stressed vowels and never closer than this: speakers nod about 10-20 times a
#: minute.
NOD_GAP_S: Final = 1.8
GESTURE_GAP_S: Final = 2.6
#: A gesture's stroke comes 0-120 ms before its stressed vowel (design note: 0-200 ms before the word), prepared 400
#: ms before.
GESTURE_PREPARE_S: Final = 0.40
GESTURE_RELAX_S: Final = 0.55
BREATH_PAUSE_S: Final = 0.22
_FLASH_RISE_S, _FLASH_FALL_S = 0.12, 0.30

#: Head tilt (roll, weight 1 = 8 degrees) and its habitual name, for the labels that have one.
_TILT: Final = {"curiosity": 0.8, "concern": 0.7, "sadness": 0.6, "trust": 0.4, "amusement": 0.5, "shame": 0.5}


@dataclass(frozen=True, slots=True)
class Flash:
    """A brow raise that peaks at `peak` seconds."""

    peak: float
    weight: float


@dataclass(frozen=True, slots=True)
class Stress:
    """A stressed vowel in seconds of the item; `in_phrase` is the time since its phrase began."""

    start: float
    end: float
    in_phrase: float
    amount: float


class BodyDirector:
    """Turns stressed vowels, pauses and affect changes into cues. Sample times are at `rate`."""

    def __init__(self, rate: int, seed: int) -> None:
        self._rate = rate
        self._rng = Xorshift32(seed, 21)
        self._last_nod = -NOD_GAP_S * self._rng.unit()
        self._last_gesture = -GESTURE_GAP_S * self._rng.unit()
        self._last_flash = -10.0
        self._tilted = 0.0
        self._side = 1.0 if self._rng.unit() < 0.5 else -1.0

    def _at(self, seconds: float) -> int:
        return max(0, round(seconds * self._rate))

    def stress(self, vowel: Stress, named_gesture: str | None) -> tuple[list[BodyCue], list[Flash]]:
        """Cues of one primary-stressed vowel. A named gesture takes the first vowel it is offered."""
        cues: list[BodyCue] = []
        flashes: list[Flash] = []
        nod, flash, beat, offset = (self._rng.unit() for _ in range(4))
        if vowel.start - self._last_nod >= NOD_GAP_S and nod < 0.25:
            self._last_nod = vowel.start
            stroke = 0.5 * (vowel.start + vowel.end)
            cues.append(
                BodyCue("head", "nod", self._at(stroke - 0.16), self._at(stroke + 0.30), self._at(stroke),
                        round(0.30 + 0.35 * vowel.amount * nod / 0.25, 3))
            )  # fmt: skip
        if vowel.start - self._last_flash >= 1.6 and flash < 0.4:
            self._last_flash = vowel.start
            flashes.append(Flash(vowel.start + 0.02, 0.16 + 0.22 * flash))
        due = vowel.start - self._last_gesture >= GESTURE_GAP_S and vowel.in_phrase >= 0.2 and beat < 0.45
        if named_gesture is not None or due:
            self._last_gesture = vowel.start
            stroke = vowel.start - 0.12 * offset
            cues.append(
                BodyCue("gesture", named_gesture or "beat", self._at(stroke - GESTURE_PREPARE_S),
                        self._at(stroke + GESTURE_RELAX_S), self._at(stroke), round(0.5 + 0.5 * beat, 3))
            )  # fmt: skip
        return cues, flashes

    def pause(self, start: float, end: float) -> list[BodyCue]:
        """A silence before speech: long enough ones are for breathing in."""
        if end - start < BREATH_PAUSE_S:
            return []
        return [BodyCue("breath", "in", self._at(start), self._at(end), None, round(min(1.0, (end - start) / 0.6), 3))]

    def affect(self, affect: Affect, at: float) -> list[BodyCue]:
        """The head tilts with the mood; a cue only when the tilt changes noticeably. It holds until the next one."""
        tilt = _TILT.get(affect.label, 0.0) * min(1.0, max(0.0, affect.intensity))
        if abs(tilt - self._tilted) < 0.15:
            return []
        self._tilted = tilt
        side = "left" if self._side > 0 else "right"
        return [BodyCue("head", f"tilt_{side}", self._at(at), self._at(at + 0.6), None, round(tilt, 3))]


def brow_track(flashes: list[Flash], t: Floats) -> Floats:
    """How far the brows are raised by the flashes at times `t`, [frames]."""
    raised = np.zeros(len(t))
    for flash in flashes:
        if not t[0] - _FLASH_FALL_S < flash.peak < t[-1] + _FLASH_RISE_S:
            continue
        x = t - flash.peak
        rise = np.clip(1.0 + x / _FLASH_RISE_S, 0.0, 1.0)
        fall = np.clip(1.0 - x / _FLASH_FALL_S, 0.0, 1.0)
        raised += rise * rise * (3.0 - 2.0 * rise) * fall * fall * (3.0 - 2.0 * fall) * flash.weight
    return raised
