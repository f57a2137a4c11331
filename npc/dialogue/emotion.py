"""What the character feels: appraisal of what happens to it, feelings that fade, a mood that returns to its baseline.

    reading, events ──appraise──> impulses (emotion, strength, cause) ──feel──> state' ──affect──> label, intensity, VAD
                                                                          time ──┘

Pure: time is an argument in seconds, nothing is random. After Ortony, Clore and Collins (1988): praise and blame of
one's own deeds, of others' deeds, fortune of oneself and of people one likes, prospects. Feelings map to pleasure,
arousal and dominance with the table of Gebhard's ALMA (2005); the default mood follows from personality by Mehrabian's
regression (1996). Bounded by construction: a feeling stays in [0, 1], valence, arousal and dominance in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from npc.animation.interface import Affect
from npc.dialogue.character import Character, Personality
from npc.protocol.names import EMOTIONS

#: Pleasure, arousal, dominance of each emotion. ALMA table 2 for anger, fear, joy, pride, shame, relief, sadness
#: (distress), disgust (reproach), trust (admiration), anticipation (hope); the others chosen between their neighbours.
VAD: Mapping[str, tuple[float, float, float]] = {
    "neutral": (0.0, 0.0, 0.0),
    "joy": (0.40, 0.20, 0.10),
    "trust": (0.50, 0.10, 0.0),
    "fear": (-0.64, 0.60, -0.43),
    "surprise": (0.05, 0.60, -0.10),
    "sadness": (-0.40, -0.20, -0.50),
    "disgust": (-0.40, 0.20, 0.40),
    "anger": (-0.51, 0.59, 0.25),
    "anticipation": (0.20, 0.20, -0.10),
    "curiosity": (0.20, 0.30, 0.10),
    "concern": (-0.25, 0.30, -0.15),
    "amusement": (0.45, 0.30, 0.20),
    "pride": (0.40, 0.30, 0.30),
    "relief": (0.20, -0.30, 0.40),
    "shame": (-0.30, 0.10, -0.60),
}

#: Half-life of a feeling in seconds for a person of average neuroticism: surprise passes, sadness and shame linger.
#: Ratios after Verduyn and Lavrijsen (2015), "Which emotions last longest and why", scaled to the length of a talk.
HALF_LIFE: Mapping[str, float] = {
    "surprise": 12.0, "amusement": 25.0, "fear": 45.0, "disgust": 40.0, "shame": 60.0, "relief": 50.0, "joy": 60.0,
    "pride": 60.0, "anger": 75.0, "curiosity": 40.0, "anticipation": 60.0, "trust": 90.0, "concern": 80.0,
    "sadness": 150.0, "neutral": 1.0,
}  # fmt: skip

#: The mood drifts toward the feelings of the moment and back to the baseline at this half-life (seconds).
MOOD_HALF_LIFE = 240.0
#: What an older feeling counts for beside one that was stirred just now, when it comes to which of them shows: an
#: answer to praise sounds pleased though a grudge is still there.
OLDER = 0.65
#: A feeling weaker than this does not show.
THRESHOLD = 0.12
#: Feelings and causes kept, newest first: enough for any talk, and a bound.
MAX_FEELINGS = 24

_OPPOSITE = {
    "anger": ("joy", "trust", "amusement", "relief"),
    "joy": ("sadness", "anger", "fear", "disgust", "concern"),
    "trust": ("disgust", "anger", "fear"),
    "relief": ("fear", "anger", "concern", "sadness", "shame"),
    "pride": ("shame", "sadness"),
    "shame": ("pride",),
    "fear": ("joy", "relief", "amusement"),
    "sadness": ("joy", "amusement"),
    "concern": ("amusement",),
    "disgust": ("trust", "joy"),
}


@dataclass(frozen=True, slots=True)
class Impulse:
    """A push: `emotion` by `strength` in [0, 1], because of `cause` (plain words for "why am I angry")."""

    emotion: str
    strength: float
    cause: str


@dataclass(frozen=True, slots=True)
class Feeling:
    """One feeling with its cause; `strength` held at time `at`, fading since."""

    emotion: str
    strength: float
    at: float
    cause: str
    stirred: float = 0.0
    """When it was last pushed."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Where a character comes to rest."""

    label: str
    vad: tuple[float, float, float]
    neuroticism: float = 0.5

    @classmethod
    def of(cls, character: Character) -> Baseline:
        """The authored baseline; where only zeros are given, half the mood that the personality predicts."""
        authored = character.baseline_emotion
        vad = (authored.valence, authored.arousal, authored.dominance)
        if not any(vad):
            pleasure, arousal, dominance = personality_mood(character.personality)
            vad = (pleasure / 2, arousal / 2, dominance / 2)
        return cls(authored.label, vad, character.personality.neuroticism)


def personality_mood(personality: Personality) -> tuple[float, float, float]:
    """Mehrabian (1996), table 4: pleasure, arousability and dominance from the Big Five, each in [-1, 1]."""
    o, c, e, a = (
        2 * getattr(personality, name) - 1
        for name in ("openness", "conscientiousness", "extraversion", "agreeableness")
    )
    stable = 1 - 2 * personality.neuroticism
    return (
        _clip(0.21 * e + 0.59 * a + 0.19 * stable),
        _clip(0.15 * o + 0.30 * a - 0.57 * stable),
        _clip(0.25 * o + 0.17 * c + 0.60 * e - 0.32 * a),
    )


