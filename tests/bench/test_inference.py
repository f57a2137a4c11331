"""The inference benchmark: the worker measures what it says, ratios are per round, gaps are null with a reason."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from npc.bench import inference_result, inference_worker
from npc.bench.inference_shapes import SHAPES, write_checkpoint
from npc.inference.checkpoint import Checkpoint
from npc.inference.config import read_config
from tests.inference import tiny


@tiny.needs_kernels
def test_the_worker_answers_every_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.save(tmp_path / "model", max_position_embeddings=4096)
    out = tmp_path / "logits.npy"
    asked = [
        {"do": "load"},
        {"do": "prefill", "threads": 1, "tokens": 300},
        {"do": "decode", "threads": 1, "context": 8, "count": 3},
        {"do": "batch", "threads": 1, "size": 4, "count": 2},
        {"do": "verify", "threads": 1, "size": 4, "count": 2},
        {"do": "warm", "threads": 1, "tokens": 12},
        {"do": "logits", "path": str(out)},
        {"do": "memory"},
        {"do": "dance"},
        {"do": "listening", "threads": 1},
        {"do": "focus", "threads": 1},
    ]
    # six arguments: pack here instead of in a process of its own
    monkeypatch.setattr(sys, "argv", ["worker", "npc", str(folder), str(tmp_path), "INT4+head8", "here"])
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(json.dumps(a) + "\n" for a in asked)))
    replies = io.StringIO()
    monkeypatch.setattr(sys, "stdout", replies)
    inference_worker.main()
    monkeypatch.undo()
    said = [json.loads(line) for line in replies.getvalue().splitlines()]
    assert said[0]["bytes"] > 0
    assert said[1]["seconds"] > 0
    assert [len(said[i]["seconds"]) for i in (2, 3, 4)] == [3, 2, 2]
    assert np.load(out).shape == (64, 96)
    assert said[7]["peak_mb"] > 0
    assert "dance" in said[8]["unsupported"]
    assert said[9]["wait_with_ms"] < said[9]["wait_without_ms"]
    assert said[9]["tokens_kept_a_turn"] > 0
    assert said[10]["four_ambient_p95_ms"] > 0


def test_checkpoints_have_the_shape_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {**SHAPES["0.5b"], "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "vocab_size": 50}
    small |= {"num_attention_heads": 4}
    monkeypatch.setitem(SHAPES, "small", small)
    write_checkpoint(tmp_path, "small", 1)
    config, tensors = read_config(tmp_path), Checkpoint(tmp_path)
    assert config.family == "qwen2"
    assert tensors["model.layers.0.self_attn.q_proj.bias"].shape == (config.heads * config.head_dim,)
    assert 0.015 < float(tensors["model.embed_tokens.weight"].std()) < 0.025


def shape_report(features: str) -> inference_result.Report:
    samples = inference_result.Samples()
    ours, theirs = inference_result.OURS[0], inference_result.LLAMA[0]
    samples.values["decode", ours, 2] = [100.0, 30.0, 110.0]
    samples.values["decode", theirs, 2] = [50.0, 15.0, None]
    facts = {
        ours: {"bytes": 100, "cpu_features": "AMX"},
        theirs: {"bytes": 125, "cpu_features": features},
    }
    return inference_result.Report(samples, facts, {}, {}, {}, 1)


def test_ratios_are_per_round_and_equal_bytes_stand_beside() -> None:
    notes: dict[str, str] = {}
    ratios = inference_result.ratios({"0.5b": shape_report("AVX512_VNNI AMX_INT8")}, notes)
    assert ratios["decode_int4_vs_llamacpp"] == 2.0
    assert ratios["decode_int4_vs_llamacpp_at_equal_bytes"] == 1.6
    assert ratios["decode_int4_vs_llamacpp_1b"] is None
    assert notes["decode_int4_vs_llamacpp_1b"] == "shape not measured"


def test_a_peer_without_this_cpus_instructions_has_no_ratio() -> None:
    notes: dict[str, str] = {}
    ratios = inference_result.ratios({"0.5b": shape_report("AVX512_VNNI")}, notes)
    assert ratios["decode_int4_vs_llamacpp"] is None
    assert notes["decode_int4_vs_llamacpp"] == "the llama.cpp build lacks AMX_INT8"


def test_weights_that_a_cache_holds_have_the_caches_roofline() -> None:
    found, ours = shape_report("AVX512_VNNI AMX_INT8"), inference_result.OURS[0]
    found.samples.values["decode", ours, 2] = [300.0]
    found.facts[ours]["bytes"] = 100_000_000
    found.samples.bandwidth = {1: [14.0], 2: [29.0]}
    found.memory = {}
    for cached, share in (([], 103.4), ([54.0], 55.6), ([20.0], 103.4)):
        found.samples.cached = {ours: cached} if cached else {}
        shape = inference_result.shape_result(found)
        assert shape["roofline_pct"]["INT4"] == share
        assert shape["memory_bandwidth_pct"]["INT4"] == 103.4
