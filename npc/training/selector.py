"""Train the weights that choose an answer, or that nothing known answers: `python -m npc.training.selector`.

A log-linear model over the candidates of a turn and "nothing":   p(c) ∝ exp(w · features(c)).
Every written turn of `data/answers.txt` is used four ways: as written, as a recogniser would give it (lower case, no
marks), with the answering fact taken away (then nothing answers), and, for questions, asked of another character.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from npc.dialogue.composed.features import Candidate, Index, Leaning, asking_text, measure
from npc.dialogue.composed.question import understand
from npc.dialogue.composed.speech import Speaker, mentions, names_others
from npc.dialogue.knowledge.facts import Fact, statements
from npc.inference.encoder import SentenceEncoder, load_encoder

Features = dict[str, float]


@dataclass(slots=True)
class World:
    """A written character with its talks; an answer is a fact number, "bN", "sN" or "?"."""

    name: str
    place: str
    facts: list[str] = field(default_factory=list)
    biography: list[str] = field(default_factory=list)
    scene: list[str] = field(default_factory=list)
    talks: list[list[tuple[str, str]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Example:
    """Candidates of one turn ("nothing" first) and which of them are right."""

    rows: tuple[Features, ...]
    right: tuple[int, ...]
    weight: float = 1.0


def read_worlds(text: str) -> list[World]:
    """Parse `data/answers.txt`. Raises ValueError naming the line."""
    worlds: list[World] = []
    fresh = True
    for number, line in enumerate(text.splitlines(), 1):
        mark, _, rest = line.partition(" ")
        if not line.strip():
            fresh = True
        elif mark == "C":
            parts = [part.strip() for part in rest.split("|")]
            worlds.append(World(parts[0], f"{parts[2]}, {parts[3]}. {parts[1]}"))
            fresh = True
        elif mark == "P":
            said, arrow, answer = rest.rpartition("=>")
            if not arrow:
                raise ValueError(f"line {number}: a P line needs '=> answer'")
            if fresh:
                worlds[-1].talks.append([])
                fresh = False
            worlds[-1].talks[-1].append((said.strip(), answer.strip()))
        elif mark in ("F", "B", "S"):
            getattr(worlds[-1], {"F": "facts", "B": "biography", "S": "scene"}[mark]).append(rest.strip())
            fresh = True
        elif mark != "#":
            raise ValueError(f"line {number}: unknown mark {mark!r}")
    return worlds


def candidates_of(world: World) -> list[Candidate]:
    """The candidates a mind with this card would have; `fact_id` is the answer mark used in the talks."""
    speaker = Speaker(world.name)
    facts = [Fact(id=str(i), text=text, source="card") for i, text in enumerate(world.facts, 1)]
    found = [
        Candidate(s.key, s.text, "fact", s.fact.id, s.fact.text, part=s.part, of=s.of,
                  about_self=mentions(s.text, speaker), names_others=names_others(s.text, speaker))
        for s in statements(facts)
    ]  # fmt: skip
    found += [Candidate(f"b{i}", text, "self", f"b{i}") for i, text in enumerate(world.biography, 1)]
    for i, text in enumerate(world.scene, 1):
        name, _, description = text.partition(":")
        found.append(Candidate(f"s{i}", f"The {name}: {description.strip()}.", "scene", f"s{i}"))
    return found


def examples_of(worlds: list[World], encoder: SentenceEncoder | None, seed: int = 0) -> Iterator[Example]:
    """All training examples, in a fixed order for a seed."""
    chance = random.Random(seed)
    indexes = [Index(candidates_of(world), encoder) for world in worlds]
    for world, index in zip(worlds, indexes, strict=True):
        everything = frozenset(c.fact_id for c in index.candidates if c.fact_id)
        strangers = [i for w, i in zip(worlds, indexes, strict=True) if w is not world]
        for talk in world.talks:
            leaning: Leaning | None = None
            for said, answer in talk:
                question = understand(said)
                asking = asking_text(index, question, world.place, leaning)
                for text, weight in ((said, 1.0), (re.sub(r"[^\w\s']", "", said).lower(), 0.5)):
                    yield _example(index, text, world.place, leaning, everything, answer, weight)
                if answer != "?":
                    without = everything - {answer}
                    yield _example(index, said, world.place, leaning, without, "?", 0.3)
                    if leaning is None:
                        stranger = chance.choice(strangers)
                        yield _example(stranger, said, world.place, None, None, "?", 0.1)
                    given = [c for c in index.candidates if c.fact_id == answer]
                    best = max(given, key=lambda c: measured_soft(index, question, asking, c))
                    leaning = Leaning(asking, best.text, (best.key,))


def measured_soft(index: Index, question: object, asking: str, candidate: Candidate) -> float:
    """How well a part of the right fact matches the words asked: which part was said."""
    words = set(asking.lower().split())
    return sum(word in candidate.text.lower() for word in words) - 0.01 * candidate.part


def _example(
    index: Index,
    said: str,
    place: str,
    leaning: Leaning | None,
    allowed: frozenset[str] | None,
    answer: str,
    weight: float,
) -> Example:
    question = understand(said)
    asking = asking_text(index, question, place, leaning)
    rows, nothing = measure(index, question, asking, leaning, place, allowed)
    right = (
        tuple(i for i, (candidate, _) in enumerate(rows, 1) if candidate.fact_id == answer) if answer != "?" else (0,)
    )
    return Example((nothing, *(features for _, features in rows)), right or (0,), weight)


#: What we hold for likely before any data, and how firmly: the penalty pulls weights here, not to zero.
PRIOR = {
    "name_miss": -2.5, "repeat": -2.5, "scope_clash": -1.5, "scope_match": 1.0, "soft": 2.0, "cover": 1.0, "told": 2.0,
    "subject": 1.0, "fit": 1.0, "misfit": -1.5, "cosine": 2.0, "sibling": 2.0, "before": 1.5, "number_hit": 0.3, "head_miss": -2.0,  # noqa: E501
    "pointed": 2.0, "rule": 1.0, "opposed": -2.0, "opposed_told": -1.0, "edge": 1.0,
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

    def score(self, row: Features) -> float:
        x = np.array([row.get(name, 0.0) for name in self.names])
        hidden = np.tanh(((x - self.mean) / self.scale) @ self.inner + self.bias)
        return float(x @ self.linear + hidden @ self.outer)

    def data(self) -> dict[str, object]:
        """Plain JSON data, rounded to four digits."""
        arrays = {
            name: np.round(getattr(self, name), 4).tolist()
            for name in ("linear", "mean", "scale", "inner", "bias", "outer")
        }
        return {"names": list(self.names), **arrays}


def train_net(examples: list[Example], *, hidden: int = 16, steps: int = 160, seed: int = 0) -> Net:
    """The same objective with a hidden layer, by torch; the linear part starts from the prior."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    names = sorted({name for example in examples for row in example.rows for name in row})
    place = {name: i for i, name in enumerate(names)}
    counts = [len(example.rows) for example in examples]
    x = torch.zeros(sum(counts), len(names))
    at = 0
    for example in examples:
        for row in example.rows:
            for name, value in row.items():
                x[at, place[name]] = value
            at += 1
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


