"""What the latency bench counts: which interruptions say something about how soon a character falls silent."""

from __future__ import annotations

from npc.bench.latency import BY_ITSELF, barge_in_ms


def test_a_reply_that_was_over_by_itself_is_no_barge_in_of_zero_milliseconds() -> None:
    """Replies that ended in the last moments before the interruption counted as silent after 0 ms: a quarter of all."""
    assert barge_in_ms(0.0, reacted=False) is None
    assert barge_in_ms(BY_ITSELF / 2, reacted=False) is None


def test_a_character_stopped_between_two_words_is_silent_at_once() -> None:
    assert barge_in_ms(0.0, reacted=True) == 0.0
    assert barge_in_ms(0.085, reacted=True) == 85.0


def test_a_character_that_nobody_stopped_counts_as_long_as_it_went_on() -> None:
    assert barge_in_ms(1.0, reacted=False) == 1000.0
