"""How partials of a Whisper model are rationed, with a model and a clock that are scripted."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from npc.asr.interface import Bias

whisper = pytest.importorskip("npc.asr.faster_whisper", reason="faster-whisper is not installed")


class _Crowd:
    """The lock of a model that others use: one second passes before it is free."""

    def __init__(self, clock: list[float]) -> None:
        self._clock, self._lock = clock, threading.Lock()

    def __enter__(self) -> None:
        self._clock[0] += 1.0
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


def test_partials_of_many_streams_keep_to_one_share() -> None:
    """Regression: waiting for the model cost nothing, so ten speakers asked for five times what it can do."""
    clock, asked = [0.0], []

    def transcribe(sound: np.ndarray, **how: Any) -> tuple[list[Any], None]:
        clock[0] += 0.4
        asked.append(sound.size)
        return [SimpleNamespace(words=[SimpleNamespace(word=" hi", start=0.0, end=0.3, probability=0.9)])], None

    recogniser = object.__new__(whisper.FasterWhisperRecognizer)
    recogniser._model = SimpleNamespace(transcribe=transcribe)
    recogniser._turn, recogniser._clock = _Crowd(clock), lambda: clock[0]
    recogniser._beam, recogniser._share, recogniser.languages = 5, 0.5, ("en",)
    stream = recogniser.open(Bias())
    for _ in range(80):
        stream.accept(np.zeros(1_600, np.int16))
    assert asked == [12_800, 12_800 + 44_800, 12_800 + 2 * 44_800]
