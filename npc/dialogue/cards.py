"""Community character cards: V1, V2 and V3, as JSON or inside a PNG, in and out.

A card is what other programs call a character: `{"spec": "chara_card_v2", "spec_version": "2.0", "data": {...}}`. In a
PNG it lies base64-coded in a text chunk named `chara` (V2) or `ccv3` (V3); see `cards_png.py`.

Nothing is lost either way. Export writes the standard fields that other programs read and the whole `Character` under
`extensions.npc`; import takes that back, and lets standard fields win that somebody has edited since. A foreign card is
kept under `Character.extensions["card"]`, so exporting it again restores its unknown fields. Prompt fields of a card
(`system_prompt`, `post_history_instructions`) are carried along but never obeyed.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from npc.config.authored import MAX_BYTES
from npc.dialogue import cards_png
from npc.dialogue.cards_prose import age_in, examples_in, pronouns_in, role_in, scene_in, spoken
from npc.dialogue.character import Character

#: A card in a PNG is base64, so a third longer than its JSON; pictures of a few megabytes are common.
MAX_PNG_BYTES = 30_000_000
_SPECS = {"chara_card_v2": "2.0", "chara_card_v3": "3.0"}


class CardError(ValueError):
    """The file is no usable character card; the message names the file and the field."""


def import_card(path: Path) -> Character:
    """Read a `.json` or `.png` card. Raises CardError."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CardError(f"{path}: cannot be read: {error.strerror or error}") from error
    if raw.startswith(cards_png.SIGNATURE):
        if len(raw) > MAX_PNG_BYTES:
            raise CardError(f"{path}: {len(raw)} bytes is over the limit of {MAX_PNG_BYTES}")
        try:
            text = cards_png.read_card(raw)
        except cards_png.PngError as error:
            raise CardError(f"{path}: {error}") from error
    else:
        if len(raw) > MAX_BYTES:
            raise CardError(f"{path}: {len(raw)} bytes is over the limit of {MAX_BYTES}")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise CardError(f"{path}: neither a PNG nor UTF-8 JSON") from error
    try:
        card = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CardError(f"{path}: the card is not valid JSON: {error}") from error
    try:
        return from_card(card)
    except CardError as error:
        raise CardError(f"{path}: {error}") from error


def from_card(card: Any) -> Character:
    """Make a Character of a decoded card. Raises CardError that names the field."""
    if not isinstance(card, Mapping):
        raise CardError("a card is a JSON object")
    data = _data_of(card)
    if not isinstance(data, Mapping):
        raise CardError("data: a V2 or V3 card holds an object here")
    if not isinstance(data.get("name"), str) or not data["name"].strip():
        raise CardError("name: missing or empty; every card needs a name")
    extensions = data.get("extensions")
    own = extensions.get("npc") if isinstance(extensions, Mapping) else None
    try:
        if isinstance(own, Mapping):
            return _merge_edits(Character.model_validate(own), data)
        return Character.model_validate({**_fields_of(data), "extensions": {"card": dict(card)}})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise CardError(f"the card does not make a character: {problems}") from error


def _data_of(card: Mapping[str, Any]) -> Any:
    """Where a card's fields are: under `data` since V2."""
    spec = card.get("spec")
    return card.get("data") if isinstance(spec, str) and spec in _SPECS else card


def to_card(character: Character, version: int = 3) -> dict[str, Any]:
    """The card of a character, version 2 or 3, ready for `json.dumps`."""
    if version not in (2, 3):
        raise ValueError(f"card version must be 2 or 3, got {version}")
    spec = f"chara_card_v{version}"
    origin = character.extensions.get("card")
    found = _data_of(origin) if isinstance(origin, Mapping) else None
    base = dict(found) if isinstance(found, Mapping) and "name" in found else {}
    data = {**_empty(version), **base}
    imported = Character.model_validate(_fields_of(base)).model_dump(mode="json") if base else {}
    current = character.model_dump(mode="json")
    standard = _standard_fields(character)

    def changed(name: str) -> bool:
        return any(current[source] != imported[source] for source in _SOURCES[name])

    data |= {name: value for name, value in standard.items() if not base or changed(name)}
    given = data.get("extensions")
    extensions = dict(given) if isinstance(given, Mapping) else {}
    extensions["npc"] = character.model_dump(mode="json", exclude={"extensions"}, exclude_defaults=True)
    if character.extensions:
        extensions["npc"]["extensions"] = character.extensions
    data["extensions"] = extensions
    return {"spec": spec, "spec_version": _SPECS[spec], "data": data}


