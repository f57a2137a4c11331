"""Who is heard over the character: nobody, a noise, somebody who listens ("mhm"), or somebody who wants the floor?

    microphone ─▶ 4 x 32 log-mel ┐
    without our voice ─▶ the same ┤                       ┌ nobody: silence, or our own voice coming back
    our voice, where it sounds ──┼─▶ dense ─▶ GRU ─▶ softmax ┤ noise: a cough, a knock
    echo judge, voice activity ──┘   once a frame of 32 ms └ listener, talker

A causal network that is stepped while the character speaks and forgets when it falls silent; 0.2 ms a frame. It hears
words begin, so that it can tell "right" from "right, but …" sooner than words are recognised, and it remembers through
the gap behind a first word. `talkover.npz` is made by `python -m npc.training.talkover`; it learned from Flite's
voices alone, so a voice that keeps talking cuts in whatever the network says (`overlap.KEEPS_TALKING`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from npc.audio.mel import mel_filters
from npc.audio.pcm import Pcm16
from npc.audio.vad import FRAME
from npc.conversation import network_file

_MODEL = Path(__file__).with_name("talkover.npz")
BANDS: Final = 32
_WINDOW, _HOP, _FFT = 400, 128, 512
_STEPS = FRAME // _HOP
_FLOOR = 1e-7
#: Inputs of a frame: the cleaned sound in four steps; the microphone and our own voice once each; the numbers.
NUMBERS: Final = 6
INPUTS: Final = BANDS * (_STEPS + 2) + NUMBERS
#: Frames after our last sound during which its echo may still come: half a second and a room.
REMAINS: Final = 24


class Who(IntEnum):
    """What a frame holds besides our own voice."""

    NOBODY = 0
    NOISE = 1
    LISTENER = 2
    TALKER = 3


@dataclass(frozen=True, slots=True)
class Frame:
    """512 samples at 16 kHz as the ear has them. `ours` is our own voice where it sounds at the microphone (or, while
    the echo's delay is unknown, where it was sent), in [-1, 1]; `own_voice` the echo judge's probability, `settled`
    whether it knows the delay, `speech` the voice-activity detector's probability."""

    microphone: Pcm16
    cleaned: Pcm16
    ours: NDArray[np.float64]
    own_voice: float
    settled: bool
    speech: float


@dataclass(frozen=True, slots=True)
class Presence:
    """Probabilities of one frame; they add up to 1."""

    nobody: float
    noise: float
    listener: float
    talker: float

    @property
    def player(self) -> float:
        """That a player's voice is heard."""
        return self.listener + self.talker


class Features:
    """Frames to inputs of the network. Holds the 17 ms of sound that the next frame's first window reaches back."""

    def __init__(self) -> None:
        self._before = np.zeros((3, _WINDOW - _HOP))

    def step(self, frame: Frame) -> NDArray[np.float32]:
        """[INPUTS] of the next frame."""
        sounds = np.stack([frame.cleaned / 32768.0, frame.microphone / 32768.0, frame.ours])
        joined = np.concatenate([self._before, sounds], axis=1)
        self._before = joined[:, FRAME:]
        windows = sliding_window_view(joined, _WINDOW, axis=1)[:, ::_HOP] * np.hanning(_WINDOW)
        power = np.abs(np.fft.rfft(windows, _FFT, axis=2)) ** 2 @ mel_filters(BANDS, _FFT)
        cleaned = _scaled(power[0]).ravel()
        means = _scaled(power[1:].mean(axis=1)).ravel()
        levels = np.log(np.mean(sounds**2, axis=1) + _FLOOR) / 8.0 + 1.0
        numbers = [frame.own_voice, float(frame.settled), frame.speech, *levels]
        return np.concatenate([cleaned, means, numbers]).astype(np.float32)


def _scaled(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of band powers, about -2 (silence) to 2 (a loud voice close by)."""
    scaled: NDArray[np.float64] = np.log(power + _FLOOR) / 4.0 + 1.5
    return scaled


class Network:
    """Weights: "dense" [h, INPUTS], "dense_bias"; of the GRU "input" [3 g, h], "state" [3 g, g] and their biases, gates
    in the order reset, update, new; "out" [4, g], "out_bias". The GRU is PyTorch's (Cho et al. 2014)."""

    def __init__(self, weights: Mapping[str, NDArray[np.floating]]) -> None:
        self._weights = {name: np.asarray(value, dtype=np.float32) for name, value in weights.items()}

    def begin(self) -> NDArray[np.float32]:
        """The state before the first frame."""
        return np.zeros(self._weights["state"].shape[1], np.float32)

    def step(
        self, given: NDArray[np.float32], state: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(four log-odds, the next state) of one frame's inputs."""
        w = self._weights
        size = state.size
        dense = np.maximum(w["dense"] @ given + w["dense_bias"], 0.0)
        new = w["input"] @ dense + w["input_bias"]
        old = w["state"] @ state + w["state_bias"]
        reset, update = np.split(1.0 / (1.0 + np.exp(-(new[: 2 * size] + old[: 2 * size]))), 2)
        candidate = np.tanh(new[2 * size :] + reset * old[2 * size :])
        state = ((1.0 - update) * candidate + update * state).astype(np.float32)
        return (w["out"] @ state + w["out_bias"]).astype(np.float32), state


@lru_cache(maxsize=1)
def shipped() -> Network:
    """The network of this package."""
    return Network(network_file.load(_MODEL))


class Talkover:
    """One session's ear for players over the character. `step` belongs to one thread."""

    def __init__(self, network: Network | None = None) -> None:
        self._network = network or shipped()
        self._forget()

    def _forget(self) -> None:
        self._features = Features()
        self._state = self._network.begin()
        self._left = 0

    def step(self, frame: Frame, sounding: bool) -> Presence | None:
        """Judge the next frame; `sounding`: our voice was sent out lately. None while we are silent."""
        if sounding:
            self._left = REMAINS
        elif self._left == 0:
            return None
        else:
            self._left -= 1
            if self._left == 0:
                self._forget()
                return None
        logits, self._state = self._network.step(self._features.step(frame), self._state)
        odds = np.exp(logits - logits.max())
        nobody, noise, listener, talker = (odds / odds.sum()).tolist()
        return Presence(nobody, noise, listener, talker)
