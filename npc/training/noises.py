"""Sounds that people and rooms make without wanting to say anything, from a seed: coughs, clearing a throat, sneezes,
laughs, breaths, knocks, clicks, dishes, hums. For training what may not stop a character; nothing recorded.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from npc.audio.clock import LISTEN_RATE
from npc.training.rooms import Samples, convolve, shaped_noise

_Maker = Callable[[np.random.Generator], Samples]


def noise(rng: np.random.Generator) -> Samples:
    """One sound of 0.02 to 1.6 s, its loudest sample 1."""
    makers = tuple(_MAKERS)
    weights = np.array([_MAKERS[maker] for maker in makers])
    made = makers[int(rng.choice(len(makers), p=weights / weights.sum()))](rng)
    return np.asarray(made / (np.abs(made).max() + 1e-9))


def _samples(rng: np.random.Generator, low: float, high: float) -> int:
    """A random length between two times in seconds."""
    return int(rng.uniform(low, high) * LISTEN_RATE)


def _air(rng: np.random.Generator, size: int, fall: float, slope: float = 0.4) -> Samples:
    """Air rushing out: noise that dies away, `fall` of its length to a third."""
    low, high = rng.uniform(150.0, 600.0), rng.uniform(3_500.0, 7_000.0)
    return shaped_noise(rng, size, low, high, slope) * np.exp(-np.arange(size) / (fall * size + 1))


def _throat(rng: np.random.Generator, size: int, hertz: float) -> Samples:
    """A rough voice without words: a pulse train through two resonances."""
    pitch = hertz * (1.0 - rng.uniform(-0.1, 0.35) * np.arange(size) / max(1, size))
    pitch *= 1.0 + 0.08 * shaped_noise(rng, size, 5.0, 200.0)
    buzz = np.diff(np.floor(np.cumsum(pitch) / LISTEN_RATE), prepend=0.0)
    for formant in (rng.uniform(350.0, 900.0), rng.uniform(1_000.0, 2_200.0)):
        at = np.arange(LISTEN_RATE // 80) / LISTEN_RATE
        buzz = convolve(buzz, np.exp(-at * rng.uniform(300.0, 900.0)) * np.sin(2 * np.pi * formant * at))[:size]
    buzz = buzz / (np.abs(buzz).max() + 1e-9)
    return np.asarray(buzz * (1.0 + rng.uniform(0.2, 0.8) * shaped_noise(rng, size, 40.0, 2_500.0)) * np.hanning(size))


def _gap(rng: np.random.Generator, low: float = 0.03, high: float = 0.25) -> Samples:
    return np.zeros(_samples(rng, low, high))


def _cough(rng: np.random.Generator) -> Samples:
    """Explosive 20-60 ms, intermediate 90-280 ms, often a voiced end of 40-140 ms (after Korpáš et al. 1996)."""
    parts: list[Samples] = []
    for _ in range(int(rng.integers(1, 4))):
        burst = _air(rng, _samples(rng, 0.02, 0.06), 0.4, 0.6)
        parts += [burst, rng.uniform(0.15, 0.7) * _air(rng, _samples(rng, 0.09, 0.28), 0.5)]
        if rng.random() < 0.6:
            parts.append(rng.uniform(0.3, 1.2) * _throat(rng, _samples(rng, 0.04, 0.14), rng.uniform(90.0, 350.0)))
        parts.append(_gap(rng))
    return np.concatenate(parts)


def _clearing(rng: np.random.Generator) -> Samples:
    parts: list[Samples] = []
    for _ in range(int(rng.integers(1, 3))):
        size = _samples(rng, 0.15, 0.45)
        rough = _throat(rng, size, rng.uniform(70.0, 200.0))
        parts += [rough + rng.uniform(0.1, 0.6) * shaped_noise(rng, size, 200.0, 4_000.0, 0.8) * np.hanning(size)]
        parts += [_gap(rng)]
    return np.concatenate(parts)


def _sneeze(rng: np.random.Generator) -> Samples:
    draw = 0.2 * _throat(rng, _samples(rng, 0.1, 0.4), rng.uniform(150.0, 350.0))
    return np.concatenate([draw, _gap(rng, 0.02, 0.1), _air(rng, _samples(rng, 0.15, 0.4), 0.35, 0.0)])


def _laugh(rng: np.random.Generator) -> Samples:
    hertz, beat = rng.uniform(130.0, 420.0), rng.uniform(0.12, 0.24)
    parts: list[Samples] = []
    for number in range(int(rng.integers(2, 7))):
        breath = rng.uniform(0.1, 0.5) * _air(rng, _samples(rng, 0.4 * beat, 0.6 * beat), 0.6)
        parts += [breath, 0.9**number * _throat(rng, _samples(rng, 0.4 * beat, 0.6 * beat), hertz * 0.96**number)]
    return np.concatenate(parts)


def _breath(rng: np.random.Generator) -> Samples:
    size = _samples(rng, 0.2, 1.2)
    return shaped_noise(rng, size, rng.uniform(200.0, 800.0), rng.uniform(2_500.0, 7_000.0), 0.5) * np.hanning(size)


def _knocks(rng: np.random.Generator) -> Samples:
    parts: list[Samples] = []
    hertz, dull = rng.uniform(80.0, 900.0), rng.uniform(30.0, 160.0)
    for _ in range(int(rng.integers(1, 5))):
        at = np.arange(_samples(rng, 0.05, 0.2)) / LISTEN_RATE
        tone = np.sin(2 * np.pi * hertz * at) + 0.5 * shaped_noise(rng, at.size, 50.0, 5_000.0, 0.8)
        parts += [tone * np.exp(-at * dull), _gap(rng, 0.02, 0.3)]
    return np.concatenate(parts)


def _clicks(rng: np.random.Generator) -> Samples:
    made = np.zeros(_samples(rng, 0.05, 1.2))
    for at in rng.integers(0, made.size, int(rng.integers(1, 9))):
        click = _air(rng, _samples(rng, 0.004, 0.03), 0.3, 0.0) * rng.uniform(0.3, 1.0)
        room = min(click.size, made.size - int(at))
        made[at : at + room] += click[:room]
    return made


def _dishes(rng: np.random.Generator) -> Samples:
    at = np.arange(_samples(rng, 0.15, 0.8)) / LISTEN_RATE
    made = np.zeros(at.size)
    for _ in range(int(rng.integers(2, 6))):
        begin = rng.uniform(0.0, 0.5 * float(at[-1]))
        ring = np.sin(2 * np.pi * rng.uniform(900.0, 6_500.0) * at) * np.exp(-np.maximum(0.0, at - begin) * 25.0)
        made += ring * (at >= begin)
    return made


def _hum(rng: np.random.Generator) -> Samples:
    """A note hummed or whistled, or a machine."""
    size = _samples(rng, 0.3, 1.6)
    hertz = rng.uniform(90.0, 1_200.0) * (1.0 + 0.02 * np.sin(2 * np.pi * 5.0 * np.arange(size) / LISTEN_RATE))
    phase = 2 * np.pi * np.cumsum(hertz) / LISTEN_RATE
    return (np.sin(phase) + rng.uniform(0.0, 0.5) * np.sin(2 * phase)) * np.hanning(size)


#: How often each is drawn.
_MAKERS: dict[_Maker, float] = {
    _cough: 6.0, _clearing: 2.0, _sneeze: 1.0, _laugh: 1.5, _breath: 1.5, _knocks: 1.5, _clicks: 1.5, _dishes: 1.0,
    _hum: 0.7,
}  # fmt: skip
