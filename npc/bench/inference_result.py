"""What the rounds of `npc bench inference` come to: medians, ratios round by round, shares of the roofline."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

Engine = tuple[str, str]
#: tokens of the prompt whose time is taken
PREFILL: Final = 512
#: weights up to so many bytes stay in the shared cache in part, from token to token: their roofline is not the memory's
CACHED: Final = 160 << 20
#: INT4+head8 keeps embedding and head at 8 bits, as llama.cpp's Q4_0 files of these shapes do
OURS: Final = (("npc", "INT4"), ("npc", "INT8"), ("npc", "INT4+head8"))
LLAMA: Final = (("llama.cpp", "Q4_0"), ("llama.cpp", "Q8_0"))
#: features a llama.cpp build must have where this CPU has them, else its ratios are null
_WANTED: Final = {"AMX": "AMX_INT8", "AVX512": "AVX512_VNNI"}


@dataclass
class Samples:
    """Measured values by (what, engine, threads), one entry a round."""

    values: dict[tuple[str, Engine, int], list[float | None]] = field(default_factory=lambda: defaultdict(list))
    bandwidth: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """GB/s of reading far more than any cache holds, by threads."""
    cached: dict[Engine, list[float]] = field(default_factory=lambda: defaultdict(list))
    """GB/s of two threads reading as many bytes as an engine's weights again and again, where they are few (CACHED)."""

    def median(self, what: str, engine: Engine, threads: int) -> float | None:
        """Median over rounds; None where nothing was measured."""
        found = [v for v in self.values.get((what, engine, threads), ()) if v is not None]
        return float(np.median(found)) if found else None

    def ratio(self, a: tuple[str, Engine, int], b: tuple[str, Engine, int]) -> float | None:
        """Median over rounds of a / b, round by round."""
        pairs = zip(self.values.get(a, ()), self.values.get(b, ()), strict=False)
        found = [x / y for x, y in pairs if x is not None and y]
        return round(float(np.median(found)), 3) if found else None


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


def _by_engine(report: Report, what: str, threads: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for name, form in report.facts:
        value = report.samples.median(what, (name, form), threads)
        if value is not None:
            found[name][form] = round(value, 1)
    return dict(found)


def shape_result(report: Report) -> dict[str, Any]:
    samples = report.samples
    roofline = float(np.median(samples.bandwidth[2])) * 1e9
    bits, percent, of_memory = defaultdict[str, dict[str, float]](dict), dict[str, float](), dict[str, float]()
    small: dict[str, float | None] = {}
    for (name, form), facts in report.facts.items():
        bits[name][form] = round(8 * facts["bytes"] / report.weights, 3)
    for engine in OURS:
        speed = samples.median("decode", engine, 2)
        if speed is not None:
            reads = speed * report.facts[engine]["bytes"]
            found = samples.cached.get(engine)
            small[engine[1]] = round(float(np.median(found)), 1) if found else None
            percent[engine[1]] = round(100 * reads / max(roofline, 1e9 * (small[engine[1]] or 0.0)), 1)
            of_memory[engine[1]] = round(100 * reads / roofline, 1)
    return {
        "decode_tok_s": _by_engine(report, "decode", 2),
        "decode_tok_s_1_thread": _by_engine(report, "decode", 1),
        "prefill_tok_s": _by_engine(report, "prefill", 2),
        "prefill_tok_s_1_thread": _by_engine(report, "prefill", 1),
        "batch_tok_s": {str(size): _by_engine(report, f"batch{size}", 2) for size in (1, 2, 4, 8)},
        "ttft_ms": {
            "cold_512": {
                n: {f: round(1000 * PREFILL / v, 1) for f, v in forms.items()}
                for n, forms in _by_engine(report, "prefill", 2).items()
            },
            "warm_12_new": _warm(report),
        },
        "listening": report.turns.get("listening"),
        "focus_ttft_ms": report.turns.get("focus"),
        "bits_per_weight": dict(bits),
        "roofline_pct": percent,
        "memory_bandwidth_pct": of_memory,
        "cached_bandwidth_gbs": small,
        "bandwidth_gbs": {str(t): round(float(np.median(b)), 1) for t, b in samples.bandwidth.items()},
        "logits": {
            **report.logits.get(OURS[0], {"cosine": None, "kl": None}),
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
    for engine in (OURS[0], LLAMA[0]):
        warm, cold, step = (report.samples.median(what, engine, 2) for what in ("warm12", "cold12", "decode"))
        if warm and cold and step:
            bound = 1000 / cold + 1000 / step + 2
            found[" ".join(engine)] = {"ms": round(1000 / warm, 1), "bound_ms": round(bound, 1)}
    return found


def ratios(reports: dict[str, Report], notes: dict[str, str]) -> dict[str, float | None]:
    ours4, ours8, ours4_head8, llama4, llama8 = *OURS, *LLAMA
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
