"""The inference core beside its peers: the same random weights of known shapes, interleaved in one call.

Every engine is a process of its own (`inference_worker.py`) that sleeps while others are measured. A round runs each
engine's burst after the other's, with the machine's read bandwidth before it; a figure is the median over rounds and a
ratio the median of the rounds' ratios, so that a neighbour's load hits both sides alike. One thread, of which no ratio
is taken, is measured in the first round alone: it took more than half of a round's time. Before each burst nobody works
for a moment, and its first prompt does not count: threads of the engine before it may still spin, and what slept for
seconds has to be woken, which is neither engine's speed. Logits are compared with
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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from npc.bench import peers
from npc.bench.harness import BadInput, Bench, Option, Run, log, machine
from npc.bench.inference_embedded import measure_embedded
from npc.bench.inference_plot import plot
from npc.bench.inference_result import CACHED, LLAMA, OURS, PREFILL, Engine, Report, Samples, ratios, shape_result
from npc.bench.inference_shapes import CACHE_TOKENS, CONTEXT, SHAPES, write_checkpoint
from npc.dialogue.realiser.model import model_folder
from npc.inference import kernels

_WORKER: Final = "npc.bench.inference_worker"
#: seconds of a shape after which no new round begins: --quick ends within eight minutes, three shapes within twenty
_QUICK_S, _FULL_S = 180.0, {"135m": 60.0, "0.5b": 190.0, "1b": 180.0}
#: the longest anything takes here is exporting 1 B weights to OpenVINO, some minutes
_DEADLINE_S: Final = 900.0
_TORCH: Final = ("transformers", "bf16")
#: seconds before an engine's burst: threads of OpenMP and TBB spin for up to 0.2 s after their last work
_SETTLE_S: Final = 0.25
#: prompts of a burst: so many seconds of them, but no more than so many
_PROMPTS_S, _PROMPTS = 0.5, 5
#: beside busy cores: two threads and one by turns, for so many seconds each, so many times at most, so long in all
_BUSY_S, _BUSY_PAIRS, _BUSY_MOST_S = 1.0, 7, 20.0
#: not in --quick: exporting and loading them takes minutes
_SLOW: Final = (("ctranslate2", "INT8"), ("openvino", "INT4"))
_SHOWN: Final = (
    "decode_tok_s",
    "prefill_tok_s",
    "bits_per_weight",
    "busy_cores",
    "ttft_ms",
    "listening",
    "focus_ttft_ms",
)


class WorkerFailed(RuntimeError):
    """A worker said why it could not do something."""


class Worker:
    """An engine's process: one JSON line there, one back."""

    def __init__(self, engine: Engine, checkpoint: Path, cache: Path) -> None:
        ours = engine[0] in ("npc", "transformers")
        python = sys.executable if ours else str(peers.python(engine[0]))
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the worker
        self._process = subprocess.Popen(
            [python, "-m", _WORKER, engine[0], str(checkpoint), str(cache), engine[1]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
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
            status = self._process.wait()
            self._said.seek(0)
            last = (self._said.read().strip().splitlines() or ["it said nothing"])[-1][:300]
            raise WorkerFailed(f"the process died or was too late during {do} (exit status {status}): {last}")
        reply: dict[str, Any] = json.loads(line)
        for problem in ("failed", "unsupported"):
            if problem in reply:
                raise WorkerFailed(reply[problem])
        return reply

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it died with a question unread
            self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()


def _prompts(worker: Worker, threads: int, tokens: int) -> list[float]:
    """Seconds of each prompt of a burst, without the first."""
    worker.ask("prefill", threads=threads, tokens=tokens)
    seconds: list[float] = []
    while not seconds or (len(seconds) < _PROMPTS and sum(seconds) < _PROMPTS_S):
        seconds.append(worker.ask("prefill", threads=threads, tokens=tokens)["seconds"])
    return seconds


def _measure_round(workers: dict[Engine, Worker], report: Report, threads: int, quick: bool) -> None:
    samples = report.samples
    samples.bandwidth[threads].append(kernels.read_bandwidth(threads, 384, 2))
    for engine in (e for e in OURS if threads == 2 and e in workers):
        if (size := report.facts[engine]["bytes"]) <= CACHED:
            samples.cached[engine].append(kernels.read_bandwidth(threads, size >> 20, 8))
    heavy = 2 if quick else 3

    def note(what: str, engine: Engine, do: str, scale: float, **fields: Any) -> None:
        value: float | None = None
        time.sleep(_SETTLE_S)
        try:
            if do == "prefill":
                seconds = _prompts(workers[engine], threads, fields["tokens"])
            else:
                seconds = workers[engine].ask(do, threads=threads, **fields)["seconds"]
            value = scale / float(np.median(seconds))
        except WorkerFailed as error:
            log.print(f"    {engine[0]} {engine[1]} {what}: {error}")
        samples.values[what, engine, threads].append(value)

    for engine in workers:
        note("prefill", engine, "prefill", PREFILL, tokens=PREFILL)
    for engine in workers:
        note(
            "decode",
            engine,
            "decode",
            1.0,
            context=CONTEXT,
            count=12 * heavy if engine[0] in ("npc", "llama.cpp") else 6 * heavy,
        )
    if threads == 1:
        return
    for engine in workers:
        if engine not in (OURS[0], LLAMA[0]):
            continue
        for size in (1, 2, 4, 8):
            note(f"batch{size}", engine, "batch", size, size=size, count=5 * heavy)
        for size in (1, 4):
            note(f"verify{size}", engine, "verify", 1.0, size=size, count=5 * heavy)
        note("warm12", engine, "warm", 1.0, tokens=12)
        note("cold12", engine, "prefill", 1.0, tokens=12)


def _beside_busy_cores(worker: Worker) -> dict[str, float]:
    """Decode speed with one busy process on each core: share of the quiet speed, and beside one thread (medians of
    bursts by turns: where the scheduler puts three or four threads on two cores differs from second to second)."""

    def run(threads: int, count: int) -> float:
        seconds: list[float] = worker.ask("decode", threads=threads, context=16, count=count)["seconds"]
        return len(seconds) / sum(seconds)

    def burst(threads: int, speed: float) -> float:
        # long enough for many turns of the scheduler, short enough for the context and for who is very slow
        return run(threads, max(24, min(1000, int(_BUSY_S * speed))))

    quiet = burst(2, run(2, 24))
    two: list[float] = []
    one: list[float] = []
    with _busy(os.cpu_count() or 1):
        begin, expected = time.monotonic(), {2: run(2, 24), 1: run(1, 24)}
        while not two or (len(two) < _BUSY_PAIRS and time.monotonic() - begin < _BUSY_MOST_S):
            two.append(burst(2, expected[2]))
            one.append(burst(1, expected[1]))
    busy_two, busy_one = float(np.median(two)), float(np.median(one))
    return {
        "quiet_2_threads_tok_s": round(quiet, 1),
        "busy_2_threads_tok_s": round(busy_two, 1),
        "busy_1_thread_tok_s": round(busy_one, 1),
        "pairs": len(two),
        "share_of_quiet": round(busy_two / quiet, 3),
        "two_threads_over_one": round(float(np.median(np.divide(two, one))), 3),
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
    """Peak memory in MB of a process with one engine, its cache filled, after checks of eight tokens and eight
    sequences at once. The process that is timed holds two engines, for one and for two threads, each with its own
    buffers and cache."""
    worker = Worker(engine, checkpoint, place)
    try:
        worker.ask("load")
        worker.ask("decode", threads=2, context=CACHE_TOKENS - 8, count=8)
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


def _measure_shape(shape: str, seed: int, rounds: int, quick: bool, place: Path, notes: dict[str, str]) -> Report:
    place = place / shape  # everything of a shape lies here and goes with it: a 1 B model fills five gigabytes
    checkpoint = place / "checkpoint"
    log.print(f"{shape}: writing random weights")
    write_checkpoint(checkpoint, shape, seed)
    reference = Worker(("transformers", "F32"), checkpoint, place)
    try:
        reference.ask("load")
        reference.ask("logits", path=str(place / "reference.npy"))
    except WorkerFailed as error:
        raise BadInput(f"no logits to compare with, which torch and transformers give: {error}") from None
    finally:
        reference.close()
    wanted: list[Engine] = [*OURS, _TORCH]
    for engine in (*LLAMA, *_SLOW):
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
            for threads in (2,) if number else (2, 1):
                log.print(f"{shape}: round {number + 1} of {rounds}, {threads} threads")
                _measure_round(workers, report, threads, quick)

        @contextmanager
        def noted(engine: Engine, what: str) -> Iterator[None]:
            log.print(f"{shape}: {engine[0]} {engine[1]} {what}")
            try:
                yield
            except WorkerFailed as error:
                notes[f"{shape} {engine[0]} {engine[1]} {what}"] = str(error)

        for engine in (OURS[0], LLAMA[0]):
            if engine in workers:
                with noted(engine, "beside busy cores"):
                    report.busy[engine] = _beside_busy_cores(workers[engine])
        for what in ("listening", "focus") if OURS[0] in workers else ():
            with noted(OURS[0], what):
                report.turns[what] = workers[OURS[0]].ask(what, threads=2)
        for engine, worker in workers.items():
            with noted(engine, "memory"):
                peak = _memory_at_work(engine, checkpoint, place) if engine in OURS else worker.ask("memory")["peak_mb"]
                report.memory[engine] = round(peak, 1)
    shutil.rmtree(place)
    return report


def _sizes(checkpoint: Path) -> Iterator[int]:
    with (checkpoint / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    for name, entry in header.items():
        if name != "__metadata__":
            yield int(np.prod(entry["shape"]))


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
            rounds = int(run.options["rounds"])
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
        "shapes": {shape: shape_result(report) for shape, report in reports.items()},
        "embedded_model": embedded,
        "peers": found,
        "ratios": ratios(reports, notes),
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
        if any(cached := found["cached_bandwidth_gbs"].values()):
            lines.append(
                f"  so few weights stay in the shared cache in part: read again and again, {list(cached)} GB/s is "
                f"their roofline; of the memory's {found['memory_bandwidth_pct']} %"
            )
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
