"""Coqui voices from a local model folder: VITS with its own durations, XTTS streaming with an aligner.

    VITS   phones (or letters) ─▶ worker ─▶ whole clause + frames of every unit ─▶ phones and words, exact
    XTTS   text ─▶ worker ─▶ pieces of sound ─▶ level ─▶ aligner hears them too ─▶ pieces with their words

Coqui's packages do not fit beside ours, so they live in an environment of their own (`make coqui` builds it) and run in
a worker process that is started again when it dies. XTTS weights are for non-commercial use: the card says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from npc.audio.clock import Span
from npc.config.paths import cache_dir
from npc.phonetics.phones import Phone, SpokenWord
from npc.tts.aligned import Unit, finish, pitch_ratio
from npc.tts.aligner import Aligner, Alignment
from npc.tts.cards import InstalledVoice
from npc.tts.chunks import chunked
from npc.tts.finish import LEVEL_DB, active_db, check_length, pause_samples, soft_limit
from npc.tts.interface import EngineFailed, EngineUnavailable, Pcm16, SpeechChunk, SpeechRequest, Synthesizer
from npc.tts.tokens import lexicon_key, runs
from npc.tts.worker import Worker

SCRIPT: Final = Path(__file__).with_name("coqui_worker.py")
#: A word is settled some 0.7 s after it began (the median, measured); sound leaves up to the last settled word, but is
#: never kept longer than this.
HOLD_S: Final = 1.0
_MARKS: Final = ",.;:!?"


@dataclass(frozen=True, slots=True)
class CoquiSettings:
    """`model` is a folder with config.json and the checkpoint, relative to the card's. `reference` is a WAV file whose
    voice XTTS takes on: only with that person's consent, which the card must state. `python` is the interpreter of
    Coqui's environment (else NPC_COQUI_PYTHON, else what `make coqui` built)."""

    model: str
    speaker: str | None = None
    reference: str | None = None
    rate: float = 1.0
    pitch_semitones: float = 0.0
    level_db: float = 0.0
    espeak_voice: str = "en-us"
    python: str | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        for name, low, high in (("rate", 0.5, 2.0), ("pitch_semitones", -6.0, 6.0), ("level_db", -20.0, 6.0)):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"Coqui setting {name} must lie in [{low}, {high}], got {getattr(self, name)}")


def interpreter(settings: CoquiSettings) -> Path:
    """The Python that has Coqui. Raises EngineUnavailable with what to do."""
    for place in (settings.python, os.environ.get("NPC_COQUI_PYTHON"), cache_dir() / "coqui" / "bin" / "python"):
        if place and Path(place).expanduser().exists():
            return Path(place).expanduser()
    raise EngineUnavailable("Coqui has no environment yet: run `make coqui`, or set NPC_COQUI_PYTHON")


def from_card(voice: InstalledVoice) -> Synthesizer:
    """The voice a card describes. Raises ValueError naming the folder or file that is missing."""
    settings = voice.settings_as(CoquiSettings)
    folder = voice.path.parent / Path(settings.model).expanduser()
    if not (folder / "config.json").is_file():
        raise ValueError(f"Coqui model: no {folder / 'config.json'} (a folder with config.json and a checkpoint)")
    reference = None if settings.reference is None else voice.path.parent / Path(settings.reference).expanduser()
    if reference is not None and not reference.is_file():
        raise ValueError(f"Coqui reference recording: no {reference}")
    command = [str(interpreter(settings)), str(SCRIPT)]
    return CoquiVoice(command, folder, settings, reference, voice.card.id, voice.card.languages)


