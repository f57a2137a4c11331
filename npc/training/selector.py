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
    first = world.name.split()
    facts = [Fact(id=str(i), text=text, source="card") for i, text in enumerate(world.facts, 1)]
    found = [
        Candidate(s.key, s.text, "fact", s.fact.id, s.fact.text, part=s.part, of=s.of,
                  about_self=any(re.search(rf"\b{re.escape(n)}\b", s.text) for n in first))
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
                asking = asking_text(index, question, world.place)
                for text, weight in ((said, 1.0), (re.sub(r"[^\w\s']", "", said).lower(), 0.5)):
                    yield _example(index, text, world.place, leaning, everything, answer, weight)
                if answer != "?":
                    without = everything - {answer}
                    yield _example(index, said, world.place, leaning, without, "?", 0.2)
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
    asking = asking_text(index, question, place)
    rows, nothing = measure(index, question, asking, leaning, place, allowed)
    right = (
        tuple(i for i, (candidate, _) in enumerate(rows, 1) if candidate.fact_id == answer) if answer != "?" else (0,)
    )
    return Example((nothing, *(features for _, features in rows)), right or (0,), weight)


#: What we hold for likely before any data, and how firmly: the penalty pulls weights here, not to zero.
PRIOR = {
    "name_miss": -2.5, "repeat": -2.5, "scope_clash": -1.5, "scope_match": 1.0, "soft": 2.0, "cover": 1.0, "told": 2.0,
    "subject": 1.0, "fit": 1.0, "misfit": -1.5, "cosine": 2.0, "sibling": 2.0, "before": 1.0, "number_hit": 0.3,
}  # fmt: skip


def train(examples: list[Example], *, l2: float = 0.002, steps: int = 700, rate: float = 0.08) -> dict[str, float]:
    """Maximise the log-probability of the right candidates (any of them counts) by Adam on the full batch."""
    names = sorted({name for example in examples for row in example.rows for name in row})
    place = {name: i for i, name in enumerate(names)}
    matrices: list[NDArray[np.float64]] = []
    for example in examples:
        matrix = np.zeros((len(example.rows), len(names)))
        for i, row in enumerate(example.rows):
            for name, value in row.items():
                matrix[i, place[name]] = value
        matrices.append(matrix)
    stacked = np.concatenate(matrices)
    owner = np.repeat(np.arange(len(examples)), [len(m) for m in matrices])
    starts = np.concatenate([[0], np.cumsum([len(m) for m in matrices])[:-1]])
    right = np.concatenate([np.isin(np.arange(len(e.rows)), e.right) for e in examples])
    weights = np.array([e.weight for e in examples])
    prior = np.array([PRIOR.get(name, 0.0) for name in names])
    firm = np.array([4.0 if name.startswith("null_") else 1.0 for name in names]) * l2
    w, m, v = prior.copy(), np.zeros(len(names)), np.zeros(len(names))
    for step in range(1, steps + 1):
        score = stacked @ w
        top = np.maximum.reduceat(score, starts)
        e = np.exp(score - top[owner])
        p = e / np.add.reduceat(e, starts)[owner]
        q = np.where(right, e, 0.0)
        q = q / np.add.reduceat(q, starts)[owner]
        gradient = stacked.T @ ((p - q) * weights[owner]) / weights.sum() + firm * (w - prior)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        w -= rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return {name: round(float(value), 4) for name, value in zip(names, w, strict=True)}


def accuracy(examples: list[Example], weights: dict[str, float]) -> tuple[float, float]:
    """(right answers among the answerable, admitted among the unanswerable), examples as written only."""
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for example in examples:
        if example.weight < 1.0:
            continue
        scores = [sum(weights.get(name, 0.0) * value for name, value in row.items()) for row in example.rows]
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
        weights = train([e for j, group in enumerate(examples) if j != i for e in group])
        held.append(accuracy(examples[i], weights))
        print(f"held out {worlds[i].name}: answered {held[-1][0]:.3f}, admitted {held[-1][1]:.3f}", file=sys.stderr)
    if held:
        mean = np.mean(np.array(held), axis=0)
        print(f"mean: answered {mean[0]:.3f}, admitted {mean[1]:.3f}", file=sys.stderr)
    weights = train([e for group in examples for e in group])
    known = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    known["lexical" if options.no_encoder else "encoder"] = weights
    options.out.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", "utf-8")
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
