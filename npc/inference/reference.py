"""The whole model in plain NumPy: the reference of every kernel, and the fallback where there is no compiler.

Linear layers follow the numeric definition of kernels/cpu/formats.h operation by operation, so they are bit-equal to
the kernels. Norms, softmax and attention are written the obvious way and agree to float32 rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npc.inference.adapters import Adapter
from npc.inference.config import ModelConfig, rope_table
from npc.inference.formats import integers, unpack
from npc.inference.kernels import PAGE, CacheFormat, Floats, Format, Matrix, block_of, pad
from npc.inference.step import Batch, GivenUp, Result
from npc.inference.weights import Layer, Weights, head_pad


@dataclass(frozen=True, slots=True)
class Activations:
    """Quantised rows: `whole` numbers, rows x cols (padded to 32), and `scale`, rows x blocks."""

    whole: NDArray[np.int32]
    scale: Floats


def quantise_rows(x: Floats, cols: int, format: Format) -> Activations:
    """Rows of activations as they meet weights of `format`: a byte a number, two bytes for INT8; see
    kernels/cpu/formats.h."""
    block, range_ = block_of(format, cols), np.float32(127 * 128 if format is Format.INT8 else 127)
    wide = np.zeros((len(x), pad(cols, block)), np.float32)
    wide[:, : x.shape[1]] = x
    blocks = wide.reshape(len(x), -1, block)
    fine = np.asarray(np.isfinite(blocks).all(-1))
    with np.errstate(invalid="ignore", over="ignore"):
        most = np.abs(np.where(fine[..., None], blocks, 0)).max(-1)
        usable = fine & (most > 1e-30)
        safe = np.where(usable, most, np.float32(1))
        inverse = np.where(usable, range_ / safe, 0).astype(np.float32)
        q = np.rint(np.where(fine[..., None], blocks, 0) * inverse[..., None]).astype(np.int32)
    scale = np.where(fine, np.where(usable, safe / range_, 0), np.nan).astype(np.float32)
    return Activations(q.reshape(len(x), -1)[:, : pad(cols, 32)], scale)


def linear(matrix: Matrix, x: Floats) -> Floats:
    """`x @ W.T + bias` (M x rows), with the rounding of the kernels for quantised weights."""
    if matrix.format in (Format.F32, Format.BF16):
        out = x @ unpack(matrix).T
    else:
        whole, scales = integers(matrix)
        rows = quantise_rows(x, matrix.cols, matrix.format)
        block = block_of(matrix.format, matrix.cols)
        out = np.zeros((len(x), len(whole)), np.float32)
        for b, k in enumerate(range(0, whole.shape[1], block)):
            exact = rows.whole[:, k : k + block].astype(np.float64) @ whole[:, k : k + block].T.astype(np.float64)
            product = (exact.astype(np.float32) * scales[None, :, b]).astype(np.float64)
            # fused: the product of two float32 is exact in float64; the sum is rounded twice, which hardly ever shows
            out = (product * rows.scale[:, b, None] + out).astype(np.float32)
    if matrix.bias is not None:
        out = out + matrix.bias[: out.shape[1]]
    return out[:, : matrix.rows].astype(np.float32)


def rms_norm(x: Floats, weight: Floats, eps: float) -> Floats:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis."""
    inverse = 1.0 / np.sqrt((x * x).mean(-1, keepdims=True, dtype=np.float32) + np.float32(eps))
    return np.asarray((x * inverse) * weight, np.float32)


def rotate(x: Floats, table: Floats) -> Floats:
    """Rotary embedding of heads (rows x heads x head_dim) by a row's cosines and sines (rows x head_dim)."""
    half = x.shape[-1] // 2
    cos, sin = table[:, None, :half], table[:, None, half:]
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def silu(x: Floats) -> Floats:
    """x / (1 + e^-x)."""
    with np.errstate(over="ignore"):
        return np.asarray(x / (1 + np.exp(-x)), np.float32)


