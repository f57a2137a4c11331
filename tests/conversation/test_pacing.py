"""Pacing in virtual time, against the arithmetic written out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.conversation.pacing import Pacer

RATE, LEAD = 24_000, 4_800


def sent(pacer: Pacer, until: float) -> list[float]:
    """Send pieces on their deadlines up to a time; the times at which they left."""
    times, now = [], 0.0
    while True:
        due = pacer.due()
        now = now if due is None else max(now, due)
        if now > until:
            return times
        pacer.send(pacer.piece, now)
        times.append(now)


def test_the_lead_leaves_at_once_and_then_one_piece_every_40_ms() -> None:
    times = sent(Pacer(RATE, LEAD), 1.0)
    # 200 ms of lead are five pieces; the sixth is due when 0 ms have played, at 0 + 5 * 40 - 200 ms.
    assert times[:6] == [0.0] * 6
    assert times[6:9] == [pytest.approx(0.04), pytest.approx(0.08), pytest.approx(0.12)]


@given(st.lists(st.floats(0, 0.039), min_size=5, max_size=60))
def test_late_wakeups_do_not_accumulate(lateness: list[float]) -> None:
    pacer, now = Pacer(RATE, LEAD), 0.0
    for number, late in enumerate(lateness):
        due = pacer.due()
        now = max(now, due or 0.0) + (late if number else 0.0)
        pacer.send(pacer.piece, now)
    assert pacer.origin == 0.0
    assert pacer.due() == pytest.approx((pacer.sent - LEAD) / RATE, abs=1e-6)


def test_an_underrun_moves_what_follows_by_its_length() -> None:
    pacer = Pacer(RATE, LEAD)
    pacer.send(2400, 0.0)
    pacer.send(2400, 0.5)
    assert pacer.playing(0.5) == 2400
    assert pacer.ends() == pytest.approx(0.6)


@given(st.floats(0, 2), st.floats(0, 5))
def test_a_pause_goes_on_at_the_same_sample(at: float, length: float) -> None:
    pacer = Pacer(RATE, LEAD)
    pacer.send(RATE, 0.0)
    stopped = pacer.pause(at)
    assert stopped == min(RATE, round(at * RATE))
    assert pacer.due() is None
    assert pacer.playing(at + length) == stopped
    assert pacer.pause(at + length) == stopped, "pausing twice changes nothing"
    assert pacer.resume(at + length) == stopped
    assert abs(pacer.playing(at + length) - stopped) <= 1


def test_the_client_knows_better_where_it_stopped() -> None:
    pacer = Pacer(RATE, LEAD)
    pacer.send(RATE, 0.0)
    pacer.pause(0.5)
    assert pacer.resume(1.0, at=10_000) == 10_000
    assert pacer.playing(1.1) == pytest.approx(12_400, abs=1)


def test_sending_while_paused_is_a_mistake() -> None:
    pacer = Pacer(RATE, LEAD)
    pacer.send(960, 0.0)
    pacer.pause(0.01)
    with pytest.raises(ValueError, match="paused"):
        pacer.send(960, 0.02)
