"""Train the weights that choose an answer, or that nothing known answers: `python -m npc.training.selector`.

A small network over the candidates of a turn and "nothing":   p(c) ∝ exp(score(features(c))).
Every turn that asks of the written talks (`npc.training.turns`) is used as written and with the answer taken away (then
nothing answers), every other one also as a recogniser would give it (lower case, no marks). The features of the taught
encoder are those of the characters that it never learnt from (`turns.left_out`), else it would be believed more than it
deserves; the lexical fallback learns from all.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.dialogue.composed.features import Heard, Index, Leaning, asking_text, measure
from npc.dialogue.composed.likeness import Likeness
from npc.dialogue.composed.question import understand
from npc.dialogue.composed.unsure import NEAR, SURE
from npc.dialogue.knowledge.words import tokens
from npc.inference.encoder import MiniLM, load_encoder
from npc.training.minds import Written
from npc.training.turns import ASKED, RECALLS, Choice, choices_of, left_out, written_minds

Features = dict[str, float]


@dataclass(frozen=True, slots=True)
class Example:
    """Candidates of one turn ("nothing" first) and which of them are right."""

    rows: tuple[Features, ...]
    right: tuple[int, ...]
    weight: float = 1.0
    kind: str = ""


def examples_of(mind: Written, encoder: MiniLM | None, likeness: Likeness | None) -> Iterator[Example]:
    """Training examples of one character, in a fixed order."""
    indexes: dict[tuple[str, ...], Index] = {}
    place = f"{mind.place} {mind.role}"
    choices = list(choices_of(mind, recalls=True))
    if encoder is not None:
        # In one go, kept by the encoder: many short passes would wait for the weights.
        asked = [part for choice in choices for part in (choice.text, understand(choice.text).asking)]
        encoder.encode([*asked, *dict.fromkeys(word for text in asked for word in tokens(text) if word.isalpha())])
    for number, choice in enumerate(choices):
        if choice.kind not in (*ASKED, *RECALLS, "first") or (choice.kind == "first" and number % 6):
            continue
        pool = tuple(c for c in choice.candidates if c.origin != "deed")
        right = tuple(i for i, c in enumerate(pool) if any(choice.candidates[r].key == c.key for r in choice.right))
        keys = tuple(c.key + c.text for c in pool if c.origin == "said")
        if keys not in indexes:
            indexes[keys] = Index(pool, encoder, likeness=likeness)
        index = indexes[keys]
        leaning = None
        if choice.leaned[0]:
            before = understand(choice.leaned[0])
            kept = (choice.leaning,) if choice.leaned[1] else ()
            leaning = Leaning(before.asking or before.text, choice.leaned[1], kept)
        plain = re.sub(r"[^\w\s']", "", choice.text).lower()
        yield _example(index, choice.text, choice, place, mind.time, leaning, right, 1.0)
        if choice.kind == "first":
            continue
        if right:
            yield _example(index, choice.text, choice, place, mind.time, leaning, right, 0.3, without=True)
        if plain != choice.text and number % 2:
            yield _example(index, plain, choice, place, mind.time, leaning, right, 0.5)


def _example(
    index: Index, text: str, choice: Choice, place: str, now: str, leaning: Leaning | None, right: Sequence[int],
    weight: float, *, without: bool = False,
) -> Example:  # fmt: skip
    question = understand(text)
    asking = asking_text(index, question, place, leaning)
    # The whole fact goes, not only the part that tells.
    gone = frozenset(index.candidates[i].fact_id or index.candidates[i].key for i in right if without)
    rows, nothing = measure(index, question, asking, leaning, now, gone, Heard(text, choice.before))
    weight *= 0.3 if choice.kind == "first" else 1.0
    answers = (0,) if without or not right else tuple(i + 1 for i in right)
    return Example((nothing, *(f for _, f in rows)), answers, weight, "without" if without else choice.kind)


#: What we hold for likely before any data, and how firmly: the penalty pulls weights here, not to zero.
PRIOR = {
    "name_miss": -2.5, "repeat": -2.5, "scope_clash": -1.5, "scope_match": 1.0, "soft": 2.0, "cover": 1.0, "told": 2.0,
    "subject": 1.0, "fit": 1.0, "misfit": -1.5, "cosine": 2.0, "sibling": 2.0, "before": 1.5, "number_hit": 0.3, "head_miss": -2.0,  # noqa: E501
    "pointed": 2.0, "rule": 1.0, "taught": 3.0, "opposed": -2.0, "opposed_told": -1.0, "edge": 1.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Net:
    """A linear score plus a small hidden layer over standardised features (see `composed.select.Weights`)."""

    names: tuple[str, ...]
    linear: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    inner: NDArray[np.float64]
    bias: NDArray[np.float64]
    outer: NDArray[np.float64]

    def score(self, rows: Sequence[Features]) -> NDArray[np.float64]:
        """One score a row."""
        x = np.array([[row.get(name, 0.0) for name in self.names] for row in rows])
        hidden = np.tanh(((x - self.mean) / self.scale) @ self.inner + self.bias)
        found: NDArray[np.float64] = x @ self.linear + hidden @ self.outer
        return found

    def data(self) -> dict[str, object]:
        """Plain JSON data, rounded to four digits."""
        arrays = {
            name: np.round(getattr(self, name), 4).tolist()
            for name in ("linear", "mean", "scale", "inner", "bias", "outer")
        }
        return {"names": list(self.names), **arrays}


def net_of(data: Mapping[str, Any]) -> Net:
    """The network that `Net.data` wrote."""
    arrays = (np.array(data[name], dtype=np.float64) for name in ("linear", "mean", "scale", "inner", "bias", "outer"))
    return Net(tuple(data["names"]), *arrays)


def train_net(examples: list[Example], *, hidden: int = 16, steps: int = 160, seed: int = 0) -> Net:
    """The same objective with a hidden layer, by torch; the linear part starts from the prior."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    names = sorted({name for example in examples for row in example.rows for name in row})
    place = {name: i for i, name in enumerate(names)}
    counts = [len(example.rows) for example in examples]
    table = np.zeros((sum(counts), len(names)), dtype=np.float32)
    for at, row in enumerate(row for example in examples for row in example.rows):
        table[at, [place[name] for name in row]] = list(row.values())
    x = torch.from_numpy(table)
    owner = torch.repeat_interleave(torch.arange(len(examples)), torch.tensor(counts))
    right = torch.tensor(np.concatenate([np.isin(np.arange(len(e.rows)), e.right) for e in examples]))
    weight = torch.tensor([e.weight for e in examples])
    mean, scale = x.mean(0), x.std(0) + 0.05
    standard = (x - mean) / scale
    prior = torch.tensor([PRIOR.get(name, 0.0) for name in names])
    firm = torch.tensor([4.0 if name.startswith("null_") else 1.0 for name in names]) * 0.002
    linear = prior.clone().requires_grad_()
    inner = (torch.randn(len(names), hidden) * 0.1).requires_grad_()
    bias, outer = torch.zeros(hidden, requires_grad=True), (torch.randn(hidden) * 0.1).requires_grad_()
    optimiser = torch.optim.Adam([linear, inner, bias, outer], lr=0.03)

    def log_sum(score: torch.Tensor) -> torch.Tensor:
        top = torch.full((len(examples),), -1e9).scatter_reduce(0, owner, score.detach(), "amax")
        total = torch.zeros(len(examples)).scatter_add(0, owner, torch.exp(score - top[owner]))
        return top + torch.log(total.clamp_min(1e-20))

    for _ in range(steps):
        dropped = torch.nn.functional.dropout(torch.tanh(standard @ inner + bias), 0.3)
        score = x @ linear + dropped @ outer
        correct = log_sum(torch.where(right, score, torch.tensor(-1e9)))
        loss = ((log_sum(score) - correct) * weight).sum() / weight.sum()
        loss = loss + (firm * (linear - prior) ** 2).sum() / 2 + 0.004 * (inner.square().sum() + outer.square().sum())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    arrays = [t.detach().double().numpy() for t in (linear, mean, scale, inner, bias, outer)]
    return Net(tuple(names), *arrays)


