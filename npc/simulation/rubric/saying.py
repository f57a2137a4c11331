"""Does this sentence do what the item asks for? A logistic model for every rubric, over what there is to judge by:

    reader    what the taught encoder reads in the sentence, and by how much it reads it there rather than other items
    encoder   similarity of sentence vectors, word overlap, and wording signs for what similarity gets wrong
    words     overlap and signs alone, without an encoder

Facts are judged by `encoder` or `words`: the reader was not taught them. The weights are made by
`python -m npc.training.rubric`; they know no scenario.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from npc.inference.encoder import SentenceEncoder
from npc.simulation.rubric.lines import Line, Vectors
from npc.simulation.rubric.model import Item
from npc.simulation.rubric.reader import KINDS, Reader
from npc.simulation.rubric.sentence import wording

SPOKEN = ("must_say", "must_ask", "must_not_say", "fact_elicited")
_MODEL = Path(__file__).with_name("saying.json")
_WORD = re.compile(r"[a-z']+")
#: Words too common to say anything about the subject.
_COMMON_WORDS = (
    "a an and are as at be been but by can could did do does for from get got had has have he her him his how i if in "
    "into is it its just me my no not of off on one or our out she so some that the their them then there these they "
    "this to up us was we were what when where which who will with would you your i'm it's that's don't you're i'll "
    "we'll i've"
)
_COMMON = frozenset(_COMMON_WORDS.split())
#: Logit of a rival where there is none: about that of an item that a sentence has nothing to do with.
NO_RIVAL = -5.0
#: Signs whose likeness to the nearest example counts, beside the sign itself.
_COMPARED = ("denial", "question", "first", "second", "other", "third", "order", "past", "condition")
_ALONE = (
    *_COMPARED, "mark", "quote", "report", "mock", "meta", "reading", "yes", "no", "request", "left_open", "short",
)  # fmt: skip


def stem(word: str) -> str:
    """A crude stem: enough for "locked" to meet "lock" and "allergies" to meet "allergy"."""
    for ending, put in (("ies", "y"), ("ing", ""), ("ied", "y"), ("ed", ""), ("'s", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + put
    return word


@lru_cache(maxsize=8192)
def subject_words(text: str) -> frozenset[str]:
    """Stems of the words that carry the subject."""
    return frozenset(stem(word) for word in _WORD.findall(text.lower()) if word not in _COMMON)


@dataclass(frozen=True, slots=True)
class Model:
    """Weights by kind and feature name, and the probability from which a kind of item counts as done."""

    weights: Mapping[str, Mapping[str, float]]
    thresholds: Mapping[str, float]

    def probability(self, kind: str, features: Mapping[str, float]) -> float:
        """In (0, 1)."""
        weights = self.weights[kind]
        logit = sum(weights.get(name, 0.0) * value for name, value in features.items())
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, logit))))


@lru_cache(maxsize=3)
def shipped_model(encoder: bool, reader: bool = False) -> Model:
    """The weights in the package, for judging with or without the sentence encoder, and with the taught one."""
    sets: dict[str, Any] = json.loads(_MODEL.read_text(encoding="utf-8"))
    data = sets["encoder" if encoder else "words"]
    own = sets["reader"] if reader else {"weights": {}, "thresholds": {}}
    return Model({**data["weights"], **own["weights"]}, {**data["thresholds"], **own["thresholds"]})


class Target:
    """What an item asks for, encoded once: its examples (or its fact), its description and its phrases."""

    def __init__(self, item: Item, encoder: SentenceEncoder | None, reader: Reader | None = None) -> None:
        self.item = item
        self._reader = reader if item.kind in KINDS else None
        self._reads: dict[str, float] = {}
        fact = item.params.get("fact")
        self.texts = [str(fact)] if fact else [str(text) for text in item.params.get("examples", ())]
        self.texts = self.texts or [item.description]
        self.signs = [wording(text) for text in self.texts]
        self._phrases = [str(phrase).lower() for phrase in item.params.get("phrases", ())]
        self._words = [subject_words(text) for text in self.texts]
        self._described = subject_words(item.description)
        self._all = self._described.union(*self._words, *(subject_words(phrase) for phrase in self._phrases))
        self.vectors = encoder.encode([*self.texts, *alternatives(item.description)]) if encoder is not None else None

    @property
    def examples(self) -> Vectors | None:
        """Vectors of the examples alone, [examples, d]."""
        return None if self.vectors is None else self.vectors[: len(self.texts)]

    def features(self, line: Line, rivals: Sequence[Target] = ()) -> dict[str, float]:
        """Features of one sentence. `rivals` are other items of the same rubric that the sentence might rather meet."""
        if self._reader is not None:
            return read_features(line.text, self.read(line.text), [rival.read(line.text) for rival in rivals])
        words, signs = subject_words(line.text), wording(line.text)
        overlaps = [len(words & own) / max(1, len(own)) for own in self._words]
        nearest = int(np.argmax(overlaps))
        values: dict[str, float] = {}
        if self.vectors is not None and line.vectors is not None and line.asked is not None:
            nearest, values = self._nearness(line.vectors, line.asked, rivals)
        closeness = values.get("near", max(overlaps))
        like = self.signs[nearest]
        unlike = {f"unlike_{name}": abs(signs[name] - like[name]) for name in _COMPARED}
        shared = words & self._all
        asked = subject_words(" ".join(line.before)) if self.item.kind == "fact_elicited" else frozenset()
        values |= {
            "bias": 1.0,
            "overlap": max(overlaps),
            "shared": min(1.0, len(shared) / 3.0),
            "shared_share": len(shared) / max(1, len(words)),
            "phrase": float(any(phrase in line.text.lower() for phrase in self._phrases)),
            "recital": float(
                len(words & self._described) >= 3 and len(words & self._described) / max(1, len(words)) > 0.5
            ),
            "asked": min(1.0, len(asked & self._all) / 3.0),
            "yes_asked": signs["yes"] * values.get("near_asked", min(1.0, len(asked & self._all) / 3.0)),
        }
        values |= {name: signs[name] for name in _ALONE} | unlike
        return values | {f"near*{name}": closeness * value for name, value in unlike.items()}

    def read(self, text: str) -> float:
        """The reader's logit of a sentence doing the item, kept for as long as this is judged with."""
        if text not in self._reads:
            assert self._reader is not None, "only spoken kinds are read"
            examples = tuple(self.texts)
            self._reads[text] = self._reader.logit(self.item.kind, examples, alternatives(self.item.description), text)
        return self._reads[text]

    def _nearness(self, own: Vectors, asked: Vectors, rivals: Sequence[Target]) -> tuple[int, dict[str, float]]:
        """Index of the nearest example, and the features of similarity."""
        assert self.vectors is not None
        similar = self.vectors @ own.T
        examples, described = similar[: len(self.texts)], similar[len(self.texts) :]
        best = examples.max(axis=1)
        near = float(best.max())
        others = [float((r.examples @ own.T).max()) for r in rivals if r.examples is not None]
        before = float((self.vectors[: len(self.texts)] @ asked.T).max(initial=0.0)) if len(asked) else 0.0
        return int(best.argmax()), {
            "near": near,
            "near_30": max(0.0, near - 0.3),
            "near_45": max(0.0, near - 0.45),
            "near_60": max(0.0, near - 0.6),
            "near_whole": float(examples[:, 0].max()),
            "near_mean": float(best.mean()),
            "near_asked": before,
            "about": float(described.max()),
            "about_whole": float(described[:, 0].max()),
            "margin": near - max(others, default=0.0),
            "margin_mean": near - (sum(others) / len(others) if others else 0.2),
        }


def read_features(text: str, own: float, others: Sequence[float]) -> dict[str, float]:
    """Features of a sentence from what the reader makes of it for an item and for the others of the rubric; whether it
    asks, and whether its wording quotes, reports, mocks, recites or supposes."""
    signs = wording(text)
    return {
        "bias": 1.0,
        "read": own,
        "read_margin": own - max(others, default=NO_RIVAL),
        "question": signs["question"],
        "framed": max(signs[name] for name in ("report", "quote", "mock", "reading", "condition")),
    }


def alternatives(description: str) -> list[str]:
    """A description and its parts: "Blames the guest or tells him to leave" names two things."""
    parts = [part.strip() for part in re.split(r"\bor\b|[,:;()]", description)]
    long = [part for part in parts if len(part.split()) >= 3]
    return [description, *long] if len(parts) > 1 else [description]
