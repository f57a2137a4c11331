"""RMSNorm fused with the residual addition before it, in Triton: one read and one write of the residual stream."""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def _add_norm(x_ptr, add_ptr, weight_ptr, out_ptr, hidden, eps, HAS_ADD: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    mask = at < hidden
    x = tl.load(x_ptr + row * hidden + at, mask=mask, other=0.0).to(tl.float32)
    if HAS_ADD:
        x += tl.load(add_ptr + row * hidden + at, mask=mask, other=0.0).to(tl.float32)
        tl.store(x_ptr + row * hidden + at, x.to(x_ptr.dtype.element_ty), mask=mask)
    inverse = 1.0 / tl.sqrt(tl.sum(x * x, axis=0) / hidden + eps)
    weight = tl.load(weight_ptr + at, mask=mask, other=0.0).to(tl.float32)
    tl.store(out_ptr + row * hidden + at, (x * inverse * weight).to(out_ptr.dtype.element_ty), mask=mask)


def add_norm(x: torch.Tensor, weight: torch.Tensor, eps: float, add: torch.Tensor | None = None) -> torch.Tensor:
    """RMSNorm of x (rows x hidden), after x += add in place where `add` is given."""
    out = torch.empty_like(x)
    block = triton.next_power_of_2(x.shape[1])
    _add_norm[(len(x),)](x, add if add is not None else x, weight, out, x.shape[1], eps, add is not None, block)
    return out
