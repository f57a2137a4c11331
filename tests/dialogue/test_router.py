"""The router: small first, escalation by need, fallback in mid-sentence without a repeated or lost word."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.dialogue.character import Character, Fact, KnowledgeSource
from npc.dialogue.context import Context
from npc.dialogue.interface import Clause, PlayerTurn
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.knowledge.library import DocumentLibrary
from npc.dialogue.llm import LlmResponder
from npc.dialogue.memory.store import MemoryStore
from npc.dialogue.mind_models import retrieval_confidence, with_model
from npc.dialogue.mind_open import open_mind
from npc.dialogue.prompt import EVERYTHING, THIS_SESSION, Allowed
from npc.dialogue.router import Budget, Joiner, RecordedModel, RemoteCall, RouterResponder, measure_need
from npc.inference.openai_compatible import Endpoint, OpenAICompatible

from ..inference.scripted_llm import Script, serve
from .minds import Parrot, say

ADA = Character(id="ada", name="Ada", role="smith", biography="I hammer.")
OPEN = "Why do you think the rope is so dear, and what would you do about it?"


def context(text: str = OPEN, **fields: Any) -> Context:
    return Context(PlayerTurn("t", text, False), **fields)


def route(
    entries: list[Sequence[Any]], small: str, *, text: str = OPEN, budget: Budget | None = None, **settings: Any
) -> tuple[list[Clause], RouterResponder, Script, deque[RemoteCall]]:
    async def go() -> tuple[list[Clause], RouterResponder, Script, deque[RemoteCall]]:
        script, calls = Script(entries), deque[RemoteCall]()
        async with serve(script) as url:
            model = RecordedModel(OpenAICompatible(Endpoint(url, "big", retries=0)), calls, time.monotonic)
            large = LlmResponder(ADA, Knowledge(ADA), None, model, new_id=lambda: "c", clock=time.monotonic)
            router = RouterResponder(
                Parrot([Clause(part) for part in small.split("|")]), large, confidence=lambda _: 0.1,
                clock=time.monotonic, budget=budget or Budget(5.0, 5.0), **settings,
            )  # fmt: skip
            clauses = [clause async for clause in router.respond(context(text))]
            await model.close()
            return clauses, router, script, calls

    return asyncio.run(go())


def text_of(clauses: list[Clause]) -> str:
    return " ".join(clause.text for clause in clauses)


def test_large_answers_an_open_question() -> None:
    clauses, router, _, calls = route([["Because ", "hemp ", "is ", "dear."]], "Small.")
    assert text_of(clauses) == "Because hemp is dear."
    assert router.ledger[-1].chosen == "large"
    assert router.ledger[-1].words_large == 4
    assert len(calls) == 1


@pytest.mark.parametrize("dies_after", range(1, 12))
def test_dies_anywhere_and_no_word_is_repeated_or_lost(dies_after: int) -> None:
    words = [" Rope", " costs", " six", " silver,", " and", " oil", " costs", " two", " copper,", " my", " friend", "."]
    steps = [*words[:dies_after], "!close"]
    clauses, router, _, _ = route([steps], "Rope costs six silver,|and oil costs two copper,|my friend.")
    assert text_of(clauses) == "Rope costs six silver, and oil costs two copper, my friend."
    assert "closed the stream" in router.ledger[-1].fallback


def test_half_a_word_is_not_spoken() -> None:
    clauses, _, _, _ = route([["Rope costs six sil", "!close"]], "Rope costs six silver.")
    assert text_of(clauses) == "Rope costs six silver."


def test_unrelated_continuation_keeps_every_word() -> None:
    clauses, _, _, _ = route([["Well, the hemp, ", "you see, ", "!close"]], "I charge six silver.")
    assert text_of(clauses) == "Well, the hemp, you see, I charge six silver."


def test_a_finished_sentence_needs_no_repair() -> None:
    clauses, router, _, _ = route([["Hemp is dear. ", "!close"]], "Small.")
    assert text_of(clauses) == "Hemp is dear."
    assert router.ledger[-1].fallback


def test_too_slow_for_the_first_clause() -> None:
    start = time.monotonic()
    clauses, router, _, _ = route([[3.0, "late."]], "Small one.", budget=Budget(0.15, 1.0))
    assert text_of(clauses) == "Small one."
    assert time.monotonic() - start < 2.0
    assert "0.15 s" in router.ledger[-1].fallback


def test_stalls_in_the_middle() -> None:
    small = "Rope costs six silver,|and oil is cheap."
    clauses, _, _, _ = route([["Rope costs six silver, and oil ", 5.0, "x"]], small, budget=Budget(2.0, 0.2))
    assert text_of(clauses) == "Rope costs six silver, and oil is cheap."


def test_refused_connection_is_answered_small() -> None:
    clauses, router, _, _ = route([[("status", 500, "boom")]], "Small.")
    assert text_of(clauses) == "Small."
    assert "boom" in router.ledger[-1].fallback


def test_remote_needs_the_opt_in() -> None:
    clauses, _, script, calls = route([["Because."]], "Small.", remote=True, remote_allowed=False)
    assert text_of(clauses) == "Small."
    assert script.bytes_in == 0
    assert not calls
    clauses, _, script, calls = route([["Because."]], "Small.", remote=True, remote_allowed=True)
    assert text_of(clauses) == "Because."
    assert script.bytes_in > 0
    assert calls[0].characters > 0


@pytest.mark.parametrize(("allowed", "goes"), [(THIS_SESSION, False), (EVERYTHING, True)])
def test_a_remote_model_gets_the_text_of_this_session_alone_and_each_call_is_recorded(
    allowed: Allowed, goes: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Memories of earlier talks once went along, and the record of calls was kept where nobody could see it."""

    async def go() -> None:
        script, store = Script([["Because ", "hemp ", "is ", "dear."]]), MemoryStore()
        store.player("ada", "player").commit("My secret name is Quillon.", "Oh.", now=1.0, turn_id="t0")
        async with serve(script) as url:
            model = OpenAICompatible(Endpoint(url, "big", retries=0))
            make = with_model(model, remote=True, remote_allowed=True, allowed=allowed, budget=Budget(5.0, 5.0))
            mind = open_mind(ADA, memory=store, responder=make, clock=lambda: 2.0)
            await say(mind, f"What is my name? {OPEN}", "t1")
            await mind.close()
            await model.close()
        assert script.bytes_in > 0
        assert ("Quillon" in str(script.requests)) is goes
        assert mind.state().notes["remote"]["calls"] == 1

    with caplog.at_level("INFO", "npc.dialogue.router"):
        asyncio.run(go())
    assert [record.message for record in caplog.records] == ["text goes to a remote model"]


