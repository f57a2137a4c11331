"""LoRA adapters and steering vectors: the mathematics, per row of a batch, and off means bit-identical."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from npc.cli.steer import main as steer
from npc.config.settings import load_settings
from npc.inference.adapters import Adapter, load_adapter
from npc.inference.checkpoint import Checkpoint, write_safetensors
from npc.inference.config import CheckpointError, parse_config
from npc.inference.engine import Engine
from npc.inference.interface import Message, ModelError, Sampling
from npc.inference.kernels import CacheFormat, Floats, Format
from npc.inference.native import NativeModel, NativeSettings
from npc.inference.reference import ReferenceStep
from npc.inference.speculate import DraftModel
from npc.inference.steering import (
    Direction,
    combine,
    hidden_states,
    learn_direction,
    load_directions,
    save_directions,
)
from npc.inference.step import Batch
from npc.inference.weights import from_tensors
from npc.server.engine_parts import load_model
from tests.inference import tiny
from tests.inference.test_engine import drain, made, no_leak

MODULES = {
    "self_attn.q_proj": (64, 64),
    "self_attn.k_proj": (32, 64),
    "self_attn.v_proj": (32, 64),
    "self_attn.o_proj": (64, 64),
    "mlp.gate_proj": (160, 64),
    "mlp.up_proj": (160, 64),
    "mlp.down_proj": (64, 160),
}


def save_adapter(folder: Path, modules: dict[str, tuple[int, int]], rank: int = 4, seed: int = 0) -> dict[str, Floats]:
    """A random PEFT folder; returns what it adds to each weight, by tensor name of the model."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": rank, "lora_alpha": 8}))
    tensors: dict[str, Floats] = {}
    added: dict[str, Floats] = {}
    for layer in range(2):
        for module, (rows, cols) in modules.items():
            a = (rng.standard_normal((rank, cols)) * 0.1).astype(np.float32)
            b = (rng.standard_normal((rows, rank)) * 0.1).astype(np.float32)
            base = f"base_model.model.model.layers.{layer}.{module}"
            tensors[f"{base}.lora_A.weight"], tensors[f"{base}.lora_B.weight"] = a, b
            added[f"model.layers.{layer}.{module}.weight"] = (b @ a) * np.float32(8 / rank)
    write_safetensors(folder / "adapter_model.safetensors", tensors)
    return added


def with_adapters(model: object, tokens: list[int], adapters: list[Adapter | None]) -> Floats:
    n = len(tokens)
    span = np.arange(n, dtype=np.int32)
    batch = Batch(
        np.asarray(tokens, np.int32), span, np.zeros(n, np.int32), np.array([[0]], np.int32), span, adapters=adapters
    )
    return model.forward(batch).logits.copy()  # type: ignore[attr-defined, no-any-return]


@tiny.needs_kernels
@pytest.mark.parametrize("modules", [MODULES, {"self_attn.k_proj": (32, 64)}, {"mlp.down_proj": (64, 160)}])
@pytest.mark.parametrize("rows", [5, 20])
def test_an_adapter_is_the_merged_weights(tmp_path: Path, modules: dict[str, tuple[int, int]], rows: int) -> None:
    added = save_adapter(tmp_path, modules)
    config = parse_config(tiny.BASE)
    base = tiny.tensors(tiny.BASE)
    merged = {name: value + added.get(name, 0) for name, value in base.items()}
    adapter = load_adapter(tmp_path, config)
    tokens = list(range(rows))
    weights = from_tensors(config, base, Format.F32)
    core = tiny.step(config, weights, cache=CacheFormat.F32)
    slow = ReferenceStep(config, weights, pages=1, positions=32, cache=CacheFormat.F32)
    whole = tiny.step(config, from_tensors(config, merged, Format.F32), cache=CacheFormat.F32)
    want = tiny.logits(whole, tokens)
    assert np.abs(with_adapters(core, tokens, [adapter] * rows) - want).max() < 2e-4
    assert np.abs(with_adapters(slow, tokens, [adapter] * rows) - want).max() < 2e-4
    plain = tiny.logits(core, tokens)
    assert np.abs(plain - want).max() > 0.05
    assert (with_adapters(core, tokens, [None] * rows) == plain).all()
    core.close()
    whole.close()