class CoquiVoice:
    """A `Synthesizer`. Clauses run one at a time in its worker; one that dies fails its clause and is started again."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        settings: CoquiSettings,
        reference: Path | None = None,
        name: str = "",
        languages: Sequence[str] = ("en",),
    ) -> None:
        self.settings = settings
        self.name = name or folder.name
        self.languages: Sequence[str] = tuple(languages)
        wishes = {"model": str(folder), "speaker": settings.speaker, "threads": settings.threads}
        self._worker = Worker(command, {**wishes, "reference": None if reference is None else str(reference)})
        ready = self._worker.ready
        try:
            self.sample_rate = int(ready["sample_rate"])
            self._streams = ready["kind"] == "xtts"
            self._phonemes = bool(ready["phonemes"])
        except KeyError as error:
            self._worker.close()
            raise EngineFailed(f"the voice process greeted without {error}") from error
        self._aligner = Aligner() if self._streams else None

    def synthesize(self, request: SpeechRequest) -> Iterator[SpeechChunk]:
        """Yield the clause: VITS whole, XTTS as it is made. Raises EngineFailed when the worker dies; try again."""
        check_length(request.text)
        words = runs(request.text)
        if words:
            yield from self._stream(request, words) if self._streams else self._whole(request, words)

    def close(self) -> None:
        """End the worker."""
        self._worker.close()

    def _length(self, request: SpeechRequest) -> tuple[float, float, float]:
        """(rate, semitones, how much longer than usual the model must speak)."""
        rate = self.settings.rate * request.prosody.rate
        semitones = self.settings.pitch_semitones + request.prosody.pitch_semitones
        if self._streams:
            semitones = 0.0
        up, down = pitch_ratio(semitones)
        return rate, semitones, up / down / rate

    def _whole(self, request: SpeechRequest, words: list[tuple[int, int]]) -> Iterator[SpeechChunk]:
        rate, semitones, length = self._length(request)
        units = self._units(request, words)
        answers = list(self._worker.ask({"units": [unit.symbol for unit in units], "length": length}))
        if not answers:
            return
        header, payload = answers[0]
        samples = header.get("samples", ())
        if len(samples) != len(units):
            raise EngineFailed(f"the voice process timed {len(samples)} units of {len(units)}")
        timed = [Unit(unit.symbol, unit.word, int(n)) for unit, n in zip(units, samples, strict=True)]
        clause = finish(
            np.frombuffer(payload, dtype="<f4"), timed, words, timed=True, text=request.text, rate=rate,
            sample_rate=self.sample_rate, semitones=semitones, prosody=request.prosody, level_db=self.settings.level_db,
        )  # fmt: skip
        yield from chunked(clause.pcm, clause.phones, clause.words, self.sample_rate // 50)

    def _units(self, request: SpeechRequest, words: list[tuple[int, int]]) -> list[Unit]:
        if self._phonemes:
            from npc.tts.espeak import pronounce

            sounds = pronounce(request, words, self.settings.espeak_voice)
        else:
            sounds = [list(request.text[start:end].lower().strip(_MARKS)) for start, end in words]
        units: list[Unit] = []
        for index, (start, end) in enumerate(words):
            units += [Unit(symbol, index) for symbol in sounds[index]]
            tail = request.text[start:end]
            units += [Unit(mark, None) for mark in tail[len(tail.rstrip(_MARKS)) :]]
            if index + 1 < len(words):
                units.append(Unit(" ", None))
        return units

    def _stream(self, request: SpeechRequest, words: list[tuple[int, int]]) -> Iterator[SpeechChunk]:
        assert self._aligner is not None
        rate, _, length = self._length(request)
        lexicon = {lexicon_key(word): phones.split() for word, phones in request.lexicon}
        spelt = [request.text[start:end] for start, end in words]
        alignment = self._aligner.begin(spelt, self.sample_rate, lexicon)
        try:
            heard = _Heard(alignment, words, round(HOLD_S * self.sample_rate))
            wish = {"text": request.text, "language": request.language, "length": length}
            gain = 0.0
            for _, payload in self._worker.ask(wish):
                raw = np.frombuffer(payload, dtype="<f4").astype(np.float64)
                if not gain:
                    # The first piece with speech in it sets the level of the clause; a later change would be heard.
                    level = active_db(raw, self.sample_rate)
                    gain = 0.0 if level < -60.0 else 10.0 ** ((LEVEL_DB + self.settings.level_db - level) / 20.0)
                yield from heard.push(soft_limit(raw * (gain or 1.0) * request.prosody.energy))
            yield from heard.finish(pause_samples(request.text, rate, self.sample_rate))
        finally:
            alignment.finish()


class _Heard:
    """Pieces on their way out of a streaming voice, each with the words (and their phones) that begin in it."""

    def __init__(self, alignment: Alignment, words: list[tuple[int, int]], hold: int) -> None:
        self._alignment, self._words, self._hold = alignment, words, hold
        self._kept: list[Pcm16] = []
        self._given = self._waiting = 0
        self._word = self._told = 0

    def push(self, pcm: Pcm16) -> Iterator[SpeechChunk]:
        """More sound; gives what the aligner has settled, and what has waited for HOLD_S."""
        settled = self._alignment.push(pcm)
        self._kept.append(pcm)
        self._waiting += pcm.size
        sure = max((span.end for span in settled.values()), default=0) - self._given
        count = min(self._waiting, max(sure, self._waiting - self._hold))
        if count > 0:
            yield self._give(count, settled, last=False)

    def finish(self, pause: int) -> Iterator[SpeechChunk]:
        """The rest with a pause after it. Words the aligner did not find begin where the one before ended."""
        settled = self._alignment.finish()
        self._kept.append(np.zeros(pause, dtype=np.int16))
        self._waiting += pause
        yield self._give(self._waiting, settled, last=True)

    def _give(self, count: int, settled: dict[int, Span], *, last: bool) -> SpeechChunk:
        sound = np.concatenate(self._kept)
        piece, rest = sound[:count], sound[count:]
        self._kept, self._waiting = [rest], rest.size
        start, end = self._given, self._given + count
        self._given = end
        words: list[SpokenWord] = []
        phones: list[Phone] = []
        while self._word < len(self._words):
            span = settled.get(self._word)
            if span is None and not last:
                break
            # The path may still shift by a frame after a piece has left: a word never begins before what was given.
            span = Span(self._told, self._told) if span is None else span
            begin = max(span.start, self._told, start)
            if begin >= end and not last:
                break
            begin = min(begin, end)
            span = Span(begin, max(begin, min(span.end, end) if last else span.end))
            words.append(SpokenWord(*self._words[self._word], span))
            phones += self._silence(begin)
            if span.length:
                phones += self._alignment.phones(self._word, span)
                self._told = span.end
            self._word += 1
        phones += self._silence(end)
        return SpeechChunk(piece, tuple(phones), tuple(words))

    def _silence(self, until: int) -> list[Phone]:
        """A pause from where the phones told so far end, if that is before `until`."""
        if until <= self._told:
            return []
        pause = Phone("", Span(self._told, until))
        self._told = until
        return [pause]
