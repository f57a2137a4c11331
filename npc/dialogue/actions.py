"""What a character does: decisions about a request, validation of arguments, and what becomes of a call.

    proposed ──announced in a reply──> announced ──begun──> begun ──result──> done | failed
        │                                  │                  │
        └── reply cut off before it ──> cancelled             └── reply cut off after it ──> compensate

The engine of the game owns the world: a call is only ever a proposal with valid arguments, and its result comes back
as an event, perhaps late, twice, or never. All of that ends in one of the states above and in a note for the character.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from npc.dialogue.character import ActionSpec
from npc.dialogue.interface import Action

#: Calls remembered for late or double results; older ones are forgotten.
MAX_CALLS = 64
#: Seconds without a result after which the character may say that nothing came back.
RESULT_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a turn.

    "none": the turn asks for nothing to be done. "call": `action` is valid and allowed. "confirm": ask first, `action`
    is what a yes would do. "offer": perhaps meant; `action` is offered where there is nothing else to say. "ask": an
    argument is missing (`reason` names it). "refuse": `reason` in plain words, and the fact behind it where there is
    one.
    """

    kind: Literal["none", "call", "confirm", "offer", "ask", "refuse"] = "none"
    action: Action | None = None
    spec: ActionSpec | None = None
    reason: str = ""
    fact_id: str | None = None
    score: float = 0.0


class ArgumentError(ValueError):
    """Arguments do not satisfy the action's schema; the message names the argument."""


def validate(
    spec: ActionSpec, arguments: Mapping[str, Any], entity_ids: frozenset[str] | None = None
) -> dict[str, Any]:
    """Arguments as the schema wants them (whole floats become integers). Raises ArgumentError.

    With `entity_ids`, parameters that name an entity must name one of them.
    """
    properties: Mapping[str, Any] = spec.parameters.get("properties", {})
    required = spec.parameters.get("required", [])
    missing = [name for name in required if name not in arguments]
    if missing:
        raise ArgumentError(f"{spec.name}: missing {', '.join(missing)}")
    unknown = [name for name in arguments if name not in properties]
    if unknown:
        raise ArgumentError(f"{spec.name}: unknown {', '.join(unknown)}")
    checked: dict[str, Any] = {}
    for name, value in arguments.items():
        schema = properties[name]
        checked[name] = _check(f"{spec.name}.{name}", value, schema)
        if entity_ids is not None and names_entity(schema) and checked[name] not in entity_ids:
            raise ArgumentError(f"{spec.name}.{name}: there is no {checked[name]!r} here")
    return checked


def names_entity(schema: Mapping[str, Any]) -> bool:
    """Whether a parameter takes the id of a scene entity: `format: entity`, or its description says so."""
    about = str(schema.get("description", "")).lower()
    return schema.get("type") == "string" and (
        schema.get("format") == "entity" or bool(re.search(r"\b(?:entity|object|thing) (?:id|in the scene)\b", about))
    )


def takes_text(schema: Mapping[str, Any]) -> bool:
    """Whether a parameter takes any text."""
    return schema.get("type") == "string" and "enum" not in schema and not names_entity(schema)


def _check(name: str, value: Any, schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        value = int(value)
    wanted: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
    }
    types = wanted[str(kind)]
    if not isinstance(value, types) or (isinstance(value, bool) and kind != "boolean"):
        raise ArgumentError(f"{name}: must be of type {kind}, found {json.dumps(value, default=str)}")
    choices = schema.get("enum")
    if choices is not None and value not in choices:
        raise ArgumentError(f"{name}: must be one of {', '.join(map(str, choices))}")
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and value < low:
        raise ArgumentError(f"{name}: must be at least {low}")
    if high is not None and value > high:
        raise ArgumentError(f"{name}: must be at most {high}")
    longest = schema.get("maxLength", 500)
    if isinstance(value, str) and len(value) > longest:
        raise ArgumentError(f"{name}: longer than {longest} characters")
    return value


def compensation(specs: Sequence[ActionSpec], done: Action) -> tuple[ActionSpec, Action] | None:
    """The action that undoes `done`, with the arguments both share; None where none is authored or they do not fit."""
    by_name = {spec.name: spec for spec in specs}
    spec = by_name.get(done.name)
    undo = by_name.get(spec.compensate) if spec is not None and spec.compensate else None
    if undo is None:
        return None
    known = undo.parameters.get("properties", {})
    try:
        arguments = validate(undo, {name: value for name, value in done.arguments.items() if name in known})
    except ArgumentError:
        return None
    return undo, Action(f"{done.call_id}_undo", undo.name, arguments)


CallState = Literal["announced", "begun", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Call:
    """One announced action and what became of it. `note` is what the character knows of the outcome."""

    action: Action
    state: CallState
    at: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a result meant: whether it is news to the character, and in which words."""

    news: bool
    text: str = ""
    failed: bool = False
    undo: Action | None = None
    """The cancelled action that the game did all the same."""


@dataclass(frozen=True, slots=True)
class CallLedger:
    """All calls of a session. Pure: every method returns the ledger after the event."""

    calls: Mapping[str, Call] = field(default_factory=dict)

    def announce(self, action: Action, now: float) -> CallLedger:
        kept = list(self.calls.items())[-(MAX_CALLS - 1) :]
        return CallLedger({**dict(kept), action.call_id: Call(action, "announced", now)})

    def begun(self, call_id: str) -> CallLedger:
        return self._move(call_id, "begun")

    def cancelled(self, call_id: str) -> CallLedger:
        return self._move(call_id, "cancelled")

    def result(self, call_id: str, ok: bool, output: Any) -> tuple[CallLedger, Outcome]:
        """Take in a result. A second one, or one for an unknown or cancelled call, changes nothing and is no news."""
        call = self.calls.get(call_id)
        if call is None or call.state in ("done", "failed"):
            return self, Outcome(False)
        said = _words_of(output)
        if call.state == "cancelled":
            undo = call.action if ok else None
            return self._move(call_id, "done" if ok else "failed", said), Outcome(False, undo=undo)
        what = call.action.name.replace("_", " ")
        text = said if ok else (said or f"I could not {what}")
        # A plain "ok" needs no comment; words from the game and failures do.
        return self._move(call_id, "done" if ok else "failed", said), Outcome(bool(text) or not ok, text, not ok)

    def overdue(self, now: float) -> tuple[Call, ...]:
        """Calls that began and whose result never came."""
        return tuple(
            call
            for call in self.calls.values()
            if call.state in ("announced", "begun") and now - call.at > RESULT_TIMEOUT
        )

    def _move(self, call_id: str, state: CallState, note: str = "") -> CallLedger:
        call = self.calls.get(call_id)
        if call is None or (call.state in ("done", "failed") and state not in ("done", "failed")):
            return self
        return CallLedger({**self.calls, call_id: replace(call, state=state, note=note or call.note)})


def _words_of(output: Any) -> str:
    """Speakable words of a result: a text, or the text-like field of an object; anything else is silent success."""
    if isinstance(output, str):
        try:
            parsed = json.loads(output)
        except ValueError:
            return "" if output.strip().lower() in ("", "ok", "done", "success", "true") else output.strip()[:300]
        return _words_of(parsed) if isinstance(parsed, dict) else ""
    if isinstance(output, Mapping):
        for key in ("say", "text", "message", "reason", "error", "detail"):
            if isinstance(output.get(key), str):
                return _words_of(output[key]) if not output[key].startswith("{") else ""
    return ""
