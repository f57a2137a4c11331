"""What the eyes do while the character speaks: blinks, gaze shifts and small saccades, decided strictly in time order.

    look ──lognormal──▶ avert ──lognormal──▶ look …        first avert at the turn's start (thinking), back at its end
    blink: at a phrase end with probability 0.7, else when the log-normal gap since the last one has run out; never
           within 0.9 s of the last

Sources: blink rate in conversation about 26 a minute (Bentivoglio 1997), half to two thirds of blinks at
communicative events (Ford 2014), speakers look at the listener about 40 % of the time and avert at the turn's start
(Argyle; Kendon 1967), saccade durations 30-60 ms (Lee & Badler 2002). The probabilities were set so that ten
simulated minutes fall in those ranges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.animation.channels import INDEX
from npc.animation.prng import Xorshift32

Floats = NDArray[np.float64]

BLINK_CLOSE_S: Final = 0.065
BLINK_HOLD_S: Final = 0.035
BLINK_OPEN_S: Final = 0.140
BLINK_S: Final = BLINK_CLOSE_S + BLINK_HOLD_S + BLINK_OPEN_S
BLINK_REFRACTORY_S: Final = 0.9
SACCADE_S: Final = 0.05
_PHRASE_BLINK: Final = 0.70
_SHIFT_BLINK: Final = 0.25

#: Weight 1 of an eyeLook channel is this rotation of the eye; our head is built to it.
EYE_RANGE_DEG: Final = 28.0


def lognormal(rng: Xorshift32, median: float, sigma: float, low: float, high: float) -> float:
    """A log-normal draw by the sum of four uniforms (close enough to a Gaussian here), clipped to [low, high]."""
    z = (rng.unit() + rng.unit() + rng.unit() + rng.unit() - 2.0) * 1.7320508
    return float(min(high, max(low, median * 2.718281828459045 ** (sigma * z))))


@dataclass(frozen=True, slots=True)
class Blink:
    """A blink that starts to close at `start` seconds."""

    start: float


@dataclass(frozen=True, slots=True)
class GazeShift:
    """At `start` seconds the eyes leave for (yaw, pitch):

    yaw > 0 is the character's left, pitch > 0 up, 1 = `EYE_RANGE_DEG`.
    """

    start: float
    yaw: float
    pitch: float
    kind: str
    """look (at the target), avert, or saccade (a small move around the present direction)."""


class EyeDirector:
    """Decides blinks and gaze shifts up to a horizon.

    The same phrase ends give the same eyes however often it is asked.
    """

    def __init__(self, seed: int) -> None:
        self._blinks = Xorshift32(seed, 11)
        self._gaze = Xorshift32(seed, 12)
        self._darts = Xorshift32(seed, 13)
        self._last_blink = -1.0
        self._next_blink = lognormal(self._blinks, 2.4, 0.5, 0.6, 6.0)
        self._looking = self._gaze.unit() < 0.45
        self._direction = (0.0, 0.0)
        self._next_gaze = 0.0 if not self._looking else lognormal(self._gaze, 0.9, 0.4, 0.4, 2.5)
        self._next_dart = 0.4

    def _aim(self) -> tuple[float, float]:
        # Aversions go sideways and slightly up (thinking) more often than down.
        side = 1.0 if self._gaze.unit() < 0.5 else -1.0
        return side * (0.22 + 0.28 * self._gaze.unit()), 0.30 * self._gaze.unit() - 0.08

    def _shift(self, at: float) -> GazeShift:
        if self._looking:
            self._looking, self._direction = False, self._aim()
        elif self._next_gaze == 0.0 and at == 0.0:
            self._direction = self._aim()
        else:
            self._looking, self._direction = True, (0.0, 0.0)
        median = 1.35 if self._looking else 1.75
        self._next_gaze = at + lognormal(self._gaze, median, 0.45, 0.5, 5.0)
        return GazeShift(at, *self._direction, "look" if self._looking else "avert")

    def _try_blink(self, at: float, chance: float) -> Blink | None:
        if at - self._last_blink < BLINK_REFRACTORY_S or self._blinks.unit() >= chance:
            return None
        self._last_blink = at
        self._next_blink = at + lognormal(self._blinks, 4.6, 0.45, 1.4, 11.0)
        return Blink(at)

    def advance(self, horizon: float, phrase_ends: list[float]) -> list[Blink | GazeShift]:
        """Everything that starts before `horizon`; `phrase_ends` are the new ones, in order, all before `horizon`."""
        events: list[Blink | GazeShift] = []
        pending = list(phrase_ends)
        while True:
            end = pending[0] if pending else float("inf")
            at = min(end, self._next_blink, self._next_gaze, self._next_dart)
            if at >= horizon:
                return events
            blink: Blink | None = None
            if at == end:
                pending.pop(0)
                blink = self._try_blink(at, _PHRASE_BLINK)
            elif at == self._next_blink:
                # Always comes: the gaps that are drawn are longer than the refractory time.
                blink = self._try_blink(at, 1.1)
            elif at == self._next_gaze:
                events.append(self._shift(at))
                blink = self._try_blink(at, _SHIFT_BLINK)
            else:
                wobble = 0.05
                yaw = self._direction[0] + wobble * (2.0 * self._darts.unit() - 1.0)
                pitch = self._direction[1] + wobble * (2.0 * self._darts.unit() - 1.0)
                events.append(GazeShift(at, yaw, pitch, "saccade"))
                self._next_dart = at + lognormal(self._darts, 0.65, 0.6, 0.15, 3.0)
            if blink is not None:
                events.append(blink)

    def look_back(self, at: float) -> GazeShift | None:
        """The turn ends: return to the listener and stay there. None if already there."""
        was_looking = self._looking
        self._looking, self._direction = True, (0.0, 0.0)
        self._next_gaze = float("inf")
        return None if was_looking else GazeShift(at, 0.0, 0.0, "look")


def _smooth(x: Floats) -> Floats:
    x = np.minimum(np.maximum(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


def blink_weight(t: Floats, start: float) -> Floats:
    """Lid closure [0, 1] at times `t` of a blink that starts at `start`; 0 outside `BLINK_S`."""
    closing = _smooth((t - start) / BLINK_CLOSE_S)
    opening = _smooth((t - start - BLINK_CLOSE_S - BLINK_HOLD_S) / BLINK_OPEN_S)
    return np.asarray(closing - opening)


@dataclass(frozen=True, slots=True)
class Eyes:
    """Both eyes per frame, each [frames]: lid closure [0, 1], and direction in units of `EYE_RANGE_DEG` (yaw > 0 is the
    character's left, pitch > 0 up)."""

    blink: Floats
    yaw: Floats
    pitch: Floats


def eye_track(blinks: list[Blink], shifts: list[GazeShift], t: Floats) -> Eyes:
    """The eyes at times `t`. `shifts` must include the last one before t[0]."""
    blink = np.zeros(len(t))
    for one in blinks:
        if t[0] - BLINK_S < one.start < t[-1]:
            np.maximum(blink, blink_weight(t, one.start), out=blink)
    yaw, pitch = np.zeros(len(t)), np.zeros(len(t))
    # Past its end a shift replaces what was there: only the newest finished one and those in flight touch these frames.
    done = [k for k, shift in enumerate(shifts) if t[0] - shift.start >= SACCADE_S]
    for shift in shifts[done[-1] if done else 0 :]:
        first = int(np.searchsorted(t, shift.start))
        if first == len(t):
            continue
        step = _smooth((t[first:] - shift.start) / SACCADE_S)
        for track, aim in ((yaw, shift.yaw), (pitch, shift.pitch)):
            track[first:] = np.where(step >= 1.0, aim, track[first:] + step * (aim - track[first:]))
    return Eyes(blink, yaw, pitch)


#: The eyeLook channels that follow yaw and pitch where these are positive, and where they are negative.
_LOOKS: Final = tuple(
    tuple(INDEX[f"eyeLook{name}"] for name in names)
    for names in (("OutLeft", "InRight"), ("InLeft", "OutRight"), ("UpLeft", "UpRight"), ("DownLeft", "DownRight"))
)


def add_looks(face: Floats, eyes: Eyes) -> None:
    """Add the direction of the eyes to the eyeLook channels of `face` [frames, 52]."""
    amounts = (np.maximum(eyes.yaw, 0.0), np.maximum(-eyes.yaw, 0.0), np.maximum(eyes.pitch, 0.0))
    for channels, amount in zip(_LOOKS, (*amounts, np.maximum(-eyes.pitch, 0.0)), strict=True):
        for channel in channels:
            face[:, channel] += amount
