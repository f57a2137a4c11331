"""Character files: what is accepted, and what an author is told when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from npc.config.authored import AuthoredFileError, line_of, parse
from npc.dialogue.character import Character, character_schema, load_character

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "character.schema.json"
MINIMAL = "id: ada\nname: Ada\nrole: tester\nbiography: I test.\n"
#: Nine to the eighth values from eight short lines.
ACTION = MINIMAL + "actions:\n  - {name: go, description: d, parameters: {type: object, properties: {x: "
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


def test_published_schema_is_current() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == character_schema(), (
        "run `npc characters schema --write docs/schemas/character.schema.json`"
    )


def test_minimal_character_loads_with_defaults() -> None:
    ada = parse(MINIMAL, Character)
    assert ada.interruption == "yield"
    assert ada.personality.openness == 0.5
    assert ada.languages == ("en",)


def test_error_names_file_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "ada.yaml"
    path.write_text(MINIMAL + "personality:\n  openness: 3\nfacts:\n  - {id: a, text: ok}\n  - {id: b}\n")
    with pytest.raises(AuthoredFileError) as caught:
        load_character(path)
    assert caught.value.problems[0].startswith(f"{path}:6: personality.openness:")
    assert caught.value.problems[1].startswith(f"{path}:9: facts.1.text: Field required")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "must hold a mapping"),
        ("- a\n- b\n", "must hold a mapping"),
        ("id: [a\n", "not valid YAML"),
        (MINIMAL + "name: Twice\n", "5: the key 'name' stands twice"),
        (MINIMAL + "colour: red\n", "5: colour: Extra inputs are not permitted"),
        (MINIMAL + "schema_version: 9\n", "schema_version"),
        (MINIMAL + "facts:\n  - {id: a, text: x}\n  - {id: a, text: y}\n", "fact 'a' stands twice"),
        (MINIMAL + "scene:\n  attention: nothing\n", "attention 'nothing' is not the id"),
        (MINIMAL + "actions:\n  - {name: go, description: d, compensate: undo}\n", "which is no action"),
        (MINIMAL + "actions:\n  - {name: go, description: d, parameters: {type: array}}\n", "type 'object'"),
        (MINIMAL + "lexicon: {Saoirse: S EH1 QQ}\n", "'Saoirse': 'QQ' is no ARPAbet phone"),
        (ACTION + "{minimum: low, type: integer}}}}\n", "minimum that is no number"),
        (ACTION + "{enum: red, type: string}}}}\n", "enum that is no list"),
        (ACTION + "{enum: [], type: string}}}}\n", "enum that is no list"),
        (ACTION + "{type: string}}, required: x}}\n", "required must be a list"),
        (ACTION + "{type: string}}, required: [[x]]}}\n", "without a schema"),
        (MINIMAL + "scene:\n  entities: [" + "{id: e, name: x}, " * 2_001 + "]\n", "entity ids stand twice: e"),
        (BOMB, "aliases unfolded"),
        ("id: !!python/object/apply:os.system [ls]\n", "not valid YAML"),
    ],
)
def test_bad_files_get_one_clear_message(text: str, complaint: str) -> None:
    with pytest.raises(AuthoredFileError) as caught:
        parse(text, Character, "file.yaml")
    assert complaint in str(caught.value)


def test_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"id: a\nname: caf\xe9\n")
    with pytest.raises(AuthoredFileError, match=r"x\.yaml:2: not UTF-8"):
        load_character(path)


def test_missing_and_huge_files(tmp_path: Path) -> None:
    with pytest.raises(AuthoredFileError, match="cannot be read"):
        load_character(tmp_path / "nobody.yaml")
    big = tmp_path / "big.yaml"
    big.write_bytes(b"x" * 5_000_001)
    with pytest.raises(AuthoredFileError, match="over the limit"):
        load_character(big)


def test_long_biography_and_many_facts_load(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    facts = [{"id": f"f{n}", "text": f"Shelf {n} holds {n} jars."} for n in range(1000)]
    path.write_text(yaml.safe_dump({**yaml.safe_load(MINIMAL), "biography": "I was there. " * 16_000, "facts": facts}))
    character = load_character(path)
    assert len(character.biography) > 200_000
    assert len(character.facts) == 1000


def test_schema_accepts_what_the_loader_accepts() -> None:
    schema = json.loads(character_schema())
    jsonschema.validate(yaml.safe_load(MINIMAL), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"id": "a"}, schema)


def test_line_of_finds_nested_values() -> None:
    assert line_of(MINIMAL + "goals:\n  - text: x\n    priority: 1\n", ("goals", 0, "priority")) == 7
