"""`npc bench asr`: the embedded recogniser on sentences spoken by the embedded voices, with and without bias.

Sentences with invented names are spoken by every Flite voice and recognised three ways: without bias, with a bias list
of the names among 115 decoys of the same make, and (first pass only) biased with 20 dB of noise. Each voice is one
session: cepstral means are carried from sentence to sentence. `--audio DIR` adds real recordings without a bar, listed
in a `metadata.csv` (file|text, LJ Speech) or `transcripts.tsv` (file, sentence, Common Voice).
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from npc.asr.interface import Bias, Hypothesis, StreamingRecognizer
from npc.asr.passes import believed
from npc.asr.pocketsphinx import PocketsphinxRecognizer
from npc.audio.clock import LISTEN_RATE
from npc.audio.pcm import Pcm16, to_int16
from npc.audio.resample import resample
from npc.audio.wav import read_wav
from npc.bench.asr_text import NAMES, SENTENCES, decoys, read_sentences, words_of
from npc.bench.harness import BadInput, Bench, Option, Run, log, machine, percentiles
from npc.training.listening import PATIENT_S
from npc.tts import flite
from npc.tts.interface import SpeechRequest, Synthesizer

_DECOYS = 115
_PIECE = LISTEN_RATE // 10
_GOALS = {"name_recall": 0.85, "false_insertions": 0.01, "other_words_over_unbiased": 0.005}


@dataclass
class Tally:
    """Counts over utterances of one condition."""

    errors: int = 0
    words: int = 0
    other_errors: int = 0
    other_words: int = 0
    names_said: int = 0
    names_heard: int = 0
    false_names: int = 0
    stable_right: int = 0
    stable: int = 0
    cpu_wait_ms: list[float] = field(default_factory=list)

    def add(self, said: Sequence[str], heard: Sequence[str], names: frozenset[str], listed: frozenset[str]) -> None:
        """One utterance: word errors, names found (a name said twice counts twice), listed names that nobody said."""
        self.errors += distance(said, heard)
        self.words += len(said)
        others, other_heard = ([w for w in words if w not in listed] for words in (said, heard))
        self.other_errors += max(0, distance(others, other_heard) - self._replaced(said, heard, listed))
        self.other_words += len(others)
        for name in names:
            times = said.count(name)
            self.names_said += times
            self.names_heard += min(times, heard.count(name))
        self.false_names += sum(max(0, heard.count(word) - said.count(word)) for word in listed & set(heard))

    @staticmethod
    def _replaced(said: Sequence[str], heard: Sequence[str], listed: frozenset[str]) -> int:
        """Ordinary words heard in the place of a name that was missed: at most one a name is the name's own error."""
        missed = sum(max(0, said.count(word) - heard.count(word)) for word in listed & set(said))
        extra = max(0, len([w for w in heard if w not in listed]) - len([w for w in said if w not in listed]))
        return min(missed, extra)

    def result(self) -> dict[str, Any]:
        return {
            "wer": round(self.errors / max(1, self.words), 4),
            "wer_other_words": round(self.other_errors / max(1, self.other_words), 4),
            "name_recall": round(self.names_heard / self.names_said, 4) if self.names_said else None,
            "names": [self.names_heard, self.names_said],
            "false_insertions": round(self.false_names / max(1, self.words), 4),
            "words": self.words,
            "wait_ms": percentiles(self.cpu_wait_ms),
            "stable_words_kept": round(self.stable_right / self.stable, 4) if self.stable else None,
        }


def distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Word-level edit distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


Utterance = tuple[Pcm16, str]