@dataclass(frozen=True, slots=True)
class EmotionState:
    """Feelings and mood at time `at`. Everything later follows from it and from new impulses."""

    baseline: Baseline
    mood: tuple[float, float, float]
    feelings: tuple[Feeling, ...] = ()
    at: float = 0.0
    seen: Mapping[str, int] = field(default_factory=dict)
    """How often each cause was felt lately, the latest last; a repeated cause moves less."""

    @classmethod
    def rest(cls, baseline: Baseline, at: float = 0.0) -> EmotionState:
        return cls(baseline, baseline.vad, at=at)

    def feel(self, impulses: Sequence[Impulse], now: float) -> EmotionState:
        """The state at `now` after the impulses."""
        state = self.fade(now)
        strengths = {feeling.emotion: feeling for feeling in state.feelings}
        seen = dict(state.seen)
        for impulse in impulses:
            if impulse.emotion not in EMOTIONS or impulse.emotion == "neutral" or impulse.strength <= 0:
                continue
            known = strengths.get(impulse.emotion)
            key = f"{impulse.emotion}: {impulse.cause}"
            # Habituation: the same cause again moves 0.7 as much, so praise cannot be farmed.
            times = seen.pop(key, 0)
            strength = min(1.0, impulse.strength) * 0.7**times
            seen[key] = min(6, times + 1)
            old = known.strength if known else 0.0
            cause = impulse.cause if known is None or strength >= known.strength else known.cause
            strengths[impulse.emotion] = Feeling(impulse.emotion, 1 - (1 - old) * (1 - strength), now, cause, now)
            for other in _OPPOSITE.get(impulse.emotion, ()):
                if other in strengths:
                    against = strengths[other]
                    strengths[other] = replace(against, strength=against.strength * (1 - 0.7 * strength))
        kept = sorted(strengths.values(), key=lambda feeling: -feeling.strength)[:MAX_FEELINGS]
        kept_seen = dict(list(seen.items())[-MAX_FEELINGS:])
        state = replace(state, feelings=tuple(f for f in kept if f.strength > 0.01), seen=kept_seen)
        push = state._felt()
        mood = tuple(_clip(m + 0.15 * p) for m, p in zip(state.mood, push, strict=True))
        return replace(state, mood=(mood[0], mood[1], mood[2])) if impulses else state

    def fade(self, now: float) -> EmotionState:
        """The state after time has passed and nothing happened."""
        passed = max(0.0, now - self.at)
        if passed == 0.0:
            return self
        # Neurotic people keep bad feelings longer: up to 1.5 times, and 0.5 times for the most stable.
        feelings = []
        for feeling in self.feelings:
            bad = VAD[feeling.emotion][0] < 0
            half = HALF_LIFE[feeling.emotion] * (0.5 + self.baseline.neuroticism if bad else 1.0)
            strength = feeling.strength * 0.5 ** (passed / half)
            if strength > 0.01:
                feelings.append(replace(feeling, strength=strength, at=now))
        keep = 0.5 ** (passed / MOOD_HALF_LIFE)
        mood = tuple(b + (m - b) * keep for m, b in zip(self.mood, self.baseline.vad, strict=True))
        seen = {} if passed > 3 * MOOD_HALF_LIFE else self.seen
        return EmotionState(self.baseline, (mood[0], mood[1], mood[2]), tuple(feelings), now, seen)

    def affect(self) -> Affect:
        """What shows: the strongest feeling above the threshold, those stirred last before older ones; else the
        baseline."""
        valence, arousal, dominance = (_clip(m + f) for m, f in zip(self.mood, self._felt(), strict=True))
        last = max((feeling.stirred for feeling in self.feelings), default=0.0)
        strongest = max(self.feelings, key=lambda f: f.strength * (1.0 if f.stirred == last else OLDER), default=None)
        if strongest is not None and strongest.strength >= THRESHOLD:
            label, intensity = strongest.emotion, strongest.strength
        else:
            label = self.baseline.label
            intensity = 0.0 if label == "neutral" else min(0.4, math.hypot(*self.baseline.vad))
        return Affect(label, round(intensity, 4), round(valence, 4), round(arousal, 4), round(dominance, 4))

    def why(self, emotion: str | None = None) -> tuple[Feeling, ...]:
        """The feelings of that name (or all), strongest first, each with its cause."""
        chosen = [feeling for feeling in self.feelings if emotion in (None, feeling.emotion)]
        return tuple(sorted(chosen, key=lambda feeling: -feeling.strength))

    def _felt(self) -> tuple[float, float, float]:
        total = [0.0, 0.0, 0.0]
        for feeling in self.feelings:
            for axis, value in enumerate(VAD[feeling.emotion]):
                total[axis] += value * feeling.strength
        return (math.tanh(total[0]), math.tanh(total[1]), math.tanh(total[2]))


def _clip(value: float) -> float:
    return max(-1.0, min(1.0, value))
