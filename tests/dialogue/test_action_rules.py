"""Rules of deeds without any encoder: numbers of a request, names, and what the facts forbid in which case."""

from __future__ import annotations

from typing import Any

import pytest

from npc.dialogue.actions_bans import Bans
from npc.dialogue.actions_choice import Surroundings
from npc.dialogue.actions_forms import DANGEROUS, FRAGMENT, OWN_ALONE, forms
from npc.dialogue.actions_request import requests
from npc.dialogue.actions_slots import Filled, fill
from npc.dialogue.actions_text import person
from npc.dialogue.actions_words import names_something_else
from npc.dialogue.character import Character
from npc.dialogue.scene import SceneState

CHARACTER = Character.model_validate(
    {
        "id": "ada", "name": "Ada Voss", "role": "keeper of the dome",
        "biography": "Ada has kept the dome since the old keeper left.",
        "facts": [
            {"id": "scope", "text": "The telescope is lent only to members of the society."},
            {"id": "oven", "text": "The oven is not switched on while nobody is in the kitchen."},
            {"id": "hatch", "text": "The hatch is opened for the engineer only."},
            {"id": "gold", "text": "Wishes for gold are limited to forty coins."},
            {"id": "door", "text": "When the kettle is on, nobody may open the street door."},
            {"id": "drums", "text": "The drums are full up; flutes are lent to anybody."},
        ],
        "actions": [
            {"name": "lend", "description": "Lend a thing", "parameters": {"type": "object", "properties": {
                "thing": {"type": "string", "description": "entity id from the scene"}}, "required": ["thing"]}},
            {"name": "switch_on", "description": "Switch something on", "parameters": {"type": "object", "properties": {
                "device": {"type": "string", "enum": ["oven", "kettle"]}}, "required": ["device"]}},
            {"name": "open_hatch", "description": "Open the hatch", "parameters": {"type": "object", "properties": {}}},
            {"name": "book", "description": "Book a walk", "parameters": {"type": "object", "properties": {
                "people": {"type": "integer", "minimum": 1, "maximum": 12},
                "hour": {"type": "integer", "minimum": 9, "maximum": 16}}, "required": ["people", "hour"]}},
            {"name": "send", "description": "Send trunks", "parameters": {"type": "object", "properties": {
                "platform": {"type": "integer", "minimum": 1, "maximum": 4},
                "trunks": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["platform", "trunks"]}},
            {"name": "hire", "description": "Hire out an instrument", "parameters": {"type": "object", "properties": {
                "instrument": {"type": "string", "enum": ["drum", "flute"]},
                "months": {"type": "integer", "minimum": 1, "maximum": 12}}, "required": ["instrument", "months"]}},
            {"name": "room", "description": "Book a room", "parameters": {"type": "object", "properties": {
                "room": {"type": "integer", "minimum": 1, "maximum": 8},
                "nights": {"type": "integer", "minimum": 1, "maximum": 30}}, "required": ["room", "nights"]}},
            {"name": "bake", "description": "Bake loaves", "parameters": {"type": "object", "properties": {
                "loaves": {"type": "integer", "minimum": 1, "maximum": 99}}, "required": ["loaves"]}},
            {"name": "enter", "description": "Enter a name", "parameters": {"type": "object", "properties": {
                "name": {"type": "string"}}, "required": ["name"]}},
        ],
        "scene": {"entities": [
            {"id": "telescope", "kind": "instrument", "name": "telescope", "description": "a long brass telescope"},
            {"id": "gloves", "kind": "gear", "name": "gloves", "description": "brown mitts of leather"},
        ]},
    }
)  # fmt: skip
SPECS = {spec.name: spec for spec in CHARACTER.actions}
SCENE = SceneState.of(CHARACTER.scene)


def filled(name: str, text: str) -> dict[str, Any]:
    return dict(fill(SPECS[name], text, Surroundings(SCENE, turn=text)).arguments)


@pytest.mark.parametrize(
    ("text", "people", "hour"),
    [
        ("Put me and my five nephews down for eleven.", 6, 11),
        ("Book me and my sister in at two, please.", 2, 14),
        ("It's just me, for ten.", 1, 10),
        ("Four of us at noon, please.", 4, 12),
        ("Two grown-ups and three children, at eleven.", 5, 11),
    ],
)
def test_people_and_hours(text: str, people: int, hour: int) -> None:
    assert filled("book", text) == {"people": people, "hour": hour}


def test_a_number_is_taken_as_often_as_it_is_said() -> None:
    assert filled("send", "Send both trunks, it's platform two I want.") == {"platform": 2, "trunks": 2}


def test_a_span_is_read_in_what_the_parameter_counts() -> None:
    assert filled("hire", "The flute for half a year, please.") == {"instrument": "flute", "months": 6}
    assert filled("hire", "The flute for a whole year.") == {"instrument": "flute", "months": 12}
    assert filled("bake", "Two dozen loaves, please.") == {"loaves": 24}


def test_a_number_stays_with_what_it_stands_beside() -> None:
    assert filled("room", "Four nights in the quiet one, in room three.") == {"room": 3, "nights": 4}
    assert "room" not in filled("room", "The quiet one by the stairs, four nights.")


def test_a_name_that_was_told_of_another_is_taken_for_him() -> None:
    before = Surroundings(SCENE, turn="Sign him up, please.", player_words="My son's called Timo.")
    assert fill(SPECS["enter"], "Sign him up, please.", before).arguments == {"name": "Timo"}


def test_somebody_may_be_called_by_what_they_are() -> None:
    def called(text: str) -> str:
        return person(Surroundings(SCENE, turn=text), "person")

    assert called("Ring the magistrate and tell him we're waiting.") == "the magistrate"
    assert called("Send word to the cardinal's steward that I'll be late.") == "the cardinal's steward"
    assert person(Surroundings(SCENE, turn="Put me down for the tour, please.")) == ""


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("I'll phone them myself tonight.", True),
        ("I've rung the caretaker already.", True),
        ("I've locked myself out. Open it?", False),
        ("I'll take that one myself, thanks.", False),
    ],
)
def test_what_the_player_does_is_asked_of_nobody(text: str, own: bool) -> None:
    assert (OWN_ALONE.match(text) is not None) == own