def accuracy(examples: Sequence[Example], nets: Sequence[Net], lower: float = 0.0) -> dict[str, float]:
    """Share right by kind, examples as written only; "ranked first": right whatever "nothing" says. `lower`: how far
    below "nothing" the best may stand and is still told."""
    hits: dict[str, list[float]] = {}
    for example in examples:
        if example.weight not in (1.0, 0.3) or example.kind == "without":
            continue
        scores = np.mean([net.score(example.rows) for net in nets], axis=0)
        best = int(np.argmax(scores[1:])) + 1
        told = best if scores[best] > scores[0] - lower else 0
        hits.setdefault(example.kind, []).append(told in example.right)
        if example.right != (0,) and example.kind != "first":
            hits.setdefault("ranked first", []).append(best in example.right)
    return {kind: round(float(np.mean(values)), 3) for kind, values in sorted(hits.items())}


def banded(examples: Sequence[Example], nets: Sequence[Net], near: float, sure: float) -> dict[str, float]:
    """What telling with doubt between two margins does: shares right by kind with doubt counted as it is ("fact") and
    as a miss ("fact, doubt missed"), and the share of questions told with doubt ("doubted")."""
    hits: dict[str, list[bool]] = {}
    for example in examples:
        if example.weight != 1.0 or example.kind in ("without", "first"):
            continue
        scores = np.mean([net.score(example.rows) for net in nets], axis=0)
        best = int(np.argmax(scores[1:])) + 1
        margin = float(scores[best] - scores[0])
        doubt = near <= margin < sure
        right = margin < sure if example.right == (0,) else margin >= near and best in example.right
        hits.setdefault(example.kind, []).append(right)
        hits.setdefault(f"{example.kind}, doubt missed", []).append(right and not doubt)
        hits.setdefault("doubted", []).append(doubt)
    return {kind: round(float(np.mean(values)), 3) for kind, values in sorted(hits.items())}


