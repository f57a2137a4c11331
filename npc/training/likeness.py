"""Teach the sentence encoder which statement answers a turn: `python -m npc.training.likeness`.

Low-rank changes (Hu et al. 2021) to every matrix of MiniLM, trained so that, of everything a character could say, what
answers the turn scores highest, "nothing" among the choices:

    score(turn, statement) = a · cosine of the means + b · Σ_t w_t max_s cosine(turn token t, statement token s)

The turn is read with the exchange before it in front, but only its own tokens are compared, so that "and the pink
one?" carries over what it is about. The comparison of tokens is ColBERT's (Khattab and Zaharia 2020) with learned
weights w. Each statement also learns which turn it answers (`_claimed`), and talks are put otherwise in every pass
(`npc.training.varied`). `--start FILE` goes on from trained weights, with `--fresh N` over the characters of
`train_N.txt` and later twice in every pass and over half of the others. Characters of `turns.left_out` are never
learnt: on them `npc.training.yardstick` judges, and from them `npc.training.selector` learns.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import random
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch

from npc.dialogue.composed.features import stated
from npc.dialogue.composed.likeness import Stated, context_of, read_ids
from npc.inference.encoder import MiniLM, load_encoder
from npc.training.minds import written_since
from npc.training.taught import Packed, Shown, Taught
from npc.training.turns import RECALLS, Choice, choices_of, left_out, written_minds
from npc.training.varied import Names, names_of_all, varied

#: Steps of one character each; the rate falls linearly. Trained weights go on at three quarters of it.
LEARNING_RATE, LATER_RATE = 2e-3, 1.5e-3
#: Rate of the matrices themselves (`--matrices`), beside that of the little else that is trained.
MATRICES_RATE = 6e-5
#: Weight of the second loss: which turn a statement answers.
CLAIMED = 0.3
#: Turns of a character that a step learns from, beside four first questions.
TURNS = 32
#: Share of the words that are hidden in half of the texts (`masked`).
MASKED = 0.12
#: Of the turns of a step, at most this many made of `data/recalls*.txt`.
RECALLED = 8
#: Share of the low-rank changes' inner weights that a step leaves out.
DROPPED = 0.15
#: "[MASK]" of MiniLM's vocabulary.
_MASK = 103


def tokenised(base: MiniLM, choice: Choice, chance: random.Random | None) -> tuple[list[int], int]:
    """Ids of the turn with its context, and where the turn begins. With `chance`, now and then as a recogniser
    would write it."""
    text = choice.text
    if chance is not None and chance.random() < 0.4:
        text = re.sub(r"[^\w\s']", "", text).lower()
    context = context_of(base, *choice.before)
    return [*context, *masked(base.ids(text)[1:], chance)], len(context)


def masked(ids: list[int], chance: random.Random | None) -> list[int]:
    """Now and then with some words hidden, but never the closing mark."""
    if chance is None or chance.random() < 0.5:
        return ids
    return [_MASK if chance.random() < MASKED else i for i in ids[:-1]] + ids[-1:]


@dataclass(frozen=True, slots=True)
class Passes:
    """How often to go over the worlds, from which seed and at which rate at first; worlds of `fresh` are taken twice in
    every pass, and of the others half, where there are any."""

    epochs: int
    seed: int
    rate: float = LEARNING_RATE
    fresh: frozenset[str] = frozenset()

    def of(self, minds: Sequence[list[Choice]]) -> tuple[float | str, ...]:
        """What a training that goes on must agree in: its passes, and every word of its worlds."""
        words = hashlib.sha256()
        for choices in minds:
            for choice in choices:
                words.update(repr((choice.world, choice.kind, choice.before, choice.text, choice.right)).encode())
            words.update(repr(sorted({c.text for choice in choices for c in choice.candidates})).encode())
        return (self.epochs, len(minds), self.seed, self.rate, len(self.fresh), words.hexdigest()[:16])

    def steps(self, minds: Sequence[list[Choice]], epoch: int) -> list[int]:
        """Which worlds an epoch goes over, by their place."""
        chance = random.Random(f"{self.seed} {epoch}")
        fresh = [i for i, choices in enumerate(minds) if choices[0].world in self.fresh]
        others = [i for i, choices in enumerate(minds) if choices[0].world not in self.fresh]
        if fresh:
            # Two epochs after each other take the two halves of the others.
            half = random.Random(f"{self.seed} {epoch // 2}").sample(others, len(others))
            others = half[: len(half) // 2] if epoch % 2 == 0 else half[len(half) // 2 :]
        order = [*fresh, *fresh, *others]
        chance.shuffle(order)
        return order


def run(minds: Sequence[list[Choice]], model: Taught, passes: Passes, kept: Path, minutes: float) -> bool:
    """Train in place; one step a character, or two small worlds. After each epoch all is kept in the file `kept`, from
    where a run that ended, or took longer than `minutes`, goes on. Returns whether all epochs are done."""
    matrices = list(model.whole.values())
    others = [part for name, part in model.named_parameters() if not name.startswith("whole")]
    shares = [(others, 1.0), *([(matrices, MATRICES_RATE / passes.rate)] if matrices else [])]
    optimiser = torch.optim.AdamW(
        [{"params": parts, "share": share} for parts, share in shares], lr=passes.rate, weight_decay=0.02
    )
    epochs, seed = passes.epochs, passes.seed
    first, began, agreed = 0, time.monotonic(), passes.of(minds)
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        if state["of"] != agreed:
            raise SystemExit(f"{kept} is of another training {state['of']}: remove it, or train with the same options")
        first = state["done"]
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
    names = names_of_all(minds)
    orders = [passes.steps(minds, epoch) for epoch in range(epochs)]
    total, done = sum(map(len, orders)), sum(map(len, orders[:first]))
    for epoch in range(first, epochs):
        if epoch > first and time.monotonic() - began > 60 * minutes:
            return False
        chance = random.Random(f"{seed} {epoch} steps")
        torch.manual_seed(seed + 1000 * epoch)
        losses = []
        for world in orders[epoch]:
            for group in optimiser.param_groups:
                group["lr"] = group["share"] * passes.rate * min(1.0, (done + 1) / 20) * (1.0 - done / total)
            losses.append(_step(model, minds[world], names[world], optimiser, chance))
            done += 1
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, {time.monotonic() - began:.0f} s "
              f"({time.process_time():.0f} s of one core)", file=sys.stderr, flush=True)  # fmt: skip
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Beside it first: who is stopped while writing goes on from the epoch before.
        written = kept.with_name(f"{kept.name}.new")
        state = {"of": agreed, "done": epoch + 1, "model": model.state_dict()}
        torch.save(state | {"optimiser": optimiser.state_dict()}, written)
        os.replace(written, kept)
    kept.unlink(missing_ok=True)
    return True


def grouped(minds: Sequence[list[Choice]]) -> list[list[Choice]]:
    """Small worlds two by two, so that a step over them teaches as much as one over a character."""
    small: list[list[Choice]] = []
    found: list[list[Choice]] = []
    for choices in minds:
        few = sum(choice.kind not in ("first", *RECALLS) for choice in choices) < TURNS
        (small if few else found).append(choices)
    alone: list[Choice] = []
    return [*found, *(a + b for a, b in itertools.zip_longest(small[::2], small[1::2], fillvalue=alone))]


@dataclass(frozen=True, slots=True)
class Table:
    """Turns against every statement that stands to choose in any of them. Column 0 is "nothing"."""

    texts: list[Stated]
    allowed: torch.Tensor
    right: torch.Tensor


def table_of(choices: Sequence[Choice]) -> Table:
    """The table of some turns of one world, or of a few."""
    shown = [stated(choice.candidates) for choice in choices]
    texts = list(dict.fromkeys(text for row in shown for text in row))
    place = {text: 1 + i for i, text in enumerate(texts)}
    allowed = torch.zeros(len(choices), 1 + len(texts), dtype=torch.bool)
    right = torch.zeros_like(allowed)
    allowed[:, 0] = True
    for row, choice in enumerate(choices):
        columns = [place[text] for text in shown[row]]
        allowed[row, columns] = True
        right[row, [columns[i] for i in choice.right] or [0]] = True
    return Table(texts, allowed, right)


def _chosen(scores: torch.Tensor, allowed: torch.Tensor, right: torch.Tensor, without: torch.Tensor) -> torch.Tensor:
    """Mean loss of choosing what is right; `without` weighs the same turns where the answer is not known and nothing
    answers."""
    low = torch.finfo(scores.dtype).min

    def over(columns: torch.Tensor) -> torch.Tensor:
        return torch.where(columns, scores, low).logsumexp(1)

    answered = ~right[:, 0]
    lost = over(allowed) - over(right)
    taken = (over(allowed & ~right) - scores[:, 0])[answered] * without[answered]
    return (lost.sum() + taken.sum()) / (len(lost) + (without[answered] > 0).sum())


def _claimed(scores: torch.Tensor, allowed: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Mean loss of each statement's choosing the turn that it answers, by its lead over "nothing", among the turns of
    the step in which it stands to choose. Columns as in `Table`; 0 where no statement has both kinds of turns."""
    lead, allowed, right = scores[:, 1:] - scores[:, :1], allowed[:, 1:], right[:, 1:]
    low = torch.finfo(lead.dtype).min
    asked = right.any(0) & (allowed & ~right).any(0)
    lost = torch.where(allowed, lead, low).logsumexp(0) - torch.where(right, lead, low).logsumexp(0)
    return torch.where(asked, lost, 0.0).sum() / asked.sum().clamp_min(1)


