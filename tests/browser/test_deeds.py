"""Every action of the shipped characters has a picture: what the stage does for it, and to which thing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.browser.test_clock import play

CHARACTERS = Path(__file__).parents[2] / "demo/characters"


def deed(character: str, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
    card = yaml.safe_load((CHARACTERS / character / "character.yaml").read_text())
    assert action in [one["name"] for one in card["actions"]]
    return play("deeds.mjs", action, json.dumps(arguments), json.dumps(card["scene"]["entities"]))


@pytest.mark.parametrize(
    ("character", "action", "arguments", "kind", "target", "line"),
    [
        (
            "sela-marrow",
            "sell_item",
            {"item": "hand lamp", "quantity": 1},
            "give",
            "hand-lamp",
            "hands you the hand lamp",
        ),
        (
            "sela-marrow",
            "sell_item",
            {"item": "rope", "quantity": 1},
            "give",
            "rope-coil",
            "hands you the coil of rope",
        ),
        ("sela-marrow", "take_back", {"item": "hand lamp"}, "take", "hand-lamp", "takes the hand lamp back"),
        ("sela-marrow", "light_lamp", {"target": "storm-lamp"}, "light", "storm-lamp", "lights the storm lamp"),
        ("sela-marrow", "point_to", {"target": "slate"}, "point", "slate", "points to the price slate"),
        ("anselm-roe", "wind_clock", {"target": "walnut-clock", "turns": 3}, "work", "walnut-clock", None),
        ("anselm-roe", "give_leaflet", {"language": "French"}, "give", "leaflets", "hands you the leaflets"),
        ("callum-reid", "hand_over", {"item": "umbrella"}, "give", "umbrella", "hands you the black umbrella"),
        ("callum-reid", "print_badge", {"visitors": 2}, "give", None, "hands you the badge"),
        ("callum-reid", "open_ward_door", {}, "open", "ward-door", "opens the ward door"),
        ("callum-reid", "call_nurse", {"urgency": "urgent"}, "call", None, "calls for the nurse"),
    ],
)
def test_deeds(
    character: str, action: str, arguments: dict[str, Any], kind: str, target: str | None, line: str | None
) -> None:
    made = deed(character, action, arguments)
    assert (made["kind"], made["target"]) == (kind, target)
    assert line is None or made["line"] == line


def test_a_message_or_arguments_that_cannot_be_read_break_nothing_and_are_called_what_they_are() -> None:
    got = play("handlers.mjs")
    assert got["thrown"] == "SyntaxError", "a handler's own error is no fault of the message"
    assert got["problems"] == ['not a JSON event: {"type":', "not a JSON event: 7"]
    assert (got["told"], got["sent"]) == (["hands you the coil of rope"], 1)
    assert got["done"] == 0, "an action announced in one conversation was done in the next"


@pytest.mark.parametrize(
    ("action", "line"),
    [("handle_complaint", "handle complaint"), ("passcode_reset", "passcode reset"), ("giveItem", "hands you it")],
)
def test_the_verb_is_a_whole_word(action: str, line: str) -> None:
    assert play("deeds.mjs", action, "{}", "[]")["line"] == line
