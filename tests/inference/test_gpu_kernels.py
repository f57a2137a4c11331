"""The Triton kernels against plain torch, through Triton's interpreter on the CPU (in a process of its own: the
interpreter is chosen when triton is imported). It says nothing on speed, races or what a GPU compiler accepts."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

KERNELS = Path(__file__).resolve().parents[2] / "kernels/gpu"

CHECKS = {
    "linear": """
from weight_only import linear, pack, unpack
torch.manual_seed(0)
for bits in (8, 4, 2):
    for m, n, k in ((1, 40, 96), (1, 64, 256), (5, 70, 160), (20, 33, 64)):
        w, x, bias = torch.randn(n, k) * 0.1, torch.randn(m, k).half(), torch.randn(n).half()
        packed, scale = pack(w, bits)
        assert packed.numel() == n * k * bits // 8
        want = x.float() @ unpack(packed, scale, bits).half().float().T + bias.float()
        got = linear(x, packed, scale, bits, bias).float()
        assert (got - want).abs().max() < 0.02, (bits, m, n, k, (got - want).abs().max())
error = [(unpack(*pack(w, b), b) - w).norm() / w.norm() for b in (8, 4, 2)]
assert error[0] < 0.01 and error[1] < 0.12 and error[2] < 0.6, error
ternary = torch.randint(-1, 2, (8, 64)).float() * 0.25
assert torch.equal(unpack(*pack(ternary, 2), 2), ternary)
""",
    "norms": """
from norms import add_norm
torch.manual_seed(0)
for rows, hidden in ((1, 64), (5, 96)):
    x, add, weight = torch.randn(rows, hidden), torch.randn(rows, hidden), torch.rand(hidden)
    total = x + add
    want = total * torch.rsqrt((total * total).mean(-1, keepdim=True) + 1e-5) * weight
    got = add_norm(x, weight, 1e-5, add)
    assert torch.allclose(got, want, atol=1e-5) and torch.equal(x, total)
    assert torch.allclose(add_norm(x, weight, 1e-5), want, atol=1e-5)
""",
    "attention": """
from attention import PAGE, decode_attention, quantise_tokens
torch.manual_seed(0)
for heads, kv_heads in ((4, 2), (3, 1), (2, 2)):
    lengths, dim, pages = torch.tensor([1, 33, 70], dtype=torch.int32), 32, 9
    tables = torch.tensor([[8, 0, 0], [3, 5, 0], [1, 7, 2]], dtype=torch.int32)
    k, ks = quantise_tokens(torch.randn(pages, kv_heads, PAGE, dim))
    v, vs = quantise_tokens(torch.randn(pages, kv_heads, PAGE, dim))
    q = torch.randn(3, heads, dim)
    got = decode_attention(q, k, v, ks, vs, tables, lengths)
    for s in range(3):
        n = int(lengths[s])
        for h in range(heads):
            kv = h // (heads // kv_heads)
            keys = torch.cat([k[p, kv].float() * ks[p, kv].float()[:, None] for p in tables[s]])[:n]
            values = torch.cat([v[p, kv].float() * vs[p, kv].float()[:, None] for p in tables[s]])[:n]
            want = torch.softmax(keys @ q[s, h] * dim**-0.5, 0) @ values
            assert (got[s, h] - want).abs().max() < 1e-4
""",
    "decode": """
from decode import Decoder, Shape
from weight_only import pack, unpack
torch.manual_seed(0)
shape = Shape(64, 96, 2, 4, 2, 16, 50)
kv = shape.kv_heads * shape.head_dim
sizes = {"model.embed_tokens": (50, 64)}
for i in range(2):
    base = f"model.layers.{i}."
    sizes |= {base + "self_attn.q_proj": (64, 64)} | {f"{base}self_attn.{p}_proj": (kv, 64) for p in "kv"}
    sizes |= {base + "self_attn.o_proj": (64, 64), base + "mlp.down_proj": (64, 96)}
    sizes |= {base + "mlp.gate_proj": (96, 64), base + "mlp.up_proj": (96, 64)}
w = {name + ".weight": torch.randn(size) * 0.2 for name, size in sizes.items()}
for name in ["model.norm"] + [f"model.layers.{i}.{n}_layernorm" for i in range(2) for n in ("input", "post_attention")]:
    w[name + ".weight"] = 1 + 0.1 * torch.randn(64)
made = Decoder(shape, w, bits=8, sequences=2, width=2, device="cpu")
made.capture()
prompts = torch.randint(0, 50, (2, 5))
said = made.generate(prompts, 6)

def norm(x, name):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-5) * w[name + ".weight"]

def plain(name, x):
    return x @ unpack(*pack(w[name + ".weight"], 8), 8).T

def turn(x):
    angle = torch.outer(torch.arange(x.shape[0]), 10000.0 ** (-torch.arange(0, 16, 2) / 16))[:, None]
    a, b = x.chunk(2, -1)
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

for s in range(2):
    ids = torch.cat([prompts[s], said[s, :-1]])
    x = w["model.embed_tokens.weight"][ids]
    n = len(ids)
    for i in range(2):
        base = f"model.layers.{i}."
        h = norm(x, base + "input_layernorm")
        q, k, v = (plain(f"{base}self_attn.{p}_proj", h).view(n, -1, 16) for p in "qkv")
        q, k = turn(q), turn(k)
        k, v = (t.repeat_interleave(2, 1) for t in (k, v))
        score = torch.einsum("qhd,khd->hqk", q, k) / 4 + torch.full((n, n), float("-inf")).triu(1)
        mixed = torch.einsum("hqk,khd->qhd", score.softmax(-1), v).reshape(n, 64)
        x = x + plain(base + "self_attn.o_proj", mixed)
        h = norm(x, base + "post_attention_layernorm")
        h = torch.nn.functional.silu(plain(base + "mlp.gate_proj", h)) * plain(base + "mlp.up_proj", h)
        x = x + plain(base + "mlp.down_proj", h)
    logits = plain("model.embed_tokens", norm(x, "model.norm"))
    assert (made.logits[s].float() - logits[-1]).abs().max() < 0.05 * logits.abs().max(), s
    best = logits[4:].max(-1).values
    assert (best - logits[4:].gather(1, said[s][:, None])[:, 0]).max() < 0.05 * logits.abs().max(), s
try:
    made.generate(prompts, 70)
    raise AssertionError("64 places do not hold 75 tokens")
except ValueError:
    pass
""",
}


@pytest.mark.parametrize("name", CHECKS)
def test_kernels_agree_with_torch(name: str) -> None:
    for library in ("torch", "triton"):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed (extra gpu)")
    done = subprocess.run(
        [sys.executable, "-c", f"import torch\n{CHECKS[name]}"],
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(KERNELS)},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr[-2000:]
