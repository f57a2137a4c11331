"""`npc bench turns`: the operating curve of the end-of-turn detector, wrong cut-offs against the wait.

Synthetic turns (several voices, levels and light noise; one in three with an inner pause of 0.3-1.2 s) go through the
voice-activity detector and the recogniser as in a session, twelve turns to each (`npc.training.listening`); the
detector is asked in every silent frame. The waits are then scaled from half to double, which gives the curve, and fixed
silences give the baseline. Nothing is learned here.

    wait         decision minus last voiced sample of the turn (from the waveform)
    wrong cut    a decision while the turn goes on, as a share of all turns

`--audio DIR` adds recordings: WAV or FLAC clips of one utterance each, or, where `*.rttm` files lie beside them,
meetings, in which a pause is a turn's end when somebody else speaks next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from npc.asr.interface import StreamingRecognizer
from npc.asr.pocketsphinx import PocketsphinxRecognizer
from npc.audio.clock import LISTEN_RATE
from npc.audio.pcm import Pcm16
from npc.audio.resample import resample
from npc.audio.vad import FRAME, VoiceActivityDetector, load_vad
from npc.bench import players
from npc.bench.asr import read_audio
from npc.bench.harness import BadInput, Bench, Option, Run, log, machine, percentiles, pyplot
from npc.conversation.endpointing.embedded import EmbeddedDetector
from npc.conversation.endpointing.interface import EndOfTurnDetector, Pause
from npc.training.listening import PATIENT_S, listened

_FACTORS = (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)
_FIXED_MS = (200, 300, 400, 500, 700, 900, 1200)
TURNS_PER_SESSION = 12
_MS = LISTEN_RATE / 1000


@dataclass(frozen=True, slots=True)
class Moment:
    """A silent frame: what the detector was told, when (sample of the recording), and what it answered."""

    at: int
    pause: Pause
    until: int
    complete: float


Decider = Callable[[Moment], int]


class Listener:
    """One session after another: the recogniser gets to know a voice for `TURNS_PER_SESSION` turns."""

    def __init__(
        self, detector: EndOfTurnDetector, vad: VoiceActivityDetector, recognizer: StreamingRecognizer
    ) -> None:
        self._detector, self._vad, self._recognizer = detector, vad, recognizer
        self._carry: object | None = None
        self._count = 0

    def moments(self, pcm: Pcm16) -> list[Moment]:
        """Every silent frame after speech, as a session would judge it."""
        if self._count % TURNS_PER_SESSION == 0:
            self._carry = None
        self._count += 1
        known, self._carry = listened(pcm, self._vad, self._recognizer, self._carry)
        judged = [(one, self._detector.judge(one.pause)) for one in known]
        return [Moment(one.at, one.pause, verdict.until, verdict.complete) for one, verdict in judged]


def decisions(trace: Sequence[Moment], decide: Decider) -> list[int]:
    """Samples at which a turn would be called over: at most one a silence, the newest judgement ruling."""
    made: list[int] = []
    silent_since = -1
    for moment in trace:
        since = moment.at - moment.pause.silence
        if since != silent_since:
            silent_since, decided = since, False
        if not decided and moment.pause.silence >= decide(moment):
            made.append(moment.at)
            decided = True
    return made


def score(turns: Iterable[tuple[Sequence[Moment], int]], decide: Decider) -> dict[str, Any]:
    """Of (trace, true end): waits of the right decisions in ms, share of turns cut, turns never ended."""
    waits, cut, missed, count = [], 0, 0, 0
    for trace, end in turns:
        count += 1
        made = decisions(trace, decide)
        # The gate closes on whole frames, so a right decision may lie up to one frame before the measured end.
        if any(at < end - FRAME for at in made):
            cut += 1
        elif made:
            waits.append((made[0] - end) / _MS)
        else:
            missed += 1
    return {
        "wait_ms": percentiles(waits, (50, 90, 95)),
        "mean_wait_ms": round(float(np.mean(waits)), 1) if waits else None,
        "wrong_cutoff_rate": round(cut / max(1, count), 4),
        "missed": missed,
        "turns": count,
    }


def scaled(factor: float) -> Decider:
    return lambda moment: round(moment.until * factor)


def fixed(milliseconds: float) -> Decider:
    return lambda moment: round(milliseconds * _MS)


def curves(turns: Sequence[tuple[Sequence[Moment], int]]) -> dict[str, Any]:
    return {
        "detector": {str(factor): score(turns, scaled(factor)) for factor in _FACTORS},
        "fixed_silence": {str(wait): score(turns, fixed(wait)) for wait in _FIXED_MS},
    }


def clips(folder: Path) -> Iterator[tuple[Pcm16, int]]:
    """(sound, end of speech) of one-utterance clips. Raises BadInput where there is none."""
    paths = sorted([*folder.glob("*.wav"), *folder.glob("*.flac")])
    if not paths:
        raise BadInput(f"{folder}: no WAV or FLAC recordings there")
    return (
        (pcm, players.voiced_bounds(pcm)[1]) for path in paths for pcm in (resample(*read_audio(path), LISTEN_RATE),)
    )


@dataclass(frozen=True, slots=True)
class _Said:
    start: float
    end: float
    speaker: str


def meetings(folder: Path) -> Iterator[tuple[Pcm16, list[_Said]]]:
    """(sound, speaker turns in seconds) of recordings with RTTM files beside them. Raises BadInput without any."""
    spoken: dict[str, list[_Said]] = {}
    for listing in sorted(folder.glob("*.rttm")):
        for line in listing.read_text(encoding="utf-8").splitlines():
            fields = line.split()
            if len(fields) >= 8 and fields[0] == "SPEAKER":
                start, length = float(fields[3]), float(fields[4])
                spoken.setdefault(fields[1], []).append(_Said(start, start + length, fields[7]))
    places = [(folder / f"{name}{end}", said) for name, said in sorted(spoken.items()) for end in (".wav", ".flac")]
    found = [(path, said) for path, said in places if path.is_file()]
    if not found:
        raise BadInput(f"{folder}: no WAV or FLAC of a meeting that its *.rttm files annotate")
    return (
        (resample(*read_audio(path), LISTEN_RATE), sorted(said, key=lambda turn: turn.start)) for path, said in found
    )


def meeting_score(traces: Sequence[tuple[Sequence[Moment], list[_Said]]], decide: Decider) -> dict[str, Any]:
    """Silences of 200 ms and more: held (who spoke goes on, in the same annotated turn or the next one) or passed on
    (another speaks next)."""
    held = held_cut = ends = 0
    waits: list[float] = []
    for trace, said in traces:
        pauses: dict[int, Moment] = {}
        for moment in trace:
            pauses[moment.at - moment.pause.silence] = moment
        ended = {}
        for at in decisions(trace, decide):
            moment = next(m for m in trace if m.at == at)
            ended[at - moment.pause.silence] = moment.pause.silence / _MS
        for since, longest in pauses.items():
            if longest.pause.silence < 200 * _MS:
                continue
            second = since / LISTEN_RATE
            again = second + longest.pause.silence / LISTEN_RATE
            before = [turn for turn in said if turn.start <= second and turn.end > second - 0.5]
            after = next((turn.speaker for turn in said if turn.start >= second - 0.1), None)
            # Annotated turns hold pauses of their own: one that lasts until sound comes back was not over.
            goes_on = any(turn.end > again for turn in before)
            if not before or (after is None and not goes_on):
                continue
            if goes_on or after in [turn.speaker for turn in before]:
                held += 1
                held_cut += since in ended
                continue
            ends += 1
            if since in ended:
                waits.append(ended[since])
    return {
        "held_pauses": held,
        "held_cut": round(held_cut / max(1, held), 4),
        "turn_ends": ends,
        "turn_ends_decided": len(waits),
        "wait_ms": percentiles(waits),
    }


def measure(run: Run) -> dict[str, Any]:
    detector, recognizer = EmbeddedDetector(), PocketsphinxRecognizer(decoders=1, deadline_s=PATIENT_S)
    listener = Listener(detector, load_vad(), recognizer)
    count = int(run.options["turns"])
    folders = [Path(name) for name in run.options["audio"] or ()]
    talks = {folder: meetings(folder) for folder in folders if any(folder.glob("*.rttm"))}
    single = {folder: clips(folder) for folder in folders if folder not in talks}
    synthetic: list[tuple[list[Moment], int]] = []
    inner: list[bool] = []
    texts: list[str] = []
    try:
        for number, turn in enumerate(players.turns(count, seed=run.seed)):
            synthetic.append((listener.moments(turn.pcm), turn.end))
            inner.append(turn.inner_pause)
            texts.append(turn.text)
            if number % 20 == 19:
                log.print(f"{number + 1} of {count} turns heard")
        recorded: dict[str, Any] = {}
        for folder in folders:
            log.print(f"recordings in {folder}")
            if folder in talks:
                heard = [(listener.moments(pcm), said) for pcm, said in talks[folder]]
                recorded[folder.name] = {
                    "detector": meeting_score(heard, scaled(1.0)),
                    "fixed_silence": {str(wait): meeting_score(heard, fixed(wait)) for wait in _FIXED_MS},
                }
            else:
                recorded[folder.name] = curves([(listener.moments(pcm), end) for pcm, end in single[folder]])
    finally:
        recognizer.close()
    result = {
        "machine": machine(),
        "turns": count,
        "inner_pauses": sum(inner),
        "synthetic": curves(synthetic),
        "voice_only": score(_without(synthetic, detector, text="", stable_words=0), scaled(1.0)),
        "words_only": score(_without(synthetic, detector, ending=None), scaled(1.0)),
        "judgement_us": _cost(synthetic, detector),
        "recordings": recorded,
        "cut_turns": [
            text for (trace, end), text in zip(synthetic, texts, strict=True)
            if any(at < end - FRAME for at in decisions(trace, scaled(1.0)))
        ],
    }  # fmt: skip
    if run.out is not None:
        _plot(result, run.out / "turns.png")
    return result


def _without(
    turns: Sequence[tuple[Sequence[Moment], int]], detector: EndOfTurnDetector, **unknown: Any
) -> Iterator[tuple[list[Moment], int]]:
    """The same silences judged with something unknown: what it is worth."""
    for trace, end in turns:
        blind = []
        for moment in trace:
            judged = detector.judge(replace(moment.pause, **unknown))
            blind.append(replace(moment, until=judged.until, complete=judged.complete))
        yield blind, end


def _cost(turns: Sequence[tuple[Sequence[Moment], int]], detector: EndOfTurnDetector) -> float | None:
    """Median microseconds of a judgement."""
    spent = []
    for trace, _ in turns[:20]:
        for moment in trace[:10]:
            began = time.perf_counter()
            detector.judge(moment.pause)
            spent.append((time.perf_counter() - began) * 1e6)
    return round(float(np.median(spent)), 1) if spent else None


def _plot(result: dict[str, Any], path: Path) -> None:
    """Wrong cut-offs against the median wait, detector and fixed silence."""
    drawing = pyplot()
    if drawing is None:
        return
    figure, axes = drawing.subplots(figsize=(6, 4))
    for name, style in (("detector", "o-"), ("fixed_silence", "s--")):
        rows = [row for row in result["synthetic"][name].values() if row["wait_ms"]["p50"] is not None]
        axes.plot(
            [row["wait_ms"]["p50"] for row in rows],
            [100 * row["wrong_cutoff_rate"] for row in rows],
            style,
            label=name.replace("_", " "),
        )
    axes.set_xlabel("median wait after the last voiced sample, ms")
    axes.set_ylabel("turns cut off, %")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    drawing.close(figure)
    log.print(f"plot in {path}")


def report(result: dict[str, Any]) -> str:
    lines = [
        f"{result['turns']} turns, {result['inner_pauses']} with inner pauses; {result['judgement_us']} us a judgement"
    ]
    for name in ("voice_only", "words_only"):
        row = result[name]
        lines.append(f"{name.replace('_', ' ')}: cut {row['wrong_cutoff_rate']:.1%}, wait {row['wait_ms']}")
    for source, table in (("synthetic", result["synthetic"]), *result["recordings"].items()):
        lines += ["", source]
        if "held_pauses" in table["detector"]:
            rows = {"detector": table["detector"], **{f"fixed {ms}": row for ms, row in table["fixed_silence"].items()}}
            lines += [f"  {name:14}{_meeting(row)}" for name, row in rows.items()]
            continue
        for name, rows in table.items():
            for setting, row in rows.items():
                p50, p95 = row["wait_ms"]["p50"] or 0.0, row["wait_ms"]["p95"] or 0.0
                lines.append(
                    f"  {name:14}{setting:>6}: wait p50 {p50:5.0f} p95 {p95:5.0f} ms, "
                    f"cut {row['wrong_cutoff_rate']:.1%}"
                )
    return "\n".join(lines)


def _meeting(row: dict[str, Any]) -> str:
    p50, p95 = row["wait_ms"]["p50"] or 0.0, row["wait_ms"]["p95"] or 0.0
    return (
        f"cut {row['held_cut']:.1%} of {row['held_pauses']} held pauses; decided {row['turn_ends_decided']} of "
        f"{row['turn_ends']} ends before the next speaker, wait p50 {p50:5.0f} p95 {p95:5.0f} ms"
    )


BENCH = Bench(
    "turns",
    "end of turn: wrong cut-offs against the wait, on synthetic and recorded pauses",
    measure,
    report,
    (
        Option("--turns", "synthetic turns", {"type": int, "default": 90}),
        Option("--audio", "folder of recordings (may be given again)", {"action": "append"}),
    ),
)
