"""The process in which PocketSphinx decoders live, and the messages it understands.

PocketSphinx is C that never releases the interpreter's lock: a decoder loaded or an utterance decoded in a thread of
the server stops its event loop for 0.3 s (measured). In a process of its own it costs the loop nothing, uses the second
core, and may crash alone.

    request   (name, arguments…)      ─▶  one at a time, in order      reply   ("ok", value) or ("error", text)

Run as `python -m npc.asr.sphinx_worker FD`, where FD is an inherited socket; ends when the other end closes.
"""

from __future__ import annotations

import signal
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from pocketsphinx import Decoder

#: (word, phones) pairs added to the default language model, the key by which decoders are shared.
Words = tuple[tuple[str, str], ...]
#: (word with the number of its pronunciation, first frame, last frame, probability); frames are 10 ms.
Segment = tuple[str, int, int, float]

#: Voiced sound from which the cepstral mean of an unknown microphone is first estimated, and how long to wait for it.
_SEED_SAMPLES = 4_800
_SEED_PATIENCE = 24_000
#: A sample this loud counts as voiced sound for the seed (-36 dB FS).
_LOUD = 512
_PIECE_BYTES = 2 * 16_000


@dataclass(slots=True)
class _Utterance:
    decoder: Decoder
    words: Words
    waiting: list[bytes] = field(default_factory=list)
    waiting_samples: int = 0
    loud: int = 0
    started: bool = False
    heard: list[str] = field(default_factory=list)


class Decoders:
    """Decoders by the words they were taught, at most `limit` of them; the longest idle is replaced when a new set of
    words comes. Loading takes about 0.3 s and 90 MB each."""

    def __init__(self, limit: int, settings: dict[str, Any]) -> None:
        self._limit, self._settings = limit, settings
        self._idle: OrderedDict[int, tuple[Words, Decoder]] = OrderedDict()
        self._busy = 0
        self._next = 0

    def ready(self, words: Words) -> bool:
        return any(known == words for known, _ in self._idle.values())

    def take(self, words: Words) -> Decoder:
        for key, (known, decoder) in self._idle.items():
            if known == words:
                del self._idle[key]
                self._busy += 1
                return decoder
        if self._busy >= self._limit:
            raise RuntimeError(f"all {self._limit} decoders are in use")
        if self._busy + len(self._idle) >= self._limit:
            self._idle.popitem(last=False)
        decoder = Decoder(loglevel="FATAL", **self._settings)
        for number, (word, phones) in enumerate(words):
            # Only the last word rebuilds the search network; each would cost 90 ms.
            decoder.add_word(word, phones, number == len(words) - 1)
        self._busy += 1
        return decoder

    def give_back(self, words: Words, decoder: Decoder) -> None:
        self._busy -= 1
        self._idle[self._next] = (words, decoder)
        self._next += 1

    def drop(self) -> None:
        """One that was taken failed: nobody knows what state it is in, the next one is loaded anew."""
        self._busy -= 1


