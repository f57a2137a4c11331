"""Reading the player: how the words strike the character, what the player seems to feel, what the voice adds.

Three witnesses, each inspectable in `Reading`: fixed forms of English ("I'm sorry about your …"), a classifier of
sentence vectors (`npc.training.reactions`; left out where there is no encoder), and the word classifier. The voice adds
arousal, measured against this player's own habit, since pitch and loudness mean nothing on an absolute scale.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from npc.animation.interface import Affect
from npc.dialogue.emotion import VAD
from npc.dialogue.emotion_words import WordEmotions


class Encoder(Protocol):
    """What is needed of a sentence encoder: unit vectors, one row a text."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """`reaction` (see emotion_appraisal.REACTIONS) with strength; the player's own emotion; the witnesses by name."""

    reaction: str = "none"
    strength: float = 0.0
    affect: Affect = Affect()
    witnesses: Mapping[str, str] = field(default_factory=dict)


def _load_forms() -> tuple[tuple[str, float, re.Pattern[str]], ...]:
    """(reaction, strength, pattern): forms whose meaning hardly depends on the topic. First match wins."""
    text = (files("npc.dialogue") / "data" / "emotion_forms.tsv").read_text(encoding="utf-8")
    forms, pejorative = [], ""
    for line in text.splitlines():
        cells = line.split("\t")
        if cells[0] == "PEJORATIVE":
            pejorative = cells[1]
        elif not line.startswith("#"):
            forms.append((cells[0], float(cells[1]), re.compile(cells[2].replace("PEJORATIVE", pejorative), re.I)))
    return tuple(forms)


_FORMS = _load_forms()
_GREETING = re.compile(r"^(?:hello|hi|hey|good (?:morning|evening|afternoon|day)|morning|evening|greetings)\b", re.I)
_QUESTION = re.compile(r"\?\s*$")
#: A question as a recogniser writes it: nothing but its order says so ("what a …" and "how dare …" ask nothing).
_ASKING = re.compile(
    r"\?\s*$|^(?:(?:and|so|but|ok|okay|well|um|uh|er|hey|oh),?\s+)*"
    r"(?:(?:what|who|whose|where|when|which|how|why)(?:'s|'re|'d)?\b(?! an?\b| dare\b)|"
    r"(?:is|are|was|were|do|does|did|can|could|would|will|have|has|had|should|may|might|shall)(?:n't)?\s+"
    r"(?:i|you|he|she|it|we|they|there|this|that|these|those|the|an?|my|your|any\w*|some\w*)\b)",
    re.I,
)

#: Weights of `npc.training.reactions`: for a sentence vector of MiniLM, the odds of each reaction.
WEIGHTS = "reactions.npz"
#: Probability that a sentence strikes at all from which it is believed; a question strikes rarely, so more is asked.
BELIEVED, BELIEVED_OF_A_QUESTION = 0.5, 0.7
#: Speaks of the speaker, and of the listener or what stands before both.
_OF_ME = re.compile(r"\b(?:i|i'm|i've|i'd|i'll|im|ive|my|me|we|we're|we've|our|us)\b", re.I)
_OF_YOU = re.compile(r"\b(?:you|you're|you've|you'd|you'll|youre|your|yours|yourself|ya|u|this|that|that's)\b", re.I)
#: What only a sentence about the listener can be.
_JUDGEMENTS = frozenset({"insult", "threat", "praise", "accusation"})

Network = tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.float16], NDArray[np.float16]]
"""Inner weights [units, width] and bias, outer weights [reactions, units] and bias."""
Networks = tuple[Network, ...]


@lru_cache(maxsize=1)
def _reactions() -> tuple[tuple[str, ...], Networks]:
    with (files("npc.dialogue") / "data" / WEIGHTS).open("rb") as file, np.load(file, allow_pickle=False) as data:
        parts = (data["w1"], data["b1"], data["w2"], data["b2"])
        return tuple(json.loads(str(data["names"]))), tuple(zip(*parts, strict=True))


