"""Who a character is: the authored file, checked.

A character is one YAML file (published schema: `docs/schemas/character.schema.json`), with knowledge folders and a
narrative beside it. It holds what never changes in a talk; what does (mood, memory, scene, relationship to the player)
lives in the session and the memory store.

    schema_version: 1
    id: mira-vale
    name: Mira Vale
    role: travelling merchant
    biography: I was born on the salt road ...
    facts:
      - {id: price-rope, text: Forty feet of rope costs six silver., source: price list}
      - {id: cellar, text: The spare key hangs behind the clock., secret: true, tell_to: "relationship:trusted"}

Conditions (`tell_to`, `preconditions`, narrative) share one small language, see `conditions.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from npc.config import authored
from npc.phonetics import arpabet
from npc.protocol.names import Emotion

#: Version of the file format. A file of another version is refused with a message that says so.
SCHEMA_VERSION = 1

#: How close the player is to the character, from far to near. Set by the game or by stored memory, never by a claim.
Relationship = Literal["hostile", "stranger", "acquaintance", "friend", "trusted"]
RELATIONSHIPS: tuple[Relationship, ...] = get_args(Relationship)

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Signed = Annotated[float, Field(ge=-1.0, le=1.0)]


class _Authored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, use_attribute_docstrings=True)


class Personality(_Authored):
    """The Big Five, each in [0, 1]; 0.5 is the average person."""

    openness: Unit = 0.5
    conscientiousness: Unit = 0.5
    extraversion: Unit = 0.5
    agreeableness: Unit = 0.5
    neuroticism: Unit = 0.5


class BaselineEmotion(_Authored):
    """The mood a character returns to. Valence, arousal and dominance in [-1, 1]."""

    label: Emotion = "neutral"
    valence: Signed = 0.0
    arousal: Signed = 0.0
    dominance: Signed = 0.0


class Voice(_Authored):
    """Which voice card speaks, and what to look for when that card is not installed."""

    card: Identifier | None = None
    gender: Literal["female", "male", "neutral"] | None = None
    age: Literal["child", "young", "adult", "old"] | None = None


class Goal(_Authored):
    """What the character wants; events that help or hinder it are appraised by `priority`."""

    text: Short
    priority: Unit = 0.5
    keywords: tuple[Short, ...] = ()
    """Words or phrases whose appearance in an event or in the player's talk touches this goal; so does half of the
    topical words of `text`."""


class Tie(_Authored):
    """A relationship to somebody other than the player."""

    name: Short
    relation: Short
    stance: Signed = 0.0
    """From hatred (-1) to love (+1): decides how news of this person is felt."""
    note: Line | None = None


class Fact(_Authored):
    """One thing the character knows, as a plain English sentence.

    A secret without `tell_to` is never told. `tell_to` alone (without `secret`) makes the fact secret as well.
    """

    id: Key
    text: Line
    source: Short = "character file"
    secret: bool = False
    tell_to: Short | None = None
    """Condition under which the secret may be told: `relationship:trusted`, `flag:NAME`, or a sentence such as
    "knows the password 'heron'" (quoted words must be said; the rest is judged by meaning, doubt means locked)."""
    deflect: Line | None = None
    """What to say instead while the secret is locked."""
    holder: Short | None = None
    """Who knows it, by name; None: this character. What somebody else holds, the character does not know."""
    time: Short | None = None
    """When it holds or held, in words or ISO 8601."""
    confidence: Unit = 1.0
    topics: tuple[Short, ...] = ()
    """Other words a player may use for it."""

    @property
    def is_secret(self) -> bool:
        return self.secret or self.tell_to is not None


class KnowledgeSource(_Authored):
    """A file or folder of documents, relative to the character file."""

    path: Short
    secret: bool = False
    tell_to: Short | None = None
    include: tuple[Short, ...] = ()
    """Patterns of the files of a folder that are read, such as "prices/*.csv"; none: every kind that can be."""
    citation: Short | None = None
    """How the source is named to a player; None: the document's own title."""


