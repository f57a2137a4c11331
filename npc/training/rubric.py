"""Train what tells whether a sentence does what a rubric item asks for: `python -m npc.training.rubric`.

Logistic regression over `Target.features`, one for each kind of item, on the written contrasts of
`data/rubric_contrasts.txt` and, with `--set`, the labelled attempts with an odd number (the others are never read).
A labelled turn holds one sentence or several: the likeliest sentence of a turn that does it is taken as the one that
does (multiple-instance learning by repeated fitting). The thresholds are those that judge most attempts right on
held-out workplaces. Writes `npc/simulation/rubric/saying.json`; about a minute on one core.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import npc.simulation.rubric.saying as saying
from npc.inference.encoder import SentenceEncoder, load_encoder
from npc.simulation.rubric.lines import Line, lines
from npc.simulation.rubric.model import Item, Turn
from npc.simulation.rubric.saying import SPOKEN, Target

log = Console(stderr=True, highlight=False)
Features = dict[str, float]

#: Ridge on standardised features, chosen by kappa on held-out workplaces out of 0.003, 0.01, 0.03, 0.1.
RIDGE = 0.01
#: How often the sentence of a turn that does it is chosen anew; it settles after two.
ROUNDS = 2
#: Features that may only speak for an item. The contrasts are hard on purpose: what does it is far from the examples
#: and what does not is near, and without this the fit would learn that being near is a bad sign.
RISING_NAMES = (
    "near near_30 near_45 near_60 near_whole near_mean near_asked about about_whole margin margin_mean overlap shared "
    "shared_share phrase asked yes_asked"
)
RISING = frozenset(RISING_NAMES.split())
FOLDS = 4
#: A line made for an item says more than a line borrowed from its neighbour.
OWN_WEIGHT, BORROWED_WEIGHT = 1.0, 0.25
#: A turn of a real conversation has weight for what a rubric meets there; there are few of them.
ATTEMPT_WEIGHT = 2.0
#: Turns of an attempt beside the one in question, and how often an item of a kind is done in an attempt: rules are
#: broken less often than duties are met.
OTHER_TURNS = 6
DONE_SHARE = {"must_say": 0.5, "must_ask": 0.5, "must_not_say": 0.3, "fact_elicited": 0.5}
#: Id of the item that holds the lines against all items.
TALK = "small talk"


@dataclass(slots=True)
class Contrast:
    """One item of the contrasts with its lines: (text, whether it does it)."""

    item: Item
    lines: list[tuple[str, bool]] = field(default_factory=list)
    friends: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bag:
    """One turn for one item: features of its sentences, and whether one of them does it."""

    group: str
    kind: str
    item: str
    sentences: tuple[Features, ...]
    done: bool
    weight: float


def read(text: str) -> dict[str, list[Contrast]]:
    """The contrasts by workplace. Raises ValueError naming the line."""
    found: dict[str, list[Contrast]] = {}
    group = ""
    for number, raw in enumerate(text.splitlines(), 1):
        mark, _, rest = raw.strip().partition(" ")
        if not mark or mark.startswith("#"):
            continue
        if mark == "==":
            group, found[rest] = rest, []
        elif mark == "@":
            name, kind, description = rest.replace(" |", "", 1).split(" ", 2)
            found[group].append(Contrast(Item(name, kind, description, {})))  # type: ignore[arg-type]
        elif mark == "0":
            if not found[group]:
                found[group].append(Contrast(Item(TALK, "must_say", TALK)))
            found[group][-1].lines.append((rest, False))
        elif mark in {"e", "p", "f", "~", "+", "-"}:
            _add(found[group][-1], mark, rest)
        else:
            raise ValueError(f"line {number}: unknown mark {mark!r}")
    return found


def _add(contrast: Contrast, mark: str, rest: str) -> None:
    params: dict[str, Any] = dict(contrast.item.params)
    if mark == "e":
        params["examples"] = [*params.get("examples", []), rest]
    elif mark == "p":
        params["phrases"] = [part.strip() for part in rest.split(",")]
    elif mark == "f":
        params["fact"] = rest
    elif mark == "~":
        contrast.friends = frozenset(part.strip() for part in rest.split(","))
    else:
        contrast.lines.append((rest, mark == "+"))
    contrast.item = Item(contrast.item.id, contrast.item.kind, contrast.item.description, params)


def turns_of(text: str) -> list[Turn]:
    """A line as turns: what the trainee says, or with "//" what the trainee and then the character says."""
    if "//" not in text:
        return [Turn(1, "trainee", text, 0.0, 1.0)]
    asked, answer = (part.strip() for part in text.split("//"))
    return [Turn(1, "trainee", asked, 0.0, 1.0), Turn(2, "character", answer, 1.0, 2.0)]


def contrasts(encoder: SentenceEncoder | None) -> Iterator[Bag]:
    """Bags from the written contrasts: an item's own lines, then as things that do not do it those of its neighbours,
    small talk, and what does something of another kind at another workplace."""
    groups = read((files("npc.training") / "data" / "rubric_contrasts.txt").read_text(encoding="utf-8"))
    heard = _Heard(encoder)
    talk = [text for group in groups.values() for one in group for text, _ in one.lines if one.item.id == TALK]
    for group, found in groups.items():
        items = [one for one in found if one.item.id != TALK]
        targets = {one.item.id: Target(one.item, encoder) for one in items}
        for one in items:
            alike = [o for o in items if _fact(o) == _fact(one) and o is not one]
            rivals = [targets[o.item.id] for o in alike]
            against = [text for o in alike if o.item.id not in one.friends for text, _ in o.lines]
            against += [text for text in talk if ("//" in text) == _fact(one)]
            for name, others in groups.items():
                far = [o for o in others if name != group and o.item.id != TALK and _fact(o) == _fact(one)]
                far = [o for o in far if _fact(one) or o.item.kind != one.item.kind]
                against += [text for o in far for text, does in o.lines[:: 1 if _fact(one) else 3] if does]
            cases = [(text, does, OWN_WEIGHT) for text, does in one.lines]
            cases += [(text, False, BORROWED_WEIGHT) for text in against]
            for text, does, weight in cases:
                if said := heard(text):
                    sentences = tuple(targets[one.item.id].features(part, rivals) for part in said)
                    yield Bag(group, one.item.kind, one.item.id, sentences, does, weight)
            for other, text, does in swapped(one):
                target = Target(other, encoder)
                sentences = tuple(target.features(part, rivals) for part in heard(text))
                if sentences:
                    yield Bag(group, one.item.kind, one.item.id, sentences, does, OWN_WEIGHT)


def swapped(contrast: Contrast) -> Iterator[tuple[Item, str, bool]]:
    """The same item with other sentences as its examples, so that what does it is sometimes near to them."""
    if _fact(contrast):
        return
    item, does = contrast.item, [text for text, yes in contrast.lines if yes]
    written = list(item.params["examples"])
    for shift in (0, 2):
        examples = does[shift : shift + 2]
        other = replace(item, params={**item.params, "examples": examples})
        for text, yes in [*((one, True) for one in written), *contrast.lines]:
            if text not in examples:
                yield other, text, yes


def _fact(contrast: Contrast) -> bool:
    return contrast.item.kind == "fact_elicited"


class _Heard:
    """The sentences of a written line's last turn; each line is encoded once."""

    def __init__(self, encoder: SentenceEncoder | None) -> None:
        self._encoder = encoder
        self._known: dict[str, list[Line]] = {}

    def __call__(self, text: str) -> list[Line]:
        if text not in self._known:
            turns = turns_of(text)
            self._known[text] = [said for said in lines(turns, self._encoder) if said.turn is turns[-1]]
        return self._known[text]


