"""What visitors of the demo ask its characters to do, through the whole mind: the deed that a person would expect."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from npc.dialogue.actions import Action
from npc.dialogue.character_library import find_character
from npc.dialogue.interface import PlayerTurn
from npc.dialogue.mind_open import Shared, open_mind, prepare
from npc.inference.encoder import load_encoder

pytestmark = pytest.mark.skipif(load_encoder() is None, reason="the sentence encoder is not installed")

#: character -> (what is said, the deed, its arguments as far as they are said). No deed: the words are talk.
ASKED: Mapping[str, tuple[tuple[str, str | None, Mapping[str, Any]], ...]] = {
    "sela-marrow": (
        ("I'll take two hand lamps, please.", "sell_item", {"item": "hand lamp", "quantity": 2}),
        ("I'll take one hand lamp, please.", "sell_item", {"item": "hand lamp", "quantity": 1}),
        ("Could I buy a storm lamp?", "sell_item", {"item": "storm lamp"}),
        ("sell me five wicks", "sell_item", {"item": "wicks", "quantity": 5}),
        ("i would like some silk rope please", "sell_item", {"item": "silk rope"}),
        ("I want my money back for this rope.", "take_back", {"item": "rope"}),
        ("Could you light the hand lamp for me?", "light_lamp", {"target": "hand-lamp"}),
        ("Light the lamp, would you?", "light_lamp", {}),
        ("Point to the slate for me.", "point_to", {"target": "slate"}),
        ("How much is a hand lamp?", None, {}),
        ("What do the lamps burn?", None, {}),
        ("I bought two hand lamps from you last week.", None, {}),
    ),
    "anselm-roe": (
        ("Give the walnut clock three turns, please.", "wind_clock", {"target": "walnut-clock", "turns": 3}),
        ("Show me the Roman sundial.", "show_exhibit", {"target": "sundial"}),
        ("Let me hear the water clock.", "play_sound", {"sound": "water clock"}),
        ("May I have a leaflet in German?", "give_leaflet", {"language": "German"}),
        ("Who made the oldest clock?", None, {}),
    ),
    "callum-reid": (
        ("We need two visitor badges, please.", "print_badge", {}),
        ("How do I get to the pharmacy?", "show_route", {"place": "pharmacy"}),
        ("Please get a nurse, quickly, he collapsed!", "call_nurse", {}),
        ("There's a man fighting in the hall, call security.", "call_security", {}),
        ("When are the visiting hours?", None, {}),
    ),
}
CASES = [(who, *case) for who, cases in ASKED.items() for case in cases]


@pytest.fixture(scope="module")
def shared() -> dict[str, Shared]:
    found = {name: find_character(name) for name in ASKED}
    return {name: prepare(installed.character, installed.path.parent) for name, installed in found.items()}


@pytest.mark.parametrize(("who", "said", "deed", "arguments"), CASES, ids=[case[1] for case in CASES])
def test_deed(shared: dict[str, Shared], who: str, said: str, deed: str | None, arguments: Mapping[str, Any]) -> None:
    async def first_deed() -> Action | None:
        mind = open_mind(shared[who])
        try:
            clauses = [clause async for clause in mind.respond(PlayerTurn("t1", said, spoken=False))]
        finally:
            await mind.close()
        return next((action for clause in clauses for action in clause.actions), None)

    action = asyncio.run(first_deed())
    assert (action.name if action else None) == deed
    if action is not None:
        assert {name: action.arguments.get(name) for name in arguments} == dict(arguments)
