"""Voice activity: a speech probability for every 32 ms of the player's sound.

Two detectors behind one interface: Silero's network (`SileroVad`, accurate, 0.16 ms a frame through onnxruntime) and
energy over a tracked noise floor (`EnergyVad`, needs nothing), which takes over when the network cannot be loaded.

    vad = load_vad()                       # once per process
    stream = vad.open()                    # once per session
    for frame in stream.push(pcm):         # any number of samples at 16 kHz
        voiced = gate.step(frame.probability)
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import LISTEN_RATE
from npc.audio.pcm import Pcm16, level_db, to_float

log = logging.getLogger(__name__)

#: Samples a frame; the network was trained on exactly this.
FRAME = 512
#: Samples of the preceding frame that the network sees before its frame.
_CONTEXT = 64
_MODEL = Path(__file__).with_name("models") / "silero_vad_16k_op15.onnx"


@dataclass(frozen=True, slots=True)
class VadFrame:
    """Samples `[start, start + FRAME)` since the stream was opened hold speech with this probability."""

    start: int
    probability: float
    level_db: float

    @property
    def end(self) -> int:
        return self.start + FRAME


class VadStream(Protocol):
    """One microphone. Not thread-safe; under half a millisecond a frame."""

    def push(self, pcm: Pcm16) -> list[VadFrame]:
        """Take 16 kHz audio of any length; the frames it completed."""

    def reset(self) -> None:
        """Forget what was heard; counting of samples starts at 0 again."""


@runtime_checkable
class VoiceActivityDetector(Protocol):
    """A loaded detector; `open` is cheap and thread-safe."""

    name: str

    def open(self) -> VadStream: ...


class _Framer:
    """Cuts pushed audio into frames of `FRAME` samples and hands each to `_score`."""

    def __init__(self) -> None:
        self._pending = np.zeros(0, dtype=np.int16)
        self._at = 0

    def push(self, pcm: Pcm16) -> list[VadFrame]:
        audio = np.concatenate([self._pending, pcm])
        frames = []
        whole = audio.size - audio.size % FRAME
        for begin in range(0, whole, FRAME):
            frame = audio[begin : begin + FRAME]
            frames.append(VadFrame(self._at, self._score(frame), level_db(frame)))
            self._at += FRAME
        self._pending = audio[whole:]
        return frames

    def reset(self) -> None:
        self._pending = np.zeros(0, dtype=np.int16)
        self._at = 0

    def _score(self, frame: Pcm16) -> float:
        raise NotImplementedError


class _SileroStream(_Framer):
    def __init__(self, session: Any) -> None:
        super().__init__()
        self._session = session
        self._rate = np.array(LISTEN_RATE, dtype=np.int64)
        self._forget()

    def _forget(self) -> None:
        self._state = np.zeros((2, 1, 128), dtype=np.float32)
        self._input = np.zeros((1, _CONTEXT + FRAME), dtype=np.float32)

    def reset(self) -> None:
        super().reset()
        self._forget()

    def _score(self, frame: Pcm16) -> float:
        self._input[0, :_CONTEXT] = self._input[0, -_CONTEXT:]
        self._input[0, _CONTEXT:] = to_float(frame)
        output, self._state = self._session.run(None, {"input": self._input, "state": self._state, "sr": self._rate})
        return float(output[0, 0])


class SileroVad:
    """Silero VAD v6, 16 kHz (MIT; `models/silero_vad_16k_op15.LICENSE`). One session serves every stream."""

    name = "silero"

    def __init__(self, model: Path = _MODEL) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # A frame is 0.16 ms on one thread; a second thread would cost more in waking than it saves.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def open(self) -> VadStream:
        return _SileroStream(self._session)


class _EnergyStream(_Framer):
    """Level over a noise floor: the 10th percentile of the last three seconds of frame levels."""

    def __init__(self) -> None:
        super().__init__()
        self._levels: deque[float] = deque(maxlen=3 * LISTEN_RATE // FRAME)

    def reset(self) -> None:
        super().reset()
        self._levels.clear()

    def _score(self, frame: Pcm16) -> float:
        level = level_db(frame)
        self._levels.append(level)
        # Before half a second was heard the floor is unknown; a quiet room is assumed.
        floor = float(np.percentile(self._levels, 10)) if len(self._levels) >= 16 else -60.0
        # A talker close by is 15 dB and more above a living room; below -50 dB FS nobody speaks to a microphone.
        excess = min(level - max(floor, -70.0) - 9.0, level + 50.0)
        # Hiss and rain cross zero far more often than voiced speech, so they need more excess.
        crossings = float(np.mean(np.diff(np.signbit(frame)))) if frame.size else 0.0
        excess -= 20.0 * max(0.0, crossings - 0.25)
        return float(1.0 / (1.0 + np.exp(-np.clip(excess / 2.0, -30, 30))))


class EnergyVad:
    """Speech as sound well above the room: a fallback that mistakes any noise for speech."""

    name = "energy"

    def open(self) -> VadStream:
        return _EnergyStream()


def load_vad(name: Literal["auto", "silero", "energy"] = "auto") -> VoiceActivityDetector:
    """The named detector; "auto" is Silero, or energy with a warning when the network cannot be loaded."""
    if name == "energy":
        return EnergyVad()
    if name not in ("auto", "silero"):
        raise ValueError(f"unknown voice activity detector {name!r}: choose auto, silero or energy")
    try:
        return SileroVad()
    except Exception as error:
        if name == "silero":
            raise
        log.warning("voice activity network unavailable, using energy instead", extra={"error": str(error)})
        return EnergyVad()


class VoiceGate:
    """Probability to voiced or not, with hysteresis: on at `on`, off below `off` (0.15 lower, as Silero recommends).

    It adds no hang-over: how much silence means something is the turn core's business.
    """

    def __init__(self, on: float = 0.5, off: float = 0.35) -> None:
        if not 0.0 < off <= on < 1.0:
            raise ValueError(f"voice gate needs 0 < off <= on < 1, got on {on} and off {off}")
        self._on, self._off = on, off
        self.voiced = False

    def step(self, probability: float) -> bool:
        self.voiced = probability >= (self._off if self.voiced else self._on)
        return self.voiced


def speech_frames(vad: VoiceActivityDetector, pcm: Pcm16) -> NDArray[np.float64]:
    """Speech probability of every whole frame of a 16 kHz recording: for benches and training."""
    return np.array([frame.probability for frame in vad.open().push(pcm)])