#: Networks that are averaged. Each learns from all worlds but its own third.
PARTS = 3


def trained(worlds: Sequence[Sequence[Example]]) -> list[Net]:
    """The networks that are averaged, each with a third of the worlds left out, so that it can be judged on them."""
    return [
        train_net([e for i, examples in enumerate(worlds) if i % PARTS != part for e in examples], seed=part)
        for part in range(PARTS)
    ]


def cross_validated(
    worlds: Sequence[Sequence[Example]], nets: Sequence[Net], lowers: Sequence[float], kept: Sequence[Net] = ()
) -> dict[float | str, dict[str, float]]:
    """Accuracy on worlds that neither the encoder nor the network saw, by `lower`, and with what is told with doubt
    ("doubt"): the mean over the parts, by kind. Networks `kept` from before, which saw none of the worlds, count for
    half."""
    found: dict[float | str, list[dict[str, float]]] = {"doubt": []}
    found.update((lower, []) for lower in lowers)
    for part, net in enumerate(nets):
        others = [e for examples in worlds[part::PARTS] for e in examples]
        judges = [*kept, *[net] * max(1, len(kept))]
        for lower in lowers:
            found[lower].append(accuracy(others, judges, lower))
        found["doubt"].append(banded(others, judges, NEAR, SURE))
    return {
        lower: {
            kind: round(float(np.mean([result[kind] for result in results if kind in result])), 3)
            for kind in sorted({kind for result in results for kind in result})
        }
        for lower, results in found.items()
    }


def main(argv: list[str] | None = None) -> int:
    """Train on the training characters, print accuracy on the others, write `npc/dialogue/data/selector.json`."""
    data = Path(str(files("npc.dialogue") / "data"))
    parser = argparse.ArgumentParser(prog="python -m npc.training.selector", description=__doc__)
    parser.add_argument("--out", type=Path, default=data / "selector.json")
    parser.add_argument("--likeness", type=Path, default=data / "likeness.safetensors")
    parser.add_argument("--no-encoder", action="store_true", help="train the weights of the lexical fallback")
    parser.add_argument("--every", type=int, default=1, help="learn from every n-th character: 4 s of work each")
    parser.add_argument("--check", action="store_true", help="print accuracy on the worlds left out, too")
    parser.add_argument(
        "--keep", action="store_true", help=f"average the new networks with the last {PARTS} of --out as well"
    )
    options = parser.parse_args(argv)
    encoder = None if options.no_encoder else load_encoder()
    minds = written_minds()
    taught = Likeness(encoder, options.likeness) if encoder is not None else None
    out = left_out()
    unseen = [mind for mind in minds["train"] if mind.id in out or encoder is None][:: options.every]
    worlds = []
    for number, mind in enumerate(unseen):
        worlds.append(list(examples_of(mind, encoder, taught)))
        print(f"{number + 1} of {len(unseen)} characters", end="\r", file=sys.stderr, flush=True)
    nets = trained(worlds)
    known = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    which = "lexical" if options.no_encoder else "encoder"
    kept = [net_of(data) for data in known.get(which, ())[-PARTS:]] if options.keep else []
    if any(net.names != nets[0].names for net in kept):
        parser.error(f"{options.out} holds networks over other features than today's: train without --keep")
    if options.check:
        for lower, found in cross_validated(worlds, nets, (0.0, 0.4, 0.7, 1.0), kept).items():
            print(f"cross-validated, {lower}{'' if lower == 'doubt' else ' lower'}: {found}", flush=True)
    seen = [e for mind in minds["dev"] for e in examples_of(mind, encoder, taught)]
    print(f"dev: {accuracy(seen, [*kept, *nets])}", flush=True)
    known[which] = [net.data() for net in (*kept, *nets)]
    options.out.write_text(json.dumps(known, sort_keys=True) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
