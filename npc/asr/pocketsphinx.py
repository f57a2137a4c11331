"""PocketSphinx: the embedded recogniser. Needs no download, hears English, is for trying things out.

    accept ─▶ live process   tree search, cepstral means that follow the voice        partials, text at once
    refine ─▶ batch process  tree and flat search, means of the whole utterance       better text, 0.14 s a second

Two processes (`sphinx_worker.py` says why processes), started on first use and again after a crash. Names of the bias
list take the place of ordinary names in the default language model, pronounced by `npc.phonetics`.
"""

from __future__ import annotations

import itertools
import logging
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from npc.asr.interface import Bias, Hypothesis, Pcm16, RecognizedWord, RecognizerError, RecognizerStream
from npc.asr.sphinx_worker import Segment, Words
from npc.asr.stability import StableWords
from npc.audio.clock import LISTEN_RATE, Span
from npc.phonetics.arpabet import UnknownPhone, dictionary_phones
from npc.phonetics.g2p import pronounce
from npc.phonetics.lexicon import default_lexicon, sphinx_model
from npc.phonetics.normalize import spoken_words

log = logging.getLogger(__name__)

_FRAME = 160
_ALTERNATIVE = re.compile(r"\(\d+\)$")
#: Longest utterance kept for the second pass; a monologue is refined over its last minute.
_KEPT = 60 * 16_000
#: A decoder load is 0.3 s; many times that means that the process hangs.
_DEADLINE_S = 15.0
#: A second pass takes 0.14 s a second of sound, on a core of its own; what has ten times that may only be slow.
_PASS_SHARE = 1.4
#: Words of the language model that lend a taught name their place in it: each of its pronunciations becomes one more of
#: theirs. A word added by itself has no context at all; "captain", "my name is" and "tell" expect a David or a Smith.
#: On two voices, 130 names listed: 23 of 30 names heard as words of their own, 26 of 30 in these places (1 false each).
HOSTS = ("david", "smith")
#: First number of a taught pronunciation; the dictionary's own go up to "(5)".
_FIRST_TAUGHT = 1000
#: Pronunciations tried for a word that no dictionary knows.
_VARIANTS = 6


_NO_BIAS = Bias()


class _Process:
    """A worker process and the one connection to it. Calls from several threads take turns."""

    def __init__(self, decoders: int, settings: dict[str, Any], deadline_s: float) -> None:
        self._decoders, self._settings, self._deadline_s = decoders, settings, deadline_s
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._connection: Connection | None = None
        self.generation = 0
        """Grows with every start: streams of an earlier process are gone."""

    def call(self, name: str, *arguments: Any, generation: int | None = None, seconds: float = 0.0) -> Any:
        """Send one request about `seconds` of sound and wait for its answer. Raises RecognizerError; a dead or silent
        process is ended, and the next call starts a new one."""
        deadline_s = max(self._deadline_s, _PASS_SHARE * seconds)
        with self._lock:
            if self._closed:
                raise RecognizerError("the recogniser is closed")
            gone = self._connection is None
            if generation is not None and (gone or generation != self.generation):
                raise RecognizerError("the recogniser was restarted in the middle of this utterance")
            try:
                if gone:
                    self._start()
                assert self._connection is not None
                self._connection.send((name, *arguments))
                if not self._connection.poll(deadline_s):
                    self._end()
                    raise RecognizerError(f"the recogniser gave no answer to {name!r} for {deadline_s:.0f} s")
                kind, value = self._connection.recv()
            except (EOFError, OSError) as error:
                self._end()
                raise RecognizerError(f"the recogniser process died during {name!r}") from error
        if kind == "error":
            raise RecognizerError(str(value))
        return value

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "npc.asr.sphinx_worker", str(theirs.fileno())], pass_fds=(theirs.fileno(),)
        )
        theirs.close()
        self._connection = Connection(ours.detach())
        self._connection.send((self._decoders, self._settings))
        self.generation += 1

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def close(self) -> None:
        """End it for good; a call that runs fails at once."""
        self._closed = True
        if (child := self._child) is not None:
            child.kill()
        with self._lock:
            self._end()


