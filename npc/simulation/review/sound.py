"""The attempt's sound inside the report: both sides on one track, G.711 mu-law at 16 kHz in a WAV, as a data URI.

Mu-law keeps 14 bits of range in 8 (ITU-T G.711, 1988): a minute is 0.96 MB, half of plain PCM, and every browser's
<audio> plays it. Beyond `LONGEST_S` the report stays without sound rather than becoming too large to open.

Attempts are kept as WAV; the shipped reference attempts are Ogg Vorbis, which the `soundfile` package reads (extra
`rehearsal`). Without it their report has no sound and is otherwise the same.
"""

from __future__ import annotations

import base64
import logging
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from npc.audio.pcm import Pcm16, to_int16, to_mono
from npc.audio.resample import resample
from npc.audio.wav import WavError, read_wav
from npc.simulation.attempt import Attempt

log = logging.getLogger(__name__)

RATE = 16_000
#: Twenty minutes: 26 MB of report.
LONGEST_S = 1200.0
_BIAS, _CLIP = 0x84, 32635


def mixed(attempt: Attempt, folder: Path) -> Pcm16 | None:
    """Both sides added up, from second 0; None where nothing was kept. Raises WavError, OSError."""
    sides = [name for name in (attempt.audio.trainee, attempt.audio.character) if name]
    heard = [_at_rate(folder / name) for name in sides if (folder / name).is_file()]
    if not heard:
        return None
    whole = np.zeros(max(side.size for side in heard), np.int32)
    for side in heard:
        whole[: side.size] += side
    return np.clip(whole, -32768, 32767).astype(np.int16)


def _at_rate(path: Path) -> Pcm16:
    pcm, rate = read_wav(path) if path.suffix == ".wav" else _compressed(path)
    return resample(pcm, rate, RATE) if rate != RATE else pcm


def _compressed(path: Path) -> tuple[Pcm16, int]:
    try:
        import soundfile
    except ImportError:
        raise WavError(f"{path}: reading {path.suffix} needs soundfile: pip install 'npc[rehearsal]'") from None
    try:
        samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    except RuntimeError as error:
        raise WavError(f"{path}: cannot be read: {error}") from None
    return to_int16(to_mono(samples)), int(rate)


def data_uri(attempt: Attempt, folder: Path) -> str | None:
    """The sound as the `src` of an audio element; None without sound, or with one that is unreadable or too long."""
    try:
        pcm = mixed(attempt, folder)
    except (WavError, OSError) as error:
        log.warning("the report has no sound: %s", error)
        return None
    if pcm is None or pcm.size > LONGEST_S * RATE:
        return None
    return "data:audio/wav;base64," + base64.b64encode(mulaw_wav(pcm)).decode()


def mulaw_wav(pcm: Pcm16) -> bytes:
    """A WAV file of format 7 (mu-law), mono, at `RATE`."""
    coded = mulaw(pcm).tobytes()
    head = struct.pack("<4sI4s4sIHHIIHHH", b"RIFF", 50 + len(coded), b"WAVE", b"fmt ", 18, 7, 1, RATE, RATE, 1, 8, 0)
    fact = struct.pack("<4sII", b"fact", 4, len(coded))
    return head + fact + struct.pack("<4sI", b"data", len(coded)) + coded


def mulaw(pcm: Pcm16) -> NDArray[np.uint8]:
    """G.711 mu-law of each sample."""
    wide = pcm.astype(np.int32)
    size = np.minimum(np.abs(wide), _CLIP) + _BIAS
    exponent = np.floor(np.log2(size)).astype(np.int32) - 7
    mantissa = (size >> (exponent + 3)) & 0x0F
    sign = np.where(wide < 0, 0x80, 0)
    coded: NDArray[np.uint8] = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)
    return coded
