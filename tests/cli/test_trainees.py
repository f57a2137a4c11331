"""`npc trainees`: listing, erasing and reporting from the command line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from npc.cli.main import main
from npc.simulation import privacy
from npc.simulation.attempt import save
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
