"""What a benchmark says when it is given something that cannot be measured: a line, at once, and no figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from npc.cli.main import main


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("asr --audio {empty}", "empty: no recordings there that a metadata.csv or transcripts.tsv lists"),
        ("asr --sentences {empty}/none.txt", "none.txt: No such file or directory"),
        ("turns --turns 1 --audio {empty}", "empty: no WAV or FLAC recordings there"),
        ("turns --turns 1 --audio {meeting}", "no WAV or FLAC of a meeting"),
        ("latency --turns 1 --audio {empty}", "empty: no WAV recordings there"),
        ("latency --turns 1 --url http://127.0.0.1:9", "npc bench latency: "),
        ("server --seconds 0", "some time and at least one stream"),
        ("rubric --set {empty}/none.jsonl", "none.jsonl: No such file or directory"),
        ("rubric --set {odd}", "line 1: not a labelled attempt"),
        ("mind --set {empty}/none.jsonl", "none.jsonl: cannot be read"),
        ("animation --head nobody", "nobody.glb: No such file or directory"),
        ("voices --voices nobody", "no voice 'nobody'"),
        ("cues --out {odd}", "odd.txt: File exists"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_line(
    command: str, complaint: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A folder without recordings was measured as 0.0 % errors; anything else ended in a traceback."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "meeting").mkdir()
    (tmp_path / "meeting" / "a.rttm").write_text("SPEAKER a 1 0.0 2.0 <NA> <NA> ann <NA> <NA>\n")
    (tmp_path / "odd.txt").write_text("odd\n")
    places = {name: tmp_path / name for name in ("empty", "meeting")}
    assert main(["bench", *command.format(**places, odd=tmp_path / "odd.txt").split()]) == 1
    told = capfd.readouterr()
    assert told.out == ""
    assert complaint in told.err
    assert "Traceback" not in told.err
