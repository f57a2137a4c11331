"""Does a voice sound like those that the networks of `voice.py` learned from? Where not, they say nothing. 0.1 ms.

    features ─▶ the louder half of the frames ─▶ mean, spread and change of 40 bands ─▶ Mahalanobis distance ≤ limit?

The networks have heard three synthetic voices. On recordings of people they tell ends from pauses no better than a coin
(area under the curve 0.44 to 0.54), and they are wrong there with full confidence; so a voice that lies further from
the learned ones than 199 in 200 of their own windows is judged by words and silence alone. `familiar.npz` is made by
`python -m npc.training.endpointing_familiar`; the method is that of Lee et al. 2018 (arXiv:1807.03888), on what is
heard instead of what the network makes of it, since that does not separate (docs/log.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.conversation import network_file

_MODEL = Path(__file__).with_name("familiar.npz")
#: Mel bands at the front of a frame of normalised features (`voice.BANDS`).
BANDS: Final = 40


def manner(given: NDArray[np.float32]) -> NDArray[np.float64]:
    """[120] of normalised features [frames, 40 + …]: of the frames that are louder than the median one, the mean of
    every band, its standard deviation, and its mean change from one of them to the next."""
    bands = given[:, :BANDS].astype(np.float64)
    loudest = bands.max(axis=1)
    loud = bands[loudest > np.median(loudest)]
    if len(loud) < 2:
        loud = bands
    return np.concatenate([loud.mean(axis=0), loud.std(axis=0), np.abs(np.diff(loud, axis=0)).mean(axis=0)])


class Familiar:
    """By "centre" [120], "scale" [120, n] (whitens what is left of the centre) and "limit" [1]."""

    def __init__(self, weights: Mapping[str, NDArray[np.floating]]) -> None:
        self._centre = weights["centre"].astype(np.float64)
        self._scale = weights["scale"].astype(np.float64)
        self.limit = float(weights["limit"][0])

    def distance(self, given: NDArray[np.float32]) -> float:
        """Mean squared deviation of normalised features from the learned voices: about 1 for one of those."""
        return float(np.mean(np.square((manner(given) - self._centre) @ self._scale)))

    def knows(self, given: NDArray[np.float32]) -> bool:
        return self.distance(given) <= self.limit


@lru_cache(maxsize=1)
def shipped() -> Familiar:
    """The one of this package."""
    return Familiar(network_file.load(_MODEL))
