"""`npc bench cues`: do viseme cues stand where the sound is?

Two comparisons over sentences of the embedded voices: the onset of every viseme cue against the synthesiser's phone
times, and, for every P, B and M after a vowel, the closure cue against the energy minimum of the delivered audio
(`closures`), which knows nothing of the phone's inside. Clauses go through the animator as they do in a reply.
"""

from __future__ import annotations

from typing import Any

from npc.animation import Affect, FaceAnimator, VisemeCue
from npc.animation.articulation import articulations
from npc.bench.closures import closure_minima
from npc.bench.harness import Bench, Option, Run, log, machine, percentiles
from npc.bench.spoken import Spoken, sentences, speak
from npc.phonetics.phones import Phone


def onset_errors(spoken: Spoken, cues: list[VisemeCue]) -> tuple[list[float], int]:
    """Milliseconds from every phone's start to the cue of its first viseme, and how many phones have no cue.

    Neighbouring phones with the same viseme share a cue, so only the first of a run has an onset.
    """
    errors, missing = [], 0
    before = ""
    for phone in spoken.phones:
        visemes = [a.viseme for a in articulations(phone.ipa)]
        if visemes[0] != before:
            near = [c for c in cues if c.viseme == visemes[0] and phone.span.start <= c.at < phone.span.end]
            missing += not near
            errors += [(near[0].at - phone.span.start) * 1000.0 / spoken.rate] if near else []
        before = visemes[-1]
    return errors, missing


def closure_errors(spoken: Spoken, cues: list[VisemeCue]) -> tuple[list[float], int, int]:
    """Milliseconds between each energy minimum and the middle of its PP cue where it has one, how many minima lie in no
    such cue, and how many there are."""
    offsets, outside = [], 0
    closures = closure_minima(spoken.pcm, spoken.rate, spoken.phones)
    for closure in closures:
        cue = _cue_of(closure.phone, cues)
        if cue is None or not cue.at <= closure.sample < cue.until:
            outside += 1
        if cue is not None:
            offsets.append(abs(closure.sample - (cue.at + cue.until) / 2) * 1000.0 / spoken.rate)
    return offsets, outside, len(closures)


def _cue_of(phone: Phone, cues: list[VisemeCue]) -> VisemeCue | None:
    middle = (phone.span.start + phone.span.end) // 2
    near = [c for c in cues if c.viseme == "PP" and c.at <= phone.span.end and c.until >= phone.span.start]
    return min(near, key=lambda c: abs((c.at + c.until) // 2 - middle), default=None)


def measure(run: Run) -> dict[str, Any]:
    count = int(run.options["sentences"])
    onsets: list[float] = []
    offsets: list[float] = []
    missing = outside = phones = closures = 0
    for i, spoken in enumerate(speak(sentences(count, run.seed))):
        stream = FaceAnimator().open(spoken.rate, 60, run.seed + i)
        end = len(spoken.pcm)
        cues = [
            *stream.push(spoken.phones, end, Affect(), spoken.loudness_db).visemes,
            *stream.finish(end).visemes,
        ]
        errors, lost = onset_errors(spoken, cues)
        onsets += [abs(e) for e in errors]
        missing += lost
        phones += len(spoken.phones)
        found, off, there = closure_errors(spoken, cues)
        offsets += found
        outside += off
        closures += there
        if i % 50 == 49:
            log.print(f"{i + 1} sentences")
    return {
        "machine": machine(),
        "sentences": count,
        "phones": phones,
        "viseme_onset_ms": percentiles(onsets, (50, 95, 99)),
        "phones_without_cue": missing,
        "closures": closures,
        "closure_centre_ms": percentiles(offsets, (50, 95, 99)),
        "closures_not_overlapping": outside,
        "goals": {"viseme_onset_ms": {"p50": 10, "p95": 25}, "closure_centre_ms": {"p50": 15, "p95": 40}},
    }


def report(result: dict[str, Any]) -> str:
    onset, centre = result["viseme_onset_ms"], result["closure_centre_ms"]
    return (
        f"{result['sentences']} sentences, {result['phones']} phones\n"
        f"viseme onset against phone start: p50 {onset['p50']} ms, p95 {onset['p95']} ms (goals 10, 25); "
        f"{result['phones_without_cue']} phones without a cue\n"
        f"closure cue against energy minimum: p50 {centre['p50']} ms, p95 {centre['p95']} ms (goals 15, 40); "
        f"{result['closures_not_overlapping']} of {result['closures']} do not overlap"
    )


BENCH = Bench(
    "cues",
    "viseme cues against phone times and against the sound itself",
    measure,
    report,
    (Option("--sentences", "how many sentences (default 200)", {"type": int, "default": 200}),),
)
