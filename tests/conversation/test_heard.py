"""The heard ledger over randomised cut points: history is exactly what was heard, and nothing follows a flush."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.bench.scripted import LETTER, TRAIL, ScriptedMind
from npc.bench.virtual_time import virtual_loop
from npc.conversation.ledger import HeardLedger, LedgerAction, LedgerWord
from tests.conversation.talk import RATE, Recording, clauses, engines, event, speak, talking, type_and_ask

TEXT = ("Good day to you, traveller.", "The mill burned down last winter,", "and nobody has dared to rebuild it since.")


def word_ends() -> list[tuple[str, int]]:
    """Each word of TEXT and its last sample at the output rate, by the scripted voice's own arithmetic."""
    ends, at = [], 0
    for clause in TEXT:
        for word in clause.split():
            at += LETTER * len(word)
            ends.append((word, at * 3 // 2))
        at += TRAIL
    return ends


ENDS = word_ends()


def heard_until(played: int) -> str:
    return " ".join(word for word, end in ENDS if end <= played)


async def cut(seed: int, opted_in: bool) -> tuple[str, str, Recording]:
    """Cut in at a random moment; (history, truth, everything sent)."""
    rng = random.Random(seed)
    mind = ScriptedMind(lambda text: clauses(*TEXT))
    async with talking(engines(mind), opted_in=opted_in) as (session, outbox):
        type_and_ask(session, "what happened here")
        await asyncio.sleep(rng.uniform(0.05, 8.3))
        began = asyncio.get_running_loop().time()
        first = next(when for when, item in outbox.sent if type(item).__name__ == "AudioOut")
        await speak(session, 0.6)
        kinds = [(when, getattr(item, "type", type(item).__name__)) for when, item in outbox.sent]
        over = next(
            (when for when, kind in kinds if kind == "input_audio_buffer.speech_started" and when >= began), None
        )
        assert over is not None
        sent = sum(piece.pcm.size for piece in outbox.audio())
        last = outbox.audio()[-1]
        if opted_in:
            paused = next((when for when, item in outbox.sent if getattr(item, "action", "") == "pause"), over)
            played = min(sent, max(0, round((paused - first - rng.uniform(0, 0.05)) * RATE)))
            session.receive(
                event(
                    "npc.playback",
                    response_id=last.response_id,
                    item_id=last.item_id,
                    played_samples=played,
                    state="stopped",
                )
            )
        else:
            played_ms = min(sent * 1000 // RATE, max(0, round((over - first) * 1000)))
            played = played_ms * RATE // 1000
            session.receive(
                event("conversation.item.truncate", item_id=last.item_id, content_index=0, audio_end_ms=played_ms)
            )
        mark = len(outbox.sent)
        await speak(session, 0.3)
        await asyncio.sleep(0.6)
        after = {getattr(item, "type", type(item).__name__) for _, item in outbox.sent[mark:]}
        assert not after & {"AudioOut", "npc.cues", "BlendshapesOut"}, "nothing of the reply after the flush"
        assert session.turn.state.value == "user_speaking"
        shown = session.items.get(last.item_id).content[0].transcript  # type: ignore[union-attr]
        if not mind.committed:
            # Not a word was heard: the question stays unanswered, to be taken together with what comes now.
            return shown or "", heard_until(played), outbox
        reply = mind.committed[0][1]
        assert reply is not None
        assert shown == reply.text
        return reply.text, heard_until(played), outbox


@pytest.mark.parametrize("opted_in", [True, False], ids=["npc client", "stock client"])
def test_history_equals_what_was_heard_over_200_cut_points(opted_in: bool) -> None:
    lengths = set()
    for seed in range(100):
        with virtual_loop() as loop:
            history, truth, _ = loop.run_until_complete(cut(seed, opted_in))
        assert history == truth, f"seed {seed}"
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