def _step(
    model: Taught, choices: list[Choice], names: Names, optimiser: torch.optim.Optimizer, chance: random.Random
) -> float:
    first = [c for c in choices if c.kind == "first"]
    told = [c for c in choices if c.kind in RECALLS]
    picked = [c for c in choices if c.kind not in ("first", *RECALLS)]
    picked += chance.sample(told, min(RECALLED, len(told)))
    picked = chance.sample(picked, min(TURNS, len(picked))) + chance.sample(first, min(4, len(first)))
    table = table_of(picked)
    said, texts = varied(picked, table.texts, names, chance)
    packed, turns, own, shown = read_together(model, said, texts, chance)
    scores = model.scores(packed, turns, own, shown)
    without = torch.tensor([0.4 * (chance.random() < 0.4) for _ in picked])
    loss = _chosen(scores, table.allowed, table.right, without)
    loss = loss + CLAIMED * _claimed(scores, table.allowed, table.right)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def read_together(
    model: Taught, choices: Sequence[Choice], texts: Sequence[Stated], chance: random.Random | None
) -> tuple[Packed, list[int], list[int], Shown]:
    """Turns and statements through the encoder: rows of the turns, where their own tokens begin, the statements."""
    model.train(chance is not None)
    read = [tokenised(model.base, choice, chance) for choice in choices]
    told = [read_ids(model.base, text) for text in texts]
    packed = model([*(ids for ids, _ in read), *(masked(ids, chance) for ids, _ in told)])
    rows = list(range(len(read) + len(texts)))
    shown = model.shown(packed, rows[len(read) :], [at for _, at in told])
    return packed, rows[: len(read)], [at for _, at in read], shown


