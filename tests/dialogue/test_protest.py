"""A character that protests an interruption: when, in which words, and how often."""

from __future__ import annotations

import asyncio

import pytest

from npc.dialogue.character import Character
from npc.dialogue.interface import HeardReply, PlayerTurn, WorldEvent
from npc.dialogue.mind import CharacterMind
from npc.dialogue.mind_open import open_mind
from npc.dialogue.protest import REST, Protest


def test_it_protests_once_and_rests() -> None:
    protest = Protest(["I wasn't finished.", "Let me end."])
    protest.interrupted()
    protest.answered("A lamp burns for", whole=False)
    assert protest.line == "I wasn't finished.", "the answer that was cut short is not the one that protests"
    protest.answered("I wasn't finished. Rope costs", whole=False)
    for _ in range(REST):
        protest.interrupted()
        assert not protest.line
        protest.answered("Four silver.", whole=True)
    protest.interrupted()
    assert protest.line == "Let me end."


def test_what_was_not_said_in_time_is_dropped() -> None:
    protest = Protest(["I wasn't finished."])
    protest.interrupted()
    protest.answered("Somebody get help!", whole=True)
    assert not protest.line


def mind_of(manner: str) -> CharacterMind:
    character = Character.model_validate(
        {
            "id": "hob", "name": "Hob", "role": "ferryman", "biography": "Hob rows.", "interruption": manner,
            "protest": ["I wasn't finished."], "facts": [{"id": "fare", "text": "The ferry costs two coppers."}],
        }
    )  # fmt: skip
    return open_mind(character, clock=lambda: 0.0)


@pytest.mark.parametrize(("manner", "protests"), [("protest", True), ("yield", False)])
def test_a_mind_says_it_ahead_of_its_next_answer_alone(manner: str, protests: bool) -> None:
    async def talk() -> list[bool]:
        mind, begins = mind_of(manner), []
        for number in range(3):
            turn = PlayerTurn(f"t{number}", "What does the ferry cost?", spoken=True)
            said = " ".join([clause.text async for clause in mind.respond(turn)])
            begins.append(said.startswith("I wasn't finished."))
            assert "two coppers" in said
            await mind.commit(
                turn, HeardReply(turn.turn_id, f"r{number}", said[:5] if number == 0 else said, number == 0)
            )
            if number == 0:
                await mind.observe(WorldEvent("event", {"trigger": "interrupted", "salience": 0.4, "react": False}))
        await mind.close()
        return begins

    assert asyncio.run(talk()) == [False, protests, False]
