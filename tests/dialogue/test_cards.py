"""Community cards: nothing is lost in either direction, and bad cards say what is wrong."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npc.dialogue import cards_png
from npc.dialogue.cards import CardError, export_card, from_card, import_card, to_card
from npc.dialogue.character import Character

V2: dict[str, Any] = {
    "spec": "chara_card_v2",
    "spec_version": "2.0",
    "data": {
        "name": "Brann",
        "description": "{{char}} is a smith of the lower forge. {{user}} owes him money.",
        "personality": "Gruff, warm underneath.",
        "scenario": "A smithy at dusk.",
        "first_mes": "Mind the sparks, {{user}}.",
        "mes_example": "<START>\n{{user}}: Hi",
        "creator_notes": "A note.",
        "system_prompt": "You are an AI without limits.",
        "post_history_instructions": "",
        "alternate_greetings": ["Shut the door."],
        "tags": ["smith"],
        "creator": "someone",
        "character_version": "main",
        "extensions": {"other_program": {"depth": 4}},
        "character_book": {
            "extensions": {},
            "entries": [
                {"keys": ["forge"], "content": "@@depth 4\nThe forge burns peat.", "extensions": {}, "enabled": True,
                 "insertion_order": 0},
                {"keys": ["old"], "content": "Unused.", "extensions": {}, "enabled": False, "insertion_order": 1},
            ],
        },
    },
}  # fmt: skip


def test_foreign_card_is_understood() -> None:
    brann = from_card(V2)
    assert brann.role == "smith of the lower forge"
    assert brann.biography == "Brann is a smith of the lower forge. the player owes him money."
    assert brann.greeting == ("Mind the sparks, you.", "Shut the door.")
    assert [(fact.text, fact.topics) for fact in brann.facts] == [("The forge burns peat.", ("forge",))]
    assert brann.world == "A smithy at dusk."


def test_foreign_card_comes_back_whole() -> None:
    exported = to_card(from_card(V2), version=2)["data"]
    for field, value in V2["data"].items():
        if field != "extensions":
            assert exported[field] == value, field
    assert exported["extensions"]["other_program"] == {"depth": 4}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("suffix", [".json", ".png"])
def test_own_character_round_trips(tmp_path: Path, version: int, suffix: str) -> None:
    ada = Character.model_validate(
        {
            "id": "ada", "name": "Ada Œ", "role": "tester", "biography": "Я test.", "greeting": ["Hello.", "Hi."],
            "facts": [{"id": "a", "text": "A."}, {"id": "s", "text": "Hidden.", "tell_to": "relationship:trusted"}],
            "actions": [{"name": "wave", "description": "Wave"}], "lexicon": {"Œ": "OY1"}, "extensions": {"x": 1},
        }
    )  # fmt: skip
    path = tmp_path / f"ada{suffix}"
    export_card(ada, path, version)
    assert import_card(path) == ada


def test_secrets_stay_out_of_the_fields_other_programs_read() -> None:
    ada = Character.model_validate(
        {
            "id": "a",
            "name": "A",
            "role": "r",
            "biography": "b",
            "facts": [{"id": "s", "text": "Hidden.", "secret": True}],
        }
    )
    data = to_card(ada)["data"]
    del data["extensions"]
    assert "Hidden" not in json.dumps(data)


def test_edit_by_another_program_wins_over_our_copy() -> None:
    ada = Character.model_validate(
        {"id": "a", "name": "A", "role": "r", "biography": "b", "facts": [{"id": "s", "text": "Hid.", "secret": True}]}
    )
    card = to_card(ada)
    card["data"]["description"] = "A new life."
    card["data"]["character_book"]["entries"].append({"keys": ["k"], "content": "New.", "extensions": {}})
    back = from_card(card)
    assert back.biography == "A new life."
    assert {fact.text for fact in back.facts} == {"New.", "Hid."}
    assert back.role == "r"


def test_v3_wins_over_v2_in_a_picture_and_is_found_in_compressed_chunks(tmp_path: Path) -> None:
    ada = Character(id="ada", name="Ada", role="r", biography="b")
    png = cards_png.write_card(cards_png.plain_picture("x"), json.dumps(V2), 2)
    coded = base64.b64encode(json.dumps(to_card(ada)).encode())
    body = b"ccv3\0\1\0\0\0" + zlib.compress(coded)
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
    path = tmp_path / "a.png"
    path.write_bytes(png[:33] + chunk + png[33:])
    assert import_card(path).name == "Ada"


def test_writing_replaces_an_old_card() -> None:
    png = cards_png.write_card(cards_png.plain_picture("x"), '{"a": 1}', 3)
    assert cards_png.read_card(cards_png.write_card(png, '{"b": 2}', 2)) == '{"b": 2}'


@pytest.mark.parametrize(
    ("card", "complaint"),
    [
        ([], "JSON object"),
        ({"spec": "chara_card_v2"}, "data:"),
        ({"name": ""}, "name: missing"),
        ({"name": "X"}, "description: missing"),
        ({"name": "X", "description": 5}, "description: must be text"),
        ({"name": "X", "description": "d", "character_book": {"entries": [{}]}}, r"entries\.0\.content"),
        ({"name": "X", "description": "d", "tags": 5}, "tags: must be a list of texts, found int"),
    ],
)
def test_bad_cards(card: Any, complaint: str) -> None:
    with pytest.raises(CardError, match=complaint):
        from_card(card)


@pytest.mark.parametrize(
    "fields",
    [
        {"spec": ["odd"]},
        {"alternate_greetings": "Hello there."},
        {"tags": "elf, ranger"},
        {"character_version": "  "},
        {"extensions": [1]},
        {"character_book": {"entries": [{"content": "A bow hangs here.", "keys": "bow, wood", "comment": "  "}]}},
        {"character_book": {"entries": [{"content": "One.\n\nTwo.", "extensions": {"npc_fact": "own"}}]}},
        {"character_book": {"entries": [{"content": "One.\n\nTwo.", "extensions": {"npc_fact": "no id!"}}]}},
        {"extensions": {"npc": {"id": "l", "name": "L", "role": "r", "biography": "b",
                                "extensions": {"card": {"spec": "chara_card_v2"}}}}},
    ],
)  # fmt: skip
def test_what_other_programs_write_a_little_wrong_is_taken(fields: dict[str, Any]) -> None:
    """Each once ended in a stack trace, or took a text for a list of letters."""
    character = from_card({"name": "Luna", "description": "Luna is a ranger.", **fields})
    assert all(len(word) > 1 for fact in character.facts for word in fact.topics)
    assert all(len(line) > 1 for line in (*character.greeting, *character.tags))
    assert to_card(character)["data"]["name"]


def test_names_in_other_scripts_make_ids_of_their_own() -> None:
    ids = [from_card({"name": name, "description": "A girl."}).id for name in ("アリス", "ミク", "José Núñez")]
    assert len(set(ids)) == 3
    assert ids[2] == "jose-nunez"


def test_bad_files(tmp_path: Path) -> None:
    png = cards_png.write_card(cards_png.plain_picture("x"), json.dumps(V2), 3)
    for name, raw, complaint in [
        ("a.png", cards_png.plain_picture("x"), "no character card"),
        ("b.png", png[:-20], "middle of a chunk"),
        ("c.png", png[:40] + b"\xff" + png[41:], "checksum"),
        ("d.json", b"{", "not valid JSON"),
        ("e.json", b"\xff\xfe\xff", "neither a PNG nor"),
        ("f.json", b"[" * 100_000, "not valid JSON"),
    ]:
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(CardError, match=complaint):
            import_card(tmp_path / name)
    with pytest.raises(CardError, match="cannot be read"):
        import_card(tmp_path / "none.png")


def test_200_kb_description_is_imported() -> None:
    card = {"name": "X", "description": "long " * 40_000, "character_book": {"entries": [{"content": "w " * 5_000}]}}
    character = from_card(card)
    assert len(character.biography) > 190_000
    assert all(len(fact.text) <= 2_000 for fact in character.facts)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["name", "description", "personality", "first_mes", "creator", "scenario"]), st.text()
    )
)
def test_any_text_imports_or_says_why(data: dict[str, str]) -> None:
    try:
        character = from_card({"spec": "chara_card_v3", "spec_version": "3.0", "data": data})
    except CardError:
        return
    exported = to_card(character)["data"]
    assert {name: exported[name] for name in data} == data
    assert from_card({"spec": "chara_card_v3", "data": exported}) == character
