"""Our logits against `transformers` on the same random weights, for every architecture and RoPE variant we read."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npc.inference.checkpoint import Checkpoint
from npc.inference.config import parse_config, read_config
from npc.inference.interface import Sampling
from npc.inference.kernels import CacheFormat, Floats, Format
from npc.inference.reference import ReferenceStep
from npc.inference.weights import from_tensors
from tests.inference import tiny

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama2": ("LlamaConfig", {}),
    "llama3": ("LlamaConfig", {"head_dim": 32, "rope_scaling": LLAMA3, "rope_theta": 5e5}),
    "smollm2": ("LlamaConfig", {"tie_word_embeddings": True, "num_attention_heads": 3, "num_key_value_heads": 3}),
    "linear": ("LlamaConfig", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
    "yarn": ("LlamaConfig", {"rope_scaling": YARN, "attention_bias": True, "mlp_bias": True}),
    "mistral": ("MistralConfig", {"sliding_window": 37}),
    "qwen2": ("Qwen2Config", {"tie_word_embeddings": True}),
    "qwen2-window": ("Qwen2Config", {"use_sliding_window": True, "sliding_window": 20, "max_window_layers": 1}),
    "qwen3": ("Qwen3Config", {"head_dim": 40}),
}


def randomised(model: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + 0.2 * noise if "norm" in name else noise * 0.15)
    return model.float().eval()


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, Floats]:
    """A saved model, 150 tokens, and the logits `transformers` gives for them."""
    kind, changes = CASES[request.param]
    config = getattr(transformers, kind)(**{**SIZES, **changes})
    model = randomised(transformers.AutoModelForCausalLM.from_config(config))
    folder = tmp_path_factory.mktemp(request.param)
    sharded = {"max_shard_size": "200KB"} if request.param == "qwen3" else {}
    model.save_pretrained(folder, **sharded)
    tokens = torch.randint(0, 320, (1, 150), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return folder, tokens[0].numpy(), model(tokens).logits[0].numpy()


def check(got: Floats, want: Floats, bound: float) -> None:
    assert np.abs(got - want).max() <= bound * max(1.0, float(np.abs(want).max()))
    assert (got.argmax(1) == want.argmax(1)).mean() >= 0.999


def test_float_logits_agree(case: tuple[Path, np.ndarray, Floats]) -> None:
    folder, tokens, want = case
    config = read_config(folder)
    weights = from_tensors(config, Checkpoint(folder), Format.F32)
    plain = ReferenceStep(config, weights, pages=8, positions=256, cache=CacheFormat.F32)
    check(tiny.logits(plain, tokens), want, 1e-4)
    if tiny.kernels.load() is not None:
        step = tiny.step(config, weights, cache=CacheFormat.F32)
        check(tiny.logits(step, tokens), want, 1e-4)
        step.close()


@pytest.mark.parametrize(
    ("format", "cache", "kl", "cosine"),
    [
        (Format.BF16, CacheFormat.BF16, 1e-3, 0.9998),
        (Format.INT8, CacheFormat.BF16, 0.008, 0.997),
        (Format.INT8, CacheFormat.INT8, 0.009, 0.997),
        (Format.INT4, CacheFormat.BF16, 0.45, 0.80),
    ],
)
def test_quantised_logits_stay_within_their_bound(
    case: tuple[Path, np.ndarray, Floats], format: Format, cache: CacheFormat, kl: float, cosine: float
) -> None:
    """Mean KL to the float model in nats, and cosine of the logits. Two layers of random weights have no redundancy:
    measured INT8 0.002-0.005, INT4 0.16-0.35 nats, of weights that are 0.6 and 8.2 % off."""
    if tiny.kernels.load() is None:
        pytest.skip("no C++ compiler here")
    folder, tokens, want = case
    config = read_config(folder)
    step = tiny.step(config, from_tensors(config, Checkpoint(folder), format), cache=cache)
    got = tiny.logits(step, tokens)
    step.close()
    p, q = (x.astype(np.float64) - np.log(np.exp(x.astype(np.float64)).sum(1, keepdims=True)) for x in (want, got))
    assert (np.exp(p) * (p - q)).sum(1).mean() <= kl
    assert (want * got).sum() / np.linalg.norm(want) / np.linalg.norm(got) >= cosine


def test_full_depth_agrees() -> None:
    """30 layers of SmolLM2's proportions: the bound is ten times wider, as rounding adds up."""
    if tiny.kernels.load() is None:
        pytest.skip("no C++ compiler here")
    config = transformers.LlamaConfig(**{**SIZES, "num_hidden_layers": 30, "hidden_size": 48, "num_attention_heads": 3,
                                         "num_key_value_heads": 3, "tie_word_embeddings": True})  # fmt: skip
    model = randomised(transformers.AutoModelForCausalLM.from_config(config))
    tokens = torch.randint(0, 320, (1, 100), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        want = model(tokens).logits[0].numpy()
    ours = parse_config({**config.to_dict(), "architectures": ["LlamaForCausalLM"]})
    tensors = {name: value.numpy() for name, value in model.state_dict().items()}
    step = tiny.step(ours, from_tensors(ours, tensors, Format.F32), cache=CacheFormat.F32)
    check(tiny.logits(step, tokens[0].numpy()), want, 1e-3)
    step.close()


STORIES = [p / "data/text/stories260K.bin" for p in (Path("shared"), Path("../shared"))]


def stories() -> tuple[dict[str, Any], dict[str, Floats]]:
    """The small Llama checkpoint in its legacy layout (llama2.c): 7 sizes, then float tensors in a fixed order."""
    path = next((p for p in STORIES if p.exists()), None)
    if path is None:
        pytest.skip("stories260K.bin is not here")
    data = path.read_bytes()
    dim, inter, layers, heads, kv_heads, vocab, length = struct.unpack("7i", data[:28])
    raw = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": dim,
        "intermediate_size": inter,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": abs(vocab),
        "max_position_embeddings": length,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": vocab > 0,
    }
    values, at = np.frombuffer(data[28:], np.float32), 0

    def take(*shape: int) -> Floats:
        nonlocal at
        n = int(np.prod(shape))
        at += n
        return values[at - n : at].reshape(shape)

    kv = dim // heads * kv_heads
    out = {"model.embed_tokens.weight": take(abs(vocab), dim)}
    names = [
        ("input_layernorm", (dim,)),
        ("self_attn.q_proj", (dim, dim)),
        ("self_attn.k_proj", (kv, dim)),
        ("self_attn.v_proj", (kv, dim)),
        ("self_attn.o_proj", (dim, dim)),
        ("post_attention_layernorm", (dim,)),
        ("mlp.gate_proj", (inter, dim)),
        ("mlp.down_proj", (dim, inter)),
        ("mlp.up_proj", (inter, dim)),
    ]
    for name, shape in names:
        for i, value in enumerate(take(layers, *shape)):
            if name in ("self_attn.q_proj", "self_attn.k_proj"):  # its rotations pair neighbours, ours pair halves
                value = value.reshape(-1, dim // heads // 2, 2, dim).transpose(0, 2, 1, 3).reshape(value.shape)
            out[f"model.layers.{i}.{name}.weight"] = np.ascontiguousarray(value)
    out["model.norm.weight"] = take(dim)
    return raw, out


def test_a_genuine_checkpoint_agrees_and_tells_a_story() -> None:
    raw, tensors = stories()
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**{k: v for k, v in raw.items() if k != "architectures"})
    )
    missing = model.load_state_dict({k: torch.tensor(v) for k, v in tensors.items()}, strict=False)
    assert set(missing.missing_keys) <= {"lm_head.weight"}
    model = model.float().eval()
    config = parse_config(raw)
    step = ReferenceStep(
        config, from_tensors(config, tensors, Format.F32), pages=8, positions=256, cache=CacheFormat.F32
    )
    tokens = [1, *tiny.plain_loop(step, [1], Sampling(max_tokens=100))]
    with torch.no_grad():
        want = model(torch.tensor([tokens])).logits[0].numpy()
    check(tiny.logits(step, tokens), want, 1e-4)
    probability = np.exp(want - want.max(1, keepdims=True))
    probability /= probability.sum(1, keepdims=True)
    assert probability[np.arange(100), tokens[1:]].mean() > 0.4, "a trained model is sure of its own words"
    if tiny.kernels.load() is None:
        return
    core = tiny.step(config, from_tensors(config, tensors, Format.F32), pages=8, cache=CacheFormat.F32)
    check(tiny.logits(core, tokens), want, 1e-4)
    core.close()
    core = tiny.step(config, from_tensors(config, tensors, Format.INT8), pages=8, cache=CacheFormat.F32)
    sure = np.log(probability[np.arange(100), tokens[1:]]).mean()
    got = tiny.logits(core, tokens).astype(np.float64)
    core.close()
    got -= np.log(np.exp(got).sum(1, keepdims=True))
    assert got[np.arange(100), tokens[1:]].mean() > sure - 0.1, (
        "INT8 costs this 260,000-parameter model 0.02 nats a token"
    )