@torch.no_grad()
def accuracy(model: Taught, minds: Sequence[list[Choice]]) -> dict[str, float]:
    """Share right by kind ("nothing" counts as a choice); "ranked first": right whatever "nothing" says."""
    hits: dict[str, list[float]] = {}
    for choices in minds:
        table = table_of(choices)
        packed, turns, own, shown = read_together(model, choices, table.texts, None)
        scores = torch.where(table.allowed, model.scores(packed, turns, own, shown), -1e9)
        for i, choice in enumerate(choices):
            hits.setdefault(choice.kind, []).append(bool(table.right[i, int(scores[i].argmax())]))
            if choice.right and choice.kind != "first":
                hits.setdefault("ranked first", []).append(bool(table.right[i, 1 + int(scores[i, 1:].argmax())]))
    return {kind: round(float(np.mean(values)), 3) for kind, values in sorted(hits.items())}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m npc.training.likeness", description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after the epoch that passes this; go on later")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, help="go on from these weights")
    parser.add_argument("--fresh", type=int, help="train_N.txt and later are new to these weights")
    parser.add_argument("--matrices", action="store_true", help="train whole matrices, not only low-rank changes")
    parser.add_argument("--out", type=Path, default=Path(str(files("npc.dialogue") / "data" / "likeness.safetensors")))
    options = parser.parse_args(argv)
    if options.fresh is not None and options.start is None:
        parser.error("--fresh says what the weights of --start have not seen: name them")
    torch.set_num_threads(1)
    base, written, out = load_encoder(), written_minds(), left_out()
    learnt = [list(choices_of(mind, recalls=True)) for mind in written["train"] if mind.id not in out]
    fresh = written_since(options.fresh) if options.fresh is not None else frozenset()
    torch.manual_seed(options.seed)
    model = Taught.load(base, [options.start]) if options.start else Taught(base)
    model.dropped = DROPPED
    if options.matrices:
        model.loosened()
    passes = Passes(options.epochs, options.seed, LATER_RATE if options.start else LEARNING_RATE, fresh)
    if not run(grouped(learnt), model, passes, options.out.with_suffix(".pt"), options.minutes):
        print(f"{options.out.name}: not done in {options.minutes:g} minutes; the same command goes on", flush=True)
        return 0
    model.save(options.out)
    print(f"dev: {accuracy(model, [list(choices_of(mind)) for mind in written['dev']])}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
