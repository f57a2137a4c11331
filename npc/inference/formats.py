"""Weights to packed matrices and back: the layouts of kernels/cpu/formats.h, in NumPy as their reference.

`pack` quantises with the kernels when there are any and with `pack_reference` otherwise; both give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npc.inference import kernels
from npc.inference.kernels import CHUNK, GROUP, TILE, Floats, Format, Matrix, block_of, matrix_bytes, pad

Bytes = NDArray[np.uint8]


#: bits of a stored number
STORED_BITS = {Format.INT8: 8, Format.INT4: 4, Format.TERNARY: 2}


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one block as numbers: w = scale * factor * (stored - zero). `scale` and `zero` per row, `factor` per row
    and group of 32 columns (1 but for INT4), `stored` per row and column."""

    scale: Floats
    zero: NDArray[np.int32]
    factor: NDArray[np.int32]
    stored: NDArray[np.int32]


class WeightError(ValueError):
    """Weights that cannot be quantised: not finite."""


def pack(
    format: Format,
    weights: Floats,
    bias: Floats | None = None,
    importance: Floats | None = None,
    threads: int = 1,
    name: str = "weights",
) -> Matrix:
    """Quantise row-major `weights` (rows x cols). `importance` (cols) weighs the squared error of INT4's scale search
    by column: the mean square of that input over a calibration text. Raises WeightError naming `name`."""
    rows, cols = weights.shape
    tall, wide = pad(rows, TILE), pad(cols, GROUP)
    packed = kernels.aligned(matrix_bytes(format, rows, cols))
    weigh = None
    if importance is not None:
        weigh = np.full(wide, 1e-12, np.float32)
        weigh[:cols] = np.maximum(importance / max(float(importance.mean()), 1e-30), 1e-6)
    padded_bias = None
    if bias is not None:
        padded_bias = np.zeros(tall, np.float32)
        padded_bias[:rows] = bias
    lib = kernels.load()
    tile = len(packed) // (tall // TILE)

    def pack_tiles(first: int, last: int) -> bool:
        piece = np.zeros(((last - first) * TILE, wide), np.float32)
        part = weights[first * TILE : last * TILE]
        piece[: len(part), :cols] = part
        into = packed[first * tile : last * tile]
        if lib is None:
            if not np.isfinite(piece).all():
                return False
            into[:] = pack_reference(format, piece, weigh)
            return True
        data = None if weigh is None else weigh.ctypes.data
        return bool(
            lib.npc_pack(int(format), len(piece), wide, np.ascontiguousarray(piece).ctypes.data, data, into.ctypes.data)
            == 0
        )

    step = max(1, 2**22 // (TILE * wide))
    spans = [(at, min(at + step, tall // TILE)) for at in range(0, tall // TILE, step)]
    with ThreadPoolExecutor(threads) as pool:
        fine = list(pool.map(lambda span: pack_tiles(*span), spans))
    if not all(fine):
        raise WeightError(f"{name}: a weight is not a finite number; the file is damaged or training diverged")
    return Matrix(format, rows, cols, packed, padded_bias)


def _int4(block: Floats, weigh: Floats) -> Block:
    """The search of pack.inc."""
    rows, width = block.shape
    groups = block.reshape(rows, -1, GROUP)
    weigh = weigh.reshape(1, -1, GROUP)
    one = np.float32(1)

    def tree(x: Floats) -> Floats:
        halves = x[..., :16] + x[..., 16:]
        for half in (8, 4, 2, 1):
            halves = halves[..., :half] + halves[..., half : 2 * half]
        return np.asarray(halves[..., 0])

    def error(scale: Floats) -> Floats:
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            inverse = np.where(scale != 0, one / scale, np.float32(0)).astype(np.float32)[..., None]
            q = np.rint(np.clip(groups * inverse, -8, 7))
            e = groups - q * scale[..., None]
            return tree((e * e) * weigh)

    def sequence(x: Floats) -> Floats:
        total = np.zeros(len(x), np.float32)
        for g in range(x.shape[1]):
            total = total + x[:, g]
        return total

    high, low = np.maximum(groups.max(-1), 0), np.maximum((-groups).max(-1), 0)
    most = np.where(high > low, high, -low).astype(np.float32)
    steps = np.stack([most / np.float32(s) for s in (-6.6, -7.1, -7.6, -8.0, -8.5, 6.4, 7.0)])
    step = np.take_along_axis(steps, np.stack([error(s) for s in steps]).argmin(0)[None], 0)[0]
    widest, sign = np.abs(step).max(1), np.where(step < 0, np.float32(-1), one)
    scale = np.zeros(rows, np.float32)
    factor = np.ones(groups.shape[:2], np.int32)
    least = np.full(rows, np.inf, np.float32)
    for top in (15, 14, 13):
        candidate = (widest / np.float32(top)).astype(np.float32)
        usable = widest >= 1e-20
        safe = np.where(usable, candidate, one)[:, None]
        whole = (np.abs(step) / safe).astype(np.int32)
        below, above = np.clip(whole, 1, 15), np.clip(whole + 1, 1, 15)
        e_below = error(safe * (sign * below).astype(np.float32))
        e_above = error(safe * (sign * above).astype(np.float32))
        choice = (sign * np.where(e_above < e_below, above, below)).astype(np.int32)
        total = sequence(np.minimum(e_below, e_above))
        better = usable & (total < least)
        least = np.where(better, total, least)
        scale = np.where(better, candidate, scale)
        factor = np.where(better[:, None], choice, factor)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = np.rint(groups / (scale[:, None, None] * factor[..., None].astype(np.float32)))
    q = np.where(scale[:, None, None] > 0, np.clip(q, -8, 7), 0)
    eight = np.full(rows, 8, np.int32)
    return Block(scale, eight, factor, q.reshape(rows, width).astype(np.int32) + 8)


def _int8(block: Floats) -> Block:
    """256 values from the least weight (or zero) to the largest, zero among them."""
    rows, width = block.shape
    high, low = np.maximum(block.max(1), 0), np.minimum(block.min(1), 0)
    step = (high / np.float32(255) - low / np.float32(255)).astype(np.float32)
    usable = step >= np.float32(1e-30)
    scale = ((step.view(np.uint32) + np.uint32(255)) & np.uint32(0xFFFFFF00)).view(np.float32)
    scale = np.where(usable, scale, np.float32(0)).astype(np.float32)
    safe = np.where(usable, scale, np.float32(1))
    zero = np.where(usable, np.rint(-low / safe), 0)
    q = np.clip(np.rint(block / safe[:, None]) + zero[:, None], 0, 255)
    factor = np.ones((rows, width // GROUP), np.int32)
    return Block(scale, zero.astype(np.int32), factor, np.where(usable[:, None], q, 0).astype(np.int32))


def _ternary(block: Floats) -> Block:
    """Threshold at half the mean magnitude, then the least-squares scale."""
    rows, width = block.shape
    mean: Floats = np.zeros(rows, np.float32)
    for k in range(width):
        mean = (mean + np.abs(block[:, k]) / np.float32(width)).astype(np.float32)
    dot: Floats = np.zeros(rows, np.float32)
    used: NDArray[np.int32] = np.zeros(rows, np.int32)
    hit = (np.abs(block) > np.float32(0.5) * mean[:, None]) & (mean >= 1e-20)[:, None]
    for k in range(width):
        dot = np.where(hit[:, k], dot + np.abs(block[:, k]), dot)
        used += hit[:, k]
    level: Floats = np.where(used > 0, dot / np.maximum(used, 1).astype(np.float32), 0).astype(np.float32)
    ones = np.ones(rows, np.int32)
    factor = np.ones((rows, width // GROUP), np.int32)
    return Block(level, ones, factor, np.where(hit, np.sign(block), 0).astype(np.int32) + 1)


def lay(format: Format, block: Block) -> Bytes:
    """16 rows of one block as packed bytes."""
    words = block.scale.view(np.uint32)
    if format is Format.INT8:
        words = words | block.zero.astype(np.uint32)
    parts = [words.view(np.uint8)]
    width = block.stored.shape[1]
    for k in range(0, width, CHUNK):
        if format is Format.INT4:
            factors = np.zeros((CHUNK // GROUP, TILE), np.int8)
            here = block.factor[:, k // GROUP : (k + CHUNK) // GROUP].T
            factors[: len(here)] = here
            parts.append(factors.view(np.uint8).ravel())
        quads = block.stored[:, k : k + CHUNK].reshape(TILE, -1, 4).transpose(1, 0, 2).reshape(-1, 64).astype(np.uint8)
        bits = STORED_BITS[format]
        lines = quads[0 :: 8 // bits].copy()
        for i in range(1, 8 // bits):
            lines |= quads[i :: 8 // bits] << np.uint8(bits * i)
        parts.append(lines.ravel())
    return np.concatenate(parts)


def lift(format: Format, data: Bytes, width: int) -> Block:
    """`lay` turned round: one block of `width` columns from its packed bytes."""
    words, at, bits = data[:64].view(np.uint32), 64, STORED_BITS[format]
    zero = np.full(TILE, {Format.INT4: 8, Format.TERNARY: 1}.get(format, 0), np.int32)
    scale = words.view(np.float32).copy()
    if format is Format.INT8:
        zero, scale = (words & np.uint32(255)).astype(np.int32), (words & np.uint32(0xFFFFFF00)).view(np.float32)
    factor, stored = np.ones((TILE, width // GROUP), np.int32), np.zeros((TILE, width), np.int32)
    for k in range(0, width, CHUNK):
        here = min(CHUNK, width - k)
        if format is Format.INT4:
            factors = data[at : at + 64].view(np.int8).reshape(-1, TILE)[: here // GROUP]
            factor[:, k // GROUP : (k + here) // GROUP] = factors.T
            at += 64
        lines = data[at : at + TILE * here * bits // 8].reshape(-1, 64)
        quads = np.stack([lines >> np.uint8(shift) & np.uint8(2**bits - 1) for shift in range(0, 8, bits)], 1)
        stored[:, k : k + here] = quads.reshape(-1, TILE, 4).transpose(1, 0, 2).reshape(TILE, here)
        at += lines.size
    return Block(scale, zero, factor, stored)


def _packed_block(format: Format, block: Floats, weigh: Floats) -> Bytes:
    match format:
        case Format.F32:
            return np.ascontiguousarray(block.T).view(np.uint8).ravel()
        case Format.BF16:
            bits = np.ascontiguousarray(block.T).view(np.uint32)
            return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16).view(np.uint8).ravel()
        case Format.INT8:
            return lay(format, _int8(block))
        case Format.INT4:
            return lay(format, _int4(block, weigh))
        case Format.TERNARY:
            return lay(format, _ternary(block))


def pack_reference(format: Format, weights: Floats, importance: Floats | None = None) -> Bytes:
    """Padded weights (rows a multiple of 16, cols of 32) to packed bytes, in plain NumPy."""
    rows, cols = weights.shape
    weigh = np.ones(cols, np.float32) if importance is None else importance
    each = block_of(format, cols)
    parts = [
        _packed_block(format, weights[row : row + TILE, k : k + each], weigh[k : k + each])
        for row in range(0, rows, TILE)
        for k in range(0, cols, each)
    ]
    return np.concatenate(parts)


def blocks(matrix: Matrix) -> Iterator[tuple[int, int, Block]]:
    """Every block of a quantised matrix with its first row and column, tile by tile."""
    rows, cols = matrix.shape
    each, at = block_of(matrix.format, cols), 0
    for row in range(0, rows, TILE):
        for k in range(0, cols, each):
            width = min(each, cols - k)
            size = matrix_bytes(matrix.format, TILE, width)
            yield row, k, lift(matrix.format, matrix.packed[at : at + size], width)
            at += size


def integers(matrix: Matrix) -> tuple[NDArray[np.int32], Floats]:
    """Whole numbers (padded rows x cols) and scales (padded rows x blocks) of a matrix: w = scale * integer."""
    rows, cols = matrix.shape
    each = block_of(matrix.format, cols)
    whole = np.zeros((rows, cols), np.int32)
    scales = np.zeros((rows, -(-cols // each)), np.float32)
    for row, k, block in blocks(matrix):
        scales[row : row + TILE, k // each] = block.scale
        numbers = np.repeat(block.factor, GROUP, 1) * (block.stored - block.zero[:, None])
        whole[row : row + TILE, k : k + numbers.shape[1]] = numbers
    return whole, scales


def unpack(matrix: Matrix) -> Floats:
    """The weights a matrix stands for (rows x cols), as float32."""
    rows, cols = matrix.shape
    if matrix.format is Format.F32:
        values = matrix.packed.view(np.float32).reshape(-1, cols, TILE).transpose(0, 2, 1).reshape(rows, cols)
    elif matrix.format is Format.BF16:
        halves = matrix.packed.view(np.uint16).astype(np.uint32) << 16
        values = halves.view(np.float32).reshape(-1, cols, TILE).transpose(0, 2, 1).reshape(rows, cols)
    else:
        whole, scales = integers(matrix)
        values = whole.astype(np.float32) * np.repeat(scales, block_of(matrix.format, cols), axis=1)[:, :cols]
    return np.ascontiguousarray(values[: matrix.rows, : matrix.cols])
