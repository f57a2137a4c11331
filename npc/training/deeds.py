"""Train when an action is meant: `python -m npc.training.deeds`.

Logistic regression over the dozen features of `ActionSelector.scored`, on every turn of the written talks: the action
a turn asks for against all others and against turns that ask for none. Learns from the characters that the taught
encoder never saw (`turns.left_out`), as `npc.training.selector` does.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch

from npc.dialogue.actions_choice import Surroundings
from npc.dialogue.actions_request import requests
from npc.dialogue.actions_select import ActionSelector
from npc.dialogue.composed.likeness import Likeness
from npc.dialogue.knowledge.knowledge import authored_candidates
from npc.dialogue.scene import SceneState
from npc.inference.encoder import MiniLM, load_encoder
from npc.training.minds import Written
from npc.training.talks import surroundings, talked
from npc.training.turns import character_of, choices_of, left_out, written_minds


def rows_of(
    mind: Written, encoder: MiniLM, likeness: Likeness, every: int = 1
) -> Iterator[tuple[list[dict[str, float]], int, str]]:
    """For each turn: the features of every action, which is meant (-1: none), and the turn's kind. Refused deeds are
    left out: they mean an action that may not be done. `every`: of the turns that ask for none only each n-th."""
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

    for number, (said, history, done) in enumerate(talked(mind)):
        if said.action is None and number % every:
            continue
        if said.kind != "action_refused":
            meant = names.index(said.action[0]) if said.action is not None else -1
            yield read(said.text, surroundings(mind, scene, history, done)), meant, said.kind
    for choice in [choice for choice in choices_of(mind) if choice.kind == "first"][::7]:
        around = replace(surroundings(mind, scene, (), ()), last_reply=choice.before[1], before=choice.before)
        yield read(choice.text, around), -1, choice.kind


#: A turn: the features of every action, which is meant (-1: none), and its kind.
Row = tuple[list[dict[str, float]], int, str]
#: Parts by character that are judged by what the others taught.
FOLDS = 5


def fit(turns: Sequence[Row], names: Sequence[str], every: int = 1) -> list[float]:
    """Weights of the log-odds that an action is meant; turns that ask for none count `every` times."""
    x = torch.tensor([[row[n] for n in names] for rows, *_ in turns for row in rows])
    y = torch.tensor([float(i == meant) for rows, meant, _ in turns for i in range(len(rows))])
    idle = torch.tensor([float(meant < 0) for rows, meant, _ in turns for _ in rows])
    importance = torch.where(y > 0, 3.0, 1.0) * torch.where(idle > 0, float(every), 1.0)
    w = torch.zeros(len(names), requires_grad=True)
    optimiser = torch.optim.LBFGS([w], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        each = torch.nn.functional.binary_cross_entropy_with_logits(x @ w, y, reduction="none")
        value = (each * importance).sum() / importance.sum() + 2e-4 * w.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return [float(v) for v in w.detach()]


def _judged(turns: Sequence[Row], names: Sequence[str], w: Sequence[float]) -> list[tuple[float, bool, bool]]:
    """Of each turn: probability of the likeliest action, whether it is the one meant, whether any is."""
    found = []
    for rows, meant, _ in turns:
        odds = [sum(row[n] * v for n, v in zip(names, w, strict=True)) for row in rows]
        best = int(np.argmax(odds))
        found.append((1.0 / (1.0 + math.exp(-odds[best])), best == meant, meant >= 0))
    return found


def main(argv: list[str] | None = None) -> int:
    data = Path(str(files("npc.dialogue") / "data"))
    parser = argparse.ArgumentParser(prog="python -m npc.training.deeds", description=__doc__)
    parser.add_argument("--out", type=Path, default=data / "deeds.json")
    parser.add_argument("--likeness", type=Path, default=data / "likeness.safetensors")
    parser.add_argument("--every", type=int, default=1, help="of the turns that ask for no deed only each n-th, as n")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    encoder, minds = load_encoder(), written_minds()
    taught, out = Likeness(encoder, options.likeness), left_out()
    unseen = [mind for mind in minds["train"] if mind.id in out]
    worlds = [list(rows_of(mind, encoder, taught, options.every)) for mind in unseen]
    train = [row for rows in worlds for row in rows]
    names = sorted({n for rows, *_ in train for row in rows for n in row})
    judged: list[tuple[float, bool, bool]] = []
    for part in range(FOLDS):
        others = [row for i, rows in enumerate(worlds) if i % FOLDS != part for row in rows]
        judged += _judged(
            [row for rows in worlds[part::FOLDS] for row in rows], names, fit(others, names, options.every)
        )
    for bar in (0.4, 0.45, 0.5, 0.55, 0.6):
        right = [odds >= bar and best for odds, best, asks in judged if asks]
        calm = [odds < bar for odds, _, asks in judged if not asks]
        print(
            f"{FOLDS} folds, from {bar}: meant {np.mean(right):.3f} of {len(right)},"
            f" left alone {np.mean(calm):.4f} of {len(calm)}"
        )
    found = fit(train, names, options.every)
    weights = {n: round(v, 4) for n, v in zip(names, found, strict=True)}
    dev = _judged([r for m in minds["dev"] for r in rows_of(m, encoder, taught)], names, found)
    right = [odds >= 0.5 and best for odds, best, asks in dev if asks]
    calm = [odds < 0.5 for odds, _, asks in dev if not asks]
    print(f"dev: meant {np.mean(right):.3f} of {len(right)}, left alone {np.mean(calm):.3f} of {len(calm)}")
    print(weights, file=sys.stderr)
    options.out.write_text(json.dumps(weights, indent=1, sort_keys=True) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
