"""One utterance on its way through the recogniser: partials as it is spoken, a second pass at its likely end.

    sound      ▇▇▇▅▇▇▂▁____________
    accept     ──────────▶ partials (lane "asr")
    refine              ────▶ better text (lane "second_pass"), begun at the first likely end of speech
    finish                       │ the turn is over: best text there is, waiting at most `budget` for the second pass

An engine that raises loses its utterance, not the session: `broken` holds the error and `text` what was known.
Sound waiting for a slow engine is bounded by `MAX_BEHIND`; beyond it the newest is skipped and
counted in `skipped`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npc.asr.interface import Bias, Hypothesis, RecognizerStream, StreamingRecognizer
from npc.audio.clock import LISTEN_RATE
from npc.conversation.workers import Lane, LaneFull

Pcm16 = NDArray[np.int16]

#: Samples that may wait for the engine.
MAX_BEHIND = 8 * LISTEN_RATE
#: A segment longer than this is closed at the next pause: a second pass over ten minutes would never be in time.
SEGMENT = 12 * LISTEN_RATE
#: ... and in the middle of speech from here on.
LONGEST_SEGMENT = 30 * LISTEN_RATE
#: The recogniser may take this long to open or to finish before it counts as hung, seconds.
HUNG = 5.0


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said: the text, how sure, which pass it came from, and how long it was waited for (seconds)."""

    text: str
    confidence: float
    refined: bool
    waited: float


class Utterance:
    """Owned by the session's task; engine calls go to its lanes. `on_partial` is called on the loop."""

    def __init__(
        self,
        recognizer: StreamingRecognizer,
        bias: Bias,
        lane: Lane,
        second: Lane,
        on_partial: Callable[[Utterance, Hypothesis], None],
        language: str = "en",
        carry: object | None = None,
    ) -> None:
        self.carry = carry
        """What earlier utterances taught the recogniser; replaced when this one is over."""
        self._recognizer, self._bias, self._language = recognizer, bias, language
        self._lane, self._second, self._on_partial = lane, second, on_partial
        self._stream: RecognizerStream | None = None
        self._frozen: list[str] = []
        self._behind = 0
        self._segment = 0
        self._accepted = 0
        self._refining: asyncio.Task[Hypothesis | None] | None = None
        self._refined_at = -1
        self._tasks: set[asyncio.Task[None]] = set()
        self.latest = Hypothesis("")
        self.skipped = 0
        self.broken: Exception | None = None
        self._spawn(self._open())

    # -- in ------------------------------------------------------------------------------------------------------------

    def feed(self, sound: Pcm16) -> None:
        """More sound, in order."""
        if self.broken is not None or not sound.size:
            return
        if self._behind + sound.size > MAX_BEHIND:
            self.skipped += int(sound.size)
            return
        if self._segment >= LONGEST_SEGMENT:
            self.split()
        self._behind += int(sound.size)
        self._segment += int(sound.size)
        self._spawn(self._accept(sound))

    def resumed(self) -> None:
        """The player goes on after a pause: a long segment is closed there, and a second pass is out of date."""
        self._drop_refinement()
        if self._segment >= SEGMENT:
            self.split()

    def split(self) -> None:
        """Freeze the text so far and recognise what follows afresh."""
        self._segment = 0
        self._drop_refinement()
        self._spawn(self._close_segment())

    def refine(self) -> None:
        """Begin the second pass over what was heard so far."""
        if self.broken is not None or self._refined_at == self._accepted + self._behind:
            return
        self._drop_refinement()
        self._refined_at = self._accepted + self._behind
        self._refining = asyncio.get_running_loop().create_task(self._refine())

    # -- out -----------------------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """Best text known now: the second pass where it is done and up to date, else the partial."""
        return self._whole(self._refined() or self.latest)

    @property
    def confidence(self) -> float:
        return (self._refined() or self.latest).confidence

    @property
    def refined(self) -> bool:
        return self._refined() is not None

    @property
    def refining(self) -> asyncio.Task[Hypothesis | None] | None:
        """The second pass under way or done, if any."""
        return self._refining

    async def finish(self, budget: float) -> Transcript:
        """The turn is over. Waits until the first pass has all sound, and up to `budget` seconds for the second."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self._refining is not None and not self._refining.done():
            await asyncio.wait({self._refining}, timeout=budget)
        if self._refined() is None:
            await self._finish_first()
        best = self._refined() or self.latest
        return Transcript(self._whole(best), best.confidence, self._refined() is not None, loop.time() - began)

    async def close(self) -> None:
        """Stop everything; engine objects are closed on their lane."""
        self._drop_refinement()
        for task in tuple(self._tasks):
            task.cancel()
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                await asyncio.wait_for(self._lane.run(self._let_go, stream), HUNG)
            except (Exception, asyncio.CancelledError) as error:
                self.broken = self.broken or RuntimeError(f"the recogniser did not close: {error}")

    def _let_go(self, stream: RecognizerStream) -> None:
        if self.broken is None:
            self.carry = stream.carry() or self.carry
        stream.close()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _spawn(self, work: object) -> None:
        task = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type, var-annotated]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self) -> None:
        try:
            self._stream = await self._lane.run(self._recognizer.open, self._bias, self._language, self.carry)
        except Exception as error:
            self.broken = error

    async def _accept(self, sound: Pcm16) -> None:
        def accept() -> Hypothesis | None:
            return None if self._stream is None else self._stream.accept(sound)

        try:
            partial = await self._lane.run(accept)
        except (Exception, LaneFull) as error:
            self.broken = error
            return
        finally:
            self._behind -= int(sound.size)
            self._accepted += int(sound.size)
        if partial is not None and partial.text != self.latest.text:
            self.latest = partial
            self._on_partial(self, partial)

    async def _close_segment(self) -> None:
        def turn_over() -> Hypothesis:
            assert self._stream is not None
            final = self._stream.finish()
            self.carry = self._stream.carry() or self.carry
            self._stream.close()
            self._stream = self._recognizer.open(self._bias, self._language, self.carry)
            return final

        try:
            final = await self._lane.run(turn_over)
        except Exception as error:
            self.broken = error
            return
        if final.text:
            self._frozen.append(final.text)
        self.latest = Hypothesis("")

    async def _refine(self) -> Hypothesis | None:
        # Sound that still waits for the first pass belongs to the second as well.
        await self._lane.run(_nothing)
        stream = self._stream
        return None if stream is None else await self._second.run(stream.refine)

    async def _finish_first(self) -> None:
        def finish() -> Hypothesis | None:
            if self._stream is None:
                return None
            final = self._stream.finish()
            self.carry = self._stream.carry() or self.carry
            return final

        try:
            final = await asyncio.wait_for(self._lane.run(finish), HUNG)
        except (Exception, TimeoutError) as error:
            self.broken = error
            return
        if final is not None:
            self.latest = final

    def _refined(self) -> Hypothesis | None:
        task = self._refining
        if task is None or not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result()

    def _drop_refinement(self) -> None:
        if self._refining is not None:
            self._refining.cancel()
            self._refining, self._refined_at = None, -1

    def _whole(self, last: Hypothesis) -> str:
        return " ".join(part for part in (*self._frozen, last.text) if part)


def _nothing() -> None:
    return None
