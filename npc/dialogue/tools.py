"""A client's own functions, as further actions of a character for one talk.

    {"name": "openGate", "description": "Open the gate", "parameters": {…}}     as stock Realtime clients declare it
        ├─> ActionSpec open_gate                                                 what the mind chooses among
        └─> called "openGate" on the wire                                        what the client knows it by

A request that is spoken can fill scalars alone. What is optional and deeper is left out of the parameters; where it is
required the function can never be called, and that is said. An action of the character's own of the same name wins: its
author knew when it may be done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from pydantic import ValidationError

from npc.dialogue.character import ActionSpec
from npc.dialogue.interface import Clause

_SCALARS = ("string", "integer", "number", "boolean")
_KEPT = ("type", "enum", "minimum", "maximum", "description")
#: Characters of a description that are read: beyond, it says nothing of which deed is meant.
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class ClientTool:
    """A function as the client declared it; `parameters` is a JSON Schema, or None for none."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Equipment:
    """Further actions, and the client's name for each of them."""

    actions: tuple[ActionSpec, ...] = ()
    called: Mapping[str, str] = field(default_factory=dict)

    def beside(self, own: Sequence[ActionSpec]) -> Equipment:
        """Without what the character can do anyway."""
        names = {spec.name for spec in own}
        return replace(self, actions=tuple(spec for spec in self.actions if spec.name not in names))

    def as_called(self, clause: Clause) -> Clause:
        """The clause with the client's names for what is done in it."""
        if not clause.actions or not self.called:
            return clause
        return replace(clause, actions=tuple(replace(a, name=self.called.get(a.name, a.name)) for a in clause.actions))


@dataclass(frozen=True, slots=True)
class Unusable:
    """A function that the character can never call: its place in the list, and why."""

    index: int
    why: str


@runtime_checkable
class Equippable(Protocol):
    """A Mind that can be given further actions while it talks."""

    def equip(self, equipment: Equipment) -> None:
        """From the next turn on these, in place of those given before. Returns at once."""


def equipment_of(tools: Sequence[ClientTool]) -> tuple[Equipment, tuple[Unusable, ...]]:
    """The actions that a client's functions make, and those that make none."""
    actions: dict[str, ActionSpec] = {}
    called: dict[str, str] = {}
    unusable: list[Unusable] = []
    for index, tool in enumerate(tools):
        name = _action_name(tool.name)
        try:
            if name in actions:
                raise ValueError(f"{tool.name!r} reads like {called[name]!r}: give one of them another name")
            actions[name] = _action(name, tool)
        except (ValueError, ValidationError) as error:
            unusable.append(Unusable(index, _first_line(error)))
            continue
        called[name] = tool.name
    return Equipment(tuple(actions.values()), called), tuple(unusable)


def _action_name(name: str) -> str:
    """ "openGate", "open-gate" and "OPEN_GATE" are all open_gate."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
    plain = re.sub(r"_+", "_", parted).strip("_")
    return plain if plain[:1].isalpha() else f"do_{plain}".rstrip("_")


def _action(name: str, tool: ClientTool) -> ActionSpec:
    schema = tool.parameters or {}
    given = schema.get("properties") or {}
    required = schema.get("required") or []
    if not isinstance(given, Mapping) or not isinstance(required, list | tuple):
        raise ValueError("parameters must be a JSON Schema of an object")
    properties: dict[str, Any] = {}
    for parameter, rule in given.items():
        simple = _scalar(rule)
        if simple is not None:
            properties[parameter] = simple
        elif parameter in required:
            raise ValueError(
                f"parameter {parameter!r} is required and no {', '.join(_SCALARS[:-1])} or {_SCALARS[-1]}: "
                "a spoken request cannot fill it"
            )
    described = " ".join(tool.description.split())[:_LONGEST] or name.replace("_", " ").capitalize()
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return ActionSpec(name=name, description=described, parameters=parameters)


def _scalar(rule: object) -> dict[str, Any] | None:
    """A parameter's schema where it is a scalar, also behind "or null"; None for what is deeper."""
    if not isinstance(rule, Mapping):
        return None
    kinds = rule.get("type")
    if isinstance(kinds, list | tuple):
        kinds = next((kind for kind in kinds if kind != "null"), None) if len(kinds) <= 2 else None
    choices = [one for one in rule.get("anyOf") or rule.get("oneOf") or () if one != {"type": "null"}]
    if kinds is None and len(choices) == 1:
        return _scalar({**choices[0], **{k: v for k, v in rule.items() if k == "description"}})
    if kinds is None and isinstance(rule.get("enum"), list) and all(isinstance(one, str) for one in rule["enum"]):
        kinds = "string"
    if kinds not in _SCALARS:
        return None
    return {key: rule[key] for key in _KEPT if key in rule} | {"type": kinds}


def _first_line(error: ValueError | ValidationError) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    return str(error)
