"""`npc bench voices`: how soon and how fast each voice speaks, how exact its times are, and how well its mark is found.

first_sound_ms     from the request to the first piece, wall clock, per clause length
speed              seconds of speech per second of CPU, of a voice's own process too (where there is /proc)
closure_ms         |middle of P, B, M after a vowel - energy minimum of the sound|
aligner_ms         |word start by the streaming aligner - the voice's own|
mark               share of marked stretches found, share of unmarked ones called marked, level under the speech
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from npc import tts
from npc.bench.closures import closure_minima
from npc.bench.harness import Bench, Option, Run, log, machine, percentiles
from npc.bench.players_text import WORLDS
from npc.tts.aligner import Aligner
from npc.tts.interface import EngineUnavailable, Pcm16, SpeechChunk, SpeechRequest, Synthesizer
from npc.tts.watermark import Marker, detect

#: Short openers and long clauses: what a first and a later clause of a reply look like.
SHORT, LONG = 30, 60
SECONDS = (1.5, 3.0, 6.0)


def measure(run: Run) -> dict[str, Any]:
    """One entry per voice; those whose engine is not here are named in `missing`."""
    texts = [text.replace("| ", "") for world in WORLDS.values() for text in world][: run.options["sentences"]]
    wanted = run.options["voices"].split(",")
    result: dict[str, Any] = {"machine": machine(), "sentences": len(texts), "voices": {}, "missing": {}}
    aligner = Aligner()
    for name in wanted:
        log.print(f"voice {name}")
        try:
            voice = tts.load(name, watermark=False)
        except EngineUnavailable as error:
            result["missing"][name] = str(error)
            continue
        result["voices"][name] = _one(voice, texts, aligner)
        voice.close()
    return result


def _one(voice: Synthesizer, texts: list[str], aligner: Aligner) -> dict[str, Any]:
    first: dict[str, list[float]] = {"short": [], "long": []}
    closures: list[float] = []
    aligned: list[float] = []
    sounds: list[Pcm16] = []
    cpu = 0.0
    for text in texts:
        elsewhere = children_cpu_s()
        began, busy = time.perf_counter(), time.process_time()
        pieces = voice.synthesize(SpeechRequest(text))
        chunks: list[SpeechChunk] = [next(pieces)]
        waited = 1_000.0 * (time.perf_counter() - began)
        chunks.extend(pieces)
        cpu += time.process_time() - busy
        cpu += children_cpu_s() - elsewhere
        if len(text) <= SHORT:
            first["short"].append(waited)
        elif len(text) >= LONG:
            first["long"].append(waited)
        pcm = np.concatenate([chunk.pcm for chunk in chunks])
        sounds.append(pcm)
        closures.extend(_closure_offsets(pcm, voice.sample_rate, chunks))
        aligned.extend(_aligner_offsets(aligner, pcm, voice.sample_rate, text, chunks))
    seconds = sum(pcm.size for pcm in sounds) / voice.sample_rate
    return {
        "speech_s": round(seconds, 1),
        "speed": round(seconds / cpu, 1),
        "first_sound_ms": {kind: percentiles(values) for kind, values in first.items()},
        "closure_ms": {**percentiles(closures), "count": len(closures)},
        "aligner_ms": {**percentiles(aligned), "count": len(aligned)},
        "mark": _mark(np.concatenate(sounds), voice.sample_rate),
    }


def children_cpu_s() -> float:
    """CPU seconds so far of the processes that this one has started and that live; 0 where there is no /proc."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK") if total else 0.0


def _closure_offsets(pcm: Pcm16, rate: int, chunks: list[SpeechChunk]) -> Iterator[float]:
    phones = [phone for chunk in chunks for phone in chunk.phones]
    for closure in closure_minima(pcm, rate, phones):
        middle = (closure.phone.span.start + closure.phone.span.end) / 2
        yield abs(closure.sample - middle) * 1_000.0 / rate


def _aligner_offsets(aligner: Aligner, pcm: Pcm16, rate: int, text: str, chunks: list[SpeechChunk]) -> list[float]:
    truth = [word for chunk in chunks for word in chunk.words]
    alignment = aligner.begin([text[word.text_start : word.text_end] for word in truth], rate)
    alignment.push(pcm)
    return [abs(span.start - truth[i].span.start) * 1_000.0 / rate for i, span in alignment.finish().items()]


def _mark(plain: Pcm16, rate: int) -> dict[str, Any]:
    marked = Marker(rate).mark(plain)
    difference = marked.astype(np.float64) - plain
    under = 10.0 * np.log10(np.mean(plain.astype(np.float64) ** 2) / np.mean(difference**2))
    found: dict[str, Any] = {"under_speech_db": round(float(under), 1)}
    for seconds in SECONDS:
        size = int(seconds * rate)
        starts = range(0, plain.size - size, size)
        hits = [detect(marked[at : at + size], rate).marked for at in starts]
        false = [detect(plain[at : at + size], rate).marked for at in starts]
        found[f"{seconds:g}s"] = {
            "found": round(float(np.mean(hits)), 3) if hits else None,
            "false": round(float(np.mean(false)), 3) if false else None,
            "stretches": len(hits),
        }
    return found


def report(result: dict[str, Any]) -> str:
    """A table for a person."""
    lines = ["voice             first sound ms short/long (p95)   x real time   closure ms (p95)   aligner ms (p95)"]
    for name, one in result["voices"].items():
        first = [one["first_sound_ms"][kind][q] for q in ("p50", "p95") for kind in ("short", "long")]
        short, long, short95, long95 = ("-" if value is None else f"{value:.1f}" for value in first)
        lines.append(
            f"{name:<17} {short} / {long} ({short95} / {long95})"
            f"{one['speed']:>16.0f}   {one['closure_ms']['p50']} ({one['closure_ms']['p95']})"
            f"{one['aligner_ms']['p50']:>14} ({one['aligner_ms']['p95']})"
        )
        for seconds in SECONDS:
            mark = one["mark"][f"{seconds:g}s"]
            if mark["stretches"]:
                lines.append(
                    f"    mark in {seconds:g} s of speech: found {mark['found']:.0%}, false {mark['false']:.0%}"
                )
        lines.append(f"    mark is {one['mark']['under_speech_db']} dB under the speech")
    lines += [f"{name}: not here: {why}" for name, why in result["missing"].items()]
    return "\n".join(lines)


BENCH = Bench(
    name="voices",
    help="first sound, speed, exactness of times, and the watermark, for each voice",
    measure=measure,
    report=report,
    options=(
        Option(
            "--voices",
            "voices to measure, by id, with commas",
            {"default": "flite-slt,flite-rms,flite-awb,espeak-en"},
        ),
        Option("--sentences", "how many of the 126 texts to speak", {"type": int, "default": 63}),
    ),
)
