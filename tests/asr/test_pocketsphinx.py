"""The embedded recogniser: its processes, its bias, its two passes. Speech is spoken by Flite where it is installed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

import npc.asr
from npc.asr import sphinx_worker
from npc.asr.interface import Bias, RecognizerError
from npc.asr.pocketsphinx import PocketsphinxRecognizer, language_model_words
from npc.asr.stability import StableWords
from tests.asr.speech import say


@pytest.fixture(scope="module")
def recogniser() -> Iterator[PocketsphinxRecognizer]:
    engine = PocketsphinxRecognizer(decoders=2)
    yield engine
    engine.close()


def test_language_model_knows_fewer_words_than_the_dictionary() -> None:
    words = language_model_words()
    assert len(words) > 70_000
    assert {"forklift", "dragon"} <= words
    # In the dictionary, but the language model can never put it out: it must be taught.
    assert "glassblower" not in words


def test_hears_a_sentence_in_both_passes(recogniser: PocketsphinxRecognizer) -> None:
    audio = say("Please hold out your arm and make a fist.", voice="rms")
    stream = recogniser.open()
    partials = [stream.accept(audio[at : at + 512]) for at in range(0, audio.size, 512)]
    texts = [partial.text for partial in partials if partial is not None]
    final = stream.finish()
    better = stream.refine()
    assert len(texts) > 3
    assert final.is_final
    assert "hold out your arm" in final.text
    assert better is not None
    assert "hold out your arm" in better.text
    arm = next(word for word in better.words if word.text == "arm")
    assert 0.5 * 16_000 < arm.span.start < arm.span.end < audio.size
    assert 0.0 < arm.confidence <= 1.0
    assert isinstance(stream.carry(), str)
    stream.close()
    stream.close()


def test_invented_name_is_heard_only_with_bias(recogniser: PocketsphinxRecognizer) -> None:
    audio = say("Where can I find Velkora?", voice="rms")
    texts = []
    for bias in (Bias(), Bias(phrases=("Velkora", "the blue lantern"))):
        stream = recogniser.open(bias)
        stream.accept(audio)
        stream.finish()
        refined = stream.refine()
        assert refined is not None
        texts.append(refined.text)
        stream.close()
    assert "Velkora" not in texts[0]
    assert texts[1].endswith("Velkora")


def test_own_pronunciation_wins(recogniser: PocketsphinxRecognizer) -> None:
    bias = Bias(phrases=("Xq",), pronunciations=(("Xq", "M AA1 R K AH0 T"),))
    stream = recogniser.open(bias)
    stream.accept(say("What time does the market close?"))
    stream.finish()
    words, spelling = recogniser._taught(bias)
    assert words == (("david(1000)", "M AA R K AH T"), ("smith(1001)", "M AA R K AH T"))
    assert spelling == {"david(1000)": "Xq", "smith(1001)": "Xq"}
    stream.close()


def test_a_wrong_pronunciation_costs_no_hearing(recogniser: PocketsphinxRecognizer) -> None:
    """Regression: one that the acoustic model does not know ("AX", a slip of the author) failed every utterance."""
    bias = Bias(pronunciations=(("Sela", "S EH1 L AX"), ("Velkora", "V EH1 QQ"), ("Brannick", "")))
    stream = recogniser.open(bias)
    stream.accept(say("What time does the market close?"))
    assert "market" in stream.finish().text
    stream.close()
    words, spelling = recogniser._taught(bias)
    phones = {spelling[name]: said for name, said in words}
    assert phones["Sela"] == "S EH L AH"
    assert set(spelling.values()) == {"Sela", "Velkora", "Brannick"}


@pytest.mark.parametrize("fault", ["means", "sound", "end"])
def test_a_decoder_that_fails_is_replaced(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Regression: it was lost for ever, or handed out again in the middle of an utterance."""

    class Faulty:
        started = False

        def __init__(self, **settings: object) -> None:
            self.config = {"cmninit": "40"}

        def start_utt(self) -> None:
            assert not self.started
            self.started = True

        def end_utt(self) -> None:
            if fault == "end":
                raise RuntimeError("broken")
            self.started = False

        def process_raw(self, pcm: bytes, **how: bool) -> None:
            if fault == "sound":
                raise RuntimeError("broken")

        def set_cmn(self, means: str) -> None:
            if fault == "means":
                raise RuntimeError("broken")

        def seg(self) -> list[object]:
            return []

        def get_cmn(self, update: bool) -> str:
            return "40"

    monkeypatch.setattr(sphinx_worker, "Decoder", Faulty)
    worker = sphinx_worker.Worker(1, {})
    if fault == "means":
        with pytest.raises(RuntimeError, match="broken"):
            worker.open(1, (), "40")
    elif fault == "sound":
        with pytest.raises(RuntimeError, match="broken"):
            worker.decode((), b"\0\0", None)
    else:
        worker.open(1, (), "40")
        for leave in (worker.finish, worker.close):
            with pytest.raises(RuntimeError, match="broken"):
                leave(1)
    fault = ""
    worker.open(2, (), "40")
    worker.finish(2)
    worker.close(2)


