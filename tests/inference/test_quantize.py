"""`npc quantize`: the packed directory loads, the report is right, calibration helps, bad input is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from npc.bench.mind import carried_set
from npc.bench.model_minds import table
from npc.cli.quantize import main
from npc.inference import formats
from npc.inference.checkpoint import Checkpoint, write_safetensors
from npc.inference.config import CheckpointError, parse_config, read_config
from npc.inference.gptq import pack_compensated
from npc.inference.kernels import Format
from npc.inference.native import NativeSettings, load_weights
from npc.inference.packed import NAME
from npc.inference.quantize import Plan, calibrate, compare, prune_two_of_four, quantize
from npc.inference.weights import from_tensors
from tests.inference import tiny

TEXT = "The harbour master keeps the light. She counts the boats at dusk, and nobody sails after nine. " * 12


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny.directory(tmp_path_factory.mktemp("source"))
    scaled = tiny.tensors({**tiny.BASE, "vocab_size": 258})
    for i in range(2):  # some inputs matter far more than others, as in real models
        norm = scaled[f"model.layers.{i}.input_layernorm.weight"]
        norm[::7] *= 12
    write_safetensors(folder / "model.safetensors", scaled)
    return folder


def test_the_packed_directory_holds_the_same_model(source: Path, tmp_path: Path) -> None:
    report = quantize(source, tmp_path, Plan(Format.INT8), TEXT)
    assert report["bits_per_weight"] == pytest.approx(8.4, abs=0.4)
    assert report["kl"] < 0.15
    assert abs(report["perplexity_packed"] / report["perplexity_original"] - 1) < 0.05
    config, weights = load_weights(tmp_path, NativeSettings())
    direct = from_tensors(config, Checkpoint(source), Format.INT8)
    assert (weights.layers[1].down.packed == direct.layers[1].down.packed).all()
    assert (tmp_path / "tokenizer.json").exists()


def test_a_file_of_another_layout_is_refused(source: Path, tmp_path: Path) -> None:
    quantize(source, tmp_path, Plan(Format.INT4), TEXT)
    path = tmp_path / NAME
    held = bytearray(path.read_bytes())
    held[7] -= 1
    path.write_bytes(held)
    with pytest.raises(
        CheckpointError, match=r"weights\.npcq: .*not .* of this version: make it again with npc quantize"
    ):
        load_weights(tmp_path, NativeSettings())


def test_formats_lose_more_with_fewer_bits(source: Path, tmp_path: Path) -> None:
    loss = {
        f: quantize(source, tmp_path / f.name, Plan(f), TEXT)["kl"] for f in (Format.INT8, Format.INT4, Format.TERNARY)
    }
    assert loss[Format.INT8] < loss[Format.INT4] < loss[Format.TERNARY]


def test_calibration_lowers_the_error_of_outputs(source: Path) -> None:
    config = read_config(source)
    tensors = Checkpoint(source)
    tokens = list(TEXT.encode()[:200])
    importance = calibrate(config, from_tensors(config, tensors, Format.F32), tokens)
    assert set(importance) >= {"0.qkv", "0.o", "0.gate", "0.down", "1.down", "head"}
    x = np.random.default_rng(0).standard_normal((256, 64)).astype(np.float32) * np.sqrt(importance["0.qkv"])
    w = tensors["model.layers.0.self_attn.q_proj.weight"]

    def error(weigh: np.ndarray | None) -> float:
        return float(((x @ (formats.unpack(formats.pack(Format.INT4, w, importance=weigh)) - w).T) ** 2).mean())

    assert error(importance["0.qkv"]) < 0.9 * error(None)


def test_pruning_keeps_the_two_that_matter() -> None:
    w = np.array([[1.0, -3.0, 2.0, 0.5]], np.float32)
    assert prune_two_of_four(w, None).tolist() == [[0, -3, 2, 0]]
    weigh = np.array([100.0, 1.0, 0.01, 1.0], np.float32)
    assert prune_two_of_four(w, weigh).tolist() == [[1, -3, 0, 0]]


def test_the_comparison_is_that_of_whole_logits(source: Path) -> None:
    """It goes piece by piece: a 0.5 B model's logits over 1,024 tokens, held whole, took 6 GB."""
    config = read_config(source)
    tensors = Checkpoint(source)
    tokens = [int(t) for t in np.random.default_rng(0).integers(0, 256, 300)]
    both = [from_tensors(config, tensors, f) for f in (Format.BF16, Format.INT4)]
    found = compare(config, both[0], both[1], tokens, 1)
    rows = []
    for weights in both:
        step = tiny.step(config, weights)
        rows.append(tiny.logits(step, tokens).astype(np.float64))
        step.close()
    p, q = (
        r - np.log(np.exp(r - r.max(1, keepdims=True)).sum(1, keepdims=True)) - r.max(1, keepdims=True) for r in rows
    )
    assert found["kl"] == pytest.approx((np.exp(p) * (p - q)).sum(1).mean(), abs=2e-5)
    assert found["perplexity_original"] == pytest.approx(np.exp(-p[np.arange(299), tokens[1:]].mean()), rel=1e-5)
    assert found["perplexity_packed"] == pytest.approx(np.exp(-q[np.arange(299), tokens[1:]].mean()), rel=1e-5)
    cosine = (rows[0] * rows[1]).sum() / np.linalg.norm(rows[0]) / np.linalg.norm(rows[1])
    assert found["cosine"] == pytest.approx(cosine, abs=2e-5)
    assert found["argmax_agreement"] == pytest.approx((rows[0].argmax(1) == rows[1].argmax(1)).mean(), abs=1e-5)


