"""Recorded sessions through their minds again: the same replies, and a branch that differs only after its turn."""

from __future__ import annotations

import asyncio

import pytest

from npc.bench.scripted import ScriptedMind
from npc.bench.virtual_time import virtual_loop
from npc.conversation.recompute import Answered, branch, recompute, steps
from npc.dialogue.interface import Clause
from tests.conversation.test_replay import Tape, answer, random_session


class Clock:
    now = 0.0


def tapes(count: int) -> list[Tape]:
    made = []
    for seed in range(count):
        tape = Tape()
        with virtual_loop() as loop:
            loop.run_until_complete(random_session(seed, tape))
        made.append(tape)
    return made


@pytest.fixture(scope="module")
def recorded() -> list[Tape]:
    return tapes(50)


def test_fifty_sessions_come_out_the_same(recorded: list[Tape]) -> None:
    replies = 0
    for tape in recorded:
        result = asyncio.run(recompute(tape.records, ScriptedMind(answer), Clock()))
        assert result.exact, result.differences[:3]
        replies += result.replies
    assert replies >= 50


def test_another_mind_is_told_apart(recorded: list[Tape]) -> None:
    other = ScriptedMind(lambda text: [Clause("I say something else.")])
    longest = max(recorded, key=lambda tape: len(steps(tape.records)))
    result = asyncio.run(recompute(longest.records, other, Clock()))
    assert not result.exact
    assert {one.replayed for one in result.differences} == {"I say something else."}


def test_a_branch_differs_only_from_its_turn_on(recorded: list[Tape]) -> None:
    branched = 0
    for tape in recorded:
        turns = [one for one in steps(tape.records) if isinstance(one, Answered) and one.turn and one.turn.text]
        if len(turns) < 2:
            with pytest.raises(ValueError, match="cannot branch"):
                asyncio.run(branch(tape.records, len(turns) + 1, ScriptedMind(answer), Clock()))
            continue
        at = len(turns) // 2 + 1
        other = ScriptedMind(lambda text: [Clause("I say something else.")])
        told = asyncio.run(branch(tape.records, at, other, Clock()))
        assert [one.turn for one in told] == list(range(1, len(turns) + 1))
        assert all(one.answered == one.logged for one in told[: at - 1])
        assert all(one.answered == "I say something else." for one in told[at - 1 :])
        assert [one.player for one in told] == [one.turn.text for one in turns if one.turn]
        branched += 1
    assert branched >= 20
