"""Flite in this process: the embedded voices slt, rms and awb, with the end of every phone.

A clause is made in two steps under the library's lock:

    text ─tokens─▶ utterance ─Flite's models─▶ phones, durations, F0, spectra     (about a third of the work)
                                   │ our prosody: F0 moved and stretched, leading silence cut, tract and breath changed
                                   ▼
                          vocoder ─▶ PCM in pieces as they are made               (the rest; pieces leave at once)

The whole makes about 100 s of speech a second on one core, so the vocoder runs ahead of any reader: the pieces wait in
a queue whose bound is the clause itself (`MAX_TEXT`). Speaking the same request twice gives the same samples.

Leading silence is cut to `LEAD_IN_MS`, because every millisecond of it is heard as hesitation; the pause after the
clause is set by its last mark (`npc.tts.finish`) and belongs to the clause, as a phone with the symbol "".
"""

from __future__ import annotations

import ctypes as c
import math
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from npc.audio.clock import Span
from npc.phonetics import arpabet
from npc.phonetics.phones import Phone, SpokenWord
from npc.tts import _flite_library as lib
from npc.tts.cards import InstalledVoice
from npc.tts.chunks import Pairing
from npc.tts.finish import LEAD_IN_MS, LEVEL_DB, MAX_SOUND_S, check_length, pause_samples, soft_limit
from npc.tts.interface import Pcm16, Prosody, SpeechChunk, SpeechRequest, Synthesizer
from npc.tts.tokens import Token, lexicon_key, tokenise

RATE: Final = 16_000
FRAME: Final = 80
VOICES: Final = ("slt", "rms", "awb")
#: Samples a piece holds at least: 20 ms of sound cost 0.2 ms of work.
_PIECE: Final = 320
#: Level of active speech in dB full scale of each voice as it comes, measured over the 126 texts of
#: `npc.bench.players_text` (docs/log.md); the difference to LEVEL_DB is the gain.
_NATIVE_DB: Final = {"slt": -14.2, "rms": -20.1, "awb": -18.7}
_FADE: Final = 80
_F0_HZ: Final = (55.0, 500.0)