def attempts(path: Path, encoder: SentenceEncoder | None) -> Iterator[Bag]:
    """Bags from labelled attempts with an odd number."""
    for raw in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(raw)
        if int(record["attempt"].rsplit("-", 1)[1]) % 2 == 0:
            continue
        turns = [
            Turn(t["n"], t["speaker"], t["text"], t["start_s"], t["end_s"], tuple(t.get("actions", ())))
            for t in record["turns"]
        ]
        said = lines(turns, encoder)
        items = [Item(i["id"], i["kind"], i["description"], i["params"]) for i in record["rubric"]]
        targets = {item.id: Target(item, encoder) for item in items if item.kind in SPOKEN}
        for item in items:
            if item.kind not in SPOKEN:
                continue
            fact = item.kind == "fact_elicited"
            rivals = [t for t in targets.values() if t.item is not item and (t.item.kind == "fact_elicited") == fact]
            evidence = set(record["labels"][item.id]["evidence_turns"])
            for turn in turns:
                if turn.speaker == ("character" if fact else "trainee"):
                    parts = tuple(targets[item.id].features(s, rivals) for s in said if s.turn is turn)
                    if parts:
                        yield Bag(record["scenario"], item.kind, item.id, parts, turn.n in evidence, ATTEMPT_WEIGHT)


def fit(bags: Sequence[Bag], names: Sequence[str]) -> NDArray[np.float64]:
    """Weights over raw features, for bags of one kind. Likeness never counts against: see RISING."""
    rows = [np.array([[s.get(n, 0.0) for n in names] for s in bag.sentences]) for bag in bags]
    everything = np.concatenate(rows)
    mean, scale = everything.mean(axis=0), everything.std(axis=0)
    scale[scale == 0.0] = 1.0
    bias = list(names).index("bias")
    mean[bias], scale[bias] = 0.0, 1.0
    rows = [(row - mean) / scale for row in rows]
    rising = np.array([name in RISING for name in names])
    first = list(names).index("near" if "near" in names else "overlap")
    chosen = [int(np.argmax(row[:, first])) for row in rows]
    weights = np.zeros(len(names))
    for _ in range(ROUNDS):
        x, y, w = [], [], []
        for bag, row, best in zip(bags, rows, chosen, strict=True):
            x.append(row[best : best + 1] if bag.done else row)
            y += [float(bag.done)] * len(x[-1])
            w += [bag.weight] * len(x[-1])
        used = np.ones(len(names), dtype=bool)
        while True:
            weights = np.zeros(len(names))
            ridge = np.where(np.arange(len(names)) == bias, 1e-6, RIDGE)[used]
            weights[used] = _logistic(np.concatenate(x)[:, used], np.array(y), np.array(w), ridge)
            falling = rising & (weights < 0)
            if not falling.any():
                break
            used &= ~falling
        chosen = [int(np.argmax(row @ weights)) for row in rows]
    raw: NDArray[np.float64] = weights / scale
    raw[bias] -= float((weights * mean / scale).sum())
    return raw


