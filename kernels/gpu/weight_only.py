"""Weight-only linear layers in Triton: y = x W with 4-bit, 8-bit or ternary weights and half-precision activations.

    W4A16    two weights a byte along K (low nibble first, stored + 8), a half scale per row and group of 32
    W8A16    a signed byte a weight, a half scale per row and group of 32
    ternary  four weights a byte along K (stored + 1), a half scale per row and group of 32

One program computes BLOCK_N outputs for BLOCK_M rows. For a single row the dot product is a multiply and a sum (a GEMV
reads every weight once; tensor cores would idle); for more rows it is tl.dot on weights unpacked in registers. The same
sums in float32 either way. Checked on the CPU through Triton's interpreter: float16 only, as its tl.dot is wrong on
bfloat16 inputs.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

GROUP = 32


@triton.jit
def _unpack(packed, BITS: tl.constexpr, shift):
    """Whole numbers of packed bytes: `shift` is the bit offset of each element."""
    if BITS == 8:
        return packed.to(tl.int8).to(tl.float32)
    if BITS == 4:
        return ((packed >> shift) & 15).to(tl.float32) - 8.0
    return ((packed >> shift) & 3).to(tl.float32) - 1.0


@triton.jit
def _linear(
    x_ptr,
    w_ptr,
    scale_ptr,
    bias_ptr,
    y_ptr,
    M,
    N,
    K,
    BITS: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    per_byte: tl.constexpr = 8 // BITS
    rows = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    cols = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for start in range(0, K, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K)
        w_mask = (cols[:, None] < N) & (k[None, :] < K)
        packed = tl.load(w_ptr + cols[:, None] * (K // per_byte) + (k // per_byte)[None, :], mask=w_mask, other=0)
        whole = _unpack(packed, BITS, ((k % per_byte) * BITS)[None, :].to(tl.uint8))
        scale = tl.load(scale_ptr + cols[:, None] * (K // 32) + (k // 32)[None, :], mask=w_mask, other=0.0)
        weights = whole * scale.to(tl.float32)
        x_mask = (rows[:, None] < M) & (k[None, :] < K)
        x = tl.load(x_ptr + rows[:, None] * K + k[None, :], mask=x_mask, other=0.0)
        if BLOCK_M == 1:
            acc += tl.sum(x.to(tl.float32) * weights, axis=1)[None, :]
        else:
            acc += tl.dot(x, tl.trans(weights.to(x.dtype)), out_dtype=tl.float32)
    if HAS_BIAS:
        acc += tl.load(bias_ptr + cols, mask=cols < N, other=0.0).to(tl.float32)[None, :]
    out = y_ptr + rows[:, None] * N + cols[None, :]
    tl.store(out, acc.to(y_ptr.dtype.element_ty), mask=(rows[:, None] < M) & (cols[None, :] < N))


def pack(weights: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(packed bytes N x K*bits/8, half scales N x K/32) of float weights N x K; K a multiple of 32, bits 8, 4 or 2."""
    n, k = weights.shape
    if k % GROUP or bits not in (8, 4, 2):
        raise ValueError(f"K must be a multiple of {GROUP} and bits 8, 4 or 2; got K={k}, bits={bits}")
    groups = weights.float().reshape(n, -1, GROUP)
    if bits == 2:
        level = groups.abs().mean(-1, keepdim=True)
        whole = torch.where(groups.abs() > 0.5 * level, groups.sign(), 0.0)
        scale = (groups.abs() * whole.abs()).sum(-1) / whole.abs().sum(-1).clamp(min=1)
    else:
        top = 127 if bits == 8 else 7
        scale = groups.abs().amax(-1) / top
        safe = scale.clamp(min=1e-10).half().float()
        whole = (groups / safe[..., None]).round().clamp(-top - (bits == 4), top)
    whole = whole.reshape(n, k)
    if bits == 8:
        return whole.to(torch.int8).view(torch.uint8), scale.half()
    per_byte = 8 // bits
    stored = (whole + (8 if bits == 4 else 1)).to(torch.uint8).reshape(n, -1, per_byte)
    packed = torch.zeros_like(stored[..., 0])
    for i in range(per_byte):
        packed |= stored[..., i] << (bits * i)
    return packed, scale.half()


def unpack(packed: torch.Tensor, scale: torch.Tensor, bits: int) -> torch.Tensor:
    """The float weights that `pack` stands for: the reference of `linear`."""
    if bits == 8:
        whole = packed.view(torch.int8).float()
    else:
        parts = [(packed >> (bits * i)) & (2**bits - 1) for i in range(8 // bits)]
        whole = torch.stack(parts, -1).reshape(len(packed), -1).float() - (8 if bits == 4 else 1)
    return whole * scale.float().repeat_interleave(GROUP, 1)


def linear(
    x: torch.Tensor, packed: torch.Tensor, scale: torch.Tensor, bits: int, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """x (M x K, half) times the packed weights: M x N in x's type."""
    m, k = x.shape
    n = len(packed)
    y = torch.empty((m, n), dtype=x.dtype, device=x.device)
    block_m = 1 if m == 1 else 16
    block_n = 32 if m == 1 else 64
    grid = (triton.cdiv(n, block_n), triton.cdiv(m, block_m))
    _linear[grid](
        x, packed, scale, bias if bias is not None else x, y, m, n, k, bits, bias is not None, block_m, block_n, 128
    )  # fmt: skip
    return y
