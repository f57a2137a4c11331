"""How much a sentence does what an item asks, by a sentence encoder that was taught it (`npc.training.rubric_reader`).

    sentence ────────────────────▶ token states ─┬─ cosine of the means to examples and description
    examples, description (kept) ─▶ token states ─┤  weighted best matches of the item's tokens
                                                  └─ gate: does it do anything, or quote, deny, suppose?

The encoder is MiniLM with low-rank changes in its upper layers: one more pass a sentence (about 1 ms) and 0.6 MB. One
number comes out, a logit; what becomes of it is decided in `saying`. It knows no scenario: an item is its words.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from npc.inference.encoder import MiniLM, Vectors

#: Kinds it was taught, in the order of its weights. Facts are stated, not done: words and likeness do for them.
KINDS = ("must_say", "must_ask", "must_not_say")
#: Layers from this one on are changed; the rank of the changes and their scale.
FIRST, RANK, SCALE = 3, 16, 0.5
#: Sharpness of the soft maximum over examples.
SHARP = 10.0
#: Tokens of a text that are read.
MAX_TOKENS = 48
#: Texts kept with their token states (about 25 kB each).
_KEPT = 2048
WEIGHTS = Path(__file__).with_name("reader.safetensors")


class Reader:
    """The taught encoder. Thread-safe as MiniLM is; texts are kept as they are met."""

    def __init__(self, base: MiniLM, path: Path = WEIGHTS) -> None:
        from safetensors.numpy import load_file

        arrays = {name: array.astype(np.float32) for name, array in load_file(path).items()}

        def change(number: int, name: str) -> Vectors:
            if f"{number}_{name}_a" not in arrays:
                return np.zeros((1, 1), np.float32)
            low: Vectors = (SCALE * arrays[f"{number}_{name}_a"] @ arrays[f"{number}_{name}_b"]).astype(np.float32)
            return low

        self._encoder = base.changed(change)
        self._mix, self._bias, self._attend = arrays["mix"], arrays["bias"], arrays["attend"]
        self._gate, self._gate_bias = arrays["gate.weight"], arrays["gate.bias"]
        self._kept: OrderedDict[str, Vectors] = OrderedDict()

    def learn(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """Token states [tokens, width] of texts; those not met before are read all at once."""
        found = {text: self._kept.get(text) for text in dict.fromkeys(texts)}
        fresh = [text for text, states in found.items() if states is None]
        ids = [self._encoder.ids(text)[:MAX_TOKENS] for text in fresh]
        read = dict(zip(fresh, self._encoder.states(ids), strict=True)) if fresh else {}
        self._kept.update(read)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return {text: states if states is not None else read[text] for text, states in found.items()}

    def logit(self, kind: str, examples: Sequence[str], descriptions: Sequence[str], text: str) -> float:
        """Of the sentence doing the item, in log-odds; `descriptions` begins with the whole one."""
        read = self.learn([text, *examples, *descriptions])
        place = KINDS.index(kind)
        mean, tokens = read[text].mean(axis=0), _unit(read[text])
        own = _unit(mean)
        near = np.array([_unit(read[one].mean(axis=0)) @ own for one in examples])
        by_example = float(np.log(np.exp(SHARP * near).sum()) / SHARP)
        by_description = max(float(_unit(read[one].mean(axis=0)) @ own) for one in descriptions)
        by_token = max(self._matches(read[one], tokens) for one in (*examples, descriptions[0]))
        gate = float(self._gate[place] @ mean + self._gate_bias[place])
        mix = self._mix[place]
        return float(mix @ np.array([by_example, by_description, by_token]) + self._bias[place] + gate)

    def _matches(self, states: Vectors, tokens: Vectors) -> float:
        """Best matches of a text's tokens (its opening and closing marks left out) among `tokens`, weighted."""
        states = states[1:-1]
        if not len(states):
            return 0.0
        raised = states @ self._attend
        weights = np.exp(raised - raised.max())
        best: NDArray[np.float32] = (_unit(states) @ tokens.T).max(axis=1)
        return float(weights @ best / weights.sum())


def _unit(states: Vectors) -> Vectors:
    norm: Vectors = states / np.maximum(np.linalg.norm(states, axis=-1, keepdims=True), np.float32(1e-9))
    return norm


@lru_cache(maxsize=1)
def _loaded(base: MiniLM) -> Reader:
    return Reader(base)


def load_reader(base: object) -> Reader | None:
    """The carried weights on top of `base`; None where the encoder is another one (they fit only theirs)."""
    return _loaded(base) if isinstance(base, MiniLM) and WEIGHTS.is_file() else None
