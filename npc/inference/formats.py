"""Weights to packed matrices and back: the layouts of kernels/cpu/formats.h, in NumPy as their reference.

`pack` quantises with the kernels when there are any and with `pack_reference` otherwise; both give the same bytes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from npc.inference import kernels
from npc.inference.kernels import BLOCK, GROUP, TILE, Floats, Format, Matrix, matrix_bytes, pad

Bytes = NDArray[np.uint8]
_SCALE_BITS = 0x7FF8
_SIGN_BITS = (0, 1, 2, 15)


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


def _coarse(x: Floats) -> Floats:
    """To the scales an INT4 header can hold: halves with seven bits of mantissa."""
    bits = (x.astype(np.float16).view(np.uint16) + np.uint16(4)) & np.uint16(_SCALE_BITS)
    return bits.view(np.float16).astype(np.float32)


def _int4(block: Floats, weigh: Floats) -> tuple[Floats, NDArray[np.int32], NDArray[np.int32]]:
    """Scales (rows), signed factors (rows x groups) and nibbles q in -8..7 (rows x width): the search of pack.inc."""
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
    for top in (15, 14, 13, 12, 11, 10, 9):
        candidate = _coarse(widest / np.float32(top))
        usable = (candidate > 0) & (widest >= 1e-20)
        safe = np.where(usable, candidate, one)[:, None]
        whole = (np.abs(step) / safe).astype(np.int32)
        below, above = np.clip(whole, 1, 15), np.clip(whole + 1, 1, 15)
        e_below = error(safe * (sign * below))
        e_above = error(safe * (sign * above))
        choice = (sign * np.where(e_above < e_below, above, below)).astype(np.int32)
        total = sequence(np.minimum(e_below, e_above))
        better = usable & (total < least)
        least = np.where(better, total, least)
        scale = np.where(better, candidate, scale)
        factor = np.where(better[:, None], choice, factor)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = np.rint(groups / (scale[:, None, None] * factor[..., None].astype(np.float32)))
    q = np.where(scale[:, None, None] > 0, np.clip(q, -8, 7), 0)
    return scale, factor, q.reshape(rows, width).astype(np.int32)


def _quads(values: NDArray[np.int32]) -> Bytes:
    """16 x width values as quads: width / 4 lines of 64 bytes."""
    return values.reshape(TILE, -1, 4).transpose(1, 0, 2).reshape(-1, 64).astype(np.uint8)


def _block(format: Format, block: Floats, weigh: Floats) -> Bytes:
    width = block.shape[1]
    if format is Format.F32:
        return np.ascontiguousarray(block.T).view(np.uint8).ravel()
    if format is Format.BF16:
        bits = np.ascontiguousarray(block.T).view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16).view(np.uint8).ravel()
    header = np.zeros(64, np.uint8)
    if format is Format.INT8:
        most = np.abs(block).max(1)
        usable = most >= 1e-30
        safe = np.where(usable, most, np.float32(1))
        step: Floats = np.where(usable, safe / np.float32(127), 0).astype(np.float32)
        q = np.rint(block * (np.float32(127) / safe)[:, None]).astype(np.int32)
        header[:] = step.view(np.uint8)
        return np.concatenate([header, _quads(q + 128).ravel()])
    if format is Format.INT4:
        scale, factor, q = _int4(block, weigh)
        words = scale.astype(np.float16).view(np.uint16)
        for g in range(width // GROUP):
            words |= (factor[:, g] < 0).astype(np.uint16) << np.uint16(_SIGN_BITS[g])
            header[32 + 16 * (g // 2) :][:16] |= (np.abs(factor[:, g]) << (4 * (g & 1))).astype(np.uint8)
        header[:32] = words.view(np.uint8)
        for g in range(width // GROUP, 4):
            header[32 + 16 * (g // 2) :][:16] |= np.uint8(1 << (4 * (g & 1)))
        lines = _quads(q + 8)
        return np.concatenate([header, (lines[0::2] | lines[1::2] << 4).ravel()])
    mean: Floats = np.zeros(TILE, np.float32)
    for k in range(width):
        mean = (mean + np.abs(block[:, k]) / np.float32(width)).astype(np.float32)
    dot: Floats = np.zeros(TILE, np.float32)
    used: NDArray[np.int32] = np.zeros(TILE, np.int32)
    hit = (np.abs(block) > np.float32(0.5) * mean[:, None]) & (mean >= 1e-20)[:, None]
    for k in range(width):
        dot = np.where(hit[:, k], dot + np.abs(block[:, k]), dot)
        used += hit[:, k]
    level: Floats = np.where(used > 0, dot / np.maximum(used, 1).astype(np.float32), 0).astype(np.float32)
    header[:32] = level.astype(np.float16).view(np.uint8)
    lines = _quads(np.where(hit, np.sign(block), 0).astype(np.int32) + 1)
    return np.concatenate([header, (lines[0::4] | lines[1::4] << 2 | lines[2::4] << 4 | lines[3::4] << 6).ravel()])


def pack_reference(format: Format, weights: Floats, importance: Floats | None = None) -> Bytes:
    """Padded weights (rows a multiple of 16, cols of 32) to packed bytes, in plain NumPy."""
    rows, cols = weights.shape
    weigh = np.ones(cols, np.float32) if importance is None else importance
    parts = [
        _block(format, weights[row : row + TILE, k : k + BLOCK], weigh[k : k + BLOCK])
        for row in range(0, rows, TILE)
        for k in range(0, cols, BLOCK)
    ]
    return np.concatenate(parts)


def integers(matrix: Matrix) -> tuple[NDArray[np.int32], Floats]:
    """Whole numbers (padded rows x cols) and scales (padded rows x blocks) of a matrix: w = scale * integer."""
    rows, cols = matrix.shape
    whole = np.zeros((rows, cols), np.int32)
    scales = np.zeros((rows, -(-cols // BLOCK)), np.float32)
    data, at = matrix.packed, 0
    per_byte = {Format.INT8: 1, Format.INT4: 2, Format.TERNARY: 4}[matrix.format]
    for row in range(0, rows, TILE):
        for b, k in enumerate(range(0, cols, BLOCK)):
            width = min(BLOCK, cols - k)
            header, body = data[at : at + 64], data[at + 64 : at + 64 + TILE * width // per_byte]
            at += 64 + TILE * width // per_byte
            lines = body.reshape(-1, 64)
            bits = 8 // per_byte
            quads = np.stack([lines >> (bits * i) & (2**bits - 1) for i in range(per_byte)], 1).reshape(-1, TILE, 4)
            q = quads.transpose(1, 0, 2).reshape(TILE, width).astype(np.int32)
            if matrix.format is Format.INT8:
                scales[row : row + TILE, b] = header.view(np.float32)
                q -= 128
            else:
                words = header[:32].view(np.uint16)
                held = words & np.uint16(_SCALE_BITS) if matrix.format is Format.INT4 else words
                scales[row : row + TILE, b] = held.view(np.float16)
                q -= 8 if matrix.format is Format.INT4 else 1
            if matrix.format is Format.INT4:
                for g in range(width // GROUP):
                    size = (header[32 + 16 * (g // 2) :][:16] >> (4 * (g & 1)) & 15).astype(np.int32)
                    factor = np.where(words >> np.uint16(_SIGN_BITS[g]) & np.uint16(1), -size, size)
                    q[:, GROUP * g : GROUP * (g + 1)] *= factor[:, None]
            whole[row : row + TILE, k : k + width] = q
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
        values = whole.astype(np.float32) * np.repeat(scales, BLOCK, axis=1)[:, :cols]
    return np.ascontiguousarray(values[: matrix.rows, : matrix.cols])
