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
#: How far the jaw reaches before and after a phone, and the tongue's tip.
JAW_REACH_S: Final = 0.07
TONGUE_REACH_S: Final = 0.05
#: Frames computed together: about as many as a clause has, and few enough that the work stays linear.
_BLOCK: Final = 128
#: The jaw, and the lip that meets the teeth, come in and go out this fast: the fastest that stays smooth at 30 fps.
RAMP_S: Final = 0.065
#: The lips themselves meet and part much faster, once the jaw is nearly shut: a longer ramp would shut the short vowels
#: beside a closure too.
LIP_RAMP_S: Final = 0.022
#: A closure is held at least this long, so that the 60 Hz track shows >= 40 ms of it and 30 fps shows a frame.
MIN_HOLD_S: Final = 0.046
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
    """One articulation in time (seconds of the item), with its amplitudes already scaled.

    `weight` says how strongly it is realised, [0, 1]; it is also the weight of its viseme cue. `row` holds what the
    frames need, in the order of `_ROW`.
    """

    start: float
    end: float
    art: Articulation
    weight: float
    row: tuple[float, ...]


#: Columns of `Segment.row`; the lip targets follow, one per `LIP_CHANNELS`.
_ROW: Final = (
    "start", "end", "lip_lead", "lip_lag", "jaw_reach", "lip_pull", "jaw_pull", "rest", "jaw", "tongue", "held_from",
    "held_to", "closure", "contact", "sibilant",
)  # fmt: skip


def _segment(
    start: float, end: float, art: Articulation, jaw: float, lips: tuple[float, ...], weight: float
) -> Segment:
    # A phone of a few milliseconds (synthesisers make them) has no time to shape the mouth.
    brief = min(1.0, (end - start) / 0.03)
    rest = art.manner is Manner.REST
    # A gap between words is too short to close the mouth; a pause is not.
    share = min(1.0, (end - start) / 0.12) ** 2 if rest else brief
    row = (
        start, end, art.lead_s, art.lag_s, art.lead_s if rest else JAW_REACH_S, share * art.lip_dominance,
        share * art.jaw_dominance, float(rest), jaw, art.tongue, *held_span(start, end, art),
        *(float(art.manner is m) for m in (Manner.BILABIAL, Manner.LABIODENTAL, Manner.SIBILANT)), *lips,
    )  # fmt: skip
    return Segment(start, end, art, weight, row)


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
        scale = style.lips * (0.85 + 0.15 * amount)
        goals = (art.funnel, art.pucker, art.stretch, art.lower_down, art.upper_up)
        lips = tuple(goal * scale for goal in goals)
        result.append(_segment(s, e, art, min(0.8, jaw), lips, min(1.0, amount)))
    return tuple(result)


@dataclass(frozen=True, slots=True)
class Mouth:
    """Mouth pose per frame: `weights` [frames, 52] (mouth channels only) and envelopes in [0, 1], each [frames].

    `closure` 1 = lips must be shut (it rises with the jaw, a little before they meet), `contact` 1 = lower lip at
    the upper teeth, `activity` = share of speech against rest,
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


def _bump(t: Floats, start: Floats, end: Floats, lead: Floats, lag: Floats) -> Floats:
    """Rises over [start-lead, start+lead/2], falls over [end-lag/2, end+lag]; columns [n, 1] against times [frames]."""
    return _smooth((t - (start - lead)) / (1.5 * lead)) * _smooth(((end + lag) - t) / (1.5 * lag))


def _hold(t: Floats, start: Floats, end: Floats, ramp: float) -> Floats:
    """1 on [start, end], ramps of `ramp` seconds outside it; the largest over all spans."""
    if len(start) == 0:
        return np.zeros(len(t))
    return np.asarray((_smooth((t - (start - ramp)) / ramp) * _smooth(((end + ramp) - t) / ramp)).max(axis=0))


def rest_segment(start: float, end: float) -> Segment:
    """Silence before and after an item, so that the mouth eases in and out of it."""
    return _segment(start, end, REST, 0.0, (0.0,) * len(LIP_CHANNELS), 1.0)


def held_span(start: float, end: float, art: Articulation) -> tuple[float, float]:
    """When a closure or contact is held: the phone's `hold` part, widened evenly to `MIN_HOLD_S` where too short."""
    length, (first, last) = end - start, art.hold
    missing = max(0.0, MIN_HOLD_S - (last - first) * length) / 2.0
    return start + first * length - missing, start + last * length + missing


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
    blocks = []
    for first in range(0, len(t), _BLOCK):
        part = t[first : first + _BLOCK]
        near = [s.row for s in segments if s.end + MAX_LEAD_S >= part[0] and s.start - MAX_LEAD_S <= part[-1]]
        blocks.append(_block(np.array(near).reshape(len(near), len(_ROW) + len(LIP_CHANNELS)), part))
    return Mouth(*(np.concatenate(layers) for layers in zip(*blocks, strict=True)))


