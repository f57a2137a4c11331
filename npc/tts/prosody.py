"""From emotion to prosody: how feeling moves rate, pitch and loudness of speech.

Directions follow the vocal-expression literature (Banse & Scherer 1996; Juslin & Laukka 2003): arousal raises F0 level
and range, rate and intensity; positive valence raises F0 and its range a little; dominance lowers F0 and adds
intensity. Sizes are those of acted emotion halved, because a dialogue is not a stage: full anger (v -0.5, a 0.8, d 0.7)
speaks 13 % faster, 0.6 semitones higher, 3.5 dB louder with a fifth more range; full sadness (v -0.7, a -0.5, d -0.6)
11 % slower, 1 semitone lower and 2.4 dB softer.
"""

from __future__ import annotations

import math

from npc.tts.interface import Prosody

NEUTRAL = Prosody()

#: Change at the far end of each dimension.
_RATE = {"valence": 0.03, "arousal": 0.18}
_SEMITONES = {"valence": 0.8, "arousal": 2.0, "dominance": -0.8}
_DECIBELS = {"arousal": 3.6, "dominance": 0.9}
_RANGE = {"valence": 0.15, "arousal": 0.35}
#: The voice must stay the same person: never past these, whatever the feeling and the base.
_BOUNDS = {"rate": (0.7, 1.5), "pitch_semitones": (-5.0, 5.0), "energy": (0.6, 1.7), "pitch_range": (0.6, 1.8)}


def prosody_of(
    valence: float, arousal: float, dominance: float, *, intensity: float = 1.0, base: Prosody = NEUTRAL
) -> Prosody:
    """How `base` (the character's own way) sounds in a mood. Dimensions in [-1, 1], intensity in [0, 1]; clamped.

    >>> prosody_of(0.0, 0.0, 0.0)
    Prosody(rate=1.0, pitch_semitones=0.0, energy=1.0, pitch_range=1.0)
    """
    strength = _clamp(intensity, 0.0, 1.0)
    mood = {
        "valence": _clamp(valence, -1.0, 1.0) * strength,
        "arousal": _clamp(arousal, -1.0, 1.0) * strength,
        "dominance": _clamp(dominance, -1.0, 1.0) * strength,
    }

    def moved(weights: dict[str, float]) -> float:
        return sum(weight * mood[name] for name, weight in weights.items())

    return Prosody(
        rate=_clamp(base.rate * (1.0 + moved(_RATE)), *_BOUNDS["rate"]),
        pitch_semitones=_clamp(base.pitch_semitones + moved(_SEMITONES), *_BOUNDS["pitch_semitones"]),
        energy=_clamp(base.energy * 10.0 ** (moved(_DECIBELS) / 20.0), *_BOUNDS["energy"]),
        pitch_range=_clamp(base.pitch_range * (1.0 + moved(_RANGE)), *_BOUNDS["pitch_range"]),
    )


def _clamp(value: float, low: float, high: float) -> float:
    """`value` within bounds; a NaN from an upstream mood counts as neutral."""
    if math.isnan(value):
        value = min(max(0.0, low), high)
    return min(max(value, low), high)
