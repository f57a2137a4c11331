"""The inference core beside its peers: the same random weights of known shapes, interleaved in one call.

Every engine is a process of its own (`inference_worker.py`) that sleeps while others are measured. A round runs each
engine's burst after the other's, with the machine's read bandwidth before it; a figure is the median over rounds and a
ratio the median of the rounds' ratios, so that a neighbour's load hits both sides alike. Logits are compared with
`transformers` in float32 on the same weights before any speed is believed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from npc.bench import peers
from npc.bench.harness import Bench, Option, Run, log, machine
from npc.bench.inference_embedded import measure_embedded
from npc.bench.inference_plot import plot
from npc.bench.inference_shapes import SHAPES, write_checkpoint
from npc.dialogue.realiser.model import model_folder
from npc.inference import kernels

_WORKER: Final = "npc.bench.inference_worker"
_PREFILL, _CONTEXT = 512, 512
#: seconds of a shape after which no new round begins: --quick ends within eight minutes, three shapes within twenty
_QUICK_S, _FULL_S = 150.0, {"135m": 60.0, "0.5b": 150.0, "1b": 200.0}
#: the longest anything takes here is exporting 1 B weights to OpenVINO, some minutes
_DEADLINE_S: Final = 900.0
#: INT4+head8 keeps embedding and head at 8 bits, as llama.cpp's Q4_0 files of these shapes do
_OURS: Final = (("npc", "INT4"), ("npc", "INT8"), ("npc", "INT4+head8"))
_LLAMA: Final = (("llama.cpp", "Q4_0"), ("llama.cpp", "Q8_0"))
_TORCH: Final = ("transformers", "bf16")
#: not in --quick: exporting and loading them takes minutes
_SLOW: Final = (("ctranslate2", "INT8"), ("openvino", "INT4"))
#: features a llama.cpp build must have where this CPU has them, else its ratios are null
_WANTED: Final = {"AMX": "AMX_INT8", "AVX512": "AVX512_VNNI"}

_SHOWN: Final = (
    "decode_tok_s",
    "prefill_tok_s",
    "bits_per_weight",
    "busy_cores",
    "ttft_ms",
    "listening",
    "focus_ttft_ms",
)

Engine = tuple[str, str]


class WorkerFailed(RuntimeError):
    """A worker said why it could not do something."""


class Worker:
    """An engine's process: one JSON line there, one back."""

    def __init__(self, engine: Engine, checkpoint: Path, cache: Path) -> None:
        ours = engine[0] in ("npc", "transformers")
        python = sys.executable if ours else str(peers.python(engine[0]))
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
        self._process = subprocess.Popen(
            [python, "-m", _WORKER, engine[0], str(checkpoint), str(cache), engine[1]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """Raises WorkerFailed; a process that does not answer in time is ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        late = threading.Timer(_DEADLINE_S, self._process.kill)
        late.start()
        try:
            self._process.stdin.write(json.dumps({"do": do, **fields}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            late.cancel()
        if not line:
            raise WorkerFailed(f"the process died or was too late during {do} (exit status {self._process.wait()})")
        reply: dict[str, Any] = json.loads(line)
        for problem in ("failed", "unsupported"):
            if problem in reply:
                raise WorkerFailed(reply[problem])
        return reply

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@dataclass
class Samples:
    """Measured values by (what, engine, threads), one entry a round."""

    values: dict[tuple[str, Engine, int], list[float | None]] = field(default_factory=lambda: defaultdict(list))
    bandwidth: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    def median(self, what: str, engine: Engine, threads: int) -> float | None:
        """Median over rounds; None where nothing was measured."""
        found = [v for v in self.values.get((what, engine, threads), ()) if v is not None]
        return float(np.median(found)) if found else None

    def ratio(self, a: tuple[str, Engine, int], b: tuple[str, Engine, int]) -> float | None:
        """Median over rounds of a / b, round by round."""
        pairs = zip(self.values.get(a, ()), self.values.get(b, ()), strict=False)
        found = [x / y for x, y in pairs if x is not None and y]
        return round(float(np.median(found)), 3) if found else None


def _measure_round(workers: dict[Engine, Worker], samples: Samples, threads: int, quick: bool) -> None:
    samples.bandwidth[threads].append(kernels.read_bandwidth(threads, 384, 2))
    heavy = 2 if quick else 3

    def note(what: str, engine: Engine, do: str, scale: float, **fields: Any) -> None:
        value: float | None = None
        try:
            seconds = workers[engine].ask(do, threads=threads, **fields)["seconds"]
            value = scale / float(np.median(seconds))
        except WorkerFailed as error:
            log.print(f"    {engine[0]} {engine[1]} {what}: {error}")
        samples.values[what, engine, threads].append(value)

    for engine in workers:
        note("prefill", engine, "prefill", _PREFILL, tokens=_PREFILL)
    for engine in workers:
        note(
            "decode",
            engine,
            "decode",
            1.0,
            context=_CONTEXT,
            count=12 * heavy if engine[0] in ("npc", "llama.cpp") else 6 * heavy,
        )
    if threads == 1:
        return
    for engine in workers:
        if engine not in (_OURS[0], _LLAMA[0]):
            continue
        for size in (1, 2, 4, 8):
            note(f"batch{size}", engine, "batch", size, size=size, count=5 * heavy)
        for size in (1, 4):
            note(f"verify{size}", engine, "verify", 1.0, size=size, count=5 * heavy)
        note("warm12", engine, "warm", 1.0, tokens=12)
        note("cold12", engine, "prefill", 1.0, tokens=12)


def _beside_busy_cores(worker: Worker) -> dict[str, float]:
    """Decode speed with one busy process on each core: share of the quiet speed, and beside one thread."""

    def run(threads: int, count: int) -> float:
        seconds: list[float] = worker.ask("decode", threads=threads, context=16, count=count)["seconds"]
        return len(seconds) / sum(seconds)

    def speed(threads: int) -> float:
        # long enough for many turns of the scheduler, short enough for the context and for who is very slow
        return run(threads, max(24, min(1000, int(1.5 * run(threads, 24)))))

    quiet = speed(2)
    with _busy(os.cpu_count() or 1):
        busy_two, busy_one = speed(2), speed(1)
    return {
        "quiet_2_threads_tok_s": round(quiet, 1),
        "busy_2_threads_tok_s": round(busy_two, 1),
        "busy_1_thread_tok_s": round(busy_one, 1),
        "share_of_quiet": round(busy_two / quiet, 3),
        "two_threads_over_one": round(busy_two / busy_one, 3),
    }


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """`count` processes that use a core each."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def _memory_at_work(engine: Engine, checkpoint: Path, place: Path) -> float:
    """Peak memory in MB of a process with one engine, after a long prompt, replies and eight sequences at once. The
    process that is timed holds two, for one and for two threads, each with buffers and a cache of its own."""
    worker = Worker(engine, checkpoint, place)
    try:
        worker.ask("load")
        worker.ask("decode", threads=2, context=_CONTEXT, count=8)
        worker.ask("verify", threads=2, size=8, count=2)
        worker.ask("batch", threads=2, size=8, count=2)
        return float(worker.ask("memory")["peak_mb"])
    finally:
        worker.close()


def _divergence(path: Path, reference: Path) -> dict[str, float]:
    got, want = np.load(path).astype(np.float64), np.load(reference).astype(np.float64)
    p, q = (x - x.max(1, keepdims=True) for x in (want, got))
    p, q = (x - np.log(np.exp(x).sum(1, keepdims=True)) for x in (p, q))
    cosine = (want * got).sum() / np.linalg.norm(want) / np.linalg.norm(got)
    return {"cosine": round(float(cosine), 5), "kl": round(float((np.exp(p) * (p - q)).sum(1).mean()), 6)}


@dataclass
class Report:
    """What one shape gave."""

    samples: Samples
    facts: dict[Engine, dict[str, Any]]
    logits: dict[Engine, dict[str, float]]
    memory: dict[Engine, float]
    busy: dict[Engine, dict[str, float]]
    weights: int
    turns: dict[str, dict[str, float]] = field(default_factory=dict)


def _measure_shape(shape: str, seed: int, rounds: int, quick: bool, place: Path, notes: dict[str, str]) -> Report:
    place = place / shape  # everything of a shape lies here and goes with it: a 1 B model fills five gigabytes
    checkpoint = place / "checkpoint"
    log.print(f"{shape}: writing random weights")
    write_checkpoint(checkpoint, shape, seed)
    reference = Worker(("transformers", "F32"), checkpoint, place)
    reference.ask("load")
    reference.ask("logits", path=str(place / "reference.npy"))
    reference.close()
    wanted: list[Engine] = [*_OURS, _TORCH]
    for engine in (*_LLAMA, *_SLOW):
        if peers.python(engine[0]) is None:
            notes[engine[0]] = "not built: run make bench-peers"
        elif quick and engine in _SLOW:
            notes[engine[0]] = "not in --quick"
        else:
            wanted.append(engine)
    wanted.sort(
        key=lambda engine: engine not in _SLOW
    )  # converting takes most memory: first, while nobody else is here
    report = Report(Samples(), {}, {}, {}, {}, sum(_sizes(checkpoint)))
    with ExitStack() as stack:
        workers: dict[Engine, Worker] = {}
        for engine in wanted:
            log.print(f"{shape}: loading {engine[0]} {engine[1]}")
            worker = Worker(engine, checkpoint, place)
            stack.callback(worker.close)
            try:
                report.facts[engine] = worker.ask("load")
                path = place / f"{engine[0]}-{engine[1]}.npy"
                worker.ask("logits", path=str(path))
                report.logits[engine] = _divergence(path, place / "reference.npy")
                worker.ask("prefill", threads=2, tokens=128)  # memory and threads are touched once before they count
                workers[engine] = worker
            except WorkerFailed as error:
                notes[f"{shape} {engine[0]} {engine[1]}"] = str(error)
        start = time.monotonic()
        for number in range(rounds):
            if number and time.monotonic() - start > (_QUICK_S if quick else _FULL_S.get(shape, 150.0)):
                notes[f"rounds {shape}"] = f"{number} of {rounds}: their time was up"
                break
            for threads in (2,) if quick and number else (2, 1):
                log.print(f"{shape}: round {number + 1} of {rounds}, {threads} threads")
                _measure_round(workers, report.samples, threads, quick)

        @contextmanager
        def noted(engine: Engine, what: str) -> Iterator[None]:
            log.print(f"{shape}: {engine[0]} {engine[1]} {what}")
            try:
                yield
            except WorkerFailed as error:
                notes[f"{shape} {engine[0]} {engine[1]} {what}"] = str(error)

        for engine in (_OURS[0], _LLAMA[0]):
            if engine in workers:
                with noted(engine, "beside busy cores"):
                    report.busy[engine] = _beside_busy_cores(workers[engine])
        for what in ("listening", "focus") if _OURS[0] in workers else ():
            with noted(_OURS[0], what):
                report.turns[what] = workers[_OURS[0]].ask(what, threads=2)
        for engine, worker in workers.items():
            with noted(engine, "memory"):
                peak = (
                    _memory_at_work(engine, checkpoint, place) if engine in _OURS else worker.ask("memory")["peak_mb"]
                )
                report.memory[engine] = round(peak, 1)
    shutil.rmtree(place)
    return report


def _sizes(checkpoint: Path) -> Iterator[int]:
    with (checkpoint / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    for name, entry in header.items():
        if name != "__metadata__":
            yield int(np.prod(entry["shape"]))


def _by_engine(report: Report, what: str, threads: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for name, form in report.facts:
        value = report.samples.median(what, (name, form), threads)
        if value is not None:
            found[name][form] = round(value, 1)
    return dict(found)


def _shape_result(report: Report) -> dict[str, Any]:
    samples = report.samples
    roofline = float(np.median(samples.bandwidth[2])) * 1e9
    bits, percent = defaultdict[str, dict[str, float]](dict), {}
    for (name, form), facts in report.facts.items():
        bits[name][form] = round(8 * facts["bytes"] / report.weights, 3)
    for engine in _OURS:
        speed = samples.median("decode", engine, 2)
        if speed is not None:
            percent[engine[1]] = round(100 * speed * report.facts[engine]["bytes"] / roofline, 1)
    return {
        "decode_tok_s": _by_engine(report, "decode", 2),
        "decode_tok_s_1_thread": _by_engine(report, "decode", 1),
        "prefill_tok_s": _by_engine(report, "prefill", 2),
        "prefill_tok_s_1_thread": _by_engine(report, "prefill", 1),
        "batch_tok_s": {str(size): _by_engine(report, f"batch{size}", 2) for size in (1, 2, 4, 8)},
        "ttft_ms": {
            "cold_512": {
                n: {f: round(1000 * _PREFILL / v, 1) for f, v in forms.items()}
                for n, forms in _by_engine(report, "prefill", 2).items()
            },
            "warm_12_new": _warm(report),
        },
        "listening": report.turns.get("listening"),
        "focus_ttft_ms": report.turns.get("focus"),
        "bits_per_weight": dict(bits),
        "roofline_pct": percent,
        "bandwidth_gbs": {str(t): round(float(np.median(b)), 1) for t, b in samples.bandwidth.items()},
        "logits": {
            **report.logits.get(_OURS[0], {"cosine": None, "kl": None}),
            "by_engine": {f"{n} {f}": v for (n, f), v in report.logits.items()},
        },
        "peak_memory_mb": {f"{n} {f}": v for (n, f), v in report.memory.items()},
        "memory_over_weights_and_cache_mb": {
            form: round(report.memory[name, form] - facts["bytes"] / 2**20 - facts["cache_mb"], 1)
            for (name, form), facts in report.facts.items()
            if name == "npc" and (name, form) in report.memory
        },
        "busy_cores": {f"{n} {f}": v for (n, f), v in report.busy.items()},
    }


def _warm(report: Report) -> dict[str, dict[str, float]]:
    """Milliseconds to the first token with 512 tokens cached and 12 new ones; the bound is those twelve alone, one
    decode step and 2 ms."""
    found: dict[str, dict[str, float]] = {}
    for engine in (_OURS[0], _LLAMA[0]):
        warm, cold, step = (report.samples.median(what, engine, 2) for what in ("warm12", "cold12", "decode"))
        if warm and cold and step:
            bound = 1000 / cold + 1000 / step + 2
            found[" ".join(engine)] = {"ms": round(1000 / warm, 1), "bound_ms": round(bound, 1)}
    return found


def _ratios(reports: dict[str, Report], notes: dict[str, str]) -> dict[str, float | None]:
    ours4, ours8, ours4_head8, llama4, llama8 = *_OURS, *_LLAMA
    out: dict[str, float | None] = {}

    def lacking(report: Report | None) -> str | None:
        if report is None or llama4 not in report.facts:
            return "llama.cpp was not measured"
        level = str(report.facts[ours4]["cpu_features"])
        features = str(report.facts[llama4]["cpu_features"])
        return next(
            (f"the llama.cpp build lacks {f}" for k, f in _WANTED.items() if level == k and f not in features), None
        )

    for key, shape, mine, theirs in (
        ("decode_int4_vs_llamacpp_135m", "135m", ours4, llama4),
        ("decode_int4_vs_llamacpp", "0.5b", ours4, llama4),
        ("decode_int4_vs_llamacpp_1b", "1b", ours4, llama4),
        ("decode_int8_vs_llamacpp_q8", "0.5b", ours8, llama8),
        ("decode_int4_head8_vs_llamacpp_135m", "135m", ours4_head8, llama4),
        ("decode_int4_head8_vs_llamacpp", "0.5b", ours4_head8, llama4),
        ("decode_int4_head8_vs_llamacpp_1b", "1b", ours4_head8, llama4),
    ):
        report = reports.get(shape)
        reason = "shape not measured" if report is None else lacking(report)
        out[key] = None
        if report is not None and reason is None:
            out[key] = report.samples.ratio(("decode", mine, 2), ("decode", theirs, 2))
        if out[key] is None:
            notes[key] = reason or "not measured"
        elif report is not None:
            bytes_of = {e: report.facts[e]["bytes"] for e in (mine, theirs)}
            equal = out[key] or 0.0
            out[key + "_at_equal_bytes"] = round(equal * bytes_of[mine] / bytes_of[theirs], 3)
    report = reports.get("0.5b")
    for key in ("prefill_vs_best_peer", "batch8_vs_batch1", "verify4_vs_1"):
        out[key] = None
    if report is None:
        return out
    others = [e for e in report.facts if e[0] != "npc"]
    speeds = {e: v for e in others if (v := report.samples.median("prefill", e, 2)) is not None}
    if speeds:
        best = max(speeds, key=lambda e: speeds[e])
        notes["prefill_vs_best_peer"] = f"our INT4 against {best[0]} {best[1]}"
        out["prefill_vs_best_peer"] = report.samples.ratio(("prefill", ours4, 2), ("prefill", best, 2))
    out["batch8_vs_batch1"] = report.samples.ratio(("batch8", ours4, 2), ("batch1", ours4, 2))
    out["verify4_vs_1"] = report.samples.ratio(("verify1", ours4, 2), ("verify4", ours4, 2))
    return out


def measure(run: Run) -> dict[str, Any]:
    """Measure the shapes asked for."""
    if kernels.load() is None:
        raise SystemExit("npc bench inference: the CPU kernels are not built: python -m npc.inference.build says why")
    quick = bool(run.options["quick"])
    shapes = ["0.5b"] if quick else str(run.options["shapes"]).split(",")
    if unknown := [s for s in shapes if s not in SHAPES]:
        raise SystemExit(f"npc bench inference: no shape {unknown[0]!r}; there are {', '.join(SHAPES)}")
    notes: dict[str, str] = {}
    reports: dict[str, Report] = {}
    with tempfile.TemporaryDirectory(prefix="npc-bench-") as place:
        for shape in shapes:
            rounds = 3 if quick else int(run.options["rounds"])
            reports[shape] = _measure_shape(shape, run.seed, rounds, quick, Path(place), notes)
    any_report = next(iter(reports.values()))
    folder = model_folder()
    log.print("the embedded dialogue model")
    embedded = measure_embedded(folder, 2) if (folder / "model.safetensors").is_file() else None
    found = {
        name: {"version": facts["version"], "cpu_features": facts["cpu_features"]}
        for (name, _), facts in any_report.facts.items()
        if name != "npc"
    }
    result = {
        "machine": machine(),
        "bandwidth_gbs": {
            str(t): round(float(np.median([b for r in reports.values() for b in r.samples.bandwidth[t]])), 1)
            for t in (1, 2)
        },
        "shapes": {shape: _shape_result(report) for shape, report in reports.items()},
        "embedded_model": embedded,
        "peers": found,
        "ratios": _ratios(reports, notes),
        "notes": notes,
    }
    if run.out is not None:
        (run.out / "inference.json").write_text(json.dumps(result, indent=2))
        plot(result, run.out / "inference.svg")
    return result


def report(result: dict[str, Any]) -> str:
    """A few lines for a person."""
    lines = [
        f"read bandwidth {result['bandwidth_gbs']['2']} GB/s with 2 threads, {result['bandwidth_gbs']['1']} with 1"
    ]
    for shape, found in result["shapes"].items():
        lines.append(f"{shape}: {found['roofline_pct']} % of the roofline; logits {found['logits']['by_engine']}")
        lines.extend(f"  {what}: {found[what]}" for what in _SHOWN)
    lines.append(f"embedded model: {result['embedded_model']}")
    lines += [f"{name}: {value}" for name, value in result["ratios"].items()]
    return "\n".join([*lines, *(f"note: {k}: {v}" for k, v in result["notes"].items())])


BENCH = Bench(
    "inference",
    "decode, prefill, batches, waits and memory of the inference core beside llama.cpp and other peers",
    measure,
    report,
    (
        Option("--shapes", "which shapes, by comma (default 135m,0.5b,1b)", {"default": "135m,0.5b,1b"}),
        Option("--quick", "only 0.5b, in a few minutes", {"action": "store_true"}),
        Option("--rounds", "interleaved rounds (default 5)", {"type": int, "default": 5}),
    ),
)
