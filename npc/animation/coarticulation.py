"""Phones with times to mouth channels: dominance blending (Cohen & Massaro 1993) under hard lip constraints.

Each articulation pulls the mouth towards its target with a weight that rises before the phone, holds, and falls
after it:

    1 |        ________
      |      /          \\          lead and lag differ by group: lips, jaw, tongue; lip-heavy phones reach ~140 ms
    0 |____/              \\____
         s-lead  s+ramp ... e+lag

A channel is the dominance-weighted mean of the targets, so a tongue-only phone (tiny lip dominance) leaves its
neighbours' lips alone. On top come constraints that no average may break, each an envelope e(t) that moves the pose
to a fixed one: bilabials close, labiodentals touch, sibilants cap the jaw. Every kernel has compact support of at
most `LOOKAHEAD_S` before its phone, and frames add articulations in order, so a track does not depend on how the
phones were cut into pushes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.animation.articulation import MAX_LEAD_S, REST, Articulation, Manner, articulations
from npc.animation.channels import ARKIT52, INDEX
from npc.phonetics.phones import Phone

Floats = NDArray[np.float64]

#: A frame is final once phones are known this far beyond it.
LOOKAHEAD_S: Final = 0.20
#: Closures come in and go out this fast: the fastest that stays visible at 30 fps (two frames).
CLOSE_RAMP_S: Final = 0.065
#: A closure is held at least this long, so that the 60 Hz track shows >= 40 ms of it and 30 fps shows a frame.
MIN_HOLD_S: Final = 0.060
#: Jaw ceiling in a sibilant, and jaw during a closure (the rest of the opening is taken up by mouthClose).
SIBILANT_JAW: Final = 0.15
CLOSED_JAW: Final = 0.10
#: Weight of the rest pose where nothing else speaks.
_REST_FLOOR: Final = 0.02
#: A vowel of this length opens fully; shorter ones undershoot (Lindblom 1963 in spirit; the exponent was set by eye).
_NOMINAL_VOWEL_S: Final = 0.11

LIP_CHANNELS: Final = ("funnel", "pucker", "stretch", "lower_down", "upper_up")


@dataclass(frozen=True, slots=True)
class SpeechStyle:
    """Two dials of a speaker (JALI, Edwards et al. 2016): how much the jaw and the lips do.

    1 is normal, range [0, 1.5].
    """

    jaw: float = 1.0
    lips: float = 1.0

    def __post_init__(self) -> None:
        for name in ("jaw", "lips"):
            if not 0.0 <= getattr(self, name) <= 1.5:
                raise ValueError(f"speech style {name!r} must lie in [0, 1.5], got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Segment:
    """One articulation in time (seconds of the item), with its amplitudes already scaled."""

    start: float
    end: float
    art: Articulation
    jaw: float
    lips: tuple[float, ...]
    """Targets of `LIP_CHANNELS`."""
    tongue: float
    weight: float
    """How strongly the articulation is realised, [0, 1]; also the weight of its viseme cue."""


def segments_of(phone: Phone, rate: int, loudness_db: float, style: SpeechStyle) -> tuple[Segment, ...]:
    """Split a phone into its articulations and scale them by stress, duration, loudness and style.

    Loudness acts +-30 % over +-20 dB around -20 dBFS; stress adds 12 %, lack of it takes 12 % off a vowel.
    """
    start, end = phone.span.start / rate, phone.span.end / rate
    arts = articulations(phone.ipa)
    loud = 1.0 + 0.015 * min(20.0, max(-20.0, loudness_db + 20.0))
    result = []
    for i, art in enumerate(arts):
        # The first target of a diphthong is the longer one.
        cuts = (0.0, 0.55, 1.0) if len(arts) == 2 else tuple(j / len(arts) for j in range(len(arts) + 1))
        s, e = start + (end - start) * cuts[i], start + (end - start) * cuts[i + 1]
        amount = 1.0
        if art.manner is Manner.VOWEL:
            amount = min(1.12, max(0.62, ((e - s) * len(arts) / _NOMINAL_VOWEL_S) ** 0.35))
            amount *= (0.88, 1.12, 1.0)[phone.stress if phone.stress in (0, 1, 2) else 0]
        jaw = art.jaw * style.jaw * amount * loud
        if art.manner not in (Manner.REST, Manner.BILABIAL, Manner.LABIODENTAL):
            # Speech that is not a closure never shuts the mouth, whatever the dials say.
            jaw = max(jaw, 0.10)
        lip_scale = style.lips * (0.85 + 0.15 * amount)
        lips = tuple(getattr(art, c) * lip_scale for c in LIP_CHANNELS)
        result.append(Segment(s, e, art, min(0.8, jaw), lips, art.tongue, min(1.0, amount)))
    return tuple(result)


@dataclass(frozen=True, slots=True)
class Mouth:
    """Mouth pose per frame: `weights` [frames, 52] (mouth channels only) and envelopes in [0, 1], each [frames].

    `closure` 1 = lips must be shut, `contact` 1 = lower lip at the upper teeth, `activity` = share of speech against
    rest,
    `rounding` = pucker plus funnel.
    """

    weights: Floats
    closure: Floats
    contact: Floats
    activity: Floats
    rounding: Floats


def _smooth(x: Floats) -> Floats:
    # A polynomial, not a cosine: SIMD and scalar paths of cos may differ in the last bit, and pushes must not.
    x = np.minimum(np.maximum(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


def _bump(t: Floats, start: float, end: float, lead: float, lag: float) -> Floats:
    """Rises over [start-lead, start+lead/2], falls over [end-lag/2, end+lag]."""
    rise = _smooth((t - (start - lead)) / (1.5 * lead))
    fall = _smooth(((end + lag) - t) / (1.5 * lag))
    return np.asarray(rise * fall)


def _hold(t: Floats, start: float, end: float) -> Floats:
    """1 on [start, end], ramps of `CLOSE_RAMP_S` outside it."""
    return np.asarray(
        _smooth((t - (start - CLOSE_RAMP_S)) / CLOSE_RAMP_S) * _smooth(((end + CLOSE_RAMP_S) - t) / CLOSE_RAMP_S)
    )


def rest_segment(start: float, end: float) -> Segment:
    """Silence before and after an item, so that the mouth eases in and out of it."""
    return Segment(start, end, REST, 0.0, (0.0,) * len(LIP_CHANNELS), 0.0, 1.0)


def held_span(segment: Segment) -> tuple[float, float]:
    """When a closure or contact is held:

    the phone's first `hold` part, widened evenly to `MIN_HOLD_S` where too short.
    """
    start, end = segment.start, segment.start + (segment.end - segment.start) * segment.art.hold
    missing = max(0.0, MIN_HOLD_S - (end - start)) / 2.0
    return start - missing, end + missing


_J = INDEX["jawOpen"]
_CLOSE = INDEX["mouthClose"]
_FUNNEL, _PUCKER = INDEX["mouthFunnel"], INDEX["mouthPucker"]
_STRETCH = INDEX["mouthStretchLeft"], INDEX["mouthStretchRight"]
_LOWER_DOWN = INDEX["mouthLowerDownLeft"], INDEX["mouthLowerDownRight"]
_UPPER_UP = INDEX["mouthUpperUpLeft"], INDEX["mouthUpperUpRight"]
_PRESS = INDEX["mouthPressLeft"], INDEX["mouthPressRight"]
_ROLL_LOWER, _ROLL_UPPER = INDEX["mouthRollLower"], INDEX["mouthRollUpper"]
_SHRUG_LOWER = INDEX["mouthShrugLower"]
_TONGUE = INDEX["tongueOut"]


def mouth_track(segments: list[Segment], t: Floats) -> Mouth:
    """Mouth poses at increasing times `t` (seconds of the item). `segments` are ordered; only those near `t` matter."""
    n = len(t)
    lips, lips_den = np.zeros((n, 5)), np.full(n, _REST_FLOOR)
    jaw, jaw_den = np.zeros(n), np.full(n, _REST_FLOOR)
    tongue, speech = np.zeros(n), np.zeros(n)
    closure, contact, sibilant = np.zeros(n), np.zeros(n), np.zeros(n)
    first, last = (float(t[0]), float(t[-1])) if n else (0.0, 0.0)
    for seg in segments:
        if n == 0 or seg.end + MAX_LEAD_S < first or seg.start - MAX_LEAD_S > last:
            continue
        a = int(np.searchsorted(t, seg.start - MAX_LEAD_S))
        b = int(np.searchsorted(t, seg.end + MAX_LEAD_S, side="right"))
        if a >= b:
            continue
        at, art = t[a:b], seg.art
        # A phone of a few milliseconds (synthesisers make them) has no time to shape the mouth.
        brief = min(1.0, (seg.end - seg.start) / 0.03)
        pull = _bump(at, seg.start, seg.end, art.lead_s, art.lag_s) * brief
        if art.manner is Manner.REST:
            # A gap between words is too short to close the mouth; a pause is not.
            pull = pull * min(1.0, (seg.end - seg.start) / 0.12) ** 2
            lips_den[a:b] += pull
            jaw_den[a:b] += pull
            continue
        lip_pull = pull * art.lip_dominance
        lips[a:b] += lip_pull[:, None] * np.asarray(seg.lips)
        lips_den[a:b] += lip_pull
        jaw_pull = _bump(at, seg.start, seg.end, 0.07, 0.07) * (art.jaw_dominance * brief)
        jaw[a:b] += jaw_pull * seg.jaw
        jaw_den[a:b] += jaw_pull
        speech[a:b] += jaw_pull
        if art.tongue:
            tongue[a:b] = np.maximum(tongue[a:b], _bump(at, seg.start, seg.end, 0.05, 0.05) * seg.tongue)
        if art.manner is Manner.BILABIAL:
            closure[a:b] = np.maximum(closure[a:b], _hold(at, *held_span(seg)))
        elif art.manner is Manner.LABIODENTAL:
            contact[a:b] = np.maximum(contact[a:b], _hold(at, *held_span(seg)))
        elif art.manner is Manner.SIBILANT:
            sibilant[a:b] = np.maximum(sibilant[a:b], _hold(at, seg.start, seg.end))
    lips /= lips_den[:, None]
    jaw /= jaw_den
    activity = speech / (jaw_den + 1e-9)
    return _constrain(lips, jaw, tongue, np.minimum(1.0, activity), closure, contact, sibilant)


def _constrain(
    lips: Floats, jaw: Floats, tongue: Floats, activity: Floats, closure: Floats, contact: Floats, sibilant: Floats
) -> Mouth:
    """Apply sibilant cap, labiodental contact and bilabial closure, in rising priority, and lay out the channels."""
    contact = contact * (1.0 - closure)
    jaw = jaw + sibilant * (np.minimum(jaw, SIBILANT_JAW) - jaw)
    jaw = jaw + contact * (0.07 - jaw)
    jaw = jaw + closure * (np.minimum(jaw, CLOSED_JAW) - jaw)
    tongue = tongue * (1.0 - closure) * (1.0 - contact)
    free = (1.0 - closure) * (1.0 - contact)
    weights = np.zeros((len(jaw), len(ARKIT52)))
    weights[:, _J] = jaw
    # mouthClose cancels the jaw's opening of the lips, and only that: never more than jawOpen.
    weights[:, _CLOSE] = jaw * closure
    weights[:, _FUNNEL] = lips[:, 0] * free
    weights[:, _PUCKER] = lips[:, 1] * (1.0 - 0.45 * closure) * (1.0 - 0.6 * contact)
    for side in (0, 1):
        weights[:, _STRETCH[side]] = lips[:, 2] * free
        weights[:, _LOWER_DOWN[side]] = lips[:, 3] * free
        weights[:, _UPPER_UP[side]] = lips[:, 4] * free + 0.22 * contact
        weights[:, _PRESS[side]] = 0.30 * closure
    weights[:, _ROLL_LOWER] = 0.65 * contact + 0.12 * closure
    weights[:, _ROLL_UPPER] = 0.12 * closure
    weights[:, _SHRUG_LOWER] = 0.35 * contact
    weights[:, _TONGUE] = tongue
    np.clip(weights, 0.0, 1.0, out=weights)
    return Mouth(weights, closure, contact, activity, weights[:, _FUNNEL] + weights[:, _PUCKER])
