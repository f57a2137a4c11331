"""Sessions in virtual time with scripted engines: typed and spoken turns, barge-in, bad input, faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from npc.asr.interface import Hypothesis
from npc.bench.scripted import ScriptedMind, ScriptedRecognizer
from npc.bench.virtual_time import virtual_loop
from npc.conversation.workers import InlineWorkers
from npc.dialogue.interface import Citation, Clause, PlayerTurn
from tests.conversation.talk import RATE, clauses, engines, event, speak, talking, type_and_ask


def test_a_typed_turn_is_answered_with_paced_audio_and_committed_as_heard() -> None:
    mind = ScriptedMind(lambda text: clauses("Good day, traveller.", "What brings you here?"))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            type_and_ask(session, "hello")
            await asyncio.sleep(8)
            kinds = outbox.types()
            assert kinds[0] == "session.created"
            order = [
                "conversation.item.added", "conversation.item.done", "response.created", "response.output_item.added",
                "response.content_part.added", "response.output_audio_transcript.delta", "npc.cues", "AudioOut",
                "response.output_audio.done", "response.output_audio_transcript.done", "response.output_item.done",
                "response.done", "npc.metrics",
            ]  # fmt: skip
            at = -1
            for kind in order:
                at = kinds.index(kind, at + 1)
            audio = outbox.audio()
            assert [piece.start for piece in audio] == [
                0,
                *[sum(p.pcm.size for p in audio[: i + 1]) for i in range(len(audio) - 1)],
            ]
            assert audio[-1].last
            assert not any(piece.last for piece in audio[:-1])
            assert outbox.of("response.done")[0].response.status == "completed"
            turn, heard = mind.committed[0]
            assert turn is not None
            assert turn.text == "hello"
            assert heard is not None
            assert heard.text == "Good day, traveller. What brings you here?"
            assert not heard.interrupted

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())


def test_audio_is_paced_on_absolute_deadlines() -> None:
    mind = ScriptedMind(lambda text: clauses("one two three four five six seven eight nine ten"))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            type_and_ask(session, "count")
            await asyncio.sleep(6)
            pieces = [(when, item) for when, item in outbox.sent if type(item).__name__ == "AudioOut"]
            began = pieces[0][0]
            for when, item in pieces:
                due = max(0.0, item.start / RATE - 0.2)
                assert abs(when - began - due) < 1e-6

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())


def test_a_spoken_turn_is_drafted_before_it_ends_and_sounds_at_once() -> None:
    mind = ScriptedMind(lambda text: clauses("Well met."))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            await speak(session, 1.0)
            ended = asyncio.get_running_loop().time()
            await speak(session, 2.0, loud=False)
            first = next(when for when, item in outbox.sent if type(item).__name__ == "AudioOut")
            # 240 ms of judged silence, seen at the frame in which it ends, and nothing else.
            assert first - ended <= 0.24 + 0.032 + 0.021
            kinds = outbox.types()
            for kind in (
                "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
                "input_audio_buffer.committed", "conversation.item.input_audio_transcription.completed",
            ):  # fmt: skip
                assert kinds.count(kind) == 1
            metrics = outbox.of("npc.metrics")[0]
            assert metrics.speculation["drafts"] == 1
            assert metrics.speculation["discarded"] == 0
            assert metrics.stages_ms["after_decision"] < 1
            assert [turn.text for turn in mind.asked] == ["hello there"]

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())


class Correcting(ScriptedRecognizer):
    """Hears the last word only when the voice is over."""

    def open(self, *_: Any, **__: Any) -> Any:
        stream = super().open()
        stream.finish = lambda: Hypothesis("hello then", confidence=0.9, is_final=True)  # type: ignore[method-assign]
        return stream


def test_a_draft_waits_for_the_last_word_of_the_recogniser() -> None:
    """Drafted for the partial, every second draft was in vain and the next one 60 ms later."""
    mind = ScriptedMind(lambda text: clauses("Well met."))

    async def scenario() -> None:
        async with talking(engines(mind, recognizer=Correcting({4800: "hello there"}))) as (session, outbox):
            await speak(session, 1.0)
            await speak(session, 2.0, loud=False)
            assert [turn.text for turn in mind.asked] == ["hello then"]
            metrics = outbox.of("npc.metrics")[0]
            assert metrics.speculation["drafts"] == 1
            assert metrics.speculation["discarded"] == 0

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())


class _SlowLane:
    """A lane on which every call takes 300 ms of virtual time."""

    def run(self, function: Any, *arguments: Any) -> Any:
        async def later() -> Any:
            await asyncio.sleep(0.3)
            return function(*arguments)

        return asyncio.get_running_loop().create_task(later())


class SlowRecogniser(InlineWorkers):
    """Only what concerns the recogniser is slow."""

    def lane(self, kind: Any) -> Any:
        return _SlowLane() if kind == "asr" else super().lane(kind)


def test_a_recogniser_that_takes_its_time_is_drafted_without() -> None:
    mind = ScriptedMind(lambda text: clauses("Well met."))

    async def scenario() -> None:
        made = engines(mind, workers=SlowRecogniser(), recognizer=Correcting({4800: "hello there"}))
        async with talking(made) as (session, _):
            await speak(session, 1.0)
            await speak(session, 0.2, loud=False)
            assert [turn.text for turn in mind.asked] == ["hello there"]
            await speak(session, 2.0, loud=False)
            assert [turn.text for turn in mind.asked] == ["hello there", "hello then"]

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())


def test_a_draft_is_thrown_away_when_the_player_goes_on() -> None:
    mind = ScriptedMind(lambda text: clauses("Well met."))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            await speak(session, 1.0)
            await speak(session, 0.2, loud=False)
            await speak(session, 1.0)
            await speak(session, 2.5, loud=False)
            assert outbox.types().count("response.created") == 1
            assert len(mind.asked) == 2, "drafted twice"
            metrics = outbox.of("npc.metrics")[0]
            assert metrics.speculation["discarded"] == 1
            assert len(mind.committed) == 1

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())


def test_barge_in_flushes_and_history_keeps_what_was_heard() -> None:
    mind = ScriptedMind(lambda text: clauses("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda"))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            type_and_ask(session, "go")
            await asyncio.sleep(1.0)
            item_id = outbox.audio()[0].item_id
            response_id = outbox.audio()[0].response_id
            await speak(session, 0.6)
            flush = [e for e in outbox.of("npc.output") if e.action == "flush"]
            assert [e.action for e in outbox.of("npc.output")][:1] == ["pause"]
            assert len(flush) == 1
            played = 24_000
            session.receive(
                event("npc.playback", response_id=response_id, item_id=item_id, played_samples=played, state="stopped")
            )
            sent = len(outbox.audio())
            await speak(session, 0.1)
            await asyncio.sleep(0.5)
            assert len(outbox.audio()) == sent, "no audio after the flush"
            heard = mind.committed[0][1]
            assert heard is not None
            assert heard.interrupted
            # 60 ms a letter: alpha 0-300, beta -540, gamma -840, delta -1140
            assert heard.text == "alpha beta gamma"
            assert session.turn.state.value == "user_speaking"

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())


def test_a_cough_pauses_and_resumes_at_the_same_sample() -> None:
    mind = ScriptedMind(lambda text: clauses("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda"))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            type_and_ask(session, "go")
            await asyncio.sleep(1.0)
            await speak(session, 0.15)
            await speak(session, 0.6, loud=False)
            actions = [(when, item) for when, item in outbox.sent if getattr(item, "type", "") == "npc.output"]
            assert [item.action for _, item in actions] == ["pause", "resume"]
            assert actions[0][1].at_sample == actions[1][1].at_sample
            assert actions[1][0] - actions[0][0] <= 0.6
            await asyncio.sleep(6)
            starts = [piece.start for piece in outbox.audio()]
            assert starts == sorted(set(starts))
            assert outbox.of("response.done")[0].response.status == "completed"
            assert not outbox.of("input_audio_buffer.speech_started")

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())


def test_a_stock_client_sees_no_extension() -> None:
    mind = ScriptedMind(lambda text: clauses("Well met, friend."))

    async def scenario() -> None:
        async with talking(engines(mind), opted_in=False) as (session, outbox):
            type_and_ask(session, "hello")
            await asyncio.sleep(3)
            assert not [kind for kind in outbox.types() if kind.startswith("npc.") or kind == "BlendshapesOut"]
            assert outbox.of("session.created")[0].session.npc is None
            assert outbox.of("response.created")[0].response.npc is None
            kinds = outbox.types()
            assert kinds[kinds.index("response.created") + 1] == "rate_limits.updated"
            session.receive(event("session.update", session={"npc": {}}))
            type_and_ask(session, "again")
            await asyncio.sleep(3)
            assert "npc.cues" in outbox.types()
            assert outbox.types().count("rate_limits.updated") == 1, "that is what stock clients expect"

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())


def test_cues_and_citations_name_the_character_whose_words_they_belong_to() -> None:
    said = [
        Clause("Ask my mate."),
        Clause("The tide turns at nine.", by="mate", citations=(Citation("tide", "harbour book", 0, 5),)),
        Clause("So it does."),
    ]
    mind = ScriptedMind(lambda text: said)

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            type_and_ask(session, "when does the tide turn")
            await asyncio.sleep(8)
            spoken = [(told.character, cue.name) for told in outbox.of("npc.cues") for cue in told.cues]
            words = [(who, name) for who, name in spoken if name in ("mate.", "tide", "nine.", "So")]
            assert words == [("scripted", "mate."), ("mate", "tide"), ("mate", "nine."), ("scripted", "So")]
            assert [told.character for told in outbox.of("npc.citations")] == ["mate"]

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())


def test_push_to_talk_commits_and_answers_when_asked() -> None:
    mind = ScriptedMind(lambda text: clauses("Aye."))

    async def scenario() -> None:
        async with talking(engines(mind), opted_in=False) as (session, outbox):
            session.receive(event("session.update", session={"audio": {"input": {"turn_detection": None}}}))
            await speak(session, 1.0)
            assert not outbox.of("input_audio_buffer.speech_started")
            session.receive(event("input_audio_buffer.commit"))
            session.receive(event("response.create"))
            await asyncio.sleep(2)
            assert outbox.of("conversation.item.input_audio_transcription.completed")[0].transcript == "hello there"
            assert outbox.of("response.done")[0].response.status == "completed"
            assert mind.asked[0].text == "hello there"
            session.receive(event("input_audio_buffer.commit"))
            assert outbox.of("error")[-1].error.code == "input_audio_buffer_commit_empty"
            assert session.turn.state.value == "listening"

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())


def test_another_name_is_heard_and_nothing_forgotten() -> None:
    """The mind was opened anew for it, and forgot what had been said."""
    minds: list[ScriptedMind] = []

    def open_mind(player: object) -> ScriptedMind:
        minds.append(ScriptedMind(lambda text: clauses("Aye.")))
        return minds[-1]

    async def scenario() -> None:
        async with talking(engines(None, open_mind=open_mind)) as (session, _):  # type: ignore[arg-type]
            session.receive(event("session.update", session={"npc": {"player": {"name": "Bo", "locale": "en-GB"}}}))
            type_and_ask(session, "hello")
            await asyncio.sleep(2.5)
            assert [turn.speaker for turn in minds[0].asked] == ["Bo"]
            session.receive(event("session.update", session={"npc": {"player": {"id": "ann"}}}))
            await asyncio.sleep(0.1)
            assert len(minds) == 2, "another player is met anew"
            assert minds[0].closed

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())


@pytest.mark.parametrize("asked_in_between", [False, True])
def test_what_is_committed_while_an_answer_is_made_is_written_down(asked_in_between: bool) -> None:
    """Push-to-talk: such a commit was passed over, and its sound became part of the next one."""

    class Slow(ScriptedMind):
        async def respond(self, turn: PlayerTurn) -> AsyncIterator[Clause]:
            await asyncio.sleep(1.0)
            async for clause in super().respond(turn):
                yield clause

    mind = Slow(lambda text: clauses("Aye."))

    async def scenario() -> None:
        async with talking(engines(mind)) as (session, outbox):
            session.receive(event("session.update", session={"audio": {"input": {"turn_detection": None}}}))
            await speak(session, 0.6)
            session.receive(event("input_audio_buffer.commit"))
            session.receive(event("response.create"))
            await asyncio.sleep(0.3)
            await speak(session, 0.6)
            session.receive(event("input_audio_buffer.commit"))
            if asked_in_between:
                session.receive(event("response.create"))
            await asyncio.sleep(6)
            assert len(outbox.of("input_audio_buffer.committed")) == 2
            if not asked_in_between:
                assert [turn.text for turn, _ in mind.committed if turn] == ["hello there"]
                session.receive(event("response.create"))
                await asyncio.sleep(6)
            asked = "hello there hello there" if asked_in_between else "hello there"
            assert mind.committed[-1][0].text == asked  # type: ignore[union-attr]
            assert session.turns.unanswered == []
            assert session.turn.state.value == "listening"

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())
