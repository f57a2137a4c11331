"""`npc bench server`: how many full-duplex audio streams one core carries, and what an idle session weighs.

The real server process is pinned to one core, the load generator to another. Each stream sends 20 ms of audio 50 times
a second and gets it back through the whole endpoint (parsing, numbering, replay buffer, encoding); latency
runs from handing a frame to the socket to having its answer. Engines are stubs: their cost is in the other benchmarks.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from npc.bench.harness import BadInput, Bench, Option, Run, log, machine
from npc.bench.server_load import Load, ask, run_load
from npc.bench.server_stub import run_server

_P99_MS = 20.0
_GOAL_STREAMS = 300
_GOAL_KIB = 200.0
#: Steps of the search; finer ones are within the noise of a shared machine.
_STEP = 20
_HELD = (50, 150, 250, 350, 450, 550)


@dataclass
class _Rig:
    """Server and generator processes."""

    port: int
    character: str
    server_pid: int
    load: Connection


@contextmanager
def _rig(embedded: bool = False) -> Iterator[_Rig]:
    context = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    ours, theirs = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    told, tell = context.Pipe(duplex=False)
    server = context.Process(target=run_server, args=(ours, tell, embedded))
    server.start()
    load_here, load_there = context.Pipe()
    load = context.Process(target=run_load, args=(theirs, load_there), daemon=True)
    load.start()
    try:
        if not told.poll(30):
            raise RuntimeError("the server did not start within 30 s")
        url, character = told.recv()
        assert server.pid is not None
        yield _Rig(int(url.rpartition(":")[2]), character, server.pid, load_here)
        load_here.send(None)
        load.join(10)
    finally:
        for process, stop in ((server, signal.SIGTERM), (load, signal.SIGKILL)):
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, stop)
                process.join(10)
            if process.is_alive():
                process.kill()


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, or 0 where the system does not tell."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def _trial(rig: _Rig, streams: int, binary: bool, seconds: float) -> dict[str, Any]:
    """One load: latency of every frame, and the server's CPU while it lasted."""
    rig.load.send(Load(rig.port, rig.character, streams, binary, warm_s=1.0, measure_s=seconds))
    assert ask(rig.load) == "measuring"
    began, cpu = time.perf_counter(), _cpu_s(rig.server_pid)
    assert ask(rig.load) == "measured"
    cpu, wall = _cpu_s(rig.server_pid) - cpu, time.perf_counter() - began
    result = ask(rig.load)
    assert ask(rig.load) == "closed"
    p50, p95, p99, worst = (round(value, 2) for value in result["latency_ms"])
    trial = {
        "streams": streams,
        "latency_ms": {"p50": p50, "p95": p95, "p99": p99, "max": worst},
        "unanswered": result["unanswered"],
        "server_cpu": round(cpu / wall, 3),
        "cpu_us_per_frame_pair": round(cpu / max(1, result["sent"]) * 1e6, 1),
        "generator_cpu": round(result["generator_cpu"], 3),
        "generator_late_ms_p99": round(result["generator_late_ms_p99"], 2),
        "held": p99 < _P99_MS and result["unanswered"] <= streams // 50,
    }
    log.print(
        f"  {streams} streams: p50 {p50} ms, p99 {p99} ms, server {trial['server_cpu']:.0%} of its core"
        f", generator {trial['generator_cpu']:.0%}{'' if trial['held'] else '  (not held)'}"
    )
    time.sleep(0.5)
    return trial


