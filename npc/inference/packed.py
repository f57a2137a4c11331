"""The packed model file `weights.npcq`: matrices as the kernels read them, mapped, nothing converted at load.

    8 bytes magic | 8 bytes header length | JSON header | tensors, each at a multiple of 64 bytes

The last byte of the magic number is the version of the layouts in kernels/cpu/formats.h; a file of another version is
refused. The header carries the model's config.json, every tensor's place and format, and what quantisation did
(`report`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from npc.inference.config import CheckpointError, ModelConfig, parse_config
from npc.inference.kernels import TILE, Floats, Format, Matrix, matrix_bytes, pad
from npc.inference.weights import Layer, Weights

NAME = "weights.npcq"
_MAGIC = b"NPCQ\x00\x00\x00\x02"


def write_packed(path: Path, config: ModelConfig, weights: Weights, report: Mapping[str, Any]) -> None:
    """Write the file (through a temporary one, so that a crash leaves no half file)."""
    tensors: dict[str, dict[str, Any]] = {}
    parts: list[Any] = []
    at = 0

    def put(name: str, array: Any, **entry: Any) -> None:
        nonlocal at
        tensors[name] = {**entry, "offset": at, "bytes": array.nbytes}
        parts.append(array)
        at = pad(at + array.nbytes, 64)

    for name, matrix in weights.matrices().items():
        put(name, matrix.packed, format=matrix.format.name, rows=matrix.rows, cols=matrix.cols)
        if matrix.bias is not None:
            put(name + ".bias", matrix.bias)
    put("final_norm", weights.final_norm)
    for i, layer in enumerate(weights.layers):
        for field in fields(layer):
            value = getattr(layer, field.name)
            if isinstance(value, np.ndarray):
                put(f"{i}.{field.name}", value)
    header = json.dumps({"config": config.raw, "tensors": tensors, "report": dict(report)}).encode()
    header += b" " * (-(len(header) + 16) % 64)
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(_MAGIC + len(header).to_bytes(8, "little") + header)
            for array in parts:
                file.write(np.ascontiguousarray(array).data)
                file.write(b"\0" * (-array.nbytes % 64))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # a full disk is not made fuller by half a model
        raise


def read_packed(path: Path) -> tuple[ModelConfig, Weights, dict[str, Any]]:
    """Map the file: config, weights (read-only views) and the quantisation report. Raises CheckpointError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(16)
        if start[:8] != _MAGIC:
            raise CheckpointError(f"{path}: not a packed model of this version: make it again with npc quantize")
        length = int.from_bytes(start[8:], "little")
        if length > size:
            raise CheckpointError(f"{path}: truncated ({size} bytes)")
        try:
            header = json.loads(file.read(length))
            tensors, given, report = header["tensors"], header["config"], header["report"]
            end = 16 + length + max(t["offset"] + t["bytes"] for t in tensors.values())
            if any(t["offset"] < 0 or t["offset"] % 64 or t["bytes"] < 0 for t in tensors.values()):
                raise ValueError("a tensor is not at a multiple of 64 bytes")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path}: the header is damaged: {error!r}") from None
    if end > size:
        raise CheckpointError(f"{path}: truncated: {size} bytes of {end}")
    config = parse_config(given, str(path))
    data = np.memmap(path, np.uint8, "r", 16 + length)

    def raw(name: str) -> Any:
        if name not in tensors:
            raise CheckpointError(f"{path}: tensor {name} is missing")
        entry = tensors[name]
        return data[entry["offset"] : entry["offset"] + entry["bytes"]]

    def vector(name: str, size: int) -> Floats:
        values = raw(name)
        if values.nbytes != 4 * size:
            raise CheckpointError(f"{path}: tensor {name} does not have the {size} numbers of the config")
        return np.array(values.view(np.float32))

    def head_norm(name: str) -> Floats | None:
        return vector(name, config.head_dim) if config.qk_norm else None

    def matrix(name: str, rows: int, cols: int) -> Matrix:
        values, entry = raw(name), tensors[name]
        format = Format.__members__.get(str(entry.get("format")))
        size = (entry.get("rows"), entry.get("cols"))
        if format is None or size != (rows, cols) or entry["bytes"] != matrix_bytes(format, rows, cols):
            raise CheckpointError(f"{path}: tensor {name} does not have the {rows} x {cols} of the config")
        bias = vector(name + ".bias", pad(rows, TILE)) if name + ".bias" in tensors else None
        return Matrix(format, rows, cols, values, bias)

    hidden, inter, wide = config.hidden, config.inter, pad(config.head_dim, 16)
    layers = tuple(
        Layer(
            vector(f"{i}.attention_norm", hidden),
            vector(f"{i}.mlp_norm", hidden),
            head_norm(f"{i}.q_norm"),
            head_norm(f"{i}.k_norm"),
            matrix(f"{i}.qkv", (config.heads + 2 * config.kv_heads) * wide, hidden),
            matrix(f"{i}.o", hidden, config.heads * wide),
            matrix(f"{i}.gate", inter, hidden),
            matrix(f"{i}.up", inter, hidden),
            matrix(f"{i}.down", hidden, inter),
        )
        for i in range(config.layers)
    )
    embedding = matrix("embedding", config.vocab, hidden)
    head = embedding if config.tied else matrix("head", config.vocab, hidden)
    return config, Weights(embedding, head, vector("final_norm", hidden), layers), dict(report)
