"""What a training scenario is: the authored manifest, checked. One YAML file beside its characters and its story.

    angry-customer/
      scenario.yaml           this file: who, where, what may be done, rubric, levels, debrief, privacy
      story.yaml              the narrative graph of `npc.dialogue.narrative`, with timed events
      characters/dana.yaml    character files of `npc.dialogue.character`
      trainees.yaml           scripted trainees for `npc scenario simulate` (optional)
      runs/strong/            reference attempts (optional)
      signature.json          written by `npc scenario sign` (optional)

The published schema is `docs/schemas/scenario.schema.json`. Everything here is data; nothing decides.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from npc.config.authored import published
from npc.dialogue.character import Identifier, Key, Line, Scene, Short, Signed, Unit, check_parameters
from npc.dialogue.narrative import Name
from npc.protocol.names import Emotion
from npc.simulation.rubric.model import Item

#: Version of the file format. A file of another version is refused with a message that says so.
SCHEMA_VERSION = 1

#: Where the training takes place; decides whether a trainee's emotions may be inferred at all (see `Privacy`).
Sector = Literal["workplace", "education", "healthcare", "emergency_services", "consumer", "research"]
#: Sectors in which Article 5(1)(f) of Regulation (EU) 2024/1689 forbids inferring emotions of a natural person, except
#: for medical or safety reasons.
EMOTION_RESTRICTED: frozenset[str] = frozenset({"workplace", "education"})

Kind = Literal[
    "must_say", "must_not_say", "must_ask", "order", "timing", "delivery", "action", "fact_elicited", "objective",
    "emotion", "free",
]  # fmt: skip

#: Fields that an item of each kind needs, and those that it may have beside them.
NEEDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "must_say": (("examples",), ("phrases",)),
    "must_not_say": (("examples",), ("phrases",)),
    "must_ask": (("examples",), ("phrases",)),
    "order": (("before", "after"), ()),
    "timing": (("metric",), ("min", "max")),
    "delivery": (("metric",), ("min", "max")),
    "action": (("action",), ("arguments",)),
    "fact_elicited": (("fact",), ()),
    "objective": (("objective",), ()),
    "emotion": (("emotions",), ()),
    "free": (("question",), ()),
}
_PARAMETERS = sorted({name for needed, optional in NEEDS.values() for name in (*needed, *optional)})


class _Authored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class RubricItem(_Authored):
    """One line of the rubric. Which of the fields below `weight` it needs depends on `kind` (see `NEEDS`)."""

    id: Name
    kind: Kind
    description: Line
    weight: Annotated[float, Field(gt=0, le=100)] = 1.0
    critical: bool = False
    """When it is not met the attempt fails, whatever its score."""
    model_answer: Line | None = None
    """What a stronger answer would have been, for the review."""
    examples: tuple[Line, ...] = ()
    phrases: tuple[Short, ...] = ()
    before: Name | None = None
    after: Name | None = None
    metric: Short | None = None
    min: float | None = None
    max: float | None = None
    action: Name | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    fact: Key | None = None
    """Id of a fact of one of the characters."""
    objective: Name | None = None
    """Id of an objective of the story."""
    emotions: tuple[Emotion, ...] = ()
    question: Line | None = None
    """What a language model is asked about the conversation, to be answered with yes or no and quotes."""

    @model_validator(mode="after")
    def _fits_kind(self) -> RubricItem:
        needed, optional = NEEDS[self.kind]
        missing = [name for name in needed if not getattr(self, name)]
        if missing:
            raise ValueError(f"an item of kind {self.kind} needs {', '.join(missing)}")
        strange = [
            name
            for name in _PARAMETERS
            if name in self.model_fields_set and name not in needed and name not in optional
        ]
        if strange:
            raise ValueError(f"an item of kind {self.kind} has no {', '.join(strange)}")
        if self.kind in ("timing", "delivery") and self.min is None and self.max is None:
            raise ValueError(f"an item of kind {self.kind} needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self

    def item(self, fact_text: str | None = None) -> Item:
        """As the rubric engine takes it; `fact_text` is the sentence of `fact`."""
        match self.kind:
            case "must_say" | "must_ask" | "must_not_say":
                params: dict[str, Any] = {"examples": list(self.examples), "phrases": list(self.phrases)}
            case "order":
                params = {"before": self.before, "after": self.after}
            case "timing" | "delivery":
                bounds = {"min": self.min, "max": self.max}
                params = {"metric": self.metric, **{k: v for k, v in bounds.items() if v is not None}}
            case "action":
                params = {"name": self.action, "arguments": dict(self.arguments)}
            case "fact_elicited":
                params = {"fact": fact_text or self.fact}
            case "objective":
                params = {"objective": self.objective}
            case "emotion":
                params = {"emotions": list(self.emotions)}
            case "free":
                params = {"question": self.question}
        return Item(self.id, self.kind, self.description, params, self.weight, self.critical)  # type: ignore[arg-type]


class Rubric(_Authored):
    """What is judged. `pass_mark` is in percent of the points that could be observed."""

    items: Annotated[tuple[RubricItem, ...], Field(min_length=1)]
    pass_mark: Annotated[float, Field(ge=0, le=100)] = 60.0

    @field_validator("items")
    @classmethod
    def _once(cls, items: tuple[RubricItem, ...]) -> tuple[RubricItem, ...]:
        names = [item.id for item in items]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rubric items stand twice: {', '.join(twice)}")
        return items


class TraineeRole(_Authored):
    """Who the trainee is in the scene and what they are told before it begins."""

    name: Short
    brief: Line
    knows: tuple[Line, ...] = ()


class CharacterRole(_Authored):
    """A character of the scenario. The first one is met by the trainee; the others answer once they are spoken to."""

    id: Identifier
    file: Short
    """Character file, relative to the manifest."""
    role: Short = ""
    knows: tuple[Key, ...] | None = None
    """Ids of the facts of the file that it knows in this scenario; None: all of them."""
    addressed_as: tuple[Short, ...] = ()
    """What else it answers to, beside its name: "Doctor", "boss"."""


class TraineeAction(_Authored):
    """Something the trainee can do beside speaking: a button on the page, `npc.event {trigger}` on the wire."""

    name: Name
    label: Short
    description: Line
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}, "required": []})
    notice: Line | None = None
    """What the character sees of it; None: nothing."""

    @field_validator("parameters")
    @classmethod
    def _object_schema(cls, value: dict[str, Any]) -> dict[str, Any]:
        return check_parameters(value)


class Behaviour(_Authored):
    """How a level changes the first character. None leaves what its file says."""

    agreeableness: Unit | None = None
    neuroticism: Unit | None = None
    interruption: Literal["yield", "finish_clause", "protest"] | None = None
    mood: Emotion | None = None
    valence: Signed | None = None
    arousal: Signed | None = None
    relationship: Literal["hostile", "stranger", "acquaintance", "friend", "trusted"] | None = None
    withheld: tuple[Key, ...] = ()
    """Facts that the character keeps to itself at this level, whatever is asked."""


class Level(_Authored):
    """One position of the difficulty dial. What it does to the story stands in the story's `dial`, by the same name."""

    name: Name
    label: Short
    character: Behaviour = Behaviour()


