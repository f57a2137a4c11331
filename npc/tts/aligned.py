"""From a neural voice's raw clause to ours: alignment units become phones and words; pitch, level and silences are set.

A VITS-like model is fed symbols and says how many samples each took:

    symbol   ^  h  ə  l  ˈ o ʊ  ␣  ð  ɛ ɹ  .  $        unit = symbols of one phone, or of none (edges, spaces, marks)
    samples  …  …  …                                     phones tile the sound; a word is its phones

Models without durations give words only: their times are shared out by the usual lengths of sounds (an estimate, good
to about a tenth of a second); no phones are claimed, and the animator goes by the sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import Span
from npc.audio.resample import resample
from npc.phonetics.phones import Phone, SpokenWord
from npc.tts.finish import LEAD_IN_MS, LEVEL_DB, active_db, pause_samples, soft_limit
from npc.tts.interface import Pcm16, Prosody

#: A gap between words shorter than this is no rest of the mouth: it belongs to the sound before.
_GAP_MS: Final = 40
_STRESS: Final = {"ˈ": 1, "ˌ": 2}
#: Pitch ratios are made of whole numbers over this, so that resampling stays cheap (a step is under 0.35 semitones).
_RATIO_STEPS: Final = 50


@dataclass(frozen=True, slots=True)
class Unit:
    """Symbols that sound together: an IPA phone with its stress marks and its word's index, or "" between words."""

    symbol: str
    word: int | None
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Clause:
    """A finished clause."""

    pcm: Pcm16
    phones: tuple[Phone, ...]
    words: tuple[SpokenWord, ...]


def pitch_ratio(semitones: float) -> tuple[int, int]:
    """(numerator, denominator) near 2^(semitones/12). A voice without a pitch control is asked to speak slower by it
    and then played faster, which moves its formants too: fine within a few semitones."""
    return max(1, round(_RATIO_STEPS * 2.0 ** (semitones / 12.0))), _RATIO_STEPS


def finish(
    raw: NDArray[np.float32],
    units: Sequence[Unit],
    words: Sequence[tuple[int, int]],
    *,
    timed: bool,
    text: str,
    rate: float,
    sample_rate: int,
    semitones: float,
    prosody: Prosody,
    level_db: float,
) -> Clause:
    """Lay out one clause. `raw` is float audio at `sample_rate`, made slower by `pitch_ratio(semitones)`; `words` are
    the characters of the words that units point to; `timed`: the units carry the model's own durations."""
    sound, scale = _repitched(raw, semitones)
    level = active_db(sound, sample_rate)
    sound = sound * (10.0 ** ((LEVEL_DB + level_db - level) / 20.0) * prosody.energy if level > -100.0 else 0.0)
    if not timed:
        units = _estimated(units, sound, sample_rate, rate)
        scale = 1.0
    edges = np.rint(np.cumsum([0, *(unit.samples for unit in units)]) * scale).astype(int)
    edges = np.minimum(edges, sound.size)
    spoken = [i for i, unit in enumerate(units) if unit.word is not None and edges[i + 1] > edges[i]]
    if not spoken:
        return Clause(np.zeros(0, dtype=np.int16), (), ())
    first = max(0, int(edges[spoken[0]]) - LEAD_IN_MS * sample_rate // 1000)
    end = int(edges[spoken[-1] + 1])
    total = end - first + pause_samples(text, rate, sample_rate)
    heard = np.zeros(total)
    # What the voice still rings after its last phone (a breath, a release) may sound on into the pause.
    kept = sound[first : first + total]
    heard[: kept.size] = kept
    fade = min(sample_rate // 100, total)
    heard[total - fade :] *= np.linspace(1.0, 0.0, fade)
    spans = [(i, Span(int(edges[i]) - first, int(edges[i + 1]) - first)) for i in spoken]
    phones = _phones(units, spans, total, sample_rate) if timed else ()
    return Clause(soft_limit(heard), phones, _words(units, spans, words))


def _repitched(raw: NDArray[np.float32], semitones: float) -> tuple[NDArray[np.float64], float]:
    """(audio, its length as a share of raw's)."""
    up, down = pitch_ratio(semitones)
    if up == down:
        return raw.astype(np.float64), 1.0
    peak = float(np.abs(raw).max(initial=0.0)) or 1.0
    whole = np.rint(raw / peak * 32_000.0).astype(np.int16)
    played = resample(whole, up, down)
    return played.astype(np.float64) * (peak / 32_000.0), played.size / max(1, raw.size)


def _phones(
    units: Sequence[Unit], spans: Sequence[tuple[int, Span]], total: int, sample_rate: int
) -> tuple[Phone, ...]:
    gap = _GAP_MS * sample_rate // 1000
    phones: list[Phone] = []
    at = 0
    for index, span in spans:
        if span.start > at:
            if phones and span.start - at < gap:
                last = phones.pop()
                phones.append(Phone(last.ipa, Span(last.span.start, span.start), last.stress))
            else:
                phones.append(Phone("", Span(at, span.start)))
        symbol = units[index].symbol
        stress = max((_STRESS[mark] for mark in symbol if mark in _STRESS), default=0)
        phones.append(Phone(symbol.strip("ˈˌ"), span, stress))
        at = span.end
    if total > at:
        phones.append(Phone("", Span(at, total)))
    return tuple(phones)


def _words(
    units: Sequence[Unit], spans: Sequence[tuple[int, Span]], words: Sequence[tuple[int, int]]
) -> tuple[SpokenWord, ...]:
    """Every word once: from its first phone to its last; a word without a sound of its own is a moment after the one
    before."""
    heard: dict[int, Span] = {}
    for index, span in spans:
        word = units[index].word
        assert word is not None
        heard[word] = Span(heard[word].start, span.end) if word in heard else span
    made: list[SpokenWord] = []
    for index, (start, end) in enumerate(words):
        before = made[-1].span.end if made else 0
        made.append(SpokenWord(start, end, heard.get(index, Span(before, before))))
    return tuple(made)


def _estimated(units: Sequence[Unit], sound: NDArray[np.float64], sample_rate: int, rate: float) -> list[Unit]:
    """Units with durations shared out over the audible part: vowels longer than consonants, pauses at marks."""
    loud = np.flatnonzero(np.abs(sound) > 10.0 ** ((LEVEL_DB - 25.0) / 20.0))
    if not loud.size:
        return [Unit(unit.symbol, unit.word, 0) for unit in units]
    begin, end = int(loud[0]), int(loud[-1]) + 1
    sounding = [i for i, unit in enumerate(units) if unit.word is not None]
    inner = range(sounding[0], sounding[-1] + 1) if sounding else range(0)
    weights = np.array([_weight(unit) if i in inner else 0.0 for i, unit in enumerate(units)])
    if not weights.sum():
        return [Unit(unit.symbol, unit.word, 0) for unit in units]
    edges = np.rint(begin + np.cumsum([0.0, *weights]) / weights.sum() * (end - begin)).astype(int)
    lengths = np.diff(edges)
    lead = Unit("", None, begin)
    return [lead, *(Unit(u.symbol, u.word, int(n)) for u, n in zip(units, lengths, strict=True))]


def _weight(unit: Unit) -> float:
    """Usual length in units of a consonant's 70 ms (Klatt 1979: vowels about 110-130, a pause at a comma 200-300)."""
    if unit.word is None:
        return 3.5 if unit.symbol.strip() else 0.0
    vowel = any(letter in "aeiouyæɐɑɒɔəɚɛɜɝɪʊʌʉɨœøɵ" for letter in unit.symbol)
    return 1.7 if vowel else 1.0
