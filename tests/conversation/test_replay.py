"""A fold over a log is the live state, and a replay of it decides the same, bit for bit."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

from npc.animation import FaceAnimator
from npc.bench.scripted import ScriptedMind
from npc.bench.virtual_time import virtual_loop
from npc.conversation.fold import fold
from npc.conversation.replay import replay
from npc.conversation.session import TalkSession
from npc.dialogue.interface import Action, Citation, Clause
from npc.store import Record
from tests.conversation.talk import engines, event, speak, talking, type_and_ask


class Tape:
    """A recorder that keeps records as a log file would give them back."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def record(self, kind: str, data: Mapping[str, Any], at: float) -> None:
        self.records.append(Record(len(self.records), at, kind, json.loads(json.dumps(data))))

    def keep(self, days: int) -> None:
        return None

    async def end(self) -> None:
        return None

    async def discard(self) -> None:
        self.records.clear()


def answer(text: str) -> list[Clause]:
    return [
        Clause("Well met, traveller of the long road.", citations=(Citation("f1", "card", 0, 2),)),
        Clause("Let me open the gate for you.", actions=(Action("call_1", "open_gate", {"wide": True}, 3),)),
        Clause("Mind the step."),
    ]


async def random_session(seed: int, tape: Tape) -> tuple[TalkSession, ScriptedMind]:
    """A session of typed and spoken turns, interruptions, coughs, updates and deletions in random order."""
    rng = random.Random(seed)
    mind = ScriptedMind(answer)
    made = engines(mind, animator=FaceAnimator() if seed % 2 else None)
    async with talking(made, recorder=tape) as (session, outbox):
        for _ in range(rng.randint(3, 8)):
            match rng.choice(["type", "speak", "cough", "wait", "update", "playback", "delete", "cancel"]):
                case "type":
                    type_and_ask(session, rng.choice(["hello", "who are you", "open the gate"]))
                case "speak":
                    await speak(session, rng.uniform(0.5, 1.5))
                    await speak(session, rng.uniform(0.1, 0.8), loud=False)
                case "cough":
                    await speak(session, 0.12)
                    await speak(session, 0.4, loud=False)
                case "wait":
                    await asyncio.sleep(rng.uniform(0.1, 4))
                case "update":
                    detection = rng.choice([None, {"type": "semantic_vad"}, {"type": "server_vad"}])
                    session.receive(
                        event("session.update", session={"audio": {"input": {"turn_detection": detection}}})
                    )
                case "playback" if outbox.audio():
                    last = outbox.audio()[-1]
                    session.receive(
                        event(
                            "npc.playback",
                            response_id=last.response_id,
                            item_id=last.item_id,
                            played_samples=max(0, last.start - rng.randint(0, 9000)),
                            state=rng.choice(["playing", "stopped"]),
                        )
                    )
                case "delete" if len(session.items):
                    session.receive(event("conversation.item.delete", item_id=session.items.all()[0].id))
                case "cancel":
                    session.receive(event("response.cancel"))
        await asyncio.sleep(rng.uniform(0, 3))
    return session, mind


@pytest.mark.parametrize("block", range(4))
def test_fold_and_replay_of_100_random_sessions(block: int) -> None:
    replies = cues = 0
    for seed in range(block * 25, block * 25 + 25):
        tape = Tape()
        with virtual_loop() as loop:
            session, _ = loop.run_until_complete(random_session(seed, tape))
        state = fold(tape.records)
        assert state.turn == session.turn
        assert state.session == session.session
        assert state.items.all() == session.items.all()
        assert state.closed == "test over"
        result = replay(tape.records)
        assert result.differences == [], f"seed {seed}"
        replies += result.replies
        cues += result.cues
        half = fold(tape.records[: len(tape.records) // 2])
        assert half.closed is None
    assert replies > 10
    assert cues > 100


def test_a_changed_log_does_not_replay() -> None:
    tape = Tape()
    with virtual_loop() as loop:
        loop.run_until_complete(random_session(3, tape))
    changed = []
    for record in tape.records:
        data = dict(record.data)
        if record.kind == "response.ended":
            data["heard"] = data["heard"] + " indeed"
        changed.append(Record(record.seq, record.at, record.kind, data))
    result = replay(changed)
    assert not result.exact
    assert result.differences[0].what == "heard text"


class Wishes(Tape):
    """What a session asks of its recorder beside records."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int | str] = []

    def keep(self, days: int) -> None:
        self.asked.append(days)

    async def discard(self) -> None:
        self.asked.append("nothing")


@pytest.mark.parametrize(
    ("privacy", "asked"),
    [
        ({"remote_llm": True}, []),
        ({"retain": "days:3"}, [3]),
        ({"retain": "none"}, ["nothing"]),
        ({"retain": "session"}, ["nothing"]),
    ],
)
def test_only_a_wish_to_keep_less_reaches_the_log(privacy: dict[str, Any], asked: list[int | str]) -> None:
    wishes = Wishes()

    async def hold() -> None:
        async with talking(engines(ScriptedMind(answer)), recorder=wishes) as (session, _):
            session.receive(event("session.update", session={"type": "realtime", "npc": {"privacy": privacy}}))
            await asyncio.sleep(0.1)

    with virtual_loop() as loop:
        loop.run_until_complete(hold())
    assert wishes.asked == asked