@tiny.needs_kernels
def test_characters_with_adapters_share_a_batch_and_not_a_cache(tmp_path: Path) -> None:
    for name in ("pirate", "monk"):
        save_adapter(tmp_path / name, MODULES, seed=len(name))
    config, weights = tiny.model(Format.INT8)
    adapters = [None, *(load_adapter(tmp_path / name, config) for name in ("pirate", "monk"))]
    core = tiny.step(config, weights)
    alone = []
    for adapter in adapters:
        engine = Engine(core)
        number = engine.submit([1, 2, 3] * 15, Sampling(max_tokens=10), adapter=adapter)
        alone.append(made(drain(engine)[number]))
        no_leak(engine)
    assert alone[0] != alone[1] != alone[2]
    engine = Engine(core)
    numbers = [engine.submit([1, 2, 3] * 15, Sampling(max_tokens=10), adapter=adapter) for adapter in adapters]
    events = drain(engine)
    assert [made(events[n]) for n in numbers] == alone
    no_leak(engine)
    core.close()


def test_adapters_that_do_not_fit(tmp_path: Path) -> None:
    config = parse_config(tiny.BASE)
    with pytest.raises(CheckpointError, match=r"adapter_config\.json"):
        load_adapter(tmp_path, config)
    save_adapter(tmp_path / "wide", {"mlp.up_proj": (160, 96)})
    with pytest.raises(CheckpointError, match="the model has 160 x 64"):
        load_adapter(tmp_path / "wide", config)
    save_adapter(tmp_path / "other", {"mlp.router": (8, 64)})
    with pytest.raises(CheckpointError, match="does not belong"):
        load_adapter(tmp_path / "other", config)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"r": None}, "r must be a positive integer"),
        ({"r": 0}, "r must be a positive integer"),
        ({"lora_alpha": "8"}, "lora_alpha a number"),
        ({"alpha_pattern": {"q_proj": 64}}, "alpha_pattern is not supported"),
        ({"use_dora": True}, "only plain LoRA"),
    ],
)
def test_adapter_configs_that_are_not_read(tmp_path: Path, change: dict[str, object], cause: str) -> None:
    save_adapter(tmp_path, MODULES)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CheckpointError, match=cause):
        load_adapter(tmp_path, parse_config(tiny.BASE))


@pytest.mark.parametrize(
    ("part", "value", "cause"),
    [
        ("lora_B", None, r"up_proj\.lora_B\.weight is missing"),
        ("lora_A", np.zeros(4, np.float32), "has shapes"),
        ("lora_A", np.full((4, 64), np.nan, np.float32), "holds NaN"),
    ],
)
def test_adapter_tensors_that_are_damaged(tmp_path: Path, part: str, value: Floats | None, cause: str) -> None:
    save_adapter(tmp_path, MODULES)
    tensors = dict(Checkpoint(tmp_path))
    name = f"base_model.model.model.layers.0.mlp.up_proj.{part}.weight"
    del tensors[name]
    if value is not None:
        tensors[name] = value
    write_safetensors(tmp_path / "adapter_model.safetensors", tensors)
    with pytest.raises(CheckpointError, match=cause):
        load_adapter(tmp_path, parse_config(tiny.BASE))


@tiny.needs_kernels
def test_adapters_from_folders_of_one_name_share_no_cache(tmp_path: Path) -> None:
    """Regression: cached prefixes went by the folder's name, so one character spoke on the other's keys and values."""
    tiny.directory(tmp_path / "model")
    prompt = (Message("user", "hello there, do you sell fish? " * 4),)

    async def said(*names: str) -> str:
        model = NativeModel.load(tmp_path / "model", NativeSettings(context=512, cache_mib=2, threads=1))
        for seed, name in enumerate(("pirate", "monk")):
            save_adapter(tmp_path / name / "lora", MODULES, seed=seed)
            model.add_adapter(name, tmp_path / name / "lora")
        try:
            for name in names:
                tokens = [t async for t in model.stream(prompt, Sampling(max_tokens=12, adapter=name))]
            return "".join(t.text for t in tokens)
        finally:
            await model.close()

    assert asyncio.run(said("pirate", "monk")) == asyncio.run(said("monk"))


