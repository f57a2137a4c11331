"""One utterance on its way through the recogniser, cut into segments at its pauses.

    sound      ▇▇▇▅▇▇▂▁____________▇▇▅▇▂▁___________
    accept     ──────────▶ partials ┊──────▶              lane "asr"
    conclude             ──▶ final  ┊     ──▶ final       at a pause that may be the end: costs nothing when it is not,
    refine               ─ ─ ─▶     ┊     ─ ─ ─▶ better    lane "second_pass", only where it can be in time (`Pace`)
                         segment 1  ┊  segment 2
    finish                                    │ the turn is over: the texts that are there, waiting for what is nearly

A recogniser's last word on a segment is much better than its partials (it looks at the whole lattice), and takes a
moment. Asking for it while the pause is still being judged puts that moment before the decision. When the player goes
on, what follows is a segment of its own, with the last 300 ms of the pause in front of it.

An engine that raises loses its utterance, not the session: `broken` holds the error and `text` what was known. Sound
waiting for a slow engine is bounded by `MAX_BEHIND`; beyond it the newest is skipped and counted in `skipped`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.asr.interface import Bias, Hypothesis, RecognizerStream, StreamingRecognizer
from npc.asr.passes import believed
from npc.audio.clock import LISTEN_RATE
from npc.conversation.workers import Lane, LaneFull

Pcm16 = NDArray[np.int16]

#: Samples that may wait for the engine: a whole recording that came at once (`hearing.MAX_AHEAD_S`).
MAX_BEHIND = 30 * LISTEN_RATE
#: A segment is closed in the middle of speech from here on: a second pass over ten minutes would never be in time.
LONGEST_SEGMENT = 30 * LISTEN_RATE
#: Pause kept in front of the next segment.
KEPT = LISTEN_RATE * 300 // 1000
#: A second pass that is expected to be done gets so much longer than expected, seconds.
GRACE = 0.03
#: The recogniser may take this long for one call before it counts as hung, seconds.
HUNG = 5.0


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said: the text, how sure, whether a second pass was used, how long it was waited for (seconds)."""

    text: str
    confidence: float
    refined: bool
    waited: float
    words: tuple[tuple[str, int, int], ...] = ()
    """Each word with its input samples at 16 kHz, where the engine has times."""


class Pace:
    """How long second passes take, in seconds a second of sound: quick to rise and slow to fall, since waiting in vain
    costs more than a second pass gains. `PRIOR` is pocketsphinx on the two-core machine of `docs/log.md`."""

    PRIOR = 0.25
    #: Every so often one is begun although it cannot be in time, to see whether that is still so.
    TRY_EVERY = 8

    def __init__(self) -> None:
        self._rate = self.PRIOR
        self._asked = 0

    def worth_it(self, samples: int, within: float) -> bool:
        """Whether to begin a second pass over so many samples that is to be done within so many seconds."""
        self._asked += 1
        return self.expected(samples) <= within or self._asked % self.TRY_EVERY == 0

    def expected(self, samples: int) -> float:
        """Seconds for so many samples."""
        return self._rate * samples / LISTEN_RATE

    def took(self, seconds: float, samples: int) -> None:
        """A second pass took so long."""
        if samples > 0:
            rate = seconds * LISTEN_RATE / samples
            self._rate = max(rate, 0.9 * self._rate + 0.1 * rate)

    def takes_more_than(self, seconds: float, samples: int) -> None:
        """One was given up after so long."""
        if samples > 0 and seconds > self.expected(samples):
            self._rate = 1.5 * seconds * LISTEN_RATE / samples


class _Segment:
    """One stream of the engine. `stream` is touched on the lane alone."""

    def __init__(self) -> None:
        self.stream: RecognizerStream | None = None
        self.start = 0
        """Sample of the utterance at which its stream begins."""
        self.samples = 0
        self.latest = Hypothesis("")
        self.final: Hypothesis | None = None
        self.refined: Hypothesis | None = None
        self.concluding: asyncio.Task[None] | None = None
        self.refining: asyncio.Task[None] | None = None
        self.refining_since = 0.0

    @property
    def best(self) -> Hypothesis:
        if self.refined is None or self.final is None:
            return self.refined or self.final or self.latest
        return believed(self.final, self.refined)


