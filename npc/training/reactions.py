"""Train the reader of how words strike a listener: `python -m npc.training.reactions`.

Softmax regression on sentence vectors of MiniLM: 384 numbers a reaction. The sentences of `data/reactions*.txt` (label,
sentence) stand for themselves; every other turn of the written talks in `data/minds` strikes nobody and is "none".
Prints accuracy and recall by reaction in five-fold cross-validation, then writes weights fitted on everything.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from npc.dialogue.emotion_appraisal import REACTIONS
from npc.dialogue.emotion_reading import WEIGHTS, struck_by
from npc.inference.encoder import load_encoder
from npc.training.turns import written_minds

#: Weight decay: with 384 inputs and some 30 sentences a reaction, less fits the topics instead of the manner.
DECAY = 2e-3


def labelled() -> list[tuple[str, str]]:
    """(reaction, sentence) of the carried files, and "none" for the turns of training characters that strike nobody."""
    found = []
    folder = files("npc.training") / "data"
    for name in sorted(entry.name for entry in folder.iterdir() if entry.name.startswith("reactions")):
        for number, line in enumerate((folder / name).read_text("utf-8").splitlines(), 1):
            if line.startswith("#") or not line.strip():
                continue
            label, _, sentence = line.partition(" ")
            if label not in REACTIONS:
                raise ValueError(f"{name}, line {number}: unknown reaction {label!r}")
            found.append((label, sentence.strip()))
    turns = [said for mind in written_minds()["train"] for talk in mind.talks for said in talk]
    calm = [said.text for said in turns if said.kind not in ("emotion", "injection")]
    moved = [(reaction, said.text) for said in turns if (reaction := reaction_to(said.emotions)) is not None]
    return found + moved + [("none", sentence) for turn in calm for sentence in struck_by(turn)]


def reaction_to(emotions: Sequence[str]) -> str | None:
    """What most likely struck a character that is expected to feel one of these, the first most; None where that is
    open."""
    felt = set(emotions)
    if felt and emotions[0] == "shame":
        return "accusation"
    if felt & {"anger", "disgust"} and not felt & {"fear", "joy", "trust"}:
        return "insult"
    if "joy" in felt and not felt & {"sadness", "concern", "surprise"}:
        return "praise" if "pride" in felt else "thanks"
    if {"fear", "surprise"} <= felt and "joy" not in felt:
        return "bad_news" if "sadness" in felt else "alarm"
    return None


def fit(vectors: NDArray[np.float32], labels: Sequence[int], classes: int, seed: int = 0) -> NDArray[np.float32]:
    """Weights [classes, width + 1]; rare reactions count as much as common ones by the square root of their share."""
    torch.manual_seed(seed)
    x = torch.from_numpy(np.concatenate([vectors, np.ones((len(vectors), 1), np.float32)], 1)) * 4.0
    y = torch.tensor(labels)
    counts = torch.bincount(y, minlength=classes).float().clamp(min=1.0)
    importance = counts.rsqrt()[y] / counts.rsqrt()[y].mean()
    w = torch.zeros(classes, x.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([w], max_iter=120, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        each = torch.nn.functional.cross_entropy(x @ w.T, y, reduction="none")
        value = (each * importance).mean() + DECAY * w.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    result: NDArray[np.float32] = (w.detach() * 4.0).numpy()
    return result


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m npc.training.reactions", description=__doc__)
    default = Path(str(files("npc.dialogue") / "data" / WEIGHTS))
    parser.add_argument("--out", type=Path, default=default)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    data = labelled()
    names = sorted({label for label, _ in data})
    vectors = load_encoder().encode([sentence for _, sentence in data])
    labels = [names.index(label) for label, _ in data]
    fold = np.random.default_rng(1).integers(0, 5, len(data))
    guesses = np.zeros(len(data), int)
    for k in range(5):
        w = fit(vectors[fold != k], [label for label, f in zip(labels, fold, strict=True) if f != k], len(names))
        guesses[fold == k] = (vectors[fold == k] @ w[:, :-1].T + w[:, -1]).argmax(1)
    truth = np.array(labels)
    recall = {name: round(float((guesses[truth == i] == i).mean()), 3) for i, name in enumerate(names)}
    report = {"sentences": len(data), "accuracy": round(float((guesses == truth).mean()), 3), "recall": recall}
    print(json.dumps(report), file=sys.stderr)
    w = fit(vectors, labels, len(names))
    np.savez_compressed(options.out, names=json.dumps(names), weights=w.astype(np.float16))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