class PocketsphinxRecognizer:
    """The embedded engine. `decoders` bounds how many utterances are decoded at the same moment (90 MB each); a process
    that gives no answer for `deadline_s` counts as hung and is started again."""

    name = "pocketsphinx"
    languages: Sequence[str] = ("en",)

    def __init__(self, decoders: int = 4, deadline_s: float = _DEADLINE_S) -> None:
        if decoders < 1:
            raise ValueError(f"decoders must be at least 1, got {decoders}")
        self._live = _Process(decoders, {"fwdflat": False}, deadline_s)
        self._batch = _Process(decoders, {}, deadline_s)
        self._numbers = itertools.count()
        self._taught = lru_cache(maxsize=64)(self._teach)

    def prepare(self, bias: Bias, language: str = "en") -> None:
        """Start both processes and teach them the words, in the background."""
        self._check(language)

        def ready() -> None:
            words, _ = self._taught(bias)
            for process in (self._live, self._batch):
                try:
                    process.call("prepare", words)
                except RecognizerError:
                    # Whoever speaks first hears of it; preparing is only a kindness.
                    return

        threading.Thread(target=ready, name="pocketsphinx-prepare", daemon=True).start()

    def open(self, bias: Bias = _NO_BIAS, language: str = "en", carry: object | None = None) -> RecognizerStream:
        self._check(language)
        if carry is not None and not isinstance(carry, str):
            raise ValueError(f"carry must come from an earlier stream of this recogniser, got {type(carry).__name__}")
        return _Stream(self, bias, carry)

    def close(self) -> None:
        self._live.close()
        self._batch.close()

    def _check(self, language: str) -> None:
        if language.split("-")[0].lower() != "en":
            raise ValueError(f"pocketsphinx hears English only, not {language!r}: choose another recogniser")

    def _teach(self, bias: Bias) -> tuple[Words, dict[str, str]]:
        """Pronunciations to add to the hosts, and the character's spelling of each."""
        given = {word.lower(): phones for word, phones in bias.pronunciations}
        words: dict[str, tuple[str, ...]] = {}
        written: dict[str, str] = {}
        for phrase in (*bias.phrases, *(word for word, _ in bias.pronunciations)):
            for spelling in spoken_words(phrase):
                word = spelling.lower()
                if word in words or (word in language_model_words() and word not in given):
                    continue
                words[word] = _own(word, given) or default_lexicon().phones(word) or pronounce(word, _VARIANTS)
                written[word] = spelling
        taught: list[tuple[str, str]] = []
        spelled: dict[str, str] = {}
        for word, variants in words.items():
            for phones in filter(None, dict.fromkeys(variants)):
                for host in HOSTS:
                    name = f"{host}({_FIRST_TAUGHT + len(taught)})"
                    taught.append((name, phones))
                    spelled[name] = written[word]
        return tuple(taught), spelled


@lru_cache(maxsize=1)
def language_model_words() -> frozenset[str]:
    """The 72,500 words that the default language model can put out (its dictionary has 126,000), read from the end of
    the model's file: a 32-bit length, then that many bytes of words, each ended by a zero."""
    model = sphinx_model()
    if model is None:
        return frozenset()
    with (model / "en-us.lm.bin").open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 4_000_000))
        tail = file.read()
    listed = re.search(rb"(?:[\x20-\x7e]+\x00){1000,}\Z", tail)
    if listed is None:
        # Another model's layout: believe the dictionary.
        return frozenset(default_lexicon())
    return frozenset(word.decode("ascii").lower() for word in listed.group().split(b"\0")[:-1])


