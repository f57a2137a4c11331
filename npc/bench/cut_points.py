"""Cutting a reply short at a random moment, in virtual time: what history then holds, and what the player heard."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from npc.bench.scripted import LETTER, TRAIL, FixedWait, LevelVad, ScriptedMind, ScriptedRecognizer, ScriptedVoice
from npc.conversation.engines import Engines
from npc.conversation.port import AudioOut, Opening
from npc.conversation.recorder import Recorder
from npc.conversation.reply import Speaker
from npc.conversation.session import TalkSession
from npc.conversation.workers import InlineWorkers
from npc.dialogue.interface import Clause
from npc.protocol import (
    ConversationItemCreate,
    ConversationItemTruncate,
    MessageItem,
    NpcOutput,
    NpcPlayback,
    ResponseCreate,
    SpeechStarted,
)

RATE = 24_000
TEXT = ("Good day to you, traveller.", "The mill burned down last winter,", "and nobody has dared to rebuild it since.")


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


def engines(mind: ScriptedMind, **changes: Any) -> Engines:
    """A session of scripted parts; any of them may be replaced by name."""
    given: dict[str, Any] = {
        "character_id": "scripted",
        "open_mind": lambda player: mind,
        "workers": InlineWorkers(),
        "vad": LevelVad(),
        "detector": FixedWait(),
        "recognizer": ScriptedRecognizer({4800: "hello there"}),
        "speaker": Speaker(ScriptedVoice()),
        "greets": False,
    }
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


def type_and_ask(session: TalkSession, text: str) -> None:
    """A typed turn."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    session.receive(ConversationItemCreate.model_validate({"item": item}))
    session.receive(ResponseCreate())


async def speak(session: TalkSession, seconds: float, loud: bool = True, piece: float = 0.02) -> None:
    """Player sound in (virtual) real time."""
    left = round(seconds * RATE)
    while left > 0:
        n = min(left, round(piece * RATE))
        session.hear(np.full(n, 4000 if loud else 0, np.int16))
        left -= n
        await asyncio.sleep(n / RATE)


def word_ends() -> list[tuple[str, int]]:
    """Each word of TEXT and its last sample at the output rate, by the scripted voice's own arithmetic."""
    ends, at = [], 0
    for clause in TEXT:
        for word in clause.split():
            at += LETTER * len(word)
            ends.append((word, at * RATE // 16_000))
        at += TRAIL
    return ends


def heard_until(played: int) -> str:
    """The words whose last sample is played: the truth to compare with."""
    return " ".join(word for word, end in word_ends() if end <= played)


async def cut(seed: int, opted_in: bool) -> tuple[str, str, bool]:
    """Cut in at a random moment; (history, truth, whether nothing of the reply followed the flush and the character
    went on listening)."""
    rng = random.Random(seed)
    mind = ScriptedMind(lambda text: [Clause(line) for line in TEXT])
    async with talking(engines(mind), opted_in=opted_in) as (session, outbox):
        type_and_ask(session, "what happened here")
        await asyncio.sleep(rng.uniform(0.05, 8.3))
        began = asyncio.get_running_loop().time()
        first = next(when for when, item in outbox.sent if isinstance(item, AudioOut))
        await speak(session, 0.6)
        over = next(when for when, item in outbox.sent if isinstance(item, SpeechStarted) and when >= began)
        sent = sum(piece.pcm.size for piece in outbox.audio())
        last = outbox.audio()[-1]
        if opted_in:
            pauses = [when for when, item in outbox.sent if isinstance(item, NpcOutput) and item.action == "pause"]
            stopped = (pauses[0] if pauses else over) - first - rng.uniform(0, 0.05)
            played = min(sent, max(0, round(stopped * RATE)))
            session.receive(
                NpcPlayback(response_id=last.response_id, item_id=last.item_id, played_samples=played, state="stopped")
            )
        else:
            played_ms = min(sent * 1000 // RATE, max(0, round((over - first) * 1000)))
            played = played_ms * RATE // 1000
            session.receive(ConversationItemTruncate(item_id=last.item_id, audio_end_ms=played_ms))
        mark = len(outbox.sent)
        await speak(session, 0.3)
        await asyncio.sleep(0.6)
        after = {getattr(item, "type", type(item).__name__) for _, item in outbox.sent[mark:]}
        clean = not after & {"AudioOut", "npc.cues", "BlendshapesOut"} and session.turn.state == "user_speaking"
        item = session.items.get(last.item_id)
        assert isinstance(item, MessageItem)
        shown = item.content[0].transcript or ""
        reply = mind.committed[0][1] if mind.committed else None
        # Not a word heard: the question stays unanswered, and the mind hears of it together with what comes now.
        return shown, heard_until(played), clean and shown == (reply.text if reply is not None else "")
