"""A trained network as a Llama checkpoint that any runtime reads, ours included; and back again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from npc.training.mind.network import Block, MindModel, Shape


def tensors(model: MindModel) -> dict[str, Tensor]:
    """The network's weights by their Hugging Face names."""
    found: dict[str, Tensor] = {
        "model.embed_tokens.weight": model.embedding.weight,
        "model.norm.weight": model.norm.weight,
    }
    for number, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        at = f"model.layers.{number}."
        q, k, v = block.qkv.weight.chunk(3)
        gate, up = block.gate_up.weight.chunk(2)
        found |= {
            at + "input_layernorm.weight": block.attention_norm.weight,
            at + "post_attention_layernorm.weight": block.feed_norm.weight,
            at + "self_attn.q_proj.weight": q,
            at + "self_attn.k_proj.weight": k,
            at + "self_attn.v_proj.weight": v,
            at + "self_attn.o_proj.weight": block.out.weight,
            at + "mlp.gate_proj.weight": gate,
            at + "mlp.up_proj.weight": up,
            at + "mlp.down_proj.weight": block.down.weight,
        }
    return found


def export(model: MindModel, tokenizer: Tokenizer, card: dict[str, Any], out: Path) -> None:
    """Write config, float16 safetensors, tokenizer and `card.json` into the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    shape = model.shape
    arrays = {
        name: np.ascontiguousarray(value.detach().float().numpy().astype(np.float16))
        for name, value in tensors(model).items()
    }
    save_file(arrays, str(out / "model.safetensors"))
    (out / "model.safetensors").chmod(0o644)  # the library leaves it to its owner alone
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": shape.width,
        "intermediate_size": shape.inner, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads, "vocab_size": shape.vocabulary, "max_position_embeddings": shape.length,
        "rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "tie_word_embeddings": True, "torch_dtype": "float16",
        "eos_token_id": tokenizer.token_to_id("<end>"), "pad_token_id": tokenizer.token_to_id("<pad>"),
    }  # fmt: skip
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")


def load(folder: Path) -> tuple[MindModel, Tokenizer]:
    """An exported model as a network again, to go on with it. Raises OSError, KeyError on a broken folder."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    shape = Shape(config["vocab_size"], config["hidden_size"], config["num_hidden_layers"],
                  config["num_attention_heads"], config["intermediate_size"],
                  config["max_position_embeddings"])  # fmt: skip
    model = MindModel(shape)
    arrays = load_file(str(folder / "model.safetensors"))
    with torch.no_grad():
        for name, target in tensors(model).items():
            target.copy_(torch.from_numpy(arrays[name].astype(np.float32)))
    return model, Tokenizer.from_file(str(folder / "tokenizer.json"))
