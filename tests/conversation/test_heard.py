"""The heard ledger over randomised cut points: history is exactly what was heard, and nothing follows a flush."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.bench.cut_points import RATE, cut
from npc.bench.virtual_time import virtual_loop
from npc.conversation.ledger import HeardLedger, LedgerAction, LedgerWord


@pytest.mark.parametrize("opted_in", [True, False], ids=["npc client", "stock client"])
def test_history_equals_what_was_heard_over_200_cut_points(opted_in: bool) -> None:
    lengths = set()
    for seed in range(100):
        with virtual_loop() as loop:
            history, truth, clean = loop.run_until_complete(cut(seed, opted_in))
        assert history == truth, f"seed {seed}"
        assert clean, f"seed {seed}"
        lengths.add(len(truth.split()))
    assert len(lengths) >= 15, "cut points are spread over the reply"


@given(
    st.lists(st.tuples(st.integers(1, 4000), st.integers(0, 900)), min_size=1, max_size=40),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 8000),
)
def test_the_ledger_counts_a_word_when_its_last_sample_was_played(
    spans: list[tuple[int, int]], sent: int, claimed: int, lead: int
) -> None:
    words, at = [], 0
    for index, (length, gap) in enumerate(spans):
        words.append(LedgerWord(f"w{index}", at, at + length))
        at += length + gap
    ledger = HeardLedger(RATE, words, sent=min(sent, at))
    assert ledger.played(lead) == max(0, ledger.sent - lead)
    ledger.report(claimed)
    played = ledger.played(lead)
    assert played <= ledger.sent
    naive = [word.text for word in words if word.until <= played]
    assert ledger.heard_text(played) == " ".join(naive)
    ledger.report(0)
    assert ledger.played(lead) == played, "a late report never takes back what was heard"


def test_words_out_of_order_are_refused() -> None:
    ledger = HeardLedger(RATE, [LedgerWord("a", 0, 100)])
    with pytest.raises(ValueError, match="'b' ends at 90"):
        ledger.add([LedgerWord("b", 50, 90)])


def test_truncation_beyond_the_audio_is_refused_with_the_length_sent() -> None:
    ledger = HeardLedger(RATE, [LedgerWord("a", 0, 100)], sent=24_000)
    with pytest.raises(ValueError, match="beyond the 1000 ms"):
        ledger.truncate(1200)
    assert ledger.truncate(500) == 12_000


def test_actions_begin_when_their_sample_was_played() -> None:
    actions = [LedgerAction("c1", "wave", 0), LedgerAction("c2", "open", 100), LedgerAction("c3", "close", 200)]
    ledger = HeardLedger(RATE, [], actions, sent=200)
    begun, waiting = ledger.split_actions(100)
    assert [a.call_id for a in begun] == ["c1"]
    assert [a.call_id for a in waiting] == ["c2", "c3"]
    assert len(ledger.split_actions(200)[0]) == 3, "an action after the last word begins when the reply was played out"