class Utterance:
    """Owned by the session's task; engine calls go to its lanes. `on_text` is called on the loop whenever the text
    changed."""

    def __init__(
        self,
        recognizer: StreamingRecognizer,
        bias: Bias,
        lane: Lane,
        second: Lane,
        on_text: Callable[[Utterance, Hypothesis], None],
        language: str = "en",
        carry: object | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.carry = carry
        """What earlier utterances taught the recogniser; replaced when a segment of this one is over."""
        self._recognizer, self._bias, self._language = recognizer, bias, language
        self._lane, self._second, self._on_text = lane, second, on_text
        self._pace = pace or Pace()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tail: list[Pcm16] = []
        self._behind = 0
        self.skipped = 0
        self.origin = 0
        """Input sample at which the sound fed to it begins; set by its owner."""
        self._fed = 0
        self.broken: Exception | None = None
        self._segments = [self._open()]

    # -- in ------------------------------------------------------------------------------------------------------------

    def feed(self, sound: Pcm16) -> None:
        """More sound, in order."""
        if self.broken is not None or not sound.size:
            return
        self._fed += int(sound.size)
        segment = self._segments[-1]
        if segment.concluding is not None:
            self._keep(sound)
            return
        if self._behind + sound.size > MAX_BEHIND:
            self.skipped += int(sound.size)
            return
        self._behind += int(sound.size)
        segment.samples += int(sound.size)
        self._spawn(self._accept(segment, sound))
        if segment.samples >= LONGEST_SEGMENT:
            self.conclude()
            self.resumed()

    def conclude(self) -> None:
        """This pause may be the end: ask for the final text of the segment now."""
        segment = self._segments[-1]
        if segment.concluding is None and self.broken is None:
            segment.concluding = self._spawn(self._finish(segment))

    def refine(self, within: float) -> None:
        """Begin a second pass over the segment, if it can be done in `within` seconds."""
        segment = self._segments[-1]
        if segment.refining is None and self.broken is None and self._pace.worth_it(segment.samples, within):
            segment.refining_since = asyncio.get_running_loop().time()
            segment.refining = self._spawn(self._refine(segment))

    def resumed(self) -> None:
        """The player goes on after a pause: what comes is a segment of its own, and a second pass is out of date."""
        segment = self._segments[-1]
        self._give_up(segment)
        if segment.concluding is None:
            segment.refining, segment.refined = None, None
            return
        self._segments.append(self._open())
        tail, self._tail = self._tail, []
        self._fed -= sum(int(part.size) for part in tail)
        self._segments[-1].start = self._fed
        for sound in tail:
            self.feed(sound)

    # -- out -----------------------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """Best text known now."""
        return " ".join(segment.best.text for segment in self._segments if segment.best.text)

    def words(self) -> tuple[tuple[str, int, int], ...]:
        """Words of the best text with their input samples; empty where the engine has no times."""
        return tuple(
            (word.text, base + word.span.start, base + word.span.end)
            for segment in self._segments
            for base in (self.origin + segment.start,)
            for word in segment.best.words
        )

    @property
    def concluded(self) -> bool:
        """Whether the newest segment has its final text."""
        return self._segments[-1].final is not None

    async def finish(self, budget: float) -> Transcript:
        """The turn is over: waits for the final text, and up to `budget` seconds for a second pass that is expected to
        be done by then."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.conclude()
        segment = self._segments[-1]
        if segment.refining is not None and not segment.refining.done():
            left = segment.refining_since + self._pace.expected(segment.samples) - began
            if left <= budget:
                await asyncio.wait({segment.refining}, timeout=min(budget, max(0.0, left) + GRACE))
            self._give_up(segment)
        if segment.refined is None and segment.concluding is not None:
            # Besides one call, what still waits in front of it: an engine slower than the player is of no use.
            longest = HUNG + self._behind / LISTEN_RATE
            _, waiting = await asyncio.wait({segment.concluding}, timeout=longest)
            if waiting:
                self.broken = TimeoutError(f"the recogniser did not finish within {longest:.0f} s")
        confidence = [part.best.confidence for part in self._segments if part.best.text]
        refined = segment.refined is not None and segment.best is segment.refined
        return Transcript(self.text, min(confidence, default=0.0), refined, loop.time() - began, self.words())

    async def close(self) -> None:
        """Stop everything; engine objects are closed on their lane."""
        for task in tuple(self._tasks):
            task.cancel()
        releasing: set[asyncio.Future[None]] = set()
        for segment in self._segments:
            try:
                releasing.add(self._lane.run(_release, segment))
            except LaneFull as error:
                self.broken = self.broken or error
        if not releasing:
            return
        # A session that ends cancels this wait; the lane releases them all the same.
        done, waiting = await asyncio.wait(releasing, timeout=HUNG)
        errors = [released.exception() for released in done]
        if waiting or any(errors):
            what = next((error for error in errors if error is not None), "it hangs")
            self.broken = self.broken or RuntimeError(f"the recogniser did not close: {what}")

    def _give_up(self, segment: _Segment) -> None:
        """Stop waiting for a second pass that is not done, and remember how long it has taken already."""
        if segment.refining is not None and not segment.refining.done():
            elapsed = asyncio.get_running_loop().time() - segment.refining_since
            self._pace.takes_more_than(elapsed, segment.samples)
            segment.refining.cancel()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _keep(self, sound: Pcm16) -> None:
        self._tail.append(sound)
        while sum(part.size for part in self._tail) - self._tail[0].size >= KEPT:
            self._tail.pop(0)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before its first step never enters its work, which would complain.
        task.add_done_callback(lambda _: work.close())
        return task

    def _open(self) -> _Segment:
        segment = _Segment()

        def begin() -> None:
            # On the lane, so that sound submitted behind it finds the stream, whatever the loop is doing.
            segment.stream = self._recognizer.open(self._bias, self._language, self.carry)

        self._spawn(self._guard(begin))
        return segment

    async def _guard(self, call: Callable[[], None]) -> None:
        try:
            await self._lane.run(call)
        except (Exception, LaneFull) as error:
            self.broken = error

    async def _accept(self, segment: _Segment, sound: Pcm16) -> None:
        def accept() -> Hypothesis | None:
            return None if segment.stream is None else segment.stream.accept(sound)

        try:
            partial = await self._lane.run(accept)
        except (Exception, LaneFull) as error:
            self.broken = error
            return
        finally:
            self._behind -= int(sound.size)
        if partial is not None and partial.text != segment.latest.text:
            segment.latest = partial
            self._on_text(self, partial)

    async def _finish(self, segment: _Segment) -> None:
        def finish() -> Hypothesis | None:
            if segment.stream is None:
                return None
            final = segment.stream.finish()
            self.carry = segment.stream.carry() or self.carry
            return final

        try:
            final = await self._lane.run(finish)
        except (Exception, LaneFull) as error:
            self.broken = error
            return
        segment.final = final or Hypothesis("")
        self._on_text(self, segment.final)

    async def _refine(self, segment: _Segment) -> None:
        # Sound that still waits for the first pass belongs to the second as well.
        await self._lane.run(_nothing)
        began, samples, stream = asyncio.get_running_loop().time(), segment.samples, segment.stream
        if stream is None:
            return
        try:
            better = await self._second.run(stream.refine)
        except Exception:
            # A second pass is a bonus: without it the first one stands.
            return
        self._pace.took(asyncio.get_running_loop().time() - began, samples)
        if better is not None:
            segment.refined = better
            if segment.best is better:
                self._on_text(self, better)


def _release(segment: _Segment) -> None:
    stream, segment.stream = segment.stream, None
    if stream is not None:
        stream.close()


def _nothing() -> None:
    return None
