"""Random checkpoints with the exact sizes of known models, so that every engine runs the same weights."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

#: Tokens of context of every decode, of our cache, and tokens whose logits are compared.
CONTEXT: Final = 512
CACHE_TOKENS: Final = 2048
LOGIT_TOKENS: Final = 64

#: SmolLM2-135M, Qwen2.5-0.5B, Llama-3.2-1B, from their published configs
SHAPES: Final[dict[str, dict[str, Any]]] = {
    "135m": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
    },
    "0.5b": {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
    },
    "1b": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "vocab_size": 128256,
    },
}
_COMMON: Final = {
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "rope_theta": 100000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "bos_token_id": 0,
    "eos_token_id": 1,
}


def loaded_by_a_child() -> bool:
    """Let a worker of the same command line load (and so convert) first: what converting takes is not memory of
    running. False where this is that child, or no worker at all."""
    if len(sys.argv) != 5:
        return False
    command = [sys.executable, "-m", "npc.bench.inference_worker", *sys.argv[1:], "convert"]
    subprocess.run(command, input='{"do": "load"}\n', text=True, stdout=2, check=True)
    return True


def prompt(count: int, vocab: int, seed: int = 7) -> list[int]:
    """The same tokens for every engine."""
    return [int(t) for t in np.random.default_rng(seed).integers(2, min(vocab, 40000), count)]


def read_tensors(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Names and float32 values of a checkpoint that `write_checkpoint` made."""
    file = folder / "model.safetensors"
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(length))
    for name, entry in header.items():
        if name != "__metadata__":
            bits = np.memmap(file, np.uint16, "r", 8 + length + entry["data_offsets"][0], tuple(entry["shape"]))
            yield name, (bits.astype(np.uint32) << 16).view(np.float32)


def write_checkpoint(folder: Path, shape: str, seed: int) -> None:
    """A bfloat16 safetensors checkpoint of normal weights (deviation 0.02, the usual initialisation)."""
    from npc.inference.config import parse_config  # a peer's interpreter reads this module without our dependencies

    raw = {**_COMMON, **SHAPES[shape]}
    c = parse_config(raw)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(raw))
    width, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (c.vocab, c.hidden)}
    for i in range(c.layers):
        base = f"model.layers.{i}."
        for part, rows in (("q", width), ("k", kv), ("v", kv)):
            shapes[f"{base}self_attn.{part}_proj.weight"] = (rows, c.hidden)
            if c.family == "qwen2":
                shapes[f"{base}self_attn.{part}_proj.bias"] = (rows,)
        shapes[base + "self_attn.o_proj.weight"] = (c.hidden, width)
        shapes[base + "mlp.gate_proj.weight"] = shapes[base + "mlp.up_proj.weight"] = (c.inter, c.hidden)
        shapes[base + "mlp.down_proj.weight"] = (c.hidden, c.inter)
        shapes[base + "input_layernorm.weight"] = shapes[base + "post_attention_layernorm.weight"] = (c.hidden,)
    shapes["model.norm.weight"] = (c.hidden,)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, dims in shapes.items():
        size = 2 * int(np.prod(dims))
        header[name] = {"dtype": "BF16", "shape": list(dims), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(seed)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, dims in shapes.items():
            if "norm" in name:
                values = np.ones(dims, np.float32)
            else:
                values = rng.standard_normal(dims, np.float32) * np.float32(0.02)
            file.write((values.view(np.uint32) >> 16).astype(np.uint16).tobytes())
