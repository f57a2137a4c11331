"""Train the reader of how words strike a listener: `python -m npc.training.reactions`.

Three small networks (384 -> 128 -> reactions) on sentence vectors of MiniLM, averaged. The sentences of
`data/reactions*.txt` (label, sentence) stand for themselves; every other turn of the written talks in `data/minds`
strikes nobody and is "none". Prints, in five-fold cross-validation at the bars of the reader, how many plain sentences
are left alone and how many of the others are named, by reaction; then writes weights fitted on everything. Six minutes
of one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from npc.dialogue.emotion_appraisal import REACTIONS
from npc.dialogue.emotion_reading import WEIGHTS, Network, Networks, believed, odds_of, struck_by
from npc.inference.encoder import load_encoder
from npc.training.turns import left_out, written_minds

log = Console(stderr=True, highlight=False)

FOLDS = 5
#: Unit vectors have entries of about 0.05: too small for a network's usual start.
SCALE = 4.0
#: Networks that are averaged, units of each, passes over the data. More units or passes, or learning the CC BY emotion
#: set beside it, gained nothing in cross-validation; a linear reader names a seventh fewer.
NETWORKS, UNITS, EPOCHS = 3, 128, 12
#: Share of a layer left out, noise on vectors of length 1 and weight decay: nine in ten sentences are "none".
DROPPED, NOISE, DECAY = 0.4, 0.02, 1e-2
#: Rare reactions count more, by (number of sentences) ** -RARE. With -0.5 the odds mean little and need a bar of 0.8.
RARE = 0.25
_RATE, _BATCH = 4e-3, 256


def labelled() -> list[tuple[str, str]]:
    """(reaction, sentence) of the carried files and of the training characters (but those left out, see
    `turns.left_out`): what is expected to be felt, and "none" for the turns that strike nobody."""
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
    out = left_out()
    learnt = [mind for mind in written_minds()["train"] if mind.id not in out]
    turns = [said for mind in learnt for talk in mind.talks for said in talk]
    calm = [said.text for said in turns if said.kind not in ("emotion", "injection")]
    moved = [(reaction, said.text) for said in turns if (reaction := reaction_to(said.emotions)) is not None]
    return found + moved + [("none", sentence) for turn in calm for sentence in struck_by(turn)]


def reaction_to(emotions: Sequence[str]) -> str | None:
    """What most likely struck a character that is expected to feel one of these, the first most; None where that is
    open."""
    felt = set(emotions)
    glad, sorry = felt & {"joy", "relief"}, felt & {"sadness", "concern"}
    if felt and emotions[0] == "shame":
        return "accusation"
    if felt & {"anger", "disgust"} and not felt & {"fear", "joy", "trust"}:
        return "insult"
    if "joy" in felt and not felt & {"sadness", "concern", "surprise"}:
        return "praise" if "pride" in felt else "thanks"
    if "fear" in felt and felt & {"surprise", "sadness", "concern"} and not glad:
        return "bad_news" if "sadness" in felt else "alarm"
    if glad and felt & {"relief", "surprise"} and not felt & {"sadness", "fear", "anger", "concern", "pride"}:
        return "good_news"
    if sorry and felt <= {"sadness", "concern", "surprise"}:
        return "bad_news"
    return None


def fit(vectors: NDArray[np.float32], labels: Sequence[int], classes: int) -> Networks:
    """Networks on rows of unit length."""
    return tuple(_network(vectors, labels, classes, seed) for seed in range(NETWORKS))


def _network(vectors: NDArray[np.float32], labels: Sequence[int], classes: int, seed: int) -> Network:
    torch.manual_seed(seed)
    x, y = torch.from_numpy(vectors) * SCALE, torch.tensor(labels)
    importance = torch.bincount(y, minlength=classes).float().clamp(min=1.0).pow(-RARE)[y]
    importance /= importance.mean()
    inner, outer = torch.nn.Linear(x.shape[1], UNITS), torch.nn.Linear(UNITS, classes)
    net = torch.nn.Sequential(inner, torch.nn.ReLU(), torch.nn.Dropout(DROPPED), outer)
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=DECAY)
    each = len(x) // _BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=EPOCHS * each)
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for rows in order[: each * _BATCH].view(each, _BATCH):
            noisy = x[rows] + NOISE * SCALE * torch.randn(len(rows), x.shape[1])
            loss = torch.nn.functional.cross_entropy(net(noisy), y[rows], reduction="none")
            optimiser.zero_grad()
            (loss * importance[rows]).mean().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    parts = (inner.weight * SCALE, inner.bias, outer.weight, outer.bias)
    w1, b1, w2, b2 = (part.detach().numpy().astype(np.float16) for part in parts)
    return w1, b1, w2, b2


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m npc.training.reactions", description=__doc__)
    default = Path(str(files("npc.dialogue") / "data" / WEIGHTS))
    parser.add_argument("--out", type=Path, default=default)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    data = labelled()
    names = sorted({label for label, _ in data})
    texts = [sentence for _, sentence in data]
    log.print(f"{len(data)} sentences")
    vectors = load_encoder().encode(texts)
    labels = np.array([names.index(label) for label, _ in data])
    fold = np.array([zlib.crc32(text.lower()[:40].encode()) % FOLDS for text in texts])
    guesses = np.zeros(len(data), int)
    for k in range(FOLDS):
        log.print(f"fold {k + 1} of {FOLDS}")
        nets = fit(vectors[fold != k], labels[fold != k].tolist(), len(names))
        odds = odds_of(nets, vectors[fold == k])
        at = np.nonzero(fold == k)[0]
        for i, row in zip(at, odds, strict=True):
            name, _ = believed(texts[i], dict(zip(names, row.tolist(), strict=True)))
            guesses[i] = names.index(name)
    recall = {name: round(float((guesses[labels == i] == i).mean()), 3) for i, name in enumerate(names)}
    print(json.dumps({"sentences": len(data), "left_alone": recall.pop("none"), "named": recall}), file=sys.stderr)
    nets = fit(vectors, labels.tolist(), len(names))
    w1, b1, w2, b2 = (np.stack([net[i] for net in nets]) for i in range(4))
    np.savez_compressed(options.out, names=json.dumps(names), w1=w1, b1=b1, w2=w2, b2=b2)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
