"""Trainees for rehearsing a rehearsal: scripted by the author (`trainees.yaml`), or made from the rubric.

    schema_version: 1
    trainees:
      - name: strong
        voice: flite-rms
        steps: [{say: …}, {do: open_case}, {wait: 8}]

The made ones are extremes, not people: what the rubric's examples say (good), half of it and late (poor), what it
forbids (hostile), nothing (silent), and talk about other things (off-topic). Same seed, same trainee.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from npc.config import authored
from npc.dialogue.character import Identifier, Line
from npc.dialogue.narrative import Name
from npc.simulation.package import Package
from npc.simulation.scenario import RubricItem

FILE_NAME = "trainees.yaml"
Generated = Literal["good", "poor", "hostile", "silent", "off_topic"]
GENERATED: tuple[Generated, ...] = ("good", "poor", "hostile", "silent", "off_topic")


class _Authored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Step(_Authored):
    """One thing the trainee does; exactly one of the fields."""

    say: Line | None = None
    do: Name | None = None
    wait: Annotated[float, Field(gt=0, le=600)] | None = None
    """Seconds of silence."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Of `do`."""

    @model_validator(mode="after")
    def _one(self) -> Step:
        if sum(value is not None for value in (self.say, self.do, self.wait)) != 1:
            raise ValueError("a step has exactly one of say, do, wait")
        return self


class Trainee(_Authored):
    """Somebody who takes these steps, one after each reply of the character."""

    name: Name
    voice: Identifier = "flite-rms"
    level: Name | None = None
    steps: tuple[Step, ...] = ()


class Trainees(_Authored):
    """A trainees file."""

    schema_version: Literal[1] = 1
    trainees: tuple[Trainee, ...]


def scripted(package: Package) -> tuple[Trainee, ...]:
    """Those of the package's file; none without one. Raises AuthoredFileError."""
    path = package.folder / FILE_NAME
    return authored.load(path, Trainees).trainees if path.is_file() else ()


def find(package: Package, name: str) -> Trainee:
    """A scripted or made trainee by name; raises KeyError with those there are."""
    own = {trainee.name: trainee for trainee in scripted(package)}
    if name in own:
        return own[name]
    for kind in GENERATED:
        if name == kind:
            return generated(package, kind)
    raise KeyError(f"there is no trainee {name!r}; there are {', '.join([*own, *GENERATED])}")


_OFF_TOPIC = (
    "Did you see the football at the weekend?",
    "My neighbour has bought a very large dog.",
    "I think it will rain on Sunday.",
    "Do you like cheese?",
    "I once drove to the coast in four hours.",
    "What is your favourite colour?",
    "My cousin plays the trombone.",
)
_FILLERS = ("Well.", "I see.", "Let me think about that.", "Mm, all right.")


def generated(package: Package, kind: Generated, seed: int = 0) -> Trainee:
    """A made trainee of one kind."""
    chance = random.Random(f"{package.scenario.id}/{kind}/{seed}")
    items = package.scenario.rubric.items
    wanted = [item for item in _ordered(items) if item.kind in ("must_say", "must_ask")]
    forbidden = [item for item in items if item.kind == "must_not_say"]
    actions = [item.action for item in items if item.kind == "action" and item.action]
    steps: list[Step] = []
    match kind:
        case "good":
            for number, item in enumerate(wanted):
                steps.append(Step(say=chance.choice(item.examples)))
                if number == len(wanted) // 2:
                    steps += [Step(do=action) for action in actions]
        case "poor":
            for item in wanted[::3]:
                steps += [Step(wait=chance.uniform(4.0, 9.0)), Step(say=chance.choice(_FILLERS))]
                steps.append(Step(say=chance.choice(item.examples)))
        case "hostile":
            for item in [*forbidden, *forbidden]:
                steps.append(Step(say=chance.choice(item.examples)))
        case "silent":
            steps = [Step(wait=30.0) for _ in range(6)]
        case "off_topic":
            steps = [Step(say=line) for line in chance.sample(_OFF_TOPIC, len(_OFF_TOPIC))]
    return Trainee(name=kind, steps=tuple(steps))


def _ordered(items: tuple[RubricItem, ...]) -> list[RubricItem]:
    """The items in the order that the rubric's own `order` items ask for, else as written."""
    place = {item.id: float(number) for number, item in enumerate(items)}
    for item in items:
        if item.kind == "order" and item.before in place and item.after in place:
            place[item.before] = min(place[item.before], place[item.after] - 0.5)
    return sorted(items, key=lambda item: place[item.id])


def read_lines_of(path: Path) -> Trainee:
    """A trainee from a plain text file: one line each turn, `!name` for an action, `...N` to wait N seconds.

    Raises AuthoredFileError.
    """
    steps = []
    for number, line in enumerate(authored.read_text(path).splitlines(), 1):
        text = line.strip()
        try:
            if text.startswith("!"):
                steps.append(Step(do=text[1:].strip()))
            elif text.startswith("...") and text[3:].strip():
                steps.append(Step.model_validate({"wait": text[3:].strip()}))
            elif text:
                steps.append(Step(say=text))
        except ValidationError as error:
            complaint = error.errors()[0]["msg"]
            raise authored.AuthoredFileError([f"{path}:{number}: {text[:60]!r}: {complaint}"]) from None
    return Trainee(name="script", steps=tuple(steps))
