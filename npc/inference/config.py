"""What a decoder-only checkpoint is: sizes and variants read from a Hugging Face `config.json`.

Understood: Llama 2/3, SmolLM2, Mistral, Qwen2/2.5 and Qwen3 (dense); Mamba-2 is read by mamba.py. Anything else
is refused by name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARCHITECTURES = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
}


_ROPE_NUMBERS = ("factor", "original_max_position_embeddings", "beta_fast", "beta_slow", "attention_factor")


class CheckpointError(ValueError):
    """A model directory that cannot be used; the message names the file and the cause."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes of one model. `windows` has one entry a layer: keys a token sees including itself, 0 for all."""

    family: str
    hidden: int
    inter: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    positions: int
    eps: float
    tied: bool
    qk_norm: bool
    windows: tuple[int, ...]
    rope: Mapping[str, Any]
    end_tokens: tuple[int, ...]
    raw: Mapping[str, Any]
    """The config.json it came from, kept so that a packed file can carry it."""

    @property
    def parameters(self) -> int:
        """Weights read per token: all matrices, the head once (embedding look-ups excluded when untied)."""
        width = self.heads * self.head_dim
        layer = self.hidden * (2 * width + 2 * self.kv_heads * self.head_dim + 3 * self.inter)
        return self.layers * layer + self.vocab * self.hidden


def read_config(folder: Path) -> ModelConfig:
    """The config of a transformer's checkpoint folder. Raises CheckpointError."""
    return parse_config(read_json(folder), str(folder / "config.json"))


def read_json(folder: Path) -> dict[str, Any]:
    """config.json with the end tokens of generation_config.json where it names some. Raises CheckpointError."""
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(
            f"{folder}: no config.json; give a Hugging Face model directory (config.json, *.safetensors)"
        )
    try:
        raw = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable as JSON: {error}") from None
    generation = folder / "generation_config.json"
    if generation.is_file() and isinstance(raw, dict):
        try:
            given = json.loads(generation.read_text())
        except ValueError as error:
            raise CheckpointError(f"{generation}: not readable as JSON: {error}") from None
        if isinstance(given, dict) and given.get("eos_token_id") is not None:
            raw["eos_token_id"] = given["eos_token_id"]
    if not isinstance(raw, dict):
        raise CheckpointError(f"{path}: must hold a JSON object")
    return raw


