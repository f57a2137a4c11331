"""A character that is still being read when the player comes in."""

from __future__ import annotations

import asyncio
from typing import Any

from npc.bench.scripted import ScriptedMind
from npc.bench.virtual_time import virtual_loop
from npc.conversation.character_side import MOST_WAITING
from npc.conversation.late_mind import LateMind
from npc.dialogue.interface import Mind
from tests.conversation.talk import Recording, clauses, engines, event, speak, talking


def greeting_after(seconds: float, talk: Any = None) -> Recording:
    """What a session sends whose mind is there after so long, with `talk(session)` before it."""

    async def scenario() -> Recording:
        made: asyncio.Future[Mind] = asyncio.get_running_loop().create_future()
        mind = LateMind("scripted", made, ())
        async with talking(engines(mind, greets=True)) as (session, outbox):  # type: ignore[arg-type]
            if talk is not None:
                await talk(session)
            await asyncio.sleep(seconds)
            made.set_result(ScriptedMind(lambda text: clauses("Welcome." if not text else "As you say.")))
            await asyncio.sleep(8.0)
        return outbox

    with virtual_loop() as loop:
        return loop.run_until_complete(scenario())


def test_the_greeting_comes_late_rather_than_never() -> None:
    outbox = greeting_after(60.0)
    assert len(outbox.of("response.created")) == 1
    assert outbox.of("response.done")[0].response.status == "completed"
    assert min(at for at, _ in outbox.sent if at > 1.0) > 60.0, "and nobody pretends to think meanwhile"


def test_a_player_who_spoke_first_is_answered_and_not_greeted() -> None:
    async def talk(session: Any) -> None:
        await speak(session, 0.6)
        await speak(session, 2.0, loud=False)

    assert len(greeting_after(5.0, talk).of("response.created")) == 1


def test_what_happens_meanwhile_is_taken_in_once_the_mind_is_there() -> None:
    """The scene came with the first message, and was lost where the character took more than five seconds to read."""
    scripted = ScriptedMind(lambda text: clauses("As you say."))

    async def scenario() -> Recording:
        made: asyncio.Future[Mind] = asyncio.get_running_loop().create_future()
        async with talking(engines(LateMind("scripted", made, ()))) as (session, outbox):  # type: ignore[arg-type]
            session.receive(event("npc.scene.update", scene={"location": "the mill"}))
            for number in range(300):
                session.receive(event("npc.event", text=f"step {number}"))
            await asyncio.sleep(60.0)
            made.set_result(scripted)
            await asyncio.sleep(1.0)
        return outbox

    with virtual_loop() as loop:
        outbox = loop.run_until_complete(scenario())
    assert scripted.observed[0].data["location"] == "the mill"
    assert len(scripted.observed) == MOST_WAITING
    assert ["dropped" in one.message for one in outbox.of("npc.status")] == [True]