def test_a_reply_that_was_cut_short_stands_in_the_ledger() -> None:
    """An interrupted reply once left no line, though the larger model had been called."""

    async def go() -> None:
        large = Parrot([Clause("Because,"), Clause("well.")])
        small = Parrot([Clause("Six silver,"), Clause("friend.")])
        for confidence, chosen in ((0.1, "large"), (1.0, "small")):
            router = RouterResponder(small, large, confidence=lambda _, c=confidence: c, clock=time.monotonic)  # type: ignore[misc]
            text = OPEN if chosen == "large" else "How much is the rope?"
            reply = router.respond(context(text))
            await anext(reply)
            await reply.aclose()
            line = router.ledger[-1]
            assert line.chosen == chosen
            assert line.words_large + line.words_small == (1 if chosen == "large" else 2)

    asyncio.run(go())


def test_documents_count_for_confidence(tmp_path: Path) -> None:
    """A character that knew everything from documents once sent each turn to the larger model."""
    (tmp_path / "list.md").write_text("The hemp rope costs six silver.")
    library = DocumentLibrary(None)
    library.index(tmp_path, [KnowledgeSource(path="list.md")])
    asked = context("What does the hemp rope cost?")
    assert retrieval_confidence(Knowledge(ADA, library=library), asked) > 0.5
    assert retrieval_confidence(Knowledge(ADA), asked) == 0.0


def test_plain_question_with_good_retrieval_stays_small() -> None:
    assert measure_need(context("How much is the rope?"), 0.9).score < 0.4
    assert measure_need(context(OPEN), 0.1).score >= 0.4
    assert measure_need(context(OPEN, act="injection"), 0.0).score == 0.0
    assert measure_need(context("Take your time: which lamp is better?"), 0.45).score >= 0.4


letters = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=9)


@given(letters, letters)
def test_joining_a_prefix_gives_the_whole(first: list[str], second: list[str]) -> None:
    whole = [*first, *second]
    taken = Joiner(" ".join(first)).take(Clause(" ".join(whole)))
    said = [*first, *(taken.text.split() if taken else [])]
    # The second reply repeats the first from its beginning: together they are the whole, said once.
    assert said == whole or said[: len(first)] == first


def test_bad_budget() -> None:
    with pytest.raises(ValueError, match="first_clause"):
        Budget(0.0)


def test_a_whole_mind_over_a_model_that_breaks() -> None:
    async def go() -> None:
        script = Script([["Because hemp ", "is dear, ", "!close"]])
        async with serve(script) as url:
            model = OpenAICompatible(Endpoint(url, "big", retries=0))
            smith = ADA.model_copy(update={"facts": (Fact(id="rope", text="Rope costs six silver."),)})
            mind = open_mind(smith, responder=with_model(model, budget=Budget(5.0, 5.0)), clock=lambda: 0.0)
            clauses = await say(mind, OPEN)
            assert text_of(clauses).startswith("Because hemp is dear,")
            assert mind.state().notes["router"]["fallback"]
            assert mind.state().notes["router"]["words_small"] > 0
            await mind.close()
            await model.close()

    asyncio.run(go())


def test_confidence_is_high_for_a_covered_question() -> None:
    smith = ADA.model_copy(update={"facts": (Fact(id="rope", text="Rope costs six silver."),)})
    knowledge = Knowledge(smith)
    assert retrieval_confidence(knowledge, context("What does rope cost?")) > 0.6
    assert retrieval_confidence(knowledge, context("Who rules the moon?")) == 0.0
