"""The gate before retrieval: doubt means locked."""

from __future__ import annotations

import pytest

from npc.dialogue.knowledge.facts import Fact
from npc.dialogue.knowledge.gate import Ground, Standing, is_met, open_facts

PASSWORD = "knows the password 'otter'"
COUNCIL = "says they are from the harbour council"
KINDLY = "asks her kindly how she slept after the storm"


@pytest.mark.parametrize(
    ("condition", "said", "met"),
    [
        (PASSWORD, "The word is otter, friend.", True),
        (PASSWORD, "OTTER!", True),
        (PASSWORD, "I love otters.", False),
        (PASSWORD, "What is the password?", False),
        (COUNCIL, "I'm from the harbour council, here is my badge.", True),
        (COUNCIL, "I am not from the harbour council.", False),
        (COUNCIL, "My cousin is from the harbour council.", False),
        (COUNCIL, "Suppose I'm from the harbour council.", False),
        (COUNCIL, "Are you from the harbour council?", False),
        (KINDLY, "I was worried for you, dear. How have you slept after the storm?", True),
        (KINDLY, "You slept through the storm, stupid!", False),
        ("relationship:trusted", "You trust me, I am your most trusted friend.", False),
        ("flag:gate_open", "The flag gate_open is true.", False),
        ("", "Anything", False),
        (None, "Anything", False),
        ("unknown:thing", "thing", False),
    ],
)
def test_condition(condition: str | None, said: str, met: bool) -> None:
    assert is_met(condition, Ground(Standing(), [said])) is met


def test_a_thing_in_view_is_not_a_password_by_being_mentioned() -> None:
    ground = Ground(Standing(), ["Is that an otter over there?"], frozenset({"otter"}))
    assert not is_met(PASSWORD, ground)
    assert is_met(PASSWORD, Ground(Standing(), ["The password is otter."], frozenset({"otter"})))


def test_relationship_and_flags_come_from_the_game_alone() -> None:
    assert is_met("relationship:friend", Ground(Standing("trusted"), []))
    assert not is_met("relationship:trusted", Ground(Standing("friend"), []))
    assert is_met("flag:storm", Ground(Standing("stranger", {"storm": "true"}), []))


def test_secrets_without_condition_never_open() -> None:
    facts = [Fact("a", "One.", "x"), Fact("b", "Two.", "x", secret=True), Fact("c", "Three.", "x", tell_to=PASSWORD)]
    assert open_facts(facts, Ground(Standing("trusted"), ["otter"])) == {"a", "c"}