@tiny.needs_kernels
def test_a_service_loads_an_adapter_a_character_and_a_draft_model(tmp_path: Path) -> None:
    place = tiny.directory(tmp_path / "model")
    for seed, who in enumerate(("sela-marrow", "callum-brack")):
        save_adapter(tmp_path / "adapters" / who, MODULES, seed=seed)
    (tmp_path / "adapters" / ".cache").mkdir()
    chosen = {
        "llm.model": "native",
        "llm.path": str(place),
        "llm.adapters": str(tmp_path / "adapters"),
        "llm.draft": str(tiny.directory(tmp_path / "draft", num_hidden_layers=1)),
    }
    model = load_model(load_settings(overrides=chosen, environment={}))
    assert isinstance(model, NativeModel)
    assert set(model.adapters) == {"sela-marrow", "callum-brack"}
    assert isinstance(model._worker.engine._drafter, DraftModel)

    async def go() -> list[str]:
        told = []
        for who in (None, "sela-marrow", "callum-brack"):
            sampling = Sampling(max_tokens=24, adapter=who)
            told.append("".join([t.text async for t in model.stream((Message("user", "Hello"),), sampling)]))
        await model.close()
        return told

    assert len(set(asyncio.run(go()))) == 3
    for name in ("llm.adapters", "llm.draft"):
        with pytest.raises(RuntimeError, match=f"{name}: there is no directory .*nowhere"):
            load_model(load_settings(overrides={**chosen, name: str(tmp_path / "nowhere")}, environment={}))
    (tmp_path / "adapters" / "stray").mkdir()
    with pytest.raises(CheckpointError, match=r"stray/adapter_config\.json"):
        load_model(load_settings(overrides=chosen, environment={}))


@tiny.needs_kernels
def test_steering_off_is_bit_identical_and_on_changes_only_its_sequence() -> None:
    config, weights = tiny.model()
    core = tiny.step(config, weights)
    direction = np.random.default_rng(0).standard_normal((2, 64)).astype(np.float32)
    prompt, sampling = [4, 5, 6] * 20, Sampling(max_tokens=12)
    engine = Engine(core)
    plain = engine.submit(prompt, sampling)
    steered = engine.submit(prompt, sampling, steering=direction)
    neighbour = engine.submit([9, 9], sampling)
    events = drain(engine)
    again = engine.submit(prompt, sampling)
    assert made(drain(engine)[again]) == made(events[plain]), "a steered neighbour leaves nothing in the shared cache"
    assert made(events[steered]) != made(events[plain])
    assert combine((), {}) is None
    assert combine((("calm", 0.0),), {"calm": Direction("calm", direction)}) is None
    alone = Engine(core)
    number = alone.submit([9, 9], sampling)
    assert made(drain(alone)[number]) == made(events[neighbour])
    no_leak(alone)
    no_leak(engine)
    core.close()


@tiny.needs_kernels
def test_a_steered_row_is_the_stream_plus_the_vector() -> None:
    config, weights = tiny.model(Format.F32)
    core = tiny.step(config, weights, cache=CacheFormat.F32)
    slow = ReferenceStep(config, weights, pages=1, positions=32, cache=CacheFormat.F32)
    vector = np.zeros((2, 64), np.float32)
    vector[0] = np.random.default_rng(1).standard_normal(64)
    span = np.arange(3, dtype=np.int32)
    batch = Batch(
        span,
        span,
        np.zeros(3, np.int32),
        np.array([[0]], np.int32),
        span,
        steering=[None, (vector, 0.5), None],
        want_taps=True,
    )
    fast, want = core.forward(batch), slow.forward(batch)
    assert fast.taps is not None
    assert want.taps is not None
    assert np.abs(fast.taps - want.taps).max() < 1e-4
    assert np.abs(fast.logits - want.logits).max() < 2e-4
    core.close()


