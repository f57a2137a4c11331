"""Clause splitting: early, never inside a number, and the same however the text arrives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.dialogue.clauses import ClauseSplitter, split_clauses, split_sentences


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("It costs $29. Take it.", ["It costs $29.", "Take it."]),
        ("It costs $29.50, no less, my friend.", ["It costs $29.50,", "no less, my friend."]),
        ("Mr. Pell sells it. So does Dr. Lund.", ["Mr. Pell sells it.", "So does Dr. Lund."]),
        ("It opens at 9:30. Come early!", ["It opens at 9:30.", "Come early!"]),
        ("The caesium atom: 9,192,631,770 periods.", ["The caesium atom:", "9,192,631,770 periods."]),
        ("John C. Harrison built it. So am I. Good.", ["John C. Harrison built it.", "So am I.", "Good."]),
        ("Well... I don't know. Maybe?", ["Well...", "I don't know.", "Maybe?"]),
        ("Rope is no. 5. No. Never.", ["Rope is no. 5.", "No.", "Never."]),
        ('"Go on." He left.', ['"Go on."', "He left."]),
        ("Yes, sir.", ["Yes, sir."]),
        ("", []),
        ("   ", []),
    ],
)
def test_cuts(text: str, clauses: list[str]) -> None:
    assert split_clauses(text) == clauses


def test_sentences() -> None:
    assert split_sentences("Mr. Pell lied. So what? It cost $3.50.") == ["Mr. Pell lied.", "So what?", "It cost $3.50."]


PIECES = ["well", "rope", "$29.", "Mr.", "it,", "no.", "so,", "3.5", "stop.", "now!", "and", "a.m.", "—", "he:", "I."]
words = st.lists(st.sampled_from(PIECES), max_size=60)


@given(words, st.lists(st.integers(1, 9), min_size=1, max_size=20))
def test_streaming_equals_whole(parts: list[str], steps: list[int]) -> None:
    text = " ".join(parts)
    splitter, streamed, at, turn = ClauseSplitter(), [], 0, 0
    while at < len(text):
        step = steps[turn % len(steps)]
        streamed += splitter.feed(text[at : at + step])
        at, turn = at + step, turn + 1
    streamed += splitter.finish()
    assert " ".join(streamed) == " ".join(text.split())
    assert streamed == split_clauses(text)


@given(st.text(max_size=2000))
def test_nothing_is_lost_and_nothing_is_endless(text: str) -> None:
    clauses = split_clauses(text)
    assert "".join("".join(clauses).split()) == "".join(text.split())
    assert all(clause.strip() == clause and clause for clause in clauses)
    assert all(len(clause) <= 310 for clause in clauses)
