"""Weights on disk: safetensors files, memory-mapped, single or sharded. Never pickle.

The reader is our own because the format is a page long and NumPy has no bfloat16: a tensor is turned into float32 when
it is asked for, one at a time, so loading a model needs its packed size and one tensor more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from npc.inference.config import CheckpointError
from npc.inference.kernels import Floats

_TYPES = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16, "F64": np.float64}
_HEADER_LIMIT = 100 * 2**20  # as the format's own reader


def _header(path: Path) -> tuple[dict[str, Any], int]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _HEADER_LIMIT):
            raise CheckpointError(f"{path}: truncated or not a safetensors file ({size} bytes)")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise CheckpointError(f"{path}: the safetensors header is damaged: {error}") from None
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: the safetensors header is not an object")
    header.pop("__metadata__", None)
    return header, 8 + length


class Checkpoint(Mapping[str, Floats]):
    """Tensors by name over all shards of a folder; each look-up reads and converts one tensor to float32."""

    def __init__(self, folder: Path) -> None:
        """Open and check every shard. Raises CheckpointError naming the file."""
        self._where: dict[str, tuple[Path, str, tuple[int, ...], int]] = {}
        index = folder / "model.safetensors.index.json"
        if index.is_file():
            try:
                listed = json.loads(index.read_text())["weight_map"]
                files = sorted({folder / name for name in listed.values()})
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise CheckpointError(f"{index}: not a shard index: {error!r}") from None
        else:
            listed = None
            files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise CheckpointError(
                f"{folder}: no *.safetensors weights; pickled weights (.bin, .pt) are not read, convert them"
            )
        for path in files:
            if not path.is_file():
                raise CheckpointError(f"{path}: the shard is named in {index.name} but is not there")
            self._add(path)
        for name, shard in (listed or {}).items():
            if name not in self._where or self._where[name][0].name != shard:
                raise CheckpointError(f"{folder / shard}: tensor {name} is not in the shard that {index.name} names")

    def _add(self, path: Path) -> None:
        header, start = _header(path)
        size = path.stat().st_size
        for name, entry in header.items():
            try:
                kind, shape = str(entry["dtype"]), tuple(int(n) for n in entry["shape"])
                begin, end = (int(n) for n in entry["data_offsets"])
            except (KeyError, TypeError, ValueError):
                raise CheckpointError(f"{path}: the entry of tensor {name} is damaged") from None
            if begin < 0 or min(shape, default=1) < 1:
                raise CheckpointError(f"{path}: the entry of tensor {name} is damaged: shape {shape} at byte {begin}")
            if kind not in _TYPES:
                raise CheckpointError(f"{path}: tensor {name} has type {kind}; F32, F16, BF16 and F64 are read")
            if end - begin != math.prod(shape) * np.dtype(_TYPES[kind]).itemsize:
                raise CheckpointError(
                    f"{path}: tensor {name} has {end - begin} bytes, its shape {shape} says otherwise"
                )
            if start + end > size:
                raise CheckpointError(f"{path}: truncated: tensor {name} ends at byte {start + end} of {size}")
            if name in self._where:
                raise CheckpointError(f"{path}: tensor {name} is also in {self._where[name][0].name}")
            self._where[name] = (path, kind, shape, start + begin)

    def __getitem__(self, name: str) -> Floats:
        path, kind, shape, at = self._where[name]
        raw = np.memmap(path, _TYPES[kind], "r", at, shape)
        if kind == "BF16":
            return (raw.astype(np.uint32) << 16).view(np.float32)
        return raw.astype(np.float32)

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape without reading the data."""
        return self._where[name][2]


def write_safetensors(path: Path, tensors: Mapping[str, Floats]) -> None:
    """Write float32 tensors as one safetensors file."""
    header: dict[str, Any] = {}
    at = 0
    for name, value in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [at, at + value.nbytes]}
        at += value.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for value in tensors.values():
            file.write(np.ascontiguousarray(value, np.float32).tobytes())
