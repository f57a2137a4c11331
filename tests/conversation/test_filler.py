"""A mind that takes long is covered by a filler: spoken and heard, and no part of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from npc.bench.scripted import ScriptedMind
from npc.bench.virtual_time import virtual_loop
from npc.conversation.recompute import Answered, recompute, steps
from npc.dialogue.interface import Clause, PlayerTurn
from tests.conversation.talk import Recording, clauses, engines, event, speak, talking, type_and_ask
from tests.conversation.test_recompute import Clock
from tests.conversation.test_replay import Tape
from tests.server.running import until


class Slow(ScriptedMind):
    """Thinks for `seconds` before its first clause."""

    def __init__(self, seconds: float) -> None:
        super().__init__(lambda text: clauses("Aye, it is."))
        self._seconds = seconds

    async def respond(self, turn: PlayerTurn) -> AsyncIterator[Clause]:
        await asyncio.sleep(self._seconds)
        async for clause in super().respond(turn):
            yield clause


def made(mind: ScriptedMind, after: float = 1.0) -> Any:
    return engines(mind, fillers=("Hm.", "Let me think."), filler_after=after)


def transcripts(outbox: Recording) -> list[str]:
    return [done.transcript for done in outbox.of("response.output_audio_transcript.done")]


def run(scenario: Any) -> None:
    with virtual_loop() as loop:
        loop.run_until_complete(scenario())


def test_a_slow_mind_holds_the_floor_with_the_next_filler_and_remembers_its_answer_alone() -> None:
    mind = Slow(2.5)

    async def scenario() -> None:
        async with talking(made(mind)) as (session, outbox):
            for text in ("Is it far?", "Is it deep?"):
                type_and_ask(session, text)
                await asyncio.sleep(9)
            spoken = transcripts(outbox)
            assert [text.endswith("Aye, it is.") for text in spoken] == [True, True]
            assert {text.removesuffix(" Aye, it is.") for text in spoken} == {"Hm.", "Let me think."}
            assert [reply.text for _, reply in mind.committed if reply] == ["Aye, it is."] * 2

    run(scenario)


def test_the_filler_sounds_when_patience_ends_and_the_answer_goes_on_behind_it() -> None:
    async def first_sound(after: float) -> float:
        async with talking(made(Slow(2.5), after)) as (session, outbox):
            begun = asyncio.get_running_loop().time()
            type_and_ask(session, "Is it far?")
            await until(lambda: outbox.of("response.output_audio_transcript.delta"), 5.0)
            return asyncio.get_running_loop().time() - begun

    async def scenario() -> None:
        assert 0.95 <= await first_sound(1.0) <= 1.2
        assert 2.45 <= await first_sound(0.0) <= 2.7, "0: never"

    run(scenario)


def test_a_quick_mind_needs_none_and_a_text_reply_gets_none() -> None:
    async def scenario() -> None:
        async with talking(made(Slow(0.5))) as (session, outbox):
            type_and_ask(session, "Is it far?")
            await asyncio.sleep(5)
            assert transcripts(outbox) == ["Aye, it is."]
        async with talking(engines(Slow(2.5), fillers=("Hm.",), filler_after=1.0, speaker=None)) as (session, outbox):
            type_and_ask(session, "Is it far?")
            await asyncio.sleep(5)
            assert [done.text for done in outbox.of("response.output_text.done")] == ["Aye, it is."]

    run(scenario)


def test_time_spent_on_a_draft_does_not_count() -> None:
    """The player still speaks, or may go on: nobody waits yet."""
    mind = Slow(1.2)

    async def scenario() -> None:
        async with talking(made(mind, 1.1)) as (session, outbox):
            await speak(session, 0.6)
            await speak(session, 1.5, loud=False)
            await asyncio.sleep(5)
            assert transcripts(outbox) == ["Aye, it is."]

    run(scenario)


def test_who_cuts_into_the_filler_was_not_answered() -> None:
    mind = Slow(4.0)

    async def scenario() -> None:
        async with talking(made(mind, 0.5)) as (session, _):
            type_and_ask(session, "Is it far?")
            await asyncio.sleep(0.9)
            session.receive(event("response.cancel"))
            type_and_ask(session, "Is it deep?")
            await asyncio.sleep(9)
            assert [turn.text for turn in mind.asked] == ["Is it far? Is it deep?"]
            assert [(turn.text, reply.text) for turn, reply in mind.committed if turn and reply] == [
                ("Is it far? Is it deep?", "Aye, it is.")
            ]

    run(scenario)


def test_a_failing_mind_says_so_behind_its_filler() -> None:
    class Lost(Slow):
        async def respond(self, turn: PlayerTurn) -> AsyncIterator[Clause]:
            await asyncio.sleep(self._seconds)
            raise RuntimeError("the model is gone")
            yield Clause("")

    async def scenario() -> None:
        async with talking(made(Lost(2.0))) as (session, outbox):
            type_and_ask(session, "Is it far?")
            await asyncio.sleep(9)
            assert "lost my thread" in transcripts(outbox)[0]

    run(scenario)


def test_a_recorded_filler_is_no_difference() -> None:
    tape = Tape()

    async def scenario() -> None:
        async with talking(made(Slow(2.0)), recorder=tape) as (session, _):
            type_and_ask(session, "Is it far?")
            await asyncio.sleep(9)

    run(scenario)
    (told,) = [step for step in steps(tape.records) if isinstance(step, Answered)]
    assert (told.text, told.heard.text, told.heard.interrupted) == ("Aye, it is.", "Aye, it is.", False)
    assert [clause[0] for clause in told.clauses] == ["Hm.", "Aye, it is."]
    assert asyncio.run(recompute(tape.records, ScriptedMind(lambda text: clauses("Aye, it is.")), Clock())).exact
