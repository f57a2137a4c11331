"""How well a taught encoder finds the statement that answers, on the characters that none learns from:

    python -m npc.training.yardstick npc/dialogue/data/likeness.safetensors [more.safetensors ...] [--mean]

Each argument is one encoder: a file, `file@0.8` with its changes scaled towards plain MiniLM, or `a+b`, the
mean of two files' weights. `--mean` also judges the mean of all their scores, `--write FILE` keeps the encoder named
as a file of its own instead of judging it, low-rank changes cut back to `--rank` directions. Printed for each:

    ranked   share of turns whose answer is known and scored highest of all statements, by kind and over all
    parted   area under the curve of the lead over "nothing": turns that something answers against near misses
    kept     share answered rightly where the bar is set so that 0.75 of the near misses are left alone
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from npc.inference.encoder import MiniLM, load_encoder
from npc.training.likeness import read_together, table_of
from npc.training.taught import Taught
from npc.training.turns import ASKED, Choice, choices_of, left_out, written_minds

#: Share of near misses that "kept" leaves alone.
LEFT_ALONE = 0.75

Floats = NDArray[np.float32]


@dataclass(slots=True)
class Judged:
    """What is seen of each turn: its kind, whether the best statement is right, and its lead over "nothing"."""

    kinds: list[str] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)
    leads: list[float] = field(default_factory=list)

    def add(self, choice: Choice, scores: Floats, allowed: NDArray[np.bool_], right: NDArray[np.bool_]) -> None:
        """One turn: scores of "nothing" and all statements, which stand to choose, which are right."""
        open_to = np.where(allowed[1:], scores[1:], -np.inf)
        best = int(np.argmax(open_to))
        self.kinds.append(choice.kind)
        self.hits.append(bool(right[1 + best]))
        self.leads.append(float(open_to[best] - scores[0]))

    def figures(self) -> dict[str, float]:
        """The figures of this module's docstring, and how many turns stand behind them."""
        kinds, hits, leads = np.array(self.kinds), np.array(self.hits), np.array(self.leads)
        missed = np.isin(kinds, ("unknown",))
        known = ~np.isin(kinds, ("unknown", "untold", *_UNRANKED))
        asked = np.isin(kinds, ASKED) & known
        above = (leads[asked][:, None] > leads[missed][None, :]).mean() if missed.any() else float("nan")
        bar = float(np.quantile(leads[missed], LEFT_ALONE)) if missed.any() else float("nan")
        found = {"ranked": hits[known].mean(), "asked": hits[asked].mean()}
        found |= {str(kind): hits[kinds == kind].mean() for kind in sorted(set(kinds[known]))}
        found |= {"parted": above, "kept": (hits & (leads > bar))[asked].mean(), "turns": float(known.sum())}
        return {name: round(float(value), 3) for name, value in found.items()}


#: Turns that no statement answers by their nature: feelings, small talk, attacks.
_UNRANKED = ("emotion", "smalltalk", "injection", "action_refused")


def worlds_left_out(every: int = 1) -> list[list[Choice]]:
    """The asking turns of every n-th character that no encoder learnt from (`turns.left_out`)."""
    out = left_out()
    worlds = [mind for mind in written_minds()["train"] if mind.id in out][::every]
    kept = [[c for c in choices_of(mind) if c.kind not in ("first", *_UNRANKED)] for mind in worlds]
    return [choices for choices in kept if choices]


@torch.no_grad()
def scored(model: Taught, choices: Sequence[Choice]) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """Scores [turns, 1 + statements] of one world, and which statements stand to choose and are right."""
    model.eval()
    table = table_of(choices)
    packed, turns, own, shown = read_together(model, choices, table.texts, None)
    return model.scores(packed, turns, own, shown).numpy(), table.allowed.numpy(), table.right.numpy()


def encoder_of(base: MiniLM, named: str) -> Taught:
    """An encoder as it is named on the command line."""
    names, _, scale = named.partition("@")
    return Taught.load(base, [Path(name) for name in names.split("+")], float(scale or 1.0))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m npc.training.yardstick", description=__doc__)
    parser.add_argument("encoders", nargs="+")
    parser.add_argument("--every", type=int, default=1, help="judge on every n-th character left out")
    parser.add_argument("--mean", action="store_true", help="also the mean of all scores")
    parser.add_argument("--write", type=Path, help="write the one encoder named to this file")
    parser.add_argument("--rank", type=int, help="with --write: the rank of the low-rank changes that are kept")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    base = load_encoder()
    if options.write is not None:
        if len(options.encoders) != 1:
            parser.error("--write takes one encoder (join several as a+b)")
        found = encoder_of(base, options.encoders[0])
        if options.rank is not None and found.whole:
            parser.error("--rank cuts low-rank changes; these weights hold whole ones")
        if options.rank is not None:
            print(f"{found.cut(options.rank):.4f} of the squared change is lost where most is")
        found.save(options.write)
        return 0
    worlds = worlds_left_out(options.every)
    totals: list[Floats] = []
    for number, named in enumerate(options.encoders):
        began, judged = time.process_time(), Judged()
        model = encoder_of(base, named)
        for at, choices in enumerate(worlds):
            scores, allowed, right = scored(model, choices)
            for row, choice in enumerate(choices):
                judged.add(choice, scores[row], allowed[row], right[row])
            if number == 0:
                totals.append(np.zeros_like(scores))
            totals[at] += scores / len(options.encoders)
        print(f"{named} ({time.process_time() - began:.0f} s): {judged.figures()}", flush=True)
    if options.mean:
        judged = Judged()
        for choices, scores in zip(worlds, totals, strict=True):
            table = table_of(choices)
            for row, choice in enumerate(choices):
                judged.add(choice, scores[row], table.allowed[row].numpy(), table.right[row].numpy())
        print(f"mean of the scores: {judged.figures()}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
