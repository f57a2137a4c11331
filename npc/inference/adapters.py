"""LoRA adapters: low-rank additions to a model's matrices, one file a character, chosen per sequence within a batch.

Files are as PEFT saves them (`adapter_config.json`, `adapter_model.safetensors`); y += (alpha / r) * B (A x).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from npc.inference.checkpoint import Checkpoint
from npc.inference.config import CheckpointError, ModelConfig
from npc.inference.kernels import ADAPTED, GROUP, MAX_RANK, TILE, CAdapter, CLowRank, Floats, pad
from npc.inference.weights import head_pad, pad_head_rows


@dataclass(frozen=True, slots=True)
class LowRank:
    """`a` rank x cols (padded to 32), `b` rank x rows (padded to 16), the scale in `b`."""

    a: Floats
    b: Floats


@dataclass(frozen=True)
class Adapter:
    """An adapter ready for the step: parts by (layer, matrix name). All parts have one rank, padded with zeros."""

    name: str
    rank: int
    parts: Mapping[tuple[int, str], LowRank]
    struct: CAdapter = field(repr=False, compare=False)


def _assemble(name: str, layers: int, parts: dict[tuple[int, str], tuple[Floats, Floats]]) -> Adapter:
    rank = max(len(a) for a, _ in parts.values())
    if rank > MAX_RANK:
        raise CheckpointError(f"adapter {name}: rank {rank} (query, key and value stacked) is above {MAX_RANK}")
    held: dict[tuple[int, str], LowRank] = {}
    array = (CLowRank * (layers * len(ADAPTED)))()
    for (layer, part), (a, b) in parts.items():
        wide_a = np.zeros((rank, pad(a.shape[1], GROUP)), np.float32)
        wide_b = np.zeros((rank, pad(b.shape[0], TILE)), np.float32)
        wide_a[: len(a), : a.shape[1]] = a
        wide_b[: b.shape[1], : b.shape[0]] = b.T
        held[layer, part] = LowRank(wide_a, wide_b)
        array[layer * len(ADAPTED) + ADAPTED.index(part)] = CLowRank(wide_a.ctypes.data, wide_b.ctypes.data)
    return Adapter(name, rank, held, CAdapter(rank, array))


def _scale(path: Path) -> float:
    """alpha / r of an adapter_config.json. Raises CheckpointError for kinds of adapters that are not read."""
    try:
        given = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable: {error}") from None
    if not isinstance(given, dict):
        raise CheckpointError(f"{path}: must hold a JSON object")
    if given.get("peft_type", "LORA") != "LORA" or given.get("use_dora"):
        raise CheckpointError(f"{path}: only plain LoRA adapters are supported")
    for key in ("alpha_pattern", "rank_pattern", "fan_in_fan_out"):
        if given.get(key):
            raise CheckpointError(f"{path}: {key} is not supported: one rank and one alpha for all matrices")
    rank, alpha = given.get("r"), given.get("lora_alpha", given.get("r"))
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise CheckpointError(f"{path}: r must be a positive integer and lora_alpha a number, not {rank!r}, {alpha!r}")
    return float(alpha) / (math.sqrt(rank) if given.get("use_rslora") else rank)


def load_adapter(folder: Path, config: ModelConfig, name: str | None = None) -> Adapter:
    """Read a PEFT LoRA folder for a model of this config; `name` (default: the folder's) must be its own among the
    adapters of one engine, for cached prefixes are kept by it. Raises CheckpointError naming file and tensor."""
    scale = _scale(folder / "adapter_config.json")
    tensors = Checkpoint(folder)
    width, kv = config.heads * config.head_dim, config.kv_heads * config.head_dim
    sizes = {
        "self_attn.q_proj": (width, config.hidden),
        "self_attn.k_proj": (kv, config.hidden),
        "self_attn.v_proj": (kv, config.hidden),
        "self_attn.o_proj": (config.hidden, width),
        "mlp.gate_proj": (config.inter, config.hidden),
        "mlp.up_proj": (config.inter, config.hidden),
        "mlp.down_proj": (config.hidden, config.inter),
    }
    used: set[str] = set()

    def pair(layer: int, module: str) -> tuple[Floats, Floats] | None:
        base = f"base_model.model.model.layers.{layer}.{module}"
        names = (f"{base}.lora_A.weight", f"{base}.lora_B.weight")
        if names[0] not in tensors:
            return None
        if names[1] not in tensors:
            raise CheckpointError(f"{folder}: tensor {names[1]} is missing")
        a, b = tensors[names[0]], tensors[names[1]]
        rows, cols = sizes[module]
        if a.shape[1:] != (cols,) or b.shape != (rows, len(a)):
            raise CheckpointError(f"{folder}: {base} has shapes {a.shape} and {b.shape}; the model has {rows} x {cols}")
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise CheckpointError(f"{folder}: {base} holds NaN or infinity")
        used.update(names)
        return a, b * np.float32(scale)

    parts: dict[tuple[int, str], tuple[Floats, Floats]] = {}
    for layer in range(config.layers):
        stacked = [(pair(layer, f"self_attn.{p}_proj"), n) for p, n in (("q", width), ("k", kv), ("v", kv))]
        ranks = [0 if found is None else len(found[0]) for found, _ in stacked]
        if any(ranks):
            rows = [len(pad_head_rows(np.zeros(n, np.float32), config)) for _, n in stacked]
            a = np.concatenate([found[0] for found, _ in stacked if found is not None])
            b = np.zeros((sum(rows), sum(ranks)), np.float32)
            row = rank_at = 0
            for (found, _), height, r in zip(stacked, rows, ranks, strict=True):
                if found is not None:
                    b[row : row + height, rank_at : rank_at + r] = pad_head_rows(found[1], config)
                row, rank_at = row + height, rank_at + r
            parts[layer, "qkv"] = (a, b)
        if (o := pair(layer, "self_attn.o_proj")) is not None:
            spread = pad_head_rows(np.ascontiguousarray(o[0].T), config)
            assert spread.shape[0] == config.heads * head_pad(config)
            parts[layer, "o"] = (np.ascontiguousarray(spread.T), o[1])
        for part in ("gate", "up", "down"):
            if (found := pair(layer, f"mlp.{part}_proj")) is not None:
                parts[layer, part] = found
    if left := sorted(set(tensors) - used):
        raise CheckpointError(f"{folder}: tensor {left[0]} does not belong to a matrix this core adapts")
    if not parts:
        raise CheckpointError(f"{folder}: the adapter is empty")
    return _assemble(name or folder.name, config.layers, parts)
