"""`npc trainees`: listing, erasing and reporting from the command line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from npc.cli.main import main
from npc.dialogue.memory.postgres import open_memory
from npc.simulation import privacy
from npc.simulation.attempt import save
from tests.dialogue.databases import empty_schema
from tests.simulation.attempts import make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, trainee in (("a", "t-anna"), ("b", "t-anna"), ("c", "t-ben")):
        home = tmp_path / "attempts" / name
        home.mkdir(parents=True)
        save(make(id=name, trainee=trainee, began=time.time() - 60, ended=time.time()), home)
    (tmp_path / "training.yaml").write_text("xapi: {file: told.jsonl}\n")
    return tmp_path


def test_reporting_writes_statements_and_erasing_takes_them_back(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trainees", "report", "--folder", str(folder)]) == 0
    assert "lrs: 63 sent" in capsys.readouterr().out
    assert main(["trainees", "list", "--folder", str(folder)]) == 0
    assert "t-anna  2 attempts, 0 with sound" in capsys.readouterr().out
    assert main(["trainees", "erase", "t-anna", "--folder", str(folder)]) == 0
    assert "erased: 2 attempts, reports 42" in capsys.readouterr().out
    assert privacy.traces("t-anna", folder) == []
    assert len((folder / "told.jsonl").read_text().splitlines()) == 21
    assert main(["trainees", "sweep", "--folder", str(folder)]) == 0
    assert "0 attempts deleted" in capsys.readouterr().out


def test_wrong_requests_and_settings_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["trainees", "erase", "--folder", str(folder)])
    (folder / "training.yaml").write_text("xapi: {}\n")
    assert main(["trainees", "report", "--folder", str(folder)]) == 2
    assert "training.yaml:1: xapi" in capsys.readouterr().err


def test_a_memory_server_that_is_away_stops_the_erasure_before_it_begins(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather nothing than a part of it, unsaid."""
    pytest.importorskip("psycopg")
    monkeypatch.setenv("NPC_STORE__MEMORY", "postgresql://npc:sesame@127.0.0.1:1/npc")
    assert main(["trainees", "erase", "t-anna", "--folder", str(folder)]) == 2
    said = capsys.readouterr().err
    assert "npc at 127.0.0.1:1" in said
    assert "sesame" not in said
    assert (folder / "attempts" / "a").is_dir()


def test_memories_on_a_server_are_erased_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with empty_schema() as address:
        (folder / "settings.yaml").write_text(f'store: {{memory: "{address}", folder: "{folder}"}}\n')
        store = open_memory(address)
        store.player("maud", "t-anna").commit("I'm Anna.", "Hello.", now=1.0, turn_id="t1")
        assert main(["trainees", "erase", "t-anna", "--settings", str(folder / "settings.yaml")]) == 0
        assert "memory 1" in capsys.readouterr().out
        assert store.players() == []
        store.close()
