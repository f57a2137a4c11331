"""The Smart-Turn-type detector on tiny networks that the test writes; its features against transformers' Whisper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npc.conversation.endpointing.interface import EndOfTurnDetector, Pause
from npc.conversation.endpointing.smart_turn import SmartTurnDetector, log_mel

onnx = pytest.importorskip("onnx", reason="writes its networks with the onnx package")


def network(path: Path, shape: list[int], gain: float, sigmoid: bool) -> Path:
    """A network whose output is the mean of its input times `gain`, through a sigmoid or not."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    axes = list(range(len(shape)))
    nodes = [
        helper.make_node("ReduceMean", ["audio"], ["mean"], axes=axes, keepdims=0),
        helper.make_node("Mul", ["mean", "gain"], ["scaled"]),
        helper.make_node("Sigmoid" if sigmoid else "Identity", ["scaled"], ["complete"]),
    ]
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info("audio", kind, shape)],
        [helper.make_tensor_value_info("complete", kind, [])],
        [helper.make_tensor("gain", kind, [], [gain])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path


def pause(level: float, seconds: float = 2.0) -> Pause:
    return Pause(3_200, 32_000, audio=np.full(round(seconds * 16_000), level, np.float32))


def test_features_are_whispers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra npc[local]")
    sound = np.random.default_rng(0).normal(0, 0.1, 8 * 16_000).astype(np.float32)
    sound[:40_000] = 0.0
    extractor = transformers.WhisperFeatureExtractor(chunk_length=8)
    wanted = extractor(sound, sampling_rate=16_000, return_tensors="np", do_normalize=True).input_features[0]
    assert log_mel(sound).shape == wanted.shape == (80, 800)
    assert np.allclose(log_mel(sound), wanted, atol=2e-3)


def test_mel_network_is_asked_for_eight_seconds(tmp_path: Path) -> None:
    detector = SmartTurnDetector(network(tmp_path / "mel.onnx", [1, 80, 800], 1.0, True))
    assert isinstance(detector, EndOfTurnDetector)
    assert detector.audio_seconds == 8.0
    assert 0.0 < detector.judge(pause(0.1)).complete < 1.0


def test_raw_network_answers_and_the_wait_follows(tmp_path: Path) -> None:
    detector = SmartTurnDetector(network(tmp_path / "raw.onnx", [1, 16_000], 20.0, True))
    assert detector.audio_seconds == 1.0
    done, open_ = detector.judge(pause(0.3)), detector.judge(pause(-0.3))
    assert done.complete > 0.99
    assert done.until == 200 * 16
    assert open_.complete < 0.01
    assert open_.until == 1200 * 16


def test_log_odds_are_recognised(tmp_path: Path) -> None:
    detector = SmartTurnDetector(network(tmp_path / "logit.onnx", [1, 16_000], 20.0, False))
    assert detector.judge(pause(0.3)).complete == pytest.approx(1 / (1 + np.exp(-6)), abs=1e-4)
    told = SmartTurnDetector(tmp_path / "logit.onnx", output="logit")
    assert told.judge(pause(0.0)).complete == 0.5


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Smart-Turn-type ONNX file"):
        SmartTurnDetector(tmp_path / "none.onnx")
    path = network(tmp_path / "odd.onnx", [1, 2, 3, 4], 1.0, True)
    with pytest.raises(ValueError, match=r"expected one input \[1, 80, frames\]"):
        SmartTurnDetector(path)
    raw = SmartTurnDetector(network(tmp_path / "raw.onnx", [1, 16_000], 1.0, True))
    with pytest.raises(ValueError, match="judges sound"):
        raw.judge(Pause(100, 100))
