"""Binary frames: a 16-byte little-endian header, then the payload. Used once negotiated.

    0      1       2        4              8                    16
    +------+-------+--------+--------------+--------------------+----------------
    | kind | flags | track  | ordinal      | start sample       | payload …
    | u8   | u8    | u16    | u32          | u64                |
    +------+-------+--------+--------------+--------------------+----------------

kind 1 output audio and 3 input audio: PCM16 little-endian mono. kind 2 blendshapes: `u16 frames, u16 channels,
u32 samples per frame`, then `u8[frames][channels]`, weight = value / 255. flags bit 0: last of its item.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

_HEADER = struct.Struct("<BBHIQ")
_BLEND = struct.Struct("<HHI")
HEADER_SIZE = _HEADER.size
LAST = 1
#: Sample counts stay exact in a double, which is what JavaScript clients count in.
_MAX_START = 2**53


class FrameError(ValueError):
    """A binary message that is not a frame; `field` names what is wrong with it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Kind(IntEnum):
    OUTPUT_AUDIO = 1
    BLENDSHAPES = 2
    INPUT_AUDIO = 3


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """Output or input audio from sample `start`; `pcm` is a read-only view of the message."""

    kind: Kind
    track: int
    ordinal: int
    start: int
    pcm: NDArray[np.int16]
    last: bool = False


@dataclass(frozen=True, slots=True)
class BlendshapeFrame:
    """u8 weights [frames, channels], frame k at sample `start + k * samples_per_frame`."""

    track: int
    ordinal: int
    start: int
    samples_per_frame: int
    weights: NDArray[np.uint8]
    last: bool = False


Frame = AudioFrame | BlendshapeFrame


def encode_audio(
    kind: Kind, pcm: NDArray[np.int16], start: int, *, ordinal: int = 0, track: int = 0, last: bool = False
) -> bytes:
    """An audio frame. `pcm` is int16 of any length; raises struct.error for a header value out of range."""
    return _HEADER.pack(kind, LAST if last else 0, track, ordinal, start) + pcm.astype("<i2", copy=False).tobytes()


def encode_blendshapes(
    weights: NDArray[np.uint8],
    start: int,
    samples_per_frame: int,
    *,
    ordinal: int,
    track: int = 0,
    last: bool = False,
) -> bytes:
    """A blendshape frame of u8 weights [frames, channels]."""
    if weights.dtype != np.uint8 or weights.ndim != 2:
        raise ValueError(f"weights must be u8 [frames, channels], got {weights.dtype} {weights.shape}")
    header = _HEADER.pack(Kind.BLENDSHAPES, LAST if last else 0, track, ordinal, start)
    return header + _BLEND.pack(*weights.shape, samples_per_frame) + weights.tobytes()


def decode(message: bytes) -> Frame:
    """The frame in a binary message. Strict: unknown kinds, unknown flags, lengths that do not fit raise FrameError."""
    if len(message) < HEADER_SIZE:
        raise FrameError("header", f"a binary frame has at least {HEADER_SIZE} bytes, got {len(message)}")
    kind, flags, track, ordinal, start = _HEADER.unpack_from(message)
    if flags & ~LAST:
        raise FrameError("flags", f"unknown flags 0x{flags:02x}; only bit 0 (last) is defined")
    if start > _MAX_START:
        raise FrameError("start", f"start sample {start} is beyond 2**53")
    last = bool(flags & LAST)
    if kind in (Kind.OUTPUT_AUDIO, Kind.INPUT_AUDIO):
        if (len(message) - HEADER_SIZE) % 2:
            raise FrameError("payload", f"PCM16 has an even number of bytes, got {len(message) - HEADER_SIZE}")
        pcm = np.frombuffer(message, "<i2", offset=HEADER_SIZE)
        return AudioFrame(Kind(kind), track, ordinal, start, pcm, last)
    if kind != Kind.BLENDSHAPES:
        raise FrameError("kind", f"unknown frame kind {kind}; known are 1, 2 and 3")
    if len(message) < HEADER_SIZE + _BLEND.size:
        raise FrameError("payload", "a blendshape frame is cut off before its own header ends")
    frames, channels, per_frame = _BLEND.unpack_from(message, HEADER_SIZE)
    body = len(message) - HEADER_SIZE - _BLEND.size
    if body != frames * channels:
        need = frames * channels
        raise FrameError("payload", f"{frames} frames of {channels} channels need {need} bytes, got {body}")
    if frames and not per_frame:
        raise FrameError("samples_per_frame", "samples per frame must be at least 1")
    weights = np.frombuffer(message, np.uint8, offset=HEADER_SIZE + _BLEND.size).reshape(frames, channels)
    return BlendshapeFrame(track, ordinal, start, per_frame, weights, last)
