"""How pauses and turn ends are counted in traces of a detector: recordings of one utterance, and meetings."""

from __future__ import annotations

from npc.bench.turns import Moment, _Said, decisions, fixed, meeting_score, scaled, score
from npc.conversation.endpointing.interface import Pause

RATE = 16_000
FRAME = 512


def silence(since: float, length: float, until_ms: float = 500.0) -> list[Moment]:
    """The silent frames of a pause, both times in seconds; the detector waits `until_ms`."""
    first = round(since * RATE)
    frames = range(FRAME, round(length * RATE) + 1, FRAME)
    return [Moment(first + n, Pause(n, RATE), round(until_ms * 16), 0.5) for n in frames]


def test_a_silence_is_decided_once_and_by_the_newest_judgement() -> None:
    trace = [*silence(1.0, 0.3, 900.0), *silence(2.0, 1.5, 400.0)]
    (at,) = decisions(trace, scaled(1.0))
    assert 0.4 <= at / RATE - 2.0 < 0.44
    assert len(decisions(trace, fixed(200))) == 2


def test_a_decision_before_the_end_is_a_cut_and_no_wait() -> None:
    turns = [([*silence(1.0, 0.8), *silence(3.0, 1.5)], 3 * RATE), (silence(2.0, 1.5), 2 * RATE)]
    made = score(turns, fixed(500))
    assert made["wrong_cutoff_rate"] == 0.5
    assert 500 <= made["wait_ms"]["p50"] < 540


def test_a_pause_inside_an_annotated_turn_is_held_even_where_another_speaks_next() -> None:
    said = [_Said(0.0, 10.0, "ann"), _Said(11.0, 14.0, "bob")]
    made = meeting_score([(silence(4.0, 0.7), said)], fixed(500))
    assert (made["held_pauses"], made["held_cut"], made["turn_ends"]) == (1, 1.0, 0)


def test_a_pause_between_two_turns_of_one_speaker_is_held_and_one_before_another_speaker_is_an_end() -> None:
    said = [_Said(0.0, 4.0, "ann"), _Said(4.8, 8.0, "ann"), _Said(9.0, 12.0, "bob")]
    trace = [*silence(4.0, 0.8), *silence(8.0, 1.0)]
    made = meeting_score([(trace, said)], fixed(600))
    assert (made["held_pauses"], made["held_cut"]) == (1, 1.0)
    assert (made["turn_ends"], made["turn_ends_decided"]) == (1, 1)
    patient = meeting_score([(trace, said)], fixed(900))
    assert (patient["held_cut"], patient["turn_ends_decided"]) == (0.0, 1)


def test_pauses_at_which_nobody_is_annotated_do_not_count() -> None:
    made = meeting_score([(silence(4.0, 0.7), [_Said(0.0, 2.0, "ann")])], fixed(200))
    assert (made["held_pauses"], made["turn_ends"]) == (0, 0)
