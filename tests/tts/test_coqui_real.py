"""Coqui itself, in its own environment, on a small VITS with random weights that Coqui writes here.

Run by `make test-coqui`, which builds the environment; left out elsewhere. Nothing here judges how a voice sounds, and
XTTS is not run: its smallest weights are too large to make.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from npc.tts.coqui import SCRIPT, CoquiSettings, CoquiVoice, interpreter
from npc.tts.interface import EngineUnavailable
from tests.tts import contract

pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed (pip install 'npc[espeak]')")

MAKE = Path(__file__).with_name("make_vits.py")


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> CoquiVoice:
    try:
        python = interpreter(CoquiSettings("vits"))
    except EngineUnavailable as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("coqui") / "vits"
    subprocess.run([str(python), str(MAKE), str(folder)], check=True, timeout=110, capture_output=True)
    return CoquiVoice([str(python), str(SCRIPT)], folder, CoquiSettings("vits"))


def test_coqui_s_own_durations_are_the_phone_times(voice: CoquiVoice) -> None:
    contract.check_shape(voice)
    contract.check_times(voice, word_times=True, phone_times=True)
    contract.check_prosody(voice, rate_error=0.2)


def test_nothing_to_say_early_closing_and_threads(voice: CoquiVoice) -> None:
    contract.check_nothing_to_say(voice)
    contract.check_closing_early(voice)
    contract.check_threads(voice)


def test_the_same_clause_is_the_same_sound(voice: CoquiVoice) -> None:
    first, second = (b"".join(c.pcm.tobytes() for c in contract.say(voice)) for _ in range(2))
    assert first == second
    voice.close()
