"""The playing half of `npc scenario`: simulate, run, report."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.audio.resample import Resampler
from npc.audio.wav import read_wav
from npc.client import RealtimeClient
from npc.client.local_server import local_server
from npc.config.paths import state_dir
from npc.simulation import trainees
from npc.simulation.attempt import load
from npc.simulation.casting import Cast, cast
from npc.simulation.driver import RATE, Client, Rehearsed, TraineeClient
from npc.simulation.package import Package, find_scenario
from npc.simulation.scenarios import attempts_dir, load_engine
from npc.simulation.simulate import Run, report, simulate
from npc.simulation.trainees import GENERATED, Step, Trainee

Pcm16 = NDArray[np.int16]


def add(commands: Any) -> None:
    """Register the subcommands."""
    sim = commands.add_parser("simulate", help="play scripted and made trainees in simulated time")
    sim.add_argument("scenario", metavar="SCENARIO", help="id, folder or zip")
    sim.add_argument("--trainee", action="append", metavar="NAME", help="only these; repeat for more")
    sim.add_argument("--level", action="append", metavar="NAME", help="only these levels; default: all")
    sim.add_argument("--seeds", type=int, default=3, metavar="N", help="made trainees, so many of each kind")
    sim.add_argument("--transcript", action="store_true", help="print what was said, and the verdicts")
    sim.add_argument("--json", action="store_true", help="print one JSON object")
    sim.set_defaults(do=_simulate)

    run = commands.add_parser("run", help="a run over the wire")
    run.add_argument("scenario", metavar="SCENARIO")
    run.add_argument("--trainee", metavar="NAME", help="a scripted or made trainee instead of you")
    run.add_argument("--script", type=Path, metavar="FILE", help="lines to say; !name acts, ...N waits N seconds")
    run.add_argument("--wav", action="append", type=Path, metavar="FILE", help="say this recording; repeat for more")
    run.add_argument(
        "--voice", action="store_true", help="speak the lines (with the trainee's voice) instead of typing"
    )
    run.add_argument("--level", metavar="NAME", help="level of difficulty")
    run.add_argument("--player", default="trainee", metavar="ID", help="pseudonym of the trainee")
    run.add_argument("--keep-audio", action="store_true", help="the trainee consents to both sides being recorded")
    run.add_argument("--attempt", metavar="ID", help="go on with an attempt that was cut off")
    run.add_argument("--url", help="a server that runs already, e.g. http://127.0.0.1:8765")
    run.add_argument("--key", help="API key or ticket for that server")
    run.add_argument(
        "--studio", action="store_true", help="in virtual time in this process: the same on a busy machine, and twice"
    )
    run.add_argument("--json", action="store_true", help="print one JSON object at the end")
    run.set_defaults(do=_run)

    rep = commands.add_parser("report", help="the after-action review of an attempt")
    rep.add_argument("attempt", metavar="ATTEMPT", help="id of an attempt, or its folder")
    rep.add_argument("--out", type=Path, metavar="FILE", help="default: ATTEMPT.html here")
    rep.add_argument("--pdf", action="store_true", help="print it with a headless Chromium")
    rep.set_defaults(do=_report)


# -- simulate ----------------------------------------------------------------------------------------------------------


def _simulate(given: argparse.Namespace) -> int:
    package = find_scenario(given.scenario)
    engine = load_engine()
    levels = [level for level in package.scenario.levels if not given.level or level.name in given.level]
    unknown = set(given.level or ()) - {level.name for level in levels}
    if unknown:
        raise KeyError(f"there is no level {', '.join(sorted(unknown))}")
    runs: list[Run] = []
    last: Cast | None = None
    for level in levels:
        last = cast(package, level, engine)
        for trainee, seed in _cast_of_trainees(package, given.trainee, given.seeds):
            if trainee.level is not None and trainee.level != level.name and not given.level:
                continue
            run = asyncio.run(simulate(last, trainee, seed))
            runs.append(run)
            if given.transcript:
                _transcript(run)
    if last is None or not runs:
        raise KeyError("nobody played: name a trainee or a level that the scenario has")
    told = report(last, runs)
    if given.json:
        by_run = [{"trainee": r.trainee, "level": r.level, "seed": r.seed, "score": r.score} for r in runs]
        print(json.dumps({**told, "runs": by_run}))
        return 0
    _print_report(told)
    return 0


def _cast_of_trainees(package: Package, names: list[str] | None, seeds: int) -> Iterator[tuple[Trainee, int]]:
    if names:
        for name in names:
            yield trainees.find(package, name), 0
        return
    own = trainees.scripted(package)
    for trainee in own:
        yield trainee, 0
    for kind in GENERATED:
        if kind not in {trainee.name for trainee in own}:
            for seed in range(seeds):
                yield trainees.generated(package, kind, seed), seed


def _transcript(run: Run) -> None:
    print(f"\n{run.trainee}, {run.level}, seed {run.seed}: {run.outcome}, {run.score}")
    for turn in run.turns:
        acted = "".join(f" [{action.name}]" for action in turn.actions)
        print(f"  {turn.n:>2} {turn.start_s:6.1f} s  {turn.speaker:<9} {turn.text}{acted}")
    for one in run.judged:
        cited = "; ".join(f"turn {e.turn}: {e.quote!r}" for e in one.evidence[:2])
        print(f"     {one.state:<12} {one.item:<20} {one.reason}  {cited}")


def _print_report(told: dict[str, Any]) -> None:
    print(f"{'trainee':<12} {'runs':>4} {'median':>7} {'lowest':>7} {'highest':>8} {'passed':>7}  outcomes")
    for name, row in told["trainees"].items():
        scores = row["scores"] or [float("nan")]
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in row["outcomes"].items())
        middle = float("nan") if row["median"] is None else row["median"]
        print(
            f"{name:<12} {row['runs']:>4} {middle:>7.1f} {scores[0]:>7.1f} {scores[-1]:>8.1f} {row['passed']:>7}  "
            + outcomes
        )
    print(f"\n{'item':<24} {'met':>5} {'not met':>8} {'not observed':>13}")
    for name, row in told["items"].items():
        print(f"{name:<24} {row['met']:>5} {row['not_met']:>8} {row['not_observed']:>13}")
    for what, row in told["coverage"].items():
        missed = f"; nobody came to {', '.join(row['missed'])}" if row["missed"] else ""
        print(f"{what}: {row['reached']} of {row['of']}{missed}")


# -- run ---------------------------------------------------------------------------------------------------------------


def _run(given: argparse.Namespace) -> int:
    package = find_scenario(given.scenario)
    who: Trainee | None = None
    if given.trainee is not None:
        who = trainees.find(package, given.trainee)
    elif given.script is not None:
        who = trainees.read_lines_of(given.script)
    voice = _voice(who.voice if who is not None else "flite-rms") if given.voice else None
    steps: Iterator[Step] | tuple[Step, ...]
    if given.wav:
        recordings = {str(path): _at_rate(*read_wav(path)) for path in given.wav}
        steps, voice = tuple(Step(say=name) for name in recordings), recordings.__getitem__
    else:
        steps = who.steps if who is not None else _typed()
    if given.studio:
        from npc.cli.scenario_studio import in_studio

        if who is None and not given.wav:
            raise KeyError("--studio needs --trainee, --script or --wav: nobody types in virtual time")
        result = in_studio(package, lambda client: _take(given, client, package, steps, voice))
        _print_result(given, result)
        return 0 if result.outcome not in ("running", "") else 1
    server: Any = contextlib.nullcontext(given.url)
    if given.url is None:
        folder = package.folder.parent.resolve()
        server = local_server("--set", f"scenarios={json.dumps([str(folder)])}", state=state_dir())
    with server as url:
        result = asyncio.run(_drive(given, url, package, steps, voice))
    _print_result(given, result)
    return 0 if result.outcome not in ("running", "") else 1


async def _drive(
    given: argparse.Namespace, url: str, package: Package, steps: Any, voice: Callable[[str], Pcm16] | None
) -> Rehearsed:
    async with RealtimeClient.connect(url, character=package.main.id, api_key=given.key) as client:
        return await _take(given, client, package, steps, voice)


async def _take(
    given: argparse.Namespace, client: Client, package: Package, steps: Any, voice: Callable[[str], Pcm16] | None
) -> Rehearsed:
    def line(speaker: str, text: str) -> None:
        if not given.json:
            print(f"{speaker}: {text}", flush=True)

    trainee = TraineeClient(client, package, voice, line)
    return await trainee.run(steps, given.level, given.keep_audio, given.player, given.attempt)


def _typed() -> Iterator[Step]:
    """From the keyboard, asked for when the character has ended; an empty line ends the attempt."""
    print("Type and press Enter; !name acts; an empty line ends the attempt.", file=sys.stderr)
    while True:
        try:
            text = input("> ").strip()
        except EOFError:
            return
        if not text:
            return
        yield Step(do=text[1:].strip()) if text.startswith("!") else Step(say=text)


def _voice(card: str) -> Callable[[str], Pcm16]:
    """Makes sound of a line, at the wire's rate."""
    from npc.tts import SpeechRequest, find_card
    from npc.tts import load as load_voice

    synthesizer = load_voice(find_card(card))

    def say(text: str) -> Pcm16:
        parts = [chunk.pcm for chunk in synthesizer.synthesize(SpeechRequest(text))]
        return _at_rate(np.concatenate(parts), synthesizer.sample_rate)

    return say