def export_card(character: Character, path: Path, version: int = 3, portrait: Path | None = None) -> None:
    """Write a card; the suffix (.json or .png) chooses the form. A PNG wears `portrait`, or a plain coloured square."""
    text = json.dumps(to_card(character, version), ensure_ascii=False, indent=2)
    if path.suffix.lower() == ".png":
        picture = portrait.read_bytes() if portrait is not None else cards_png.plain_picture(character.id)
        try:
            path.write_bytes(cards_png.write_card(picture, text, version))
        except cards_png.PngError as error:
            raise CardError(f"{portrait}: {error}") from error
    elif path.suffix.lower() == ".json":
        path.write_text(text + "\n", encoding="utf-8")
    else:
        raise CardError(f"{path}: a card is written as .json or .png")


def from_record(record: Mapping[str, Any]) -> Character:
    """Make a Character of one record of a mind evaluation set: card, facts, actions, scene, world."""
    card = record["card"]
    fields = {
        "id": _identifier(record["id"]),
        "name": card["name"],
        "role": card["role"],
        "biography": card["backstory"],
        "world": record.get("world", ""),
        "age": card.get("age"),
        "personality": card.get("personality", {}),
        "speaking_style": card.get("speaking_style") or "Plain and friendly.",
        "voice": card.get("voice", {}),
        "baseline_emotion": card.get("baseline_emotion", {}),
        "facts": [{k: v for k, v in fact.items() if v is not None} for fact in record.get("facts", [])],
        "actions": record.get("actions", []),
        "scene": {k: v for k, v in record.get("scene", {}).items() if v is not None},
    }
    gender = card.get("voice", {}).get("gender")
    fields["pronouns"] = {"female": "she", "male": "he"}.get(gender, "they")
    return Character.model_validate(fields)


#: Which fields of Character each standard card field is made of.
_SOURCES: dict[str, tuple[str, ...]] = {
    "name": ("name",),
    "description": ("biography",),
    "personality": ("speaking_style",),
    "scenario": ("world",),
    "first_mes": ("greeting",),
    "alternate_greetings": ("greeting",),
    "character_book": ("facts",),
    "creator": ("creator",),
    "character_version": ("version",),
    "tags": ("tags",),
}


def _empty(version: int) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": "",
        "description": "",
        "personality": "",
        "scenario": "",
        "first_mes": "",
        "mes_example": "",
        "creator_notes": "",
        "system_prompt": "",
        "post_history_instructions": "",
        "alternate_greetings": [],
        "tags": [],
        "creator": "",
        "character_version": "",
        "extensions": {},
    }
    return {**fields, "group_only_greetings": []} if version == 3 else fields


def _standard_fields(character: Character) -> dict[str, Any]:
    # Secrets stay out of the standard fields: other programs would put them into every prompt.
    open_facts = [fact for fact in character.facts if not fact.is_secret]
    book = {
        "name": f"{character.name}: knowledge",
        "extensions": {},
        "entries": [
            {
                "keys": list(fact.topics) or [fact.id],
                "content": fact.text,
                "extensions": {"npc_fact": fact.id},
                "enabled": True,
                "insertion_order": number,
                "use_regex": False,
                "comment": fact.source,
            }
            for number, fact in enumerate(open_facts)
        ],
    }
    return {
        "name": character.name,
        "description": character.biography,
        "personality": character.speaking_style,
        "scenario": character.world,
        "first_mes": character.greeting[0] if character.greeting else "",
        "alternate_greetings": list(character.greeting[1:]),
        "character_book": book,
        "creator": character.creator,
        "character_version": character.version,
        "tags": list(character.tags),
    }


def _merge_edits(character: Character, data: Mapping[str, Any]) -> Character:
    """Our own export, perhaps edited since by another program: a standard field that changed wins."""
    written = _standard_fields(character)
    changed = {name for name in written if name in data and data[name] != written[name]}
    if isinstance(character.extensions.get("card"), Mapping):
        changed -= {name for name in changed if data[name] == to_card(character)["data"].get(name)}
    if not changed:
        return character
    edited = _fields_of({**data, **{n: v for n, v in written.items() if n not in changed}})
    update = {source: edited[source] for name in changed for source in _SOURCES[name] if source in edited}
    if "facts" in update:
        update["facts"] = [*update["facts"], *(fact.model_dump() for fact in character.secrets)]
    return Character.model_validate({**character.model_dump(), **update})


