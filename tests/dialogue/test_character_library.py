"""The shipped characters are whole, and the library says which characters there are and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from npc.config.authored import AuthoredFileError
from npc.config.paths import data_dir
from npc.dialogue.character_library import CharacterNotFound, character_files, find_character, list_characters

SHIPPED = [path.parent.name for path in character_files([data_dir("demo") / "characters"])]


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPC_STATE", str(tmp_path / "state"))


def test_three_worlds_are_shipped() -> None:
    assert {"sela-marrow", "anselm-roe", "callum-reid"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_character_is_rich_enough_to_show(name: str) -> None:
    character = find_character(name).character
    assert character.id == name
    assert len(character.facts) >= 30
    assert character.secrets
    assert any(secret.tell_to for secret in character.secrets)
    assert any(action.parameters["properties"] for action in character.actions)
    assert character.greeting
    assert character.licence


def test_user_folder_wins_and_broken_files_are_reported(tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "sela-marrow"
    mine.mkdir(parents=True)
    (mine / "character.yaml").write_text("id: sela-marrow\nname: My Sela\nrole: r\nbiography: b\n")
    broken = tmp_path / "mine" / "broken"
    broken.mkdir()
    (broken / "character.yaml").write_text("id: broken\n")
    found, errors = list_characters([tmp_path / "mine"])
    assert {c.character.name for c in found if c.character.id == "sela-marrow"} == {"My Sela"}
    assert "broken/character.yaml" in str(errors[0])
    with pytest.raises(AuthoredFileError):
        find_character("broken", [tmp_path / "mine"])


def test_unknown_character_lists_the_known_ones() -> None:
    with pytest.raises(CharacterNotFound, match=r"no character 'nobody'.*anselm-roe"):
        find_character("nobody")
