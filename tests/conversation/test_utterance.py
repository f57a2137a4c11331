"""What becomes of the recogniser's objects."""

from __future__ import annotations

import asyncio
import time

import numpy as np

from npc.asr.interface import Hypothesis
from npc.bench.scripted import ScriptedMind, ScriptedRecognizer
from npc.conversation.workers import ThreadWorkers
from tests.conversation.talk import clauses, engines, speak, talking


class SlowRecognizer(ScriptedRecognizer):
    """A stream takes its time over every piece of sound."""

    def open(self, *args: object, **given: object) -> object:  # type: ignore[override]
        stream = super().open()
        accept = stream.accept

        def slowly(pcm: np.ndarray) -> Hypothesis | None:
            time.sleep(0.2)
            return accept(pcm)

        stream.accept = slowly  # type: ignore[method-assign]
        return stream


def test_a_session_that_ends_in_the_middle_of_a_word_gives_the_decoder_back() -> None:
    """Its release waited behind the call that was running, and was cancelled with the session's tasks: pocketsphinx
    kept a decoder for every player who left like that."""
    recognizer, workers = SlowRecognizer({}), ThreadWorkers()
    mind = ScriptedMind(lambda text: clauses("Aye."))

    async def scenario() -> None:
        async with talking(engines(mind, recognizer=recognizer, workers=workers)) as (session, _):
            await speak(session, 0.3)
            await asyncio.sleep(0.1)
            assert recognizer.opened

    asyncio.run(scenario())
    workers.close()
    assert all(stream.closed for stream in recognizer.opened)
