"""How well a statement answers a turn, by a MiniLM that was taught it (`npc.training.likeness`).

    exchange before │ turn      ──> token states of the turn ──┐
                                                               ├─> cosine of means, weighted best matches of tokens
    statement (once, kept)      ──> token states ──────────────┘

Two numbers a statement, [-1, 1] each; which to choose from them and from the words is decided in `select`. The best few
are read together with the turn (`reader`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from npc.dialogue.composed.question import understand
from npc.dialogue.composed.reader import FIRST_JOINT, Reader
from npc.dialogue.context import Exchange
from npc.inference.encoder import MiniLM, Vectors

WEIGHTS = "likeness.safetensors"
#: Rank of the taught changes: 590 k numbers, 1.2 MB.
RANK = 16
#: Tokens of the exchange before a turn that are read with it: a question and a short answer.
_BEFORE = 48
#: Statements kept with their token states (about 70 kB each).
_KEPT = 1024
#: Turns kept as read: several sessions of one character may be at it at once.
_HEARD = 32


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
        return (last.player, last.reply)
    told = next((exchange for exchange in reversed(history[-4:-1]) if exchange.fact_ids), None)
    return (f"{told.player} {told.reply}", last.player) if told is not None else (last.player, last.reply)


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn, read: unit token states [tokens, width], their weights, the unit mean, the score of "nothing", and for
    reading it again the inner states [layers, context and tokens, width] and what was read so far."""

    tokens: Vectors
    weights: Vectors
    mean: Vectors
    nothing: float
    inner: Vectors
    known: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Told:
    """A statement, read: unit token states, their unit mean, and the inner states in half precision."""

    tokens: Vectors
    mean: Vectors
    inner: NDArray[np.float16]


class Likeness:
    """The taught encoder. Thread-safe for reading; statements are kept as they are met."""

    def __init__(self, base: MiniLM, path: Path) -> None:
        from safetensors.numpy import load_file

        arrays = {name: array.astype(np.float32) for name, array in load_file(path).items()}

        def change(number: int, name: str) -> Vectors:
            low: Vectors = (0.5 * arrays[f"{number}_{name}_a"] @ arrays[f"{number}_{name}_b"]).astype(np.float32)
            return low

        self.encoder = base.changed(change)
        self._attend, self._nothing, self._mix = arrays["attend"], arrays["nothing"], arrays["mix"]
        self._reader = Reader(self.encoder, arrays) if "read_mark" in arrays else None
        self._kept: OrderedDict[str, _Told] = OrderedDict()
        self._heard: OrderedDict[tuple[str, str, str], Asked] = OrderedDict()

    def read(self, text: str, before: tuple[str, str] = ("", ""), also: Sequence[str] = ()) -> Asked:
        """A turn with the exchange before it (player, reply). The last few are kept: actions and answers ask alike.
        `also`: statements to learn in the same pass."""
        known = self._heard.get((text, *before))
        fresh = self._fresh(also)
        if known is not None and not fresh:
            return known
        context = context_of(self.encoder, *before)
        turn = [*context, *self.encoder.ids(text)[1:]]
        inner, *learnt = self.encoder.layers([turn, *(self.encoder.ids(s) for s in fresh)], FIRST_JOINT)
        self._keep(fresh, learnt)
        tokens, weights, mean = self._heard_as(inner[-1, len(context) :])
        nothing = float(mean @ self._nothing[:-1] + self._nothing[-1] + self._mix.sum() * 0.45)
        asked = Asked(tokens, weights, mean, nothing, inner[:-1])
        self._heard[(text, *before)] = asked
        while len(self._heard) > _HEARD:
            self._heard.popitem(last=False)
        return asked

    def learn(self, texts: Sequence[str]) -> None:
        """Read statements not met before."""
        fresh = self._fresh(texts)
        self._keep(fresh, self.encoder.layers([self.encoder.ids(text) for text in fresh], FIRST_JOINT))

    def _fresh(self, texts: Sequence[str]) -> list[str]:
        return [text for text in dict.fromkeys(texts) if text not in self._kept]

    def _keep(self, texts: Sequence[str], states: Sequence[Vectors]) -> None:
        for text, read in zip(texts, states, strict=True):
            last = read[-1]
            self._kept[text] = _Told(_unit(last), _unit(last.mean(axis=0)), read[:-1].astype(np.float16))
        while len(self._kept) > _KEPT + len(texts):
            self._kept.popitem(last=False)

    def compare(self, asked: Asked, texts: Sequence[str]) -> NDArray[np.float32]:
        """[texts, 3]: cosine of the means, weighted best matches, and the trained score over that of "nothing"."""
        self.learn(texts)
        found = np.zeros((len(texts), 3), dtype=np.float32)
        for row, text in enumerate(texts):
            found[row, :2] = self._likeness((asked.tokens, asked.weights, asked.mean), self._kept[text])
        found[:, 2] = found[:, :2] @ self._mix - asked.nothing
        return found

    def _heard_as(self, states: Vectors) -> tuple[Vectors, Vectors, Vectors]:
        """A turn's token states as they are compared: unit ones, the weights of the tokens, the unit mean."""
        raised = states @ self._attend
        weights = np.exp(raised - raised.max())
        return _unit(states), weights / weights.sum(), _unit(states.mean(axis=0))

    @staticmethod
    def _likeness(heard: tuple[Vectors, Vectors, Vectors], told: _Told) -> tuple[float, float]:
        """Cosine of the means, and weighted best matches."""
        tokens, weights, mean = heard
        return float(told.mean @ mean), float(weights @ (tokens @ told.tokens.T).max(axis=1))

    def reading(self, asked: Asked, texts: Sequence[str]) -> list[float] | None:
        """How far each statement answers the turn when both are read together, in log-odds against "nothing does";
        None where the weights have no reader. About 1 ms a statement."""
        if self._reader is None:
            return None
        fresh = [text for text in dict.fromkeys(texts) if text not in asked.known]
        if fresh:
            self.learn(fresh)
            told = [self._kept[text] for text in fresh]
            inner = [one.inner.astype(np.float32) for one in told]
            read, own = self._reader.read(asked.inner, asked.inner.shape[1] - len(asked.tokens), inner)
            for text, one, states, said in zip(fresh, told, read, own, strict=True):
                mean, best = self._likeness(self._heard_as(states), one)
                asked.known[text] = float(mean * self._mix[0] + best * self._mix[1] - asked.nothing + said)
        return [asked.known[text] for text in texts]


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