def _at_rate(pcm: Pcm16, rate: int) -> Pcm16:
    if rate == RATE:
        return pcm
    resampler = Resampler(rate, RATE)
    return np.concatenate([resampler.push(pcm), resampler.flush()])


def _print_result(given: argparse.Namespace, result: Rehearsed) -> None:
    if given.json:
        plain = {"attempt": result.attempt, "outcome": result.outcome, "score": result.score, "passed": result.passed}
        print(json.dumps(plain))
        return
    mark = "no score" if result.score is None else f"{result.score:.0f} of 100"
    print(f"\n{result.outcome}: {mark}, {'passed' if result.passed else 'not passed'}; attempt {result.attempt}")
    if given.url is None:
        print(f"recorded in {attempts_dir() / result.attempt}; npc scenario report {result.attempt}")


# -- report ------------------------------------------------------------------------------------------------------------


def _report(given: argparse.Namespace) -> int:
    folder = Path(given.attempt)
    if not folder.is_dir():
        folder = attempts_dir() / given.attempt
    attempt = load(folder)
    from npc.simulation.review import write_report

    target = given.out or Path(f"{attempt.id}.html")
    try:
        written = write_report(folder, target, pdf=given.pdf, everything=folder.parent)
    except RuntimeError as error:
        print(f"wrote {target}; npc scenario report --pdf: {error}", file=sys.stderr)
        return 1
    print("wrote " + ", ".join(map(str, written)))
    return 0
