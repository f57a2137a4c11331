"""The jitter buffer: every sample once, in order, and a clock that never runs without its sound."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from npc.client import JitterBuffer, OutputAudio

RATE = 1000


def _audio(start: int, size: int, *, item: str = "i", response: str = "r", last: bool = False) -> OutputAudio:
    return OutputAudio(response, item, start, np.arange(start + 1, start + size + 1).astype(np.int16), 0, last)


def _drain(buffer: JitterBuffer, block: int, reads: int) -> np.ndarray:
    return np.concatenate([buffer.read(block) for _ in range(reads)])


@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=30),
    st.lists(st.integers(0, 60), min_size=1, max_size=60),
    st.integers(0, 100),
)
def test_all_audio_comes_out_once_in_order_whatever_the_network_and_the_device_do(
    sizes: list[int], reads: list[int], prebuffer: int
) -> None:
    buffer = JitterBuffer(RATE, prebuffer_ms=prebuffer)
    at, out = 0, []
    for n in range(max(len(sizes), len(reads))):
        if n < len(sizes):
            buffer.push(_audio(at, sizes[n], last=n == len(sizes) - 1))
            at += sizes[n]
        if n < len(reads):
            out.append(buffer.read(reads[n]))
            heard = np.concatenate(out)
            position = buffer.position
            if position is not None:
                assert position.played == np.count_nonzero(heard), "the clock counts what was heard"
    out.append(_drain(buffer, 50, sum(sizes) // 50 + 2))
    heard = np.concatenate(out)
    np.testing.assert_array_equal(heard[heard != 0], np.arange(1, at + 1))
    changes = buffer.changes()
    assert [(c.played, c.state) for c in changes] == [(at, "finished")]


def test_playing_starts_with_enough_in_hand_or_with_the_last_frame() -> None:
    buffer = JitterBuffer(RATE, prebuffer_ms=60)
    buffer.push(_audio(0, 40))
    assert not buffer.read(20).any()
    buffer.push(_audio(40, 20))
    np.testing.assert_array_equal(buffer.read(20), np.arange(1, 21))
    short = JitterBuffer(RATE, prebuffer_ms=60)
    short.push(_audio(0, 10, last=True))
    assert np.count_nonzero(short.read(20)) == 10


def test_starving_is_silence_and_the_clock_stands() -> None:
    buffer = JitterBuffer(RATE, prebuffer_ms=20)
    buffer.push(_audio(0, 20))
    buffer.read(20)
    assert not buffer.read(100).any()
    assert buffer.underruns == 1
    assert buffer.position is not None
    assert buffer.position.played == 20
    buffer.push(_audio(20, 20))
    np.testing.assert_array_equal(buffer.read(20), np.arange(21, 41))


def test_a_pause_goes_on_at_the_same_sample() -> None:
    buffer = JitterBuffer(RATE, prebuffer_ms=0)
    buffer.push(_audio(0, 400))
    buffer.read(100)
    buffer.pause(fade_ms=30)
    tail = buffer.read(60)
    assert 0 < np.count_nonzero(tail) <= 30, "the fade is heard"
    assert (np.abs(tail[:30]) <= np.arange(101, 131)).all()
    assert buffer.position is not None
    assert (buffer.position.played, buffer.position.state) == (100, "stopped")
    assert not buffer.read(500).any()
    buffer.resume(fade_ms=0)
    np.testing.assert_array_equal(buffer.read(300), np.arange(101, 401))


def test_a_flush_drops_the_response_and_says_how_far_it_was_heard() -> None:
    buffer = JitterBuffer(RATE, prebuffer_ms=0)
    buffer.push(_audio(0, 200))
    buffer.push(_audio(0, 50, item="j", response="s"))
    buffer.read(80)
    buffer.flush("r", fade_ms=10)
    changes = buffer.changes()
    assert [(c.item_id, c.played, c.state) for c in changes] == [("i", 80, "stopped")]
    heard = buffer.read(100)
    assert (np.abs(heard[:10]) <= 90).all()
    np.testing.assert_array_equal(heard[10:60], np.arange(1, 51)), "the next response follows"


def test_a_flush_of_what_waits_leaves_what_plays() -> None:
    buffer = JitterBuffer(RATE, prebuffer_ms=0)
    buffer.push(_audio(0, 100, last=True))
    buffer.push(_audio(0, 50, item="j", response="s", last=True))
    buffer.read(10)
    buffer.flush("s", fade_ms=10)
    np.testing.assert_array_equal(buffer.read(90), np.arange(11, 101))
    assert not buffer.read(50).any()


def test_ducking_goes_to_its_gain_and_back() -> None:
    buffer = JitterBuffer(RATE, prebuffer_ms=0)
    buffer.push(OutputAudio("r", "i", 0, np.full(1000, 1000, np.int16)))
    buffer.read(10)
    buffer.duck(0.25, fade_ms=100)
    ramp = buffer.read(100)
    assert (np.diff(ramp) <= 0).all()
    assert abs(int(ramp[-1]) - 250) <= 10
    assert set(buffer.read(50)) <= {249, 250, 251}
    buffer.resume(fade_ms=0)
    buffer.duck(1.0, fade_ms=20)
    buffer.read(20)
    assert set(buffer.read(50)) <= {999, 1000}


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 80)), max_size=20))
def test_overlaps_and_holes_keep_the_clock_true(pieces: list[tuple[int, int]]) -> None:
    """Sample values are their own positions plus one, so every sample heard says what the clock must show."""
    buffer = JitterBuffer(RATE, prebuffer_ms=0)
    for start, size in pieces:
        buffer.push(_audio(start, size))
    last = 0
    for _ in range(1000):
        value = int(buffer.read(1)[0])
        if value:
            assert value > last, "nothing is heard twice"
            last = value
            assert buffer.position is not None
            assert buffer.position.played == value


def test_the_bound_drops_the_oldest_and_moves_the_clock() -> None:
    buffer = JitterBuffer(RATE, prebuffer_ms=0, max_ms=100)
    for at in range(0, 300, 20):
        buffer.push(_audio(at, 20))
    assert buffer.buffered_ms == 100
    np.testing.assert_array_equal(buffer.read(100), np.arange(201, 301))


def test_a_hole_past_the_bound_moves_the_clock_and_takes_no_memory() -> None:
    """One frame with a start far ahead once asked for terabytes of silence."""
    buffer = JitterBuffer(RATE, prebuffer_ms=0, max_ms=1000)
    buffer.push(OutputAudio("r", "i", 0, np.ones(480, np.int16)))
    buffer.push(OutputAudio("r", "i", 2**50, np.full(480, 2, np.int16)))
    assert buffer.buffered_ms == 480 * 1000 / RATE
    assert buffer.read(480).tolist() == [2] * 480
    assert buffer.position is not None
    assert buffer.position.played == 2**50 + 480
