"""Streaming polyphase resampler whose output does not depend on how the input was cut.

Output sample n lies at input time n·M/L (L/M the reduced rate ratio) and is a windowed-sinc sum over the input around
it, without delay: a resampled file stays aligned with the original, and only `half` input samples are held back.

    input    ─●──●──●──●──●──●──●─      h(t) = sinc(t·c)·kaiser(t)   c = cutoff: 0.46 of the lower of the two rates
    output   ─○────○────○────○────

Exactness: coefficients are multiples of 2⁻²⁰ and samples are integers, so every product and sum is exact in float64
(16 + 21 + log2(taps) bits < 53) and any order of summation gives the same bits. Streaming equals batch to the last bit.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from npc.audio.pcm import Pcm16

#: Zero crossings of the sinc on each side, and the Kaiser shape: 80 dB of stopband in a transition band of 8 % of the
#: lower rate (Kaiser's formula: A = 2.285·Δω·N + 8; beta = 0.1102·(A − 8.7)).
_CROSSINGS = 32
_BETA = 7.86
_CUTOFF = 0.46
_SCALE = float(1 << 20)
#: Output samples made at once: their windows (2 MB) stay in the cache. Of a minute at 48 kHz they would be 1.6 GB.
_BLOCK = 1_200


@lru_cache(maxsize=32)
def _phases(up: int, down: int) -> tuple[NDArray[np.float64], int]:
    """Coefficients h [L, taps] and `half`, their reach in input samples:
    y[n] = Σ_k h[n·M mod L, k] · x[n·M//L − half + 1 + k].
    """
    stretch = max(1.0, down / up)
    half = int(np.ceil(_CROSSINGS * stretch / (2 * _CUTOFF))) + 1
    phase = np.arange(up)[:, None] / up
    # Distance, in input samples, from the output instant to each input sample it sums over.
    t = np.arange(2 * half)[None, :] - (half - 1) - phase
    inside = np.clip(1.0 - (t / half) ** 2, 0.0, None)
    window = np.i0(_BETA * np.sqrt(inside)) / np.i0(_BETA) * (np.abs(t) < half)
    cut = 2 * _CUTOFF / stretch
    taps = cut * np.sinc(cut * t) * window
    taps /= taps.sum(axis=1, keepdims=True)
    return np.rint(taps * _SCALE) / _SCALE, half


class Resampler:
    """Resample PCM16 from one rate to another, piece by piece.

    `push` returns the output that is ready, `flush` the rest; after that the resampler starts anew. In all,
    N input samples give ceil(N·to/from) output samples.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        if from_rate <= 0 or to_rate <= 0:
            raise ValueError(f"rates must be positive, got {from_rate} and {to_rate}")
        divisor = gcd(from_rate, to_rate)
        self._up, self._down = to_rate // divisor, from_rate // divisor
        self._taps, self._half = _phases(self._up, self._down)
        self._reset()

    def _reset(self) -> None:
        # `_held[0]` is input sample `_first`; zeros stand for what lies before the beginning.
        self._held: NDArray[np.float64] = np.zeros(self._half - 1)
        self._first = -(self._half - 1)
        self._seen = 0
        self._made = 0

    def push(self, pcm: Pcm16) -> Pcm16:
        """Take input, give the output that no later input can change."""
        if self._up == self._down:
            return pcm.copy()
        self._seen += pcm.size
        self._held = np.concatenate([self._held, pcm])
        # Output n needs inputs up to n·M//L + half, so its position must not pass seen − 1 − half.
        last_position = self._seen - 1 - self._half
        ready = ((last_position + 1) * self._up - 1) // self._down + 1 if last_position >= 0 else 0
        return self._make(ready)

    def flush(self) -> Pcm16:
        """End the stream as if silence followed: what was held back. The resampler is as new afterwards."""
        if self._up == self._down:
            return np.zeros(0, dtype=np.int16)
        total = -(-self._seen * self._up // self._down)
        self._held = np.concatenate([self._held, np.zeros(self._half + 1)])
        tail = self._make(total)
        self._reset()
        return tail

    def _make(self, until: int) -> Pcm16:
        if until <= self._made:
            return np.zeros(0, dtype=np.int16)
        windows = sliding_window_view(self._held, 2 * self._half)
        out = [self._block(windows, n, min(n + _BLOCK, until)) for n in range(self._made, until, _BLOCK)]
        self._made = until
        keep = until * self._down // self._up - (self._half - 1) - self._first
        self._held = self._held[keep:]
        self._first += keep
        return np.clip(np.rint(np.concatenate(out)), -32768, 32767).astype(np.int16)

    def _block(self, windows: NDArray[np.float64], first: int, until: int) -> NDArray[np.float64]:
        """Output samples `[first, until)` before rounding, from `windows` [position in `_held`, taps]."""
        n = np.arange(first, until)
        base = n * self._down // self._up - (self._half - 1) - self._first
        phase = n * self._down % self._up
        # One matrix product per phase for the common small ratios; gathered rows where phases are many.
        if self._up > 16:
            gathered: NDArray[np.float64] = np.einsum("nk,nk->n", windows[base], self._taps[phase])
            return gathered
        out = np.empty(n.size)
        for p in range(self._up):
            rows = phase == p
            out[rows] = windows[base[rows]] @ self._taps[p]
        return out


def resample(pcm: Pcm16, from_rate: int, to_rate: int) -> Pcm16:
    """Resample a whole recording."""
    resampler = Resampler(from_rate, to_rate)
    return np.concatenate([resampler.push(pcm), resampler.flush()])
