"""From JSON to typed events and back. Mistakes become a `ProtocolError` that names the field.

    ProtocolError(ValueError)     code: invalid_json | unknown_event_type | missing_required_parameter
                                        | invalid_type | invalid_value

`param` is written as the client would: `session.tools[0].name`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import from_json

from npc.protocol.base_client import BaseClientEvent
from npc.protocol.base_server import BaseServerEvent, ErrorEvent
from npc.protocol.npc_client import NpcClientEvent
from npc.protocol.npc_server import NpcServerEvent
from npc.protocol.wire import ClientEventBase, ServerEventBase, Wire

ClientEvent = BaseClientEvent | NpcClientEvent
ServerEvent = BaseServerEvent | NpcServerEvent

_W = TypeVar("_W", bound=Wire)


def _by_type(union: Any) -> dict[str, Any]:
    return {member.model_fields["type"].default: member for member in get_args(union)}


CLIENT_EVENTS: Mapping[str, type[ClientEvent]] = _by_type(ClientEvent)
SERVER_EVENTS: Mapping[str, type[ServerEvent]] = _by_type(ServerEvent)


class ProtocolError(ValueError):
    """A message that is not a valid event: what to tell its sender."""

    def __init__(self, message: str, *, code: str, param: str | None = None, event_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.event_id = event_id

    def to_event(self) -> ErrorEvent:
        """The `error` event that answers it."""
        return ErrorEvent.of(self.message, code=self.code, param=self.param, event_id=self.event_id)


def decode_json(text: str | bytes) -> dict[str, Any]:
    """The JSON object of a text message. Raises ProtocolError (invalid_json, invalid_type)."""
    try:
        data = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise ProtocolError(f"message is not valid JSON: {error}", code="invalid_json") from None
    except RecursionError:
        raise ProtocolError("message is nested too deeply", code="invalid_json") from None
    if not isinstance(data, dict):
        raise ProtocolError(f"an event is a JSON object, got {type(data).__name__}", code="invalid_type")
    return data


def parse_client(data: Mapping[str, Any] | str | bytes) -> ClientEvent:
    """The typed event a client sent. Raises ProtocolError."""
    return _parse(data, CLIENT_EVENTS, ClientEventBase)  # type: ignore[return-value]


def parse_server(data: Mapping[str, Any] | str | bytes) -> ServerEvent:
    """The typed event a server sent. Raises ProtocolError."""
    return _parse(data, SERVER_EVENTS, ServerEventBase)  # type: ignore[return-value]


def _parse(data: Mapping[str, Any] | str | bytes, table: Mapping[str, Any], _base: type[_W]) -> _W:
    message = decode_json(data) if isinstance(data, str | bytes) else data
    event_id = message.get("event_id")
    event_id = event_id if isinstance(event_id, str) else None
    kind = message.get("type")
    if not isinstance(kind, str):
        code = "missing_required_parameter" if kind is None else "invalid_type"
        raise ProtocolError("an event needs a type, a string", code=code, param="type", event_id=event_id)
    cls = table.get(kind)
    if cls is None:
        raise ProtocolError(
            f"unknown event type {kind[:80]!r}", code="unknown_event_type", param="type", event_id=event_id
        )
    try:
        return cls.model_validate(message)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise _explain(error, message, kind, event_id) from None


_CODES = {"missing": "missing_required_parameter", "union_tag_not_found": "missing_required_parameter"}


def _explain(error: ValidationError, message: Mapping[str, Any], kind: str, event_id: str | None) -> ProtocolError:
    """The first mistake of a validation error, in the client's own terms."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    what = first["type"]
    if what in _CODES:
        code = _CODES[what]
    elif what.endswith("_type"):
        code = "invalid_type"
    else:
        code = "invalid_value"
    param = _param(first["loc"], message, missing=what == "missing")
    if what.startswith("union_tag"):
        param = f"{param}.type" if param else "type"
    text = first["msg"].removeprefix("Value error, ")
    place = f" at {param}" if param else ""
    return ProtocolError(f"{kind}{place}: {text[:1].lower()}{text[1:]}", code=code, param=param, event_id=event_id)


def _param(loc: tuple[int | str, ...], message: Mapping[str, Any], *, missing: bool) -> str | None:
    """Path of a mistake in the message itself: pydantic's location less the union tags it puts in between."""
    path = ""
    here: Any = message
    for depth, part in enumerate(loc):
        inside = (isinstance(here, Mapping) and part in here) or (isinstance(here, list) and isinstance(part, int))
        if not inside and not (missing and depth == len(loc) - 1):
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
        if inside:
            here = here[part]
    return path or None


def dump(event: Wire) -> str:
    """An event as compact JSON. Of a client event only what was set (and its type), of a server event all values."""
    if isinstance(event, ClientEventBase):
        return event.model_dump_json(exclude_unset=True)
    return event.model_dump_json()
