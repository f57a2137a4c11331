"""One engine of `npc bench inference` in a process of its own: reads JSON requests on stdin, answers on stdout.

    python -m npc.bench.inference_worker ENGINE CHECKPOINT CACHE_DIR FORMAT
                                                        ENGINE: npc, llama.cpp, transformers, ctranslate2, openvino

    {"do": "load"}                                      -> {"version", "cpu_features", "bytes"}
    {"do": "prefill", "threads", "tokens"}              -> {"seconds"}   a prompt, first token included
    {"do": "decode", "threads", "context", "count"}     -> {"seconds": [per token]}
    {"do": "batch", "threads", "size", "count"}         -> {"seconds": [per step of `size` sequences]}
    {"do": "verify", "threads", "size", "count"}        -> {"seconds": [per check of `size` tokens of one sequence]}
    {"do": "warm", "threads", "tokens"}                 -> {"seconds"}   that many new tokens on a cached context of 512
    {"do": "listening", "threads"}, {"do": "focus", "threads"}   -> figures of npc.bench.inference_turns
    {"do": "logits", "path"}                            -> {}            64 tokens' logits as a .npy
    {"do": "memory"}                                    -> {"peak_mb"}

Imports nothing of npc but what needs numpy alone before it knows its engine (peers have interpreters of their own, with
the repository on their path): an answer {"unsupported": why} is a fact, not a failure.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from npc.bench.inference_shapes import CACHE_TOKENS, CONTEXT, LOGIT_TOKENS, loaded_by_a_child, prompt


class Unsupported(Exception):
    """The engine cannot do what was asked."""


class Npc:
    """Our own core."""

    def __init__(self, checkpoint: Path, cache: Path, form: str) -> None:
        self._folder, self._cache, self._format = checkpoint, cache, form
        self._steps: dict[int, Any] = {}
        self._pages = CACHE_TOKENS // 32

    def load(self) -> dict[str, Any]:
        from npc import __version__
        from npc.inference.checkpoint import Checkpoint
        from npc.inference.config import read_config
        from npc.inference.kernels import Format, best_level
        from npc.inference.packed import read_packed, write_packed
        from npc.inference.weights import from_tensors

        path = self._cache / f"npc-{self._format}.npcq"
        if not path.exists() and not loaded_by_a_child():
            config = read_config(self._folder)
            body, _, head = self._format.partition("+head")  # INT4+head8: embedding and head as INT8
            made = from_tensors(
                config,
                Checkpoint(self._folder),
                Format[body],
                head_format=Format[f"INT{head}"] if head else None,
                threads=2,
            )
            write_packed(path, config, made, {})
        self._config, self._weights, _ = read_packed(path)
        level = best_level()
        return {
            "version": __version__,
            "cpu_features": None if level is None else level.name,
            "bytes": self._weights.nbytes,
            "cache_mb": self._step(2).page_bytes * self._pages / 2**20,
        }

    def _step(self, threads: int) -> Any:
        from npc.inference.step import KernelStep

        if threads not in self._steps:
            self._steps[threads] = KernelStep(
                self._config, self._weights, pages=self._pages, positions=CACHE_TOKENS, threads=threads
            )
        return self._steps[threads]

    def _run(self, threads: int, tokens: list[int], first: int, outputs: int) -> float:
        from npc.inference.step import Batch

        step, n = self._step(threads), len(tokens)
        batch = Batch(
            np.asarray(tokens, np.int32),
            np.arange(first, first + n, dtype=np.int32),
            np.zeros(n, np.int32),
            np.arange(self._pages, dtype=np.int32)[None],
            np.arange(n - outputs, n, dtype=np.int32),
        )
        start = time.perf_counter()
        self.result = step.forward(batch)
        return time.perf_counter() - start

    def prefill(self, threads: int, tokens: int) -> float:
        given, spent = prompt(tokens, self._config.vocab), 0.0
        rows = self._step(threads).max_rows  # as the engine cuts a prompt when nobody else is there
        for at in range(0, tokens, rows):
            spent += self._run(threads, given[at : at + rows], at, 1 if at + rows >= tokens else 0)
        return spent

    def decode(self, threads: int, context: int, count: int) -> list[float]:
        self.prefill(threads, context)
        return [self._run(threads, [5], context + i, 1) for i in range(count)]

    def batch(self, threads: int, size: int, count: int) -> list[float]:
        from npc.inference.step import Batch

        step, times = self._step(threads), []
        tables = np.arange(self._pages, dtype=np.int32)[: 8 * size].reshape(size, -1)
        each = np.arange(size, dtype=np.int32)
        for at in range(64 + count):
            batch = Batch(np.full(size, 5, np.int32), np.full(size, at, np.int32), each, tables, each)
            start = time.perf_counter()
            step.forward(batch)
            times.append(time.perf_counter() - start)
        return times[64:]

    def verify(self, threads: int, size: int, count: int) -> list[float]:
        self.prefill(threads, CONTEXT)
        return [self._run(threads, [5] * size, CONTEXT, size) for _ in range(count)]

    def warm(self, threads: int, tokens: int) -> float:
        self.prefill(threads, CONTEXT)
        return self._run(threads, [5] * tokens, CONTEXT, 1)

    def listening(self, threads: int) -> dict[str, float]:
        from npc.bench.inference_turns import measure_listening

        return measure_listening(self._step(threads))

    def focus(self, threads: int) -> dict[str, float]:
        from npc.bench.inference_turns import measure_focus

        return measure_focus(self._step(threads))

    def logits(self) -> Any:
        self._run(2, prompt(LOGIT_TOKENS, self._config.vocab), 0, LOGIT_TOKENS)
        self._steps.pop(2).close()  # with its buffer of 64 rows of logits
        return self.result.logits


class Transformers:
    """The reference: bfloat16, eager."""

    def __init__(self, checkpoint: Path, cache: Path, form: str) -> None:
        self._folder, self._format = checkpoint, form

    def load(self) -> dict[str, Any]:
        import torch
        import transformers

        self._torch = torch
        kind = torch.float32 if self._format == "F32" else torch.bfloat16
        self._model: Any = transformers.AutoModelForCausalLM.from_pretrained(self._folder, dtype=kind)
        self._model.train(False)
        size = sum(p.numel() * p.element_size() for p in self._model.parameters())
        features = torch.backends.cpu.get_cpu_capability()
        return {
            "version": f"{transformers.__version__}, torch {torch.__version__}",
            "cpu_features": features,
            "bytes": size,
        }

    def _forward(self, tokens: list[int], cache: Any) -> Any:
        with self._torch.inference_mode():
            ids = self._torch.tensor([tokens])
            return self._model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)

    def prefill(self, threads: int, tokens: int) -> float:
        self._torch.set_num_threads(threads)
        given = prompt(tokens, self._model.config.vocab_size)
        start = time.perf_counter()
        self._last = self._forward(given, None)
        return time.perf_counter() - start

    def decode(self, threads: int, context: int, count: int) -> list[float]:
        self.prefill(threads, context)
        cache, times = self._last.past_key_values, []
        for _ in range(count):
            start = time.perf_counter()
            self._forward([5], cache)
            times.append(time.perf_counter() - start)
        return times

    def logits(self) -> Any:
        with self._torch.inference_mode():
            ids = self._torch.tensor([prompt(LOGIT_TOKENS, self._model.config.vocab_size)])
            return self._model(ids).logits[0].float().numpy()


def engine_of(name: str) -> Any:
    """The class of an engine; peers are imported where they are asked for, each by its own interpreter."""
    if name == "llama.cpp":
        from npc.bench.inference_llama import LlamaCpp

        return LlamaCpp
    if name in ("ctranslate2", "openvino"):
        from npc.bench import inference_others as others

        return others.CTranslate2 if name == "ctranslate2" else others.OpenVino
    return {"npc": Npc, "transformers": Transformers}[name]


def _peak_mb() -> float:
    """Peak resident memory of this process since its logits were taken; getrusage would give the parent's, which a
    child inherits at its start."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def answer(engine: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Do one request."""
    do = request.pop("do")
    if do == "memory":
        return {"peak_mb": _peak_mb()}
    if not hasattr(engine, do):
        raise Unsupported(f"{do} is not measured for this engine")
    if do == "load":
        return dict(engine.load())
    if do == "logits":
        np.save(request["path"], engine.logits())
        engine.result = None
        Path("/proc/self/clear_refs").write_text(
            "5"
        )  # the comparison's memory is not the engine's: the peak starts anew
        return {}
    found = getattr(engine, do)(**request)
    return found if isinstance(found, dict) else {"seconds": found}


def main() -> None:
    """Serve until stdin ends."""
    name, checkpoint, cache, form = sys.argv[1:5]
    engine = engine_of(name)(Path(checkpoint), Path(cache), form)
    replies, sys.stdout = sys.stdout, sys.stderr  # libraries print; answers have the pipe to themselves
    for line in sys.stdin:
        try:
            reply = answer(engine, json.loads(line))
        except Unsupported as reason:
            reply = {"unsupported": str(reason)}
        except Exception as error:
            reply = {"failed": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