def _block(rows: Floats, t: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """The fields of `Mouth` for a few frames and the segments near them."""
    (start, end, lead, lag, reach, lip_pull, jaw_pull, rest, jaw_goal, tongue_goal, held_from, held_to) = (
        rows[:, k, None] for k in range(12)
    )
    closing_rows, contact_rows, sibilant_rows = (rows[:, k] > 0 for k in (12, 13, 14))
    lips_by = _bump(t, start, end, lead, lag) * lip_pull
    jaw_by = _bump(t, start, end, reach, reach) * jaw_pull
    # Sums run over segments in order, and a segment out of reach adds an exact zero: pushes cannot change a frame.
    lips_den = _REST_FLOOR + lips_by.sum(axis=0)
    lips = np.stack([(lips_by * rows[:, len(_ROW) + c, None]).sum(axis=0) for c in range(len(LIP_CHANNELS))], axis=-1)
    jaw_den = _REST_FLOOR + jaw_by.sum(axis=0)
    jaw = (jaw_by * jaw_goal).sum(axis=0) / jaw_den
    speech = (jaw_by * (1.0 - rest)).sum(axis=0)
    spoken = tongue_goal[:, 0] > 0
    brief = np.full((int(spoken.sum()), 1), TONGUE_REACH_S)
    tongue = np.zeros(len(t))
    if spoken.any():
        tongue = (_bump(t, start[spoken], end[spoken], brief, brief) * tongue_goal[spoken]).max(axis=0)
    return _constrain(
        lips / lips_den[:, None],
        jaw,
        tongue,
        np.minimum(1.0, speech / jaw_den),
        _hold(t, held_from[closing_rows], held_to[closing_rows], LIP_RAMP_S),
        _hold(t, held_from[closing_rows], held_to[closing_rows], RAMP_S),
        _hold(t, held_from[contact_rows], held_to[contact_rows], RAMP_S),
        _hold(t, start[sibilant_rows], end[sibilant_rows], RAMP_S),
    )


def _constrain(
    lips: Floats, jaw: Floats, tongue: Floats, activity: Floats,
    closure: Floats, closing: Floats, contact: Floats, sibilant: Floats,
) -> tuple[Floats, Floats, Floats, Floats, Floats]:  # fmt: skip
    """Apply sibilant cap, labiodental contact and bilabial closure, in rising priority, and lay out the channels."""
    contact = contact * (1.0 - closure)
    jaw = jaw + sibilant * (np.minimum(jaw, SIBILANT_JAW) - jaw)
    jaw = jaw + contact * (0.07 - jaw)
    jaw = jaw + closing * (np.minimum(jaw, CLOSED_JAW) - jaw)
    tongue = tongue * (1.0 - closing) * (1.0 - contact)
    slow = (1.0 - closing) * (1.0 - contact)
    free = (1.0 - closure) * (1.0 - contact)
    weights = np.zeros((len(jaw), len(ARKIT52)))
    weights[:, _J] = jaw
    # mouthClose cancels the jaw's opening of the lips, and only that: never more than jawOpen.
    weights[:, _CLOSE] = jaw * closure
    weights[:, _FUNNEL] = lips[:, 0] * slow
    weights[:, _PUCKER] = lips[:, 1] * (1.0 - 0.45 * closing) * (1.0 - 0.9 * contact)
    for side in (0, 1):
        weights[:, _STRETCH[side]] = lips[:, 2] * slow
        weights[:, _LOWER_DOWN[side]] = lips[:, 3] * free
        weights[:, _UPPER_UP[side]] = lips[:, 4] * free + 0.22 * contact
        weights[:, _PRESS[side]] = 0.30 * closing * closure
    weights[:, _ROLL_LOWER] = 0.65 * contact + 0.12 * closing * closure
    weights[:, _ROLL_UPPER] = 0.12 * closing * closure
    weights[:, _SHRUG_LOWER] = 0.35 * contact
    weights[:, _TONGUE] = tongue
    np.clip(weights, 0.0, 1.0, out=weights)
    return weights, closing, contact, activity, weights[:, _FUNNEL] + weights[:, _PUCKER]
