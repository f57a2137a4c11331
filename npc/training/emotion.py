"""Train the reader of emotion from words: `python -m npc.training.emotion --data goemotions.jsonl.gz`.

Softmax regression on hashed n-grams (see `npc.dialogue.emotion_words`), Adagrad, one pass after another over the
training split, the best epoch by folded accuracy plus macro-F1 on the development split kept. Two minutes on one core.
Writes the weights (int8) and a model card with the figures on the test split beside a majority baseline.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from npc.dialogue import emotion_words
from npc.dialogue.emotion_words import BUCKETS, FOLD, WordEmotions, features

log = Console(stderr=True, highlight=False)

#: Adagrad step; the development figures of an epoch are printed, the run is short enough to try others.
LEARNING_RATE = 0.2
BATCH = 64
#: Rare classes count more, by (share) ** -0.4, so that grief and pride are found at all.
BALANCE = 0.4


@dataclass(frozen=True, slots=True)
class Examples:
    """Texts as features: columns and values of each, and the target distribution [n, labels]."""

    rows: tuple[tuple[NDArray[np.int64], NDArray[np.float32]], ...]
    targets: NDArray[np.float32]


def read(path: Path, split: str, labels: Sequence[str]) -> Examples:
    """One split of the file; a text with several labels counts a share for each."""
    rows, targets = [], []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record["split"] != split:
                continue
            found = features(record["text"])
            rows.append((np.fromiter(found, np.int64, len(found)), np.fromiter(found.values(), np.float32, len(found))))
            target = np.zeros(len(labels), np.float32)
            for label in record["emo"]:
                target[labels.index(label)] = 1.0 / len(record["emo"])
            targets.append(target)
    if not rows:
        raise SystemExit(f"{path}: no lines of split {split!r}")
    return Examples(tuple(rows), np.stack(targets))


def train(data: Examples, dev: Examples, labels: Sequence[str], epochs: int, seed: int) -> WordEmotions:
    """Adagrad on cross-entropy; returns the epoch that is best on `dev`."""
    random = np.random.default_rng(seed)
    weights = np.zeros((BUCKETS, len(labels)), np.float32)
    history = np.full((BUCKETS, len(labels)), 1e-3, np.float32)
    bias, bias_history = np.zeros(len(labels), np.float32), np.full(len(labels), 1e-3, np.float32)
    share = data.targets.mean(axis=0)
    importance = data.targets @ (share / share.mean()) ** -BALANCE
    best, best_score = quantise(weights, bias, labels), -1.0
    for epoch in range(epochs):
        order = random.permutation(len(data.rows))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            logits = np.stack([data.rows[i][1] @ weights[data.rows[i][0]] for i in batch]) * 8.0 + bias
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            error = (odds / odds.sum(axis=1, keepdims=True) - data.targets[batch]) * importance[batch, None]
            for i, gradient in zip(batch, error, strict=True):
                columns, values = data.rows[i]
                step = values[:, None] * gradient[None, :]
                history[columns] += step * step
                weights[columns] -= LEARNING_RATE * step / np.sqrt(history[columns])
            total = error.sum(axis=0)
            bias_history += total * total
            bias -= LEARNING_RATE * total / np.sqrt(bias_history)
        model = quantise(weights, bias, labels)
        figures = measure(model, dev)
        log.print(f"epoch {epoch + 1}: dev accuracy {figures['accuracy']:.3f}, macro-F1 {figures['macro_f1']:.3f}")
        if figures["folded_accuracy"] + figures["folded_macro_f1"] > best_score:
            best, best_score = model, figures["folded_accuracy"] + figures["folded_macro_f1"]
    return best


def quantise(weights: NDArray[np.float32], bias: NDArray[np.float32], labels: Sequence[str]) -> WordEmotions:
    """Int8 by label; the factor 8 of the training logits goes into the scale."""
    scale = np.maximum(np.abs(weights).max(axis=0), 1e-6) / 127.0
    whole = np.clip(np.round(weights / scale), -127, 127).astype(np.int8).T
    return WordEmotions(tuple(labels), np.ascontiguousarray(whole), (scale * 8.0).astype(np.float32), bias.copy())


def measure(model: WordEmotions, data: Examples) -> dict[str, float]:
    """Accuracy (best label is one of the given ones) and macro-F1 (first label), on 28 labels and folded."""
    names = sorted(set(FOLD.values()))
    fold = np.zeros((len(model.labels), len(names)), np.float32)
    for row, label in enumerate(model.labels):
        fold[row, names.index(FOLD[label])] = 1.0
    scores = []
    for columns, values in data.rows:
        logits = (model.weights[:, columns].astype(np.float32) @ values) * model.scale + model.bias
        odds = np.exp(logits - logits.max())
        scores.append(odds / odds.sum())
    odds = np.stack(scores)
    result = {}
    for prefix, guess, truth in (("", odds, data.targets), ("folded_", odds @ fold, data.targets @ fold)):
        best, right = guess.argmax(axis=1), truth.argmax(axis=1)
        result[prefix + "accuracy"] = float((truth[np.arange(len(best)), best] > 0).mean())
        f1 = []
        for column in range(truth.shape[1]):
            hit = float(((best == column) & (truth[:, column] > 0)).sum())
            wrong = float((best == column).sum() + (right == column).sum())
            f1.append(2 * hit / wrong if wrong else 0.0)
        result[prefix + "macro_f1"] = float(np.mean(f1))
        result[prefix + "majority_accuracy"] = float((truth[:, int(truth.mean(axis=0).argmax())] > 0).mean())
    return result


def save(model: WordEmotions, path: Path) -> None:
    np.savez_compressed(
        path, labels=json.dumps(model.labels), weights=model.weights, scale=model.scale, bias=model.bias
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="npc.training.emotion", description="Train the reader of emotion from words.")
    parser.add_argument("--data", type=Path, required=True, help="goemotions.jsonl.gz: lines of split, text, emo")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    default = Path(emotion_words.__file__).parent / "data" / emotion_words.WEIGHTS
    parser.add_argument("--out", type=Path, default=default)
    args = parser.parse_args(argv)
    labels = sorted(FOLD)
    data, dev, test = (read(args.data, split, labels) for split in ("train", "dev", "test"))
    log.print(f"{len(data.rows)} training, {len(dev.rows)} development, {len(test.rows)} test texts")
    model = train(data, dev, labels, args.epochs, args.seed)
    save(model, args.out)
    figures = {name: round(value, 4) for name, value in measure(model, test).items()}
    card = {
        "model": "softmax regression on hashed n-grams, int8",
        "data": "GoEmotions (Demszky et al. 2020), Google Research, CC BY 4.0",
        "texts": len(data.rows),
        "seed": args.seed,
        "epochs": args.epochs,
        "bytes": args.out.stat().st_size,
        "test": figures,
    }
    args.out.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(card))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