def parse_config(raw: Any, name: str = "config.json") -> ModelConfig:
    """Check and normalise the fields of a config.json. Raises CheckpointError naming `name`."""
    if not isinstance(raw, dict):
        raise CheckpointError(f"{name}: must hold a JSON object")
    named = raw.get("architectures") or ["(none)"]
    architecture = str(named[0] if isinstance(named, list) else named)
    family = ARCHITECTURES.get(architecture)
    if family is None:
        known = ", ".join(sorted(ARCHITECTURES))
        if architecture == "Mamba2ForCausalLM":
            raise CheckpointError(f"{name}: Mamba-2 is packed when it is loaded; this takes {known} alone")
        raise CheckpointError(f"{name}: architecture {architecture!r} is not one of {known}")

    def whole(key: str, default: int | None = None) -> int:
        value = raw.get(key)
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise CheckpointError(f"{name}: {key} must be a positive integer, not {value!r}")
        return value

    hidden, heads, layers = whole("hidden_size"), whole("num_attention_heads"), whole("num_hidden_layers")
    kv_heads = whole("num_key_value_heads", heads)
    head_dim = whole("head_dim", max(1, hidden // heads))
    if heads % kv_heads or head_dim % 2 or heads // kv_heads > 64 or head_dim > 512:
        raise CheckpointError(
            f"{name}: {heads} heads of {head_dim} with {kv_heads} key-value heads do not fit together"
        )
    if raw.get("hidden_act", "silu") not in ("silu", "swish"):
        raise CheckpointError(f"{name}: hidden_act {raw['hidden_act']!r} is not supported (silu is)")
    return ModelConfig(
        family=family,
        hidden=hidden,
        inter=whole("intermediate_size"),
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocab=whole("vocab_size"),
        positions=whole("max_position_embeddings", 2048),
        eps=_number(raw, "rms_norm_eps", 1e-6, name),
        tied=bool(raw.get("tie_word_embeddings", False)),
        qk_norm=family == "qwen3",
        windows=_windows(raw, family, layers, name),
        rope=_rope(raw, name),
        end_tokens=end_tokens(raw, name),
        raw=raw,
    )


def _number(raw: Mapping[str, Any], key: str, default: float, name: str) -> float:
    value = raw.get(key)
    value = default if value is None else value
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise CheckpointError(f"{name}: {key} must be a number above 0, not {value!r}")
    return float(value)


def end_tokens(raw: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """`eos_token_id`: none, one, or several. Raises CheckpointError naming `name`."""
    ends = raw.get("eos_token_id")
    found = ends if isinstance(ends, list) else [] if ends is None else [ends]
    if not all(isinstance(token, int) and not isinstance(token, bool) for token in found):
        raise CheckpointError(f"{name}: eos_token_id must be a token id or a list of them, not {ends!r}")
    return tuple(found)


def _windows(raw: Mapping[str, Any], family: str, layers: int, name: str) -> tuple[int, ...]:
    window = raw.get("sliding_window")
    if not window or family == "llama" or (family != "mistral" and not raw.get("use_sliding_window", False)):
        return (0,) * layers
    if not isinstance(window, int) or window < 1:
        raise CheckpointError(f"{name}: sliding_window must be a positive integer, not {window!r}")
    types = raw.get("layer_types")
    if types:
        if not isinstance(types, list) or len(types) != layers:
            raise CheckpointError(f"{name}: layer_types must name the kind of each of the {layers} layers")
        return tuple(window if kind == "sliding_attention" else 0 for kind in types)
    full = 0 if family == "mistral" else int(raw.get("max_window_layers", layers))
    return tuple(0 if layer < full else int(window) for layer in range(layers))


def _rope(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    given = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    if not isinstance(given, dict):
        raise CheckpointError(f"{name}: rope_scaling must be an object, not {given!r}")
    kind = given.get("rope_type") or given.get("type") or "default"
    if kind not in ("default", "linear", "llama3", "yarn"):
        raise CheckpointError(f"{name}: RoPE type {kind!r} is not supported (default, linear, llama3, yarn are)")
    if float(given.get("partial_rotary_factor", raw.get("partial_rotary_factor", 1.0)) or 1.0) != 1.0:
        raise CheckpointError(f"{name}: partial rotary embeddings are not supported")
    theta = _number({**raw, **given}, "rope_theta", 10000.0, name)
    numbers = {"low_freq_factor", "high_freq_factor"} if kind == "llama3" else set()
    if missing := sorted(key for key in numbers if given.get(key) is None):
        raise CheckpointError(f"{name}: RoPE type {kind!r} needs {', '.join(missing)}")
    for key in sorted(set(given) & {*_ROPE_NUMBERS, *numbers}):
        _number(given, key, 1.0, name)
    return {**given, "rope_type": kind, "rope_theta": theta}


def rope_table(config: ModelConfig, positions: int) -> NDArray[np.float32]:
    """positions x head_dim: the cosines, then the sines, of the head_dim / 2 rotation angles of each position.

    Scalings as in the papers and `transformers`: linear (positions divided), Llama 3 (wavelengths beyond the old
    context stretched, a smooth band between), YaRN (Peng et al. 2023: interpolation ramp, attention temperature).
    """
    rope, half = config.rope, config.head_dim // 2
    inverse = rope["rope_theta"] ** (-np.arange(half, dtype=np.float64) / half)
    temperature = 1.0
    factor = float(rope.get("factor") or 1.0)
    old = float(rope.get("original_max_position_embeddings") or config.positions)
    match rope["rope_type"]:
        case "linear":
            inverse = inverse / factor
        case "llama3":
            low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
            wave = 2 * math.pi / inverse
            smooth = np.clip((old / wave - low) / (high - low), 0.0, 1.0)
            inverse = inverse * ((1 - smooth) / factor + smooth)
        case "yarn":
            fast, slow = float(rope.get("beta_fast") or 32), float(rope.get("beta_slow") or 1)

            def dimension(turns: float) -> float:
                return half * math.log(old / (turns * 2 * math.pi)) / math.log(rope["rope_theta"])

            low, high = dimension(fast), dimension(slow)
            if rope.get("truncate", True):
                low, high = math.floor(low), math.ceil(high)
            low, high = max(low, 0), min(high, config.head_dim - 1)
            ramp = np.clip((np.arange(half) - low) / max(high - low, 1e-3), 0.0, 1.0)
            inverse = inverse / factor * ramp + inverse * (1 - ramp)
            given = rope.get("attention_factor")
            temperature = float(given) if given else (0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0)
    angle = np.arange(positions, dtype=np.float64)[:, None] * inverse.astype(np.float32).astype(np.float64)
    return (np.concatenate([np.cos(angle), np.sin(angle)], 1) * temperature).astype(np.float32)
