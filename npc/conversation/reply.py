"""From the mind's clauses to a performance score: one reply, drafted behind a gate and spoken once it is open.

    mind ──clause──▶ voice (worker) ──PCM, phones, words──▶ face (worker) ──tracks──▶ score ──▶ playout
      └ after the first clause a draft stops here until `commit()` opens the gate; `cancel()` throws all of it away

A draft makes no more than its first clause, so what a wrong guess wastes is bounded. After the commit production runs
ahead of playback by at most `AHEAD` seconds, which bounds what an interruption wastes.

A mind that is still at its first clause some time after the commit is covered by a filler, as people do it ("Let me
think."): once a reply, never in a draft.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.animation.audio import AudioVisemes
from npc.animation.interface import Affect, Animator, FaceStream, FaceUpdate
from npc.audio.clock import Span, rescale
from npc.audio.resample import Resampler
from npc.conversation.score import Score, loudness_db
from npc.conversation.workers import Lane, iterate
from npc.dialogue.interface import Clause
from npc.phonetics.phones import Phone, SpokenWord
from npc.tts import prosody_of
from npc.tts.interface import Prosody, SpeechChunk, SpeechRequest, Synthesizer

Pcm16 = NDArray[np.int16]

#: Seconds of speech that production may be ahead of playback: enough for any pause of a language model, and about what
#: Pipecat's and LiveKit's sentence pacers allow (conversation.md §2: more text only when less than 5 s remain).
AHEAD = 5.0
#: The mind may take this long for its first clause, and between clauses.
MIND_DEADLINE = 20.0
#: Characters given to the voice at once; engines refuse texts of more than 1000.
LONGEST_PIECE = 600
#: A synthesiser silent for this long counts as hung.
VOICE_DEADLINE = 10.0


@dataclass(frozen=True, slots=True)
class Speaker:
    """A character's voice: the engine, its own pronunciations, and its language."""

    synthesizer: Synthesizer
    lexicon: tuple[tuple[str, str], ...] = ()
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Stage:
    """What a reply is performed with. `speaker` None makes it text only; `animator` None leaves the face out.

    `others` are the voices of further characters by id, for clauses that say whose they are.
    """

    rate: int
    lane: Lane
    speaker: Speaker | None = None
    others: Mapping[str, Speaker] = field(default_factory=dict)
    animator: Animator | None = None
    fps: int = 60
    seed: int = 0
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Filler:
    """What holds the floor when nothing of the answer is there `after` seconds from the commit."""

    clause: Clause
    after: float


@dataclass(frozen=True, slots=True)
class Spoken:
    """A piece of a clause ready for the score, in clause time at the output rate."""

    pcm: Pcm16
    words: tuple[SpokenWord, ...]
    face: FaceUpdate


@dataclass
class Marks:
    """When each stage of the reply was reached, session time in seconds."""

    at: dict[str, float] = field(default_factory=dict)

    def first(self, name: str, now: float) -> None:
        self.at.setdefault(name, now)


