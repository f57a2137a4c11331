"""Quantisation that makes up for its own errors (GPTQ: Frantar et al. 2023), for every integer format here.

    a block of the format:  scales by the packer's search, on the weights as they are by now
      column by column:     q = nearest(w / step);  the error, through the inverse Hessian of the calibration inputs,
                            goes onto the columns that are still to come, so that W x changes least
      after 128 columns the rest of the row takes their errors at once (one matrix product)

The Hessian is X'X + damping over the calibration inputs X (tokens x columns). The damping is at least 1 % of
the mean diagonal, and as much as makes the matrix the best guess of the true one from so few tokens (Ledoit and Wolf
2004): inputs that share nothing are then rounded plainly, where the paper's constant learns their noise. With fewer
tokens than columns the inverse comes from the tokens' side (Woodbury), so 5,000 columns are a matter of seconds.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.inference import kernels
from npc.inference.formats import Block, blocks, lay, pack
from npc.inference.kernels import CHUNK, GROUP, TILE, Floats, Format, Matrix, block_of, matrix_bytes, pad

#: Least share of the Hessian's mean diagonal that is added to it; the paper's value.
DAMPING: Final = 0.01
#: Most of it: inputs of pure noise would ask for infinity.
_MOST_DAMPING: Final = 1000.0
_TOP: Final = {Format.INT8: 255, Format.INT4: 15, Format.TERNARY: 2}


def damping_of(inputs: NDArray[np.float64]) -> float:
    """What to add to the diagonal of X'X, as a share of its mean: the shrinkage of Ledoit and Wolf's estimator."""
    n, cols = inputs.shape
    lengths = (inputs * inputs).sum(1)
    product = inputs @ inputs.T if n < cols else inputs.T @ inputs
    square = float((product * product).sum()) / n**2  # |S|^2, S = X'X / n; both products have the same
    mean = float(lengths.sum()) / n / cols
    spread = square - cols * mean**2
    noise = min((float((lengths**2).sum()) / n - square) / n, spread)
    if spread <= 0 or noise <= 0:
        return DAMPING
    share = noise / spread
    return float(min(max(share / max(1 - share, 1e-9), DAMPING), _MOST_DAMPING))


def inverse_factor(inputs: Floats) -> Floats:
    """Upper triangular U with U'U = (X'X + damping)^-1 for inputs X (tokens x columns)."""
    x = inputs.astype(np.float64)
    n, cols = x.shape
    add = damping_of(x) * max(float((x * x).sum()) / cols, 1e-12)
    if n < cols:
        inner = np.linalg.inv(x @ x.T + add * np.eye(n))
        inverse = (np.eye(cols) - x.T @ (inner @ x)) / add
    else:
        inverse = np.linalg.inv(x.T @ x + add * np.eye(cols))
    return np.ascontiguousarray(np.linalg.cholesky((inverse + inverse.T) / 2).T).astype(np.float32)


def pack_compensated(
    format: Format,
    weights: Floats,
    inputs: Floats,
    bias: Floats | None = None,
    threads: int = 1,
    name: str = "weights",
) -> Matrix:
    """As `formats.pack`, with the rounding errors made up for on `inputs`. Raises WeightError naming `name`."""
    rows, cols = weights.shape
    tall, wide = pad(rows, TILE), pad(cols, GROUP)
    left = np.zeros((tall, wide), np.float32)
    left[:rows, :cols] = weights
    x = np.zeros((len(inputs), wide), np.float32)
    x[:, : min(wide, inputs.shape[1])] = inputs[:, :wide]
    factor = inverse_factor(x)
    importance = (x * x).mean(0)
    out = kernels.aligned(matrix_bytes(format, rows, cols)).reshape(tall // TILE, -1)
    at, each = 0, block_of(format, cols)
    for k in range(0, wide, each):
        end = min(k + each, wide)
        found = pack(format, np.ascontiguousarray(left[:, k:end]), None, importance[k:end], threads, name)
        parts = [block for _, _, block in blocks(found)]
        step = np.concatenate([block.scale[:, None] * block.factor for block in parts])
        zero = np.concatenate([block.zero for block in parts])
        stored = np.zeros((tall, end - k), np.int32)
        for c in range(k, end, CHUNK):
            last = min(c + CHUNK, end)
            own = slice((c - k) // GROUP, (last - k) // GROUP)
            chunk, error = _round(left[:, c:last], step[:, own], zero, _TOP[format], factor[c:last, c:last])
            stored[:, c - k : last - k] = chunk
            left[:, last:] -= error @ factor[c:last, last:]
        size = found.packed.size // len(parts)
        for tile, block in enumerate(parts):
            rows_of = stored[tile * TILE : (tile + 1) * TILE]
            out[tile, at : at + size] = lay(format, Block(block.scale, block.zero, block.factor, rows_of))
        at += size
    padded_bias = None
    if bias is not None:
        padded_bias = np.zeros(tall, np.float32)
        padded_bias[:rows] = bias
    return Matrix(format, rows, cols, out.reshape(-1), padded_bias)


def _round(
    block: Floats, step: Floats, zero: NDArray[np.int32], top: int, factor: Floats
) -> tuple[NDArray[np.int32], Floats]:
    """Stored numbers of some columns, each one's error put onto those after it; and the errors, for columns beyond."""
    block = block.copy()
    safe = np.where(step != 0, step, np.float32(1))
    stored = np.zeros(block.shape, np.int32)
    error = np.zeros(block.shape, np.float32)
    for j in range(block.shape[1]):
        w, s = block[:, j], safe[:, j // GROUP]
        q = np.where(step[:, j // GROUP] != 0, np.clip(np.rint(w / s) + zero, 0, top), zero)
        stored[:, j] = q
        error[:, j] = (w - (q - zero) * step[:, j // GROUP]) / factor[j, j]
        block[:, j + 1 :] -= error[:, j : j + 1] * factor[j, j + 1 :]
    return stored, error