class Worker:
    """Answers requests; holds the utterances that are open."""

    def __init__(self, limit: int, settings: dict[str, Any]) -> None:
        self._decoders = Decoders(limit, settings)
        self._open: dict[int, _Utterance] = {}

    def prepare(self, words: Words) -> None:
        if not self._decoders.ready(words):
            self._decoders.give_back(words, self._decoders.take(words))

    def open(self, stream: int, words: Words, means: str | None) -> None:
        utterance = _Utterance(self._decoders.take(words), words)
        try:
            if means is not None:
                self._start(utterance, means)
        except BaseException:
            self._decoders.drop()
            raise
        self._open[stream] = utterance

    def accept(self, stream: int, pcm: bytes) -> list[Segment] | None:
        """Decode; the newest words when they changed."""
        utterance = self._open[stream]
        if not utterance.started:
            samples = np.frombuffer(pcm, dtype=np.int16)
            utterance.waiting.append(pcm)
            utterance.waiting_samples += samples.size
            utterance.loud += int(np.count_nonzero(np.abs(samples.astype(np.int32)) > _LOUD)) * 2
            if utterance.loud < _SEED_SAMPLES and utterance.waiting_samples < _SEED_PATIENCE:
                return None
            self._seed(utterance)
        else:
            _feed(utterance.decoder, pcm)
        segments = _segments(utterance.decoder)
        heard = [word for word, *_ in segments]
        if heard == utterance.heard:
            return None
        utterance.heard = heard
        return segments

    def finish(self, stream: int) -> tuple[list[Segment], str]:
        """End the first pass: words with probabilities, and the cepstral means learned."""
        utterance = self._open[stream]
        if not utterance.started:
            self._seed(utterance)
        utterance.decoder.end_utt()
        utterance.started = False
        return _segments(utterance.decoder), str(utterance.decoder.get_cmn(True))

    def decode(self, words: Words, pcm: bytes, means: str | None) -> tuple[list[Segment], str]:
        """A whole utterance at once, with the cepstral means of all of it."""
        decoder = self._decoders.take(words)
        try:
            decoder.start_utt()
            decoder.process_raw(pcm, no_search=False, full_utt=True)
            decoder.end_utt()
            found = _segments(decoder), str(decoder.get_cmn(False))
        except BaseException:
            self._decoders.drop()
            raise
        self._decoders.give_back(words, decoder)
        return found

    def close(self, stream: int) -> None:
        utterance = self._open.pop(stream, None)
        if utterance is None:
            return
        try:
            if utterance.started:
                utterance.decoder.end_utt()
        except BaseException:
            self._decoders.drop()
            raise
        self._decoders.give_back(utterance.words, utterance.decoder)

    def _start(self, utterance: _Utterance, means: str) -> None:
        utterance.decoder.set_cmn(means)
        utterance.decoder.start_utt()
        utterance.started = True

    def _seed(self, utterance: _Utterance) -> None:
        """Begin with means measured on what was heard so far, from the first loud sample on."""
        heard = b"".join(utterance.waiting)
        utterance.waiting.clear()
        samples = np.frombuffer(heard, dtype=np.int16)
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _LOUD)
        voiced = samples[int(loud[0]) :] if loud.size else samples
        if voiced.size >= 1_600:
            utterance.decoder.start_utt()
            utterance.decoder.process_raw(voiced.tobytes(), no_search=True, full_utt=True)
            utterance.decoder.end_utt()
            means = str(utterance.decoder.get_cmn(False))
        else:
            means = str(utterance.decoder.config["cmninit"])
        self._start(utterance, means)
        if heard:
            _feed(utterance.decoder, heard)


def _feed(decoder: Decoder, pcm: bytes) -> None:
    """Search on, a second at a time: given six seconds of speech at once after other speech, the library has died."""
    for first in range(0, len(pcm), _PIECE_BYTES):
        decoder.process_raw(pcm[first : first + _PIECE_BYTES], no_search=False, full_utt=False)


def _segments(decoder: Decoder) -> list[Segment]:
    """Words only: silence, noise and sentence marks are left out."""
    return [
        (segment.word, segment.start_frame, segment.end_frame, min(1.0, float(segment.prob)))
        for segment in decoder.seg() or ()
        if segment.word[0] not in "<["
    ]


def serve(connection: Connection) -> None:
    """Answer until the other end is gone. The first message is (limit, settings)."""
    try:
        limit, settings = connection.recv()
        worker = Worker(limit, settings)
        while True:
            name, *arguments = connection.recv()
            try:
                reply = ("ok", getattr(worker, name)(*arguments))
            except Exception as error:
                reply = ("error", f"{type(error).__name__}: {error}")
            connection.send(reply)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


if __name__ == "__main__":
    # Ctrl-C in a terminal goes to every process of the group; the server decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(Connection(int(sys.argv[1])))