class ActionSpec(_Authored):
    """Something the character can do in the game: a tool with JSON-Schema parameters."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    description: Line
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}, "required": []})
    phrases: tuple[Short, ...] = ()
    """Ways a player asks for it, beyond what name and description say."""
    preconditions: tuple[Short, ...] = ()
    """All must hold (see `conditions.py`)."""
    permission: Relationship | Literal["anyone", "game"] = "anyone"
    """Least relationship that may ask for it; "game": only narrative and game events, never the player's words."""
    confirm: bool = False
    """Ask "shall I?" and act on the player's yes."""
    compensate: str | None = None
    """Name of the action that undoes it when the game did it although the reply was cut off and it was cancelled."""
    refuse: Line | None = None
    """What to say when it is not permitted or a precondition fails."""
    say: tuple[Line, ...] = ()
    """What to say while doing it; `{parameter}` is replaced by the argument's spoken name."""

    @field_validator("parameters")
    @classmethod
    def _object_schema(cls, value: dict[str, Any]) -> dict[str, Any]:
        return check_parameters(value)


class Entity(_Authored):
    """A thing or person in the scene."""

    id: Key
    kind: Short = "thing"
    name: Short
    description: str = ""
    aliases: tuple[Short, ...] = ()
    position: tuple[float, float, float] | None = None
    visible: bool = True
    held_by: Short | None = None
    state: dict[str, str | int | float | bool] = Field(default_factory=dict)


class Scene(_Authored):
    """Where the character is when a session opens; the game may replace it."""

    location: str = ""
    time: str = ""
    entities: tuple[Entity, ...] = ()
    attention: Key | None = None

    @model_validator(mode="after")
    def _known_attention(self) -> Scene:
        ids = Counter(entity.id for entity in self.entities)
        twice = sorted(name for name, times in ids.items() if times > 1)
        if twice:
            raise ValueError(f"entity ids stand twice: {', '.join(twice)}")
        if self.attention is not None and self.attention not in ids:
            raise ValueError(f"attention {self.attention!r} is not the id of an entity in this scene")
        return self


class SmallTalk(_Authored):
    """Authored small talk: said when the player says something like one of `when`."""

    when: Annotated[tuple[Short, ...], Field(min_length=1)]
    say: Annotated[tuple[Line, ...], Field(min_length=1)]


class Guardrails(_Authored):
    """What the character stays away from, whatever the player says."""

    avoid: tuple[Short, ...] = ()
    """Topics it declines to discuss."""
    never_say: tuple[Short, ...] = ()
    """Words that never leave its mouth."""
    decline: tuple[Line, ...] = ()
    """How it declines, in its own words."""
    crisis_line: Line | None = None
    """Whom to call for help, said with the safe reply to self-harm; None: a general pointer."""


