"""The echo path as an adaptive filter: partitioned-block frequency-domain Kalman filter.

    ref ─▶ FFT blocks X₀ … X_{B−1} ─▶ Σ X_b·W_b ─▶ ŷ          residual e = mic − ŷ
                    ▲                                          │
                    └── W_b += K_b·E,  K_b = P_b·X_bᴴ / D ◀────┘     D = Σ P_b·|X_b|² + 2·Ψ

Ψ is the power of what the filter cannot explain, so the step shrinks by itself while the player talks over the echo,
and the filter needs no double-talk detector. After Enzner and Vary 2006 (doi:10.1016/j.sigpro.2005.09.013) and,
partitioned, Kuech, Mabande and Enzner 2014 (doi:10.1109/ICASSP.2014.6853806).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Samples a block; the same 32 ms as the voice-activity detector's frame.
BLOCK = 512
#: Blocks of the filter: 128 ms, within which a living room (60 dB in 0.2-0.4 s) gives back most of its energy.
BLOCKS = 4
#: How far the room is believed to stay as it was from block to block (Kuech et al. use 0.9999 for a still room).
_STAY = 0.995
_FORGET = 0.92


class EchoFilter:
    """One echo path. Feed blocks of `BLOCK` reference and microphone samples (float64, in [-1, 1]) in step."""

    def __init__(self) -> None:
        bins = BLOCK + 1
        self._x = np.zeros((BLOCKS, bins), dtype=np.complex128)
        self._w = np.zeros((BLOCKS, bins), dtype=np.complex128)
        # The echo is at most about as loud as what was sent; later blocks of the room are weaker.
        self._p = np.repeat((0.05 * 0.3 ** np.arange(BLOCKS))[:, None], bins, axis=1)
        self._psi = np.full(bins, 1e-4)
        self._last = np.zeros(BLOCK)

    def push(self, reference: NDArray[np.float64]) -> None:
        """Take a block of reference without learning from it: `BLOCKS` of them put the filter at another time."""
        self._x = np.roll(self._x, 1, axis=0)
        self._x[0] = np.fft.rfft(np.concatenate([self._last, reference]))
        self._last = reference

    def step(self, reference: NDArray[np.float64], microphone: NDArray[np.float64]) -> NDArray[np.float64]:
        """Residual of one block: the microphone without the echo, as far as the filter knows it."""
        self.push(reference)
        estimate = np.fft.irfft((self._x * self._w).sum(axis=0))[BLOCK:]
        residual: NDArray[np.float64] = microphone - estimate
        error = np.fft.rfft(np.concatenate([np.zeros(BLOCK), residual]))
        power = np.abs(self._x) ** 2
        self._psi = _FORGET * self._psi + (1 - _FORGET) * np.abs(error) ** 2
        denominator = (self._p * power).sum(axis=0) + 2 * self._psi + 1e-10
        gain = self._p * np.conj(self._x) / denominator
        change = np.fft.irfft(gain * error, axis=1)
        change[:, BLOCK:] = 0.0
        self._w += np.fft.rfft(change, axis=1)
        reached = np.clip(1.0 - 0.5 * self._p * power / denominator, 0.0, 1.0)
        self._p = _STAY**2 * reached * self._p + (1 - _STAY**2) * np.abs(self._w) ** 2
        return residual
