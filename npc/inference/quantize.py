"""Quantise a model and say what it cost: size, speed, perplexity and divergence from the original.

checkpoint ──> calibrate: mean square of every input column over a text (one forward pass in float)
           ──> prune (optional): of four neighbours keep the two of largest |w| * rms(x)  (Wanda: Sun et al. 2023)
           ──> pack: scales by a search that weighs each column by its mean square  (as AWQ: Lin et al. 2023)
                     or that, and each rounding error made up for by the columns after it  (GPTQ, see gptq.py)
           ──> measure: the packed model against bfloat16 on held-out text
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from npc.inference import kernels
from npc.inference.checkpoint import Checkpoint
from npc.inference.config import CheckpointError, ModelConfig, read_config
from npc.inference.kernels import PAGE, CacheFormat, Floats, Format
from npc.inference.packed import NAME, write_packed
from npc.inference.reference import ReferenceStep
from npc.inference.step import Batch, KernelStep, Step
from npc.inference.tokenizer import TextTokenizer
from npc.inference.weights import Importance, Weights, from_tensors

#: files of a model directory that a packed one needs beside its weights
_BESIDE = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
)
#: tokens a step while two models are compared
_ROWS = 128
Prune = Literal["none", "2:4"]
Method = Literal["none", "activations", "gptq"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make: formats, how to calibrate, pruning, and how many tokens of text to calibrate and measure on."""

    format: Format = Format.INT4
    head_format: Format | None = None
    entry_format: Format | None = None
    method: Method = "activations"
    prune: Prune = "none"
    calibration_tokens: int = 512
    evaluation_tokens: int = 1024
    threads: int = 2


