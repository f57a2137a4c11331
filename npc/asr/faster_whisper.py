"""faster-whisper: a Whisper model (a directory, or the name of one that `npc models pull` brought) through CTranslate2.

Whisper pads every window to 30 s, so a partial costs a whole encode however little was said. Partials are therefore
rationed: the next one waits until as much sound has come in as `1 / share` times what the last one took.

    sound    ├──────────┼──────────────┼──────────────┼───▶
    partial             P₁ (0.4 s)     P₂             P₃        agreed words of P₁ and P₂ are stable

Stable are the words on which two consecutive partials agree (LocalAgreement-2, Liu et al. 2020, arXiv:2005.11185). Once
more than 20 s are open, stable words are kept and their sound is let go, so a monologue costs no more than a sentence.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel

from npc.asr.interface import Bias, Hypothesis, Pcm16, RecognizedWord, RecognizerError, RecognizerStream
from npc.audio.clock import LISTEN_RATE, Span
from npc.audio.pcm import to_float
from npc.config.paths import cache_dir

_NO_BIAS = Bias()
#: Sound before the first partial, and the least between two.
_FIRST = LISTEN_RATE * 8 // 10
#: Open sound from which stable words are committed, 10 s short of Whisper's window.
_LONG = 20 * LISTEN_RATE
#: Open sound beyond which everything is committed, agreed or not.
_LONGEST = 27 * LISTEN_RATE
#: Whisper's prompt holds 223 tokens; forty names leave room for the text before.
_HOTWORDS = 40


class FasterWhisperRecognizer:
    """`model` is a directory with a converted model (`model.bin`, `config.json`, `tokenizer.json`) or a name ("small")
    of one that was pulled or lies in the Hugging Face cache; nothing is fetched here. `share` bounds the part of a
    worker's time that partials take; `beam` is for finals."""

    name = "faster_whisper"

    def __init__(
        self,
        model: str | Path,
        device: str = "auto",
        compute_type: str = "default",
        threads: int = 2,
        beam: int = 5,
        share: float = 0.5,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if not 0.0 < share <= 1.0:
            raise ValueError(f"share must lie in (0, 1], got {share}")
        path = Path(model)
        if path.is_absolute() and not (path / "model.bin").is_file():
            raise RecognizerError(
                f"no CTranslate2 Whisper model in {path}: it must hold model.bin (see docs/hearing.md)"
            )
        pulled = cache_dir() / "models" / f"Systran--faster-whisper-{model}"
        by_name = not path.is_dir()
        place = pulled if by_name and (pulled / "model.bin").is_file() else model
        try:
            self._model = WhisperModel(
                str(place), device=device, compute_type=compute_type, cpu_threads=threads, local_files_only=True
            )
        except Exception as error:
            cure = f": `npc models pull whisper-{model}` fetches it, or set asr.model to a directory" if by_name else ""
            raise RecognizerError(f"cannot load Whisper model {str(model)!r}{cure} ({error})") from error
        self.languages: Sequence[str] = tuple(self._model.supported_languages)
        self._beam, self._share, self._clock = beam, share, clock
        # One decode at a time: two on the same cores only make both late.
        self._turn = threading.Lock()

    def prepare(self, bias: Bias, language: str = "en") -> None:
        """Nothing to prepare: the model takes hints with every call."""

    def open(self, bias: Bias = _NO_BIAS, language: str = "en", carry: object | None = None) -> RecognizerStream:
        code = language.split("-")[0].lower()
        if code not in self.languages:
            raise ValueError(f"this Whisper model does not speak {language!r}")
        return _Stream(self, bias, code)

    def close(self) -> None:
        """The weights go with the last stream."""

    def decode(self, sound: Pcm16, hints: str | None, language: str, beam: int) -> tuple[list[RecognizedWord], float]:
        """(words with spans from the first sample of `sound`, seconds spent, waiting for other streams included: where
        many speak, each asks less often, and all partials together keep to `share`)."""
        began = self._clock()
        with self._turn:
            try:
                segments, _ = self._model.transcribe(
                    to_float(sound),
                    language=language,
                    beam_size=beam,
                    word_timestamps=True,
                    # Falling back to other temperatures decodes a bad window up to six times; a turn cannot wait.
                    temperature=0.0,
                    condition_on_previous_text=False,
                    hotwords=hints,
                )
                words = [_word(word, sound.size) for segment in segments for word in segment.words or ()]
            except Exception as error:
                raise RecognizerError(f"Whisper failed: {error}") from error
            return [word for word in words if word.text], self._clock() - began


def _word(word: Any, limit: int) -> RecognizedWord:
    start = min(limit, max(0, round(word.start * LISTEN_RATE)))
    end = min(limit, max(start, round(word.end * LISTEN_RATE)))
    return RecognizedWord(word.word.strip(), Span(start, end), min(1.0, max(0.0, float(word.probability))))


class _Stream:
    def __init__(self, owner: FasterWhisperRecognizer, bias: Bias, language: str) -> None:
        self._owner, self._language = owner, language
        self._hints = ", ".join(bias.phrases[:_HOTWORDS]) or None
        self._sound: Pcm16 = np.zeros(0, np.int16)
        self._begins = 0
        self._committed: list[RecognizedWord] = []
        self._last: list[RecognizedWord] = []
        self._next = _FIRST
        self._final: Hypothesis | None = None
        self._closed = False

    def accept(self, pcm: Pcm16) -> Hypothesis | None:
        if self._final is not None or self._closed:
            raise ValueError("accept after finish or close: open a new stream")
        self._sound = np.concatenate([self._sound, pcm])
        if self._begins + self._sound.size < self._next:
            return None
        words, cost = self._decode(beam=1)
        self._next = self._begins + self._sound.size + max(_FIRST // 2, round(cost / self._owner._share * LISTEN_RATE))
        agreed = 0
        while agreed < min(len(words), len(self._last)) and _same(words[agreed], self._last[agreed]):
            agreed += 1
        changed = [word.text for word in words] != [word.text for word in self._last]
        self._last = words
        stable = len(self._committed) + agreed
        if self._sound.size > _LONG and agreed:
            self._commit(words[:agreed], words[agreed - 1].span.end)
        elif self._sound.size > _LONGEST:
            # Noise, or words that never settle: believe what there is rather than outgrow the window.
            end = self._begins + self._sound.size - _FIRST
            self._commit([word for word in words if word.span.end <= end], end)
        return self._hypothesis(stable, final=False) if changed else None

    def finish(self) -> Hypothesis:
        if self._final is None:
            if self._closed:
                raise ValueError("finish after close")
            self._last = self._decode(self._owner._beam)[0] if self._sound.size else []
            self._final = self._hypothesis(len(self._committed) + len(self._last), final=True)
        return self._final

    def refine(self) -> Hypothesis | None:
        """None: `finish` already decodes everything with the full beam."""
        return None

    def carry(self) -> object | None:
        return None

    def close(self) -> None:
        self._closed = True
        self._sound = np.zeros(0, np.int16)

    def _decode(self, beam: int) -> tuple[list[RecognizedWord], float]:
        words, cost = self._owner.decode(self._sound, self._hints, self._language, beam)
        moved = [RecognizedWord(word.text, word.span.shifted(self._begins), word.confidence) for word in words]
        return moved, cost

    def _commit(self, words: list[RecognizedWord], end: int) -> None:
        """Keep these leading words for good and let the sound before sample `end` go."""
        self._committed += words
        self._last = self._last[len(words) :]
        self._sound = self._sound[end - self._begins :]
        self._begins = end

    def _hypothesis(self, stable: int, *, final: bool) -> Hypothesis:
        words = (*self._committed, *self._last)
        confidence = float(np.mean([word.confidence for word in words])) if words else 0.0
        text = " ".join(word.text for word in words)
        return Hypothesis(text, words, min(stable, len(words)), confidence, self._language, final)


def _same(one: RecognizedWord, other: RecognizedWord) -> bool:
    return one.text.strip(".,!?;:").lower() == other.text.strip(".,!?;:").lower()