def _own(word: str, given: Mapping[str, str]) -> tuple[str, ...]:
    """The character's own pronunciation, if it has one that the acoustic model knows: a wrong one must not cost it all
    its hearing."""
    try:
        phones = " ".join(dictionary_phones(given.get(word, "")))
    except UnknownPhone as error:
        log.warning("own pronunciation ignored", extra={"word": word, "error": str(error)})
        phones = ""
    return (phones,) if phones else ()


class _Stream:
    """One utterance over both processes. The live decoder is taken with the first sound, so opening costs nothing."""

    def __init__(self, owner: PocketsphinxRecognizer, bias: Bias, means: str | None) -> None:
        self._owner, self._bias, self._means = owner, bias, means
        self._words: Words | None = None
        self._spelling: dict[str, str] = {}
        self._number = next(owner._numbers)
        self._generation: int | None = None
        self._kept: list[Pcm16] = []
        self._accepted = self._kept_samples = 0
        self._stable = StableWords()
        self._final: Hypothesis | None = None
        self._closed = False

    def accept(self, pcm: Pcm16) -> Hypothesis | None:
        if self._final is not None or self._closed:
            raise ValueError("accept after finish or close: open a new stream")
        if not pcm.size:
            return None
        self._begin()
        self._keep(pcm)
        seconds = pcm.size / LISTEN_RATE
        segments = self._call("accept", self._number, pcm.astype(np.int16, copy=False).tobytes(), seconds=seconds)
        if segments is None:
            return None
        stable = self._stable.update([word for word, *_ in segments], self._accepted)
        return self._hypothesis(segments, stable, final=False)

    def finish(self) -> Hypothesis:
        if self._final is None:
            if self._closed:
                raise ValueError("finish after close")
            self._begin()
            segments, self._means = self._call("finish", self._number)
            self._final = self._hypothesis(segments, len(segments), final=True)
        return self._final

    def refine(self) -> Hypothesis | None:
        kept = list(self._kept)
        if not kept:
            return None
        words, _ = self._taught()
        offset = self._accepted - self._kept_samples
        sound = np.concatenate(kept)
        seconds = sound.size / LISTEN_RATE
        segments, _ = self._owner._batch.call("decode", words, sound.tobytes(), self._means, seconds=seconds)
        return self._hypothesis(segments, len(segments), final=True, offset=offset)

    def carry(self) -> object | None:
        return self._means

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._kept.clear()
        if self._generation is not None:
            try:
                self._call("close", self._number)
            except RecognizerError:
                pass

    def _taught(self) -> tuple[Words, dict[str, str]]:
        return self._owner._taught(self._bias)

    def _begin(self) -> None:
        if self._generation is None:
            self._words, self._spelling = self._taught()
            self._owner._live.call("open", self._number, self._words, self._means)
            self._generation = self._owner._live.generation

    def _call(self, name: str, *arguments: Any, seconds: float = 0.0) -> Any:
        return self._owner._live.call(name, *arguments, generation=self._generation, seconds=seconds)

    def _keep(self, pcm: Pcm16) -> None:
        self._kept.append(pcm.copy())
        self._accepted += pcm.size
        self._kept_samples += pcm.size
        while self._kept_samples - self._kept[0].size > _KEPT:
            self._kept_samples -= self._kept.pop(0).size

    def _hypothesis(self, segments: list[Segment], stable: int, *, final: bool, offset: int = 0) -> Hypothesis:
        words = tuple(
            RecognizedWord(
                self._written(word),
                Span(offset + start * _FRAME, offset + (end + 1) * _FRAME),
                # Only a finished pass has word probabilities.
                probability if final else 0.0,
            )
            for word, start, end, probability in segments
        )
        confidence = float(np.mean([word.confidence for word in words])) if words else 0.0
        text = " ".join(word.text for word in words)
        return Hypothesis(text, words, min(stable, len(words)), confidence, "en", final)

    def _written(self, word: str) -> str:
        if word in self._spelling:
            return self._spelling[word]
        plain = _ALTERNATIVE.sub("", word)
        return "I" + plain[1:] if plain == "i" or plain.startswith("i'") else plain
