"""Statements about another one of the kind that is asked about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.dialogue.composed.contrast import contrast, pairs_of


@pytest.mark.parametrize(
    ("asked", "told", "name"),
    [
        ("When's the first tram?", "The last tram leaves at one.", "other_one"),
        ("Who runs the first shift?", "Adeyemi runs the second shift.", "other_one"),
        ("Where's gate six?", "Gate four is on the left.", "other_one"),
        ("Where is the small key?", "The small key hangs by the door.", "same_one"),
        ("What did it cost last year?", "Rye costs three pennies.", "other_time"),
    ],
)
def test_contrasts(asked: str, told: str, name: str) -> None:
    found = contrast(pairs_of(asked), pairs_of(told))
    assert [key for key, value in found.items() if value] == [name]


@given(st.text(max_size=80))
def test_a_text_is_in_no_contrast_to_itself(text: str) -> None:
    found = contrast(pairs_of(text), pairs_of(text))
    assert not found["other_one"]
    assert not found["other_time"]
