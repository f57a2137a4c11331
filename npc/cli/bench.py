"""`npc bench NAME`: run one benchmark of `npc.bench`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from pathlib import Path

import npc.bench
from npc.audio.wav import WavError
from npc.bench.harness import BadInput, Bench, Run, emit, log, measured
from npc.client.local_server import ServerFailed
from npc.config.authored import AuthoredFileError
from npc.inference.config import CheckpointError
from npc.inference.interface import ModelError
from npc.tts.cards import VoiceNotFound
from npc.tts.interface import EngineFailed, EngineUnavailable

#: What a person can do something about. Any other error is ours and keeps its traceback.
_SAID_IN_A_LINE = (
    BadInput, WavError, AuthoredFileError, CheckpointError, ModelError, ServerFailed, VoiceNotFound, EngineUnavailable,
    EngineFailed,
)  # fmt: skip


def names() -> list[str]:
    """Benchmarks there are: the modules of `npc.bench` that define BENCH."""
    return sorted(m.name for m in pkgutil.iter_modules(npc.bench.__path__) if _defines_bench(m.name))


def _defines_bench(name: str) -> bool:
    source = Path(npc.bench.__path__[0]) / f"{name}.py"
    return source.exists() and "\nBENCH = " in source.read_text()


def main(argv: list[str]) -> int:
    """Exit status 0 when it measured, also when a goal was missed; non-zero only when it could not measure."""
    known = names()
    if not argv or argv[0] in ("-h", "--help"):
        print("npc bench NAME [--json] [--seed N] [--out DIR] [options]\n\nbenchmarks:")
        for name in known:
            print(f"  {name:<12} {_load(name).help}")
        return 0
    if argv[0] not in known:
        log.print(f"npc bench: no benchmark {argv[0]!r}. There are: {', '.join(known)}")
        return 2
    bench = _load(argv[0])
    parser = argparse.ArgumentParser(prog=f"npc bench {bench.name}", description=bench.help)
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random (default 1)")
    parser.add_argument("--out", type=Path, help="folder for plots and details")
    for option in bench.options:
        parser.add_argument(option.name, help=option.help, **option.kwargs)
    given = vars(parser.parse_args(argv[1:]))
    as_json, seed, out = given.pop("json"), given.pop("seed"), given.pop("out")
    if seed < 0:
        parser.error(f"--seed {seed}: must be 0 or more")
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        result = measured(bench, Run(seed, out, given))
    except OSError as error:
        where = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        return _cannot(bench, where)
    except _SAID_IN_A_LINE as error:
        return _cannot(bench, str(error))
    if as_json:
        emit(result)
    else:
        print(bench.report(result))
    return 0


def _cannot(bench: Bench, why: str) -> int:
    log.print(f"npc bench {bench.name}: {why}", markup=False, soft_wrap=True)
    return 1


def _load(name: str) -> Bench:
    bench = importlib.import_module(f"npc.bench.{name}").BENCH
    assert isinstance(bench, Bench)
    return bench
