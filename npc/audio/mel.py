"""Triangular mel filters over a power spectrum of 16 kHz sound."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import LISTEN_RATE


@lru_cache(maxsize=8)
def mel_filters(bands: int, fft: int, low_hz: float = 60.0, high_hz: float = 7_600.0) -> NDArray[np.float64]:
    """[fft / 2 + 1, bands] filters of height 1, evenly spaced on the mel scale 2595 log10(1 + f / 700)."""
    low, high = (2595.0 * np.log10(1.0 + hertz / 700.0) for hertz in (low_hz, high_hz))
    edges = 700.0 * (10.0 ** (np.linspace(low, high, bands + 2) / 2595.0) - 1.0)
    bins = (np.arange(fft // 2 + 1) * LISTEN_RATE / fft)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights: NDArray[np.float64] = np.maximum(0.0, np.minimum(rise, fall))
    return weights
