"""Judges of how a reply sounds: glad, lively, formal, sure of itself. One logistic regression a trait, 6 kB in all.

    text ── sentence vector (MiniLM, 384) ─┐
         └─ surface marks (below, 6) ──────┴─ w · x + b ── logistic ── 0..1, 0.5 where it could be either

Trained by `python -m npc.training.traits` on 150 + 150 written replies a trait, which share no sentence with the
contrasts that steering directions are learnt from, nor with anything the dialogue model was trained to say: a judge is
no mirror of what it judges. Length is no mark, for it would give the side away where it should not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.inference.encoder import SentenceEncoder

TRAITS: Final = ("valence", "arousal", "formality", "assertiveness")
WEIGHTS: Final = "traits.npz"

_HEDGE = re.compile(
    r"\b(?:maybe|perhaps|possibly|probably|might|may be|could|i think|i guess|i suppose|i'm not sure|sort of|kind of|"
    r"if you (?:like|want|don't mind)|sorry|i'm afraid|i hope|would you|a little|a bit)\b", re.I)  # fmt: skip
_SHORTENED = re.compile(r"\b\w+'(?:s|re|m|ve|d|ll|t)\b", re.I)
_SLANG = re.compile(
    r"\b(?:hey|hi|yeah|nope?|nah|okay|ok|wow|oops|gonna|wanna|gotta|gimme|dunno|guys?|mate|pal|buddy|stuff|"
    r"cool|huh|aw|bye|cheers|ta|kid|kinda)\b", re.I)  # fmt: skip
_TWICE = re.compile(r"\b(\w+)[,!.]? \1\b", re.I)
_Marks = tuple[tuple[str, Callable[[str], float]], ...]
#: Surface marks, each 0..1: twice of something in a sentence says no more than once.
MARKS: Final[_Marks] = (
    ("exclamations", lambda text: _share(text.count("!"), text)),
    ("questions", lambda text: _share(text.count("?"), text)),
    ("hedges", lambda text: _share(len(_HEDGE.findall(text)), text)),
    ("shortened", lambda text: _share(len(_SHORTENED.findall(text)), text)),
    ("slang", lambda text: _share(len(_SLANG.findall(text)), text)),
    ("repeated", lambda text: _share(len(_TWICE.findall(text)), text)),
)


def features(encoder: SentenceEncoder, texts: Sequence[str]) -> NDArray[np.float64]:
    """What the judges see: [texts, 384 + marks + 1], the last column ones."""
    vectors = encoder.encode([text or "." for text in texts]).astype(np.float64)
    marks = np.array([[mark(text) for _, mark in MARKS] for text in texts], np.float64).reshape(len(texts), len(MARKS))
    return np.concatenate([vectors, marks, np.ones((len(texts), 1))], axis=1)


class TraitJudges:
    """The shipped judges, or those of another file. `scores` and `judge` take any reply, in English."""

    def __init__(self, encoder: SentenceEncoder, path: Path | None = None) -> None:
        """Raises ValueError when the file is broken or was made for another encoder."""
        place = path or Path(str(files("npc.inference") / "data" / WEIGHTS))
        try:
            with np.load(place, allow_pickle=False) as held:
                self._weights = {name: held[name].astype(np.float64) for name in TRAITS}
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(f"{place}: not a file of trait judges: {error}") from None
        width = encoder.dimensions + len(MARKS) + 1
        if any(weights.shape != (width,) for weights in self._weights.values()):
            raise ValueError(f"{place}: the judges do not fit this encoder of {encoder.dimensions} numbers a sentence")
        self._encoder = encoder

    def scores(self, trait: str, texts: Sequence[str]) -> NDArray[np.float64]:
        """How much of a trait each text has, 0..1. Raises KeyError for an unknown trait."""
        result: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-features(self._encoder, texts) @ self._weights[trait]))
        return result

    def judge(self, trait: str) -> Callable[[Sequence[str]], float]:
        """Mean score of texts, for `dose.response`."""
        if trait not in self._weights:
            raise KeyError(trait)
        return lambda texts: float(self.scores(trait, texts).mean()) if texts else float("nan")


def _share(count: int, text: str) -> float:
    return min(1.0, count / max(1, len(re.findall(r"[.!?]+", text))))
