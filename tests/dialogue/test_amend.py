"""A word of something told is set right without saying the rest again."""

from __future__ import annotations

import pytest

from npc.dialogue.memory.amend import amendment
from npc.dialogue.memory.store import MemoryStore

TOLD = ["I make my living mending nets", "We're off to Norway on the ninth, if the weather holds"]


@pytest.mark.parametrize(
    ("turn", "old", "new"),
    [
        ("No wait, the tenth, not the ninth.", "ninth", "tenth"),
        ("Sorry, not Norway, Denmark.", "Norway", "Denmark"),
        ("I meant the tenth, not the ninth.", "ninth", "tenth"),
        ("no not nets, sails", "nets", "sails"),
    ],
)
def test_the_word_is_replaced_in_what_was_told(turn: str, old: str, new: str) -> None:
    found = amendment(turn, TOLD)
    assert found is not None
    assert old in found[0]
    assert found[1] == found[0].replace(old, new)


@pytest.mark.parametrize(("turn", "new"), [("Make that six.", "Six"), ("No, six.", "Six"), ("sorry, 6 I mean", "6")])
def test_another_number_for_the_only_one(turn: str, new: str) -> None:
    found = amendment(turn, ["I have sixteen goats"])
    assert found is not None
    assert found[1].lower() == f"i have {new.lower()} goats"


@pytest.mark.parametrize(
    "turn",
    ["The tenth, not the eleventh?", "No, not the red one, the blue one.", "I make nets.", "No.", "Make that quick.",
     "Not the ninth", "Two lamps, please."],
)  # fmt: skip
def test_other_turns_amend_nothing(turn: str) -> None:
    assert amendment(turn, TOLD) is None


def test_a_question_set_right_amends_nothing() -> None:
    told = ["I'm to book transport for my X-ray"]
    turn = "Sorry, no, I meant the eye test, not the X-ray."
    assert amendment(turn, told) is not None
    assert amendment(turn, told, "I'm to book transport for my X-ray. Which floor is the X-ray on?") is None


def test_orders_are_not_amended() -> None:
    assert amendment("No, two, not three.", ["Give me three lamps"]) is None


def test_memory_holds_what_was_set_right() -> None:
    memory = MemoryStore().player("c", "p")
    memory.commit("We're off to Norway on the ninth, if the weather holds.", "Noted.", now=1.0, turn_id="a")
    memory.commit("No wait, the tenth, not the ninth.", "The tenth.", now=2.0, turn_id="b")
    texts = [m.text for m in memory.all()]
    assert "We're off to Norway on the tenth, if the weather holds" in texts
    assert not any("on the ninth" in text for text in texts)