class Character(_Authored):
    """A whole character. Required: id, name, role, biography."""

    schema_version: Literal[1] = 1
    id: Identifier
    version: Short = "1"
    name: Short
    role: Short
    biography: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400_000)]
    world: str = ""
    age: Annotated[int, Field(ge=0, le=100_000)] | None = None
    pronouns: Literal["she", "he", "they", "it"] = "they"
    personality: Personality = Personality()
    speaking_style: Line = "Plain and friendly, in short sentences."
    catchphrases: tuple[Short, ...] = ()
    """Sayings that a larger model may use now and then."""
    languages: Annotated[tuple[Short, ...], Field(min_length=1)] = ("en",)
    voice: Voice = Voice()
    lexicon: dict[str, Short] = Field(default_factory=dict)
    """Own pronunciations: spelling -> ARPAbet phones with stress, e.g. `Saoirse: S ER1 SH AH0`."""
    goals: tuple[Goal, ...] = ()
    relationships: tuple[Tie, ...] = ()
    player_relationship: Relationship = "stranger"
    """How a player nobody knows yet is met."""
    baseline_emotion: BaselineEmotion = BaselineEmotion()
    facts: tuple[Fact, ...] = ()
    knowledge: tuple[KnowledgeSource, ...] = ()
    actions: tuple[ActionSpec, ...] = ()
    scene: Scene = Scene()
    greeting: tuple[Line, ...] = ()
    farewell: tuple[Line, ...] = ()
    unknown: tuple[Line, ...] = ()
    """How the character says that it does not know."""
    fillers: tuple[Line, ...] = ("Hm.",)
    """What it says to hold the floor when an answer takes long, in turn; an empty list for silence."""
    small_talk: tuple[SmallTalk, ...] = ()
    interruption: Literal["yield", "finish_clause", "protest"] = "yield"
    protest: tuple[Line, ...] = ()
    """What it says when it protests an interruption."""
    guardrails: Guardrails = Guardrails()
    age_rating: Literal["everyone", "teen", "mature"] = "everyone"
    narrative: Short | None = None
    """Narrative graph file, relative to this file."""
    creator: str = ""
    licence: str = ""
    tags: tuple[Short, ...] = ()
    extensions: dict[str, Any] = Field(default_factory=dict)
    """Fields of imported community cards that have no place above; kept for export."""

    @field_validator("greeting", "farewell", "unknown", "protest", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("voice", mode="before")
    @classmethod
    def _voice_by_name(cls, value: Any) -> Any:
        return {"card": value} if isinstance(value, str) else value

    @field_validator("lexicon")
    @classmethod
    def _sayable(cls, value: dict[str, str]) -> dict[str, str]:
        for word, phones in value.items():
            try:
                arpabet.parse_all(phones)
            except arpabet.UnknownPhone as error:
                raise ValueError(f"{word!r}: {error}; write phones such as `S ER1 SH AH0`") from error
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Character:
        for what, names in (
            ("fact", [fact.id for fact in self.facts]),
            ("action", [action.name for action in self.actions]),
        ):
            seen: set[str] = set()
            for name in names:
                if name in seen:
                    raise ValueError(f"{what} {name!r} stands twice")
                seen.add(name)
        actions = {action.name for action in self.actions}
        for action in self.actions:
            if action.compensate is not None and action.compensate not in actions:
                raise ValueError(f"action {action.name!r} compensates with {action.compensate!r}, which is no action")
        return self

    @property
    def secrets(self) -> tuple[Fact, ...]:
        return tuple(fact for fact in self.facts if fact.is_secret)


_PARAMETER_TYPES = ("string", "integer", "number", "boolean")


def check_parameters(schema: dict[str, Any]) -> dict[str, Any]:
    """Accept an object schema whose properties are scalars (string with enum, integer, number, boolean).

    Raises ValueError that names the property. Deeper schemas are refused: a spoken request cannot fill them.
    """
    if schema.get("type") != "object":
        raise ValueError("parameters must be a JSON Schema of type 'object'")
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        raise ValueError("parameters.properties must be a mapping")
    for name, spec in properties.items():
        if not isinstance(spec, dict) or spec.get("type") not in _PARAMETER_TYPES:
            raise ValueError(f"parameter {name!r} must have a type out of {', '.join(_PARAMETER_TYPES)}")
        low, high = spec.get("minimum"), spec.get("maximum")
        for bound, value in (("minimum", low), ("maximum", high)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise ValueError(f"parameter {name!r} has a {bound} that is no number: {value!r}")
        if low is not None and high is not None and low > high:
            raise ValueError(f"parameter {name!r} has minimum {low} above maximum {high}")
        if "enum" in spec and (not isinstance(spec["enum"], list | tuple) or not spec["enum"]):
            raise ValueError(f"parameter {name!r} has an enum that is no list of choices")
    required = schema.get("required", [])
    if not isinstance(required, list | tuple):
        raise ValueError("parameters.required must be a list of parameter names")
    missing = [str(name) for name in required if not isinstance(name, str) or name not in properties]
    if missing:
        raise ValueError(f"required parameters without a schema: {', '.join(missing)}")
    return schema


def load_character(path: Path) -> Character:
    """Read a character file. Raises AuthoredFileError with file, line and field of every problem."""
    return authored.load(path, Character)


def character_schema() -> str:
    """The published JSON Schema, as committed in `docs/schemas/character.schema.json`."""
    schema = authored.published(Character.model_json_schema(), "character.schema.json")
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
