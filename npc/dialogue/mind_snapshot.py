"""What a mind holds between two turns as JSON and back, so that a talk that was cut off goes on elsewhere.

A snapshot belongs to the character that made it; memory of the player is not in it (it lives in the memory store), and
neither is what was read in the player, which an operator may have to keep out of every file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from npc.animation.interface import Affect

if TYPE_CHECKING:
    from npc.dialogue.mind import Held


def _adapter() -> TypeAdapter[Held]:
    from npc.dialogue.mind import Held

    return TypeAdapter(Held)


def dump(held: Held) -> dict[str, Any]:
    """JSON values only."""
    data: dict[str, Any] = _adapter().dump_python(replace(held, player_affect=Affect()), mode="json")
    return data


def load(data: Mapping[str, Any]) -> Held:
    """The state again; raises ValueError for what is none."""
    return _adapter().validate_python(data)
