"""The gate before retrieval: doubt means locked."""

from __future__ import annotations

import pytest

from npc.dialogue.knowledge.facts import Fact
from npc.dialogue.knowledge.gate import Ground, Standing, is_met, open_facts

PASSWORD = "knows the password 'otter'"
COUNCIL = "says they are from the harbour council"
KINDLY = "asks her kindly how she slept after the storm"

SEAL = "shows the bailiff's seal"
CODE = "gives the password Kingfisher Six"
TOLD = "says Agnes told them"
SWORN = "promises not to tell the contractor"


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
        (COUNCIL, "Mossie, from the harbour council.", True),
        (COUNCIL, "Harbour council. This is formal. What happened?", True),
        (COUNCIL, "I'm from the harbour council, believe it or not.", True),
        (COUNCIL, "The harbour council.", False),
        (COUNCIL, "Harbour council?", False),
        (COUNCIL, "Somebody from the harbour council.", False),
        (COUNCIL, "The harbour council sent a letter.", False),
        (COUNCIL, "He is from the harbour council.", False),
        (SEAL, "Look here. The bailiff's own seal.", True),
        (SEAL, "I've the bailiff's seal, see.", True),
        (SEAL, "Is that the bailiff's seal?", False),
        (SEAL, "The bailiff's seal was stolen.", False),
        (SEAL, "I don't have the bailiff's seal.", False),
        (SEAL, "Here you are, a bailiff's button.", False),
        (CODE, "Kingfisher Six. So who is he?", True),
        (CODE, "I saw a kingfisher and six geese.", False),
        (TOLD, "Agnes told me herself, you need not pretend.", True),
        (TOLD, "Agnes never told me.", False),
        (TOLD, "Agnes told you.", False),
        (SWORN, "I swear on my kids the contractor never hears it.", True),
        (SWORN, "The contractor swears a lot.", False),
        (SWORN, "I'll tell the contractor.", False),
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
