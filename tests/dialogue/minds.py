"""Helpers of the mind's tests: a clock turned by hand, a Responder that says what it is told."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from npc.dialogue.actions_select import ActionSelector
from npc.dialogue.character import Character
from npc.dialogue.context import Context
from npc.dialogue.emotion_reading import PlayerReader
from npc.dialogue.emotion_words import load_word_emotions
from npc.dialogue.interface import Citation, Clause, HeardReply, PlayerTurn
from npc.dialogue.memory.store import MemoryStore
from npc.dialogue.mind import CharacterMind
from npc.dialogue.mind_draft import Drafter
from npc.dialogue.narrative import Narrative
from npc.dialogue.safety import Moderator


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Parrot:
    """A Responder that yields prepared clauses and keeps the contexts it was given."""

    name = "parrot"

    def __init__(self, clauses: Sequence[Clause] = (Clause("Fine."),)) -> None:
        self.clauses = list(clauses)
        self.contexts: list[Context] = []

    async def respond(self, context: Context) -> AsyncIterator[Clause]:
        self.contexts.append(context)
        for clause in self.clauses:
            await asyncio.sleep(0)
            yield clause


def make_mind(
    character: Character,
    responder: Any,
    *,
    clock: Callable[[], float] | None = None,
    store: MemoryStore | None = None,
    story: Narrative | None = None,
) -> CharacterMind:
    reader = PlayerReader(load_word_emotions())
    moderator = Moderator(character)
    numbers = itertools.count(1)
    selector = ActionSelector(character, lambda: f"call{next(numbers)}")
    memory = (store or MemoryStore()).player(character.id, "p")
    drafter = Drafter(character, reader, moderator, selector)
    return CharacterMind(
        character, responder, drafter, reader, moderator, memory=memory, clock=clock or Clock(), story=story
    )


async def say(
    mind: CharacterMind, text: str, turn_id: str = "t", *, heard: str | None = None, **turn: Any
) -> list[Clause]:
    """Answer and commit; `heard` None means that all of it was heard."""
    player = PlayerTurn(turn_id, text, spoken=False, **turn)
    clauses = [clause async for clause in mind.respond(player)]
    full = " ".join(clause.text for clause in clauses)
    words = full if heard is None else heard
    done = tuple(action.call_id for clause in clauses for action in clause.actions) if heard is None else ()
    await mind.commit(player, HeardReply(turn_id, "r", words, heard is not None, actions_done=done))
    return clauses


CITED = Clause("Rope costs six silver.", citations=(Citation("rope", "slate", 0, 4),))
