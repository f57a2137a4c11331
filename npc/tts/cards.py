"""Voice cards: which engine speaks with which settings, and by what right.

A card is one YAML file (published schema: `docs/schemas/voice.schema.json`). It does not load without a licence of the
software *and* of the model, and without saying on what ground the voice of a person is used: a voice without either is
one nobody may ship.

    voices/flite-slt.yaml:12: consent: Field required
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from npc.config.authored import AuthoredFileError, line_of, load, published, read_text
from npc.config.paths import data_dir


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


Settings = TypeVar("Settings", bound=_Dataclass)
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Line = Annotated[str, Field(min_length=1, max_length=400)]
Text = Annotated[str, Field(min_length=10, max_length=4_000)]


class _Authored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Licence(_Authored):
    """What may be done with it. A voice has two: its program and its model are often under different ones."""

    software: Line
    """Licence of the engine: an SPDX identifier where there is one."""
    model: Line
    """Licence of the voice data or weights. XTTS weights, for one, are for non-commercial use only."""
    commercial_use: Literal["allowed", "not_allowed", "ask"]
    """May what the voice says be used commercially under both?"""
    url: Line | None = None
    notice: Text | None = None
    """Text that must go with it, where the licence wants one."""


class Consent(_Authored):
    """On what ground the voice of the person behind it is used."""

    basis: Literal["speaker_agreed", "published_corpus", "synthetic", "own_voice"]
    """The speaker agreed to this use; or recorded for a corpus published for making voices; or no person is behind it
    (formant or invented voices); or it is the operator's own."""
    statement: Text
    """Who agreed to what, and where it can be read."""
    speaker: Line | None = None


class Hints(_Authored):
    """What a listener takes the voice for; characters look for these when the card they name is not installed."""

    gender: Literal["female", "male", "neutral"] = "neutral"
    age: Literal["child", "young", "adult", "old"] = "adult"


class VoiceCard(_Authored):
    """One voice."""

    version: Literal[1] = 1
    id: Identifier
    name: Line
    description: Line | None = None
    engine: Identifier
    """"flite", "espeak", "piper", "coqui", or the name of an entry point in the group `npc.tts`."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """The engine's own settings; it checks them when the card is loaded. Paths are relative to the card's folder."""
    languages: Annotated[tuple[Line, ...], Field(min_length=1)] = ("en",)
    hints: Hints = Hints()
    licence: Licence
    consent: Consent
    provenance: Text
    """Where the recordings and the model come from, and who made them."""
    watermark: bool = True
    """Mark what it says as generated (inaudible; `npc voices detect` finds it)."""
    sample: Line = "Good evening. I have been expecting you, so sit down and tell me what you have seen."
    """What `npc voices try` says."""


@dataclass(frozen=True, slots=True)
class InstalledVoice:
    """A card and the file it came from."""

    path: Path
    card: VoiceCard

    def settings_as(self, kind: type[Settings]) -> Settings:
        """The card's settings as an engine's dataclass. Raises AuthoredFileError naming the setting and its line."""
        known = [field.name for field in dataclasses.fields(kind)]
        for name in self.card.settings:
            if name not in known:
                raise self.complain(("settings", name), f"{self.card.engine} has no such setting: {', '.join(known)}")
        try:
            return TypeAdapter(kind).validate_python(self.card.settings)
        except ValidationError as error:
            first = error.errors()[0]
            raise self.complain(("settings", *first["loc"]), first["msg"]) from error

    def complain(self, where: Sequence[str | int], what: str) -> AuthoredFileError:
        """An error that names the file, the line of `where` and the field."""
        line = line_of(read_text(self.path), where)
        return AuthoredFileError([f"{self.path}:{line}: {'.'.join(map(str, where))}: {what}"])


class VoiceNotFound(LookupError):
    """No card has that id. The message lists those there are."""


def load_card(path: Path) -> InstalledVoice:
    """Read and check one card. Raises AuthoredFileError with file, line and field."""
    return InstalledVoice(path, load(path, VoiceCard))


def list_cards(folders: Sequence[Path] = ()) -> tuple[tuple[InstalledVoice, ...], tuple[AuthoredFileError, ...]]:
    """All usable cards by id, and the errors of those that cannot be used. An earlier folder wins over a later one and
    over the cards that come with the package."""
    found: dict[str, InstalledVoice] = {}
    errors: list[AuthoredFileError] = []
    for folder in (*folders, data_dir("voices")):
        for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
            try:
                installed = load_card(path)
            except AuthoredFileError as error:
                errors.append(error)
            else:
                found.setdefault(installed.card.id, installed)
    return tuple(found[name] for name in sorted(found)), tuple(errors)


def find_card(name: str, folders: Sequence[Path] = ()) -> InstalledVoice:
    """By id, or by the path of a card. Raises VoiceNotFound or AuthoredFileError."""
    if "/" in name or name.endswith((".yaml", ".yml")):
        return load_card(Path(name))
    found, errors = list_cards(folders)
    for installed in found:
        if installed.card.id == name:
            return installed
    broken = [error for error in errors if any(f"/{name}.y" in f"/{problem}" for problem in error.problems)]
    if broken:
        raise broken[0]
    raise VoiceNotFound(f"no voice {name!r}: there are {', '.join(i.card.id for i in found) or 'none'}")


def choose(
    voices: Sequence[InstalledVoice], *, gender: str | None = None, age: str | None = None, language: str = "en"
) -> InstalledVoice:
    """The voice nearest to the wishes: language before gender before age; then the embedded engine, which is always
    there, before others; then by id. Raises VoiceNotFound if none."""
    if not voices:
        raise VoiceNotFound("no voice is installed: npc doctor --fix")

    def distance(voice: InstalledVoice) -> tuple[bool, bool, bool, bool, str]:
        card = voice.card
        return (
            not any(spoken.split("-")[0] == language.split("-")[0] for spoken in card.languages),
            gender not in (None, card.hints.gender),
            age not in (None, card.hints.age),
            card.engine != "flite",
            card.id,
        )

    return min(voices, key=distance)


def schema() -> dict[str, Any]:
    """The published JSON Schema, as committed in `docs/schemas/voice.schema.json`."""
    return published(VoiceCard.model_json_schema(), "voice.schema.json", "Voice card")
