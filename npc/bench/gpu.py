"""The Triton kernels on a GPU: share of the memory bandwidth that weight-only linear layers and attention reach.

Without a GPU there is nothing to measure: the result says so and the command ends well.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

from npc.bench.harness import Bench, Run, log, machine
from npc.config.paths import data_dir

#: outputs x inputs of gate-up, down and head at 0.5 B and 1 B
_SHAPES = ((9728, 896), (896, 4864), (151936, 896), (16384, 2048), (2048, 8192))
#: copies of a matrix are read in turn until they are so many times the GPU's cache: one alone (1-140 MB) would be read
#: from a cache of 50 MB and seem faster than the memory is
_CACHES = 4


def _seconds(torch: Any, work: Callable[[], object]) -> float:
    """Median time of one replay of a CUDA graph of `work`."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    times = []
    for _ in range(50):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / 1000)
    return float(sorted(times)[len(times) // 2])


def rotation(packed: Any, scale: Any, cache: int) -> list[tuple[Any, Any]]:
    """Copies of a packed matrix, together at least `_CACHES` times a cache of `cache` bytes, the first as given."""
    count = max(1, -(-_CACHES * cache // (packed.nbytes + scale.nbytes)))
    return [(packed, scale), *((packed.clone(), scale.clone()) for _ in range(count - 1))]


def measure(run: Run) -> dict[str, Any]:
    """GB/s of each kernel and shape, read from memory, beside a plain copy in the same minute."""
    try:
        torch: Any = importlib.import_module("torch")
        importlib.import_module("triton")
        present = torch.cuda.is_available()
    except ImportError:
        present = False
    if not present:
        log.print("no GPU (or no torch with CUDA and triton) here: nothing was measured")
        return {"machine": machine(), "skipped": "no GPU here", "kernels": {}}
    sys.path.insert(0, str(data_dir("kernels") / "gpu"))
    kernels: Any = importlib.import_module("weight_only")
    torch.manual_seed(run.seed)
    block = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    other = torch.empty_like(block)
    bandwidth = 2 * block.numel() / _seconds(torch, lambda: other.copy_(block)) / 1e9
    cache = torch.cuda.get_device_properties(0).L2_cache_size
    found: dict[str, dict[str, Any]] = {}
    for bits, name in ((4, "w4a16"), (8, "w8a16"), (2, "ternary")):
        for n, k in _SHAPES:
            packed, scale = (t.cuda() for t in kernels.pack(torch.randn(n, k), bits))
            copies = rotation(packed, scale, cache)
            for m in (1, 8):
                x = torch.randn(m, k, dtype=torch.float16, device="cuda")
                took = _seconds(torch, functools.partial(_in_turn, kernels.linear, x, copies, bits)) / len(copies)
                rate = (packed.nbytes + scale.nbytes) / took / 1e9
                found[f"{name} {n}x{k} m{m}"] = {
                    "us": round(took * 1e6, 1),
                    "gbs": round(rate, 1),
                    "roofline_pct": round(100 * rate / bandwidth, 1),
                }
    device = torch.cuda.get_device_name()
    loops = {f"w{bits}a16": _decode_loop(torch, bits, bandwidth) for bits in (4, 8)}
    return {
        "machine": {**machine(), "gpu": device},
        "copy_gbs": round(bandwidth, 1),
        "kernels": found,
        "decode_0.5b": loops,
    }


def _in_turn(linear: Callable[..., object], x: Any, copies: list[tuple[Any, Any]], bits: int) -> None:
    for packed, scale in copies:
        linear(x, packed, scale, bits)


def _decode_loop(torch: Any, bits: int, bandwidth: float) -> dict[str, float]:
    """Tokens a second of the captured decode loop at the 0.5 B shape, one sequence, against what reading allows."""
    loop: Any = importlib.import_module("decode")
    hidden, inter, kv, vocab = 896, 4864, 128, 151936
    shape = loop.Shape(hidden, inter, 24, 14, 2, 64, vocab)
    sizes = {"model.embed_tokens": (vocab, hidden), "model.norm": (hidden,)}
    for i in range(shape.layers):
        base = f"model.layers.{i}."
        for part, rows in (("q", hidden), ("k", kv), ("v", kv), ("o", hidden)):
            sizes[f"{base}self_attn.{part}_proj"] = (rows, hidden)
        sizes[base + "mlp.gate_proj"] = sizes[base + "mlp.up_proj"] = (inter, hidden)
        sizes[base + "mlp.down_proj"] = (hidden, inter)
        sizes[base + "input_layernorm"] = sizes[base + "post_attention_layernorm"] = (hidden,)
    weights = {f"{name}.weight": torch.randn(size) * 0.02 for name, size in sizes.items()}
    made = loop.Decoder(shape, weights, bits=bits, width=32)
    made.capture()
    prompt = torch.zeros((1, 512), dtype=torch.long)
    made.generate(prompt, 1)
    torch.cuda.synchronize()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(256):
        made.replay()
    end.record()
    torch.cuda.synchronize()
    seconds = begin.elapsed_time(end) / 1000 / 256
    rate = made.weight_bytes / seconds / 1e9
    return {"tok_s": round(1 / seconds, 1), "gbs": round(rate, 1), "roofline_pct": round(100 * rate / bandwidth, 1)}


def report(result: dict[str, Any]) -> str:
    """One line a kernel."""
    if "skipped" in result:
        return str(result["skipped"])
    lines = [f"copy {result['copy_gbs']} GB/s on {result['machine']['gpu']}"]
    lines += [f"{name:<28} {v['us']:>8} us  {v['roofline_pct']} %" for name, v in result["kernels"].items()]
    lines += [
        f"decode 0.5b {k:<16} {v['tok_s']:>8} tok/s {v['roofline_pct']} %" for k, v in result["decode_0.5b"].items()
    ]
    return "\n".join(lines)


BENCH = Bench("gpu", "Triton kernels: share of the GPU's memory bandwidth (skipped without a GPU)", measure, report)
