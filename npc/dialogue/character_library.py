"""The characters at hand: folders of `<name>/character.yaml`, the shipped ones and the user's own.

Order: folders named by the caller, then `characters/` in the state folder, then the shipped `demo/characters`. The
first character with an id wins, so a user's copy replaces a shipped one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from npc.config.authored import AuthoredFileError
from npc.config.paths import data_dir, state_dir
from npc.dialogue.character import Character, load_character

FILE_NAME = "character.yaml"


@dataclass(frozen=True, slots=True)
class Installed:
    """A character and the file it came from; relative paths inside are relative to `path.parent`."""

    path: Path
    character: Character


class CharacterNotFound(LookupError):
    """No character with this id; the message lists those there are."""


def default_folders() -> tuple[Path, ...]:
    return (state_dir() / "characters", data_dir("demo") / "characters")


def character_files(folders: Sequence[Path]) -> Iterator[Path]:
    """Every character file, in the order of preference."""
    for folder in folders:
        if folder.is_dir():
            yield from sorted(folder.glob(f"*/{FILE_NAME}"))


def list_characters(folders: Sequence[Path] = ()) -> tuple[tuple[Installed, ...], tuple[AuthoredFileError, ...]]:
    """All usable characters by id, and the errors of those that cannot be used."""
    found: dict[str, Installed] = {}
    errors: list[AuthoredFileError] = []
    for path in character_files((*folders, *default_folders())):
        try:
            character = load_character(path)
        except AuthoredFileError as error:
            errors.append(error)
        else:
            found.setdefault(character.id, Installed(path, character))
    return tuple(found[name] for name in sorted(found)), tuple(errors)


def find_character(name: str, folders: Sequence[Path] = ()) -> Installed:
    """By id, or by the path of a character file or its folder. Raises CharacterNotFound or AuthoredFileError."""
    if "/" in name or name.endswith((".yaml", ".yml", ".json")):
        path = Path(name)
        path = path / FILE_NAME if path.is_dir() else path
        return Installed(path, load_character(path))
    found, errors = list_characters(folders)
    for installed in found:
        if installed.character.id == name:
            return installed
    for error in errors:
        if any(f"/{name}/" in problem for problem in error.problems):
            raise error
    known = ", ".join(installed.character.id for installed in found) or "none"
    raise CharacterNotFound(f"there is no character {name!r}; known characters: {known}")
