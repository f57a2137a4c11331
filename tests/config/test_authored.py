"""Hand-written files: read once while they stay as they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from npc.config.authored import AuthoredFileError, load


class Note(BaseModel):
    model_config = ConfigDict(frozen=True)
    text: str


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "note.yaml"
    path.write_text("text: one")
    first = load(path, Note)
    assert load(path, Note) is first
    path.write_text("text: other")
    os.utime(path, ns=(1, 1))
    assert load(path, Note).text == "other"


def test_a_broken_file_stays_an_error_until_it_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "note.yaml"
    path.write_text("tex: one")
    for _ in range(2):
        with pytest.raises(AuthoredFileError, match=r"note\.yaml:1: text"):
            load(path, Note)
    path.write_text("text: mended")
    assert load(path, Note).text == "mended"