def to_bf16(x: Floats) -> Floats:
    """The nearest bfloat16 numbers, ties to even, as float32."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    nearest = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)
    return np.where(np.isnan(x), x, nearest).astype(np.float32)


def _as_cached(x: Floats, cache: CacheFormat) -> Floats:
    """What comes back of a key or value (rows x heads x d) after it was written to a cache of this format."""
    if cache is CacheFormat.F32:
        return x
    with np.errstate(over="ignore", invalid="ignore"):
        if cache is CacheFormat.BF16:
            return to_bf16(x)
        most = np.abs(x).max(-1, keepdims=True)
        scale = most / np.float32(127)
        return np.asarray(np.rint(np.where(most > 1e-30, x * (127 / most), 0)) * scale, np.float32)


def _mixed_by_pages(score: Floats, values: Floats, begin: int) -> Floats:
    """Softmax of `score` (kv heads x queries x keys, the first at position `begin`) times `values`, page by page with
    probabilities as bfloat16: the definition of kernels/cpu/attention_bf16.inc."""
    most = np.full((*score.shape[:2], 1), -np.inf, np.float32)
    total, out = np.zeros_like(most), np.zeros((*score.shape[:2], values.shape[-1]), np.float32)
    at = 0
    while at < score.shape[2]:
        end = min(score.shape[2], at + PAGE - (begin + at) % PAGE)
        now = np.maximum(most, score[..., at:end].max(-1, keepdims=True))
        keep = np.exp(most - now)
        p = np.exp(score[..., at:end] - now)
        p = ((np.ascontiguousarray(p).view(np.uint32) + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)
        total = total * keep + p.sum(-1, keepdims=True)
        out = out * keep + p @ values[:, at:end]
        most, at = now, end
    return np.asarray(out / total, np.float32)


class ReferenceStep:
    """The same `forward` as the kernels' step, with its own pages (pages x layers x 2 x kv heads x PAGE x head_dim)."""

    recurrent = False

    def __init__(
        self, config: ModelConfig, weights: Weights, *, pages: int, positions: int, cache: CacheFormat
    ) -> None:
        self.config, self.weights, self.cache = config, weights, cache
        self.pages, self.positions = pages, positions
        self._rope = rope_table(config, positions)
        self._pool = np.zeros((pages, config.layers, 2, config.kv_heads, PAGE, config.head_dim), np.float32)
        self._table = unpack(weights.embedding)
        self._hurried = False
        self.observe: Callable[[str, Floats], None] = lambda name, x: None

    @property
    def page_bytes(self) -> int:
        """Bytes of one cache page."""
        return int(self._pool[0].nbytes)

    def hurry(self, wanted: bool) -> None:
        """See Step: a step ends with the layer that runs."""
        self._hurried = wanted

    def copy_page(self, source: int, target: int) -> None:
        """Copy a page's keys and values."""
        self._pool[target] = self._pool[source]

    def close(self) -> None:
        """Nothing to free."""

    def forward(self, batch: Batch) -> Result:
        """Run one step. Raises ValueError on rows out of range, GivenUp."""
        batch.check(self.config, self.pages, self.positions)
        c = self.config
        x = self._table[batch.tokens]
        taps = []
        with np.errstate(invalid="ignore", over="ignore"):
            for i, layer in enumerate(self.weights.layers):
                if batch.yields and self._hurried:
                    raise GivenUp
                x = x + self._attention(batch, i, layer, rms_norm(x, layer.attention_norm, c.eps))
                inner = rms_norm(x, layer.mlp_norm, c.eps)
                gate = self._linear(batch, i, "gate", layer.gate, inner)
                up = self._linear(batch, i, "up", layer.up, inner)
                x = x + self._linear(batch, i, "down", layer.down, silu(gate) * up)
                for row, steer in enumerate(batch.steering or ()):
                    if steer is not None:
                        x[row] += np.float32(steer[1]) * steer[0][i]
                taps.append(x.copy())
            last = rms_norm(x, self.weights.final_norm, c.eps)
            logits = linear(self.weights.head, last[batch.outputs]) if len(batch.outputs) else None
            self.observe("head", last)
        return Result(logits, np.stack(taps) if batch.want_taps else None, last if batch.want_last else None)

    def _linear(self, batch: Batch, layer: int, part: str, matrix: Matrix, x: Floats) -> Floats:
        self.observe(f"{layer}.{part}", x)
        out = linear(matrix, x)
        for row, adapter in enumerate(batch.adapters or ()):
            if isinstance(adapter, Adapter) and (found := adapter.parts.get((layer, part))) is not None:
                out[row] += (found.a[:, : x.shape[1]] @ x[row]) @ found.b[:, : matrix.rows]
        return out

    def _attention(self, batch: Batch, i: int, layer: Layer, x: Floats) -> Floats:
        c, d, wide = self.config, self.config.head_dim, head_pad(self.config)
        rows = len(x)
        qkv = self._linear(batch, i, "qkv", layer.qkv, x).reshape(rows, -1, wide)[..., :d]
        q, k, v = np.split(qkv, [c.heads, c.heads + c.kv_heads], axis=1)
        if layer.q_norm is not None and layer.k_norm is not None:
            q, k = rms_norm(q, layer.q_norm, c.eps), rms_norm(k, layer.k_norm, c.eps)
        turn = self._rope[batch.positions]
        q, k = rotate(q, turn), rotate(k, turn)
        if self.cache is CacheFormat.BF16:
            q = to_bf16(q)
        page, slot = batch.tables[batch.sequences, batch.positions // PAGE], batch.positions % PAGE
        self._pool[page, i, 0, :, slot] = _as_cached(k, self.cache)
        self._pool[page, i, 1, :, slot] = _as_cached(v, self.cache)
        out = np.zeros((rows, c.heads, wide), np.float32)
        for row in range(rows):
            end = int(batch.positions[row]) + 1
            begin = max(0, end - c.windows[i]) if c.windows[i] else 0
            first = begin // PAGE
            pages = batch.tables[batch.sequences[row], first : -(-end // PAGE)]
            held = self._pool[pages, i].transpose(1, 2, 0, 3, 4).reshape(2, c.kv_heads, -1, d)
            keys, values = held[:, :, begin - first * PAGE : end - first * PAGE]
            queries = q[row].reshape(c.kv_heads, -1, d)
            score = queries @ keys.transpose(0, 2, 1) * np.float32(d**-0.5)
            if self.cache is CacheFormat.BF16:
                mixed = _mixed_by_pages(score, values, begin)
            else:
                weight = np.exp(score - score.max(-1, keepdims=True))
                mixed = (weight / weight.sum(-1, keepdims=True)) @ values
            out[row, :, :d] = mixed.reshape(c.heads, d)
        return self._linear(batch, i, "o", layer.o, out.reshape(rows, -1))
