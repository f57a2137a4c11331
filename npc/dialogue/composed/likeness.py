"""How well a statement answers a turn, by a MiniLM that was taught it (`npc.training.likeness`).

    exchange before │ turn      ──> token states of the turn ──┐
                                                               ├─> cosine of means, weighted best matches of tokens
    part before │ statement     ──> token states (kept) ───────┘

A later part of a fact is read behind the part before it ("The slope of the floor comes from that"); only its own tokens
are compared, as with a turn. Two numbers a statement, [-1, 1] each; which to choose from them and from the words is
decided in `select`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from npc.dialogue.composed.question import understand
from npc.dialogue.context import Exchange
from npc.inference.encoder import MiniLM, Vectors

WEIGHTS = "likeness.safetensors"
#: Rank of the low-rank changes of a first training: 590 k numbers, 1.2 MB. Any rank is read (`change_of`).
RANK = 16
#: Tokens of the exchange before a turn that are read with it: a question and a short answer.
_BEFORE = 48
#: Statements kept with their token states (about 30 kB each).
_KEPT = 2048
#: Turns kept as read: several sessions of one character may be at it at once.
_HEARD = 32


class Behind(NamedTuple):
    """A statement that is read behind another one and compared by itself."""

    before: str
    text: str


#: A statement that stands by itself, or one read behind another.
Stated = str | Behind


def read_ids(encoder: MiniLM, stated: Stated) -> tuple[list[int], int]:
    """Ids of a statement, and where its own begin: at the opening mark, or behind what it is read with."""
    if isinstance(stated, str):
        return encoder.ids(stated), 0
    context = context_of(encoder, stated.before, "")
    return [*context, *encoder.ids(stated.text)[1:]], len(context)


def context_of(encoder: MiniLM, player: str, reply: str) -> list[int]:
    """Ids of the exchange before, opened by the first mark and closed by a separator; only the mark when there is
    none. Long exchanges lose their beginning."""
    first = encoder.ids("")[:1]
    if not player:
        return first
    ids = [*encoder.ids(player)[1:-1][-_BEFORE // 2 :], *encoder.ids(reply)[1:-1][-_BEFORE // 2 :]]
    return [*first, *ids, encoder.ids("")[1]]


def context_before(history: Sequence[Exchange]) -> tuple[str, str]:
    """What a turn is read with: the exchange before it. Where that one told and asked nothing ("thanks", a deed), the
    last one of the three before that told a fact, then the player's words since: "and on Sundays?" may pick it up."""
    if not history:
        return ("", "")
    last = history[-1]
    if last.fact_ids or understand(last.player).asking:
        return (last.player, last.read)
    told = next((exchange for exchange in reversed(history[-4:-1]) if exchange.fact_ids), None)
    return (f"{told.player} {told.read}", last.player) if told is not None else (last.player, last.read)


