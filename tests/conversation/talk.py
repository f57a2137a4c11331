"""A session in virtual time: scripted engines, an outbox that remembers when, a client that plays what it gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from npc.bench.scripted import FixedWait, LevelVad, ScriptedMind, ScriptedRecognizer, ScriptedVoice
from npc.conversation.engines import Engines, Recorder
from npc.conversation.port import AudioOut, BlendshapesOut, Opening
from npc.conversation.session import TalkSession
from npc.conversation.workers import InlineWorkers
from npc.dialogue.interface import Clause
from npc.protocol import ClientEvent, parse_client

RATE = 24_000


class Recording:
    """An outbox: everything sent, with the loop's time."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, Any]] = []

    def send(self, item: Any) -> None:
        self.sent.append((asyncio.get_running_loop().time(), item))

    def types(self) -> list[str]:
        return [getattr(item, "type", type(item).__name__) for _, item in self.sent]

    def of(self, kind: str) -> list[Any]:
        return [item for _, item in self.sent if getattr(item, "type", type(item).__name__) == kind]

    def audio(self) -> list[AudioOut]:
        return [item for _, item in self.sent if isinstance(item, AudioOut)]

    def faces(self) -> list[BlendshapesOut]:
        return [item for _, item in self.sent if isinstance(item, BlendshapesOut)]


def clauses(*texts: str) -> Sequence[Clause]:
    return [Clause(text) for text in texts]


def engines(mind: ScriptedMind, **changes: Any) -> Engines:
    given: dict[str, Any] = {
        "character_id": "scripted",
        "open_mind": lambda player: mind,
        "workers": InlineWorkers(),
        "vad": LevelVad(),
        "detector": FixedWait(),
        "recognizer": ScriptedRecognizer({4800: "hello there"}),
        "speaker": None,
        "greets": False,
    }
    from npc.conversation.reply import Speaker

    given["speaker"] = Speaker(ScriptedVoice())
    return Engines(**{**given, **changes})


@asynccontextmanager
async def talking(
    made: Engines, opted_in: bool = True, recorder: Recorder | None = None
) -> AsyncIterator[tuple[TalkSession, Recording]]:
    """A running session; closed at the end with all its tasks awaited."""
    outbox = Recording()
    session = TalkSession(Opening("sess_test", "scripted", opted_in=opted_in), made, outbox, recorder)
    task = asyncio.get_running_loop().create_task(session.run())
    await asyncio.sleep(0.01)
    try:
        yield session, outbox
    finally:
        await session.close("test over")
        await task


def event(kind: str, **fields: Any) -> ClientEvent:
    import json

    return parse_client(json.dumps({"type": kind, **fields}))


def type_and_ask(session: TalkSession, text: str) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    session.receive(event("conversation.item.create", item=item))
    session.receive(event("response.create"))


async def speak(session: TalkSession, seconds: float, loud: bool = True, piece: float = 0.02) -> None:
    """Player sound in real (virtual) time."""
    left = round(seconds * RATE)
    while left > 0:
        n = min(left, round(piece * RATE))
        session.hear(np.full(n, 4000 if loud else 0, np.int16))
        left -= n
        await asyncio.sleep(n / RATE)
