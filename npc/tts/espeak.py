"""eSpeak NG in this process: over a hundred languages, word and phoneme times, about 1000 x real time.

The library comes inside PyPI's `espeakng-loader`; it is GPL-3.0, so it is an extra that the main job never needs. It
holds one voice in global state: calls take turns under one lock, each sets voice and parameters anew, and a clause
(5-10 ms of work) is made whole before its first piece leaves.

    text ─▶ names of the lexicon as [[phonemes]] ─▶ eSpeak ─▶ samples + events ─▶ silence cut, level ─▶ pieces
"""

from __future__ import annotations

import ctypes as c
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np

from npc.audio.clock import Span
from npc.phonetics import arpabet
from npc.phonetics.phones import Phone, SpokenWord
from npc.tts.cards import InstalledVoice
from npc.tts.chunks import chunked
from npc.tts.finish import LEAD_IN_MS, LEVEL_DB, active_db, check_length, pause_samples, soft_limit
from npc.tts.interface import EngineUnavailable, SpeechChunk, SpeechRequest, Synthesizer
from npc.tts.tokens import lexicon_key, runs

_SYNCHRONOUS: Final = 2
_PHONEME_EVENTS, _PHONEME_IPA, _DONT_EXIT = 0x0001, 0x0002, 0x8000
_RATE_PARAMETER, _PITCH_PARAMETER, _RANGE_PARAMETER = 1, 3, 4
_WORD_EVENT, _PHONEME_EVENT = 1, 7
_UTF8, _PHONEMES = 1, 0x100
#: eSpeak's own default; its rate is proportional to words a minute from 80 to 450 within 5 % (measured).
_WORDS_A_MINUTE: Final = 175
#: Measured on en-us, en-gb and de: pitch 60, 70, 80 are 1.7, 3.5, 5.3 semitones above 50; below, 30 is 2.8 under.
_SEMITONES_A_STEP: Final = 0.175

