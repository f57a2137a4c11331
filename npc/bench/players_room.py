"""Echoes, coughs and mixing for synthetic players: numpy and a seed, nothing recorded.

The echo of a loudspeaker in a microphone is modelled as delay, gain, the small speaker's band (180-7000 Hz) and a room
impulse response of exponentially decaying noise with a direct path (Schroeder's model of a diffuse field).
"""

from __future__ import annotations

import numpy as np

from npc.audio.clock import LISTEN_RATE
from npc.audio.pcm import Pcm16
from npc.training.rooms import Samples, convolve, impulse_response, shaped_noise, to_pcm


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