class Reply:
    """One reply. `run` is its task; `changed` is set whenever the score grew or the reply ended."""

    def __init__(
        self,
        clauses: Callable[[], AsyncIterator[Clause]],
        stage: Stage,
        clock: Callable[[], float],
        recorded: bool = False,
        filler: Filler | None = None,
    ) -> None:
        self._clauses, self._stage, self._clock, self._filler = clauses, stage, clock, filler
        self._gate = asyncio.Event()
        self._face: FaceStream | None = None
        if stage.animator is not None and stage.speaker is not None:
            self._face = stage.animator.open(stage.rate, stage.fps, stage.seed)
        self.score = Score(stage.rate, animated=self._face is not None, journal=self._note if recorded else None)
        self._journal: list[tuple[str, Mapping[str, Any]]] = []
        self._sink: Callable[[str, Mapping[str, Any]], None] | None = None
        self.made: list[Clause] = []
        self.marks = Marks()
        self.changed = asyncio.Event()
        self.played = 0
        """Samples played so far, told by the playout, for the bound on running ahead."""
        self.failure: Exception | None = None
        self.voice_failure: Exception | None = None
        self._room = asyncio.Event()

    @property
    def text_only(self) -> bool:
        return self._stage.speaker is None or self.voice_failure is not None

    @property
    def committed(self) -> bool:
        return self._gate.is_set()

    def commit(self) -> None:
        """The turn is over and this is the answer: go on past the first clause."""
        self._gate.set()

    def record_to(self, sink: Callable[[str, Mapping[str, Any]], None]) -> None:
        """Where the score's operations go; those of the draft so far come first."""
        for operation, data in self._journal:
            sink(operation, data)
        self._journal.clear()
        self._sink = sink

    def _note(self, operation: str, data: Mapping[str, Any]) -> None:
        if self._sink is not None:
            self._sink(operation, data)
        else:
            self._journal.append((operation, data))

    def playback(self, played: int) -> None:
        """The playout got this far."""
        self.played = played
        self._room.set()

    async def run(self) -> None:
        """Make the whole reply. Ends early, with `failure` set, when the mind fails; never raises but cancellation."""
        self.marks.first("mind_started", self._clock())
        clauses = self._clauses()
        try:
            clause = await self._first(clauses)
            while clause is not None:
                self.marks.first("first_clause", self._clock())
                await self._perform(clause)
                if not self._gate.is_set():
                    await self._gate.wait()
                await self._keep_within_reach()
                clause = await self._next(clauses)
        except Exception as error:
            self.failure = error
        finally:
            close = getattr(clauses, "aclose", None)
            if close is not None:
                with contextlib.suppress(Exception):
                    await close()
        await self._finish()

    async def _first(self, clauses: AsyncIterator[Clause]) -> Clause | None:
        """The first clause; while it keeps the player waiting, the filler is spoken."""
        if self._filler is None or self.text_only:
            return await self._next(clauses)
        coming = asyncio.ensure_future(self._next(clauses))
        committed = asyncio.ensure_future(self._gate.wait())
        try:
            await asyncio.wait({coming, committed}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                await asyncio.wait({coming}, timeout=self._filler.after)
            if not coming.done():
                await self._perform(self._filler.clause)
            return await coming
        finally:
            committed.cancel()
            if coming.cancel():
                await asyncio.wait({coming})

    async def _next(self, clauses: AsyncIterator[Clause]) -> Clause | None:
        try:
            return await asyncio.wait_for(anext(clauses), MIND_DEADLINE)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            raise TimeoutError(f"the mind made no clause within {MIND_DEADLINE:.0f} s") from None

    async def _perform(self, clause: Clause) -> None:
        self.made.append(clause)
        self.score.begin(clause)
        if not self.text_only and clause.text.strip():
            try:
                await self._speak(clause)
            except Exception as error:
                self.voice_failure = error
        self.score.end()
        self.marks.first("first_audio", self._clock())
        self.changed.set()

    async def _speak(self, clause: Clause) -> None:
        for offset, text in spoken_pieces(clause.text):
            await self._speak_piece(clause, offset, text)

    async def _speak_piece(self, clause: Clause, offset: int, text: str) -> None:
        """A part of a clause from its character `offset` on: the whole of it but for endless ones."""
        own, at = self._stage.speaker, self.score.length
        assert own is not None
        speaker = self._stage.others.get(clause.by, own)
        into = at - self.score.clause_start
        request = SpeechRequest(text, _prosody(clause.affect, self._stage.speed), speaker.language, speaker.lexicon)

        def make() -> Iterator[Spoken]:
            return perform(speaker.synthesizer, request, clause, self._stage.rate, at, self._face)

        pieces = iterate(self._stage.lane, make)
        try:
            while True:
                piece = await asyncio.wait_for(anext(pieces), VOICE_DEADLINE)
                words = piece.words
                if offset or into:
                    words = tuple(
                        SpokenWord(w.text_start + offset, w.text_end + offset, w.span.shifted(into)) for w in words
                    )
                self.score.push(piece.pcm, words)
                self.score.animate(piece.face)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise TimeoutError(f"the voice made no sound within {VOICE_DEADLINE:.0f} s") from None
        finally:
            await pieces.aclose()  # type: ignore[attr-defined]

    async def _keep_within_reach(self) -> None:
        while self.score.length - self.played > AHEAD * self._stage.rate:
            self._room.clear()
            await self._room.wait()

    async def _finish(self) -> None:
        update = FaceUpdate()
        if self._face is not None:
            try:
                update = await asyncio.wait_for(
                    self._stage.lane.run(self._face.finish, self.score.length), VOICE_DEADLINE
                )
            except Exception as error:
                self.voice_failure = error
        self.score.finish(update)
        self.marks.first("finished", self._clock())
        self.changed.set()


def spoken_pieces(text: str) -> list[tuple[int, str]]:
    """(offset, text) of the pieces in which a clause is spoken: itself, or parts of at most `LONGEST_PIECE`."""
    pieces, start = [], 0
    while len(text) - start > LONGEST_PIECE:
        cut = text.rfind(" ", start + 1, start + LONGEST_PIECE)
        cut = start + LONGEST_PIECE if cut < 0 else cut
        pieces.append((start, text[start:cut]))
        start = cut + 1 if text[cut : cut + 1] == " " else cut
    return [*pieces, (start, text[start:])]


def perform(
    synthesizer: Synthesizer, request: SpeechRequest, clause: Clause, rate: int, at: int, face: FaceStream | None
) -> Iterator[Spoken]:
    """Blocking: a clause as sound at `rate`, with its face. `at` is the item's sample at which the clause begins.

    A voice that gives no phone with its first sound gives none: its face goes by what is heard.
    """
    from_rate, gesture = synthesizer.sample_rate, clause.gesture
    resampler, taken, known = Resampler(from_rate, rate), 0, at
    ear: AudioVisemes | None = None
    for chunk in _with_end(synthesizer.synthesize(request)):
        said = chunk if chunk is not None else SpeechChunk(np.zeros(0, np.int16))
        taken += int(said.pcm.size)
        pcm = resampler.flush() if chunk is None else resampler.push(said.pcm)
        phones = tuple(Phone(p.ipa, _rescaled(p.span, from_rate, rate).shifted(at), p.stress) for p in said.phones)
        words = tuple(SpokenWord(w.text_start, w.text_end, _rescaled(w.span, from_rate, rate)) for w in said.words)
        update = FaceUpdate()
        if face is not None and ear is None and said.pcm.size and not phones and taken == said.pcm.size:
            ear = AudioVisemes(rate)
        if face is not None and ear is not None:
            seen = ear.push(pcm) if chunk is not None else (*ear.push(pcm), *ear.finish())
            phones = tuple(Phone(p.ipa, p.span.shifted(at), p.stress) for p in seen)
            known = phones[-1].span.end if phones else known
            update = face.push(phones, known, clause.affect, loudness_db(said.pcm), gesture)
            gesture = None
        elif face is not None and chunk is not None:
            # Phones say further than sound does: the last one that begins in a chunk may end in the next.
            known = phones[-1].span.end if phones else max(known, at + rescale(taken, from_rate, rate))
            update = face.push(phones, known, clause.affect, loudness_db(said.pcm), gesture)
            gesture = None
        yield Spoken(pcm, words, update)


def _with_end(chunks: Iterator[SpeechChunk]) -> Iterator[SpeechChunk | None]:
    try:
        yield from chunks
        yield None
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def _rescaled(span: Span, from_rate: int, to_rate: int) -> Span:
    return Span(rescale(span.start, from_rate, to_rate), rescale(span.end, from_rate, to_rate))


def again(speaker: Speaker, clause: Clause, rate: int) -> tuple[int, tuple[tuple[int, int, int, int], ...]]:
    """Blocking: speak a clause as a reply would; samples at `rate`, and (text_start, text_end, start, end) of words.

    For comparing a recorded reply with what the same engines say now. Speed is the voice's own.
    """
    samples, words = 0, []
    for offset, text in spoken_pieces(clause.text):
        request = SpeechRequest(text, _prosody(clause.affect, 1.0), speaker.language, speaker.lexicon)
        begun = samples
        for piece in perform(speaker.synthesizer, request, clause, rate, 0, None):
            samples += int(piece.pcm.size)
            words += [
                (w.text_start + offset, w.text_end + offset, w.span.start + begun, w.span.end + begun)
                for w in piece.words
            ]
    return samples, tuple(words)


def _prosody(affect: Affect, speed: float) -> Prosody:
    base = Prosody(rate=speed)
    return prosody_of(affect.valence, affect.arousal, affect.dominance, intensity=affect.intensity, base=base)
