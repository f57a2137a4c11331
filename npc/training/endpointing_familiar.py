"""Learn which voices the networks of the end-of-turn detector know (`npc.conversation.endpointing.familiar`).

    python -m npc.training.endpointing_familiar --cache DIR

The cache is that of `endpointing_voice`: the same windows that the networks learned from, so that what they have not
heard is far from these. A minute of one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.conversation import network_file
from npc.conversation.endpointing import familiar, voice
from npc.training.endpointing_voice import stored

#: Directions in which the learned voices hardly differ count as differing this much (of a unit variance).
_LEAST: Final = 1e-2
#: Share of the learned windows that lie within the limit.
_WITHIN: Final = 0.995


def fit(windows: Iterable[NDArray[np.floating]]) -> dict[str, NDArray[np.floating]]:
    """Centre, whitening and limit of features [160, 42], as `familiar.Familiar` wants them."""
    seen = np.array([familiar.manner(voice.normalised(window.astype(np.float32))) for window in windows])
    centre, spread = seen.mean(axis=0), seen.std(axis=0) + 1e-6
    variances, axes = np.linalg.eigh(np.cov(((seen - centre) / spread).T))
    scale = axes / np.sqrt(np.maximum(variances, _LEAST)) / spread[:, None]
    distances = np.mean(np.square((seen - centre) @ scale), axis=1)
    return {"centre": centre, "scale": scale, "limit": np.array([np.quantile(distances, _WITHIN)])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder of windows that endpointing_voice has made")
    parser.add_argument("--out", type=Path, default=Path(familiar.__file__).with_name("familiar.npz"))
    options = parser.parse_args()
    paths = sorted(options.cache.glob("*.npz"))
    if not paths:
        parser.error(f"{options.cache} holds no windows: make them with python -m npc.training.endpointing_voice")
    weights = fit(window.features for path in paths for window in stored(path))
    network_file.save(options.out, weights)
    print(f"limit {weights['limit'][0]:.2f}, wrote {options.out} ({options.out.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