@dataclass(frozen=True, slots=True)
class FliteSettings:
    """A voice's own habit, on which a request's prosody is laid.

    `tract` scales the formants: below 1 a longer vocal tract (larger, deeper), above 1 a shorter one. `breath` in
    [0, 0.9] turns that share of the voicing into noise. `level_db` is relative to LEVEL_DB.
    """

    voice: str = "slt"
    rate: float = 1.0
    pitch_semitones: float = 0.0
    pitch_range: float = 1.0
    tract: float = 1.0
    breath: float = 0.0
    level_db: float = 0.0

    def __post_init__(self) -> None:
        if self.voice not in VOICES:
            raise ValueError(f"Flite voice must be one of {', '.join(VOICES)}, got {self.voice!r}")
        for name, low, high in (
            ("rate", 0.5, 2.0),
            ("pitch_semitones", -8.0, 8.0),
            ("pitch_range", 0.0, 3.0),
            ("tract", 0.8, 1.25),
            ("breath", 0.0, 0.9),
            ("level_db", -20.0, 6.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"Flite setting {name} must lie in [{low}, {high}], got {getattr(self, name)}")


def from_card(voice: InstalledVoice) -> Synthesizer:
    """The voice a card describes."""
    return FliteVoice(voice.settings_as(FliteSettings), voice.card.id)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is known before the first sample: the timed phones and words and the whole length."""

    phones: tuple[Phone, ...]
    words: tuple[SpokenWord, ...]
    total: int


class FliteVoice:
    """A `Synthesizer`. Any number of threads may call it; they take turns inside the library, a clause at a time."""

    sample_rate: int = RATE
    languages: Sequence[str] = ("en",)

    def __init__(self, settings: FliteSettings = FliteSettings(), name: str = "") -> None:
        self.name = name or f"flite-{settings.voice}"
        self.settings = settings
        self._library = lib.library()
        self._voice = self._library.voice(settings.voice)

    def synthesize(self, request: SpeechRequest) -> Iterator[SpeechChunk]:
        """Yield the clause in pieces of 20 ms or more. Raises ValueError for an over-long text or an unknown phone."""
        check_length(request.text)
        tokens = tokenise(request.text, {lexicon_key(word): tuple(phones.split()) for word, phones in request.lexicon})
        if not tokens:
            return
        pieces: queue.SimpleQueue[_Plan | Pcm16 | BaseException | None] = queue.SimpleQueue()
        stopped = threading.Event()
        work = threading.Thread(
            target=self._speak, args=(tokens, request.prosody, pieces, stopped), name="flite", daemon=True
        )
        work.start()
        try:
            yield from _chunks(pieces)
        finally:
            stopped.set()
            work.join()

    def close(self) -> None:
        """Nothing to release: Flite's voices are static data of the library."""

    def _speak(
        self,
        tokens: list[Token],
        prosody: Prosody,
        pieces: queue.SimpleQueue[_Plan | Pcm16 | BaseException | None],
        stopped: threading.Event,
    ) -> None:
        try:
            with self._library.lock:
                if not stopped.is_set():
                    _Utterance(self._library, self._voice, self.settings, prosody, tokens).speak(pieces, stopped)
            pieces.put(None)
        except BaseException as error:  # handed to the reader, whose thread it belongs to
            pieces.put(error)


def _chunks(pieces: queue.SimpleQueue[_Plan | Pcm16 | BaseException | None]) -> Iterator[SpeechChunk]:
    """The pieces of sound as they come, each with what begins in it."""
    pairing = Pairing((), (), 0)
    while (piece := pieces.get()) is not None:
        if isinstance(piece, BaseException):
            raise piece
        if isinstance(piece, _Plan):
            pairing = Pairing(piece.phones, piece.words, piece.total)
        else:
            yield pairing.pair(piece)


class _Utterance:
    """One clause on its way through the library; used once, with the lock held."""

    def __init__(
        self, library: lib.Library, voice: Any, settings: FliteSettings, prosody: Prosody, tokens: list[Token]
    ) -> None:
        self._c, self._voice, self._tokens = library, voice, tokens
        self._rate = settings.rate * prosody.rate
        self._pitch = settings.pitch_semitones + prosody.pitch_semitones
        self._range = settings.pitch_range * prosody.pitch_range
        self._tract, self._breath = settings.tract, settings.breath
        decibels = LEVEL_DB - _NATIVE_DB[settings.voice] + settings.level_db
        self._gain = 10.0 ** (decibels / 20.0) * prosody.energy / 32768.0

    def speak(self, pieces: queue.SimpleQueue[_Plan | Pcm16 | BaseException | None], stopped: threading.Event) -> None:
        utterance = self._c("new_utterance")
        try:
            features = c.cast(utterance, c.POINTER(lib.Pointer))[0]
            items = self._analyse(utterance, features)
            segments = self._segments(utterance, items)
            if segments:
                self._voice_it(features, segments, pieces, stopped)
        finally:
            self._c("delete_utterance", utterance)

    def _analyse(self, utterance: Any, features: Any) -> dict[int, int]:
        """Run Flite's models up to the spectra, and stop its own vocoder at the first frame. Returns item -> token."""
        info = self._c("new_audio_streaming_info")
        info.contents.min_buffsize = 0
        info.contents.asc = _AT_ONCE
        self._c("feat_set", features, lib.STREAMING, self._c("audio_streaming_info_val", info))
        self._c("feat_set_float", features, lib.STRETCH, 1.0 / self._rate)
        relation = self._c("utt_relation_create", utterance, lib.TOKEN)
        items: dict[int, int] = {}
        for index, token in enumerate(self._tokens):
            item = self._c("relation_append", relation, None)
            items[item] = index
            for feature, value in (
                (lib.NAME, token.name),
                (lib.WHITESPACE, " "),
                (lib.BEFORE, token.before),
                (lib.AFTER, token.after),
            ):
                self._c("item_set_string", item, feature, value.encode("ascii"))
            if token.phones is not None:
                # Flite takes a token whose phone string equals the one before for the same token: a space tells
                # them apart.
                phones = " " * (index % 2) + " ".join(map(_flite_phone, token.phones))
                self._c("item_set_string", item, lib.PHONES, phones.encode("ascii"))
        self._c("utt_init", utterance, self._voice)
        self._c("utt_synth_tokens", utterance)
        return items

    def _segments(self, utterance: Any, items: dict[int, int]) -> list[tuple[str, int, float, int | None]]:
        """(name, stress, end in seconds, token index or None for a pause) of every phone."""
        found: list[tuple[str, int, float, int | None]] = []
        segment = self._c("relation_head", self._c("utt_relation", utterance, lib.SEGMENT))
        token: int | None = None
        while segment:
            name = self._c("item_feat_string", segment, lib.NAME).decode()
            in_syllable = self._c("item_as", segment, lib.SYLLABLES)
            stress = 0
            if in_syllable:
                syllable = self._c("item_parent", in_syllable)
                if self._c("item_feat_present", syllable, lib.STRESS):
                    stress = int(self._c("item_feat_string", syllable, lib.STRESS))
                word = self._c("item_as", self._c("item_parent", syllable), lib.TOKEN)
                token = items.get(self._c("item_parent", word))
            pause = name in ("pau", "ssil")
            # A phone without a syllable is one that the postlexical rules put in ('s): it belongs to the word before.
            found.append((name, stress, self._c("item_feat_float", segment, lib.END), None if pause else token))
            segment = self._c("item_next", segment)
        return found if any(owner is not None for *_, owner in found) else []

    def _voice_it(
        self,
        features: Any,
        segments: list[tuple[str, int, float, int | None]],
        pieces: queue.SimpleQueue[_Plan | Pcm16 | BaseException | None],
        stopped: threading.Event,
    ) -> None:
        cg = self._c("val_cg_db", self._c("feat_val", features, lib.CG_DB)).contents
        track = self._c("val_track", self._c("feat_val", features, lib.PARAMETERS))
        strengths = self._c("val_track", self._c("feat_val", features, lib.STRENGTHS))
        self._shape(track.contents, strengths.contents, cg)
        plan, first, frames = self._lay_out(segments, track.contents.num_frames)
        pieces.put(plan)
        smooth = self._c("mlpg", track, cg)
        try:
            emit = _Emitter(pieces, stopped, self._gain, (frames - 1) * FRAME, plan.total)
            info = self._c("new_audio_streaming_info")
            callback = lib.ChunkCallback(emit)
            info.contents.min_buffsize, info.contents.asc = _PIECE - 1, callback
            self._c.srand(1)
            wave = self._c(
                "mlsa_resynthesis", _slice(smooth.contents, first, frames), _slice(strengths.contents, first, frames),
                _with_tract(cg, self._tract), info, 0,
            )  # fmt: skip
            self._c("delete_audio_streaming_info", info)
            if wave:
                self._c("delete_wave", wave)
            if emit.error is not None:
                raise emit.error
        finally:
            self._c("delete_track", smooth)
        if not stopped.is_set() and plan.total > emit.made:
            pieces.put(np.zeros(plan.total - emit.made, dtype=np.int16))

    def _shape(self, track: lib.Track, strengths: lib.Track, cg: lib.ClusterGen) -> None:
        """Lay pitch, range and breath on the frames: log F0 is stretched about the voice's mean and moved."""
        if self._pitch or self._range != 1.0:
            mean, factor = math.log(cg.f0_mean), self._pitch * math.log(2.0) / 12.0
            low, high = _F0_HZ
            for index in range(track.num_frames):
                hertz = track.frames[index][0]
                if hertz > 0.0:
                    moved = math.exp(mean + (math.log(hertz) - mean) * self._range + factor)
                    track.frames[index][0] = min(max(moved, low), high)
        if self._breath:
            for index in range(strengths.num_frames):
                for band in range(strengths.num_channels):
                    strengths.frames[index][band] *= 1.0 - self._breath

    def _lay_out(self, segments: list[tuple[str, int, float, int | None]], frames: int) -> tuple[_Plan, int, int]:
        """(plan, first frame, frame count): which frames to voice, and where every phone lies in what is then heard.

        The vocoder's sample n of a run that starts at frame f sounds the time f·5 ms + n: its first frame only sets the
        filter, frame f+k is reached at sample k·80.
        """
        ends = [round(end * RATE) for _, _, end, _ in segments]
        starts = [0, *ends[:-1]]
        speech = [i for i, (*_, owner) in enumerate(segments) if owner is not None]
        begin, end = starts[speech[0]], ends[speech[-1]]
        first = max(0, begin - LEAD_IN_MS * RATE // 1000) // FRAME
        offset = first * FRAME
        pause = pause_samples(self._tokens[-1].after, self._rate, RATE)
        total = end - offset + pause
        if total > MAX_SOUND_S * RATE:
            raise ValueError(f"the clause would sound {total / RATE:.0f} s, at most {MAX_SOUND_S} s are said: split it")
        stop = min(frames, (end + pause) // FRAME + 1)
        phones: list[Phone] = []
        if begin > offset:
            phones.append(Phone("", Span(0, begin - offset)))
        for i in range(speech[0], speech[-1] + 1):
            name, stress, _, owner = segments[i]
            symbol = "" if owner is None else arpabet.IPA[name.upper()]
            vowel = name.upper() in arpabet.VOWELS
            phones.append(Phone(symbol, Span(starts[i] - offset, ends[i] - offset), stress if vowel else 0))
        phones.append(Phone("", Span(end - offset, total)))
        words: dict[tuple[int, int], Span] = {}
        for i in speech:
            token = self._tokens[segments[i][3] or 0]
            key, span = (token.start, token.end), Span(starts[i] - offset, ends[i] - offset)
            words[key] = Span(words[key].start, span.end) if key in words else span
        spoken = tuple(SpokenWord(*key, span) for key, span in words.items())
        return _Plan(tuple(phones), spoken, total), first, stop - first


class _Emitter:
    """The vocoder's callback: scales a piece, fades the ends and hands it over; remembers an error for the caller."""

    def __init__(
        self,
        pieces: queue.SimpleQueue[_Plan | Pcm16 | BaseException | None],
        stopped: threading.Event,
        gain: float,
        voiced: int,
        total: int,
    ) -> None:
        self._pieces, self._stopped, self._gain = pieces, stopped, gain
        self._end = min(voiced, total)
        self.made = 0
        self.error: BaseException | None = None

    def __call__(self, wave: Any, start: int, size: int, last: int, info: Any) -> int:
        if self._stopped.is_set():
            return lib.STOP
        try:
            size = min(size, self._end - self.made)
            if size > 0:
                raw = np.ctypeslib.as_array(wave.contents.samples, (start + size,))[start:]
                self._pieces.put(self._finish(raw.astype(np.float64) * self._gain))
                self.made += size
        except BaseException as error:  # must not cross the C frames
            self.error = error
            return lib.STOP
        return lib.GO_ON

    def _finish(self, samples: np.ndarray[Any, np.dtype[np.float64]]) -> Pcm16:
        at = self.made + np.arange(samples.size)
        if self.made < _FADE:
            samples *= np.clip(at / _FADE, 0.0, 1.0)
        if self.made + samples.size > self._end - _FADE:
            samples *= np.clip((self._end - at) / _FADE, 0.0, 1.0)
        return soft_limit(samples)


def _slice(track: lib.Track, first: int, frames: int) -> Any:
    """A view of `frames` frames from `first` on, for the vocoder to read; owns nothing."""
    return c.pointer(
        lib.Track(
            track.type,
            frames,
            track.num_channels,
            c.cast(c.addressof(track.times.contents) + first * c.sizeof(c.c_float), c.POINTER(c.c_float)),
            c.cast(c.addressof(track.frames.contents) + first * c.sizeof(c.c_void_p), c.POINTER(c.POINTER(c.c_float))),
        )
    )


def _with_tract(cg: lib.ClusterGen, tract: float) -> Any:
    """The voice's constants with the frequency warp that scales low formants by `tract`.

    The filter was fitted on a mel-like scale with the all-pass constant α; read back with α' it stretches frequencies
    near zero by (1+α)(1-α') / ((1-α)(1+α')), the ratio of the two warps' slopes there. Solved for α'.
    """
    if tract == 1.0:
        return c.pointer(cg)
    copy = lib.ClusterGen.from_buffer_copy(cg)
    up, down = 1.0 + cg.mlsa_alpha, tract * (1.0 - cg.mlsa_alpha)
    copy.mlsa_alpha = (up - down) / (up + down)
    return c.pointer(copy)


def _flite_phone(phone: str) -> str:
    """ARPAbet as Flite writes it: lower case, schwa apart from AH, one level of stress. Raises UnknownPhone."""
    arpa = arpabet.parse(phone)
    name = arpa.name
    if name == "AH" and arpa.stress == 0 and phone.strip()[-1:] == "0":
        name = "AX"
    return f"{name.lower()}{min(arpa.stress, 1)}" if name in arpabet.VOWELS else name.lower()


#: Kept for the life of the process: the library holds the bare function pointer.
_AT_ONCE: Final = lib.ChunkCallback(lambda wave, start, size, last, info: lib.STOP)
