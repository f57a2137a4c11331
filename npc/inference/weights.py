"""A model's weights, packed for the kernels: from a checkpoint, or from a packed file.

Head rows and columns are padded to multiples of 16 here, once, so that a kernel unit is always whole tiles of one head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from npc.inference.config import CheckpointError, ModelConfig
from npc.inference.formats import WeightError, pack
from npc.inference.gptq import pack_compensated
from npc.inference.kernels import TILE, Floats, Format, Matrix, pad

#: names of the inputs whose mean squares weigh the quantisation error: `layer.part`, or `head`
Importance = Mapping[str, Floats]
#: an input's values over a calibration text (tokens x columns) by such a name, None where it was not kept
Inputs = Callable[[str], Floats | None]
INTEGER: Final = (Format.INT8, Format.INT4, Format.TERNARY)
#: Attention of the first layers of an INT4 model stays at INT8: whatever it gets wrong passes through every layer after
#: it. At 135 M the first eighth is 2 % of the bytes and 40 % of the divergence (docs/log.md).
ENTRY_SHARE: Final = 8
_INPUT: Final = {"qkv": "qkv", "o": "o", "gate": "gate", "up": "gate", "down": "down"}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: norms as float32, matrices packed."""

    attention_norm: Floats
    mlp_norm: Floats
    q_norm: Floats | None
    k_norm: Floats | None
    qkv: Matrix
    o: Matrix
    gate: Matrix
    up: Matrix
    down: Matrix


@dataclass(frozen=True, slots=True)
class Weights:
    """All of a model. `head is embedding` when tied."""

    embedding: Matrix
    head: Matrix
    final_norm: Floats
    layers: tuple[Layer, ...]

    def matrices(self) -> dict[str, Matrix]:
        """Every matrix by name, the tied head once."""
        found = {"embedding": self.embedding}
        if self.head is not self.embedding:
            found["head"] = self.head
        for i, layer in enumerate(self.layers):
            for field in fields(layer):
                value = getattr(layer, field.name)
                if isinstance(value, Matrix):
                    found[f"{i}.{field.name}"] = value
        return found

    @property
    def nbytes(self) -> int:
        """Bytes of all packed matrices."""
        return sum(matrix.packed.nbytes for matrix in self.matrices().values())


def head_pad(config: ModelConfig) -> int:
    """Rows a head takes in packed matrices."""
    return pad(config.head_dim, TILE)


def pad_head_rows(w: Floats, config: ModelConfig) -> Floats:
    """(heads * head_dim) x n to (heads * head_pad) x n with zero rows between; also for vectors."""
    d, wide = config.head_dim, head_pad(config)
    if d == wide:
        return w
    out = np.zeros((len(w) // d, wide, *w.shape[1:]), np.float32)
    out[:, :d] = w.reshape(-1, d, *w.shape[1:])
    return out.reshape(-1, *w.shape[1:])


def from_tensors(
    config: ModelConfig,
    tensors: Mapping[str, Floats],
    format: Format,
    *,
    head_format: Format | None = None,
    entry_format: Format | None = None,
    importance: Importance | None = None,
    threads: int = 2,
    adjust: Callable[[str, Floats], Floats] | None = None,
    inputs: Inputs | None = None,
    where: str = "checkpoint",
) -> Weights:
    """Pack a checkpoint's tensors (Hugging Face names). `entry_format` is for attention of the first eighth of the
    layers (default: INT8 in an INT4 model, else `format`). `adjust` may replace a matrix before it is packed (pruning).
    With `inputs` integer formats make up for their rounding on them (GPTQ). Raises CheckpointError naming
    the tensor."""
    prefix = "model." if "model.embed_tokens.weight" in tensors else ""
    weigh = importance or {}
    entry = entry_format or (Format.INT8 if format is Format.INT4 else format)

    def get(name: str, *shape: int) -> Floats:
        if name not in tensors:
            raise CheckpointError(f"{where}: tensor {name} is missing")
        value = tensors[name]
        if value.shape != shape:
            raise CheckpointError(f"{where}: tensor {name} has shape {value.shape}, the config says {shape}")
        return value

    def vector(name: str, n: int) -> Floats:
        value = np.ascontiguousarray(get(name, n))
        if not np.isfinite(value).all():
            raise CheckpointError(f"{where}: tensor {name} holds NaN or infinity")
        return value

    def matrix(name: str, value: Floats, kind: Format, bias: Floats | None = None) -> Matrix:
        part = name.split(".")[-1]
        key = name.replace(part, _INPUT.get(part, part))
        if adjust is not None:
            value = adjust(name, value)
        try:
            seen = inputs(key) if inputs is not None and kind in INTEGER else None
            if seen is not None:
                return pack_compensated(kind, value, seen, bias, threads, name)
            return pack(kind, value, bias, weigh.get(key), threads, name)
        except WeightError as error:
            raise CheckpointError(f"{where}: {error}") from None

    def layer(i: int) -> Layer:
        base = f"{prefix}layers.{i}."
        attention = entry if i < config.layers // ENTRY_SHARE else format
        width, kv = config.heads * config.head_dim, config.kv_heads * config.head_dim
        parts = [("q", width), ("k", kv), ("v", kv)]
        qkv = np.concatenate(
            [pad_head_rows(get(f"{base}self_attn.{p}_proj.weight", n, config.hidden), config) for p, n in parts]
        )
        bias = None
        if f"{base}self_attn.q_proj.bias" in tensors:
            bias = np.concatenate(
                [pad_head_rows(vector(f"{base}self_attn.{p}_proj.bias", n), config) for p, n in parts]
            )
        o = pad_head_rows(np.ascontiguousarray(get(f"{base}self_attn.o_proj.weight", config.hidden, width).T), config)

        def extra(name: str, n: int) -> Floats | None:
            return vector(f"{base}{name}.bias", n) if f"{base}{name}.bias" in tensors else None

        def mlp(part: str, rows: int, cols: int) -> Matrix:
            value = get(f"{base}mlp.{part}_proj.weight", rows, cols)
            return matrix(f"{i}.{part}", value, format, extra(f"mlp.{part}_proj", rows))

        norms = ("self_attn.q_norm.weight", "self_attn.k_norm.weight")
        q_norm, k_norm = (vector(base + n, config.head_dim) if config.qk_norm else None for n in norms)
        return Layer(
            vector(base + "input_layernorm.weight", config.hidden),
            vector(base + "post_attention_layernorm.weight", config.hidden),
            q_norm,
            k_norm,
            matrix(f"{i}.qkv", qkv, attention, bias),
            matrix(f"{i}.o", np.ascontiguousarray(o.T), attention, extra("self_attn.o_proj", config.hidden)),
            mlp("gate", config.inter, config.hidden),
            mlp("up", config.inter, config.hidden),
            mlp("down", config.hidden, config.inter),
        )

    table = get(f"{prefix}embed_tokens.weight", config.vocab, config.hidden)
    embedding = matrix("head" if config.tied else "embedding", table, head_format or format)
    head = embedding
    if not config.tied:
        head = matrix("head", get("lm_head.weight", config.vocab, config.hidden), head_format or format)
    norm = vector(f"{prefix}norm.weight", config.hidden)
    return Weights(embedding, head, norm, tuple(layer(i) for i in range(config.layers)))
