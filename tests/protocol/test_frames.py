"""The binary codec: any frame comes back as it was, anything else is refused by name."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npc.protocol.frames import (
    HEADER_SIZE,
    AudioFrame,
    BlendshapeFrame,
    FrameError,
    Kind,
    decode,
    encode_audio,
    encode_blendshapes,
)

u16, u32, start = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**53)
pcm = hnp.arrays(np.int16, st.integers(0, 200))


@given(st.sampled_from([Kind.OUTPUT_AUDIO, Kind.INPUT_AUDIO]), pcm, start, u32, u16, st.booleans())
def test_audio_round_trips(kind: Kind, samples: np.ndarray, at: int, ordinal: int, track: int, last: bool) -> None:
    message = encode_audio(kind, samples, at, ordinal=ordinal, track=track, last=last)
    assert len(message) == HEADER_SIZE + 2 * samples.size
    frame = decode(message)
    assert isinstance(frame, AudioFrame)
    assert (frame.kind, frame.start, frame.ordinal, frame.track, frame.last) == (kind, at, ordinal, track, last)
    np.testing.assert_array_equal(frame.pcm, samples)


@given(hnp.arrays(np.uint8, st.tuples(st.integers(0, 4), st.integers(0, 60))), start, st.integers(1, 2**32 - 1))
def test_blendshapes_round_trip(weights: np.ndarray, at: int, per_frame: int) -> None:
    frame = decode(encode_blendshapes(weights, at, per_frame, ordinal=3, track=1))
    assert isinstance(frame, BlendshapeFrame)
    assert (frame.start, frame.samples_per_frame, frame.ordinal, frame.track) == (at, per_frame, 3, 1)
    np.testing.assert_array_equal(frame.weights, weights)


def test_the_layout_is_the_documented_one() -> None:
    message = encode_audio(Kind.OUTPUT_AUDIO, np.array([1, -2], np.int16), 0x0102, ordinal=5, track=2, last=True)
    assert message.hex() == "010102000500000002010000000000000100feff"


@given(st.binary(max_size=80))
def test_any_bytes_are_a_frame_or_a_frame_error(message: bytes) -> None:
    with contextlib.suppress(FrameError):
        assert decode(message).start <= 2**53


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (b"", "header"),
        (b"\x01" * 15, "header"),
        (b"\x09" + bytes(15), "kind"),
        (b"\x01\x02" + bytes(14), "flags"),
        (b"\x01" + bytes(15) + b"\x00", "payload"),
        (b"\x01" + bytes(7) + b"\xff" * 8, "start"),
        (b"\x02" + bytes(15), "payload"),
        (b"\x02" + bytes(15) + b"\x01\x00\x34\x00\x01\x00\x00\x00", "payload"),
        (b"\x02" + bytes(15) + b"\x01\x00\x01\x00\x00\x00\x00\x00" + b"\x05", "samples_per_frame"),
    ],
)
def test_bad_frames_name_what_is_wrong(message: bytes, field: str) -> None:
    with pytest.raises(FrameError) as caught:
        decode(message)
    assert caught.value.field == field


def test_weights_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="u8"):
        encode_blendshapes(np.zeros((1, 52), np.float32), 0, 400, ordinal=1)  # type: ignore[arg-type]
