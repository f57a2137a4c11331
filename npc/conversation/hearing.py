"""The hearing half of a session: sound in, turn events and transcripts out. Moves sound between the ear and recogniser.

hear(pcm) ─▶ pending ─▶ [lane "hearing": Ear.sense] ─▶ events ─▶ session (turn core)
            (≤ 2 s late)       └ 16 kHz sound ─▶ ring (10 s) ─▶ [lanes "asr", "second_pass": Utterance]
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from npc.asr.interface import Bias, Hypothesis, StreamingRecognizer
from npc.audio.clock import LISTEN_RATE
from npc.audio.resample import Resampler
from npc.conversation.ear import Ear, EarEvent, Partial, Sensed
from npc.conversation.endpointing.interface import EndOfTurnDetector
from npc.conversation.engines import Engines
from npc.conversation.utterance import Pace, Transcript, Utterance

Pcm16 = NDArray[np.int16]

#: How late the ear may be, in seconds of sound; beyond it the oldest is dropped...
MAX_PENDING_S = 2.0
#: ... and how much may come ahead of its time, as a recording does that is sent at once: the sound of the longest
#: message there may be (16 s), nearly twice.
MAX_AHEAD_S = 28.0
#: Sound is heard in steps of at most so long, so that a turn that ends in the middle of a recording ends there.
_STEP_MS = 100
#: Sound before the onset that the recogniser gets too: a word's first consonant is often below the gate.
LEAD_IN = LISTEN_RATE * 300 // 1000
_RING = 10 * LISTEN_RATE
NOTHING: Pcm16 = np.zeros(0, np.int16)


class _Ring:
    """The last ten seconds of 16 kHz sound by input sample."""

    def __init__(self) -> None:
        self._parts: deque[tuple[int, Pcm16]] = deque()
        self.end = 0

    def push(self, start: int, sound: Pcm16) -> None:
        if not sound.size:
            return
        self._parts.append((start, sound))
        self.end = start + int(sound.size)
        while self._parts and self._parts[0][0] + self._parts[0][1].size < self.end - _RING:
            self._parts.popleft()

    @property
    def start(self) -> int:
        """The oldest sample kept."""
        return self._parts[0][0] if self._parts else self.end

    def read(self, start: int) -> Pcm16:
        """From `start` (or the oldest kept) to the end."""
        pieces = [part[max(0, start - at) :] for at, part in self._parts if at + part.size > start]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


class Hearing:
    """Owned by the session's task. `on_events` gets the ear's events in order, `on_words` the recogniser's partials."""

    def __init__(
        self,
        engines: Engines,
        rate: int,
        on_events: Callable[[Sequence[EarEvent]], None],
        on_words: Callable[[Hypothesis], None],
        on_trouble: Callable[[str], None],
        spawn: Callable[[object], None],
    ) -> None:
        self._engines, self._rate = engines, rate
        self._on_events, self._on_words, self._on_trouble, self._spawn = on_events, on_words, on_trouble, spawn
        self._lane = engines.workers.lane("hearing")
        self._asr, self._second = engines.workers.lane("asr"), engines.workers.lane("second_pass")
        self.ear = Ear(rate, engines.vad.open(), engines.detector, engines.guard(), talkover=engines.talkover())
        self._pending: deque[tuple[Pcm16, Pcm16]] = deque()
        self._pending_size = 0
        self._spoken_by = 0.0
        """Loop time at which all sound so far would have come, had it come as it was spoken."""
        self._busy = False
        self._ring = _Ring()
        self._utterance: Utterance | None = None
        self._fed = 0
        self._resampler: Resampler | None = None
        self._resampler_rate = 0
        self._bias = Bias()
        self._carry: object | None = None
        self._pace = Pace()
        self.opened = 0
        """Input sample from which the newest utterance counts."""
        self.received = 0
        """Samples received at the client's rate."""

    # -- sound in ------------------------------------------------------------------------------------------------------

    def set_rate(self, rate: int) -> None:
        self._rate = rate
        self._lane.run(self.ear.set_rate, rate)

    def expect(self, bias: Bias) -> None:
        """Words this character is likely to hear, from the next utterance on."""
        self._bias = bias
        recognizer = self._engines.recognizer
        if recognizer is not None:
            self._spawn(self._prepare(recognizer, bias))

    async def _prepare(self, recognizer: StreamingRecognizer, bias: Bias) -> None:
        try:
            await self._asr.run(recognizer.prepare, bias, self._engines.language)
        except Exception as error:
            self._on_trouble(f"the recogniser could not prepare: {error}")

    def configure(self, detector: EndOfTurnDetector, gate: tuple[float, float]) -> None:
        """How turns are detected from now on."""
        self._lane.run(self.ear.configure, detector, gate)

    async def drained(self) -> None:
        """All sound received so far has been heard."""
        while self._busy:
            await self._lane.run(_nothing)

    def hear(self, pcm: Pcm16, sounding: Pcm16 = NOTHING, sounding_rate: int = LISTEN_RATE) -> None:
        """Sound at the client's rate, and what of our own began to sound there in the meantime."""
        size, now, step = int(pcm.size), asyncio.get_running_loop().time(), self._rate * _STEP_MS // 1000
        self.received += size
        ours = self._reference(sounding, sounding_rate)
        for begin in range(0, max(1, size), step):
            self._pending.append((pcm[begin : begin + step], ours if begin == 0 else NOTHING))
        self._pending_size += size
        self._spoken_by = max(self._spoken_by, now) + size / self._rate
        most = (MAX_PENDING_S + min(MAX_AHEAD_S, self._spoken_by - now)) * self._rate
        if self._pending_size > most:
            while self._pending_size > most:
                self._pending_size -= int(self._pending.popleft()[0].size)
            self._on_trouble("sound came faster than it could be heard; the oldest was dropped")
        if not self._busy:
            self._busy = True
            self._spawn(self._drain())

    def _reference(self, sounding: Pcm16, rate: int) -> Pcm16:
        if not sounding.size:
            return NOTHING
        if self._resampler is None or self._resampler_rate != rate:
            self._resampler, self._resampler_rate = Resampler(rate, LISTEN_RATE), rate
        return self._resampler.push(sounding)

    async def _drain(self) -> None:
        try:
            while self._pending:
                self._take(await self._lane.run(self._sense, self._step()))
        except Exception as error:
            self._on_trouble(f"hearing failed on a piece of sound: {error}")
        finally:
            self._busy = False

    def _step(self) -> tuple[tuple[Pcm16, Pcm16], ...]:
        """The oldest pieces that wait, up to one step of sound together."""
        pieces, left = [self._pending.popleft()], self._rate * _STEP_MS // 1000
        left -= int(pieces[0][0].size)
        while self._pending and self._pending[0][0].size <= left:
            pieces.append(self._pending.popleft())
            left -= int(pieces[-1][0].size)
        self._pending_size -= sum(int(pcm.size) for pcm, _ in pieces)
        return tuple(pieces)

    def _sense(self, pieces: tuple[tuple[Pcm16, Pcm16], ...]) -> Sensed:
        """On the lane: our own voice first, so that the guard knows it when it comes back."""
        sensed = []
        for pcm, ours in pieces:
            if ours.size:
                self.ear.sent(ours)
            sensed.append(self.ear.sense(pcm))
        sound = np.concatenate([one.sound for one in sensed])
        return Sensed(sensed[0].start, sound, tuple(event for one in sensed for event in one.events))

    def _take(self, sensed: Sensed) -> None:
        self._ring.push(sensed.start, sensed.sound)
        self._on_events(sensed.events)
        self._feed()

    @property
    def heard(self) -> int:
        """16 kHz samples heard so far."""
        return self._ring.end

    # -- utterances ----------------------------------------------------------------------------------------------------

    def open(self, at: int) -> None:
        """Recognise from input sample `at` on (and what led up to it)."""
        self._close_utterance()
        recognizer = self._engines.recognizer
        if recognizer is None:
            return
        self._utterance = Utterance(
            recognizer,
            self._bias,
            self._asr,
            self._second,
            self._changed,
            self._engines.language,
            self._carry,
            self._pace,
        )
        self.opened = at
        self._fed = max(0, at - LEAD_IN)
        self._utterance.origin = max(self._fed, self._ring.start)
        self._feed()

    def resumed(self) -> None:
        """The player goes on after a pause."""
        if self._utterance is not None:
            self._utterance.resumed()

    def refine(self, wait: float) -> None:
        """Begin a second pass if it can be done by `wait` seconds from now: one that comes later unmakes the draft."""
        if self._utterance is not None and self._engines.refine_budget > 0.0:
            self._feed()
            self._utterance.refine(wait)

    def conclude(self) -> None:
        """This pause may be the end of the turn: get the final text of what was said."""
        if self._utterance is not None:
            self._feed()
            self._utterance.conclude()

    @property
    def concluded(self) -> bool:
        """Whether the text is the recogniser's last word on what was said so far."""
        return self._utterance is not None and self._utterance.concluded

    @property
    def text(self) -> str:
        return "" if self._utterance is None else self._utterance.text

    @property
    def listening(self) -> bool:
        """Whether an utterance is open."""
        return self._utterance is not None

    def detach(self) -> Utterance | None:
        """The turn is over: the utterance, to be finished and closed by the caller."""
        self._feed()
        utterance, self._utterance = self._utterance, None
        self._lane.run(self.ear.new_turn)
        return utterance

    def drop(self) -> None:
        """What was being recognised was no turn."""
        self._close_utterance()
        self._lane.run(self.ear.new_turn)

    def _close_utterance(self) -> None:
        utterance, self._utterance = self._utterance, None
        if utterance is not None:
            self._spawn(self._let_go(utterance))

    async def _let_go(self, utterance: Utterance) -> None:
        await utterance.close()
        self._carry = utterance.carry

    async def finish(self, utterance: Utterance) -> Transcript:
        """Final words of a detached utterance."""
        transcript = await utterance.finish(self._engines.refine_budget)
        if utterance.broken is not None:
            self._on_trouble(f"the recogniser failed: {utterance.broken}")
        self._spawn(self._let_go(utterance))
        return transcript

    def _feed(self) -> None:
        if self._utterance is not None and self._ring.end > self._fed:
            sound = self._ring.read(self._fed)
            self._fed = self._ring.end
            self._utterance.feed(sound)

    def _changed(self, utterance: Utterance, hypothesis: Hypothesis) -> None:
        if utterance is not self._utterance:
            return
        whole = utterance.text
        words = len(whole.split())
        stable = words if utterance.concluded else max(0, words - len(hypothesis.words) + hypothesis.stable_words)
        self.ear.partial = Partial(whole, stable, hypothesis.confidence, self._ring.end, hypothesis.language)
        self._on_words(hypothesis)


def _nothing() -> None:
    return None
