"""A client's functions as actions: names, parameters, what cannot be called, and that a mind calls them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from npc.dialogue.character import Character
from npc.dialogue.interface import Action, Clause, PlayerTurn
from npc.dialogue.mind import CharacterMind
from npc.dialogue.mind_open import open_mind
from npc.dialogue.tools import ClientTool, equipment_of

GATE = ClientTool("openGate", "Open the castle gate", {"type": "object", "properties": {}})


def string(**more: Any) -> dict[str, Any]:
    return {"type": "string", **more}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("openGate", "open_gate"), ("open-gate", "open_gate"), ("OPEN_GATE", "open_gate"), ("9lives", "do_9lives")],
)
def test_a_function_has_an_action_name_and_keeps_its_own(name: str, wanted: str) -> None:
    equipment, unusable = equipment_of([ClientTool(name, "Do it")])
    assert not unusable
    assert [spec.name for spec in equipment.actions] == [wanted]
    clause = Clause("Done.", actions=(Action("c", wanted, {}), Action("d", "other", {})))
    assert [action.name for action in equipment.as_called(clause).actions] == [name, "other"]


def test_parameters_keep_what_a_spoken_request_can_fill() -> None:
    schema = {
        "type": "object",
        "title": "play_args",
        "properties": {
            "song": {"title": "Song", "type": "string"},
            "volume": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}], "description": "Loudness"},
            "mood": {"type": ["string", "null"], "enum": ["calm", "wild"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["song"],
        "additionalProperties": False,
    }
    (spec,), unusable = equipment_of([ClientTool("play", "", schema)])[0].actions, equipment_of([GATE])[1]
    assert spec.parameters["properties"] == {
        "song": {"type": "string"},
        "volume": {"type": "integer", "minimum": 0, "description": "Loudness"},
        "mood": {"type": "string", "enum": ["calm", "wild"]},
    }
    assert spec.parameters["required"] == ["song"]
    assert spec.description == "Play"
    assert not unusable


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "object", "properties": {"to": {"type": "object"}}, "required": ["to"]}, "'to' is required"),
        ({"type": "object", "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 1}}}, "above maximum"),
        ({"type": "object", "properties": {}, "required": ["n"]}, "without a schema"),
        ({"type": "object", "properties": [1]}, "must be a JSON Schema"),
    ],
)
def test_what_can_never_be_called_is_named_with_its_reason(schema: dict[str, Any], why: str) -> None:
    equipment, unusable = equipment_of([GATE, ClientTool("bad", "Bad", schema)])
    assert [spec.name for spec in equipment.actions] == ["open_gate"]
    assert [tool.index for tool in unusable] == [1]
    assert why in unusable[0].why


def test_two_names_that_read_alike_are_one_too_many() -> None:
    _, unusable = equipment_of([GATE, ClientTool("open_gate", "Open another gate")])
    assert "openGate" in unusable[0].why


def keeper() -> CharacterMind:
    character = Character.model_validate(
        {
            "id": "hob", "name": "Hob", "role": "gatekeeper", "biography": "Hob keeps the gate.",
            "facts": [{"id": "wall", "text": "The wall is nine feet thick."}],
            "actions": [{"name": "ring_bell", "description": "Ring the bell"}],
        }
    )  # fmt: skip
    return open_mind(character, clock=lambda: 0.0)


async def calls(mind: CharacterMind, text: str, turn_id: str) -> list[str]:
    clauses = [clause async for clause in mind.respond(PlayerTurn(turn_id, text, spoken=False))]
    return [action.name for clause in clauses for action in clause.actions]


def test_a_mind_calls_what_it_was_given_by_the_clients_name_and_no_longer_when_it_was_taken_away() -> None:
    async def talk() -> None:
        mind = keeper()
        assert await calls(mind, "Open the castle gate, please.", "t0") == []
        mind.equip(equipment_of([GATE])[0])
        assert await calls(mind, "Open the castle gate, please.", "t1") == ["openGate"]
        assert await calls(mind, "Ring the bell, please.", "t2") == ["ring_bell"]
        mind.equip(equipment_of([])[0])
        assert await calls(mind, "Open the castle gate, please.", "t3") == []
        await mind.close()

    asyncio.run(talk())


def test_an_action_of_its_own_wins_by_name() -> None:
    async def talk() -> None:
        mind = keeper()
        schema = {"type": "object", "properties": {"times": {"type": "integer"}}, "required": ["times"]}
        mind.equip(equipment_of([ClientTool("ring_bell", "Ring the bell so many times", schema)])[0])
        assert await calls(mind, "Ring the bell, please.", "t0") == ["ring_bell"]
        await mind.close()

    asyncio.run(talk())
