"""Emotion read from words: a linear classifier over hashed word and letter n-grams, a few hundred kB, well under 1 ms.

Trained by `npc.training.emotion` on GoEmotions (Google Research, CC BY 4.0; 28 labels of Reddit comments), whose
labels are folded into the emotion names of the protocol. Text alone is weak evidence (the published BERT baseline
reaches 0.46 macro-F1 on the 28 labels; the model card beside the weights prints ours), so its output is one voice
among several.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from npc.protocol.names import EMOTIONS

#: Feature buckets. 2^15 keeps collisions of frequent n-grams rare at 54 k training texts and the file at 0.5 MB.
BUCKETS = 1 << 15
WEIGHTS = "emotion_words.npz"

#: GoEmotions label -> emotion name of the protocol.
FOLD: Mapping[str, str] = {
    "admiration": "trust",
    "amusement": "amusement",
    "anger": "anger",
    "annoyance": "anger",
    "approval": "trust",
    "caring": "concern",
    "confusion": "curiosity",
    "curiosity": "curiosity",
    "desire": "anticipation",
    "disappointment": "sadness",
    "disapproval": "disgust",
    "disgust": "disgust",
    "embarrassment": "shame",
    "excitement": "joy",
    "fear": "fear",
    "gratitude": "joy",
    "grief": "sadness",
    "joy": "joy",
    "love": "joy",
    "nervousness": "fear",
    "optimism": "anticipation",
    "pride": "pride",
    "realization": "surprise",
    "relief": "relief",
    "remorse": "shame",
    "sadness": "sadness",
    "surprise": "surprise",
    "neutral": "neutral",
}

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|[!?]+|:[()dp]|[\U0001F300-\U0001FAFF]")


def features(text: str) -> dict[int, float]:
    """Bucket -> value: log-free presence of words, word pairs and 4-letter pieces, scaled to unit length.

    Text past 600 characters is left out: emotion sits in the first words, and a pasted book must not cost time.
    """
    words = ["^", *_WORD.findall(text[:600].lower().replace("’", "'")), "$"]
    found: dict[int, float] = {}
    for first, second in itertools.pairwise(words):
        found[_bucket("w " + first)] = 1.0
        found[_bucket(f"b {first} {second}")] = 1.0
        if len(first) > 4:
            for at in range(len(first) - 3):
                found[_bucket("c " + first[at : at + 4])] = 0.5
    length = math.sqrt(sum(value * value for value in found.values())) or 1.0
    return {bucket: value / length for bucket, value in found.items()}


def _bucket(gram: str) -> int:
    return zlib.crc32(gram.encode()) % BUCKETS


@dataclass(frozen=True, slots=True)
class WordEmotions:
    """The trained classifier: int8 weights [labels, BUCKETS] with a scale per label."""

    labels: tuple[str, ...]
    weights: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]

    def read(self, text: str) -> dict[str, float]:
        """Probability of each label in `labels`; they add up to 1. Text without words is neutral."""
        found = features(text)
        columns = np.fromiter(found, dtype=np.int64, count=len(found))
        values = np.fromiter(found.values(), dtype=np.float32, count=len(found))
        logits = (self.weights[:, columns].astype(np.float32) @ values) * self.scale + self.bias
        logits -= logits.max()
        odds = np.exp(logits)
        return dict(zip(self.labels, (odds / odds.sum()).tolist(), strict=True))

    def emotions(self, text: str) -> dict[str, float]:
        """The same, folded into the protocol's emotion names."""
        folded: dict[str, float] = {str(name): 0.0 for name in EMOTIONS}
        for label, share in self.read(text).items():
            folded[FOLD[label]] += share
        return folded


@lru_cache(maxsize=1)
def load_word_emotions() -> WordEmotions:
    """The shipped weights."""
    with (files("npc.dialogue") / "data" / WEIGHTS).open("rb") as file, np.load(file, allow_pickle=False) as data:
        labels = tuple(json.loads(str(data["labels"])))
        return WordEmotions(labels, data["weights"], data["scale"], data["bias"])
