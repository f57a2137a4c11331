"""What every recogniser promises, run on every implementation: PocketSphinx, and faster-whisper on made-up weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import npc.asr
from npc.asr.interface import Bias, RecognizerError, StreamingRecognizer


@pytest.fixture(scope="module", params=["pocketsphinx", "faster_whisper"])
def recogniser(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StreamingRecognizer]:
    settings = {}
    if request.param == "faster_whisper":
        pytest.importorskip("faster_whisper", reason="needs the extra npc[local]")
        pytest.importorskip("transformers", reason="needs the extra npc[local]")
        from tests.asr.tiny_whisper import make

        settings["model"] = make(tmp_path_factory.mktemp("whisper"))
    engine = npc.asr.load(request.param, **settings)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """Three seconds of something speech-shaped: a buzz that swells four times a second."""
    t = np.arange(48_000) / 16_000
    buzz = sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 20))
    return (3_000 * buzz * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * t))).astype(np.int16)


def test_is_a_recogniser(recogniser: StreamingRecognizer) -> None:
    assert isinstance(recogniser, StreamingRecognizer)
    assert recogniser.name in npc.asr.engines()
    assert "en" in recogniser.languages


def test_one_utterance(recogniser: StreamingRecognizer, sound: np.ndarray) -> None:
    recogniser.prepare(Bias(("Velkora",)))
    stream = recogniser.open(Bias(("Velkora",)), "en-GB")
    for at in range(0, sound.size, 1_000):
        partial = stream.accept(sound[at : at + 1_000])
        if partial is not None:
            assert not partial.is_final
            assert 0 <= partial.stable_words <= len(partial.words)
            assert partial.text == " ".join(word.text for word in partial.words)
    final = stream.finish()
    assert final.is_final
    assert final.language == "en"
    assert stream.finish() == final
    better = stream.refine()
    for hypothesis in filter(None, (final, better)):
        starts = [word.span.start for word in hypothesis.words]
        assert starts == sorted(starts)
        assert all(0 <= word.span.start <= word.span.end <= sound.size + 1_600 for word in hypothesis.words)
        assert all(0.0 <= word.confidence <= 1.0 for word in hypothesis.words)
    with pytest.raises(ValueError, match="accept after finish"):
        stream.accept(sound[:100])
    again = recogniser.open(carry=stream.carry())
    stream.close()
    stream.close()
    again.accept(sound[:16_000])
    again.finish()
    again.close()


def test_nothing_said(recogniser: StreamingRecognizer) -> None:
    stream = recogniser.open()
    assert stream.accept(np.zeros(0, np.int16)) is None
    assert stream.finish().text == ""
    stream.close()


def test_closed_streams_take_no_more(recogniser: StreamingRecognizer) -> None:
    stream = recogniser.open()
    stream.close()
    with pytest.raises(ValueError, match="close"):
        stream.accept(np.zeros(100, np.int16))


def test_unknown_language_is_refused(recogniser: StreamingRecognizer) -> None:
    with pytest.raises(ValueError, match="xx"):
        recogniser.open(language="xx")


def test_whisper_rations_partials_and_lets_old_sound_go(recogniser: StreamingRecognizer, sound: np.ndarray) -> None:
    if recogniser.name != "faster_whisper":
        pytest.skip("about faster-whisper only")
    from npc.asr.faster_whisper import _LONGEST

    stream = recogniser.open()
    decodes = 0
    inner = recogniser.decode  # type: ignore[attr-defined]

    def counted(*arguments: object) -> object:
        nonlocal decodes
        decodes += 1
        words, _ = inner(*arguments)
        return words, 1.0

    recogniser.decode = counted  # type: ignore[attr-defined]
    try:
        for _ in range(11):
            stream.accept(sound)
    finally:
        recogniser.decode = inner  # type: ignore[attr-defined]
    # Pieces of 3 s; a decode that "costs" 1 s at a share of 0.5 may run every 2 s, so once a piece.
    assert decodes == 11
    assert stream._sound.size <= _LONGEST  # type: ignore[attr-defined]
    stream.close()


def test_missing_whisper_model_says_what_to_do() -> None:
    pytest.importorskip("faster_whisper", reason="needs the extra npc[local]")
    with pytest.raises(RecognizerError, match=r"model\.bin"):
        npc.asr.load("faster_whisper", model="/nowhere/whisper")


def test_a_whisper_model_named_but_not_here_is_not_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="needs the extra npc[local]")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("npc.asr.faster_whisper.cache_dir", lambda: tmp_path)
    with pytest.raises(RecognizerError, match="npc models pull whisper-tiny"):
        npc.asr.load("faster_whisper", model="tiny")
