"""What the latency bench counts: which interruptions say something about how soon a character falls silent."""

from __future__ import annotations

import asyncio
from typing import cast

import numpy as np

from npc.bench.latency import BY_ITSELF, barge_in_ms
from npc.bench.live_client import RATE, SPEAKER_FRAME, LiveClient
from npc.client import RealtimeClient


def test_a_reply_that_was_over_by_itself_is_no_barge_in_of_zero_milliseconds() -> None:
    """Replies that ended in the last moments before the interruption counted as silent after 0 ms: a quarter of all."""
    assert barge_in_ms(0.0, reacted=False) is None
    assert barge_in_ms(BY_ITSELF / 2, reacted=False) is None


def test_a_character_stopped_between_two_words_is_silent_at_once() -> None:
    assert barge_in_ms(0.0, reacted=True) == 0.0
    assert barge_in_ms(0.085, reacted=True) == 85.0


def test_a_character_that_nobody_stopped_counts_as_long_as_it_went_on() -> None:
    assert barge_in_ms(1.0, reacted=False) == 1000.0


def test_a_part_of_the_track_is_what_a_slice_of_the_whole_would_be() -> None:
    async def heard() -> None:
        live = LiveClient(cast(RealtimeClient, None))
        assert live.heard(0.0).size == live.heard(0.3, 0.5).size == 0
        track = np.arange(20 * SPEAKER_FRAME, dtype=np.int16)
        live._out = list(track.reshape(-1, SPEAKER_FRAME))
        live._read = track.size
        rng = np.random.default_rng(1)
        times = [(0.0, 0.2), (0.1, 0.1), (0.1, 0.05), (0.19, 9.0), (5.0, 6.0), *rng.uniform(0.0, 0.25, (200, 2))]
        for start, end in times:
            wanted = track[round(start * RATE) : round(end * RATE)]
            assert np.array_equal(live.heard(start, end), wanted), (start, end)
            assert np.array_equal(live.heard(start), track[round(start * RATE) :]), start

    asyncio.run(heard())
