"""Small random models, and the plainest way to run one: what every fast path is compared with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npc.inference import kernels
from npc.inference.checkpoint import write_safetensors
from npc.inference.config import ModelConfig, parse_config
from npc.inference.interface import Sampling
from npc.inference.kernels import CacheFormat, Floats, Format
from npc.inference.sampler import adjust, choose, uniform
from npc.inference.step import Batch, KernelStep, Step
from npc.inference.weights import Weights, from_tensors

needs_kernels = pytest.mark.skipif(kernels.load() is None, reason="no C++ compiler here")

BASE: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 96,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}


def tensors(raw: dict[str, Any], seed: int = 0) -> dict[str, Floats]:
    """Random weights by Hugging Face names, large enough that argmax and sampling are not degenerate."""
    rng = np.random.default_rng(seed)
    c = parse_config(raw)
    width, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim

    def random(*shape: int) -> Floats:
        return (rng.standard_normal(shape) * 0.15).astype(np.float32)

    def norm(n: int) -> Floats:
        return (1 + 0.2 * rng.standard_normal(n)).astype(np.float32)

    out = {"model.embed_tokens.weight": random(c.vocab, c.hidden), "model.norm.weight": norm(c.hidden)}
    if not c.tied:
        out["lm_head.weight"] = random(c.vocab, c.hidden)
    for i in range(c.layers):
        base = f"model.layers.{i}."
        out[base + "input_layernorm.weight"] = norm(c.hidden)
        out[base + "post_attention_layernorm.weight"] = norm(c.hidden)
        for part, rows in (("q", width), ("k", kv), ("v", kv)):
            out[f"{base}self_attn.{part}_proj.weight"] = random(rows, c.hidden)
        out[base + "self_attn.o_proj.weight"] = random(c.hidden, width)
        out[base + "mlp.gate_proj.weight"] = random(c.inter, c.hidden)
        out[base + "mlp.up_proj.weight"] = random(c.inter, c.hidden)
        out[base + "mlp.down_proj.weight"] = random(c.hidden, c.inter)
    return out


def model(format: Format = Format.INT4, seed: int = 0, **changes: Any) -> tuple[ModelConfig, Weights]:
    """A tiny model's config and packed weights."""
    raw = {**BASE, **changes}
    config = parse_config(raw)
    return config, from_tensors(config, tensors(raw, seed), format)


def step(
    config: ModelConfig, weights: Weights, pages: int = 64, cache: CacheFormat = CacheFormat.BF16, **options: Any
) -> KernelStep:
    """The kernels' step over a tiny model."""
    return KernelStep(config, weights, pages=pages, positions=config.positions, cache=cache, **options)


def save(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A checkpoint folder of a tiny model, without tokenizer."""
    raw = {**BASE, **changes}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(raw))
    write_safetensors(folder / "model.safetensors", tensors(raw, seed))
    return folder


def logits(model: Step, tokens: Sequence[int]) -> Floats:
    """Logits after every token, in one step, on pages 0, 1, 2..."""
    n = len(tokens)
    pages = np.arange(-(-n // kernels.PAGE), dtype=np.int32)[None]
    span = np.arange(n, dtype=np.int32)
    result = model.forward(Batch(np.asarray(tokens, np.int32), span, np.zeros(n, np.int32), pages, span))
    assert result.logits is not None
    return result.logits.copy()


def plain_loop(model: Step, prompt: Sequence[int], sampling: Sampling, seed: int = 0) -> list[int]:
    """One token at a time, one row a step, no cache sharing: the definition of what a request must produce."""
    tokens: list[int] = []
    everything = list(prompt)
    pages = np.arange(-(-(len(prompt) + sampling.max_tokens) // kernels.PAGE), dtype=np.int32)[None]
    zero = np.zeros(1, np.int32)
    held = 0
    while len(tokens) < sampling.max_tokens:
        row = None
        for at in range(held, len(everything)):
            batch = Batch(np.array([everything[at]], np.int32), np.array([at], np.int32), zero, pages, zero)
            row = model.forward(batch).logits
        assert row is not None
        adjusted = adjust(row[0], everything, sampling, None)
        token = choose(adjusted, sampling, lambda: uniform(sampling.seed or seed, len(everything)))
        tokens.append(token)
        held = len(everything)
        everything.append(token)
    return tokens


def tokenizer(folder: Path, template: bool = True) -> int:
    """A byte tokenizer with chat markers in `folder`; returns its size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    made.save(str(folder / "tokenizer.json"))
    chatml = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    settings: dict[str, Any] = {"eos_token": {"content": "<|im_end|>"}}
    if template:
        settings["chat_template"] = chatml
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return made.get_vocab_size()


def directory(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A whole tiny model directory."""
    save(folder, seed, **{"vocab_size": 258, "max_position_embeddings": 512, **changes})
    tokenizer(folder)
    return folder
