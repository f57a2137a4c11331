"""Quantisation that makes up for its own errors (GPTQ: Frantar et al. 2023), for every integer format here.

    block of 128 columns:  scales by the packer's search, on the weights as they are by now
      column by column:    q = nearest(w / step);  the error, through the inverse Hessian of the calibration inputs,
                           goes onto the columns that are still to come, so that W x changes least
    then the rest of the row takes the block's errors at once (one matrix product)

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
from npc.inference.formats import pack
from npc.inference.kernels import BLOCK, GROUP, TILE, Floats, Format, Matrix, matrix_bytes, pad

#: Least share of the Hessian's mean diagonal that is added to it; the paper's value.
DAMPING: Final = 0.01
#: Most of it: inputs of pure noise would ask for infinity.
_MOST_DAMPING: Final = 1000.0
_RANGE: Final = {Format.INT8: (-127, 127), Format.INT4: (-8, 7), Format.TERNARY: (-1, 1)}
_SIGN_BITS: Final = (0, 1, 2, 15)


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
    low, high = _RANGE[format]
    rows, cols = weights.shape
    tall, wide = pad(rows, TILE), pad(cols, GROUP)
    left = np.zeros((tall, wide), np.float32)
    left[:rows, :cols] = weights
    x = np.zeros((len(inputs), wide), np.float32)
    x[:, : min(wide, inputs.shape[1])] = inputs[:, :wide]
    factor = inverse_factor(x)
    importance = (x * x).mean(0)
    out = kernels.aligned(matrix_bytes(format, rows, cols)).reshape(tall // TILE, -1)
    at = 0
    for k in range(0, wide, BLOCK):
        width = min(BLOCK, wide - k)
        block = np.ascontiguousarray(left[:, k : k + width])
        found = pack(format, block, None, importance[k : k + width], threads, name)
        tiles = found.packed.reshape(tall // TILE, -1)
        step = _steps(format, tiles[:, :64], width)
        safe = np.where(step != 0, step, np.float32(1))
        whole = np.zeros((tall, width), np.int32)
        error = np.zeros((tall, width), np.float32)
        own = factor[k : k + width, k : k + width]
        for j in range(width):
            w, s = block[:, j], safe[:, j // GROUP]
            q = np.where(step[:, j // GROUP] != 0, np.clip(np.rint(w / s), low, high), 0)
            whole[:, j] = q
            error[:, j] = (w - q * step[:, j // GROUP]) / own[j, j]
            block[:, j + 1 :] -= error[:, j : j + 1] * own[j, j + 1 :]
        left[:, k + width :] -= error @ factor[k : k + width, k + width :]
        out[:, at : at + 64] = tiles[:, :64]
        body = _body(format, whole)
        out[:, at + 64 : at + 64 + body.shape[1]] = body
        at += 64 + body.shape[1]
    padded_bias = None
    if bias is not None:
        padded_bias = np.zeros(tall, np.float32)
        padded_bias[:rows] = bias
    return Matrix(format, rows, cols, out.reshape(-1), padded_bias)


def _steps(format: Format, headers: NDArray[np.uint8], width: int) -> Floats:
    """Step sizes (rows x groups of 32) that a block's headers (tiles x 64) hold."""
    groups = width // GROUP
    if format is Format.INT8:
        scale = np.ascontiguousarray(headers).view(np.float32).reshape(-1, 1)
        return np.repeat(scale, groups, 1)
    words = np.ascontiguousarray(headers[:, :32]).view(np.uint16)
    if format is Format.TERNARY:
        return np.repeat(words.view(np.float16).astype(np.float32).reshape(-1, 1), groups, 1)
    scale = (words & np.uint16(0x7FF8)).view(np.float16).astype(np.float32)
    steps = []
    for g in range(groups):
        size = (headers[:, 32 + 16 * (g // 2) :][:, :16] >> (4 * (g & 1)) & 15).astype(np.float32)
        negative = (words >> np.uint16(_SIGN_BITS[g]) & np.uint16(1)).astype(bool)
        steps.append((scale * np.where(negative, -size, size)).reshape(-1))
    return np.stack(steps, 1)


def _body(format: Format, whole: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Whole numbers of a block (rows x width) as the bytes behind its headers (tiles x bytes)."""
    zero = {Format.INT8: 128, Format.INT4: 8, Format.TERNARY: 1}[format]
    quads = (whole + zero).astype(np.uint8).reshape(-1, TILE, whole.shape[1] // 4, 4).transpose(0, 2, 1, 3)
    lines: NDArray[np.uint8] = quads.reshape(len(quads), -1, 64)
    if format is Format.INT4:
        lines = lines[:, 0::2] | lines[:, 1::2] << np.uint8(4)
    elif format is Format.TERNARY:
        lines = np.bitwise_or.reduce([lines[:, i::4] << np.uint8(2 * i) for i in range(4)])
    return np.ascontiguousarray(lines).reshape(len(lines), -1)
