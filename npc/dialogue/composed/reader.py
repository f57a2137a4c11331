"""Reading a turn again with one statement in sight, to tell what answers it from what is only about the same.

    turn after 3 layers ── 3 layers whose keys are its context, itself and ONE statement ── compared again ── a number

Two texts that are compared after each was read alone look alike when they are about the same thing, whether or not
what is asked about it is told. Here the turn's own words look for it in the statement. Statements are kept as the
taught encoder read them, so a reading costs the turn's own tokens in three layers (trained in
`npc.training.likeness`; the states that come out are compared as those of the encoder are, in `likeness`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from npc.inference.encoder import MiniLM, Vectors

#: From this layer of MiniLM on the turn sees the statement.
FIRST_JOINT = 3
#: Rank of the reader's own changes to those layers.
READER_RANK = 24
#: Units between what was read and the answer.
HIDDEN = 64


class Reader:
    """The trained reader. States are those of `MiniLM.layers(ids, FIRST_JOINT)` of the taught encoder."""

    def __init__(self, taught: MiniLM, arrays: Mapping[str, Vectors]) -> None:
        def change(number: int, name: str) -> Vectors:
            if number < FIRST_JOINT:
                return np.zeros(1, dtype=np.float32)
            key = f"read_{number}_{name}"
            low: Vectors = (0.5 * arrays[f"{key}_a"] @ arrays[f"{key}_b"]).astype(np.float32)
            return low

        self._encoder = taught.changed(change)
        self._mark, self._gate = arrays["read_mark"], arrays["read_gate"]
        self._inner, self._outer = arrays["read_inner"], arrays["read_outer"]

    def read(self, turn: Vectors, own: int, statements: Sequence[Vectors]) -> tuple[Vectors, NDArray[np.float32]]:
        """States of the turn's own tokens, which begin at `own`, with each statement in sight [statements, tokens,
        width], and what they say of themselves, a number a statement."""
        states = self._encoder.joint(FIRST_JOINT, turn, own, [told + self._mark for told in statements], self._gate)
        pooled = np.concatenate([states.mean(axis=1), states[:, -1]], axis=1)
        found: NDArray[np.float32] = np.tanh(pooled @ self._inner[:-1] + self._inner[-1]) @ self._outer
        return states, found
