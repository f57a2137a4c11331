"""Rooms, noise, coughs and mixing for synthetic players: numpy and a seed, nothing recorded.

The echo of a loudspeaker in a microphone is modelled as delay, gain, the small speaker's band (180-7000 Hz) and a room
impulse response of exponentially decaying noise with a direct path (Schroeder's model of a diffuse field).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import LISTEN_RATE

Pcm16 = NDArray[np.int16]
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


def echo(pcm: Pcm16, *, delay_ms: float, gain_db: float, seed: int, decay_s: float = 0.2) -> Pcm16:
    """What a microphone hears of `pcm` played in a room: later, softer (`gain_db` < 0), with a tail."""
    response = impulse_response(seed, decay_s) * 10.0 ** (gain_db / 20.0)
    heard = convolve(pcm.astype(np.float64), response)
    return to_pcm(np.concatenate([np.zeros(round(delay_ms * LISTEN_RATE / 1000.0)), heard]))


def mix(*layers: tuple[int, Pcm16]) -> Pcm16:
    """Sum of layers, each from its own sample on; clipped, never wrapped."""
    total = np.zeros(max((at + pcm.size for at, pcm in layers), default=0))
    for at, pcm in layers:
        total[at : at + pcm.size] += pcm
    return to_pcm(total)


def to_pcm(samples: NDArray[Any]) -> Pcm16:
    """Float samples on the int16 scale, rounded and clipped."""
    clipped: Pcm16 = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    return clipped


def cough(seed: int, peak: float = 9_000.0) -> Pcm16:
    """One to three coughs: burst, rush of air, and often a short voiced end; 0.25-1.2 s.

    Phases and their lengths after Korpáš et al. 1996 (explosive 30-50 ms, intermediate 120-250 ms, voiced 60-120 ms).
    """
    rng = np.random.default_rng([seed, 7])
    parts: list[Samples] = []
    for _ in range(int(rng.integers(1, 4))):
        burst, rush, voiced = (
            int(rng.uniform(*span) * LISTEN_RATE) for span in ((0.03, 0.05), (0.12, 0.25), (0.06, 0.12))
        )
        explosive = shaped_noise(rng, burst, 200.0, 5_000.0, 0.6) * np.exp(-np.arange(burst) / (0.4 * burst)) * 1.0
        air = shaped_noise(rng, rush, 400.0, 6_000.0, 0.4) * np.exp(-np.arange(rush) / (0.5 * rush)) * 0.35
        parts += [explosive, air]
        if rng.random() < 0.6:
            hertz = rng.uniform(150.0, 320.0)
            phase = np.cumsum(hertz * (1.0 - 0.2 * np.arange(voiced) / max(1, voiced))) / LISTEN_RATE
            buzz = convolve(np.sign(np.sin(2 * np.pi * phase)), _formant(600.0))[:voiced]
            rough = 1.0 + 0.5 * shaped_noise(rng, voiced, 50.0, 2_000.0)
            parts.append(0.25 * buzz / (np.abs(buzz).max() + 1e-9) * rough * np.hanning(voiced))
        parts.append(np.zeros(int(rng.uniform(0.05, 0.2) * LISTEN_RATE)))
    made = np.concatenate(parts[:-1])
    return to_pcm(made / np.abs(made).max() * peak * rng.uniform(0.4, 1.0))


def _formant(hertz: float) -> Samples:
    """Impulse response of one resonance, 10 ms."""
    at = np.arange(LISTEN_RATE // 100) / LISTEN_RATE
    return np.asarray(np.exp(-at * 600.0) * np.sin(2 * np.pi * hertz * at))
