"""Teach the sentence encoder what it is to do something in a talk: `python -m npc.training.rubric_reader`.

Low-rank changes (Hu et al. 2021) to the upper layers of MiniLM, trained on the written attempts and contrasts: of the
items of a workplace, those that a turn does score high and all others low, traps (denied, quoted, supposed, mocked,
recited) above all. Every item of a workplace is scored on every sentence, so a step of 36 turns holds some 600 pairs:

    p(turn does item) = 1 − Π over its sentences (1 − σ(logit))          logit: npc/simulation/rubric/reader.py

`--folds K` trains K models that each leave workplaces out, and writes what they make of those (`--reads`): what
`npc.training.rubric` learns from, since a model is always sure of what it has seen.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as fn

from npc.inference.encoder import MiniLM, load_encoder
from npc.simulation.rubric.model import Item
from npc.simulation.rubric.reader import FIRST, KINDS, MAX_TOKENS, RANK, SCALE, SHARP, WEIGHTS
from npc.simulation.rubric.saying import alternatives
from npc.training.rubric_data import Example, examples

#: Of the changes; what stands behind the encoder learns three times as fast.
LEARNING_RATE = 2e-3
EPOCHS = 6
#: Turns of a step; how often a turn must be met in an epoch.
TURNS = 36
#: Weight of a turn that does it, and of one that only looks as if it did, against 1 for the others: some one in ten
#: pairs does it, and the traps are what likeness gets wrong.
DONE_WEIGHT, TRAP_WEIGHT = 2.0, 1.5
#: Shares of turns said in another way: so that it is not done any more, and so that it still is.
DENIED, FILLED = 0.12, 0.23
NOT_DONE = (
    'My manager always says, "{whole}"', "The script here says: {whole}", 'The last one on the phone said "{whole}"',
    'You want me to say "{rest}", don\'t you?', "If I were in a better mood I would say {rest}",
    "I'm not going to say {rest}", "Don't expect me to say {rest}", 'In the training they told us to say "{rest}"',
    "My colleague should have said {rest}", "Some people would say {rest}", "I was going to say {rest} but never mind.",
    '"{whole}" is what my sister would say.', "I never said {rest}", "Nobody here says {rest}",
    "Later on maybe I will say {rest}", "Ha, {rest} Yeah, right.", "Am I supposed to say {rest}?",
    'The poster on the wall says "{whole}"', "I don't think I need to say {rest}", 'He asked me yesterday, "{whole}"',
)  # fmt: skip
STILL_DONE = (
    "Um, {rest}", "Right, so, {rest}", "Okay, {rest}", "Listen, {rest}", "Well, {rest}", "So, {rest}", "Look, {rest}",
    "Yes, {rest}", "And {rest}", "Hm, alright, {rest}", "{whole} Okay?", "Let me see, {rest}", "Right then, {rest}",
    "Sure. {whole}", "Mm, {rest}", "Before anything else, {rest}", "First of all, {rest}",
)  # fmt: skip
_MATRICES = ("qkv_w", "out_w", "up_w", "down_w")


@dataclass
class World:
    """A workplace: its items, and its turns as (sentences, {item: (done, trap)})."""

    items: dict[str, Item] = field(default_factory=dict)
    turns: list[tuple[tuple[str, ...], dict[str, tuple[bool, bool]]]] = field(default_factory=list)


def worlds(found: Sequence[Example]) -> dict[str, World]:
    """Examples by workplace and turn."""
    made: dict[str, World] = {}
    places: dict[tuple[str, str, int, tuple[str, ...]], int] = {}
    for one in found:
        if one.item.kind not in KINDS:
            continue
        world = made.setdefault(one.workplace, World())
        world.items[one.item.id] = one.item
        texts = tuple(line.text for line in one.lines)
        key = (one.workplace, one.attempt, one.turn, texts)
        if key not in places:
            places[key] = len(world.turns)
            world.turns.append((texts, {}))
        world.turns[places[key]][1][one.item.id] = (one.done, one.trap)
    return made


class Taught(torch.nn.Module):
    """MiniLM with low-rank changes from layer FIRST on, and the score of `reader.Reader`."""

    def __init__(self, base: MiniLM, rank: int = RANK) -> None:
        super().__init__()
        self.base, self.width, self.heads = base, base.dimensions, base.weights.heads
        self.frozen = [
            {
                name: torch.from_numpy(np.ascontiguousarray(getattr(layer, name))).bfloat16()
                for name in (*_MATRICES, "qkv_b", "out_b", "up_b", "down_b")
            }
            | {
                f"{norm}_{i}": torch.from_numpy(getattr(layer, norm)[i]).bfloat16()
                for norm in ("norm1", "norm2")
                for i in (0, 1)
            }
            for layer in base.weights.layers
        ]
        self.low = torch.nn.ParameterDict()
        for number in range(FIRST, len(self.frozen)):
            for name in _MATRICES:
                inputs, outputs = self.frozen[number][name].shape
                self.low[f"{number}_{name}_a"] = torch.nn.Parameter(torch.randn(inputs, rank) / inputs**0.5)
                self.low[f"{number}_{name}_b"] = torch.nn.Parameter(torch.zeros(rank, outputs))
        # Cosines of MiniLM lie in about 0-0.8 and one pair in ten does it: logits of -3 to 3 to begin with.
        self.mix = torch.nn.Parameter(torch.tensor([[8.0, 4.0, 4.0]] * len(KINDS)))
        self.bias = torch.nn.Parameter(torch.tensor([-7.0, -7.0, -8.0]))
        self.gate = torch.nn.Linear(self.width, len(KINDS))
        torch.nn.init.zeros_(self.gate.weight)
        torch.nn.init.zeros_(self.gate.bias)
        self.attend = torch.nn.Parameter(torch.zeros(self.width))
        self._below: dict[str, torch.Tensor] = {}

    def _times(self, x: torch.Tensor, number: int, name: str) -> torch.Tensor:
        flat, layer = x.reshape(-1, x.shape[-1]), self.frozen[number]
        out = torch.addmm(layer[name[:-1] + "b"], flat, layer[name])
        if number >= FIRST:
            a, b = self.low[f"{number}_{name}_a"].bfloat16(), self.low[f"{number}_{name}_b"].bfloat16()
            out = out + SCALE * ((flat @ a) @ b)
        return out.view(*x.shape[:-1], -1)

    def _layer(self, x: torch.Tensor, number: int, mask: torch.Tensor | None) -> torch.Tensor:
        layer, (batch, length, width) = self.frozen[number], x.shape
        qkv = self._times(x, number, "qkv_w").view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = fn.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(batch, length, width)
        x = fn.layer_norm(x + self._times(mixed, number, "out_w"), (width,), layer["norm1_0"], layer["norm1_1"], 1e-12)
        hidden = self._times(fn.gelu(self._times(x, number, "up_w")), number, "down_w")
        hidden = fn.dropout(hidden, 0.1, self.training and number >= FIRST)
        return fn.layer_norm(x + hidden, (width,), layer["norm2_0"], layer["norm2_1"], 1e-12)

    @torch.no_grad()
    def _lower(self, texts: Sequence[str]) -> list[torch.Tensor]:
        """States below layer FIRST, which nothing changes: computed once a text."""
        by_length: dict[int, list[tuple[str, list[int]]]] = {}
        for text in dict.fromkeys(texts):
            if text not in self._below:
                ids = self.base.ids(text)[:MAX_TOKENS]
                by_length.setdefault(len(ids), []).append((text, ids))
        for length, group in by_length.items():
            rows = torch.tensor([ids for _, ids in group])
            weights = self.base.weights
            places = torch.from_numpy(weights.positions[:length] + weights.types[0])
            begun = torch.from_numpy(weights.words)[rows] + places
            first, second = (torch.from_numpy(part) for part in weights.norm)
            x = fn.layer_norm(begun, (self.width,), first, second, 1e-12).bfloat16()
            for number in range(FIRST):
                x = self._layer(x, number, None)
            self._below |= {text: states.clone() for (text, _), states in zip(group, x, strict=True)}
        return [self._below[text] for text in texts]

    def states(self, texts: Sequence[str]) -> list[torch.Tensor]:
        """Token states [tokens, width] of each text, float32."""
        order = sorted(range(len(texts)), key=lambda i: len(self.base.ids(texts[i])))
        found: list[torch.Tensor] = [torch.empty(0)] * len(texts)
        for first in range(0, len(order), 32):
            group = order[first : first + 32]
            below = self._lower([texts[i] for i in group])
            length = max(map(len, below))
            x = torch.stack([fn.pad(one, (0, 0, 0, length - len(one))) for one in below])
            kept = torch.tensor([[0.0] * len(one) + [-1e4] * (length - len(one)) for one in below])
            for number in range(FIRST, len(self.frozen)):
                x = self._layer(x, number, kept[:, None, None, :].bfloat16())
            for i, states in zip(group, x, strict=True):
                found[i] = states[: len(below[group.index(i)])].float()
        return found

    def logits(self, sentences: Sequence[str], items: Sequence[Asked]) -> torch.Tensor:
        """[sentences, items]: see `reader.Reader.logit`."""
        every = list(dict.fromkeys([*sentences, *(text for item in items for text in item.texts)]))
        place = {text: i for i, text in enumerate(every)}
        states = self.states(every)
        unit = [fn.normalize(one, dim=-1) for one in states]
        raw = torch.stack([states[place[text]].mean(0) for text in sentences])
        gates = self.gate(fn.dropout(raw, 0.2, self.training))
        own = fn.normalize(raw, dim=-1)
        length = max(len(states[place[text]]) for text in sentences)
        tokens = torch.stack(
            [fn.pad(unit[place[text]], (0, 0, 0, length - len(unit[place[text]]))) for text in sentences]
        )
        empty = torch.tensor(
            [[0.0] * len(states[place[t]]) + [-9.0] * (length - len(states[place[t]])) for t in sentences]
        )
        columns = []
        for item in items:
            means = fn.normalize(torch.stack([states[place[text]].mean(0) for text in item.texts]), dim=-1)
            near = own @ means.T
            by_example = torch.logsumexp(SHARP * near[:, : len(item.examples)], 1) / SHARP
            by_description = near[:, len(item.examples) :].amax(1)
            matched = []
            for text in (*item.examples, item.descriptions[0]):
                words = slice(1, -1)
                best = (torch.einsum("qd,sld->sql", unit[place[text]][words], tokens) + empty[:, None]).amax(-1)
                matched.append(best @ torch.softmax(states[place[text]][words] @ self.attend, 0))
            by_token = torch.stack(matched).amax(0)
            parts = torch.stack([by_example, by_description, by_token], 1)
            columns.append(parts @ self.mix[item.kind] + self.bias[item.kind] + gates[:, item.kind])
        return torch.stack(columns, 1)


@dataclass(frozen=True, slots=True)
class Asked:
    """An item as the model takes it."""

    kind: int
    examples: tuple[str, ...]
    descriptions: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return (*self.examples, *self.descriptions)


def asked(item: Item, chance: random.Random | None = None, done: Sequence[str] = ()) -> Asked:
    """The item; with `chance` with some of its examples, and at times with a turn that did it (`done`) as one."""
    written = [str(text) for text in item.params.get("examples", ())] or [item.description]
    if chance is not None:
        if done and chance.random() < 0.4:
            written.append(chance.choice(done))
        chance.shuffle(written)
        written = written[: max(1, len(written) - chance.choice((0, 0, 1, 1, 2)))]
    return Asked(KINDS.index(item.kind), tuple(written), tuple(alternatives(item.description)))


def said_otherwise(form: str, text: str) -> str:
    """A sentence put into a frame of NOT_DONE or STILL_DONE."""
    keeps = not text or text[:2] in ("I ", "I'")
    return form.format(whole=text, rest=text if keeps else text[0].lower() + text[1:])


def run(model: Taught, found: dict[str, World], epochs: int, seed: int, label: str = "") -> None:
    """Train in place."""
    chance = random.Random(seed)
    model.train()
    heads = [part for name, part in model.named_parameters() if not name.startswith("low")]
    groups = [{"params": list(model.low.parameters()), "lr": LEARNING_RATE}, {"params": heads, "lr": 3 * LEARNING_RATE}]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.02)
    for group in optimiser.param_groups:
        group["full"] = group["lr"]
    steps = [name for name, world in found.items() for _ in range(max(1, round(len(world.turns) / (1.5 * TURNS))))]
    done, began = 0, time.time()
    for epoch in range(epochs):
        chance.shuffle(steps)
        losses = []
        for name in steps:
            for group in optimiser.param_groups:
                group["lr"] = group["full"] * min(1.0, (done + 1) / 20) * max(0.02, 1 - done / (epochs * len(steps)))
            losses.append(_step(model, found[name], optimiser, chance))
            done += 1
        print(f"{label}epoch {epoch + 1}: loss {np.mean(losses):.3f}, {time.time() - began:.0f} s",
              file=sys.stderr, flush=True)  # fmt: skip
    model.eval()


def _step(model: Taught, world: World, optimiser: torch.optim.Optimizer, chance: random.Random) -> float:
    telling = [turn for turn in world.turns if any(done or trap for done, trap in turn[1].values())]
    rest = [turn for turn in world.turns if not any(done or trap for done, trap in turn[1].values())]
    picked = chance.sample(telling, min(len(telling), TURNS - 6))
    picked += chance.sample(rest, min(len(rest), TURNS - len(picked)))
    single = [(texts[0], labels) for texts, labels in world.turns if len(texts) == 1]
    pools = {name: [text for text, labels in single if labels.get(name, (False,))[0]] for name in world.items}
    items = [asked(item, chance, pools[name]) for name, item in world.items.items()]
    sentences, owner, wanted, weights = [], [], [], []
    for row, (texts, labels) in enumerate(picked):
        said, denied = _varied(texts, any(done for done, _ in labels.values()), chance)
        sentences += said
        owner += [row] * len(said)
        known = [(name in labels, *labels.get(name, (False, False))) for name in world.items]
        wanted.append([float(done and not denied) for _, done, _ in known])
        weights.append(
            [there * (DONE_WEIGHT if done and not denied else TRAP_WEIGHT if trap or denied else 1.0)
             for there, done, trap in known]
        )  # fmt: skip
    loss = _loss(model.logits(sentences, items), torch.tensor(owner), torch.tensor(wanted), torch.tensor(weights))
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def _varied(texts: Sequence[str], does: bool, chance: random.Random) -> tuple[list[str], bool]:
    """The sentences of a turn, at times said otherwise; whether that undid what the turn does."""
    said, luck = list(texts)[:7], chance.random()
    if does and len(said) == 1 and luck < DENIED:
        return [said_otherwise(chance.choice(NOT_DONE), said[0])], True
    if luck < DENIED + FILLED:
        at = chance.randrange(len(said))
        said[at] = said_otherwise(chance.choice(STILL_DONE), said[at])
    return said, False


def _loss(logits: torch.Tensor, owner: torch.Tensor, wanted: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of turns: a turn does it when one of its sentences does."""
    none = torch.zeros_like(wanted).index_add(0, owner, -fn.softplus(logits))
    some = torch.log1p(-torch.exp(none).clamp(max=1 - 1e-6))
    return -(weights * (wanted * some + (1 - wanted) * none)).sum() / weights.sum()


