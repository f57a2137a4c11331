"""Engines that do what a script says, for benches and tests of the loop itself. Nothing here is random or slow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from npc.animation.interface import Affect
from npc.asr.interface import Bias, Hypothesis
from npc.audio.clock import Span
from npc.audio.vad import FRAME, VadFrame
from npc.conversation.endpointing.interface import Judgement, Pause
from npc.dialogue.interface import Clause, HeardReply, MindState, PlayerTurn, WorldEvent
from npc.phonetics.phones import Phone, SpokenWord
from npc.tts.interface import SpeechChunk, SpeechRequest

Pcm16 = NDArray[np.int16]

#: Scripted voices speak this many samples a letter at 16 kHz (60 ms), and pause this many after a clause.
LETTER, TRAIL = 960, 1920
_NO_BIAS = Bias()
#: Level of scripted player sound that counts as voice.
VOICE = 1000


class ScriptedVoice:
    """Every letter takes 60 ms; words and phones tile the clause exactly."""

    name = "scripted"
    sample_rate = 16_000
    languages: Sequence[str] = ("en",)

    def synthesize(self, request: SpeechRequest) -> Iterator[SpeechChunk]:
        words, phones, at, place = [], [], 0, 0
        for word in request.text.split():
            start = request.text.index(word, place)
            place = start + len(word)
            end = at + LETTER * len(word)
            words.append(SpokenWord(start, place, Span(at, end)))
            phones.append(Phone("ɑ", Span(at, end), 1))
            at = end
        phones.append(Phone("", Span(at, at + TRAIL)))
        # A ramp, so that a test sees which sample it got.
        pcm = (np.arange(at + TRAIL) % 20_000 + 1).astype(np.int16)
        yield SpeechChunk(pcm, tuple(phones), tuple(words))

    def close(self) -> None:
        return None


class ScriptedMind:
    """Answers with `reply(text)` and remembers what was committed."""

    character_id = "scripted"

    def __init__(
        self, reply: Callable[[str], Sequence[Clause]], wants: Callable[[WorldEvent], bool] | None = None
    ) -> None:
        self._reply, self._wants = reply, wants
        self.committed: list[tuple[PlayerTurn | None, HeardReply | None]] = []
        self.observed: list[WorldEvent] = []
        self.partials: list[str] = []
        self.asked: list[PlayerTurn] = []
        self.closed = False

    def bias_words(self) -> tuple[str, ...]:
        return ("Velkora",)

    async def greet(self) -> AsyncIterator[Clause]:
        for clause in self._reply("(greet)"):
            yield clause

    def listen(self, partial: str) -> None:
        self.partials.append(partial)

    async def respond(self, turn: PlayerTurn) -> AsyncIterator[Clause]:
        self.asked.append(turn)
        for clause in self._reply(turn.text):
            yield clause

    async def observe(self, event: WorldEvent) -> bool:
        self.observed.append(event)
        return self._wants is not None and self._wants(event)

    async def commit(self, turn: PlayerTurn | None, reply: HeardReply | None) -> None:
        self.committed.append((turn, reply))

    def state(self) -> MindState:
        return MindState(Affect(), Affect())

    async def close(self) -> None:
        self.closed = True


class _LevelStream:
    def __init__(self) -> None:
        self._at, self._rest = 0, np.zeros(0, np.int16)

    def push(self, pcm: Pcm16) -> list[VadFrame]:
        sound, frames = np.concatenate([self._rest, pcm]), []
        whole = sound.size - sound.size % FRAME
        for begin in range(0, whole, FRAME):
            loud = float(np.abs(sound[begin : begin + FRAME]).mean()) >= VOICE / 2
            frames.append(VadFrame(self._at, 0.95 if loud else 0.02, -20.0 if loud else -60.0))
            self._at += FRAME
        self._rest = sound[whole:]
        return frames

    def reset(self) -> None:
        self._at, self._rest = 0, np.zeros(0, np.int16)


class LevelVad:
    """Voice is what is loud."""

    name = "level"

    def open(self) -> _LevelStream:
        return _LevelStream()


class FixedWait:
    """Every turn is over after the same silence (samples), and was never in doubt."""

    name, audio_seconds = "fixed", 0.0

    def __init__(self, until: int = 3840, complete: float = 0.9) -> None:
        self._judgement = Judgement(complete, until)

    def judge(self, pause: Pause) -> Judgement:
        return self._judgement


class _ScriptedStream:
    def __init__(self, script: Mapping[int, str], fail_after: float) -> None:
        self._script, self._heard, self._text, self._fail_after = script, 0, "", fail_after
        self.closed = False

    def accept(self, pcm: Pcm16) -> Hypothesis | None:
        self._heard += int(pcm.size)
        if self._heard > self._fail_after:
            raise RuntimeError("the scripted recogniser crashed")
        text = next((text for least, text in sorted(self._script.items(), reverse=True) if self._heard >= least), "")
        if text == self._text:
            return None
        self._text = text
        return Hypothesis(text, confidence=0.9)

    def finish(self) -> Hypothesis:
        return Hypothesis(self._text, confidence=0.9, is_final=True)

    def refine(self) -> Hypothesis | None:
        return Hypothesis(self._text, confidence=0.95, is_final=True)

    def carry(self) -> object | None:
        return None

    def close(self) -> None:
        self.closed = True


class ScriptedRecognizer:
    """Recognises `script[n]` once n samples of an utterance were heard; crashes after `fail_after` samples."""

    name = "scripted"
    languages: Sequence[str] = ("en",)

    def __init__(self, script: Mapping[int, str], fail_after: float = float("inf")) -> None:
        self.script, self._fail_after = dict(script), fail_after
        self.opened: list[_ScriptedStream] = []

    def prepare(self, bias: Bias, language: str = "en") -> None:
        return None

    def open(self, bias: Bias = _NO_BIAS, language: str = "en", carry: object | None = None) -> _ScriptedStream:
        stream = _ScriptedStream(self.script, self._fail_after)
        self.opened.append(stream)
        return stream

    def close(self) -> None:
        return None
