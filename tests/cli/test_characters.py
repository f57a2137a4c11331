"""`npc characters`: every subcommand, and what it says when something is wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from npc.cli.characters import main
from npc.dialogue.character import Character, character_schema, load_character


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPC_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("NPC_CACHE", str(tmp_path / "cache"))


def test_list_and_inspect(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert "sela-marrow" in capsys.readouterr().out
    assert main(["inspect", "sela-marrow"]) == 0
    out = capsys.readouterr().out
    assert "told to: relationship:trusted" in out
    assert "Greywater" not in out


def test_new_check_diff_export_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "mira-vale", "--role", "map seller"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert load_character(path).role == "map seller"
    assert main(["new", "mira-vale"]) == 1
    assert "there already" in capsys.readouterr().err
    assert main(["check", "mira-vale"]) == 0
    assert "(warning)" in capsys.readouterr().out
    other = tmp_path / "other.yaml"
    other.write_text(path.read_text().replace("opens at nine", "opens at noon"))
    questions = tmp_path / "q.txt"
    questions.write_text("When does the shop open?\nAre you a real person?\n")
    assert main(["diff", "mira-vale", str(other), "--questions", str(questions)]) == 0
    out = capsys.readouterr().out
    assert "nine" in out
    assert "noon" in out
    assert "1 of 2 answers differ" in out
    card = tmp_path / "mira.png"
    assert main(["export", "mira-vale", str(card), "--version", "2"]) == 0
    assert main(["import", str(card), "--folder", str(tmp_path / "back")]) == 0
    back = Path(capsys.readouterr().out.splitlines()[-1])
    assert load_character(back) == load_character(path)


def test_shipped_characters_are_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    assert capsys.readouterr().out.count(": good") >= 3


def test_chat_reads_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("What does a hand lamp cost?\n"))
    assert main(["chat", "sela-marrow", "--why"]) == 0
    out = capsys.readouterr().out
    assert "four silver" in out
    assert '"decision"' in out


def test_errors_name_the_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("id: bad\nname: B\nrole: r\nbiography: b\nage: old\n")
    assert main(["check", str(bad)]) == 1
    assert "bad.yaml:5: age" in capsys.readouterr().out
    assert main(["inspect", "nobody"]) == 1
    assert "known characters" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "none.json")]) == 1
    assert "cannot be read" in capsys.readouterr().err
    bad.write_text(
        "id: bad\nname: B\nrole: r\nbiography: b\nnarrative: gone.yaml\nknowledge: [{path: gone}]\nlexicon: {B: QQ1}\n"
    )
    assert main(["check", str(bad)]) == 1
    out = capsys.readouterr().out
    assert "gone.yaml: cannot be read" in out
    assert "there is nothing at" in out
    assert "lexicon.B" in out


def test_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == Character.__name__
    assert main(["schema", "--write", str(tmp_path / "s.json")]) == 0
    assert (tmp_path / "s.json").read_text() == character_schema()
