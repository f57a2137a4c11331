"""PCM to visemes, streaming: for voices without phone times.

    16 kHz PCM ─▶ 26 log-mel energies each 10 ms ─▶ minus a running mean ─▶ 13 frames ─▶ small network ─▶ 15 visemes
                                                                                                             │
    an ordinary `FaceStream` ◀─ phones with times (one typical IPA phone per viseme) ◀─ hysteresis ◀─────────┘

What it knows trails the sound by `DELAY_S`: 60 ms of context after each frame, 20 ms of smoothing, half a window.
The network is trained by `npc.training.visemes` on synthetic speech with known phones; its accuracy stands in the
file beside the weights and in `docs/animation.md`, next to the phone route and a loudness-only baseline. Numbers
here are a fallback's: prefer phone times.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import Span, rescale
from npc.audio.pcm import Pcm16
from npc.audio.resample import Resampler
from npc.phonetics.phones import Phone

Floats = NDArray[np.float32]

RATE: Final = 16_000
HOP: Final = 160
WINDOW: Final = 400
MELS: Final = 26
#: Frames of context before and after the frame that is judged.
CONTEXT: Final = 6
#: Probabilities are averaged over this many frames (centred), and a new viseme must lead for this many.
_SMOOTH: Final = 3
_HOLD: Final = 2
DELAY_S: Final = (CONTEXT + _SMOOTH // 2) * HOP / RATE + WINDOW / RATE / 2
#: Time constant of the running spectral mean, in frames (3 s), and the weight of its prior.
_MEAN_FRAMES: Final = 300.0
_PRIOR_FRAMES: Final = 60.0

#: One typical phone per viseme, in the order of `OCULUS15`.
PHONE_OF: Final = ("", "m", "f", "θ", "d", "k", "ʃ", "s", "n", "ɹ", "ɑ", "ɛ", "i", "ɔ", "u")
_VOWELS: Final = range(10, 15)
#: A vowel heard for this long passes for a stressed one (stressed vowels of read English last about 110-130 ms).
STRESSED_S: Final = 0.10


@lru_cache(maxsize=1)
def _filters() -> Floats:
    """Triangular mel filters [bins, MELS] from 80 to 7600 Hz (HTK mel scale)."""
    low, high = (2595.0 * float(np.log10(1.0 + f / 700.0)) for f in (80.0, 7600.0))
    edges = np.linspace(low, high, MELS + 2)
    hertz = 700.0 * (10.0 ** (edges / 2595.0) - 1.0)
    bins = np.fft.rfftfreq(512, 1.0 / RATE)
    rise = (bins[:, None] - hertz[:-2]) / (hertz[1:-1] - hertz[:-2])
    fall = (hertz[2:] - bins[:, None]) / (hertz[2:] - hertz[1:-1])
    return np.asarray(np.maximum(0.0, np.minimum(rise, fall)), dtype=np.float32)


def log_mel(pcm: Pcm16) -> Floats:
    """Log-mel energies [frames, MELS] of whole windows: frame k covers samples k * HOP .. k * HOP + WINDOW."""
    count = max(0, (len(pcm) - WINDOW) // HOP + 1)
    if count == 0:
        return np.zeros((0, MELS), np.float32)
    wave = pcm.astype(np.float32) / 32768.0
    frames = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::HOP][:count] * np.hanning(WINDOW).astype(
        np.float32
    )
    power = np.abs(np.fft.rfft(frames, 512)).astype(np.float32) ** 2
    return np.asarray(np.log(power @ _filters() + 1e-6), dtype=np.float32)


class RunningMean:
    """Subtracts the slowly changing mean spectrum of what was heard, so that microphones and voices look alike."""

    def __init__(self, prior: Floats) -> None:
        self._mean, self._weight = prior.astype(np.float64), _PRIOR_FRAMES

    def run(self, frames: Floats) -> Floats:
        """`frames` [n, MELS] minus the mean up to each of them; only frames above the mean level (speech) move it."""
        out = np.empty_like(frames)
        for k, frame in enumerate(frames.astype(np.float64)):
            if frame.mean() > self._mean.mean() - 2.0:
                self._weight = min(_MEAN_FRAMES, self._weight + 1.0)
                self._mean += (frame - self._mean) / self._weight
            out[k] = frame - self._mean
        return out


@dataclass(frozen=True, slots=True)
class Network:
    """Two layers: [context * MELS] -> hidden (ReLU) -> 15. `prior` is the mean spectrum of the training speech."""

    prior: Floats
    scale: Floats
    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats

    def scores(self, windows: Floats) -> Floats:
        """Log-probabilities [n, 15] of feature windows [n, (2 * CONTEXT + 1) * MELS]."""
        hidden = np.maximum(windows * self.scale @ self.w1 + self.b1, 0.0)
        logits = hidden @ self.w2 + self.b2
        logits -= logits.max(axis=1, keepdims=True)
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), dtype=np.float32)


@lru_cache(maxsize=1)
def network() -> Network:
    """The shipped weights."""
    with (
        resources.as_file(resources.files("npc.animation").joinpath("weights/visemes.npz")) as path,
        np.load(path) as file,
    ):
        return Network(*(file[name].astype(np.float32) for name in ("prior", "scale", "w1", "b1", "w2", "b2")))


def windows_of(features: Floats) -> Floats:
    """Context windows [n - 2 * CONTEXT, ...] of normalised features [n, MELS]."""
    if len(features) < 2 * CONTEXT + 1:
        return np.zeros((0, (2 * CONTEXT + 1) * MELS), np.float32)
    view = np.lib.stride_tricks.sliding_window_view(features, 2 * CONTEXT + 1, axis=0)
    return np.ascontiguousarray(view.transpose(0, 2, 1)).reshape(len(view), -1)


class AudioVisemes:
    """Hears one speaker. Push PCM of any length; phones come out with spans in input samples,
    without gap or overlap.
    """

    def __init__(self, rate: int = RATE, weights: Network | None = None) -> None:
        self._rate = rate
        self._net = weights or network()
        self._resampler = Resampler(rate, RATE) if rate != RATE else None
        # Half a window of silence first: mel frame k is then centred on sample k * HOP.
        self._pcm: Pcm16 = np.zeros(WINDOW // 2, np.int16)
        self._mean = RunningMean(self._net.prior)
        self._features: Floats = np.full((CONTEXT, MELS), -8.0, np.float32)
        self._recent: list[Floats] = []
        self._frame = 0
        self._viseme = 0
        self._candidate, self._lead = 0, 0
        self._since = 0
        self._heard = 0
        self._finished = False

    def push(self, pcm: Pcm16) -> tuple[Phone, ...]:
        """Phones that ended, as far as this audio tells. Raises ValueError after `finish`."""
        if self._finished:
            raise ValueError("the stream is finished: make another for the next utterance")
        self._heard += len(pcm)
        return self._take(self._resampler.push(pcm) if self._resampler else pcm)

    def finish(self) -> tuple[Phone, ...]:
        """The rest, up to the last sample that was pushed."""
        last = self._resampler.flush() if self._resampler else np.zeros(0, np.int16)
        self._finished = True
        silence = np.zeros((CONTEXT + _SMOOTH) * HOP + WINDOW, np.int16)
        phones = self._take(np.concatenate([last, silence]))
        if self._since < self._heard:
            phones = (*phones, self._phone(self._viseme, Span(self._since, self._heard)))
            self._since = self._heard
        return phones

    def _take(self, pcm: Pcm16) -> tuple[Phone, ...]:
        self._pcm = np.concatenate([self._pcm, pcm])
        mel = log_mel(self._pcm)
        self._pcm = self._pcm[len(mel) * HOP :]
        self._features = np.concatenate([self._features, self._mean.run(mel)])
        windows = windows_of(self._features)
        if len(windows) == 0:
            return ()
        self._features = self._features[len(windows) :]
        phones = [self._decide(score) for score in self._net.scores(windows)]
        return tuple(p for p in phones if p is not None)

    def _decide(self, score: Floats) -> Phone | None:
        """Take in one frame's scores; the phone that ended, if one did."""
        self._recent = [*self._recent[-(_SMOOTH - 1) :], score]
        frame = self._frame - _SMOOTH // 2
        self._frame += 1
        best = int(np.argmax(np.sum(self._recent, axis=0)))
        if best == self._viseme:
            self._lead = 0
            return None
        self._lead = self._lead + 1 if best == self._candidate else 1
        self._candidate = best
        if self._lead < _HOLD:
            return None
        # The change is dated back to the first frame of the new viseme.
        at = rescale(max(0, (frame - _HOLD + 1) * HOP - HOP // 2), RATE, self._rate)
        ended, since = self._viseme, self._since
        at = min(at, self._heard)
        self._viseme, self._since, self._lead = best, max(at, since), 0
        return self._phone(ended, Span(since, at)) if at > since else None

    def _phone(self, viseme: int, span: Span) -> Phone:
        # Sound alone says nothing of stress; a drawn-out vowel is the best guess, and gives nods and gestures a beat.
        drawn = span.end - span.start >= STRESSED_S * self._rate
        return Phone(PHONE_OF[viseme], span, int(viseme in _VOWELS and drawn))