def _logistic(
    x: NDArray[np.float64], y: NDArray[np.float64], w: NDArray[np.float64], ridge: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted ridge logistic regression by Newton's method."""
    w = w / w.sum()
    weights = np.zeros(x.shape[1])
    for _ in range(12):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (w * (p - y)) + ridge * weights
        hessian = (x * (w * p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        step = np.linalg.solve(hessian, gradient)
        weights = weights - step
        if float(np.abs(step).max()) < 1e-3:
            break
    return weights


def best_threshold(kind: str, scored: Sequence[tuple[float, Bag]]) -> tuple[float, float]:
    """(threshold, share of made-up attempts judged right) over held-out turns.

    An item is judged on every turn of an attempt and one false alarm is enough, so the threshold is chosen on attempts
    put together from the turns of its workplace: OTHER_TURNS that do not do it, and one that does it or only seems to.
    """
    random = np.random.default_rng(1)
    by_item: dict[tuple[str, str], list[tuple[float, Bag]]] = defaultdict(list)
    for probability, bag in scored:
        by_item[bag.group, bag.item].append((probability, bag))
    made: list[tuple[float, bool, float]] = []
    for pairs in by_item.values():
        others = np.array([p for p, bag in pairs if not bag.done and bag.weight != OWN_WEIGHT])
        own = [(p, bag.done) for p, bag in pairs if bag.done or bag.weight == OWN_WEIGHT]
        for p, done in own * 3:
            made.append((max(p, float(random.choice(others, OTHER_TURNS).max())), done, 1.0))
    weight = {d: sum(w for _, done, w in made if done == d) for d in (True, False)}
    found = (0.5, -1.0)
    for threshold in np.arange(0.2, 0.95, 0.02):
        right = sum(
            w / weight[done] * (DONE_SHARE[kind] if done else 1 - DONE_SHARE[kind])
            for p, done, w in made
            if (p >= threshold) == done
        )
        if right > found[1]:
            found = (round(float(threshold), 2), right)
    return found


def train(bags: Sequence[Bag]) -> dict[str, Any]:
    """Weights and thresholds of every kind; prints how they do on held-out workplaces."""
    names = sorted({name for bag in bags for s in bag.sentences for name in s})
    groups = sorted({bag.group for bag in bags})
    scored: dict[str, list[tuple[float, Bag]]] = {kind: [] for kind in SPOKEN}
    for fold in range(FOLDS):
        held = set(groups[fold::FOLDS])
        for kind in SPOKEN:
            own = [bag for bag in bags if bag.kind == kind]
            found = fit([bag for bag in own if bag.group not in held], names)
            scored[kind] += [(score(bag, names, found), bag) for bag in own if bag.group in held]
    thresholds = {}
    for kind, pairs in scored.items():
        thresholds[kind], right = best_threshold(kind, pairs)
        log.print(f"{kind:<14} {len(pairs)} turns, {right:.3f} of held-out attempts right at {thresholds[kind]}")
    weights = {}
    for kind in SPOKEN:
        final = fit([bag for bag in bags if bag.kind == kind], names)
        weights[kind] = {name: round(float(value), 4) for name, value in zip(names, final, strict=True)}
    return {"weights": weights, "thresholds": thresholds}


def score(bag: Bag, names: Sequence[str], weights: NDArray[np.float64]) -> float:
    """Probability of the likeliest sentence."""
    rows = np.array([[s.get(n, 0.0) for n in names] for s in bag.sentences])
    return float(1.0 / (1.0 + np.exp(-np.clip(rows @ weights, -30, 30).max())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", type=Path, help="labelled attempts; only those with an odd number are read")
    parser.add_argument("--out", type=Path, default=Path(saying.__file__).with_name("saying.json"))
    given = parser.parse_args()
    models = {}
    for name, encoder in (("encoder", load_encoder()), ("words", None)):
        bags = list(contrasts(encoder)) + (list(attempts(given.set, encoder)) if given.set else [])
        by_kind: dict[str, int] = defaultdict(int)
        for bag in bags:
            by_kind[bag.kind] += bag.done
        log.print(f"{name}: {dict(by_kind)} turns that do it")
        models[name] = train(bags)
    given.out.write_text(json.dumps(models, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