def change_of(arrays: Mapping[str, Vectors], number: int, name: str) -> Vectors:
    """The taught change of a matrix [inputs, outputs] from a file's arrays: low-rank, or whole as bytes with a scale a
    column."""
    at = f"{number}_{name}"
    if at in arrays:
        return arrays[at] * arrays[f"{at}_scale"]
    low: Vectors = (0.5 * arrays[f"{at}_a"] @ arrays[f"{at}_b"]).astype(np.float32)
    return low


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn, read: unit token states [tokens, width], their weights, the unit mean, and the score of "nothing"."""

    tokens: Vectors
    weights: Vectors
    mean: Vectors
    nothing: float


class Likeness:
    """The taught encoder. Thread-safe for reading; statements are kept as they are met."""

    def __init__(self, base: MiniLM, path: Path) -> None:
        from safetensors.numpy import load_file

        arrays = {name: array.astype(np.float32) for name, array in load_file(path).items()}

        def change(number: int, name: str) -> Vectors:
            return change_of(arrays, number, name)

        self.encoder = base.changed(change)
        self._attend, self._nothing, self._mix = arrays["attend"], arrays["nothing"], arrays["mix"]
        self._kept: OrderedDict[Stated, tuple[Vectors, Vectors]] = OrderedDict()
        self._heard: OrderedDict[tuple[str, str, str], Asked] = OrderedDict()

    def read(self, text: str, before: tuple[str, str] = ("", ""), also: Sequence[Stated] = ()) -> Asked:
        """A turn with the exchange before it (player, reply). The last few are kept: actions and answers ask alike.
        `also`: statements to learn in the same pass."""
        known = self._heard.get((text, *before))
        fresh = self._fresh(also)
        if known is not None and not fresh:
            return known
        wanted = [before]
        if any(before) and (text, "", "") not in self._heard:
            # A turn is looked at by itself, too (`features.measure`): in the same pass, which mostly waits for weights.
            wanted.append(("", ""))
        contexts = [context_of(self.encoder, *pair) for pair in wanted]
        turns = [[*context, *self.encoder.ids(text)[1:]] for context in contexts]
        shown = [read_ids(self.encoder, statement) for statement in fresh]
        states = self.encoder.states([*turns, *(ids for ids, _ in shown)])
        self._keep(fresh, [read[own:] for read, (_, own) in zip(states[len(turns) :], shown, strict=True)])
        asked, *alone = (
            self._asked(read[len(context) :]) for context, read in zip(contexts, states[: len(turns)], strict=True)
        )
        for pair, found in zip(wanted, (asked, *alone), strict=True):
            self._heard[(text, *pair)] = found
        while len(self._heard) > _HEARD:
            self._heard.popitem(last=False)
        return asked

    def _asked(self, states: Vectors) -> Asked:
        raised = states @ self._attend
        weights = np.exp(raised - raised.max())
        mean = _unit(states.mean(axis=0))
        nothing = float(mean @ self._nothing[:-1] + self._nothing[-1] + self._mix.sum() * 0.45)
        return Asked(_unit(states), weights / weights.sum(), mean, nothing)

    def learn(self, statements: Sequence[Stated]) -> None:
        """Read statements not met before."""
        self._learned(statements)

    def _learned(self, statements: Sequence[Stated]) -> dict[Stated, tuple[Vectors, Vectors]]:
        """States of all of them, whatever is let go meanwhile: of more than are kept, or by another thread."""
        self._fresh(statements)
        wanted = {statement: kept for statement in statements if (kept := self._kept.get(statement)) is not None}
        fresh = [statement for statement in dict.fromkeys(statements) if statement not in wanted]
        shown = [read_ids(self.encoder, statement) for statement in fresh]
        states = self.encoder.states([ids for ids, _ in shown])
        return wanted | self._keep(fresh, [read[own:] for read, (_, own) in zip(states, shown, strict=True)])

    def _fresh(self, statements: Sequence[Stated]) -> list[Stated]:
        """Those not kept; of the kept ones it is noted that they are still wanted, so that they are let go last."""
        fresh = []
        for statement in dict.fromkeys(statements):
            try:
                self._kept.move_to_end(statement)
            except KeyError:
                fresh.append(statement)
        return fresh

    def _keep(self, statements: Sequence[Stated], states: Sequence[Vectors]) -> dict[Stated, tuple[Vectors, Vectors]]:
        found = {one: (_unit(read), _unit(read.mean(axis=0))) for one, read in zip(statements, states, strict=True)}
        self._kept.update(found)
        while len(self._kept) > _KEPT + len(statements):
            self._kept.popitem(last=False)
        return found

    def compare(self, asked: Asked, statements: Sequence[Stated]) -> NDArray[np.float32]:
        """[statements, 3]: cosine of the means, weighted best matches, and the trained score over that of "nothing"."""
        learned = self._learned(statements)
        found = np.zeros((len(statements), 3), dtype=np.float32)
        for row, statement in enumerate(statements):
            tokens, mean = learned[statement]
            found[row, 0] = mean @ asked.mean
            found[row, 1] = asked.weights @ (asked.tokens @ tokens.T).max(axis=1)
        found[:, 2] = found[:, :2] @ self._mix - asked.nothing
        return found


@lru_cache(maxsize=1)
def _loaded(base: MiniLM, path: Path) -> Likeness:
    return Likeness(base, path)


def load_likeness(base: object) -> Likeness | None:
    """The carried weights on top of `base`; None where the encoder is another one (they fit only theirs)."""
    path = Path(str(files("npc.dialogue") / "data" / WEIGHTS))
    return _loaded(base, path) if isinstance(base, MiniLM) and path.is_file() else None


def _unit(states: Vectors) -> Vectors:
    norm: Vectors = states / np.maximum(np.linalg.norm(states, axis=-1, keepdims=True), np.float32(1e-9))
    return norm