#: ARPAbet in eSpeak's English mnemonics.
_MNEMONICS: Final[Mapping[str, str]] = {
    "AA": "A:", "AE": "a", "AH": "V", "AO": "O:", "AW": "aU", "AX": "@", "AY": "aI", "EH": "E", "ER": "3:", "EY": "eI",
    "IH": "I", "IY": "i:", "OW": "oU", "OY": "OI", "UH": "U", "UW": "u:", "B": "b", "CH": "tS", "D": "d", "DH": "D",
    "F": "f", "G": "g", "HH": "h", "JH": "dZ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "N", "P": "p", "R": "r",
    "S": "s", "SH": "S", "T": "t", "TH": "T", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "Z",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class EspeakSettings:
    """`voice` is an eSpeak voice or language name ("en-us", "de", "fr+f3": variants after a plus)."""

    voice: str = "en-us"
    rate: float = 1.0
    pitch_semitones: float = 0.0
    pitch_range: float = 1.0
    level_db: float = 0.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rate", 0.5, 2.0),
            ("pitch_semitones", -6.0, 8.0),
            ("pitch_range", 0.0, 2.0),
            ("level_db", -20.0, 6.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"eSpeak setting {name} must lie in [{low}, {high}], got {getattr(self, name)}")


def from_card(voice: InstalledVoice) -> Synthesizer:
    """The voice a card describes."""
    return EspeakVoice(voice.settings_as(EspeakSettings), voice.card.id, voice.card.languages)


class EspeakVoice:
    """A `Synthesizer`. Raises EngineUnavailable without the library, ValueError for a voice eSpeak does not have."""

    def __init__(
        self, settings: EspeakSettings | None = None, name: str = "", languages: Sequence[str] = ("en",)
    ) -> None:
        self.settings = settings or EspeakSettings()
        self.name = name or f"espeak-{self.settings.voice}"
        self.languages: Sequence[str] = tuple(languages)
        self._library = _library()
        self.sample_rate = self._library.sample_rate
        with self._library.lock:
            self._library.select(self.settings.voice)
            probe = self._library.speak("A calm and ordinary sentence, said aloud to find the level.")
        # Voices differ by 10 dB; one sentence of the voice itself tells how much to add.
        level = active_db(probe.samples, self.sample_rate)
        self._gain = 10.0 ** ((LEVEL_DB + self.settings.level_db - level) / 20.0)

    def synthesize(self, request: SpeechRequest) -> Iterator[SpeechChunk]:
        """Yield the clause in pieces of 20 ms."""
        check_length(request.text)
        words = runs(request.text)
        if not words:
            return
        text, origin = _with_lexicon(request, words)
        settings, prosody = self.settings, request.prosody
        rate = settings.rate * prosody.rate
        with self._library.lock:
            self._library.select(settings.voice)
            self._library.set(_RATE_PARAMETER, min(450, max(80, round(_WORDS_A_MINUTE * rate))))
            semitones = settings.pitch_semitones + prosody.pitch_semitones
            self._library.set(_PITCH_PARAMETER, min(99, max(0, round(50 + semitones / _SEMITONES_A_STEP))))
            self._library.set(_RANGE_PARAMETER, min(100, round(50 * settings.pitch_range * prosody.pitch_range)))
            said = self._library.speak(text)
        if not said.phones:
            return
        yield from self._finish(said, request, words, origin, rate)

    def close(self) -> None:
        """Nothing to release: the library's data is shared by all voices."""

    def _finish(
        self, said: _Said, request: SpeechRequest, words: list[tuple[int, int]], origin: list[int], rate: float
    ) -> Iterator[SpeechChunk]:
        sounding = [i for i, (symbol, _) in enumerate(said.phones) if symbol]
        if not sounding:
            return
        ends = [at for _, at in said.phones[1:]] + [said.samples.size]
        end = ends[sounding[-1]]
        first = max(0, said.phones[sounding[0]][1] - LEAD_IN_MS * self.sample_rate // 1000)
        total = end - first + pause_samples(request.text, rate, self.sample_rate)
        heard = np.zeros(total)
        kept = said.samples[first : first + total]
        heard[: kept.size] = kept
        heard[end - first :] = 0.0
        pcm = soft_limit(heard * self._gain * request.prosody.energy)
        phones = _phones(said.phones[sounding[0] : sounding[-1] + 1], first, end, total)
        yield from chunked(pcm, phones, _words(said.words, words, origin, first, end), self.sample_rate // 50)


def pronounce(request: SpeechRequest, words: list[tuple[int, int]], voice: str) -> list[list[str]]:
    """The IPA phones of every word (characters `[start, end)` of the text), with stress marks, as eSpeak would say them
    in this sentence. For engines that were trained on eSpeak's phonemes. A word that eSpeak joins to the one before
    ("of the") has none of its own."""
    library = _library()
    text, origin = _with_lexicon(request, words)
    with library.lock:
        library.select(voice)
        said = library.speak(text)
    starts = [(at, _owner(character, words, origin)) for character, at in said.words]
    sounds: list[list[str]] = [[] for _ in words]
    owner, upcoming = 0, 0
    for symbol, at in said.phones:
        while upcoming < len(starts) and starts[upcoming][0] <= at:
            owner, upcoming = starts[upcoming][1], upcoming + 1
        if symbol:
            sounds[owner].append(symbol)
    return sounds


def _owner(character: int, words: list[tuple[int, int]], origin: list[int]) -> int:
    """Index of the word that a character of what was sent belongs to."""
    place = origin[min(character, len(origin) - 1)]
    return max((i for i, (start, _) in enumerate(words) if start <= place), default=0)


@dataclass(frozen=True, slots=True)
class _Said:
    """What eSpeak made: samples in [-1, 1], (IPA, start) of phonemes, (character in what was sent, start) of words."""

    samples: np.ndarray[Any, np.dtype[np.float64]]
    phones: list[tuple[str, int]]
    words: list[tuple[int, int]]


def _with_lexicon(request: SpeechRequest, words: list[tuple[int, int]]) -> tuple[str, list[int]]:
    """(text for eSpeak, character of `request.text` for each of its characters): known names become [[phonemes]]."""
    known = {lexicon_key(word): phones.split() for word, phones in request.lexicon}
    pieces: list[str] = []
    origin: list[int] = []

    def add(piece: str, at: int, length: int | None = None) -> None:
        pieces.append(piece)
        origin.extend(at if length is not None else at + i for i in range(len(piece)))

    # The brackets are eSpeak's; those of a text (or of somebody who would feed it phonemes) are only brackets.
    plain = request.text.replace("[", "(").replace("]", ")").replace("\0", " ")
    done = 0
    for start, end in words:
        add(plain[done:start], done)
        word = plain[start:end]
        core = word.strip("\"'“”‘’.,:;!?()")
        phones = known.get(lexicon_key(core)) if core else None
        if phones is None:
            add(word, start)
        else:
            before = word.index(core)
            add(word[:before], start)
            add(f"[[{''.join(map(_mnemonic, phones))}]]", start + before, len(core))
            add(word[before + len(core) :], start + before + len(core))
        done = end
    add(plain[done:], done)
    return "".join(pieces), origin


def _mnemonic(phone: str) -> str:
    arpa = arpabet.parse(phone)
    sound = _MNEMONICS.get(arpa.name)
    if sound is None:
        raise arpabet.UnknownPhone(f"{phone!r} has no eSpeak sound")
    if arpa.name == "AH" and arpa.stress == 0 and phone.strip()[-1:] == "0":
        sound = "@"
    return {1: "'", 2: ","}.get(arpa.stress, "") + sound


def _phones(found: list[tuple[str, int]], first: int, end: int, total: int) -> tuple[Phone, ...]:
    phones: list[Phone] = []
    if found[0][1] > first:
        phones.append(Phone("", Span(0, found[0][1] - first)))
    for (symbol, start), after in zip(found, [at for _, at in found[1:]] + [end], strict=True):
        stress = 1 if "ˈ" in symbol else 2 if "ˌ" in symbol else 0
        bare = symbol.strip("ˈˌ")
        span = Span(start - first, max(start, after) - first)
        if len(bare) > 1 and bare.endswith("ɹ"):
            # eSpeak writes an r-coloured vowel as one phoneme; the vowel takes most of it.
            middle = span.start + span.length * 6 // 10
            phones += [Phone(bare[:-1], Span(span.start, middle), stress), Phone("ɹ", Span(middle, span.end))]
        else:
            phones.append(Phone(bare, span, stress))
    if total > end - first:
        phones.append(Phone("", Span(end - first, total)))
    return tuple(phones)


def _words(
    events: list[tuple[int, int]], words: list[tuple[int, int]], origin: list[int], first: int, end: int
) -> tuple[SpokenWord, ...]:
    """One SpokenWord for each run of the text: "42" is two word events, both at characters inside it. A run that got no
    event of its own (eSpeak joins "of the") shares the time of the one before it."""
    starts: dict[int, int] = {}
    for character, at in events:
        starts.setdefault(_owner(character, words, origin), at)
    known = sorted(starts)
    made = []
    for slot, owner in enumerate(known):
        begin = starts[owner]
        until = starts[known[slot + 1]] if slot + 1 < len(known) else end
        members = range(owner, known[slot + 1] if slot + 1 < len(known) else len(words))
        if slot == 0:
            members = range(members.stop)
        share = (until - begin) / len(members)
        for index, member in enumerate(members):
            span = Span(round(begin + index * share) - first, round(begin + (index + 1) * share) - first)
            made.append(SpokenWord(*words[member], span))
    return tuple(made)


class _Id(c.Union):
    _fields_ = (("number", c.c_int), ("name", c.c_char_p), ("string", c.c_char * 8))


class _Event(c.Structure):
    _fields_ = (
        ("type", c.c_int),
        ("unique_identifier", c.c_uint),
        ("text_position", c.c_int),
        ("length", c.c_int),
        ("audio_position", c.c_int),
        ("sample", c.c_int),
        ("user_data", c.c_void_p),
        ("id", _Id),
    )


_Callback = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_short), c.c_int, c.POINTER(_Event))


class _Library:
    """The one eSpeak of this process. All methods want `lock` held."""

    def __init__(self, path: str, data: str) -> None:
        self.lock = threading.Lock()
        self._espeak = c.CDLL(path)
        flags = _PHONEME_EVENTS | _PHONEME_IPA | _DONT_EXIT
        self.sample_rate = int(self._espeak.espeak_Initialize(_SYNCHRONOUS, 60, data.encode(), flags))
        if self.sample_rate <= 0:
            raise EngineUnavailable(f"eSpeak NG could not read its data in {data}: reinstall espeakng-loader")
        self._espeak.espeak_SetVoiceByName.argtypes = (c.c_char_p,)
        self._espeak.espeak_Synth.argtypes = (
            c.c_void_p, c.c_size_t, c.c_uint, c.c_int, c.c_uint, c.c_uint, c.c_void_p, c.c_void_p,
        )  # fmt: skip
        self._callback = _Callback(self._take)
        self._espeak.espeak_SetSynthCallback(self._callback)
        self._pieces: list[np.ndarray[Any, np.dtype[np.int16]]] = []
        self._phones: list[tuple[str, int]] = []
        self._words: list[tuple[int, int]] = []

    def select(self, voice: str) -> None:
        if self._espeak.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"eSpeak has no voice {voice!r}: use a language such as en-us, de, fr, es, cy")

    def set(self, parameter: int, value: int) -> None:
        self._espeak.espeak_SetParameter(parameter, value, 0)

    def speak(self, text: str) -> _Said:
        self._pieces, self._phones, self._words = [], [], []
        raw = text.encode() + b"\0"
        self._espeak.espeak_Synth(raw, len(raw), 0, 1, 0, _UTF8 | _PHONEMES, None, None)
        samples = np.concatenate(self._pieces) if self._pieces else np.zeros(0, dtype=np.int16)
        return _Said(samples / 32768.0, self._phones, self._words)

    def _take(self, wave: Any, count: int, events: Any) -> int:
        if count > 0:
            self._pieces.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == _WORD_EVENT:
                self._words.append((event.text_position - 1, event.sample))
            elif event.type == _PHONEME_EVENT:
                self._phones.append((bytes(event.id.string).decode(errors="ignore"), event.sample))
            index += 1
        return 0


@cache
def _library() -> _Library:
    try:
        import espeakng_loader
    except ImportError as error:
        raise EngineUnavailable("eSpeak NG is not installed: pip install 'npc[espeak]' (GPL-3.0)") from error
    return _Library(espeakng_loader.get_library_path(), espeakng_loader.get_data_path())