def spoken(voice: Synthesizer, sentences: Iterable[str]) -> Iterator[Utterance]:
    """Sentences at 16 kHz with 200 ms of silence around them."""
    edge = np.zeros(LISTEN_RATE // 5, np.int16)
    for text in sentences:
        pieces = [chunk.pcm for chunk in voice.synthesize(SpeechRequest(text))]
        sound = resample(np.concatenate(pieces), voice.sample_rate, LISTEN_RATE)
        yield np.concatenate([edge, sound, edge]), text


def noisy(pcm: Pcm16, snr_db: float, rng: np.random.Generator) -> Pcm16:
    """White noise `snr_db` below the mean power of the utterance."""
    level = np.sqrt(np.mean((pcm / 32768.0) ** 2)) * 10 ** (-snr_db / 20)
    return to_int16(pcm / 32768.0 + rng.normal(0.0, level, pcm.size))


def recordings(folder: Path) -> Iterator[Utterance]:
    """WAV or (with `soundfile`) FLAC recordings listed in `metadata.csv` or `transcripts.tsv` of a folder, as far as
    they are there. Raises BadInput where there is none."""
    rows: list[tuple[str, str]] = []
    for name, separator, text_column in (("metadata.csv", "|", 1), ("transcripts.tsv", "\t", 1)):
        listing = folder / name
        if listing.is_file():
            with listing.open(encoding="utf-8", newline="") as lines:
                rows += [
                    (row[0], row[text_column])
                    for row in csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
                    if len(row) > text_column and row[0] != "file"
                ]
    found = [(path, text) for name, text in rows if (path := _recording(folder, name)) is not None]
    if not found:
        raise BadInput(f"{folder}: no recordings there that a metadata.csv or transcripts.tsv lists")
    return ((resample(*read_audio(path), LISTEN_RATE), text) for path, text in found)


def _recording(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.wav", folder / f"{name}.flac")
    return next((path for path in candidates if path.is_file()), None)


def read_audio(path: Path) -> tuple[Pcm16, int]:
    """A WAV file, or any other that the `soundfile` package reads, as mono PCM16 and its rate. Raises
    BadInput, WavError."""
    if path.suffix == ".wav":
        return read_wav(path)
    try:
        import soundfile
    except ImportError as error:
        raise BadInput(f"{path}: without the soundfile package only WAV is read (pip install soundfile)") from error

    samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    return to_int16(samples.mean(axis=1)), int(rate)


def listen(
    recognizer: StreamingRecognizer,
    utterances: Iterable[Utterance],
    bias: Bias,
    names: frozenset[str],
    *,
    refine: bool,
) -> tuple[Tally, Tally, Tally]:
    """(first pass, second pass, what a session believes that has both in time) over one session; without `refine` the
    first alone."""
    listed = frozenset(word for phrase in bias.phrases for word in words_of(phrase)) | names
    first, second, used = Tally(), Tally(), Tally()
    carry: object | None = None
    for pcm, text in utterances:
        said = words_of(text)
        stream = recognizer.open(bias, carry=carry)
        stable: list[str] = []
        for at in range(0, pcm.size, _PIECE):
            partial = stream.accept(pcm[at : at + _PIECE])
            if partial is not None:
                stable = words_of(" ".join(partial.text.split()[: partial.stable_words]))
        passes: list[Hypothesis] = []
        for tally, decode in ((first, stream.finish), (second, stream.refine))[: 2 if refine else 1]:
            began = time.perf_counter()
            hypothesis = decode()
            tally.cpu_wait_ms.append((time.perf_counter() - began) * 1000)
            heard = words_of(hypothesis.text) if hypothesis else []
            tally.add(said, heard, names, listed)
            if hypothesis is not None:
                passes.append(hypothesis)
            if tally is first:
                tally.stable += len(stable)
                tally.stable_right += sum(a == b for a, b in zip(stable, heard, strict=False))
        if refine and passes:
            used.add(said, words_of(believed(passes[0], passes[-1]).text), names, listed)
        carry = stream.carry()
        stream.close()
    return first, second, used


def _merge(tallies: Sequence[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        for name in total.__dataclass_fields__:
            setattr(total, name, getattr(total, name) + getattr(tally, name))
    return total


def measure(run: Run) -> dict[str, Any]:
    sentences, named = SENTENCES, NAMES
    if run.options["sentences"]:
        sentences, named = read_sentences(Path(run.options["sentences"]))
    names = frozenset(word for name in named for word in words_of(name))
    bias = Bias((*named, *decoys(_DECOYS, names)))
    recorded = {Path(folder).name: recordings(Path(folder)) for folder in run.options["audio"] or ()}
    rng = np.random.default_rng(run.seed)
    recognizer = PocketsphinxRecognizer(deadline_s=PATIENT_S)
    per_voice: dict[str, Any] = {}
    sums: dict[str, list[Tally]] = {}
    try:
        for name in flite.VOICES:
            log.print(f"voice {name}: {len(sentences)} sentences, three ways")
            said = list(spoken(flite.FliteVoice(flite.FliteSettings(name)), sentences))
            unbiased, unbiased2, unbiased3 = listen(recognizer, said, Bias(), names, refine=True)
            biased, biased2, biased3 = listen(recognizer, said, bias, names, refine=True)
            noise, _, _ = listen(recognizer, ((noisy(p, 20.0, rng), t) for p, t in said), bias, names, refine=False)
            ways = {
                "unbiased_first": unbiased, "unbiased_second": unbiased2, "biased_first": biased,
                "biased_second": biased2, "unbiased_believed": unbiased3, "biased_believed": biased3,
                "biased_first_20db_noise": noise,
            }  # fmt: skip
            per_voice[name] = {way: tally.result() for way, tally in ways.items()}
            for way, tally in ways.items():
                sums.setdefault(way, []).append(tally)
        together = {way: _merge(tallies).result() for way, tallies in sums.items()}
        real = {}
        for name, utterances in recorded.items():
            log.print(f"recordings in {name}")
            heard = listen(recognizer, utterances, Bias(), frozenset(), refine=True)
            ways_heard = zip(("first", "second", "believed"), heard, strict=True)
            real[name] = {way: tally.result() for way, tally in ways_heard}
    finally:
        recognizer.close()
    best, plain = together["biased_believed"], together["unbiased_believed"]
    return {
        "machine": machine(),
        "sentences": len(sentences),
        "bias_list": len(bias.phrases),
        "together": together,
        "voices": per_voice,
        "recordings": real,
        "goals": {
            "name_recall": [best["name_recall"], _GOALS["name_recall"]],
            "false_insertions": [best["false_insertions"], _GOALS["false_insertions"]],
            "other_words_over_unbiased": [
                round(best["wer_other_words"] - plain["wer_other_words"], 4),
                _GOALS["other_words_over_unbiased"],
            ],
        },
    }


def report(result: dict[str, Any]) -> str:
    lines = [f"{result['sentences']} sentences, {result['bias_list']} biased names, three voices", ""]
    lines.append(f"{'':26}{'WER':>8}{'others':>8}{'names':>8}{'false':>8}{'wait p50':>10}")
    for way, row in result["together"].items():
        recall = "-" if row["name_recall"] is None else f"{row['name_recall']:.2f}"
        wait = row["wait_ms"]["p50"] or 0.0
        lines.append(
            f"{way:26}{row['wer']:8.3f}{row['wer_other_words']:8.3f}{recall:>8}"
            f"{row['false_insertions']:8.3f}{wait:8.0f} ms"
        )
    for name, passes in result["recordings"].items():
        lines.append(
            f"{name}: WER {passes['first']['wer']:.3f} first, {passes['second']['wer']:.3f} second pass, "
            f"{passes['believed']['wer']:.3f} of the one believed (no bar)"
        )
    lines += [f"goal {name}: {got} (want {want})" for name, (got, want) in result["goals"].items()]
    return "\n".join(lines)


BENCH = Bench(
    "asr",
    "embedded recogniser: word errors, invented names, first and second pass",
    measure,
    report,
    (
        Option("--sentences", "text file: a sentence a line, names in a comment '# names: A, B'", {"default": None}),
        Option("--audio", "folder of recordings with transcripts (may be given again)", {"action": "append"}),
    ),
)
