"""What breaks and what comes in badly: the session says so and lives on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from npc.bench.scripted import ScriptedMind, ScriptedRecognizer, ScriptedVoice
from npc.bench.virtual_time import virtual_loop
from npc.conversation.port import Opening
from npc.conversation.recorder import NoRecorder
from npc.conversation.reply import Speaker
from npc.conversation.session import TalkSession
from npc.dialogue.interface import Action, Clause, PlayerTurn
from npc.tts.interface import SpeechChunk, SpeechRequest
from tests.conversation.talk import RATE, Recording, clauses, engines, event, speak, talking, type_and_ask


class DumbVoice(ScriptedVoice):
    """Loses its voice in the second clause."""

    def __init__(self) -> None:
        self.said = 0

    def synthesize(self, request: SpeechRequest) -> Iterator[SpeechChunk]:
        self.said += 1
        if self.said == 2:
            raise RuntimeError("the scripted voice crashed")
        yield from super().synthesize(request)


class LostMind(ScriptedMind):
    """Fails before its first word, once."""

    failed = False

    async def respond(self, turn: PlayerTurn) -> AsyncIterator[Clause]:
        if not self.failed:
            self.failed = True
            raise RuntimeError("the scripted mind crashed")
        async for clause in super().respond(turn):
            yield clause


def run(scenario: object) -> None:
    with virtual_loop() as loop:
        loop.run_until_complete(scenario)  # type: ignore[arg-type]


def test_a_voice_that_crashes_leaves_the_text_and_says_so_and_comes_back() -> None:
    mind = ScriptedMind(lambda text: clauses("Sit down.", "Have some bread."))

    async def scenario() -> None:
        async with talking(engines(mind, speaker=Speaker(DumbVoice()))) as (session, outbox):
            type_and_ask(session, "hello")
            await asyncio.sleep(5)
            done = outbox.of("response.done")[0].response
            assert done.output[0].content[0].transcript == "Sit down. Have some bread."
            status = outbox.of("npc.status")[0]
            assert (status.component, status.state, status.fallback) == ("tts", "degraded", "text")
            type_and_ask(session, "again")
            await asyncio.sleep(6)
            assert outbox.of("npc.status")[-1].state == "ok"

    run(scenario())


def test_a_mind_that_fails_says_a_line_in_character() -> None:
    mind = LostMind(lambda text: clauses("Here I am."))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            type_and_ask(session, "hello")
            await asyncio.sleep(8)
            said = outbox.of("response.done")[0].response.output[0].content[0].transcript
            assert said.startswith("Forgive me, I lost my thread.")
            assert outbox.of("npc.status")[0].component == "llm"
            type_and_ask(session, "and now?")
            await asyncio.sleep(4)
            assert outbox.of("response.done")[-1].response.output[0].content[0].transcript == "Here I am."

    run(scenario())


def test_a_recogniser_that_crashes_is_reported_and_the_next_utterance_is_heard() -> None:
    mind = ScriptedMind(lambda text: clauses("Aye."))
    recognizer = ScriptedRecognizer({4800: "hello there"}, fail_after=8000)

    async def scenario() -> None:
        async with talking(engines(mind, recognizer=recognizer)) as (session, outbox):
            await speak(session, 1.0)
            await speak(session, 2.0, loud=False)
            assert outbox.of("npc.status")[0].component == "asr"
            recognizer._fail_after = float("inf")
            await speak(session, 0.6)
            await speak(session, 2.0, loud=False)
            assert mind.asked[-1].text.endswith("hello there")

    run(scenario())


def test_sound_without_words_is_asked_about_when_it_was_long() -> None:
    mind = ScriptedMind(lambda text: clauses("Aye."))

    async def scenario() -> None:
        async with talking(engines(mind, recognizer=ScriptedRecognizer({}))) as (session, outbox):
            await speak(session, 1.2)
            await speak(session, 3.0, loud=False)
            assert outbox.of("response.done")[0].response.output[0].content[0].transcript.startswith("Sorry")
            await speak(session, 0.3)
            await speak(session, 2.0, loud=False)
            assert len(outbox.of("response.created")) == 1
            assert session.turn.state.value == "listening"

    run(scenario())


def test_a_ten_minute_monologue_ends_in_one_turn() -> None:
    mind = ScriptedMind(lambda text: clauses("That was long."))
    recognizer = ScriptedRecognizer({4800: "and then"})

    async def scenario() -> None:
        async with talking(engines(mind, recognizer=recognizer)) as (session, outbox):
            await speak(session, 600, piece=0.5)
            await speak(session, 3.0, loud=False)
            assert len(outbox.of("input_audio_buffer.speech_started")) == 1
            assert len(mind.asked) >= 1
            assert len(recognizer.opened) == 20, "a segment every 30 s"
            assert mind.asked[-1].text == " ".join(["and then"] * 20)

    run(scenario())


def test_100_kb_of_text_is_answered() -> None:
    mind = ScriptedMind(lambda text: clauses("I shall read it."))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            type_and_ask(session, "word " * 20_000)
            await asyncio.sleep(3)
            assert outbox.of("response.done")[0].response.status == "completed"
            assert len(mind.asked[0].text) > 99_000

    run(scenario())


def test_a_character_that_talks_without_end_is_spoken_in_pieces() -> None:
    mind = ScriptedMind(lambda text: [Clause("so " * 900 + "on.")])

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            type_and_ask(session, "go")
            await asyncio.sleep(2)
            assert outbox.audio()
            assert not outbox.of("npc.status")

    run(scenario())


@pytest.mark.parametrize("level", [0, 20, 32767])
def test_silence_noise_and_clipping_do_no_harm(level: int) -> None:
    mind = ScriptedMind(lambda text: clauses("Aye."))
    rng = np.random.default_rng(1)

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, _):
            for _ in range(100):
                session.hear((rng.choice([-1, 1], RATE // 50) * level).astype(np.int16))
                await asyncio.sleep(0.02)
            session.hear(np.zeros(0, np.int16))
            session.hear(np.zeros(1, np.int16))
            await asyncio.sleep(4)
            type_and_ask(session, "still there?")
            await asyncio.sleep(2)
            assert mind.asked[-1].text.endswith("still there?")

    run(scenario())


def test_text_only_sessions_get_text_and_no_sound() -> None:
    mind = ScriptedMind(lambda text: clauses("Well met.", "Sit down."))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            session.receive(event("session.update", session={"output_modalities": ["text"]}))
            type_and_ask(session, "hello")
            await asyncio.sleep(1)
            assert not outbox.audio()
            assert "".join(e.delta for e in outbox.of("response.output_text.delta")) == "Well met. Sit down."
            reply = mind.committed[0][1]
            assert reply is not None
            assert reply.text == "Well met. Sit down."
            assert session.turn.state.value == "listening"

    run(scenario())


def test_actions_are_function_calls_and_those_not_reached_are_cancelled() -> None:
    mind = ScriptedMind(
        lambda text: [
            Clause("I wave at you now.", actions=(Action("c1", "wave", {"hand": "left"}, 1),)),
            Clause("Then I open the heavy old door.", actions=(Action("c2", "open_door", {}, 6),)),
        ],
        wants=lambda happened: happened.kind == "action_result",
    )

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            type_and_ask(session, "go")
            await asyncio.sleep(0.9)
            call = outbox.of("response.function_call_arguments.done")[0]
            assert (call.name, call.arguments, call.call_id) == ("wave", '{"hand": "left"}', "c1")
            await speak(session, 1.2)
            cancelled = outbox.of("npc.action.cancelled")
            assert [(e.call_id, e.name, e.undo) for e in cancelled] == [("c2", "open_door", False)]
            reply = mind.committed[0][1]
            assert reply is not None
            assert (reply.actions_done, reply.actions_cancelled) == (("c1",), ("c2",))
            await speak(session, 2.0, loud=False)
            item = {"type": "function_call_output", "call_id": "c1", "output": '{"ok": true}'}
            session.receive(event("conversation.item.create", item=item))
            await asyncio.sleep(6)
            assert mind.observed[-1].data["ok"] is True
            assert mind.asked[-1].text == "", "the character goes on of itself"

    run(scenario())


@pytest.mark.parametrize(
    ("kind", "fields", "code", "param"),
    [
        ("conversation.item.retrieve", {"item_id": "nope"}, "item_not_found", "item_id"),
        ("conversation.item.delete", {"item_id": "nope"}, "item_not_found", "item_id"),
        ("conversation.item.truncate", {"item_id": "nope", "audio_end_ms": 5}, "item_not_found", "item_id"),
        ("response.cancel", {}, "response_cancel_not_active", None),
        ("response.cancel", {"response_id": "r"}, "response_cancel_not_active", "response_id"),
        ("input_audio_buffer.commit", {}, "input_audio_buffer_commit_empty", None),
        ("npc.load", {"slot": "none"}, "not_found", "slot"),
        ("npc.instructor", {"action": "whisper", "text": "x"}, "forbidden", "type"),
        ("npc.room", {"action": "join", "member": "m"}, "not_supported", "action"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_field(
    kind: str, fields: dict[str, object], code: str, param: str | None
) -> None:
    mind = ScriptedMind(lambda text: clauses("Aye."))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            session.receive(event(kind, event_id="mine", **fields))
            await asyncio.sleep(0.01)
            error = outbox.of("error")[0].error
            assert (error.code, error.param, error.event_id) == (code, param, "mine")
            type_and_ask(session, "still there?")
            await asyncio.sleep(2)
            assert outbox.of("response.done")

    run(scenario())


def test_a_lost_socket_pauses_and_goes_on_at_the_sample() -> None:
    mind = ScriptedMind(lambda text: clauses("alpha beta gamma delta epsilon zeta eta theta"))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            type_and_ask(session, "go")
            await asyncio.sleep(0.5)
            session.attach(False)
            sent = len(outbox.audio())
            await asyncio.sleep(10)
            assert len(outbox.audio()) == sent
            session.attach(True)
            await asyncio.sleep(6)
            starts = [piece.start for piece in outbox.audio()]
            sizes = [piece.pcm.size for piece in outbox.audio()]
            assert all(a + n == b for a, n, b in zip(starts, sizes, starts[1:], strict=False))
            assert outbox.of("response.done")[0].response.status == "completed"

    run(scenario())


def test_save_slots_bring_the_conversation_back() -> None:
    mind = ScriptedMind(lambda text: clauses("Aye."))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            type_and_ask(session, "first")
            await asyncio.sleep(2)
            session.receive(event("npc.save", slot="one"))
            before = session.items.all()
            type_and_ask(session, "second")
            await asyncio.sleep(2)
            session.receive(event("npc.load", slot="one", fork="two"))
            await asyncio.sleep(0.1)
            assert session.items.all() == before
            assert outbox.of("npc.loaded")[0].items == len(before)
            assert [e.kind for e in mind.observed] == ["save", "load"]

    run(scenario())


def test_a_mind_that_cannot_be_closed_leaves_the_log_and_the_session_whole() -> None:
    class Clinging(ScriptedMind):
        async def close(self) -> None:
            raise RuntimeError("the disk is full")

    class Kept(NoRecorder):
        kinds: list[str] = []  # noqa: RUF012
        ended = False

        def record(self, kind: str, data: Mapping[str, Any], at: float) -> None:
            self.kinds.append(kind)

        async def end(self) -> None:
            self.ended = True

    kept = Kept()

    async def scenario() -> None:
        async with talking(engines(Clinging(lambda text: clauses("Aye."))), recorder=kept) as (_, outbox):
            pass
        assert "the disk is full" in outbox.of("error")[0].error.message

    run(scenario())
    assert "session.closed" in kept.kinds
    assert kept.ended


def test_what_fails_before_the_session_runs_is_told_and_not_fatal() -> None:
    async def scenario() -> None:
        outbox = Recording()
        made = engines(ScriptedMind(lambda text: clauses("Aye.")))
        session = TalkSession(Opening("sess_test", "scripted", opted_in=True), made, outbox)

        def fails() -> None:
            raise RuntimeError("too early")

        session.when_running(fails)
        task = asyncio.ensure_future(session.run())
        await asyncio.sleep(0.1)
        assert "too early" in outbox.of("error")[0].error.message
        type_and_ask(session, "still there?")
        await asyncio.sleep(2)
        assert outbox.of("response.done")
        await session.close("done")
        await task

    run(scenario())
