"""Train when an action is meant: `python -m npc.training.deeds`.

Logistic regression over the dozen features of `ActionSelector.scored`, on every turn of the written talks: the action
a turn asks for against all others and against turns that ask for none. The taught encoder's scores come from a model
that never saw the character, as in `npc.training.selector`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch

from npc.dialogue.actions_request import requests
from npc.dialogue.actions_select import ActionSelector
from npc.dialogue.actions_slots import Surroundings
from npc.dialogue.composed.likeness import Likeness
from npc.dialogue.knowledge.knowledge import authored_candidates
from npc.dialogue.scene import SceneState
from npc.inference.encoder import MiniLM, load_encoder
from npc.training.minds import Written
from npc.training.talks import surroundings, talked
from npc.training.turns import character_of, choices_of, fold_of, written_minds


def rows_of(mind: Written, encoder: MiniLM, likeness: Likeness) -> Iterator[tuple[list[dict[str, float]], int, str]]:
    """For each turn: the features of every action, which is meant (-1: none), and the turn's kind. Refused deeds are
    left out: they mean an action that may not be done."""
    character = character_of(mind)
    if not character.actions:
        return
    statements = [c.text for c in authored_candidates(character) if c.origin != "scene"]
    selector = ActionSelector(
        character, lambda: "id", encoder, likeness, lambda asked: float(likeness.compare(asked, statements)[:, 2].max())
    )
    scene = SceneState.of(character.scene)
    names = [spec.name for spec in character.actions]

    def read(text: str, around: Surroundings) -> list[dict[str, float]]:
        scored = selector.scored(text, requests(text, selector.own_verbs), around)
        return [dict(s.features) for s in scored]

    for said, history, done in talked(mind):
        if said.kind != "action_refused":
            meant = names.index(said.action[0]) if said.action is not None else -1
            yield read(said.text, surroundings(mind, scene, history, done)), meant, said.kind
    for choice in [choice for choice in choices_of(mind) if choice.kind == "first"][::7]:
        around = replace(surroundings(mind, scene, (), ()), last_reply=choice.before[1], before=choice.before)
        yield read(choice.text, around), -1, choice.kind


def main(argv: list[str] | None = None) -> int:
    data = Path(str(files("npc.dialogue") / "data"))
    parser = argparse.ArgumentParser(prog="python -m npc.training.deeds", description=__doc__)
    parser.add_argument("--out", type=Path, default=data / "deeds.json")
    parser.add_argument("--likeness", type=Path, default=data / "likeness.safetensors")
    parser.add_argument("--folds", type=int, default=2)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    encoder, minds = load_encoder(), written_minds()
    name = "fold-{}-of-" + f"{options.folds}.safetensors"
    paths = [options.likeness.with_name(name.format(i)) for i in range(options.folds)]
    folds = [Likeness(encoder, path) if path.is_file() else None for path in paths]
    unseen = [(mind, folds[fold_of(mind.id, options.folds)]) for mind in minds["train"]]
    train = [row for mind, taught in unseen if taught is not None for row in rows_of(mind, encoder, taught)]
    names = sorted({n for rows, *_ in train for row in rows for n in row})
    x = torch.tensor([[row[n] for n in names] for rows, *_ in train for row in rows])
    y = torch.tensor([float(i == meant) for rows, meant, _ in train for i in range(len(rows))])
    w = torch.zeros(len(names), requires_grad=True)
    optimiser = torch.optim.LBFGS([w], max_iter=200, line_search_fn="strong_wolfe")
    importance = torch.where(y > 0, 3.0, 1.0)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        each = torch.nn.functional.binary_cross_entropy_with_logits(x @ w, y, reduction="none")
        value = (each * importance).mean() + 2e-4 * w.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    weights = {n: round(float(v), 4) for n, v in zip(names, w.detach(), strict=True)}
    whole = Likeness(encoder, options.likeness)
    for split in ("train", "dev"):
        found = train if split == "train" else [r for m in minds[split] for r in rows_of(m, encoder, whole)]
        right: list[bool] = []
        calm: list[bool] = []
        for rows, meant, _ in found:
            odds = [sum(weights[n] * row[n] for n in names) for row in rows]
            best = int(np.argmax(odds)) if max(odds) > 0 else -1
            (right if meant >= 0 else calm).append(best == meant)
        print(f"{split}: meant {np.mean(right):.3f} of {len(right)}, left alone {np.mean(calm):.3f} of {len(calm)}")
    print(weights, file=sys.stderr)
    options.out.write_text(json.dumps(weights, indent=1, sort_keys=True) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