def accuracy(examples: list[Example], net: Net) -> tuple[float, float]:
    """(right answers among the answerable, admitted among the unanswerable), examples as written only."""
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for example in examples:
        if example.weight < 1.0:
            continue
        scores = [net.score(row) for row in example.rows]
        hits[example.right != (0,)].append(int(np.argmax(scores)) in example.right)
    return float(np.mean(hits[True])), float(np.mean(hits[False]))


def main(argv: list[str] | None = None) -> int:
    """Train on all worlds, print leave-one-world-out accuracy, write `npc/dialogue/data/selector.json`."""
    parser = argparse.ArgumentParser(prog="python -m npc.training.selector", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(str(files("npc.dialogue") / "data" / "selector.json")))
    parser.add_argument("--no-encoder", action="store_true", help="train the weights of the lexical fallback")
    parser.add_argument("--check", action="store_true", help="also print leave-one-character-out accuracy (minutes)")
    options = parser.parse_args(argv)
    encoder = None if options.no_encoder else load_encoder()
    worlds = read_worlds((files("npc.training") / "data" / "answers.txt").read_text("utf-8"))
    examples = [list(examples_of_one(worlds, i, encoder)) for i in range(len(worlds))]
    held = []
    for i in range(len(worlds) if options.check else 0):
        net = train_net([e for j, group in enumerate(examples) if j != i for e in group])
        held.append(accuracy(examples[i], net))
        print(f"held out {worlds[i].name}: answered {held[-1][0]:.3f}, admitted {held[-1][1]:.3f}", file=sys.stderr)
    if held:
        mean = np.mean(np.array(held), axis=0)
        print(f"mean: answered {mean[0]:.3f}, admitted {mean[1]:.3f}", file=sys.stderr)
    trained = [train_net([e for group in examples for e in group], seed=seed).data() for seed in range(2)]
    known = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    known["lexical" if options.no_encoder else "encoder"] = trained
    options.out.write_text(json.dumps(known, sort_keys=True) + "\n", "utf-8")
    return 0


def examples_of_one(worlds: list[World], which: int, encoder: SentenceEncoder | None) -> Iterator[Example]:
    """The examples of one world, the others serving as strangers."""
    order = [worlds[which], *[w for i, w in enumerate(worlds) if i != which]]
    talks = [w.talks for w in order[1:]]
    for world in order[1:]:
        world.talks = []
    yield from examples_of(order, encoder, seed=which)
    for world, kept in zip(order[1:], talks, strict=True):
        world.talks = kept


if __name__ == "__main__":
    raise SystemExit(main())
