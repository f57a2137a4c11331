"""Rooms and their noise, made from a seed: what recorded sound is laid into for training and for the benchmarks."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import LISTEN_RATE
from npc.audio.pcm import Pcm16

Samples = NDArray[np.float64]
_SPEAKER_HZ: Final = (180.0, 7_000.0)


def convolve(signal: Samples, kernel: Samples) -> Samples:
    """Linear convolution by FFT, length len(signal) + len(kernel) - 1."""
    length = signal.size + kernel.size - 1
    size = 1 << max(1, (length - 1).bit_length())
    made = np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(kernel, size), size)
    return np.asarray(made[:length])


def shaped_noise(rng: np.random.Generator, samples: int, low_hz: float, high_hz: float, slope: float = 0.0) -> Samples:
    """Gaussian noise of unit RMS between two frequencies, its power falling by `slope` decades a decade (1: pink)."""
    if samples == 0:
        return np.zeros(0)
    size = max(samples, 64)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    hertz = np.fft.rfftfreq(size, 1.0 / LISTEN_RATE)
    spectrum *= (hertz >= low_hz) & (hertz <= high_hz)
    spectrum[1:] *= (hertz[1:] / 1_000.0) ** (-slope / 2.0)
    noise = np.fft.irfft(spectrum, size)[:samples]
    return np.asarray(noise / (np.sqrt(np.mean(noise**2)) + 1e-12))


def room_noise(seed: int, samples: int, rms: float) -> Pcm16:
    """A quiet room: pink noise from 50 Hz up at `rms` (in units of int16 samples)."""
    return to_pcm(shaped_noise(np.random.default_rng(seed), samples, 50.0, 7_500.0, slope=1.0) * rms)


def impulse_response(seed: int, decay_s: float = 0.2) -> Samples:
    """Loudspeaker and room, unit energy: direct path, then noise that falls by 60 dB in `decay_s`."""
    rng = np.random.default_rng(seed)
    length = max(1, int(decay_s * LISTEN_RATE))
    tail = rng.standard_normal(length) * 10.0 ** (-3.0 * np.arange(length) / length)
    tail[: LISTEN_RATE // 500] = 0.0
    # A microphone beside the speaker hears the direct sound and the room about equally loud.
    tail *= 1.0 / (np.sqrt(np.sum(tail**2)) + 1e-12)
    response = np.concatenate([[1.0], tail])
    size = 1 << (response.size - 1).bit_length()
    spectrum = np.fft.rfft(response, size)
    hertz = np.fft.rfftfreq(size, 1.0 / LISTEN_RATE)
    low, high = _SPEAKER_HZ
    band = 1.0 / (1.0 + (low / np.maximum(hertz, 1e-3)) ** 4) / (1.0 + (hertz / high) ** 8)
    made = np.fft.irfft(spectrum * np.sqrt(band), size)[: response.size]
    return np.asarray(made / np.sqrt(np.sum(made**2)))


def to_pcm(samples: NDArray[Any]) -> Pcm16:
    """Float samples on the int16 scale, rounded and clipped."""
    clipped: Pcm16 = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    return clipped
