"""Does the voice sound finished? Two small convolutional networks over the last 1.6 s before a pause; 7 ms a pause.

    sound ─▶ 160 frames of 10 ms ─▶ 6 convolutions, 20 steps left ─▶ last 8 steps, mean of all ─▶ log-odds, their mean
             40 log-mel bands,                                       how it ended  how it was said
             log pitch, voiced

It hears what bare words do not show: the last syllable drawn out or not, the pitch falling or hanging, the words
themselves where the recogniser mistakes them. It knows three synthetic voices and says nothing of others (`familiar`).
`voice.npz` is made by `python -m npc.training.endpointing_voice`; what it learned from is in `DATA_LICENSES.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from npc.audio.mel import mel_filters
from npc.audio.pcm import Pcm16
from npc.audio.prosody import pitch_track
from npc.conversation import network_file
from npc.conversation.endpointing import familiar
from npc.conversation.endpointing.familiar import Familiar

_MODEL = Path(__file__).with_name("voice.npz")
#: Frames looked at, and how far past the last voiced sample they reach: the two frames that close the gate.
FRAMES: Final = 160
AFTER: Final = 1024
BANDS: Final = 40
_HOP, _WINDOW, _FFT = 160, 400, 512
#: Pitch is given relative to this, a middling voice.
_PITCH_HZ = 150.0
#: What a network is trained with: of each convolution, every so many steps are kept.
STRIDES: Final = (2, 1, 2, 1, 2, 1)
#: ... and so many steps at the end are looked at one by one.
LAST_STEPS: Final = 8


def features(pcm: Pcm16, last: int) -> NDArray[np.float32]:
    """[160, 42] of 16 kHz sound around its last voiced sample `last`; what is missing in front counts as silence."""
    end = min(pcm.size, last + AFTER)
    length = FRAMES * _HOP + _WINDOW
    heard = pcm[max(0, end - length + _HOP) : end].astype(np.float64) / 32768.0
    sound = np.concatenate([np.zeros(length - heard.size), heard])
    frames = sliding_window_view(sound, _WINDOW)[::_HOP][-FRAMES:] * np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(frames, _FFT, axis=1)) ** 2
    bands = np.log(power @ mel_filters(BANDS, _FFT) + 1e-7)
    halved = 0.5 * (sound[0:-1:2] + sound[1::2])
    pitch = pitch_track(np.pad(halved, (0, _WINDOW)))[-FRAMES:]
    pitch = np.pad(pitch, (FRAMES - pitch.size, 0))
    height = np.where(pitch > 0.0, np.log(np.maximum(pitch, 1.0) / _PITCH_HZ), 0.0)
    return np.column_stack([bands, height, pitch > 0.0]).astype(np.float32)


def normalised(found: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bands relative to the loud frames (their 95th percentile), so that level and distance do not matter."""
    bands = found[:, :BANDS]
    loud = np.quantile(bands.max(axis=1), 0.95)
    scaled = np.clip((bands - loud) / 3.0 + 1.0, -3.0, 2.0)
    return np.concatenate([scaled, found[:, BANDS:]], axis=1).astype(np.float32)


class VoiceModel:
    """The network by its weights: "c0", "c1", … [out, in, 5] with biases "b0", "b1", …, "strides" of them, "hidden",
    "out" and theirs."""

    def __init__(self, weights: Mapping[str, NDArray[np.floating]]) -> None:
        self._weights = {name: np.asarray(value, dtype=np.float32) for name, value in weights.items()}
        self._strides = [int(stride) for stride in weights["strides"]]

    def forward(self, given: NDArray[np.float32]) -> float:
        """Log-odds of normalised features [160, 42]."""
        steps = given.T
        for layer, stride in enumerate(self._strides):
            steps = _convolved(steps, self._weights[f"c{layer}"], self._weights[f"b{layer}"], stride)
        last = self._weights["hidden"].shape[1] // len(steps) - 1
        seen = np.concatenate([steps[:, -last:].ravel(), steps.mean(axis=1)])
        hidden = np.maximum(self._weights["hidden"] @ seen + self._weights["hidden_bias"], 0.0)
        return float(self._weights["out"] @ hidden + self._weights["out_bias"][0])


def _convolved(
    steps: NDArray[np.float32], kernel: NDArray[np.float32], bias: NDArray[np.float32], stride: int
) -> NDArray[np.float32]:
    """[in, time] to [out, time / stride]: width 5, two zeros at both ends, rectified."""
    width = kernel.shape[2]
    windows = sliding_window_view(np.pad(steps, ((0, 0), (width // 2, width // 2))), width, axis=1)[:, ::stride]
    flat = windows.transpose(0, 2, 1).reshape(-1, windows.shape[1])
    made: NDArray[np.float32] = np.maximum(kernel.reshape(kernel.shape[0], -1) @ flat + bias[:, None], 0.0)
    return made


class VoiceModels:
    """Networks that learned apart and err apart: the mean of their log-odds."""

    def __init__(self, models: Sequence[VoiceModel], known: Familiar | None = None) -> None:
        self._models, self._known = tuple(models), known

    def logit(self, pcm: Pcm16, last: int) -> float | None:
        """Log-odds that the turn is over after sample `last`, the last voiced one; None for a voice unlike those that
        the networks know."""
        given = normalised(features(pcm, last))
        return self.forward(given) if self._known is None or self._known.knows(given) else None

    def forward(self, given: NDArray[np.float32]) -> float:
        """Log-odds of normalised features [160, 42]."""
        return sum(model.forward(given) for model in self._models) / len(self._models)


def joined(weights: Sequence[Mapping[str, NDArray[np.floating]]]) -> dict[str, NDArray[np.floating]]:
    """The arrays of several networks in one file: "0.c0", "1.c0", …"""
    return {f"{number}.{name}": value for number, one in enumerate(weights) for name, value in one.items()}


def parted(weights: Mapping[str, NDArray[np.floating]], known: Familiar | None = None) -> VoiceModels:
    """The networks of a file."""
    each: dict[int, dict[str, NDArray[np.floating]]] = {}
    for name, value in weights.items():
        number, _, own = name.partition(".")
        each.setdefault(int(number), {})[own] = value
    return VoiceModels([VoiceModel(each[number]) for number in sorted(each)], known)


@lru_cache(maxsize=1)
def shipped() -> VoiceModels:
    """The networks of this package."""
    return parted(network_file.load(_MODEL), familiar.shipped())
