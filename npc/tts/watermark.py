"""An inaudible mark that says "generated": a faint echo spread over 64 ms in a keyed pattern of signs.

    y[n] = x[n] + a · Σ_k s[k] · x[n - D - k]        s[k] = ±1 from the key, k < 1023; the whole echo ECHO_DB below x

It is a fixed filter, so it streams with no delay, keeps every length and time, follows the loudness and spectrum of the
speech (which masks it), and is found in any cut of the file without alignment: the filter's logarithm adds to the
cepstrum, where the pattern is looked for by correlation. After Ko, Nishimura & Suzuki, "Time-spread echo method for
digital audio watermarking" (2005).

It tells honest people and their tools; it does not withstand somebody who sets out to remove it. Detection needs some
seconds of speech; the rates measured are in docs/voices.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from npc.audio.resample import resample
from npc.tts.interface import Pcm16, SpeechChunk, SpeechRequest, Synthesizer

#: Everyone who runs this software marks with the same key, so that anyone can look.
KEY: Final = "npc generated speech 1"
CHIPS: Final = 1023
#: Later than the vocal tract's own cepstrum (about 2 ms).
_DELAY: Final = 40
#: Loudness of the whole echo under the speech; see docs/voices.md for what -26, -24 and -22 give.
ECHO_DB: Final = -26.0
_RATE: Final = 16_000
_FRAME: Final = 4_096
_TOGETHER: Final = 256
_DECOYS: Final = 2_000
#: Standard deviations over the decoys from which a file counts as marked; one unmarked file in a million by chance.
THRESHOLD: Final = 5.0


def _signs(key: str, count: int) -> NDArray[np.float64]:
    """`count` signs from SHA-256 in counter mode: the same everywhere and for ever."""
    blocks = b"".join(hashlib.sha256(f"{key}/{i}".encode()).digest() for i in range(count // 256 + 1))
    bits = np.unpackbits(np.frombuffer(blocks, dtype=np.uint8))[:count]
    return bits.astype(np.float64) * 2.0 - 1.0


class Marker:
    """The filter, piece by piece: `mark` keeps what the next piece's echo needs. One a clause."""

    def __init__(self, rate: int, key: str = KEY) -> None:
        # The pattern is defined at 16 kHz; at another rate every chip keeps its time.
        signs = _signs(key, CHIPS)
        at = np.round((_DELAY + np.arange(CHIPS)) * rate / _RATE).astype(int)
        kernel = np.zeros(at[-1] + 1)
        np.add.at(kernel, at, signs * 10.0 ** (ECHO_DB / 20.0) / np.sqrt(CHIPS))
        self._kernel = kernel
        self._past = np.zeros(kernel.size - 1)

    def mark(self, pcm: Pcm16) -> Pcm16:
        """The next samples, marked: as many out as in."""
        if not pcm.size:
            return pcm
        heard = np.concatenate([self._past, pcm])
        self._past = heard[-(self._kernel.size - 1) :]
        echo = np.convolve(heard, self._kernel, mode="valid")
        return np.clip(np.rint(pcm + echo), -32768, 32767).astype(np.int16)


class Watermarked:
    """A `Synthesizer` whose audio carries the mark; times, lengths and everything else are the inner voice's."""

    def __init__(self, inner: Synthesizer, key: str = KEY) -> None:
        self._inner, self._key = inner, key
        self.name = inner.name
        self.sample_rate = inner.sample_rate
        self.languages: Sequence[str] = inner.languages

    def synthesize(self, request: SpeechRequest) -> Iterator[SpeechChunk]:
        """As the inner voice, marked."""
        marker = Marker(self.sample_rate, self._key)
        for chunk in self._inner.synthesize(request):
            yield SpeechChunk(marker.mark(chunk.pcm), chunk.phones, chunk.words)

    def close(self) -> None:
        self._inner.close()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the mark is there: `score` in standard deviations over chance; `seconds` of sound that were looked at."""

    marked: bool
    score: float
    seconds: float


def detect(pcm: Pcm16, rate: int, key: str = KEY) -> Verdict:
    """Look for the mark in a recording of any length and rate. Less than a second is never called marked."""
    sound = (resample(pcm, rate, _RATE) if rate != _RATE else pcm).astype(np.float64)
    seconds = sound.size / _RATE
    if seconds < 1.0:
        return Verdict(False, 0.0, seconds)
    cepstrum = _cepstrum(sound)
    if cepstrum is None:
        return Verdict(False, 0.0, seconds)
    score = _score(cepstrum, key)
    return Verdict(score >= THRESHOLD, round(score, 2), seconds)


def _cepstrum(sound: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Mean real cepstrum over the frames that are not silent, [_DELAY + CHIPS] coefficients; None if all are."""
    hop = _FRAME // 4
    padded = np.concatenate([sound, np.zeros(_FRAME)])
    frames = sliding_window_view(padded, _FRAME)[: max(1, sound.size - _FRAME // 2) : hop]
    window = np.hanning(_FRAME)
    # A few frames at a time: those of an hour, all at once, would take gigabytes.
    pieces = [frames[at : at + _TOGETHER] for at in range(0, len(frames), _TOGETHER)]
    power = np.concatenate([np.mean((piece * window) ** 2, axis=1) for piece in pieces])
    sounding = np.split(power > max(1e-4 * power.max(), 1.0), range(_TOGETHER, len(power), _TOGETHER))
    total, count = np.zeros(_DELAY + CHIPS), 0
    for piece, kept in zip(pieces, sounding, strict=True):
        magnitude = np.abs(np.fft.rfft(piece[kept] * window, axis=1))
        floor = 1e-4 * magnitude.max(axis=1, keepdims=True)
        total += np.fft.irfft(np.log(np.maximum(magnitude, floor)), axis=1)[:, : _DELAY + CHIPS].sum(axis=0)
        count += len(magnitude)
    return total / count if count else None


def _score(cepstrum: NDArray[np.float64], key: str) -> float:
    """Correlation with the key's signs, in standard deviations of that with decoy signs.

    The pitch leaves tall ridges in the cepstrum of speech; a sign pattern sees them as noise, so they are clipped at
    three times the middle deviation before correlating, and levelled by the local spread.
    """
    part = cepstrum[_DELAY : _DELAY + CHIPS]
    part = part - np.convolve(part, np.ones(9) / 9.0, mode="same")
    spread = np.convolve(np.abs(part), np.ones(129) / 129.0, mode="same") + 1e-12
    part = np.clip(part / spread, -3.0, 3.0)
    return float((_signs(key, CHIPS) @ part) / (_decoys() @ part).std())


@cache
def _decoys() -> NDArray[np.float64]:
    """Sign patterns nobody uses, [_DECOYS, CHIPS]: what chance looks like."""
    return np.random.default_rng(1).integers(0, 2, (_DECOYS, CHIPS)).astype(np.float64) * 2.0 - 1.0
