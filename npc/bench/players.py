"""Synthetic players with known truth: turns, backchannels, interruptions, coughs; the same for a seed on every machine.

    lead ──────┬─ speech ──────┬─ inner pause 0.3-1.2 s ─┬─ speech ──────┬──── tail
    noise only │ start         │ pauses[0]               │           end │ noise goes on
               └ first voiced sample                        one past the last voiced sample

Every turn is one sentence (or several) spoken in one go by Flite in a voice of its own; the inner pause is cut in at a
word boundary that the text marks as a place to stop and think, so that nothing in the melody says "finished" there.
`start` and `end` are taken from the clean waveform: the first and last 10 ms whose level is within 40 dB of the
loudest.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from npc.audio.clock import LISTEN_RATE, Span
from npc.audio.pcm import Pcm16
from npc.audio.resample import resample
from npc.audio.wav import read_wav
from npc.bench import players_room as room
from npc.bench.harness import BadInput
from npc.bench.players_text import BACKCHANNELS, INTERRUPTIONS, SPELT, WORLDS
from npc.training.rooms import Samples, room_noise, to_pcm
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import SpeechRequest

#: Nine people out of three voices; the plain voices are also those of the example characters.
SPEAKERS = (
    FliteSettings("slt"),
    FliteSettings("rms"),
    FliteSettings("awb"),
    FliteSettings("slt", rate=1.1, pitch_semitones=2.0, tract=1.05),
    FliteSettings("rms", rate=1.08, pitch_semitones=2.5, tract=1.06),
    FliteSettings("awb", rate=0.95, pitch_semitones=-2.0, tract=0.95),
    FliteSettings("slt", rate=0.92, pitch_semitones=-2.5, tract=0.95, pitch_range=0.9),
    FliteSettings("rms", rate=0.92, pitch_semitones=-1.5, pitch_range=1.2),
    FliteSettings("awb", rate=1.1, pitch_semitones=2.0, tract=1.06, pitch_range=1.2),
)
#: Level of active speech in dB full scale: from a headset to a laptop across the table.
LEVELS_DB = (-32.0, -18.0)
SNR_DB = (20.0, 30.0)
PAUSE_S = (0.3, 1.2)
_STEP = LISTEN_RATE // 100
_VOICED_DB = -40.0
#: A silence that the recogniser of turns has to judge; Flite's own pauses at commas are mostly shorter.
_PAUSE_COUNTS = LISTEN_RATE // 5


@dataclass(frozen=True, slots=True)
class PlayerTurn:
    """One turn at 16 kHz with its truth; spans and samples count from the first sample of `pcm`."""

    pcm: Pcm16
    text: str
    words: tuple[tuple[str, Span], ...]
    start: int
    end: int
    pauses: tuple[Span, ...]
    """Silences of 200 ms or more inside the turn; the one that was cut in is among them."""
    inner_pause: bool
    speaker: int
    level_db: float
    noise_rms: float
    """RMS of the background, for going on with `players_room_noise` after the end of `pcm`."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A short sound at 16 kHz without background: `kind` is cough, backchannel or interruption."""

    kind: str
    text: str
    pcm: Pcm16
    start: int
    end: int


def turns(
    count: int = 60, seed: int = 1, *, worlds: Sequence[str] = tuple(WORLDS), lead_s: float = 0.4, tail_s: float = 1.5
) -> Iterator[PlayerTurn]:
    """`count` turns; every third has an inner pause. Texts repeat (in other voices) only when all have been said."""
    rng = np.random.default_rng([seed, 1])
    texts = [text for world in worlds for text in WORLDS[world]]
    pausing = [text for text in texts if "|" in text]
    flowing = _endless(rng, [text for text in texts if "|" not in text])
    stopping = _endless(rng, pausing)
    voices = {number: FliteVoice(settings) for number, settings in enumerate(SPEAKERS)}
    for number in range(count):
        inner = number % 3 == 2
        speaker = int(rng.integers(len(SPEAKERS)))
        gap = float(rng.uniform(*PAUSE_S)) if inner else 0.0
        text = next(stopping if inner or rng.random() < 0.25 else flowing)
        yield _turn(rng, voices[speaker], speaker, text, gap, lead_s, tail_s)