@tiny.needs_kernels
def test_a_learned_direction_separates_its_prompts(tmp_path: Path) -> None:
    config, weights = tiny.model(Format.F32, num_hidden_layers=4)
    core = tiny.step(config, weights, cache=CacheFormat.F32)
    rng = np.random.default_rng(2)
    more = [[*(int(t) for t in rng.integers(0, 96, 6)), 7] for _ in range(12)]
    less = [[*(int(t) for t in rng.integers(0, 96, 6)), 8] for _ in range(12)]
    direction = learn_direction(core, "warmth", more[:8], less[:8])
    assert not direction.vectors[0].any()
    assert direction.vectors[1].any()

    def score(tokens: list[int]) -> float:
        return float((hidden_states(core, tokens).mean * direction.vectors).sum())

    assert min(score(t) for t in more[8:]) > max(score(t) for t in less[8:])
    save_directions(tmp_path / "d.npz", [direction])
    assert (load_directions(tmp_path / "d.npz")[0].vectors == direction.vectors).all()
    with pytest.raises(ValueError, match="same hidden states"):
        learn_direction(core, "none", more[:1], more[:1])
    with pytest.raises(ModelError, match="no steering direction 'x'"):
        combine((("x", 1.0),), {})
    core.close()


@tiny.needs_kernels
def test_the_steer_command_learns_and_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny.directory(tmp_path / "model", num_hidden_layers=4)
    out = tmp_path / "directions.npz"
    assert steer(["learn", str(model), "--out", str(out)]) == 0
    assert {d.name for d in load_directions(out)} == {"valence", "arousal", "formality", "assertiveness"}
    capsys.readouterr()
    assert steer(["test", str(model), "--directions", str(out), "--tokens", "6", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    doses = table["valence"]["doses"]
    assert [d["strength"] for d in doses] == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert all(d["perplexity"] > 1 for d in doses)
    assert len({d["sample"] for d in doses}) > 1


@tiny.needs_kernels
def test_directions_keep_the_name_they_were_given(tmp_path: Path) -> None:
    """Regression: `--out calm` wrote calm.npz, which `--directions calm` did not find; "file" was no name for one."""
    made = [Direction(name, np.ones((2, 64), np.float32)) for name in ("file", "calm")]
    save_directions(tmp_path / "calm", made)
    assert [d.name for d in load_directions(tmp_path / "calm")] == ["file", "calm"]


@pytest.mark.parametrize(
    ("pairs", "cause"),
    [
        ('{"x": {"more": []}}', "needs non-empty lists"),
        ('{"x": {"more": [1], "less": ["a"]}}', "needs non-empty lists"),
        ('{"x": [1]}', "needs non-empty lists"),
        ("[1]", "must hold an object"),
        ("{", r"pairs.json: not readable as JSON"),
    ],
)
def test_pairs_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], pairs: str, cause: str) -> None:
    (tmp_path / "pairs.json").write_text(pairs)
    assert steer(["learn", str(tmp_path), "--pairs", str(tmp_path / "pairs.json")]) == 1
    assert cause in capsys.readouterr().err


@tiny.needs_kernels
def test_directions_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Regression: those of another width were read past their end by the kernels; a cut file was a traceback."""
    model, place = str(tiny.directory(tmp_path / "model")), tmp_path / "d.npz"
    for vectors, cause in (
        (np.ones((2, 10), np.float32), "has shape (2, 10), the model (2, 64)"),
        (np.full((2, 64), np.nan, np.float32), "holds NaN"),
    ):
        save_directions(place, [Direction("calm", vectors)])
        assert steer(["test", model, "--directions", str(place)]) == 1
        assert cause in capsys.readouterr().err
    for damaged in (place.read_bytes()[:200], b"", b"\x93NUMPY"):
        place.write_bytes(damaged)
        assert steer(["test", model, "--directions", str(place)]) == 1
        assert "d.npz: not a file of steering directions" in capsys.readouterr().err
