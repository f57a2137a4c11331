"""What the player said waits until something of its answer was heard, and is never asked twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from npc.bench.scripted import ScriptedMind
from npc.bench.virtual_time import virtual_loop
from tests.conversation.talk import clauses, engines, event, speak, talking, type_and_ask

LONG = "alpha beta gamma delta epsilon zeta eta theta"


def run(scenario: Any) -> None:
    with virtual_loop() as loop:
        loop.run_until_complete(scenario)


@pytest.mark.parametrize("opted_in", [True, False])
def test_a_question_typed_over_an_answer_is_asked_alone(opted_in: bool) -> None:
    """The mind was asked "Who are you? And your name?", though half of the answer to the first had been heard."""
    mind = ScriptedMind(lambda text: clauses(LONG))

    async def scenario() -> None:
        async with talking(engines(mind), opted_in=opted_in) as (session, _):
            type_and_ask(session, "Who are you?")
            await asyncio.sleep(1.5)
            if not opted_in:
                session.receive(event("response.cancel"))
            type_and_ask(session, "And your name?")
            await asyncio.sleep(8)
            assert [turn.text for turn in mind.asked] == ["Who are you?", "And your name?"]
            heard = [(turn.text, bool(reply.text)) for turn, reply in mind.committed if turn and reply]
            assert heard == [("Who are you?", True), ("And your name?", True)]

    run(scenario())


def test_a_question_typed_over_an_answer_that_was_not_begun_is_asked_with_it_and_remembered_once() -> None:
    mind = ScriptedMind(lambda text: clauses(LONG))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, _):
            type_and_ask(session, "Who are you?")
            await asyncio.sleep(0.05)
            type_and_ask(session, "And your name?")
            await asyncio.sleep(8)
            assert mind.asked[-1].text == "Who are you? And your name?"
            assert [turn.text for turn, _ in mind.committed if turn] == ["Who are you? And your name?"]
            assert session.turns.unanswered == []

    run(scenario())


def test_a_client_that_says_that_nothing_was_heard_is_believed() -> None:
    mind = ScriptedMind(lambda text: clauses(LONG))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            type_and_ask(session, "Who are you?")
            await asyncio.sleep(1.5)
            await speak(session, 0.6)
            last = outbox.audio()[-1]
            told = {"response_id": last.response_id, "item_id": last.item_id, "played_samples": 0, "state": "stopped"}
            session.receive(event("npc.playback", **told))
            await speak(session, 2.0, loud=False)
            assert mind.asked[-1].text == "Who are you? hello there"

    run(scenario())


def test_a_word_that_an_earlier_question_holds_stays_unanswered() -> None:
    """ "No" was taken for answered because the question before it was "Do you know?"."""
    mind = ScriptedMind(lambda text: clauses(LONG))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, _):
            type_and_ask(session, "do you know?")
            await asyncio.sleep(1.5)
            session.turns.unanswered.append("no")
            await speak(session, 0.6)
            await speak(session, 2.0, loud=False)
            assert mind.asked[-1].text == "no hello there"

    run(scenario())


def test_speech_committed_over_an_answer_is_asked_alone() -> None:
    """Push-to-talk: the next turn is over before the client has said how far the answer came."""
    mind = ScriptedMind(lambda text: clauses(LONG))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, _):
            session.receive(event("session.update", session={"audio": {"input": {"turn_detection": None}}}))
            type_and_ask(session, "Who are you?")
            await asyncio.sleep(1.5)
            await speak(session, 0.6)
            session.receive(event("input_audio_buffer.commit"))
            session.receive(event("response.create"))
            await asyncio.sleep(8)
            assert [turn.text for turn in mind.asked] == ["Who are you?", "hello there"]

    run(scenario())
