"""What the player told, set right within a turn, kept whole, and told back."""

from __future__ import annotations

import pytest

from npc.dialogue.composed.question import understand
from npc.dialogue.composed.recall import in_your_words, told, whole
from npc.dialogue.composed.sayings import sayings
from npc.dialogue.memory.amend import settled
from npc.dialogue.memory.extract import name_in
from npc.dialogue.memory.store import MemoryStore


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ("I need twelve loaves for Saturday. No, wait, make that fifteen.", ["I need fifteen loaves for Saturday"]),
        ("My flight's at six. Sorry, I mean seven.", ["My flight's at seven"]),
        ("It leaves at six, no, seven.", ["It leaves at seven"]),
        ("My stop's Linden Square. Sorry, Linden Street.", ["My stop's Linden Street"]),
        ("We come on Monday. No, Tuesday.", ["We come on Tuesday"]),
        ("I have two dogs. My sister has one.", ["I have two dogs", "My sister has one"]),
        ("im off to brindle on the early train do you know it", ["im off to brindle on the early train"]),
    ],
)
def test_a_turn_sets_itself_right(turn: str, expected: list[str]) -> None:
    assert settled([turn]) == expected


@pytest.mark.parametrize(
    "turn",
    [
        "My nan left nineteen pairs in a drawer when she went.",
        "I grew up where the river bends.",
        "Name's Corin, from the mill.",
        "My husband's left-handed, so mind how you make the handle.",
    ],
)
def test_a_question_word_inside_does_not_make_a_question(turn: str) -> None:
    assert sayings([turn]) == [turn.rstrip(".")]


@pytest.mark.parametrize("turn", ["Sorry, I don't know why I told you that.", "I don't know what I was thinking."])
def test_what_one_does_not_know_of_oneself_is_no_question(turn: str) -> None:
    assert understand(turn).asking == ""


@pytest.mark.parametrize(
    "turn", ["Bet you've already forgotten where I live.", "Someone's asking where I've parked.", "State my name."]
)
def test_statements_that_ask_for_what_was_told(turn: str) -> None:
    assert understand(turn).asking


def test_a_turn_is_told_back_whole_where_it_is_short() -> None:
    turns = ["I saw a light over the weir last night. Green, it was."]
    assert whole("I saw a light over the weir last night", turns, None) == [
        "I saw a light over the weir last night", "Green, it was",
    ]  # fmt: skip
    assert in_your_words(["My brother works here", "He's tall"]) == "your brother works here; he's tall"


def test_the_turn_is_found_in_memory_in_a_later_session() -> None:
    memory = MemoryStore().player("c", "p")
    memory.commit("I saw a light over the weir last night. Green, it was.", "I see.", now=1.0, turn_id="a")
    assert "Green, it was" in whole("I saw a light over the weir last night", [], memory)


def test_what_was_told_within_a_question_is_kept_for_questions_about_the_player() -> None:
    turns = ["Can my friend Ada sit here?"]
    assert told(turns, None, understand("What was my friend's name?")) == turns
    assert told(turns, None, understand("Who owns the boat?")) == []
    assert told(turns, None, understand("Can my friend Ada sit here?")) == []


def test_the_players_name_is_no_answer_for_somebody_elses() -> None:
    turns = ["I'm Nadia.", "My brother Tomas is out on the marsh."]
    assert told(turns, None, understand("What's his name?")) == ["My brother Tomas is out on the marsh"]


def test_a_name_given_without_a_verb() -> None:
    assert name_in("Morning, smith. Adela Finch, from the mill.") == "Adela Finch"
    assert name_in("Thanks, from all of us.") is None
