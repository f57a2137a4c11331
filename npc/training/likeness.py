"""Teach the sentence encoder which statement answers a turn: `python -m npc.training.likeness`.

Low-rank changes (Hu et al. 2021) to every matrix of MiniLM, trained so that, of everything a character could say, what
answers the turn scores highest, "nothing" among the choices:

    score(turn, statement) = a · cosine of the means + b · Σ_t w_t max_s cosine(turn token t, statement token s)

The turn is read with the exchange before it in front, but only its own tokens are compared, so that "and the pink
one?" carries over what it is about. The comparison of tokens is ColBERT's (Khattab and Zaharia 2020) with learned
weights w. `--folds K` also writes, for every training character, the scores of a model that never saw it: what
`npc.training.selector` learns from.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch

from npc.dialogue.composed.likeness import RANK, context_of
from npc.inference.encoder import MiniLM, load_encoder
from npc.training.turns import Choice, choices_of, fold_of, written_minds

#: Steps of one character each; the rate falls linearly.
LEARNING_RATE = 2e-3
#: Score of the two parts at the start: cosines of MiniLM lie in about 0-0.8, a softmax wants a spread of some ten.
SCALE = 12.0


class Adapted(torch.nn.Module):
    """MiniLM with low-rank changes; returns unit token states and the mean direction."""

    def __init__(self, base: MiniLM, rank: int = RANK) -> None:
        super().__init__()
        self.base = base
        self.frozen = [
            {
                name: torch.from_numpy(np.ascontiguousarray(getattr(layer, name)))
                for name in ("qkv_w", "qkv_b", "out_w", "out_b", "up_w", "up_b", "down_w", "down_b")
            }
            | {f"{norm}_{i}": torch.from_numpy(getattr(layer, norm)[i]) for norm in ("norm1", "norm2") for i in (0, 1)}
            for layer in base._layers
        ]
        self.words = torch.from_numpy(base._words)
        self.positions = torch.from_numpy(base._positions)
        self.norm = [torch.from_numpy(part) for part in base._norm]
        self.low = torch.nn.ParameterDict()
        for number, layer in enumerate(self.frozen):
            for name in ("qkv_w", "out_w", "up_w", "down_w"):
                inputs, outputs = layer[name].shape
                self.low[f"{number}_{name}_a"] = torch.nn.Parameter(torch.randn(inputs, rank) / inputs**0.5)
                self.low[f"{number}_{name}_b"] = torch.nn.Parameter(torch.zeros(rank, outputs))
        self.attend = torch.nn.Parameter(torch.zeros(base.dimensions))
        self.nothing = torch.nn.Parameter(torch.zeros(base.dimensions + 1))
        self.mix = torch.nn.Parameter(torch.tensor([SCALE, SCALE]))

    def _times(self, x: torch.Tensor, number: int, name: str) -> torch.Tensor:
        low = (x @ self.low[f"{number}_{name}_a"]) @ self.low[f"{number}_{name}_b"]
        changed: torch.Tensor = x @ self.frozen[number][name] + 0.5 * low + self.frozen[number][name[:-1] + "b"]
        return changed

    def forward(self, ids: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """Token states [length, width] of each text, not normalised."""
        length = max(len(row) for row in ids)
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in ids])
        padded = torch.tensor([list(row) + [0] * (length - len(row)) for row in ids])
        batch, width, heads = len(ids), self.base.dimensions, self.base._heads
        norm = torch.nn.functional.layer_norm
        x = norm(self.words[padded] + self.positions[:length], (width,), self.norm[0], self.norm[1], 1e-12)
        bias = (1.0 - mask[:, None, None].float()) * -1e4
        for number, layer in enumerate(self.frozen):
            qkv = self._times(x, number, "qkv_w").view(batch, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            weights = torch.softmax(qkv[0] @ qkv[1].transpose(-1, -2) / (width // heads) ** 0.5 + bias, -1)
            mixed = (weights @ qkv[2]).transpose(1, 2).reshape(batch, length, width)
            x = norm(x + self._times(mixed, number, "out_w"), (width,), layer["norm1_0"], layer["norm1_1"], eps=1e-12)
            hidden = torch.nn.functional.gelu(self._times(x, number, "up_w"))
            x = norm(x + self._times(hidden, number, "down_w"), (width,), layer["norm2_0"], layer["norm2_1"], eps=1e-12)
        return [x[i, : len(row)] for i, row in enumerate(ids)]

    def encode(self, ids: Sequence[Sequence[int]], own: Sequence[int] | None = None) -> list[torch.Tensor]:
        """The same in batches of like length; `own` is where each text's compared tokens begin."""
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        found: list[torch.Tensor | None] = [None] * len(ids)
        for first in range(0, len(order), 16):
            group = order[first : first + 16]
            for i, states in zip(group, self.forward([ids[i] for i in group]), strict=True):
                found[i] = states[own[i] :] if own is not None else states
        return [states for states in found if states is not None]


