"""Thinking ahead from the mind down: growing partials reach the model, and the answer goes on from its draft."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from npc.dialogue.ahead import Ahead
from npc.dialogue.interface import PlayerTurn
from npc.dialogue.mind import CharacterMind
from npc.dialogue.mind_models import with_model
from npc.dialogue.mind_open import open_mind
from npc.inference.interface import Message, Sampling, Speculation, Token
from tests.dialogue.test_llm import ADA


class Thinking:
    """A model that notes what it is asked for."""

    name, context_tokens = "thinking", 4096

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.prompts: list[tuple[Message, ...]] = []
        self.anticipated = asyncio.Event()

    def anticipate(self, prompt: tuple[Message, ...], sampling: Sampling, session: str) -> None:
        self.prompts.append(prompt)
        self.calls.append(("anticipate", session))
        self.anticipated.set()

    async def reply(
        self, prompt: tuple[Message, ...], sampling: Sampling, session: str, *, tentative: bool = False
    ) -> AsyncIterator[Token]:
        self.prompts.append(prompt)
        self.calls.append(("tentative" if tentative else "reply", session))
        yield Token("Six silver, friend. ", finish=None)
        yield Token("Anything else?", finish="stop")

    async def stream(self, prompt: tuple[Message, ...], sampling: Sampling) -> AsyncIterator[Token]:
        raise AssertionError("a model that thinks ahead is asked for a reply")
        yield Token("")

    def decided(self, session: str) -> None:
        self.calls.append(("decided", session))

    def speculation(self, session: str) -> Speculation | None:
        return Speculation(40, 7, 12, 0.25)

    def forget(self, session: str) -> None:
        self.calls.append(("forget", session))

    async def close(self) -> None:
        return


def opened(model: Thinking) -> CharacterMind:
    return open_mind(ADA, responder=with_model(model, always=True), clock=lambda: 0.0)


async def say(mind: CharacterMind, turn: PlayerTurn) -> str:
    return " ".join([clause.text async for clause in mind.respond(turn)])


def test_partials_are_anticipated_and_the_turn_has_the_same_prompt() -> None:
    model = Thinking()

    async def go() -> None:
        mind = opened(model)
        for partial in ("what does", "what does the rope cost"):
            mind.listen(partial)
            await asyncio.wait_for(model.anticipated.wait(), 5.0)
            model.anticipated.clear()
        turn = PlayerTurn("t1", "what does the rope cost", True)
        assert "silver" in await say(mind, replace(turn, tentative=True))
        mind.decided()
        assert mind.speculation() == {
            "llm_won_ms": 250.0, "llm_tokens_kept": 40.0, "llm_tokens_wasted": 7.0, "llm_tokens_drafted": 12.0
        }  # fmt: skip
        await mind.close()

    asyncio.run(go())
    assert [name for name, _ in model.calls] == ["anticipate", "anticipate", "tentative", "decided", "forget"]
    assert len({session for _, session in model.calls}) == 1
    assert model.prompts[1] == model.prompts[2], "only then is the draft the reply"
    first, last = (prompt[-1].content for prompt in model.prompts[:2])
    assert model.prompts[0][:-1] == model.prompts[1][:-1], "what does not depend on the words comes before them"
    assert first != last


def test_sessions_think_apart() -> None:
    model = Thinking()

    async def go() -> None:
        for _ in range(2):
            mind = opened(model)
            await say(mind, PlayerTurn("t", "hello", True))
            await mind.close()

    asyncio.run(go())
    assert len({session for name, session in model.calls if name == "reply"}) == 2


def test_partials_never_pile_up() -> None:
    seen: list[str] = []

    async def go() -> None:
        gate = asyncio.Event()

        async def work(partial: str) -> None:
            seen.append(partial)
            if partial == "a":
                await gate.wait()
            if partial == "abc":
                raise RuntimeError("the next one is tried all the same")

        ahead = Ahead(work)
        for partial in ("a", "ab", "abc"):
            ahead.listen(partial)
            await asyncio.sleep(0)
        gate.set()
        await asyncio.sleep(0.01)
        ahead.listen("abcd")
        await asyncio.sleep(0.01)
        await ahead.stop()

    asyncio.run(go())
    assert seen == ["a", "abc", "abcd"]