def observe(config: ModelConfig, weights: Weights, tokens: Sequence[int]) -> dict[str, Floats]:
    """Each matrix's inputs (tokens x columns, half precision) over `tokens`; names as `from_tensors` takes them."""
    seen: dict[str, list[Floats]] = {}
    pages = -(-len(tokens) // PAGE)
    step = ReferenceStep(config, weights, pages=pages, positions=len(tokens), cache=CacheFormat.F32)
    step.observe = lambda name, x: seen.setdefault(name, []).append(x.astype(np.float16))
    for _ in _run(step, tokens, 512):
        pass
    return {name: np.concatenate(parts) for name, parts in seen.items() if not name.endswith(".up")}


def calibrate(config: ModelConfig, weights: Weights, tokens: Sequence[int]) -> Importance:
    """Mean square of each column of every matrix's input over `tokens`; names as `from_tensors` takes them."""
    return importance_of(observe(config, weights, tokens))


def importance_of(inputs: Mapping[str, Floats]) -> Importance:
    """Mean square of each column."""
    return {name: (x.astype(np.float64) ** 2).mean(0).astype(np.float32) for name, x in inputs.items()}


def prune_two_of_four(weights: Floats, importance: Floats | None) -> Floats:
    """Zero the two of each four neighbouring weights of a row that matter least."""
    rows, cols = weights.shape
    if cols % 4:
        raise ValueError(f"2:4 pruning needs rows of a multiple of 4, not {cols}")
    matter = np.abs(weights) if importance is None else np.abs(weights) * np.sqrt(importance)
    order = matter.reshape(rows, -1, 4).argsort(-1)
    kept = np.ones_like(order, bool)
    np.put_along_axis(kept, order[..., :2], False, -1)
    return np.where(kept.reshape(rows, cols), weights, np.float32(0))


def _run(step: Step, tokens: Sequence[int], rows: int, wanted: bool = False) -> Iterator[Floats]:
    """Run the tokens, `rows` a step; their logits (rows x vocab, valid until the next) where wanted."""
    pages = np.arange(-(-len(tokens) // PAGE), dtype=np.int32)[None]
    for at in range(0, len(tokens), rows):
        span = np.arange(at, min(at + rows, len(tokens)), dtype=np.int32)
        outputs = span - at if wanted else span[:0]
        batch = Batch(np.asarray(tokens, np.int32)[span], span, np.zeros(len(span), np.int32), pages, outputs)
        result = step.forward(batch)
        if result.logits is not None:
            yield result.logits


def _open(config: ModelConfig, weights: Weights, tokens: int, threads: int) -> Step:
    pages, positions = -(-tokens // PAGE) + 1, min(config.positions, tokens + PAGE)
    if kernels.load() is None:
        return ReferenceStep(config, weights, pages=pages, positions=positions, cache=CacheFormat.BF16)
    return KernelStep(config, weights, pages=pages, positions=positions, threads=threads, max_rows=_ROWS)


def _log_softmax(x: Floats) -> Floats:
    top = x - x.max(1, keepdims=True)
    return np.asarray(top - np.log(np.exp(top).sum(1, keepdims=True)), np.float32)


def compare(
    config: ModelConfig, original: Weights, packed: Weights, tokens: Sequence[int], threads: int
) -> dict[str, float]:
    """Perplexity of both on `tokens`, mean KL from original to packed (nats a token), cosine of logits, argmax
    agreement, and the decode speed of both measured here, one after the other."""
    steps = [_open(config, weights, len(tokens), threads) for weights in (original, packed)]
    surprise = np.zeros(2)
    kl = product = agreed = 0.0
    squares = np.zeros(2)
    # Piece by piece: all logits of 1,024 tokens and 150,000 words would take gigabytes.
    first, second = (_run(step, tokens, _ROWS, wanted=True) for step in steps)
    for at, a, b in zip(range(0, len(tokens), _ROWS), first, second, strict=True):
        targets = np.asarray(tokens[at + 1 : at + 1 + len(a)])
        p, q = _log_softmax(a), _log_softmax(b)
        surprise -= [float(x[np.arange(len(targets)), targets].sum(dtype=np.float64)) for x in (p, q)]
        kl += float((np.exp(p) * (p - q)).sum(dtype=np.float64))
        product += float((a * b).sum(dtype=np.float64))
        squares += [float((x * x).sum(dtype=np.float64)) for x in (a, b)]
        agreed += int((a.argmax(1) == b.argmax(1)).sum())
    found = {
        "kl": kl / len(tokens),
        "cosine": product / math.sqrt(float(squares.prod())),
        "argmax_agreement": agreed / len(tokens),
    }
    for name, step, nats in zip(("original", "packed"), steps, surprise, strict=True):
        found[f"perplexity_{name}"] = float(np.exp(nats / (len(tokens) - 1)))
        found[f"decode_tok_s_{name}"] = _decode_speed(step)
        step.close()
    return {name: round(value, 5) for name, value in found.items()}


def _decode_speed(step: Step, count: int = 16) -> float:
    zero, table = np.zeros(1, np.int32), np.zeros((1, 1), np.int32)
    times = []
    for at in range(count):
        start = time.perf_counter()
        step.forward(Batch(zero, np.array([at], np.int32), zero, table, zero))
        times.append(time.perf_counter() - start)
    return 1.0 / float(np.median(times))


def quantize(
    source: Path, target: Path, plan: Plan, text: str, say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Read `source`, write the packed directory `target`, return the report. Raises CheckpointError, ValueError."""
    if plan.evaluation_tokens < 2 or plan.calibration_tokens < 1 or plan.threads < 1:
        raise ValueError("at least 2 tokens to measure on, 1 to calibrate on and 1 thread are needed")
    config = read_config(source)
    tensors: Mapping[str, Floats] = Checkpoint(source)
    tokens = TextTokenizer(source, config.vocab, config.end_tokens).encode(text)
    wanted = min(config.positions, plan.evaluation_tokens)
    if len(tokens) < 64:
        raise CheckpointError(f"the text has only {len(tokens)} tokens; give at least 64 (better 1,000) with --text")
    used = plan.calibration_tokens if len(tokens) >= plan.calibration_tokens + wanted else len(tokens) // 3
    calibration, held_out = tokens[: min(used, config.positions)], tokens[used:][:wanted]
    where = str(source)
    say("reading the original as bfloat16")
    original = from_tensors(config, tensors, Format.BF16, where=where, threads=plan.threads)
    importance: Importance | None = None
    seen: dict[str, Floats] = {}
    if plan.method != "none":
        say(f"calibrating on {len(calibration)} tokens")
        seen = observe(config, original, calibration)
        importance = importance_of(seen)

    def adjust(name: str, value: Floats) -> Floats:
        if plan.prune == "none" or name in ("head", "embedding"):
            return value
        part = "gate" if name.endswith(".up") else name.split(".")[-1]
        known = importance.get(f"{name.split('.')[0]}.{part}") if importance else None
        return prune_two_of_four(value, known)

    say(f"packing to {plan.format.name}")
    start = time.perf_counter()
    packed = from_tensors(
        config,
        tensors,
        plan.format,
        head_format=plan.head_format,
        entry_format=plan.entry_format,
        importance=importance,
        threads=plan.threads,
        adjust=adjust,
        inputs=seen.get if plan.method == "gptq" else None,
        where=where,
    )
    took = time.perf_counter() - start
    say(f"comparing on {len(held_out)} held-out tokens")
    report: dict[str, Any] = {
        "format": plan.format.name,
        "head_format": (plan.head_format or plan.format).name,
        "calibration": plan.method,
        "prune": plan.prune,
        "bytes": packed.nbytes,
        "bits_per_weight": round(8 * packed.nbytes / _weights(packed), 3),
        "packing_s": round(took, 1),
        "evaluation_tokens": len(held_out),
        **compare(config, original, packed, held_out, plan.threads),
    }
    target.mkdir(parents=True, exist_ok=True)
    write_packed(target / NAME, config, packed, report)
    for name in _BESIDE:
        if (source / name).is_file() and source.resolve() != target.resolve():
            shutil.copyfile(source / name, target / name)
    return report


def _weights(weights: Weights) -> int:
    return sum(matrix.rows * matrix.cols for matrix in weights.matrices().values())