def test_the_command_prints_one_json_object(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    out = tmp_path / "packed"
    assert (
        main([str(source), "--out", str(out), "--format", "int4", "--prune", "2:4", "--text", str(text), "--json"]) == 0
    )
    report = json.loads(capsys.readouterr().out)
    assert report["prune"] == "2:4"
    assert report["format"] == "INT4"


def test_bad_sources_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--out", str(tmp_path / "x")]) == 1
    assert "no config.json" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [("--tokens", "0"), ("--tokens", "1"), ("--threads", "0")])
def test_numbers_that_cannot_be_are_refused(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: tuple[str, str]
) -> None:
    assert main([str(source), "--out", str(tmp_path / "x"), *wrong]) == 1
    assert "at least 2 tokens to measure on" in capsys.readouterr().err


@pytest.mark.parametrize("format", [Format.INT8, Format.INT4, Format.TERNARY])
@pytest.mark.parametrize(("rows", "cols", "tokens"), [(21, 96, 40), (40, 200, 300), (16, 128, 64)])
def test_compensated_rounding_errs_less_on_inputs_like_those_it_saw(
    format: Format, rows: int, cols: int, tokens: int
) -> None:
    """GPTQ's promise: what comes out errs less, though single weights err more. Inputs share a few directions."""
    rng = np.random.default_rng(rows)
    mix = rng.standard_normal((cols, cols)).astype(np.float32) * (1 / (1 + np.arange(cols)))[:, None]
    seen, new = (
        (rng.standard_normal((n, cols)) @ mix).astype(np.float32) + 0.02 * rng.standard_normal((n, cols))
        for n in (tokens, 500)
    )
    w = rng.standard_normal((rows, cols)).astype(np.float32) * np.float32(0.05)

    def error(matrix: formats.Matrix) -> float:
        return float((((formats.unpack(matrix) - w) @ new.T) ** 2).mean())

    made = pack_compensated(format, w, seen.astype(np.float32))
    assert made.shape == formats.pack(format, w).shape
    assert error(made) < 0.8 * error(formats.pack(format, w, importance=(seen * seen).mean(0).astype(np.float32)))


def test_compensation_without_correlation_is_plain_rounding() -> None:
    """Inputs that share nothing leave nothing to make up: the packed bytes are those of `pack`."""
    w = np.random.default_rng(0).standard_normal((32, 128)).astype(np.float32)
    plain = formats.pack(Format.INT4, w, importance=np.ones(128, np.float32))
    assert (pack_compensated(Format.INT4, w, np.eye(128, dtype=np.float32) * 50).packed == plain.packed).all()


def test_the_command_compensates(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    packed = {}
    for method in ("none", "gptq"):
        out = tmp_path / method
        assert main([str(source), "--out", str(out), "--calibration", method, "--text", str(text), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["calibration"] == method
        packed[method] = load_weights(out, NativeSettings())[1].layers[1].down.packed
    assert (packed["gptq"] != packed["none"]).any()


def test_attention_of_the_first_layers_keeps_eight_bits() -> None:
    raw = {**tiny.BASE, "num_hidden_layers": 16}
    config, tensors = parse_config(raw), tiny.tensors(raw)
    made = from_tensors(config, tensors, Format.INT4)
    entry = [layer.qkv.format for layer in made.layers]
    assert entry == [Format.INT8] * 2 + [Format.INT4] * 14
    assert [layer.o.format for layer in made.layers] == entry
    assert made.layers[0].down.format is made.head.format is Format.INT4
    plain = from_tensors(config, tensors, Format.INT4, entry_format=Format.INT4)
    assert all(matrix.format is Format.INT4 for matrix in plain.matrices().values())


def test_the_command_holds_dialogues_with_both_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tiny.directory(tmp_path / "source", max_position_embeddings=8192)
    held = json.loads(carried_set().read_text("utf-8").splitlines()[0])
    held["dialogues"] = [{"id": "d1", "turns": held["dialogues"][0]["turns"][:2]}]
    (tmp_path / "set.jsonl").write_text(json.dumps(held))
    (tmp_path / "t.txt").write_text(TEXT)
    call = [str(source), "--out", str(tmp_path / "out"), "--text", str(tmp_path / "t.txt"), "--format", "int8"]
    assert main([*call, "--mind", str(tmp_path / "set.jsonl"), "--json"]) == 0
    mind = json.loads(capsys.readouterr().out)["mind"]
    for result in (mind["original"], mind["packed"]):
        assert sum(kind["n"] for kind in result["kinds"].values()) == 2
        assert set(result["routes"]) == {"llm:source"} or set(result["routes"]) == {"llm:out"}
        assert result["words_mean"] > 0, "the model itself spoke"
    assert table(**mind).splitlines()[0].split() == ["dialogues", "original", "packed"]
    assert main([*call, "--mind", str(tmp_path / "nothing.jsonl")]) == 1
    assert "nothing.jsonl" in capsys.readouterr().err
