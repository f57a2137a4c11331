"""A Smart-Turn-type network (a local ONNX file that hears the last 8 s and says how finished they sound) as detector.

    last 8 s, silence in front ─▶ unit variance ─▶ log-mel [1, 80, 800] ─▶ network ─▶ P(complete) ─▶ curve ─▶ silence
                                            └─ or raw [1, samples], as the file's input asks

Smart Turn v3 (pipecat-ai, BSD-2, 8 MB) takes Whisper's log-mel features and gives a probability; its published cost is
12 to 60 ms on a CPU, so this detector belongs on a worker. It reads no text.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from npc.audio.clock import LISTEN_RATE
from npc.conversation.endpointing.embedded import Curve
from npc.conversation.endpointing.interface import Judgement, Pause

_FFT, _HOP, _MELS = 400, 160, 80
#: Smart Turn calls a turn complete above 0.5; between the sure cases the wait slides.
_CURVE = Curve(((0.2, 1200.0), (0.5, 600.0), (0.8, 250.0), (0.95, 200.0)))


@lru_cache(maxsize=1)
def _filters() -> NDArray[np.float64]:
    """[80, 201] triangular mel filters on Slaney's scale, of equal area, 0 to 8 kHz (as Whisper was trained)."""

    def to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp(np.log(6.4) / 27.0 * (mel - 15.0)))

    top = 15.0 + 27.0 / np.log(6.4) * np.log(LISTEN_RATE / 2 / 1000.0)
    edges = to_hertz(np.linspace(0.0, top, _MELS + 2))
    bins = np.linspace(0.0, LISTEN_RATE / 2, _FFT // 2 + 1)
    rise = (bins[None, :] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins[None, :]) / (edges[2:] - edges[1:-1])[:, None]
    weights: NDArray[np.float64] = np.maximum(0.0, np.minimum(rise, fall)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return weights


def log_mel(audio: NDArray[np.floating]) -> NDArray[np.float32]:
    """Whisper's features [80, samples / 160] of 16 kHz audio after normalising it to zero mean and unit variance."""
    sound = np.asarray(audio, dtype=np.float64)
    sound = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    padded = np.pad(sound, _FFT // 2, mode="reflect")
    window = np.hanning(_FFT + 1)[:-1]
    frames = sliding_window_view(padded, _FFT)[::_HOP][:-1] * window
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    mel = np.log10(np.maximum(_filters() @ power.T, 1e-10))
    scaled: NDArray[np.float32] = ((np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0).astype(np.float32)
    return scaled


class SmartTurnDetector:
    """`model` is the ONNX file. `output` says what its number is; "auto" takes values outside [0, 1] for log-odds."""

    name = "smart_turn"

    def __init__(
        self,
        model: Path | str,
        seconds: float = 8.0,
        output: Literal["auto", "probability", "logit"] = "auto",
        curve: Curve = _CURVE,
    ) -> None:
        if not Path(model).is_file():
            raise FileNotFoundError(f"no end-of-turn model at {model}: give the path of a Smart-Turn-type ONNX file")
        if output not in ("auto", "probability", "logit"):
            raise ValueError(f"output must be auto, probability or logit, got {output!r}")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        wanted = self._session.get_inputs()
        if len(wanted) != 1 or len(wanted[0].shape) not in (2, 3):
            shapes = ", ".join(f"{item.name} {item.shape}" for item in wanted)
            raise ValueError(f"{model}: expected one input [1, 80, frames] or [1, samples], found {shapes}")
        self._input, self._features = wanted[0].name, len(wanted[0].shape) == 3
        length = wanted[0].shape[-1]
        if isinstance(length, int):
            seconds = length * (_HOP if self._features else 1) / LISTEN_RATE
        self.audio_seconds, self._output, self._curve = seconds, output, curve

    def judge(self, pause: Pause) -> Judgement:
        """Raises ValueError when the pause comes without sound."""
        if pause.audio is None:
            raise ValueError(f"{self.name} judges sound: Pause.audio must hold up to {self.audio_seconds:g} s of it")
        size = round(self.audio_seconds * LISTEN_RATE)
        sound = pause.audio[-size:]
        sound = np.concatenate([np.zeros(size - sound.size, np.float32), sound])
        given = log_mel(sound)[None] if self._features else sound[None].astype(np.float32)
        value = float(np.ravel(self._session.run(None, {self._input: given})[0])[0])
        logit = self._output == "logit" or (self._output == "auto" and not 0.0 <= value <= 1.0)
        complete = float(1.0 / (1.0 + np.exp(-np.clip(value, -30.0, 30.0)))) if logit else min(1.0, max(0.0, value))
        return Judgement(complete, round(self._curve.milliseconds(complete) * LISTEN_RATE / 1000))