def scores(model: Adapted, turns: list[torch.Tensor], statements: list[torch.Tensor]) -> torch.Tensor:
    """[turns, 1 + statements]: "nothing" first."""
    unit = torch.nn.functional.normalize
    means = unit(torch.stack([s.mean(0) for s in statements]), dim=-1)
    own = unit(torch.stack([t.mean(0) for t in turns]), dim=-1)
    length = max(len(s) for s in statements)
    table = torch.stack([torch.nn.functional.pad(unit(s, dim=-1), (0, 0, 0, length - len(s))) for s in statements])
    empty = torch.tensor([[0.0] * len(s) + [-9.0] * (length - len(s)) for s in statements])
    rows = []
    for turn, mean in zip(turns, own, strict=True):
        near = (torch.einsum("td,sld->tsl", unit(turn, dim=-1), table) + empty).amax(-1)
        weight = torch.softmax(turn @ model.attend, 0)
        rows.append(model.mix[0] * (means @ mean) + model.mix[1] * (weight @ near))
    nothing = own @ model.nothing[:-1] + model.nothing[-1] + model.mix.sum() * 0.45
    return torch.cat([nothing[:, None], torch.stack(rows)], 1)


def tokenised(base: MiniLM, choice: Choice, chance: random.Random | None) -> tuple[list[int], int]:
    """Ids of the turn with its context, and where the turn begins. With `chance`, now and then as a recogniser
    would write it."""
    text = choice.text
    if chance is not None and chance.random() < 0.4:
        text = re.sub(r"[^\w\s']", "", text).lower()
    context = context_of(base, *choice.before)
    return [*context, *base.ids(text)[1:]], len(context)


def run(minds: Sequence[list[Choice]], model: Adapted, epochs: int, seed: int, steps_seen: str = "") -> None:
    """Train in place; one step a character."""
    chance = random.Random(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.02)
    total, done, began = epochs * len(minds), 0, time.time()
    for epoch in range(epochs):
        order = list(minds)
        chance.shuffle(order)
        losses = []
        for choices in order:
            for group in optimiser.param_groups:
                group["lr"] = LEARNING_RATE * min(1.0, (done + 1) / 20) * (1.0 - done / total)
            losses.append(_step(model, choices, optimiser, chance))
            done += 1
        print(f"{steps_seen}epoch {epoch + 1}: loss {np.mean(losses):.3f}, {time.time() - began:.0f} s",
              file=sys.stderr, flush=True)  # fmt: skip


