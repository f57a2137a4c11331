"""Paged decode attention with an INT8 cache, in Triton: one program per sequence and key-value head.

    keys, values   pages x kv heads x PAGE x head_dim, signed bytes
    scales         pages x kv heads x PAGE, half: one per token and head, for keys and for values
    tables         sequences x width page numbers; lengths: tokens of each sequence

All query heads of a group share each page that is read. Online softmax in float32.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

PAGE = 32


@triton.jit
def _decode(
    q_ptr, k_ptr, v_ptr, k_scale_ptr, v_scale_ptr, table_ptr, length_ptr, out_ptr, scale, width,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, GROUP: tl.constexpr, DIM: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    sequence, kv = tl.program_id(0), tl.program_id(1)
    group, d, token = tl.arange(0, GROUP), tl.arange(0, DIM), tl.arange(0, TOKENS)
    real = group < HEADS // KV_HEADS
    head = kv * (HEADS // KV_HEADS) + group
    at = (sequence * HEADS + head)[:, None] * DIM + d[None, :]
    q = tl.load(q_ptr + at, mask=real[:, None], other=0.0).to(tl.float32)
    length = tl.load(length_ptr + sequence)
    most = tl.full((GROUP,), float("-inf"), dtype=tl.float32)
    total = tl.zeros((GROUP,), dtype=tl.float32)
    acc = tl.zeros((GROUP, DIM), dtype=tl.float32)
    for page_at in range(tl.cdiv(length, TOKENS)):
        page = tl.load(table_ptr + sequence * width + page_at)
        base = (page * KV_HEADS + kv) * TOKENS
        seen = page_at * TOKENS + token < length
        k = tl.load(k_ptr + (base + token)[:, None] * DIM + d[None, :], mask=seen[:, None], other=0).to(tl.float32)
        k_scale = tl.load(k_scale_ptr + base + token, mask=seen, other=0.0).to(tl.float32)
        score = tl.sum(q[:, None, :] * k[None, :, :], axis=2) * k_scale[None, :] * scale
        score = tl.where(seen[None, :], score, float("-inf"))
        now = tl.maximum(most, tl.max(score, axis=1))
        weight = tl.exp(score - now[:, None])
        keep = tl.exp(most - now)
        total = total * keep + tl.sum(weight, axis=1)
        v = tl.load(v_ptr + (base + token)[:, None] * DIM + d[None, :], mask=seen[:, None], other=0).to(tl.float32)
        v_scale = tl.load(v_scale_ptr + base + token, mask=seen, other=0.0).to(tl.float32)
        mixed = tl.sum((weight * v_scale[None, :])[:, :, None] * v[None, :, :], axis=1)
        acc = acc * keep[:, None] + mixed
        most = now
    out = acc / total[:, None]
    tl.store(out_ptr + at, out.to(out_ptr.dtype.element_ty), mask=real[:, None])


def quantise_tokens(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(bytes, half scales) of keys or values (... x head_dim): one scale per token and head."""
    scale = (x.float().abs().amax(-1) / 127).clamp(min=1e-8).half()
    return (x.float() / scale.float()[..., None]).round().clamp(-127, 127).to(torch.int8), scale


def decode_attention(
    q: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    key_scales: torch.Tensor,
    value_scales: torch.Tensor,
    tables: torch.Tensor,
    lengths: torch.Tensor,
) -> torch.Tensor:
    """Attention of one new token a sequence: q and result are sequences x heads x head_dim (a power of two)."""
    sequences, heads, dim = q.shape
    kv_heads = keys.shape[1]
    out = torch.empty_like(q)
    group = triton.next_power_of_2(heads // kv_heads)
    _decode[(sequences, kv_heads)](
        q, keys, values, key_scales, value_scales, tables, lengths, out, dim**-0.5, tables.shape[1],
        heads, kv_heads, group, dim, PAGE,
    )  # fmt: skip
    return out
