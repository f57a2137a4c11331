"""What the player told of themselves, cut into pieces that can answer later questions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.dialogue.composed.sayings import MOST, sayings


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ("I'm Kit, and this is Waffles. How much is it?", ["I'm Kit, and this is Waffles"]),
        ("I left my scarf here on Monday, where do I go for it?", ["I left my scarf here on Monday"]),
        ("What time do you close?", []),
        ("My sister Juno plays the accordion.", ["My sister Juno plays the accordion"]),
        ("i'm on nights and my back hurts, can i sit", ["i'm on nights", "my back hurts"]),
        ("Yes.", []),
    ],
)
def test_pieces(turn: str, expected: list[str]) -> None:
    assert sayings([turn]) == expected


def test_doubles_are_kept_once_and_the_oldest_go() -> None:
    turns = [f"I own boat number {n}." for n in range(MOST + 5)]
    assert sayings(["I'm Kit.", "I'm Kit."]) == ["I'm Kit"]
    assert sayings(turns)[-1] == f"I own boat number {MOST + 4}"
    assert len(sayings(turns)) == MOST


@given(st.lists(st.text(max_size=200), max_size=5))
def test_every_piece_stands_in_a_turn(turns: list[str]) -> None:
    for piece in sayings(turns):
        assert any(piece in turn for turn in turns)
