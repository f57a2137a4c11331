"""How the voice sounded just before a pause: pitch, its movement, level and pace.

Pitch is YIN (de Cheveigné and Kawahara 2002, doi:10.1121/1.1458024): the first dip of the cumulative-mean-normalised
difference below a threshold, computed for all frames at once by FFT. One call over a second costs about a millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from npc.audio.clock import LISTEN_RATE
from npc.audio.pcm import FLOOR_DB, Pcm16, to_float

#: Sound looked at before the pause.
WINDOW_MS = 1000
#: Speaking voices lie between these pitches.
LOWEST_HZ, HIGHEST_HZ = 70.0, 400.0
_RATE = 8_000
_HOP = 80
_FRAME = 400
_DIP = 0.2


@dataclass(frozen=True, slots=True)
class PauseProsody:
    """Measured on the last second up to the last voiced sample.

    `pitch_hz` median of the voiced frames (0 when none was voiced); `final_pitch` semitones of the last 150 ms of
    voicing relative to that median; `pitch_slope` semitones a second over the last 300 ms of voicing; `level_db` mean
    level of the voiced part; `final_level` dB of the last 150 ms of sound relative to it; `voiced` fraction of frames
    with pitch; `final_voiced_ms` length of the last voiced stretch (long: the final syllable was drawn out);
    `syllable_rate` energy peaks a second (an estimate of syllables a second).
    """

    pitch_hz: float = 0.0
    final_pitch: float = 0.0
    pitch_slope: float = 0.0
    level_db: float = FLOOR_DB
    final_level: float = 0.0
    voiced: float = 0.0
    final_voiced_ms: float = 0.0
    syllable_rate: float = 0.0


def pitch_track(audio: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pitch in Hz every 10 ms of 8 kHz audio, 0 where unvoiced. Frames are 50 ms."""
    longest = int(_RATE / LOWEST_HZ) + 1
    shortest = int(_RATE / HIGHEST_HZ)
    if audio.size < _FRAME + longest:
        return np.zeros(0)
    span = _FRAME + longest
    blocks = sliding_window_view(np.asarray(audio, dtype=np.float64), span)[::_HOP]
    size = 1 << int(np.ceil(np.log2(span + _FRAME)))
    head = np.fft.rfft(blocks[:, :_FRAME], size)
    whole = np.fft.rfft(blocks, size)
    correlation = np.fft.irfft(np.conj(head) * whole, size)[:, : longest + 1]
    energy = np.cumsum(np.pad(blocks**2, ((0, 0), (1, 0))), axis=1)
    lags = np.arange(longest + 1)
    power = energy[:, lags + _FRAME] - energy[:, lags]
    difference = np.maximum(power[:, :1] + power - 2 * correlation, 0.0)
    running = np.cumsum(difference[:, 1:], axis=1)
    normalised = np.ones_like(difference)
    normalised[:, 1:] = difference[:, 1:] * lags[1:] / np.maximum(running, 1e-12)
    loud = power[:, 0] / _FRAME > 10 ** (-55 / 10)
    pitch = np.zeros(len(blocks))
    searched = normalised[:, shortest:longest]
    below = searched < _DIP
    for frame in np.flatnonzero(loud & below.any(axis=1)):
        lag = int(np.argmax(below[frame])) + shortest
        row = normalised[frame]
        while lag + 1 < longest and row[lag + 1] < row[lag]:
            lag += 1
        left, here, right = row[lag - 1], row[lag], row[min(lag + 1, longest)]
        bend = left - 2 * here + right
        pitch[frame] = _RATE / (lag + (0.5 * (left - right) / bend if bend > 1e-12 else 0.0))
    return pitch


def newest_pitch(pcm: Pcm16) -> float:
    """Pitch in Hz of the last 65 ms of 16 kHz audio, 0 where unvoiced or shorter. Costs about 0.1 ms."""
    span = 2 * (_FRAME + int(_RATE / LOWEST_HZ) + 2)
    if pcm.size < span:
        return 0.0
    audio = to_float(pcm[-span:]).astype(np.float64)
    track = pitch_track(0.5 * (audio[::2] + audio[1::2]))
    return round(float(track[-1]), 1) if track.size else 0.0


def measure(pcm: Pcm16, end: int | None = None) -> PauseProsody:
    """Prosody of 16 kHz audio before sample `end` (default: the end of `pcm`), the last voiced sample of a turn."""
    end = pcm.size if end is None else min(end, pcm.size)
    audio = to_float(pcm[max(0, end - WINDOW_MS * LISTEN_RATE // 1000) : end]).astype(np.float64)
    if audio.size < LISTEN_RATE // 10:
        return PauseProsody()
    # Pitch lies far below 4 kHz: a two-tap mean is enough against aliasing at half the rate.
    half = 0.5 * (audio[0 : audio.size - 1 : 2] + audio[1::2])
    pitch = pitch_track(np.pad(half, (0, _RATE // 20)))
    frames = half[: half.size - half.size % _HOP].reshape(-1, _HOP)
    levels = 10 * np.log10(np.maximum((frames**2).mean(axis=1), 10 ** (FLOOR_DB / 10)))
    count = min(pitch.size, levels.size)
    pitch, levels = pitch[:count], levels[:count]
    voiced = np.flatnonzero(pitch > 0)
    sounding = levels > levels.max() - 30.0
    level = float(levels[sounding].mean())
    final = float(levels[-15:].mean()) - level
    rate = _syllable_rate(levels)
    if voiced.size < 5:
        return PauseProsody(level_db=level, final_level=final, voiced=voiced.size / count, syllable_rate=rate)
    median = float(np.median(pitch[voiced]))
    semitones = 12 * np.log2(pitch[voiced] / median)
    # Octave slips are no intonation.
    semitones = np.where(np.abs(semitones) > 9.0, 0.0, semitones)
    last = voiced[-30:]
    recent = semitones[-30:]
    slope = float(np.polyfit(last / 100.0, recent, 1)[0]) if last.size >= 8 else 0.0
    breaks = np.flatnonzero(np.diff(voiced) > 2)
    stretch = voiced.size - (int(breaks[-1]) + 1 if breaks.size else 0)
    return PauseProsody(
        pitch_hz=median,
        final_pitch=float(semitones[-15:].mean()),
        pitch_slope=float(np.clip(slope, -60.0, 60.0)),
        level_db=level,
        final_level=final,
        voiced=voiced.size / count,
        final_voiced_ms=stretch * 10.0,
        syllable_rate=rate,
    )


def _syllable_rate(levels: NDArray[np.float64]) -> float:
    """Peaks of the smoothed level that stand 2 dB over the dips beside them, a second (after de Jong and Wempe 2009,
    doi:10.3758/BRM.41.2.385)."""
    smooth = np.convolve(levels, np.ones(5) / 5, mode="same")
    top, dip, peaks = smooth[0], smooth[0], 0
    rising = False
    for value in smooth[1:]:
        if rising:
            top = max(top, value)
            if value < top - 2.0:
                peaks, rising, dip = peaks + 1, False, value
        else:
            dip = min(dip, value)
            if value > dip + 2.0:
                rising, top = True, value
    return (peaks + (1 if rising else 0)) / (levels.size / 100.0)