def backchannels(count: int = 40, seed: int = 1) -> list[Sound]:
    """ "mhm", "uh huh", "yeah", … in changing voices and levels."""
    return _short("backchannel", BACKCHANNELS, count, seed)


def interruptions(count: int = 40, seed: int = 1) -> list[Sound]:
    """ "Wait, stop.", "No, that is wrong.", … in changing voices and levels."""
    return _short("interruption", INTERRUPTIONS, count, seed)


def coughs(count: int = 40, seed: int = 1) -> list[Sound]:
    """Synthetic coughs, one to three in a row."""
    rng = np.random.default_rng([seed, 3])
    made = []
    for number in range(count):
        pcm = room.cough(seed * 10_000 + number, peak=float(rng.uniform(4_000, 16_000)))
        start, end = voiced_bounds(pcm)
        made.append(Sound("cough", "", pcm, start, end))
    return made


def speak(text: str, settings: FliteSettings = SPEAKERS[0]) -> Pcm16:
    """A sentence in a player's voice, clean, at its natural level."""
    voice = FliteVoice(settings)
    return np.concatenate([chunk.pcm for chunk in voice.synthesize(SpeechRequest(text, lexicon=SPELT))])


def recordings(folder: Path) -> Iterator[PlayerTurn]:
    """Turns from the WAV files of a folder (one turn each, text unknown), for `--audio DIR`. Raises BadInput where
    there is none."""
    paths = sorted(folder.glob("*.wav"))
    if not paths:
        raise BadInput(f"{folder}: no WAV recordings there")
    return map(_recorded, paths)


def _recorded(path: Path) -> PlayerTurn:
    pcm, rate = read_wav(path)
    pcm = resample(pcm, rate, LISTEN_RATE) if rate != LISTEN_RATE else pcm
    start, end = voiced_bounds(pcm)
    quiet = np.concatenate([pcm[:start], pcm[end:]]).astype(np.float64)
    rms = float(np.sqrt(np.mean(quiet**2))) if quiet.size else 0.0
    level = _active_db(pcm.astype(np.float64))
    return PlayerTurn(pcm, path.stem, (), start, end, _silences(pcm, start, end), False, -1, level, rms)


def voiced_bounds(pcm: Pcm16) -> tuple[int, int]:
    """(first voiced sample, one past the last): by 10 ms levels within 40 dB of the loudest; (0, 0) for silence."""
    power = _powers(pcm.astype(np.float64))
    if not power.size or power.max() <= 0.0:
        return 0, 0
    loud = np.flatnonzero(power > power.max() * 10.0 ** (_VOICED_DB / 10.0))
    return int(loud[0]) * _STEP, min(pcm.size, (int(loud[-1]) + 1) * _STEP)


def _turn(
    rng: np.random.Generator, voice: FliteVoice, speaker: int, marked: str, gap_s: float, lead_s: float, tail_s: float
) -> PlayerTurn:
    text = marked.replace("| ", "")
    chunks = list(voice.synthesize(SpeechRequest(text)))
    clean = np.concatenate([chunk.pcm for chunk in chunks]).astype(np.float64)
    words = [(text[w.text_start : w.text_end], w.span) for chunk in chunks for w in chunk.words]
    inner = gap_s > 0.0
    if inner:
        before = _word_at_bar(marked)
        clean, words = _with_pause(clean, words, before, round(gap_s * LISTEN_RATE))
    level = float(rng.uniform(*LEVELS_DB))
    clean *= 10.0 ** ((level - _active_db(clean)) / 20.0)
    lead, tail = round(lead_s * LISTEN_RATE), round(tail_s * LISTEN_RATE)
    padded = np.concatenate([np.zeros(lead), clean, np.zeros(tail)])
    dry = to_pcm(padded)
    start, end = voiced_bounds(dry)
    noise_rms = 32768.0 * 10.0 ** ((level - float(rng.uniform(*SNR_DB))) / 20.0)
    noise = room_noise(int(rng.integers(2**31)), padded.size, noise_rms)
    return PlayerTurn(
        pcm=to_pcm(padded + noise),
        text=text,
        words=tuple((word, span.shifted(lead)) for word, span in words),
        start=start,
        end=end,
        pauses=_silences(dry, start, end),
        inner_pause=inner,
        speaker=speaker,
        level_db=level,
        noise_rms=noise_rms,
    )


