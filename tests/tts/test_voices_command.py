"""`npc voices` lists, checks, speaks into a file and finds the mark in it; wrong input gets one line that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from npc.audio.wav import read_wav
from npc.cli.voices import main
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import SpeechRequest

LONG = "The bridge over the river has been down since the spring flood, and nobody has come to mend it since."


def test_list_shows_voices_and_rights(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert "flite-slt-young" in shown
    assert "allowed" in shown


def test_what_try_writes_detect_calls_generated(
    flite: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "said.wav"
    assert main(["try", "flite-rms", LONG, "--out", str(path), "--mood=-0.5,0.8,0.7"]) == 0
    pcm, rate = read_wav(path)
    plain = sum(c.pcm.size for c in FliteVoice(FliteSettings("rms")).synthesize(SpeechRequest(LONG)))
    assert pcm.size < 0.95 * plain
    assert rate == 16_000
    assert main(["detect", str(path)]) == 0
    assert "generated speech (marked)" in capsys.readouterr().out


def test_check_names_file_line_and_field(flite: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_text("id: mine\nname: Mine\nengine: flite\n")
    assert main(["check", str(tmp_path)]) == 1
    assert "mine.yaml:1: licence: Field required" in capsys.readouterr().out
    assert main(["check"]) == 0
    assert main(["check", str(tmp_path / "nothing.yaml")]) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["try", "nobody"], "no voice 'nobody': there are "),
        (["try", "flite-slt", "…"], "nothing to say"),
        (["detect", "missing.wav"], "missing.wav"),
    ],
)
def test_wrong_input_is_one_helpful_line(
    flite: None, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert says in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "npc voices try flite-slt" in capsys.readouterr().out
