"""Piper voices on a VITS-shaped graph made here: same inputs and outputs, a sine for every phoneme id.

No trained Piper voice is used: nothing here judges how one sounds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npc import tts
from npc.config.authored import AuthoredFileError
from npc.tts.interface import Prosody, SpeechRequest
from npc.tts.piper import PiperSettings, PiperVoice
from tests.tts.contract import check_all

onnx = pytest.importorskip("onnx", reason="onnx is needed to make the test voice")

RATE = 22_050
IPA = "abcdefhijklmnopqrstuvwxyzæçðøŋœɐɑɒɔəɚɛɜɡɪɹɾʃʊʌʒʔˈˌːθᵻ ̃,.;:!?"


def tiny_voice(folder: Path, *, durations: bool, phonemes: str = "espeak", speakers: int = 1) -> Path:
    """Write `tiny.onnx` and its description; every id sounds for round(4 * length_scale) frames of 256 samples."""
    ids = {symbol: [number + 3] for number, symbol in enumerate(IPA)} | {"_": [0], "^": [1], "$": [2]}
    at = np.arange(256) / RATE
    table = np.zeros((len(ids) + 3, 256), dtype=np.float32)
    for number in range(3, len(table)):
        table[number] = 0.3 * np.sin(2 * np.pi * (4 + number % 9) * 86.1328125 * at)
    helper, proto = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Gather", ["table", "input"], ["waves"]),
        helper.make_node("Unsqueeze", ["waves", "two"], ["column"]),
        helper.make_node("Slice", ["scales", "one", "two"], ["length"]),
        helper.make_node("Mul", ["length", "four"], ["exact"]),
        helper.make_node("Round", ["exact"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["frames"], to=proto.INT64),
        helper.make_node("Concat", ["ones", "frames", "hop"], ["spread"], axis=0),
        helper.make_node("Expand", ["column", "spread"], ["repeated"]),
        helper.make_node("Reshape", ["repeated", "flat"], ["output"]),
    ]
    outputs = [helper.make_tensor_value_info("output", proto.FLOAT, [1, 1, 1, None])]
    if durations:
        nodes += [
            helper.make_node("Shape", ["input"], ["shape"]),
            helper.make_node("Expand", ["rounded", "shape"], ["durations"]),
        ]
        outputs.append(helper.make_tensor_value_info("durations", proto.FLOAT, [1, None]))
    constants = {
        "table": table,
        "one": np.array([1], np.int64),
        "two": np.array([2], np.int64),
        "four": np.array([4], np.float32),
        "ones": np.array([1, 1], np.int64),
        "hop": np.array([256], np.int64),
        "flat": np.array([1, 1, 1, -1], np.int64),
    }
    inputs = [
        helper.make_tensor_value_info("input", proto.INT64, [1, None]),
        helper.make_tensor_value_info("input_lengths", proto.INT64, [1]),
        helper.make_tensor_value_info("scales", proto.FLOAT, [3]),
    ]
    if speakers > 1:
        inputs.append(helper.make_tensor_value_info("sid", proto.INT64, [1]))
    initial = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = folder / "tiny.onnx"
    onnx.save(model, path)
    description = {
        "audio": {"sample_rate": RATE},
        "espeak": {"voice": "en-us"},
        "phoneme_type": phonemes,
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "num_speakers": speakers,
        "speaker_id_map": {"anna": 0, "ben": 1} if speakers > 1 else {},
        "phoneme_id_map": ids,
    }
    path.with_name("tiny.onnx.json").write_text(json.dumps(description))
    return path


@pytest.fixture
def espeak() -> None:
    pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed (pip install 'npc[espeak]')")


def test_the_contract_with_the_model_s_own_durations(tmp_path: Path, espeak: None) -> None:
    voice = PiperVoice(tiny_voice(tmp_path, durations=True), PiperSettings("tiny.onnx"))
    check_all(voice, word_times=True, phone_times=True)


def test_the_contract_without_durations_has_words_and_claims_no_phones(tmp_path: Path, espeak: None) -> None:
    voice = PiperVoice(tiny_voice(tmp_path, durations=False), PiperSettings("tiny.onnx"))
    check_all(voice, word_times=True, phone_times=False)
    assert not any(chunk.phones for chunk in voice.synthesize(SpeechRequest("No phones here.")))


def test_a_voice_of_letters_needs_no_phonemes(tmp_path: Path) -> None:
    voice = PiperVoice(tiny_voice(tmp_path, durations=True, phonemes="text"), PiperSettings("tiny.onnx"))
    chunks = list(voice.synthesize(SpeechRequest("abc de")))
    phones = [phone for chunk in chunks for phone in chunk.phones]
    assert [phone.ipa for phone in phones if phone.ipa] == list("abcde")
    # A letter and its pad are two ids of four frames of 256 samples.
    assert {phone.span.length for phone in phones if phone.ipa in ("a", "b")} == {2_048}


def test_pitch_moves_by_resampling_and_keeps_the_length(tmp_path: Path) -> None:
    voice = PiperVoice(tiny_voice(tmp_path, durations=True, phonemes="text"), PiperSettings("tiny.onnx"))

    def peak_hz(prosody: Prosody) -> tuple[float, int]:
        pcm = np.concatenate([c.pcm for c in voice.synthesize(SpeechRequest("aaaaaaaaaa", prosody))])
        return float(np.argmax(np.abs(np.fft.rfft(pcm))) * RATE / pcm.size), pcm.size

    (low, length), (high, shifted) = peak_hz(Prosody()), peak_hz(Prosody(pitch_semitones=4.0))
    assert high / low == pytest.approx(2 ** (4 / 12), rel=0.03)
    # The tiny model rounds 4 frames x 1.26 to 5, so the length is kept within its own grid.
    assert shifted == pytest.approx(length, rel=0.15)


def test_speakers_by_name_or_number(tmp_path: Path) -> None:
    path = tiny_voice(tmp_path, durations=True, phonemes="text", speakers=2)
    PiperVoice(path, PiperSettings("tiny.onnx", speaker="ben"))
    with pytest.raises(ValueError, match="no speaker 'carl': anna, ben"):
        PiperVoice(path, PiperSettings("tiny.onnx", speaker="carl"))


CARD = """\
id: tiny
name: Tiny
engine: piper
settings: {model: tiny.onnx}
licence: {software: MIT, model: MIT, commercial_use: allowed}
consent: {basis: synthetic, statement: nobody's voice at all}
provenance: made up for a test
watermark: false
"""


@pytest.mark.parametrize(
    "change",
    [{"espeak": None}, {"phoneme_id_map": {"^": 1, "$": 2, "_": 0}}, {"phoneme_id_map": []}, {"audio": {}}],
)
def test_a_description_that_lacks_something_is_refused_at_once(tmp_path: Path, change: dict[str, Any]) -> None:
    """Regression: a missing eSpeak voice was found out by the first clause."""
    model = tiny_voice(tmp_path, durations=True)
    path = tmp_path / "tiny.onnx.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match=r"tiny\.onnx\.json: not a Piper voice description"):
        PiperVoice(model, PiperSettings(str(model)))


def test_a_card_finds_its_model_beside_it_and_says_what_is_missing(tmp_path: Path) -> None:
    card = tmp_path / "tiny.yaml"
    card.write_text(CARD)
    with pytest.raises(AuthoredFileError, match=r"tiny\.yaml:4: settings: Piper model: no .*tiny\.onnx"):
        tts.load(str(card))
    tiny_voice(tmp_path, durations=True, phonemes="text")
    voice = tts.load(str(card))
    assert voice.sample_rate == RATE
    voice.close()
    (tmp_path / "tiny.onnx.json").write_text("{}")
    with pytest.raises(AuthoredFileError, match="not a Piper voice description"):
        tts.load(str(card))
    tiny_voice(tmp_path, durations=True)
    (tmp_path / "tiny.onnx").write_bytes(b"not a model")
    with pytest.raises(AuthoredFileError, match="onnxruntime cannot read it"):
        tts.load(str(card))