class EmotionReason(_Authored):
    """Why a trainee's emotions are inferred although the sector forbids it otherwise (AI Act, Article 5(1)(f))."""

    reason: Literal["medical", "safety"]
    statement: Line


class Privacy(_Authored):
    """What is kept of a trainee, and for how long."""

    retention_days: Annotated[int, Field(ge=1, le=3650)] = 90
    audio: Literal["consent", "never"] = "consent"
    """Sound is kept with the trainee's consent in the session, or never."""
    emotion: EmotionReason | None = None


class Scenario(_Authored):
    """A whole manifest."""

    schema_version: Literal[1] = 1
    id: Identifier
    version: Annotated[str, Field(pattern=r"^\d+\.\d+(\.\d+)?$")] = "1.0"
    title: Short
    summary: Line
    author: str = ""
    licence: str = ""
    languages: Annotated[tuple[Short, ...], Field(min_length=1)] = ("en",)
    sector: Sector
    minutes: Annotated[float, Field(gt=0, le=240)] = 10.0
    """How long an attempt may take; past it the scenario ends with the outcome "timeout"."""
    objectives: tuple[Line, ...] = ()
    """What is to be learnt, for people."""
    trainee: TraineeRole
    characters: Annotated[tuple[CharacterRole, ...], Field(min_length=1)]
    scene: Scene = Scene()
    story: Short = "story.yaml"
    actions: tuple[TraineeAction, ...] = ()
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]
    default_level: Name
    rubric: Rubric
    debrief: tuple[Line, ...] = ()
    """Questions for the talk afterwards."""
    privacy: Privacy = Privacy()

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        levels = [level.name for level in self.levels]
        for what, names in (
            ("level", levels),
            ("action", [action.name for action in self.actions]),
            ("character", [role.id for role in self.characters]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what} {', '.join(twice)} stands twice")
        if self.default_level not in levels:
            raise ValueError(f"default_level {self.default_level!r} is not one of the levels {', '.join(levels)}")
        if self.sector in EMOTION_RESTRICTED and self.privacy.emotion is None:
            judged = [item.id for item in self.rubric.items if item.kind == "emotion"]
            if judged:
                raise ValueError(
                    f"rubric items {', '.join(judged)} judge the trainee's emotions, which Article 5(1)(f) of"
                    f" Regulation (EU) 2024/1689 forbids in {self.sector}: leave them out, or state a medical or"
                    " safety reason in privacy.emotion"
                )
        return self

    def level(self, name: str) -> Level | None:
        return next((level for level in self.levels if level.name == name), None)

    @property
    def infers_emotion(self) -> bool:
        """Whether the trainee's emotions may be read, shown and kept at all."""
        return self.sector not in EMOTION_RESTRICTED or self.privacy.emotion is not None


def scenario_schema() -> str:
    """The published JSON Schema, as committed in `docs/schemas/scenario.schema.json`."""
    schema = published(Scenario.model_json_schema(), "scenario.schema.json")
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
