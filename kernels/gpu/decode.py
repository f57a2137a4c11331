"""The decode loop on a GPU: a step of the whole model on fixed buffers, captured once as a CUDA graph and replayed.

    tokens ─ embed ─┬ add_norm ─ qkv ─ rotate ─ write page ─ paged attention ─ o ─┐  x layers
                    └ add_norm ─ gate up ─ silu ─ down ───────────────────────────┘
    ─ add_norm ─ head ─ argmax ─> tokens, positions + 1, said[count], count + 1       all of it on the device

A small model's step is some hundred launches of a few microseconds each, longer than its reads of memory: the graph
takes the launches away, and since the chosen token stays on the device nothing waits for the host between steps.
Llama-shaped weights (Hugging Face names), head_dim a power of two. Without CUDA the same step runs eagerly (Triton's
interpreter).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from attention import PAGE, decode_attention, quantise_tokens
from norms import add_norm
from weight_only import linear, pack


@dataclass(frozen=True)
class Shape:
    """Sizes of a model."""

    hidden: int
    inter: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    eps: float = 1e-5
    theta: float = 10000.0


Packed = tuple[torch.Tensor, torch.Tensor]


class Decoder:
    """Greedy decoding of a fixed number of sequences. Pages are given once, `width` of them to each sequence."""

    def __init__(
        self,
        shape: Shape,
        weights: Mapping[str, torch.Tensor],
        *,
        bits: int = 4,
        sequences: int = 1,
        width: int = 16,
        device: str = "cuda",
    ) -> None:
        """`weights` in any float type; they are packed to `bits` here. Contexts up to `width` pages of 32 tokens."""
        self.shape, self.bits, self.device = shape, bits, device
        s, half = shape, torch.float16

        def packed(*names: str) -> Packed:
            whole, scale = pack(torch.cat([weights[n].float() for n in names]), bits)
            return whole.to(device), scale.to(device)

        def norm(name: str) -> torch.Tensor:
            return weights[name].to(device, half)

        self._layers: list[dict[str, Packed | torch.Tensor]] = []
        for i in range(s.layers):
            base = f"model.layers.{i}."
            self._layers.append(
                {
                    "norm": norm(base + "input_layernorm.weight"),
                    "qkv": packed(*(f"{base}self_attn.{part}_proj.weight" for part in "qkv")),
                    "o": packed(base + "self_attn.o_proj.weight"),
                    "mlp_norm": norm(base + "post_attention_layernorm.weight"),
                    "up": packed(base + "mlp.gate_proj.weight", base + "mlp.up_proj.weight"),
                    "down": packed(base + "mlp.down_proj.weight"),
                }
            )
        table = weights["model.embed_tokens.weight"]
        self._table, self._norm = table.to(device, half), norm("model.norm.weight")
        whole, scale = pack(weights.get("lm_head.weight", table).float(), bits)
        self._head: Packed = (whole.to(device), scale.to(device))
        angle = torch.outer(
            torch.arange(width * PAGE, dtype=torch.float64),
            s.theta ** (-torch.arange(0, s.head_dim, 2, dtype=torch.float64) / s.head_dim),
        )
        self._cos, self._sin = (f(angle).to(device, torch.float32) for f in (torch.cos, torch.sin))
        places = (s.layers, sequences * width, s.kv_heads, PAGE)
        self._keys, self._values = (torch.zeros(*places, s.head_dim, dtype=torch.int8, device=device) for _ in "kv")
        self._key_scales, self._value_scales = (torch.zeros(places, dtype=half, device=device) for _ in "kv")
        self._tables = torch.arange(sequences * width, dtype=torch.int32, device=device).view(sequences, width)
        self._each = torch.arange(sequences, device=device)
        self._kv = torch.arange(s.kv_heads, device=device)[None, :]
        # What a replay reads and writes; never replaced, only changed in place.
        self.tokens = torch.zeros(sequences, dtype=torch.long, device=device)
        self.positions = torch.zeros(sequences, dtype=torch.long, device=device)
        self.logits = torch.zeros(sequences, s.vocab, dtype=half, device=device)
        self.said = torch.zeros(sequences, width * PAGE, dtype=torch.long, device=device)
        self._count = torch.zeros(sequences, 1, dtype=torch.long, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None

    @property
    def weight_bytes(self) -> int:
        """Bytes of packed weights that a step reads."""
        parts = [p for layer in self._layers for p in layer.values() if isinstance(p, tuple)]
        return sum(t.nbytes for part in (*parts, self._head) for t in part)

    def step(self) -> None:
        """One token for every sequence, on the buffers. Everything here can be captured: no shape or value of the data
        decides what runs."""
        s = self.shape
        page, slot = self._tables[self._each, self.positions // PAGE].long(), self.positions % PAGE
        lengths = (self.positions + 1).int()
        x, add = self._table[self.tokens].clone(), None
        for i, layer in enumerate(self._layers):
            qkv = self._linear(add_norm(x, layer["norm"], s.eps, add), layer["qkv"])
            q, k, v = qkv.view(len(x), -1, s.head_dim).split([s.heads, s.kv_heads, s.kv_heads], dim=1)
            q, k = self._rotate(q), self._rotate(k)
            for cache, scales, value in (
                (self._keys, self._key_scales, k),
                (self._values, self._value_scales, v),
            ):
                whole, scale = quantise_tokens(value)
                cache[i].index_put_((page[:, None], self._kv, slot[:, None]), whole)
                scales[i].index_put_((page[:, None], self._kv, slot[:, None]), scale)
            mixed = decode_attention(
                q.contiguous(), self._keys[i], self._values[i], self._key_scales[i], self._value_scales[i],
                self._tables, lengths,
            )  # fmt: skip
            inner = self._linear(mixed.view(len(x), -1), layer["o"])
            gate, up = self._linear(add_norm(x, layer["mlp_norm"], s.eps, inner), layer["up"]).chunk(2, dim=1)
            add = self._linear(torch.nn.functional.silu(gate.float()).half() * up, layer["down"])
        self.logits.copy_(self._linear(add_norm(x, self._norm, s.eps, add), self._head))
        self.tokens.copy_(self.logits.argmax(1))
        self.said.scatter_(1, self._count, self.tokens[:, None])
        self.positions += 1
        self._count += 1

    def capture(self) -> None:
        """Record the step as a graph (on a side stream, after warming up, as CUDA asks). The buffers are as before."""
        if self.device == "cpu":
            return
        held = [t.clone() for t in (self.tokens, self.positions, self._count)]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):  # Triton compiles at the first call, cuBLAS and the allocator settle
                self.step()
                self._restore(held)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self.step()
        self._restore(held)

    def generate(self, prompts: torch.Tensor, count: int) -> torch.Tensor:
        """`count` greedy tokens (sequences x count) after prompts of equal length (sequences x tokens), read one token
        a step: this is the decode loop, not a prefill. Raises ValueError when the context would overflow."""
        room = self.said.shape[1]
        if prompts.shape[1] + count > room or prompts.shape[0] != len(self.tokens) or not prompts.shape[1]:
            raise ValueError(f"{tuple(prompts.shape)} tokens and {count} more do not fit {len(self.tokens)} x {room}")
        self.positions.zero_()
        for at in range(prompts.shape[1]):
            self.tokens.copy_(prompts[:, at].to(self.device))
            self._count.zero_()
            self.replay()
        for _ in range(count - 1):
            self.replay()
        return self.said[:, :count].clone()

    def replay(self) -> None:
        """One token for every sequence: the graph where there is one."""
        if self._graph is not None:
            self._graph.replay()
        else:
            self.step()

    def _restore(self, held: list[torch.Tensor]) -> None:
        for buffer, value in zip((self.tokens, self.positions, self._count), held, strict=True):
            buffer.copy_(value)

    def _linear(self, x: torch.Tensor, packed: Packed | torch.Tensor) -> torch.Tensor:
        return linear(x.contiguous(), packed[0], packed[1], self.bits)

    def _rotate(self, x: torch.Tensor) -> torch.Tensor:
        cos, sin = self._cos[self.positions][:, None], self._sin[self.positions][:, None]
        a, b = x.float().chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(x.dtype)
