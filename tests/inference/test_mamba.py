"""The state-space backbone: parity with `transformers`, and the engine's promises kept with states for pages."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npc.inference import kernels
from npc.inference.checkpoint import Checkpoint, write_safetensors
from npc.inference.config import CheckpointError
from npc.inference.engine import Engine
from npc.inference.interface import Message, Sampling
from npc.inference.kernels import Floats, Format
from npc.inference.mamba import MambaStep, is_mamba, load_mamba, mamba_weights, parse_mamba, scan_reference
from npc.inference.native import NativeModel, NativeSettings
from npc.inference.step import Batch
from tests.inference import tiny

RAW: dict[str, Any] = {
    "architectures": ["Mamba2ForCausalLM"],
    "model_type": "mamba2",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_heads": 8,
    "head_dim": 16,
    "state_size": 32,
    "n_groups": 2,
    "expand": 2,
    "conv_kernel": 4,
    "vocab_size": 258,
    "tie_word_embeddings": True,
}


def tensors(raw: dict[str, Any] = RAW, seed: int = 0) -> dict[str, Floats]:
    rng, k = np.random.default_rng(seed), parse_mamba(raw)

    def random_(*shape: int) -> Floats:
        return (rng.standard_normal(shape) * 0.15).astype(np.float32)

    def norm(n: int) -> Floats:
        return (1 + 0.2 * rng.standard_normal(n)).astype(np.float32)

    out = {"backbone.embeddings.weight": random_(k.vocab, k.hidden), "backbone.norm_f.weight": norm(k.hidden)}
    if not k.tied:
        out["lm_head.weight"] = random_(k.vocab, k.hidden)
    for i in range(k.layers):
        base = f"backbone.layers.{i}."
        out[base + "norm.weight"] = norm(k.hidden)
        out[base + "mixer.in_proj.weight"] = random_(k.inner + k.conv + k.heads, k.hidden)
        out[base + "mixer.out_proj.weight"] = random_(k.hidden, k.inner)
        out[base + "mixer.conv1d.weight"] = random_(k.conv, 1, k.kernel) * 3
        out[base + "mixer.conv1d.bias"] = random_(k.conv)
        out[base + "mixer.dt_bias"] = random_(k.heads) * 5
        out[base + "mixer.A_log"] = rng.uniform(0, 2, k.heads).astype(np.float32)
        out[base + "mixer.D"] = norm(k.heads)
        out[base + "mixer.norm.weight"] = norm(k.inner)
    return out


def step(format: Format = Format.INT8, pages: int = 12) -> MambaStep:
    config = parse_mamba(RAW)
    return MambaStep(config, mamba_weights(config, tensors(), format), pages=pages)


def logits(model: MambaStep, tokens: list[int], cut: int = 10_000) -> Floats:
    parts = []
    for at in range(0, len(tokens), cut):
        span = np.arange(at, min(at + cut, len(tokens)), dtype=np.int32)
        zero = np.zeros(len(span), np.int32)
        batch = Batch(np.asarray(tokens, np.int32)[span], span, zero, np.zeros((1, 1), np.int32), span - at)
        found = model.forward(batch).logits
        assert found is not None
        parts.append(found.copy())
    return np.concatenate(parts)


@pytest.mark.parametrize(
    ("depth", "changes"),
    [
        (2, {}),
        (2, {"n_groups": 1, "tie_word_embeddings": False}),
        (2, {"state_size": 24, "time_step_limit": [0.01, 0.5]}),
        (24, {}),
    ],
    ids=["grouped", "one group, own head", "odd state", "full depth"],
)
def test_float_logits_agree_with_transformers(changes: dict[str, Any], depth: int) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    raw = {**RAW, **changes, "num_hidden_layers": depth}
    config = parse_mamba(raw)
    given = tensors(raw)
    keep = {name: value for name, value in raw.items() if name not in ("architectures", "model_type")}
    model = transformers.Mamba2ForCausalLM(transformers.Mamba2Config(**keep)).float().eval()
    state = {name: torch.tensor(value) for name, value in given.items()}
    missing = model.load_state_dict(state, strict=False)
    assert set(missing.missing_keys) <= {"lm_head.weight"}
    assert not missing.unexpected_keys
    tokens = np.random.default_rng(1).integers(0, 258, 90).tolist()
    with torch.no_grad():
        want = model(torch.tensor([tokens])).logits[0].numpy()
    got = logits(MambaStep(config, mamba_weights(config, given, Format.F32), pages=1), tokens)
    bound = (1e-4 if depth == 2 else 1e-3) * max(1.0, float(np.abs(want).max()))
    assert np.abs(got - want).max() <= bound
    assert (got.argmax(1) == want.argmax(1)).mean() >= 0.999


@pytest.mark.parametrize("format", [Format.INT8, Format.INT4, Format.F32])
def test_results_do_not_depend_on_how_a_prompt_was_cut(format: Format) -> None:
    tokens = np.random.default_rng(2).integers(0, 258, 70).tolist()
    whole = logits(step(format), tokens)
    for cut in (1, 7, 32):
        assert (logits(step(format), tokens, cut) == whole).all()


@tiny.needs_kernels
def test_the_kernels_recurrence_is_that_of_numpy() -> None:
    rng = np.random.default_rng(3)
    model, layer = step(), step().weights.layers[0]
    x, dt, b, c = (rng.standard_normal(s).astype(np.float32) for s in ((9, 128), (9, 8), (9, 64), (9, 64)))
    start = rng.standard_normal((8, 16, 32)).astype(np.float32)
    for level in kernels.Level:
        if level > (kernels.best_level() or 0):
            continue
        model._level = level
        ours, theirs = start.copy(), start.copy()
        y = model._scan(layer, x, np.abs(dt), b, c, ours)
        decay = np.exp(np.abs(dt) * layer.decay).astype(np.float32)
        want = scan_reference(x, np.abs(dt), decay, b, c, layer.skip, theirs, 2)
        assert (ours == theirs).all(), "the state takes the same operations in the same order"
        assert np.allclose(y, want, rtol=1e-5, atol=1e-5)


def plain(prompt: list[int], count: int) -> list[int]:
    model, tokens = step(pages=1), list(prompt)
    row = logits(model, prompt)[-1]
    for at in range(len(prompt), len(prompt) + count):
        tokens.append(int(row.argmax()))
        zero = np.zeros(1, np.int32)
        batch = Batch(np.array(tokens[-1:], np.int32), np.array([at], np.int32), zero, zero[None], zero)
        found = model.forward(batch).logits
        assert found is not None
        row = found[0].copy()
    return tokens[len(prompt) :]


@pytest.mark.parametrize("seed", range(4))
def test_the_engine_says_what_the_plain_loop_says(seed: int) -> None:
    """Batching, shared beginnings, forks, cancelled neighbours and too few states change no token and leak none."""
    rng = random.Random(seed)
    engine = Engine(step(pages=5))
    base = [rng.randrange(258) for _ in range(100)]
    said: dict[int, list[int]] = {}
    wanted: dict[int, list[int]] = {}
    for _ in range(60):
        if rng.random() < 0.25 and len(wanted) < 8:
            prompt = base[: rng.choice((64, 80, 100))] + [rng.randrange(258) for _ in range(rng.randrange(1, 40))]
            number = engine.submit(prompt, Sampling(max_tokens=12))
            wanted[number], said[number] = plain(prompt, 12), []
            if rng.random() < 0.3:
                engine.cancel(engine.submit(prompt[:-1], Sampling(max_tokens=12)))
            if rng.random() < 0.3:
                child = engine.fork(number, Sampling(max_tokens=12))
                wanted[child], said[child] = wanted[number], []
        for event in engine.step():
            assert event.error is None
            if event.token is not None:
                said[event.sequence].append(event.token)
    while engine.busy:
        for event in engine.step():
            if event.token is not None:
                said[event.sequence].append(event.token)
    assert said == wanted
    assert engine.tree.nodes > 0
    engine.close()


def test_it_is_a_language_model_that_thinks_ahead(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(RAW))
    write_safetensors(tmp_path / "model.safetensors", tensors())
    tiny.tokenizer(tmp_path)
    assert is_mamba(tmp_path)
    model = NativeModel.load(tmp_path, NativeSettings(format=Format.INT8, cache_mib=4, threads=1))
    sampling = Sampling(max_tokens=10)

    def chat(text: str) -> tuple[Message, ...]:
        return (Message("system", "You sell fish. " * 8), Message("user", text))

    async def turn() -> tuple[str, str]:
        alone = "".join([t.text async for t in model.stream(chat("what do you sell"), sampling)])
        for partial in ("what", "what do", "what do you sell"):
            model.anticipate(chat(partial), sampling, "s")
            await asyncio.sleep(0.03)
        return alone, "".join([t.text async for t in model.reply(chat("what do you sell"), sampling, "s")])

    alone, heard = asyncio.run(turn())
    assert alone == heard
    ledger = model.speculation("s")
    assert ledger is not None
    assert ledger.rows_kept > 0
    with pytest.raises(CheckpointError, match="state-space"):
        model.add_adapter("x", tmp_path)
    asyncio.run(model.close())


@pytest.mark.parametrize(
    ("change", "cause"),
    [({"head_dim": 20}, "do not fit"), ({"num_heads": 0}, "num_heads"), ({"hidden_act": "relu"}, "relu")],
)
def test_configs_that_cannot_be_are_named(change: dict[str, Any], cause: str) -> None:
    with pytest.raises(CheckpointError, match=cause):
        parse_mamba({**RAW, **change})


def test_damaged_tensors_are_named(tmp_path: Path) -> None:
    broken = tensors()
    broken["backbone.layers.1.mixer.D"][2] = np.nan
    (tmp_path / "config.json").write_text(json.dumps(RAW))
    write_safetensors(tmp_path / "model.safetensors", broken)
    with pytest.raises(CheckpointError, match=r"layers\.1\.mixer\.D holds NaN"):
        load_mamba(tmp_path, Format.INT8, 1)
    del broken["backbone.layers.1.mixer.D"]
    write_safetensors(tmp_path / "model.safetensors", broken)
    with pytest.raises(CheckpointError, match=r"layers\.1\.mixer\.D is missing"):
        load_mamba(tmp_path, Format.INT8, 1)
    assert len(Checkpoint(tmp_path)) > 0
