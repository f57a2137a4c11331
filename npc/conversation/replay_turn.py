"""Events and rules of the turn core by name, as a session log holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from npc.conversation.turn_events import Event, Rules

events_by_name: Mapping[str, type[Any]] = {kind.__name__: kind for kind in get_args(Event)}


def rules_of(data: Mapping[str, Any]) -> Rules:
    """Rules from their recorded form."""
    return Rules(**data)
