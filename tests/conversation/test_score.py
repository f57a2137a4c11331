"""The performance score: places of words, actions and citations; cues in order and never behind their audio."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.animation import FaceAnimator
from npc.animation.interface import Affect
from npc.audio.clock import Span
from npc.bench.scripted import ScriptedVoice
from npc.conversation.reply import perform, spoken_pieces
from npc.conversation.score import Score
from npc.dialogue.interface import Action, Citation, Clause
from npc.phonetics.phones import SpokenWord
from npc.tts.interface import SpeechRequest

RATE = 24_000


def scored(*clauses: Clause, animated: bool = True) -> Score:
    face = FaceAnimator().open(RATE, 60, 1) if animated else None
    score = Score(RATE, animated)
    for clause in clauses:
        score.begin(clause)
        for piece in perform(ScriptedVoice(), SpeechRequest(clause.text), clause, RATE, score.length, face):
            score.push(piece.pcm, piece.words)
            score.animate(piece.face)
        score.end()
    if face is not None:
        score.finish(face.finish(score.length))
    else:
        score.finish()
    return score


def test_words_actions_and_citations_lie_in_item_time_across_clauses() -> None:
    score = scored(
        Clause("Go on."),
        Clause(
            "The gate is open now.",
            citations=(Citation("f1", "card", 1, 2),),
            actions=(Action("c1", "point", {"at": "gate"}, 1), Action("c2", "nod", {}, 5)),
        ),
    )
    assert score.text == "Go on. The gate is open now."
    # 60 ms a letter and 120 ms behind a clause: "Go on." takes (2 + 3) * 60 + 120 ms.
    begin = RATE * 420 // 1000
    assert [(w.text, w.at) for w in score.words][2:4] == [("The", begin), ("gate", begin + RATE * 180 // 1000)]
    assert [action.at for action in score.actions] == [begin + RATE * 180 // 1000, score.length]
    assert (score.citations[0].word_start, score.citations[0].word_end) == (3, 4)
    assert all(a.until <= b.at + 1 for a, b in zip(score.words, score.words[1:], strict=False))


@given(st.lists(st.integers(1, 30_000), min_size=1, max_size=60))
def test_cues_leave_once_in_order_whatever_the_steps(steps: list[int]) -> None:
    clauses = (Clause("One two.", Affect("joy", 0.5)), Clause("Three four five."))
    whole = scored(*clauses).take(10**9)
    score, taken, until = scored(*clauses), [], 0
    for step in steps:
        until += step
        piece = score.take(until)
        assert all(cue.at < until for cue in piece)
        taken += piece
    taken += score.take(10**9)
    assert taken == whole
    assert [cue.at for cue in taken] == sorted(cue.at for cue in taken)


def test_audio_waits_for_its_face() -> None:
    clause = Clause("Hello there traveller.")
    face, score = FaceAnimator().open(RATE, 60, 1), Score(RATE, True)
    score.begin(clause)
    for piece in perform(ScriptedVoice(), SpeechRequest(clause.text), clause, RATE, 0, face):
        score.push(piece.pcm, piece.words)
        assert score.ready == 0, "the clause is not complete"
        score.animate(piece.face)
    score.end()
    assert 0 < score.ready < score.length, "the last 200 ms wait for what follows"
    score.finish(face.finish(score.length))
    assert score.ready == score.length


def test_reading_any_cut_of_the_audio_gives_the_same_samples() -> None:
    score = scored(Clause("One two three."), Clause("Four."), animated=False)
    whole = score.read(0, score.length)
    for piece in (1, 100, 959, 5000):
        parts = [score.read(at, piece) for at in range(0, score.length, piece)]
        assert np.array_equal(np.concatenate(parts), whole)
    assert score.read(score.length, 100).size == 0


def test_words_without_times_share_the_sound_by_their_letters() -> None:
    score = Score(RATE)
    score.begin(Clause("one three five"))
    score.push(np.zeros(14_000, np.int16), [SpokenWord(4, 9, Span(4_000, 9_000))])
    score.end()
    assert [(w.text, w.at, w.until) for w in score.words] == [
        ("one", 0, 4_000), ("three", 4_000, 9_000), ("five", 9_000, 14_000),
    ]  # fmt: skip


def test_one_written_word_said_as_two_is_one_word() -> None:
    score = Score(RATE)
    score.begin(Clause("£29 please"))
    words = [SpokenWord(0, 3, Span(0, 100)), SpokenWord(0, 3, Span(100, 300)), SpokenWord(4, 10, Span(300, 500))]
    score.push(np.zeros(600, np.int16), words)
    score.end()
    assert [(w.text, w.at, w.until) for w in score.words] == [("£29", 0, 300), ("please", 300, 500)]


def test_a_push_without_a_clause_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="begin"):
        Score(RATE).push(np.zeros(1, np.int16))


@given(st.text("ab ", max_size=3000))
def test_pieces_of_a_clause_cover_its_words(text: str) -> None:
    pieces = spoken_pieces(text)
    assert all(len(piece) <= 600 for _, piece in pieces)
    assert all(text[offset : offset + len(piece)] == piece for offset, piece in pieces)
    if max((len(word) for word in text.split()), default=0) < 600:
        assert " ".join(piece for _, piece in pieces).split() == text.split()
