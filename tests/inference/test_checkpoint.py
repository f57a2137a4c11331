"""Damaged and foreign checkpoints: one clear error that names the file and the cause."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from npc.inference.checkpoint import Checkpoint, write_safetensors
from npc.inference.config import CheckpointError, parse_config, read_config
from npc.inference.kernels import Format
from npc.inference.packed import NAME, read_packed, write_packed
from npc.inference.weights import from_tensors
from tests.inference import tiny


def shards(folder: Path) -> Path:
    """A checkpoint in two shards with an index."""
    everything = tiny.tensors(tiny.BASE)
    names = sorted(everything)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, held in parts.items():
        write_safetensors(folder / file, {n: everything[n] for n in held})
    index = {"weight_map": {n: file for file, held in parts.items() for n in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_shards_give_the_same_tensors_as_one_file(tmp_path: Path) -> None:
    whole = tiny.tensors(tiny.BASE)
    found = Checkpoint(shards(tmp_path))
    assert set(found) == set(whole)
    assert all((found[name] == whole[name]).all() for name in whole)


def test_half_precision_is_read_exactly(tmp_path: Path) -> None:
    values = np.array([1.5, -2.0, 3.140625], np.float32)
    half, brain = values.astype(np.float16).tobytes(), (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    header = {
        "h": {"dtype": "F16", "shape": [3], "data_offsets": [0, 6]},
        "b": {"dtype": "BF16", "shape": [3], "data_offsets": [6, 12]},
    }
    text = json.dumps(header).encode()
    (tmp_path / "x.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + half + brain)
    found = Checkpoint(tmp_path)
    assert (found["h"] == values).all()
    assert (found["b"] == values).all()


def test_empty_and_pickled_directories(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        read_config(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"no \*\.safetensors weights; pickled weights"):
        Checkpoint(tmp_path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    shards(tmp_path)
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"b\.safetensors: the shard is named"):
        Checkpoint(tmp_path)


def test_a_truncated_shard_is_named(tmp_path: Path) -> None:
    shards(tmp_path)
    path = tmp_path / "b.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"b\.safetensors: truncated: tensor"):
        Checkpoint(tmp_path)
    path.write_bytes(b"\xff" * 20)
    with pytest.raises(CheckpointError, match="truncated or not a safetensors file"):
        Checkpoint(tmp_path)


def test_an_index_that_lies_is_caught(tmp_path: Path) -> None:
    shards(tmp_path)
    path = tmp_path / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["model.norm.weight"] = (
        "a.safetensors" if index["weight_map"]["model.norm.weight"] == "b.safetensors" else "b.safetensors"
    )
    path.write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight is not in the shard"):
        Checkpoint(tmp_path)


@pytest.mark.parametrize("index", ['{"weight_map": ["a"]}', '{"weight_map": {"a": 5}}', "[]", "{"])
def test_an_index_that_is_none_is_named(tmp_path: Path, index: str) -> None:
    tiny.save(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(CheckpointError, match=r"index\.json: not a shard index"):
        Checkpoint(tmp_path)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]},
        {"dtype": "F32", "shape": [-2, -2], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [2**32, 2**32], "data_offsets": [0, 0]},
        {"dtype": ["F32"], "shape": [4], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": 4, "data_offsets": [0, 16]},
    ],
)
def test_entries_that_cannot_be_are_named(tmp_path: Path, entry: dict[str, object]) -> None:
    text = json.dumps({"x": entry}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(64))
    with pytest.raises(CheckpointError, match=r"model\.safetensors: .*tensor x"):
        Checkpoint(tmp_path)


MISTRAL = {"architectures": ["MistralForCausalLM"], "sliding_window": 16}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"architectures": ["MambaForCausalLM"]}, "architecture 'MambaForCausalLM' is not one of"),
        ({"architectures": ["Mamba2ForCausalLM"]}, "Mamba-2 is packed when it is loaded"),
        ({"hidden_size": 0}, "hidden_size must be a positive integer"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
        ({"num_key_value_heads": 3}, "do not fit together"),
        ({"rope_scaling": {"rope_type": "longrope"}}, "RoPE type 'longrope'"),
        ({"partial_rotary_factor": 0.5}, "partial rotary"),
        ({"architectures": 5}, "architecture '5'"),
        ({"rms_norm_eps": "small"}, "rms_norm_eps must be a number above 0, not 'small'"),
        ({"eos_token_id": "x"}, "eos_token_id must be a token id"),
        ({"rope_theta": -1}, "rope_theta must be a number above 0"),
        ({"rope_scaling": ["llama3"]}, "rope_scaling must be an object"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "needs high_freq_factor, low_freq_factor"),
        ({"rope_scaling": {"rope_type": "linear", "factor": "2"}}, "factor must be a number above 0"),
        ({**MISTRAL, "sliding_window": -4}, "sliding_window must be a positive integer"),
        ({**MISTRAL, "layer_types": ["sliding_attention"]}, "layer_types must name the kind of each of the 2 layers"),
    ],
)
def test_configs_we_do_not_understand(change: dict[str, object], cause: str) -> None:
    with pytest.raises(CheckpointError, match=cause):
        parse_config({**tiny.BASE, **change})


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("model.layers.0.mlp.up_proj.weight", np.zeros((3, 3), np.float32), r"has shape \(3, 3\), the config says"),
        ("model.norm.weight", np.full(64, np.nan, np.float32), "holds NaN or infinity"),
        ("model.layers.1.self_attn.k_proj.weight", None, "is missing"),
    ],
)
def test_tensors_that_do_not_fit(name: str, value: np.ndarray | None, cause: str) -> None:
    tensors = tiny.tensors(tiny.BASE)
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    with pytest.raises(CheckpointError, match=cause):
        from_tensors(parse_config(tiny.BASE), tensors, Format.INT8)


def test_packed_files_come_back_byte_for_byte(tmp_path: Path) -> None:
    for changes in ({}, {"tie_word_embeddings": False}):
        config, weights = tiny.model(Format.INT4, **changes)
        write_packed(tmp_path / NAME, config, weights, {"note": 1})
        again, back, report = read_packed(tmp_path / NAME)
        assert again == config
        assert report == {"note": 1}
        for name, matrix in weights.matrices().items():
            assert (back.matrices()[name].packed == matrix.packed).all()
            assert back.matrices()[name].packed.ctypes.data % 64 == 0
        assert (back.final_norm == weights.final_norm).all()
        assert (back.head is back.embedding) == config.tied


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    config, weights = tiny.model(Format.INT8)
    with pytest.raises(OSError, match="No space left"):
        write_packed(tmp_path / NAME, config, weights, {})
    assert list(tmp_path.iterdir()) == []


def test_damaged_packed_files(tmp_path: Path) -> None:
    config, weights = tiny.model(Format.INT8)
    path = tmp_path / NAME
    write_packed(path, config, weights, {})
    whole = path.read_bytes()
    path.write_bytes(whole[:-500])
    with pytest.raises(CheckpointError, match="truncated"):
        read_packed(path)
    path.write_bytes(b"GGUF" + whole[4:])
    with pytest.raises(CheckpointError, match="make it again with npc quantize"):
        read_packed(path)


@pytest.mark.parametrize(
    ("name", "change", "cause"),
    [
        ("0.attention_norm", {"bytes": 4}, "tensor 0.attention_norm does not have the 64 numbers"),
        ("0.attention_norm", {"offset": -256}, "the header is damaged"),
        ("0.qkv", {"offset": 7}, "not at a multiple of 64"),
        ("0.qkv", {"format": "INT3"}, "tensor 0.qkv does not have"),
        ("0.qkv", {"rows": None}, "tensor 0.qkv does not have"),
        ("0.qkv.bias", {"bytes": 8}, "tensor 0.qkv.bias does not have the 128 numbers"),
        ("1.k_norm", None, "tensor 1.k_norm is missing"),
        ("config", None, "the header is damaged"),
    ],
)
def test_a_header_that_lies_is_caught(tmp_path: Path, name: str, change: dict[str, object] | None, cause: str) -> None:
    """Regression: a norm shorter than the model was read past its end by the kernels."""
    raw = {**tiny.BASE, "architectures": ["Qwen3ForCausalLM"]}
    tensors = tiny.tensors(raw)
    for i in range(2):
        for part, rows in (("q", 64), ("k", 32), ("v", 32)):
            tensors[f"model.layers.{i}.self_attn.{part}_proj.bias"] = np.ones(rows, np.float32)
        for part in ("q", "k"):
            tensors[f"model.layers.{i}.self_attn.{part}_norm.weight"] = np.ones(16, np.float32)
    config = parse_config(raw)
    path = tmp_path / NAME
    write_packed(path, config, from_tensors(config, tensors, Format.INT8), {})
    assert read_packed(path)[0] == config
    whole = path.read_bytes()
    start = 16 + int.from_bytes(whole[8:16], "little")
    header = json.loads(whole[16:start])
    if change is None:
        (header if name == "config" else header["tensors"]).pop(name)
    else:
        header["tensors"][name].update(change)
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 16) % 64)
    path.write_bytes(whole[:8] + len(text).to_bytes(8, "little") + text + whole[start:])
    with pytest.raises(CheckpointError, match=cause):
        read_packed(path)