def _word_at_bar(marked: str) -> int:
    """Index of the first word after the bar."""
    return len(marked.split("|")[0].split())


def _with_pause(
    clean: Samples, words: list[tuple[str, Span]], before: int, gap: int
) -> tuple[Samples, list[tuple[str, Span]]]:
    """Make the silence before word `before` last `gap` samples; the cut is faded over 5 ms."""
    silence = Span(words[before - 1][1].end, words[before][1].start)
    cut, more = (silence.start + silence.end) // 2, max(0, gap - silence.length)
    fade = LISTEN_RATE // 200
    head, tail = clean[:cut].copy(), clean[cut:].copy()
    head[-fade:] *= np.linspace(1.0, 0.0, fade)
    tail[:fade] *= np.linspace(0.0, 1.0, fade)
    moved = [(word, span if i < before else span.shifted(more)) for i, (word, span) in enumerate(words)]
    return np.concatenate([head, np.zeros(more), tail]), moved


def _short(kind: str, texts: Sequence[str], count: int, seed: int) -> list[Sound]:
    rng = np.random.default_rng([seed, len(kind)])
    voices = {number: FliteVoice(settings) for number, settings in enumerate(SPEAKERS)}
    order, made = _endless(rng, texts), []
    for _ in range(count):
        text, voice = next(order), voices[int(rng.integers(len(SPEAKERS)))]
        clean = np.concatenate([c.pcm for c in voice.synthesize(SpeechRequest(text, lexicon=SPELT))]).astype(np.float64)
        clean *= 10.0 ** ((float(rng.uniform(*LEVELS_DB)) - _active_db(clean)) / 20.0)
        pcm = to_pcm(clean)
        start, end = voiced_bounds(pcm)
        made.append(Sound(kind, text, pcm, start, end))
    return made


def _endless(rng: np.random.Generator, texts: Sequence[str]) -> Iterator[str]:
    while True:
        yield from (texts[int(i)] for i in rng.permutation(len(texts)))


def _powers(samples: Samples) -> Samples:
    """Mean power of each 10 ms, the last one cut short."""
    if not samples.size:
        return np.zeros(0)
    edges = np.arange(0, samples.size, _STEP)
    return np.asarray(np.add.reduceat(samples**2, edges) / np.diff(np.append(edges, samples.size)))


def _active_db(samples: Samples) -> float:
    """Level of the speech without its pauses: mean power of the 10 ms within 30 dB of the loudest."""
    power = _powers(samples)
    if not power.size or power.max() <= 0.0:
        return -100.0
    return float(10.0 * np.log10(power[power > power.max() * 1e-3].mean() / 32768.0**2))


def _silences(pcm: Pcm16, start: int, end: int) -> tuple[Span, ...]:
    """Stretches of 200 ms or more between `start` and `end` that are not voiced."""
    power = _powers(pcm[start:end].astype(np.float64))
    if not power.size:
        return ()
    voiced = np.flatnonzero(power > power.max() * 10.0 ** (_VOICED_DB / 10.0))
    gaps = [(int(a) + 1, int(b)) for a, b in itertools.pairwise(voiced) if b - a > 1]
    spans = [Span(start + a * _STEP, start + b * _STEP) for a, b in gaps]
    return tuple(span for span in spans if span.length >= _PAUSE_COUNTS)