def test_a_fragment_asks_on_and_forgetting_is_no_forging() -> None:
    assert FRAGMENT.match("and on wine")
    assert FRAGMENT.match("The wine sort, then?")
    assert FRAGMENT.match("and a beer for me, please") is None
    assert DANGEROUS.search("Pass me my hat before I forget it.") is None
    assert DANGEROUS.search("I'll take the burnt thing from the nail.") is None
    assert DANGEROUS.search("Forge me a passport.") is not None
    assert DANGEROUS.search("Burn the barn.") is not None


def test_a_name_that_was_not_given_is_no_sentence() -> None:
    assert filled("enter", "Could I get five? I'm stocking up.") == {}
    assert filled("enter", "please put it down under petra lund")["name"] == "petra lund"
    assert filled("enter", "Put Ruprecht Vane in the book.")["name"] == "Ruprecht Vane"


@pytest.mark.parametrize(
    ("action", "arguments", "turn", "forbidden"),
    [
        ("lend", {"thing": "telescope"}, "Lend me the telescope for a week.", "scope"),
        ("lend", {"thing": "telescope"}, "I'm a member of the society. Lend me the telescope.", None),
        ("lend", {"thing": "telescope"}, "I'm not a member, but lend me the telescope.", "scope"),
        ("switch_on", {"device": "oven"}, "Switch the oven on.", "oven"),
        ("switch_on", {"device": "oven"}, "I'm in the kitchen now. Switch the oven on.", None),
        ("switch_on", {"device": "kettle"}, "Switch the kettle on.", None),
        ("open_hatch", {}, "Open the hatch, I want to see inside.", "hatch"),
        ("switch_on", {"device": "kettle"}, "Then switch the kettle on for me.", None),
        ("hire", {"instrument": "drum", "months": 1}, "Hire me the drum for a month.", "drums"),
        ("hire", {"instrument": "flute", "months": 1}, "Hire me a flute for a month.", None),
    ],
)
def test_a_rule_holds_unless_its_case_is_told_otherwise(
    action: str, arguments: dict[str, Any], turn: str, forbidden: str | None
) -> None:
    verbs = {name: frozenset({name.split("_")[0]}) for name in SPECS}
    request = turn.rsplit(". ", maxsplit=1)[-1]
    fact = Bans(CHARACTER, None, verbs).against(
        request, SPECS[action], Filled(arguments, (), {}, 1, ()), SCENE, turn
    )  # fmt: skip
    assert (fact.id if fact is not None else None) == forbidden


@pytest.mark.parametrize(
    ("text", "elsewhere"),
    [
        ("Lend me a sandwich.", True),
        ("Lend me the queen's crown.", True),
        ("Lend me those mitts.", False),
        ("Lend me some leather mitts.", False),
        ("Lend me the thing you put on.", False),
    ],
)
def test_what_is_not_there_is_known_from_what_is_described(text: str, elsewhere: bool) -> None:
    request, *_ = requests(text)
    assert names_something_else(SPECS["lend"], frozenset({"lend"}), "thing", request, Surroundings(SCENE)) == elsewhere


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Evening. Two mugs of the dark, please.", "order"),
        ("I've already called my wife.", "past"),
        ("Nobody wants you to open that gate.", "not_asking"),
        ("Have you got something to measure a door with?", "is_there"),
        ("A tissue wouldn't go amiss.", "welcome"),
    ],
)
def test_forms(text: str, form: str) -> None:
    assert forms(text)[form] == 1.0
    assert forms("What does a ticket cost?")[form] == 0.0
