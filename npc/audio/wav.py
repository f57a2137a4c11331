"""WAV files: read what people have (integer or float, 8 to 96 kHz, any channel count), write PCM16 mono."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from npc.audio.pcm import Pcm16, to_int16, to_mono

LOWEST_RATE, HIGHEST_RATE = 8_000, 96_000
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")


class WavError(ValueError):
    """The file is no WAV this product reads. The message names the file and what is wrong."""


def read_wav(path: Path | str) -> tuple[Pcm16, int]:
    """Read a WAV file as mono PCM16 and its sample rate. Raises WavError; OSError when the file cannot be opened."""
    return decode_wav(Path(path).read_bytes(), str(path))


def decode_wav(data: bytes, name: str = "audio") -> tuple[Pcm16, int]:
    """Decode the bytes of a WAV file; `name` is used in errors. A data chunk that was cut short (a recorder that was
    killed, a pipe with unknown length) is read as far as it goes."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise WavError(f"{name}: not a WAV file (no RIFF/WAVE header)")
    layout: tuple[int, int, int, int] | None = None
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = at + 8
        if kind == b"fmt ":
            layout = _format(data[body : body + size], name)
        elif kind == b"data":
            if layout is None:
                raise WavError(f"{name}: the data chunk comes before the fmt chunk")
            code, channels, rate, bits = layout
            return _samples(data[body : body + size], code, channels, bits), rate
        at = body + size + size % 2
    raise WavError(f"{name}: no {'data' if layout else 'fmt'} chunk")


def _format(body: bytes, name: str) -> tuple[int, int, int, int]:
    if len(body) < 16:
        raise WavError(f"{name}: the fmt chunk is cut short ({len(body)} bytes)")
    code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if code == _EXTENSIBLE and len(body) >= 26:
        code = int.from_bytes(body[24:26], "little")
    if (code, bits) not in {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)}:
        raise WavError(f"{name}: encoding {code} with {bits} bits is not supported; convert it to 16-bit PCM")
    if channels < 1:
        raise WavError(f"{name}: the header says {channels} channels")
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise WavError(f"{name}: sample rate {rate} Hz is outside {LOWEST_RATE}-{HIGHEST_RATE} Hz")
    return code, channels, rate, bits


def _samples(body: bytes, code: int, channels: int, bits: int) -> Pcm16:
    width = bits // 8
    body = body[: len(body) - len(body) % (width * channels)]
    if code == _PCM and bits == 16 and channels == 1:
        return np.frombuffer(body, dtype="<i2").astype(np.int16)
    samples: NDArray[np.float64]
    if code == _FLOAT:
        samples = np.frombuffer(body, dtype=f"<f{width}").astype(np.float64)
    elif bits == 8:
        samples = (np.frombuffer(body, dtype=np.uint8).astype(np.float64) - 128.0) / 128.0
    elif bits == 24:
        octets = np.frombuffer(body, dtype=np.uint8).reshape(-1, 3).astype(np.int32)
        value = octets[:, 0] | octets[:, 1] << 8 | octets[:, 2] << 16
        samples = (value - ((value & 0x800000) << 1)).astype(np.float64) / 2.0**23
    else:
        samples = np.frombuffer(body, dtype=f"<i{width}").astype(np.float64) / 2.0 ** (bits - 1)
    return to_int16(to_mono(samples.reshape(-1, channels)))


def encode_wav(pcm: Pcm16, rate: int) -> bytes:
    """The bytes of a PCM16 mono WAV file."""
    body = pcm.astype("<i2", copy=False).tobytes()
    head = _HEADER.pack(
        b"RIFF", 36 + len(body), b"WAVE", b"fmt ", 16, _PCM, 1, rate, rate * 2, 2, 16, b"data", len(body)
    )
    return head + body


def write_wav(path: Path | str, pcm: Pcm16, rate: int) -> None:
    """Write PCM16 mono."""
    Path(path).write_bytes(encode_wav(pcm, rate))
