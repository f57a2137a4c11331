"""`session.tools` on their way to the mind: given, taken back, kept over a change of mind, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

from npc.bench.scripted import ScriptedMind
from npc.bench.virtual_time import virtual_loop
from npc.conversation.late_mind import LateMind
from npc.dialogue.interface import Mind
from npc.dialogue.tools import Equipment
from tests.conversation.talk import Recording, clauses, engines, event, talking


class Equipped(ScriptedMind):
    """Notes what it was given."""

    def __init__(self) -> None:
        super().__init__(lambda text: clauses("As you say."))
        self.given: list[list[str]] = []

    def equip(self, equipment: Equipment) -> None:
        self.given.append([equipment.called[spec.name] for spec in equipment.actions])


GATE = {"type": "function", "name": "openGate", "description": "Open the gate"}
DEEP = {
    "type": "function",
    "name": "plan",
    "parameters": {"type": "object", "properties": {"steps": {"type": "array"}}, "required": ["steps"]},
}


def told(mind: Any, *updates: dict[str, Any], wait: float = 0.0) -> Recording:
    async def scenario() -> Recording:
        async with talking(engines(mind)) as (session, outbox):
            for update in updates:
                session.receive(event("session.update", session={"type": "realtime", **update}))
            await asyncio.sleep(wait)
        return outbox

    with virtual_loop() as loop:
        return loop.run_until_complete(scenario())


def test_tools_are_given_and_taken_back() -> None:
    mind = Equipped()
    outbox = told(mind, {"tools": [GATE]}, {"instructions": "Be brief."}, {"tool_choice": "none"}, {"tools": []})
    assert mind.given == [["openGate"], [], []]
    assert not outbox.of("error")


def test_a_function_that_no_spoken_request_can_fill_is_named_and_the_rest_stands() -> None:
    mind = Equipped()
    outbox = told(mind, {"tools": [GATE, DEEP]})
    assert mind.given == [["openGate"]]
    assert len(outbox.of("session.updated")) == 1
    (error,) = outbox.of("error")
    assert error.error.param == "session.tools[1]"
    assert "'steps'" in error.error.message


def test_a_mind_that_comes_late_has_them_before_it_answers() -> None:
    mind = Equipped()

    async def scenario() -> None:
        made: asyncio.Future[Mind] = asyncio.get_running_loop().create_future()
        async with talking(engines(LateMind("scripted", made, ()))) as (session, _):  # type: ignore[arg-type]
            session.receive(event("session.update", session={"type": "realtime", "tools": [GATE]}))
            await asyncio.sleep(1.0)
            assert mind.given == []
            made.set_result(mind)
            await asyncio.sleep(1.0)

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())
    assert mind.given == [["openGate"]]
