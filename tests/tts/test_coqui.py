"""Voices in a process of their own, with a scripted process: the contract, crashes, silence, babble, early closing.

Coqui itself runs in `test_coqui_real.py`, where its environment exists.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from npc import tts
from npc.config.authored import AuthoredFileError
from npc.tts.coqui import CoquiSettings, CoquiVoice
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import EngineFailed, EngineUnavailable, SpeechRequest
from npc.tts.worker import STARTS, WINDOW_S, Worker
from tests.tts.contract import check_all, samples, say

SCRIPT = Path(__file__).with_name("scripted_worker.py")
COMMAND = [sys.executable, str(SCRIPT)]


def voice(folder: Path, manner: str) -> CoquiVoice:
    model = folder / manner
    model.mkdir(exist_ok=True)
    return CoquiVoice(COMMAND, model, CoquiSettings(str(model)))


def test_vits_passes_the_contract(tmp_path: Path) -> None:
    made = voice(tmp_path, "vits")
    check_all(made, word_times=True, phone_times=True)
    made.close()


def test_xtts_passes_the_contract_with_the_aligner_s_times(tmp_path: Path, flite: None) -> None:
    made = voice(tmp_path, "xtts")
    check_all(made, word_times=True, phone_times=True)
    made.close()


def test_a_streaming_voice_gives_sound_before_it_is_done_and_the_aligner_is_right(tmp_path: Path, flite: None) -> None:
    made = voice(tmp_path, "xtts")
    text = "The bridge over the river has been down since the spring flood."
    chunks = list(made.synthesize(SpeechRequest(text)))
    made.close()
    assert len(chunks) > 5
    assert chunks[0].pcm.size < 0.2 * samples(chunks)
    words = [word for chunk in chunks for word in chunk.words]
    truth = [w for c in FliteVoice(FliteSettings("rms")).synthesize(SpeechRequest(text)) for w in c.words]
    errors = [abs(a.span.start / 24.0 - b.span.start / 16.0) for a, b in zip(words, truth, strict=True)]
    assert np.median(errors) < 25
    assert max(errors) < 120


def test_a_crash_fails_the_clause_says_why_and_the_next_clause_is_spoken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = voice(tmp_path, "crash")
    with pytest.raises(EngineFailed, match=r"ended with status 139.*segmentation fault"):
        say(made)
    assert samples(say(made)) > 20_000
    assert "started again" in caplog.text
    made.close()


def test_a_process_that_always_dies_is_left_alone_for_a_minute(tmp_path: Path) -> None:
    now = [0.0]
    (tmp_path / "always-crash").mkdir()
    worker = Worker(COMMAND, {"model": str(tmp_path / "always-crash")}, clock=lambda: now[0])
    for _ in range(STARTS):
        with pytest.raises(EngineFailed, match="139"):
            list(worker.ask({"units": ["a"], "length": 1.0}))
    with pytest.raises(EngineFailed, match=f"ended {STARTS} times within"):
        list(worker.ask({"units": ["a"], "length": 1.0}))
    assert worker.starts == STARTS
    now[0] = WINDOW_S + 1.0
    with pytest.raises(EngineFailed, match="139"):
        list(worker.ask({"units": ["a"], "length": 1.0}))
    assert worker.starts == STARTS + 1
    worker.close()


def test_a_process_that_hangs_is_ended_at_its_deadline(tmp_path: Path) -> None:
    (tmp_path / "hang").mkdir()
    worker = Worker(COMMAND, {"model": str(tmp_path / "hang")}, step_s=0.3)
    with pytest.raises(EngineFailed, match="did not answer in time"):
        list(worker.ask({"units": ["a"], "length": 1.0}))
    worker.close()


def test_closing_ends_a_clause_that_runs_and_waits_for_none_that_stands(tmp_path: Path) -> None:
    """Regression: a clause whose reader had left it standing kept `close` waiting for ever."""
    running = Worker(COMMAND, {"model": str(tmp_path / "hang")})
    failed: list[EngineFailed] = []

    def read() -> None:
        try:
            list(running.ask({"units": ["a"], "length": 1.0}))
        except EngineFailed as error:
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.2)
    running.close()
    reader.join(5.0)
    assert "ended" in str(failed[0])
    standing = Worker(COMMAND, {"model": str(tmp_path / "vits")}, step_s=0.3)
    pieces = standing.ask({"units": ["a"], "length": 1.0})
    next(pieces)
    standing.close()
    with pytest.raises(EngineFailed):
        list(pieces)
    with pytest.raises(EngineFailed, match="closed"):
        list(standing.ask({"units": ["a"], "length": 1.0}))


@pytest.mark.parametrize(
    ("manner", "says"),
    [("refuse", "could not load its model: ValueError: no checkpoint here"), ("babble", "no message")],
)
def test_a_process_that_cannot_start_says_why(tmp_path: Path, manner: str, says: str) -> None:
    with pytest.raises(EngineFailed, match=says):
        voice(tmp_path, manner)


def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="cannot be started"):
        Worker([str(tmp_path / "python")], {})


CARD = """\
id: mine
name: Mine
engine: coqui
settings: {model: mine, speaker: anna}
licence: {software: MPL-2.0, model: MIT, commercial_use: allowed}
consent: {basis: synthetic, statement: nobody's voice at all}
provenance: made up for a test
"""


def test_a_card_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = tmp_path / "mine.yaml"
    card.write_text(CARD)
    with pytest.raises(AuthoredFileError, match=r"mine\.yaml:4: settings: Coqui model: no .*config\.json"):
        tts.load(str(card))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    monkeypatch.setenv("NPC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NPC_COQUI_PYTHON", raising=False)
    with pytest.raises(EngineUnavailable, match="make coqui"):
        tts.load(str(card))