def _search(rig: _Rig, binary: bool, seconds: float, most: int) -> dict[str, Any]:
    """Largest number of streams held: grow by half until one is not held, then bisect. A failure is tried twice."""

    def held(streams: int) -> bool:
        for _ in range(2):
            trial = _trial(rig, streams, binary, seconds)
            trials.append(trial)
            if trial["held"]:
                return True
        return False

    trials: list[dict[str, Any]] = []
    good, bad, at = 0, most + _STEP, min(100, most)
    while at < bad and held(at):
        good, at = at, min(most, at * 3 // 2 // _STEP * _STEP)
        if good == most:
            break
    else:
        bad = min(bad, at)
    while bad - good > _STEP and good < most:
        middle = (good + bad) // 2 // _STEP * _STEP
        if middle in (good, bad):
            break
        if held(middle):
            good = middle
        else:
            bad = middle
    best = next((trial for trial in trials if trial["streams"] == good and trial["held"]), None)
    return {"streams_per_core": good, "at": best, "trials": trials}


def _settle(rig: _Rig) -> None:
    """One session makes the server load what all sessions share; memory has settled when it stands for 3 s."""
    rig.load.send(Load(rig.port, rig.character, 1, False, warm_s=0.0, measure_s=0.0))
    assert ask(rig.load) == "holding"
    deadline, last, steady = time.perf_counter() + 90.0, 0, 0
    while steady < 3 and time.perf_counter() < deadline:
        time.sleep(1.0)
        now = _rss_kib(rig.server_pid)
        steady = steady + 1 if abs(now - last) < 200 else 0
        last = now
    _release(rig)


def _release(rig: _Rig) -> None:
    """Close the sessions held, and wait until the server has ended them: memory is read of those alive only."""
    rig.load.send("close")
    assert ask(rig.load) == "closed"
    deadline = time.perf_counter() + 60.0
    while time.perf_counter() < deadline:
        with urllib.request.urlopen(f"http://127.0.0.1:{rig.port}/metrics", timeout=10) as answer:
            if b"\nnpc_sessions 0.0\n" in answer.read():
                return
        time.sleep(0.2)
    log.print("  the server still ends sessions; the slope below is too high")


def _idle(rig: _Rig) -> dict[str, Any]:
    """Slope of the server's resident memory over opened, opted-in, idle sessions."""
    points = []
    _settle(rig)
    for sessions in _HELD:
        rig.load.send(Load(rig.port, rig.character, sessions, False, warm_s=0.0, measure_s=0.0))
        assert ask(rig.load) == "holding"
        time.sleep(0.5)
        points.append((sessions, _rss_kib(rig.server_pid)))
        log.print(f"  {sessions} idle sessions: {points[-1][1] / 1024:.1f} MiB")
        _release(rig)
    first, last = points[0], points[-1]
    slope = float(np.polyfit([p[0] for p in points], [p[1] for p in points], 1)[0])
    return {
        "kib_per_session": round(slope, 1),
        "kib_per_session_ends": round((last[1] - first[1]) / (last[0] - first[0]), 1),
        "points": points,
    }


def measure(run: Run) -> dict[str, Any]:
    """Both transports, then idle memory on a fresh server."""
    facts = machine()
    seconds, most = float(run.options["seconds"]), int(run.options["most"])
    if seconds <= 0 or most < 1:
        raise BadInput(f"--seconds {seconds:g} --most {most}: some time and at least one stream are needed")
    with _rig() as rig:
        log.print("binary frames")
        binary = _search(rig, True, seconds, most)
    with _rig() as rig:
        log.print("base64 events (what stock clients use)")
        base64 = _search(rig, False, seconds, most)
    with _rig() as rig:
        log.print("idle sessions without engines")
        idle = _idle(rig)
    with _rig(embedded=True) as rig:
        log.print("idle sessions of the embedded profile")
        embedded = _idle(rig)
    return {
        "machine": facts,
        "p99_limit_ms": _P99_MS,
        "binary": binary,
        "base64": base64,
        "idle": idle,
        "idle_embedded": embedded,
        "goals": {
            "streams_per_core": _GOAL_STREAMS,
            "kib_per_idle_session": _GOAL_KIB,
            "met": binary["streams_per_core"] >= _GOAL_STREAMS
            and base64["streams_per_core"] >= _GOAL_STREAMS
            and max(idle["kib_per_session"], embedded["kib_per_session"]) <= _GOAL_KIB,
        },
    }


def report(result: dict[str, Any]) -> str:
    rows = [
        f"{name}: {result[name]['streams_per_core']} streams/core at p99 < {result['p99_limit_ms']} ms "
        f"({(result[name]['at'] or {}).get('cpu_us_per_frame_pair')} us of CPU for a frame in and out)"
        for name in ("binary", "base64")
    ]
    idle = f"idle session: {result['idle']['kib_per_session']} KiB, with the embedded profile's engines "
    return "\n".join([*rows, f"{idle}{result['idle_embedded']['kib_per_session']} KiB"])


BENCH = Bench(
    name="server",
    help="full-duplex audio streams per core through the real endpoint, and memory of an idle session",
    measure=measure,
    report=report,
    options=(
        Option("--seconds", "seconds measured for each load (default 4)", {"type": float, "default": 4.0}),
        Option("--most", "largest number of streams tried (default 800)", {"type": int, "default": 800}),
    ),
)