@torch.no_grad()
def reads(model: Taught, found: dict[str, World]) -> Iterator[tuple[str, str, str, float]]:
    """(workplace, item, sentence, logit) of everything in some workplaces."""
    for name, world in found.items():
        sentences = list(dict.fromkeys(text for texts, _ in world.turns for text in texts))
        table = model.logits(sentences, [asked(item) for item in world.items.values()]).numpy()
        for text, row in zip(sentences, table, strict=True):
            for item, value in zip(world.items, row, strict=True):
                yield name, item, text, round(float(value), 4)


def save(model: Taught, path: Path) -> None:
    """Half precision for the changes: 0.6 MB."""
    from safetensors.numpy import save_file

    arrays: dict[str, Any] = {name: part.detach().numpy().astype(np.float16) for name, part in model.low.items()}
    for name in ("mix", "bias", "attend"):
        arrays[name] = getattr(model, name).detach().numpy().astype(np.float32)
    arrays["gate.weight"] = model.gate.weight.detach().numpy().astype(np.float32)
    arrays["gate.bias"] = model.gate.bias.detach().numpy().astype(np.float32)
    save_file(arrays, path, metadata={"base": model.base.id, "data": "npc/training/data, written for this project"})


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m npc.training.rubric_reader", description=__doc__)
    parser.add_argument("--set", type=Path, help="labelled attempts; only those with an odd number are read")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--folds", type=int, default=0, help="also train K models that each leave workplaces out")
    parser.add_argument("--reads", type=Path, default=Path("out/rubric_reads.json"), help="what those make of them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    base = load_encoder()
    found = list(examples(given.set, None))
    everything = worlds(found)
    attempts = sorted({one.workplace for one in found if one.attempt})
    told: list[tuple[str, str, str, float]] = []
    for fold in range(given.folds):
        torch.manual_seed(given.seed + fold)
        held = {name for i, name in enumerate(attempts) if i % given.folds == fold}
        model = Taught(base)
        kept = {name: world for name, world in everything.items() if name not in held}
        run(model, kept, given.epochs, given.seed + fold, f"fold {fold}, ")
        told += reads(model, {name: everything[name] for name in held})
    if told:
        given.reads.parent.mkdir(parents=True, exist_ok=True)
        given.reads.write_text(json.dumps(told), encoding="utf-8")
    torch.manual_seed(given.seed)
    model = Taught(base)
    run(model, everything, given.epochs, given.seed)
    save(model, given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
