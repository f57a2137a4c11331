"""Train the judges of how a reply sounds: `python -m npc.training.traits`.

Logistic regression on sentence vectors and surface marks (`npc.inference.traits`), one a trait, from
`data/traits/TRAIT.txt`: "= topic", "+ reply with much of it", "- reply with little". Prints what cross-validation over
topics says (a topic is wholly in one fold, so none can be learnt by heart), beside the marks alone and the number of
words alone, which ought to say nothing; then writes weights fitted on everything.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.inference.encoder import EncoderError, load_encoder
from npc.inference.traits import MARKS, TRAITS, WEIGHTS, features

#: Weight decay, the same for all traits: of 0.01, 0.03, 0.1, 0.3 and 1 the least loss in cross-validation, summed.
DECAY = 0.03
FOLDS = 10
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Labelled:
    """One written reply."""

    text: str
    topic: str
    much: bool


def labelled(trait: str) -> tuple[Labelled, ...]:
    """The written replies of a trait. Raises ValueError naming file and line."""
    found: dict[str, Labelled] = {}
    topic, text = "", (files("npc.training") / "data" / "traits" / f"{trait}.txt").read_text("utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        mark, _, said = line.partition(" ")
        if mark == "=":
            topic = said.strip()
        elif mark in ("+", "-") and topic:
            if said in found:
                raise ValueError(f"{trait}.txt, line {number}: written twice: {said!r}")
            found[said] = Labelled(said, topic, mark == "+")
        elif mark and mark != "#":
            raise ValueError(f"{trait}.txt, line {number}: not a topic, a comment or a reply: {line!r}")
    return tuple(found.values())


def fit(x: Floats, much: NDArray[np.bool_], decay: float = DECAY, rounds: int = 30) -> Floats:
    """Weights of a logistic regression by Newton's method; the last column is the intercept and has no decay."""
    w, penalty = np.zeros(x.shape[1]), np.full(x.shape[1], decay)
    penalty[-1] = 1e-9
    for _ in range(rounds):
        p = 1.0 / (1.0 + np.exp(-x @ w))
        gradient = x.T @ (p - much) + penalty * w
        step = np.linalg.solve((x.T * (p * (1 - p))) @ x + np.diag(penalty), gradient)
        w -= step
        if np.abs(step).max() < 1e-8:
            break
    return w


def held_out(x: Floats, much: NDArray[np.bool_], topics: Sequence[str], decay: float = DECAY) -> Floats:
    """Each reply's logit from weights that saw nothing of its topic."""
    names = sorted(set(topics))
    fold_of = np.array([names.index(topic) % FOLDS for topic in topics])
    logits = np.zeros(len(x))
    for fold in range(FOLDS):
        out = fold_of == fold
        logits[out] = x[out] @ fit(x[~out], much[~out], decay)
    return logits


def area(scores: Floats, much: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: how often a reply with much scores above one with little (ties half)."""
    high, low = scores[much][:, None], scores[~much][None]
    return float((high > low).mean() + 0.5 * (high == low).mean())


def table(trait: str, x: Floats, said: Sequence[Labelled], decay: float = DECAY) -> dict[str, Any]:
    """Figures of one trait, held out by topic."""
    much = np.array([one.much for one in said])
    topics = [one.topic for one in said]
    logits = held_out(x, much, topics, decay)
    words = np.array([len(one.text.split()) for one in said], np.float64)
    marks = held_out(x[:, -len(MARKS) - 1 :], much, topics, decay)
    return {
        "n": len(said),
        "topics": len(set(topics)),
        "auc": round(area(logits, much), 3),
        "accuracy": round(float(((logits > 0) == much).mean()), 3),
        "loss": round(float(np.logaddexp(0, np.where(much, -logits, logits)).mean()), 3),
        "auc_marks_alone": round(area(marks, much), 3),
        "auc_words_alone": round(area(words, much), 3),
        "words": [round(float(words[much].mean()), 1), round(float(words[~much].mean()), 1)],
    }


def main(argv: list[str] | None = None) -> int:
    """Print the tables, write the weights."""
    parser = argparse.ArgumentParser(prog="python -m npc.training.traits", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path(str(files("npc.inference") / "data" / WEIGHTS)))
    parser.add_argument("--decay", type=float, default=DECAY, help=f"weight decay (default {DECAY})")
    options = parser.parse_args(argv)
    try:
        encoder = load_encoder()
    except EncoderError as error:
        print(f"npc.training.traits: {error}", file=sys.stderr)
        return 1
    seen = {trait: labelled(trait) for trait in TRAITS}
    inputs = {trait: features(encoder, [one.text for one in said]) for trait, said in seen.items()}
    tables = {trait: table(trait, inputs[trait], said, options.decay) for trait, said in seen.items()}
    weights = {
        trait: fit(inputs[trait], np.array([one.much for one in said]), options.decay) for trait, said in seen.items()
    }
    # how far each judge hears another trait's contrast: 0.5 is not at all
    crossed = {
        judge: {
            trait: round(area(inputs[trait] @ weights[judge], np.array([one.much for one in seen[trait]])), 2)
            for trait in TRAITS
            if trait != judge
        }
        for judge in TRAITS
    }
    np.savez(options.out, **{trait: w.astype(np.float32) for trait, w in weights.items()})  # type: ignore[arg-type]
    print(json.dumps({"held_out_by_topic": tables, "auc_on_other_traits": crossed}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