def _step(model: Adapted, choices: list[Choice], optimiser: torch.optim.Optimizer, chance: random.Random) -> float:
    first = [c for c in choices if c.kind == "first"]
    picked = [c for c in choices if c.kind != "first"]
    picked = chance.sample(picked, min(36, len(picked))) + chance.sample(first, min(4, len(first)))
    texts = list(dict.fromkeys(c.text for choice in picked for c in choice.candidates))
    place = {text: i for i, text in enumerate(texts)}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        statements = [s.float() for s in model.encode([model.base.ids(text) for text in texts])]
        read = [tokenised(model.base, choice, chance) for choice in picked]
        turns = [t.float() for t in model.encode([ids for ids, _ in read], [at for _, at in read])]
    table = scores(model, turns, statements)
    losses = []
    for row, choice in zip(table, picked, strict=True):
        columns = [1 + place[c.text] for c in choice.candidates]
        right = [columns[i] for i in choice.right]
        every = torch.tensor([0, *columns])
        losses.append(row[every].logsumexp(0) - row[torch.tensor(right or [0])].logsumexp(0))
        if right and chance.random() < 0.4:
            # The same turn where the answer is not known: nothing answers.
            rest = torch.tensor([0, *(c for c in columns if c not in right)])
            losses.append(0.4 * (row[rest].logsumexp(0) - row[0]))
    loss = torch.stack(losses).mean()
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


@torch.no_grad()
def accuracy(model: Adapted, minds: Sequence[list[Choice]]) -> dict[str, float]:
    """Share right by kind ("nothing" counts as a choice); "ranked first": right whatever "nothing" says."""
    hits: dict[str, list[float]] = {}
    for choices in minds:
        texts = list(dict.fromkeys(c.text for choice in choices for c in choice.candidates))
        place = {text: i for i, text in enumerate(texts)}
        statements = model.encode([model.base.ids(text) for text in texts])
        read = [tokenised(model.base, choice, None) for choice in choices]
        turns = model.encode([ids for ids, _ in read], [at for _, at in read])
        for row, choice in zip(scores(model, turns, statements).numpy(), choices, strict=True):
            columns = [1 + place[c.text] for c in choice.candidates]
            best = int(np.argmax(row[[0, *columns]]))
            hits.setdefault(choice.kind, []).append(best - 1 in choice.right if choice.right else best == 0)
            if choice.right and choice.kind != "first":
                hits.setdefault("ranked first", []).append(int(np.argmax(row[columns])) in choice.right)
    return {kind: round(float(np.mean(values)), 3) for kind, values in sorted(hits.items())}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m npc.training.likeness", description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--folds", type=int, default=0, help="also train K models that each leave characters out")
    parser.add_argument("--only", default="all", help="train one part: 'whole' or the number of a fold (default: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(str(files("npc.dialogue") / "data" / "likeness.safetensors")))
    options = parser.parse_args(argv)
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    base = load_encoder()
    written = written_minds()
    minds = {split: [list(choices_of(mind, recalls=split == "train")) for mind in of] for split, of in written.items()}
    if options.only in ("all", "whole"):
        model = Adapted(base)
        run(minds["train"], model, options.epochs, options.seed)
        for split in ("dev", "held"):
            print(f"{split}: {accuracy(model, minds[split])}", flush=True)
        save(model, options.out)
    for fold in range(options.folds):
        if options.only not in ("all", str(fold)):
            continue
        torch.manual_seed(options.seed + fold)
        model = Adapted(base)
        out = [m for m in minds["train"] if fold_of(m[0].world, options.folds) == fold]
        run([m for m in minds["train"] if fold_of(m[0].world, options.folds) != fold], model, options.epochs, fold)
        print(f"fold {fold}, left out: {accuracy(model, out)}", flush=True)
        save(model, options.out.with_name(f"fold-{fold}-of-{options.folds}.safetensors"))
    return 0


def save(model: Adapted, path: Path) -> None:
    """Half precision: 0.6 MB."""
    from safetensors.numpy import save_file

    arrays = {name: part.detach().numpy().astype(np.float16) for name, part in model.low.items()}
    for name in ("attend", "nothing", "mix"):
        arrays[name] = getattr(model, name).detach().numpy().astype(np.float32)
    save_file(arrays, path, metadata={"base": model.base.id, "data": "npc/training/data, written for this project"})


if __name__ == "__main__":
    raise SystemExit(main())
