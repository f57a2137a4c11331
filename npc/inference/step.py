"""One step of a model: rows in, logits out. What the engine drives, and the kernels' implementation of it.

A row is one token of one sequence at one position; decode rows, prefill chunks and speculation checks mix freely in a
batch. A row's result does not depend on its neighbours (bit-equal with the kernels).
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from npc.inference import kernels
from npc.inference.adapters import Adapter
from npc.inference.config import ModelConfig, rope_table
from npc.inference.kernels import PAGE, CacheFormat, CAdapter, CBatch, CLayer, CModel, Floats, Level, pad
from npc.inference.weights import Weights, head_pad

Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one step. `tables` is sequences x width page numbers (-1 where not needed); `outputs` the rows whose
    logits are wanted. Rows of a sequence are adjacent with rising positions. `steering` per row:
    (layers x hidden, scale). `yields`: the step may be given up (`Step.hurry`); it raises GivenUp then."""

    tokens: Ints
    positions: Ints
    sequences: Ints
    tables: Ints
    outputs: Ints
    steering: Sequence[tuple[Floats, float] | None] | None = None
    adapters: Sequence[Adapter | None] | None = None
    want_taps: bool = False
    want_last: bool = False
    yields: bool = False

    def check(self, config: ModelConfig, pages: int, positions: int) -> None:
        """Raise ValueError for rows outside vocabulary, context or pages (the kernels check the same themselves)."""
        if not len(self.tokens):
            raise ValueError("a batch needs at least one row")
        if self.tokens.min() < 0 or self.tokens.max() >= config.vocab:
            raise ValueError("a token is outside the vocabulary")
        if self.positions.min() < 0 or self.positions.max() >= positions:
            raise ValueError("a position is outside the context window")
        held = self.tables[self.sequences, self.positions // PAGE]
        if held.min() < 0 or held.max() >= pages:
            raise ValueError("a sequence has no cache page where it needs one")


class GivenUp(Exception):
    """A step ended early for somebody who cannot wait. Nothing came of it; the same batch may be run again."""


@dataclass(frozen=True, slots=True)
class Result:
    """`logits` outputs x vocab (valid until the next step), `taps` layers x rows x hidden, `last` rows x hidden."""

    logits: Floats | None
    taps: Floats | None = None
    last: Floats | None = None


class Sizes(Protocol):
    """What everybody needs to know of a model's config."""

    @property
    def hidden(self) -> int: ...
    @property
    def layers(self) -> int: ...
    @property
    def vocab(self) -> int: ...


class Step(Protocol):
    """A model that can run a batch. `recurrent`: a page is the whole state of a sequence after the rows it has read
    (see states.py), not the keys and values of 32 tokens."""

    @property
    def config(self) -> Sizes: ...

    pages: int
    positions: int
    recurrent: bool

    @property
    def page_bytes(self) -> int:
        """Bytes of one cache page."""

    def forward(self, batch: Batch) -> Result:
        """Run one step. Raises ValueError on rows out of range, GivenUp."""

    def hurry(self, wanted: bool) -> None:
        """From any thread: while `wanted`, steps of batches that yield are given up as soon as may be. Not after
        `close`."""

    def copy_page(self, source: int, target: int) -> None:
        """Copy a page's keys and values."""

    def close(self) -> None:
        """Free memory and threads."""


class KernelStep:
    """The step on the CPU kernels. Not for two threads at a time."""

    recurrent = False

    def __init__(
        self,
        config: ModelConfig,
        weights: Weights,
        *,
        pages: int,
        positions: int,
        cache: CacheFormat = CacheFormat.BF16,
        threads: int = 2,
        max_rows: int = 512,
        level: Level | None = None,
    ) -> None:
        """`pages` cache pages of 32 tokens, contexts up to `positions`, `max_rows` rows a step at most."""
        lib, best = kernels.load(), kernels.best_level()
        if lib is None or best is None:
            raise RuntimeError("no CPU kernels here; use ReferenceStep")
        self.config, self.weights, self.max_rows = config, weights, max_rows
        self.pages, self.positions = pages, positions
        self._lib = lib
        self._rope = rope_table(config, positions)
        self._layers = (CLayer * config.layers)()
        for i, layer in enumerate(weights.layers):
            self._layers[i] = CLayer(
                *(_address(v) for v in (layer.attention_norm, layer.mlp_norm, layer.q_norm, layer.k_norm)),
                *(m.struct() for m in (layer.qkv, layer.o, layer.gate, layer.up, layer.down)),
                config.windows[i],
            )
        self._model = CModel(
            hidden=config.hidden,
            inter=pad(config.inter, kernels.TILE),
            layers=config.layers,
            heads=config.heads,
            kv_heads=config.kv_heads,
            head_dim=config.head_dim,
            head_pad=head_pad(config),
            vocab=config.vocab,
            positions=positions,
            cache=int(cache),
            eps=config.eps,
            attention_scale=config.head_dim**-0.5,
            rope=self._rope.ctypes.data,
            layer=self._layers,
            embedding=weights.embedding.struct(),
            head=weights.head.struct(),
            final_norm=weights.final_norm.ctypes.data,
        )
        self.page_size = int(lib.npc_page_bytes(c.byref(self._model)))
        self._pool = kernels.aligned(pages * self.page_size)
        self._logits = np.zeros((16, weights.head.shape[0]), np.float32)
        chosen = best if level is None else level
        self._context = lib.npc_create(c.byref(self._model), threads, max_rows, int(chosen))
        if not self._context:
            raise ValueError(f"the kernels refuse this shape, thread count ({threads}) or level ({chosen.name})")

    @property
    def page_bytes(self) -> int:
        """Bytes of one cache page."""
        return self.page_size

    def close(self) -> None:
        """Stop the threads and free the buffers."""
        if self._context:
            self._lib.npc_destroy(self._context)
            self._context = None

    def hurry(self, wanted: bool) -> None:
        """See Step: a step ends with the phase that runs, a fraction of a layer."""
        self._lib.npc_yield(self._context, wanted)

    def copy_page(self, source: int, target: int) -> None:
        """Copy a page's keys and values."""
        size = self.page_size
        self._pool[target * size : (target + 1) * size] = self._pool[source * size : (source + 1) * size]

    def forward(self, batch: Batch) -> Result:
        """Run one step: one call into the library, without the interpreter's lock. Raises ValueError, GivenUp."""
        rows, outputs = len(batch.tokens), len(batch.outputs)
        if outputs > len(self._logits):
            self._logits = np.zeros((outputs, self._logits.shape[1]), np.float32)
        arrays = [np.ascontiguousarray(a, np.int32) for a in (batch.tokens, batch.positions, batch.sequences)]
        tables, wanted = (np.ascontiguousarray(a, np.int32) for a in (batch.tables, batch.outputs))
        taps = np.empty((self.config.layers, rows, self.config.hidden), np.float32) if batch.want_taps else None
        last = np.empty((rows, self.config.hidden), np.float32) if batch.want_last else None
        struct = CBatch(
            rows=rows,
            token=arrays[0].ctypes.data,
            position=arrays[1].ctypes.data,
            sequence=arrays[2].ctypes.data,
            sequences=len(tables),
            table_width=tables.shape[1],
            tables=tables.ctypes.data,
            outputs=outputs,
            output_rows=wanted.ctypes.data,
            logits=self._logits.ctypes.data,
            taps=_address(taps),
            last=_address(last),
            pool=self._pool.ctypes.data,
            pages=self.pages,
            yields=batch.yields,
        )
        if batch.steering is not None and any(batch.steering):
            vectors = (c.c_void_p * rows)(*(None if s is None else s[0].ctypes.data for s in batch.steering))
            scales = np.array([0.0 if s is None else s[1] for s in batch.steering], np.float32)
            struct.steer, struct.steer_scale = c.addressof(vectors), scales.ctypes.data
        if batch.adapters is not None and any(batch.adapters):
            found = (c.POINTER(CAdapter) * rows)(
                *(c.POINTER(CAdapter)() if a is None else c.pointer(a.struct) for a in batch.adapters)
            )
            struct.adapter = c.addressof(found)
        status = self._lib.npc_forward(self._context, c.byref(struct))
        if status == kernels.GIVEN_UP:
            raise GivenUp
        if status:
            raise ValueError(self._lib.npc_error(status).decode())
        return Result(self._logits[:outputs, : self.config.vocab] if outputs else None, taps, last)


def _address(array: Floats | None) -> int | None:
    return None if array is None else array.ctypes.data
