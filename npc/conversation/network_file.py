"""The files in which small networks are shipped: arrays by name, at half precision, compressed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.floating]]


def save(path: Path, weights: Mapping[str, NDArray[np.floating]]) -> None:
    """Write a network's arrays."""
    halves = {name: np.asarray(value, dtype=np.float16) for name, value in weights.items()}
    np.savez_compressed(path, **halves)  # type: ignore[arg-type]


def load(path: Path) -> Arrays:
    """Read them again."""
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}