def _fields_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Character fields of the standard fields of a card."""
    name = str(data["name"]).strip()

    def text(field: str, player: str) -> str:
        value = data.get(field) or ""
        if not isinstance(value, str):
            raise CardError(f"{field}: must be text, found {type(value).__name__}")
        return _fill(value, name, player).strip()

    biography = text("description", "the player") or text("personality", "the player")
    if not biography:
        raise CardError("description: missing or empty; the character needs at least one sentence about itself")
    others = _listed(data, "alternate_greetings")
    greetings = [text("first_mes", "you"), *(_fill(line, name, "you").strip() for line in others)]
    return {
        "id": _identifier(name),
        "name": name,
        "role": role_in(name, biography) or "character",
        "age": age_in(biography),
        "pronouns": pronouns_in(biography),
        "biography": biography,
        "speaking_style": text("personality", "the player")[:2_000] or "Plain and friendly, in short sentences.",
        "world": text("scenario", "the player"),
        "scene": scene_in(text("scenario", "the player")),
        "greeting": [line[:2_000] for line in map(spoken, greetings) if line],
        "small_talk": examples_in(text("mes_example", "You"), name),
        "facts": _book_facts(data.get("character_book"), name),
        "creator": str(data.get("creator") or ""),
        "version": str(data.get("character_version") or "").strip()[:300] or "1",
        "tags": [tag.strip()[:300] for tag in _listed(data, "tags")],
    }


def _listed(data: Mapping[str, Any], field: str) -> list[str]:
    """The texts of a list, blank ones left out; some programs write a single one, or several with commas, as text."""
    value = data.get(field) or []
    if isinstance(value, str):
        value = [value] if field == "alternate_greetings" else value.split(",")
    if not isinstance(value, list):
        raise CardError(f"{field}: must be a list of texts, found {type(value).__name__}")
    return [str(one) for one in value if str(one).strip()]


def _book_facts(book: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(book, Mapping):
        return []
    entries = book.get("entries") or []
    if not isinstance(entries, list):
        raise CardError("character_book.entries: must be a list")
    facts: list[dict[str, Any]] = []
    for number, entry in enumerate(entries):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("content"), str):
            raise CardError(f"character_book.entries.{number}.content: missing or not text")
        if entry.get("enabled") is False:
            continue
        # V3 decorators ("@@depth 4") are settings of the importing program, not knowledge.
        lines = [line for line in entry["content"].splitlines() if not line.startswith("@@")]
        keys = [key.strip() for key in _listed(entry, "keys")]
        marks = entry.get("extensions") or {}
        mark = marks.get("npc_fact") if isinstance(marks, Mapping) else None
        own = mark if isinstance(mark, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,55}", mark) else None
        comment = str(entry.get("comment") or "").strip() or str(entry.get("name") or "").strip()
        for part, piece in enumerate(_pieces(_fill("\n".join(lines), name, "the player"))):
            fact: dict[str, Any] = {"id": (own or f"book.{number}") + (f".{part}" if part else ""), "text": piece}
            fact["source"] = comment[:300] or "character book"
            if keys and keys != [own]:
                fact["topics"] = [key[:300] for key in keys]
            facts.append(fact)
    return facts


def _pieces(text: str, limit: int = 2_000) -> list[str]:
    """Split at paragraphs, then at sentence ends, so that every piece fits into one fact."""
    pieces: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        rest = " ".join(paragraph.split())
        while len(rest) > limit:
            cut = max(rest.rfind(mark, 0, limit) for mark in (". ", "! ", "? ", " "))
            cut = cut + 1 if cut > 0 else limit
            pieces.append(rest[:cut].strip())
            rest = rest[cut:].strip()
        if rest:
            pieces.append(rest)
    return pieces


def _fill(text: str, name: str, player: str) -> str:
    text = re.sub(r"\{\{char\}\}|<BOT>", lambda _: name, text, flags=re.IGNORECASE)
    return re.sub(r"\{\{user\}\}|<USER>", lambda _: player, text, flags=re.IGNORECASE)


def _identifier(name: str) -> str:
    """ "José Núñez" -> "jose-nunez"; a name in another script gets a number that tells it from others."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(c))
    made = re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[:64]
    return made or f"character-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
