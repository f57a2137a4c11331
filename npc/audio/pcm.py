"""PCM16 as this product carries it: little-endian, mono, int16 arrays; float32 in [-1, 1) where a model wants it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pcm16 = NDArray[np.int16]
Float = NDArray[np.float32]

#: Level given to digital silence, so that levels stay finite.
FLOOR_DB = -96.0


def from_bytes(data: bytes | bytearray | memoryview) -> Pcm16:
    """Little-endian PCM16 bytes as an array (a copy). Raises ValueError when half a sample is left over."""
    size = len(data) if not isinstance(data, memoryview) else data.nbytes
    if size % 2:
        raise ValueError(f"PCM16 audio must have an even number of bytes, got {size}: send whole samples")
    return np.frombuffer(data, dtype="<i2").astype(np.int16)


def to_bytes(pcm: Pcm16) -> bytes:
    """Little-endian bytes of `pcm`."""
    return pcm.astype("<i2", copy=False).tobytes()


def to_float(pcm: Pcm16) -> Float:
    """int16 to float32 in [-1, 1)."""
    return pcm.astype(np.float32) * np.float32(1.0 / 32768.0)


def to_int16(samples: NDArray[np.floating]) -> Pcm16:
    """Float samples to int16, rounded to nearest and clipped, never wrapped; NaN becomes silence."""
    full = np.clip(np.nan_to_num(np.asarray(samples, dtype=np.float64)), -1.0, 1.0)
    return np.clip(np.rint(full * 32768.0), -32768, 32767).astype(np.int16)


def to_mono(samples: NDArray[np.floating]) -> NDArray[np.float64]:
    """[frames, channels] or [frames] to [frames]: the mean of the channels, so that no mix can clip."""
    array = np.asarray(samples, dtype=np.float64)
    if array.ndim == 1:
        return array
    if array.ndim != 2:
        raise ValueError(f"audio must be [frames] or [frames, channels], got shape {array.shape}")
    mixed: NDArray[np.float64] = array.mean(axis=1)
    return mixed


def level_db(pcm: Pcm16) -> float:
    """RMS level in dB relative to full scale (a full-scale square wave is 0 dB), at least `FLOOR_DB`."""
    if pcm.size == 0:
        return FLOOR_DB
    samples = pcm.astype(np.float64)
    power = float(samples @ samples) / (pcm.size * 32768.0**2)
    return max(FLOOR_DB, 10.0 * np.log10(power)) if power > 0 else FLOOR_DB


def gain(pcm: Pcm16, db: float) -> Pcm16:
    """`pcm` louder or softer by `db`, clipped."""
    return to_int16(to_float(pcm) * 10.0 ** (db / 20.0))


def silence(samples: int) -> Pcm16:
    """`samples` samples of digital silence."""
    return np.zeros(samples, dtype=np.int16)
