"""What a community card says in prose, read into fields."""

from __future__ import annotations

from typing import Any

import pytest

from npc.dialogue.cards import from_card
from npc.dialogue.cards_prose import age_in, examples_in, pronouns_in, role_in, scene_in, spoken

CARD: dict[str, Any] = {
    "spec": "chara_card_v2",
    "spec_version": "2.0",
    "data": {
        "name": "Luna",
        "description": "{{char}} is a 24-year-old elf ranger. She carries a bow. Her brother was taken by orcs.",
        "scenario": "{{user}} meets {{char}} at the edge of the Silverwood at dusk.",
        "first_mes": "*She steps from behind a tree.* Halt! Who goes there?",
        "mes_example": "<START>\n{{user}}: Hello\n{{char}}: *nods* Well met.\n{{user}}: hello\n{{char}}: *waves*",
    },
}


def test_a_card_gets_pronouns_age_place_and_lines_to_say() -> None:
    luna = from_card(CARD)
    assert (luna.pronouns, luna.age, luna.role) == ("she", 24, "elf ranger")
    assert (luna.scene.location, luna.scene.time) == ("the edge of the Silverwood", "dusk")
    assert luna.greeting == ("Halt! Who goes there?",)
    assert [(talk.when, talk.say) for talk in luna.small_talk] == [(("Hello",), ("Well met.",))]


@pytest.mark.parametrize(
    ("text", "pronouns"),
    [
        ("She keeps bees. Her hives are old.", "she"),
        ("He smiles. His sister left; he misses her.", "he"),
        ("I keep bees. My daughter says she hates them.", "they"),
        ("Sam keeps bees.", "they"),
        ("He loves her and she loves him.", "they"),
    ],
)
def test_pronouns_are_taken_only_where_plain(text: str, pronouns: str) -> None:
    assert pronouns_in(text) == pronouns


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("*She bows.* Welcome.", "Welcome."),
        ('The door opens. "Who is it?" she asks. "Come in."', "Who is it? Come in."),
        ("Just words.", "Just words."),
        ("*silence*", ""),
        ("[OOC: be nice] Hello * there", "Hello * there"),
    ],
)
def test_stage_directions_are_not_spoken(line: str, said: str) -> None:
    assert spoken(line) == said


def test_what_is_not_plain_stays_open() -> None:
    assert age_in("An old smith.") is None
    assert role_in("Bo", "Bo loves soup.") == ""
    assert scene_in("Two people talk.") == {}
    assert examples_in("no speaker here", "Bo") == []
