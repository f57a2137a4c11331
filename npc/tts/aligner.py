"""When does each word of a known text sound? A streaming forced aligner for voices that do not say.

pocketsphinx walks a chain of the text's words, one way through, while the audio comes in:

    0 ──good──▶ 1 ──evening──▶ 2 ──traveller──▶ 3         (silence may stand at every joint)

The words of the best path so far, but for the last one, are settled. Phones inside a word are shared out by the usual
lengths of sounds. Measured on Flite speech, whose times are known: see docs/voices.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from npc.audio.clock import LISTEN_RATE, Span
from npc.audio.resample import Resampler
from npc.phonetics import arpabet
from npc.phonetics.g2p import default_model, letters
from npc.phonetics.lexicon import default_lexicon, sphinx_model
from npc.phonetics.phones import Phone
from npc.tts.interface import EngineUnavailable, Pcm16
from npc.tts.tokens import lexicon_key

#: pocketsphinx's frame.
_FRAME: Final = LISTEN_RATE // 100
#: Sound decoded at once: 40 ms of it keep the interpreter's lock for about 1 ms.
_PIECE: Final = 4 * _FRAME
_PREFIX: Final = "sound_"
_VOWEL_SHARE, _CONSONANT_SHARE = 1.7, 1.0


class Aligner:
    """A loaded aligner (0.3 s); `begin` starts one text. One text at a time: calls of a run hold it until `finish`."""

    def __init__(self) -> None:
        model = sphinx_model()
        if model is None:
            raise EngineUnavailable("the aligner needs pocketsphinx: pip install pocketsphinx")
        import pocketsphinx

        self._decoder: Any = pocketsphinx.Decoder(
            hmm=str(model / "en-us"), dict=str(model / "cmudict-en-us.dict"), lm=None, bestpath=False, loglevel="FATAL",
            samprate=LISTEN_RATE, compallsen=False,
        )  # fmt: skip
        self._lock = threading.Lock()

    def begin(self, words: Sequence[str], rate: int, lexicon: Mapping[str, Sequence[str]] | None = None) -> Alignment:
        """Follow `words` (as written, one each) through audio at `rate`. Waits while another text is being followed."""
        self._lock.acquire()
        try:
            return Alignment(self._decoder, self._lock, words, rate, lexicon or {})
        except BaseException:
            self._lock.release()
            raise


class Alignment:
    """One text on its way. `push` audio in order, then `finish`, always (it frees the aligner)."""

    def __init__(
        self, decoder: Any, lock: threading.Lock, words: Sequence[str], rate: int, lexicon: Mapping[str, Sequence[str]]
    ) -> None:
        self._decoder, self._lock, self._rate = decoder, lock, rate
        self._resampler = Resampler(rate, LISTEN_RATE)
        self._samples = 0
        self._phones: list[tuple[str, ...]] = [pronunciation(word, lexicon) for word in words]
        names = []
        for phones in self._phones:
            # Named by its sound, so that no text can clash with the dictionary or with an earlier text.
            names.append(_PREFIX + "_".join(phones))
            if decoder.lookup_word(names[-1]) is None:
                decoder.add_word(names[-1], " ".join(phones), False)
        chain = [(i, i + 1, 1.0, name) for i, name in enumerate(names)]
        grammar = decoder.create_fsg("text", 0, len(names), chain)
        decoder.add_fsg("text", grammar)
        decoder.activate_search("text")
        decoder.start_utt()
        self._open = True

    def push(self, pcm: Pcm16) -> dict[int, Span]:
        """More audio; returns the settled words so far: index -> span in samples at the audio's own rate."""
        self._samples += pcm.size
        self._hear(self._resampler.push(pcm))
        path = self._path()
        if path:
            path.pop(max(path))
        return path

    def finish(self) -> dict[int, Span]:
        """End of the audio: all words that were found. Words that were not get no entry."""
        if not self._open:
            return {}
        self._open = False
        try:
            self._hear(self._resampler.flush())
            self._decoder.end_utt()
            return self._path()
        finally:
            self._lock.release()

    def phones(self, word: int, span: Span) -> list[Phone]:
        """The phones of a word, shared out over its span: vowels longer than consonants."""
        sounds = [arpabet.to_ipa(phone) for phone in self._phones[word]]
        vowels = {arpabet.IPA[name] for name in arpabet.VOWELS}
        shares = np.cumsum([0.0, *(_VOWEL_SHARE if ipa in vowels else _CONSONANT_SHARE for ipa, _ in sounds)])
        edges = np.rint(span.start + shares / shares[-1] * span.length).astype(int)
        return [Phone(ipa, Span(int(edges[i]), int(edges[i + 1])), stress) for i, (ipa, stress) in enumerate(sounds)]

    def _hear(self, pcm: Pcm16) -> None:
        """Search on, a little at a time: the library keeps the interpreter's lock, and others get it in between."""
        for at in range(0, pcm.size, _PIECE):
            self._decoder.process_raw(pcm[at : at + _PIECE].tobytes(), False, False)
            time.sleep(0)

    def _path(self) -> dict[int, Span]:
        found: dict[int, Span] = {}
        for segment in self._decoder.seg() or ():
            if segment.word.startswith(_PREFIX):
                start = segment.start_frame * _FRAME * self._rate // LISTEN_RATE
                end = (segment.end_frame + 1) * _FRAME * self._rate // LISTEN_RATE
                # The chain has one way through: the n-th word of the path is the n-th of the text.
                found[len(found)] = Span(min(start, self._samples), min(max(start, end), self._samples))
        return found


def pronunciation(word: str, lexicon: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Phones of a word as the acoustic model knows them: the character's own way, the dictionary, or by its letters."""
    key = lexicon_key(word).strip("\"'.,:;!?()-")
    if key in lexicon:
        return arpabet.dictionary_phones(" ".join(lexicon[key]))
    phones: list[str] = []
    for part in key.replace("-", " ").split() or [key]:
        known = default_lexicon().phones(part)
        guessed = default_model().pronounce(letters(part)) if not known and letters(part) else []
        phones += (known[0] if known else guessed[0].phones if guessed else "AH").split()
    return tuple(arpabet.parse(phone).name for phone in phones)
