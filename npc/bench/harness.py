"""What every `npc bench NAME` shares: flags, one JSON object on stdout, progress on stderr, the machine's name.

A benchmark is a module `npc/bench/NAME.py` with a `BENCH = Bench(...)`. It starts what it needs, needs no network, no
running server and nothing outside the package, and exits 0 when it measured, also when a goal was missed.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

#: Progress and logs; stdout belongs to the JSON object.
log = Console(stderr=True, highlight=False)


class BadInput(ValueError):
    """What was given cannot be measured; the message names the file, folder or option and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Option:
    """One extra flag of a benchmark, as argparse takes it: name, help and keyword arguments."""

    name: str
    help: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """What a benchmark is given: the seed, the folder for plots and detail (or None), and its own options by name."""

    seed: int
    out: Path | None
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """A benchmark: its name, one line of help, the function that measures, and how a person reads the result."""

    name: str
    help: str
    measure: Callable[[Run], dict[str, Any]]
    report: Callable[[dict[str, Any]], str]
    options: Sequence[Option] = ()


def percentiles(values: Sequence[float], which: Sequence[int] = (50, 95)) -> dict[str, float | None]:
    """`{"p50": …, "p95": …}` by linear interpolation; None for an empty sample."""
    if not values:
        return {f"p{q}": None for q in which}
    return {f"p{q}": round(float(np.percentile(values, q)), 3) for q in which}


def machine() -> dict[str, Any]:
    """The machine the figures were taken on: CPU model, cores usable by this process, memory, system, Python."""
    model, memory_kib = platform.processor() or platform.machine(), 0
    cpuinfo, meminfo = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    if meminfo.exists():
        memory_kib = int(meminfo.read_text().splitlines()[0].split()[1])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": model,
        "cores": cores,
        "memory_gib": round(memory_kib / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def measured(bench: Bench, run: Run) -> dict[str, Any]:
    """What the benchmark finds, and `load_before`: the machine's load average of the minute before it began."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {**bench.measure(run), "load_before": load}


def pyplot() -> Any | None:
    """matplotlib's pyplot for files (the same figures give the same bytes), or None with a word where it is missing."""
    try:
        import matplotlib
    except ImportError:
        log.print("no plot: matplotlib is not installed (it comes with the dev extra)")
        return None
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "npc"
    from matplotlib import pyplot as drawing

    return drawing


def emit(result: Mapping[str, Any]) -> None:
    """Write the one JSON object of `--json`."""
    sys.stdout.write(json.dumps(result, allow_nan=False) + "\n")
    sys.stdout.flush()
