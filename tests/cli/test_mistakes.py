"""What is told on the command line when something is wrong: a line that names it, never a traceback or an errno."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from npc.cli.main import main
from npc.simulation.attempt import save
from npc.store import LogStore
from tests.simulation.attempts import make


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPC_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.wav").write_text("no sound")
    (tmp_path / "acts.txt").write_text("Good morning.\n!Bad Name\n")
    (tmp_path / "waits.txt").write_text("...x\n")
    (tmp_path / "log.jsonl").write_text('{"seq": 0, "at": 0, "kind": "a", "data": {}}\n')
    store = LogStore(tmp_path / "sessions.sqlite")
    store.open("s", "ada", "p", 1).record("a", {}, 0.0)
    store.close()


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("scenario run angry-customer --script nothing.txt", "nothing.txt: cannot be read: No such file or directory"),
        ("scenario run angry-customer --script acts.txt", "acts.txt:2: '!Bad Name': String should match pattern"),
        ("scenario run angry-customer --script waits.txt", "waits.txt:1: '...x': Input should be a valid number"),
        ("scenario run angry-customer --wav odd.wav", "odd.wav: not a WAV file"),
        ("scenario run angry-customer --trainee strong --url localhost:1", "url must be an address like"),
        ("scenario run angry-customer --trainee nobody", "there is no trainee 'nobody'"),
        ("scenario check angry-customer --svg none/x.svg", "none/x.svg: No such file or directory"),
        ("scenario export angry-customer --out none/x.zip", "none/x.zip: No such file or directory"),
        ("replay --store sessions.sqlite --session s --export none/x", "none/x: No such file or directory"),
        ("replay --store sessions.sqlite --session t", "there is no session 't' in the store"),
        ("replay --store odd.wav --list", "odd.wav: cannot be used as a session store"),
        ("replay --list", "there is no session store"),
        ("replay log.jsonl --export x", "--export writes a session of the store"),
        ("replay log.jsonl --character ada", "--character says who answers"),
        ("replay log.jsonl --branch 0", "turns are counted from 1"),
        ("steer learn model --out none/d.npz", "--out none: there is no such folder"),
        ("rig odd.wav", "npc rig: odd.wav: neither GLB/VRM nor glTF JSON"),
        ("bench turns --seed -1", "--seed -1: must be 0 or more"),
        ("trainees erase anna --folder nowhere", "--folder nowhere: there is no such folder"),
    ],
)
def test_a_mistake_is_named_in_a_line(command: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(command.split())
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    assert status == 2
    assert complaint in capsys.readouterr().err


def test_a_browser_that_prints_nothing_leaves_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept").mkdir()
    save(make(), tmp_path / "kept")
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\nexit 1\n")
    browser.chmod(0o700)
    monkeypatch.setenv("NPC_CHROMIUM", str(browser))
    assert main(["scenario", "report", "kept", "--pdf", "--out", "r.html"]) == 1
    assert "wrote r.html; npc scenario report --pdf:" in capsys.readouterr().err
    assert (tmp_path / "r.html").is_file()


def test_a_session_of_the_store_is_exported(tmp_path: Path) -> None:
    assert main(["replay", "--store", "sessions.sqlite", "--session", "s", "--export", "out.jsonl"]) == 0
    assert (tmp_path / "out.jsonl").read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("command", "field"), [("replay --store sessions.sqlite --list", "sessions"), ("rig", "profiles")]
)
def test_json_of_a_list_is_one_object(command: str, field: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The flag did nothing there: a table for people came out."""
    assert main([*command.split(), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[field]
