"""Train which choice or thing an argument means that the request does not name: `python -m npc.training.arguments`.

Logistic regression over the features of `actions_choice.weighed`, on every argument of the written talks that the rules
of the slots do not find named, of characters that the taught encoder never saw (`turns.left_out`), as in
`npc.training.deeds`. Of refused deeds "none of them" is what is meant, and counts less: some are refused for other
reasons. Prints what five folds by character find, and of what they take, how much is right.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from npc.dialogue.actions import names_entity
from npc.dialogue.actions_choice import weighed
from npc.dialogue.actions_request import requests
from npc.dialogue.actions_select import ActionSelector
from npc.dialogue.actions_slots import by_rule
from npc.dialogue.composed.likeness import Likeness
from npc.dialogue.scene import SceneState
from npc.inference.encoder import MiniLM, load_encoder
from npc.training.minds import Written
from npc.training.talks import surroundings, talked
from npc.training.turns import character_of, left_out, written_minds

Floats = NDArray[np.float64]

#: What a refused deed counts, whose argument may have been one of the choices after all.
REFUSED = 0.3
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Wanting:
    """An argument that was not named: features of "none" and of every option, which is right (0: none), its weight."""

    world: str
    text: str
    rows: list[dict[str, float]]
    right: int
    weight: float
    names: tuple[str, ...]


def wanting(mind: Written, encoder: MiniLM, likeness: Likeness) -> Iterator[Wanting]:
    """The arguments of one character's requests that are not named in them."""
    character = character_of(mind)
    if not character.actions:
        return
    selector = ActionSelector(character, lambda: "id", encoder, likeness)
    scene = SceneState.of(character.scene)
    for said, history, done in talked(mind):
        if said.kind not in ("action", "action_refused"):
            continue
        around = selector.sensing(said.text, surroundings(mind, scene, history, done))
        for spec in character.actions:
            if said.action is not None and spec.name != said.action[0]:
                continue
            asked = [r for r in requests(said.text, selector.own_verbs) if r.text != said.text]
            for name, schema in spec.parameters["properties"].items():
                if not ("enum" in schema or names_entity(schema)):
                    continue
                ruled, named, options = by_rule(spec, name, said.text, around)
                if named or len(options) < 2 or (asked and by_rule(spec, name, asked[0].text, around)[1]):
                    continue
                assert around.nearness is not None
                assert around.taught is not None
                rows = weighed(options, said.text, around.talk, around.nearness, around.taught, ruled)
                wanted = said.action[1].get(name) if said.action is not None else None
                right = next((i for i, o in enumerate(options, 1) if o.value == wanted), 0)
                weight = 1.0 if right else REFUSED if said.action is None else 0.0
                yield Wanting(mind.id, said.text, rows, right, weight, ("", *(o.name for o in options)))


def fit(examples: Sequence[Wanting], names: Sequence[str]) -> Floats:
    """Weights of the conditional logit."""
    counts = torch.tensor([len(e.rows) for e in examples])
    x = torch.tensor([[row.get(n, 0.0) for n in names] for e in examples for row in e.rows])
    owner = torch.repeat_interleave(torch.arange(len(examples)), counts)
    starts = torch.cumsum(counts, 0) - counts
    right = starts + torch.tensor([e.right for e in examples])
    weight = torch.tensor([e.weight for e in examples])
    w = torch.zeros(len(names), requires_grad=True)
    optimiser = torch.optim.LBFGS([w], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        score = x @ w
        total = torch.zeros(len(examples)).scatter_add(0, owner, torch.exp(score))
        value = ((torch.log(total) - score[right]) * weight).sum() / weight.sum() + 2e-3 * w.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    found: Floats = w.detach().double().numpy()
    return found


def judged(example: Wanting, names: Sequence[str], w: Floats) -> tuple[int, float]:
    """The option most likely meant, and its share against all others and "none"."""
    scores = np.array([sum(row.get(n, 0.0) * v for n, v in zip(names, w, strict=True)) for row in example.rows])
    odds = np.exp(scores - scores.max())
    best = 1 + int(np.argmax(odds[1:]))
    return best, float(odds[best] / odds.sum())


def main(argv: list[str] | None = None) -> int:
    data = Path(str(files("npc.dialogue") / "data"))
    parser = argparse.ArgumentParser(prog="python -m npc.training.arguments", description=__doc__)
    parser.add_argument("--out", type=Path, default=data / "arguments.json")
    parser.add_argument("--likeness", type=Path, default=data / "likeness.safetensors")
    parser.add_argument("--misses", action="store_true", help="print what is not found")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    encoder, minds = load_encoder(), written_minds()
    taught, out = Likeness(encoder, options.likeness), left_out()
    unseen = [mind for mind in minds["train"] if mind.id in out]
    examples = [e for mind in unseen for e in wanting(mind, encoder, taught) if e.weight]
    names = sorted({name for e in examples for row in e.rows for name in row})
    part = [zlib.crc32(e.world.encode()) // 7 % FOLDS for e in examples]
    found: list[tuple[Wanting, int, float]] = []
    for k in range(FOLDS):
        w = fit([e for e, p in zip(examples, part, strict=True) if p != k], names)
        found += [(e, *judged(e, names, w)) for e, p in zip(examples, part, strict=True) if p == k]
    asked = [(e, best, share) for e, best, share in found if e.right]
    refused = [share for e, _, share in found if not e.right]
    print(f"{len(asked)} unnamed arguments: ranked first {np.mean([best == e.right for e, best, _ in asked]):.3f}")
    for bar in (0.3, 0.4, 0.5, 0.6, 0.7):
        taken = [best == e.right for e, best, share in asked if share >= bar]
        print(
            f"from {bar}: {sum(taken)} right, {len(taken) - sum(taken)} wrong,"
            f" {sum(share >= bar for share in refused)} of {len(refused)} refused"
        )
    if options.misses:
        for e, best, share in asked:
            if best != e.right:
                print(f"  {share:.2f} {e.text!r}: {e.names[best]!r}, not {e.names[e.right]!r}")
    w = fit(examples, names)
    weights = {n: round(float(v), 4) for n, v in zip(names, w, strict=True)}
    print(weights, file=sys.stderr)
    options.out.write_text(json.dumps(weights, indent=1, sort_keys=True) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