def test_closing_does_not_wait_for_a_pass_and_is_for_good() -> None:
    """Regression: it waited for the pass to end, and whoever called next started the process again."""
    engine = PocketsphinxRecognizer(decoders=1)
    stream = engine.open()
    stream.accept(np.zeros(1600, np.int16))
    failed: list[RecognizerError] = []

    def listen() -> None:
        try:
            stream.accept(np.random.default_rng(0).integers(-9_000, 9_000, 60 * 16_000).astype(np.int16))
        except RecognizerError as error:
            failed.append(error)

    listener = threading.Thread(target=listen)
    listener.start()
    time.sleep(0.3)
    engine.close()
    listener.join(5.0)
    assert "died" in str(failed[0])
    with pytest.raises(RecognizerError, match="closed"):
        engine.open().accept(np.zeros(1600, np.int16))
    assert engine._live._child is None


def test_opening_is_cheap(recogniser: PocketsphinxRecognizer) -> None:
    bias = Bias(phrases=tuple(f"Name{chr(97 + n)}or" for n in range(20)))
    began = time.perf_counter()
    recogniser.open(bias).close()
    assert time.perf_counter() - began < 0.005


def test_silence_noise_and_nothing_give_no_words(recogniser: PocketsphinxRecognizer) -> None:
    for audio in (np.zeros(0, np.int16), np.zeros(100, np.int16), np.zeros(32_000, np.int16)):
        stream = recogniser.open()
        stream.accept(audio)
        assert stream.finish().text == ""
        stream.close()


def test_two_utterances_do_not_mix(recogniser: PocketsphinxRecognizer) -> None:
    one, other = say("The bridge is down."), say("Open the gate for me.", voice="rms")
    streams = recogniser.open(), recogniser.open()
    for at in range(0, max(one.size, other.size), 1600):
        for stream, audio in zip(streams, (one, other), strict=True):
            stream.accept(audio[at : at + 1600])
    texts = [stream.finish().text for stream in streams]
    assert "bridge" in texts[0]
    assert "gate" in texts[1]
    assert "gate" not in texts[0]
    for stream in streams:
        stream.close()


def test_too_many_utterances_are_refused_and_room_comes_back(recogniser: PocketsphinxRecognizer) -> None:
    sound = np.zeros(1600, np.int16)
    streams = [recogniser.open() for _ in range(3)]
    streams[0].accept(sound)
    streams[1].accept(sound)
    with pytest.raises(RecognizerError, match="all 2 decoders are in use"):
        streams[2].accept(sound)
    for stream in streams:
        stream.close()
    last = recogniser.open()
    last.accept(sound)
    last.close()


def test_a_killed_process_loses_the_utterance_and_nothing_else(recogniser: PocketsphinxRecognizer) -> None:
    stream = recogniser.open()
    stream.accept(np.zeros(1600, np.int16))
    child = recogniser._live._child
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(RecognizerError, match=r"died|restarted"):
        stream.accept(np.zeros(1600, np.int16))
    with pytest.raises(RecognizerError, match="restarted"):
        stream.finish()
    stream.close()
    again = recogniser.open()
    again.accept(say("Stop right there."))
    assert "there" in again.finish().text
    again.close()


def test_decoding_leaves_this_process_free(recogniser: PocketsphinxRecognizer) -> None:
    """Regression: PocketSphinx keeps the interpreter's lock; decoding in-process stopped the event loop for 0.3 s."""
    stream = recogniser.open()
    stream.accept(say("I understand that you are upset, and I want to help."))
    stream.finish()
    done = threading.Event()
    thread = threading.Thread(target=lambda: (stream.refine(), done.set()))
    thread.start()
    gaps = []
    while not done.is_set():
        began = time.perf_counter()
        time.sleep(0.001)
        gaps.append(time.perf_counter() - began)
    thread.join()
    stream.close()
    assert len(gaps) > 20
    assert sorted(gaps)[len(gaps) // 2] < 0.02


def test_other_languages_and_wrong_carry_are_refused(recogniser: PocketsphinxRecognizer) -> None:
    with pytest.raises(ValueError, match="English only, not 'de'"):
        recogniser.open(language="de")
    with pytest.raises(ValueError, match="carry must come from"):
        recogniser.open(carry=3)


def test_load_by_name() -> None:
    assert "pocketsphinx" in npc.asr.engines()
    with pytest.raises(ValueError, match="unknown recogniser 'ears': choose one of pocketsphinx"):
        npc.asr.load("ears")
    with pytest.raises(ValueError, match="does not take these settings"):
        npc.asr.load("pocketsphinx", colour="red")


def test_stable_words_need_time_and_agreement() -> None:
    stable = StableWords(hold_ms=100)
    assert stable.update(["i", "need"], 0) == 0
    assert stable.update(["i", "needed"], 1_600) == 1
    assert stable.update(["i", "needed", "to"], 3_200) == 2
    assert stable.update(["eye", "needed", "to"], 4_800) == 0
