"""A session's state as a pure fold over its log: `fold(records)` equals what the live session held at that record.

Resume in another process, replay, assessment and golden tests read a session this way; nobody else interprets the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from npc.conversation.items import Items, with_text
from npc.conversation.replay_turn import events_by_name, rules_of
from npc.conversation.turn import Turn, step
from npc.protocol import Item, Session
from npc.store import Record

_ITEM: TypeAdapter[Item] = TypeAdapter(Item)
_SESSION: TypeAdapter[Session] = TypeAdapter(Session)


@dataclass
class Spoken:
    """A response and what became of it."""

    response_id: str
    item_id: str
    status: str = "in_progress"
    text: str = ""
    heard: str = ""
    played: int = 0


@dataclass
class SessionState:
    """What a log says about its session."""

    session: Session | None = None
    character: str = ""
    player: Mapping[str, Any] = field(default_factory=dict)
    turn: Turn = field(default_factory=Turn)
    items: Items = field(default_factory=Items)
    responses: dict[str, Spoken] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    closed: str | None = None


def fold(records: Iterable[Record]) -> SessionState:
    """Fold a whole log, or any leading part of it."""
    state = SessionState()
    for record in records:
        apply(state, record)
    return state


def apply(state: SessionState, record: Record) -> None:
    """Take one record. Kinds that say nothing about the state are passed over."""
    data = record.data
    match record.kind:
        case "session.opened":
            state.session = _SESSION.validate_python(data["session"], strict=False)
            state.character, state.player = data["character"], data["player"]
            state.turn = Turn(rules=rules_of(data["rules"]))
        case "session.updated":
            state.session = _SESSION.validate_python(data["session"], strict=False)
            state.turn = replace(state.turn, rules=rules_of(data["rules"]))
        case "session.closed":
            state.closed = data["reason"]
            state.turn = replace(state.turn, heard=data["heard"])
        case "turn":
            event = events_by_name[data["event"]](**data["fields"])
            state.turn, _ = step(replace(state.turn, heard=data["heard"]), event, record.at)
        case "item.added":
            state.items.add(_ITEM.validate_python(data["item"], strict=False), data.get("after") or "root")
        case "item.text":
            item = state.items.find(data["item_id"])
            if item is not None:
                state.items.replace(with_text(item, data["text"], data["complete"], data.get("part", "output_audio")))
        case "item.deleted":
            state.items.delete(data["item_id"])
        case "items.cleared":
            state.items.clear()
        case "response.begun":
            state.responses[data["response_id"]] = Spoken(data["response_id"], data["item_id"])
        case "response.ended":
            spoken = state.responses[data["response_id"]]
            spoken.status, spoken.text, spoken.heard = data["status"], data["text"], data["heard"]
            spoken.played = data["played"]
        case "status":
            state.statuses[data["component"]] = data["state"]