def odds_of(networks: Networks, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Odds [rows, reactions] of unit vectors: the mean of the networks."""
    total = np.zeros((len(vectors), networks[0][3].size), np.float32)
    for w1, b1, w2, b2 in networks:
        logits = np.maximum(vectors @ w1.T.astype(np.float32) + b1, 0.0) @ w2.T.astype(np.float32) + b2
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        total += odds / odds.sum(axis=1, keepdims=True)
    return total / np.float32(len(networks))


def believed(sentence: str, odds: Mapping[str, float]) -> tuple[str, float]:
    """The reaction that a sentence is believed to be, and the probability that it strikes; "none" and 0.0 below the
    bar. What speaks of the speaker alone judges nobody."""
    straight = sentence.replace("’", "'")
    about_self = _OF_ME.search(straight) is not None and _OF_YOU.search(straight) is None
    likely = {name: p for name, p in odds.items() if name != "none" and not (about_self and name in _JUDGEMENTS)}
    moved = sum(likely.values())
    if moved < (BELIEVED_OF_A_QUESTION if _QUESTION.search(sentence) else BELIEVED):
        return "none", 0.0
    return max(likely, key=lambda name: likely[name]), moved


#: "Sorry" that is no apology: it comes with one of these.
_SORRY_FOR = frozenset({"bad_news", "sympathy", "alarm"})


class PlayerReader:
    """Reads player turns. Stateless but for the vectors of the examples, made once."""

    def __init__(self, words: WordEmotions, encoder: Encoder | None = None) -> None:
        self._words = words
        self._encoder = encoder

    def read(
        self, text: str, delivery: DeliveryHabit | None = None, measured: Mapping[str, float] | None = None
    ) -> Reading:
        """What the words (and the voice) say. Text past 600 characters is not looked at."""
        text = " ".join(text[:600].split())
        if not text:
            return Reading()
        witnesses: dict[str, str] = {}
        reaction, strength = self._by_form(text)
        if reaction is not None:
            witnesses["form"] = f"{reaction} {strength:.2f}"
        near, near_strength = self._by_meaning(text)
        witnesses["meaning"] = f"{near} {near_strength:.2f}"
        if reaction == "apology" and near in _SORRY_FOR:
            # "Your brother's gone. I am sorry."
            reaction, strength = near, near_strength
        emotions = self._words.emotions(text)
        best = max(emotions, key=lambda name: emotions[name] if name != "neutral" else emotions[name] * 0.8)
        witnesses["words"] = f"{best} {emotions[best]:.2f}"
        if reaction is None:
            reaction, strength = near, near_strength
            if reaction == "none" and not _ASKING.search(text.replace("’", "'")):
                reaction, strength = _by_tone(text, emotions)
                witnesses["tone"] = f"{reaction} {strength:.2f}"
        if reaction == "none" and _GREETING.match(text) and strength == 0.0:
            reaction, strength = "greeting", 0.4
        arousal = delivery.arousal(measured) if delivery is not None and measured else 0.0
        if arousal:
            witnesses["voice"] = f"arousal {arousal:+.2f}"
        strength = max(0.0, min(1.0, strength * (1.0 + 0.3 * arousal)))
        return Reading(reaction, round(strength, 4), _player_affect(emotions, best, arousal), witnesses)

    def _by_form(self, text: str) -> tuple[str | None, float]:
        straight = text.replace("’", "'")
        for reaction, strength, pattern in _FORMS:
            if pattern.search(straight):
                return reaction, strength
        return None, 0.0

    def _by_meaning(self, text: str) -> tuple[str, float]:
        """The reaction of the sentence that strikes hardest, and how hard."""
        if self._encoder is None:
            return "none", 0.0
        names, networks = _reactions()
        best, strength = "none", 0.0
        pieces = struck_by(text)
        for sentence, row in zip(pieces, odds_of(networks, self._encoder.encode(pieces)), strict=True):
            reaction, moved = believed(sentence, dict(zip(names, row.tolist(), strict=True)))
            if moved > strength:
                best, strength = reaction, moved
        return best, 0.35 + 0.5 * strength if best != "none" else 0.0


def _by_tone(text: str, emotions: Mapping[str, float]) -> tuple[str, float]:
    """A weak last guess: a clear emotion in the words, about the listener or about the speaker."""
    you = bool(re.search(r"\byou(?:r|'re|'ve)?\b", text, re.IGNORECASE))
    me = bool(re.search(r"\b(?:i|i'm|my|me)\b", text, re.IGNORECASE))
    kind, share = max(((n, v) for n, v in emotions.items() if n != "neutral"), key=lambda pair: pair[1])
    if share < 0.6 or share < 2 * emotions["neutral"]:
        return "none", 0.0
    if you and kind in ("anger", "disgust"):
        return "insult", 0.4
    if you and kind in ("joy", "trust", "pride"):
        return "praise", 0.4
    if kind in ("sadness", "fear"):
        return ("distress", 0.5) if me else ("bad_news", 0.4)
    return "none", 0.0


def struck_by(text: str) -> list[str]:
    """The sentences of a turn that are read one by one, and the whole turn where it is short."""
    parts = [part.strip() for part in re.split(r"(?<=[.!?;])\s+", text) if part.strip()]
    whole = [text] if 1 < len(parts) <= 3 else []
    return [*parts[:5], *whole] or [text]


def _player_affect(emotions: Mapping[str, float], best: str, arousal: float) -> Affect:
    vad = [sum(share * VAD[name][axis] for name, share in emotions.items()) for axis in range(3)]
    vad[1] += 0.6 * arousal
    clipped = [round(max(-1.0, min(1.0, value)), 4) for value in vad]
    return Affect(best, round(emotions[best] if best != "neutral" else 0.0, 4), clipped[0], clipped[1], clipped[2])


#: Spread of each measurement within one speaker from turn to turn: speaking rate in words a second, pitch in Hz, level
#: in dB, share of pauses. Round figures from corpora of spontaneous speech; only ratios to them matter here.
_SPREAD: Mapping[str, tuple[float, float]] = {
    "rate_wps": (0.6, 0.3),
    "pitch_hz": (20.0, 0.45),
    "energy_db": (4.0, 0.45),
    "pause_ratio": (0.12, -0.2),
}


@dataclass(frozen=True, slots=True)
class DeliveryHabit:
    """How this player usually speaks: running means, so that a loud person is not taken for an angry one."""

    means: Mapping[str, float] = field(default_factory=dict)
    turns: int = 0

    def heard(self, measured: Mapping[str, float]) -> DeliveryHabit:
        """The habit after another turn."""
        known = {name: value for name, value in measured.items() if name in _SPREAD and math.isfinite(value)}
        if not known:
            return self
        weight = max(0.1, 1.0 / (self.turns + 1))
        means = dict(self.means)
        for name, value in known.items():
            means[name] = means[name] + weight * (value - means[name]) if name in means else value
        return replace(self, means=means, turns=self.turns + 1)

    def arousal(self, measured: Mapping[str, float]) -> float:
        """How much livelier than usual this turn was, in [-1, 1]; 0 until there is a habit to compare with."""
        if self.turns < 1:
            return 0.0
        total = 0.0
        for name, (spread, weight) in _SPREAD.items():
            value = measured.get(name)
            if value is not None and name in self.means and math.isfinite(value):
                total += weight * (value - self.means[name]) / spread
        return round(math.tanh(total * 0.6), 4)
