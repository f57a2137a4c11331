"""What a mind holds between two turns, and that as JSON and back, so that a talk that was cut off goes on elsewhere.

A snapshot belongs to the character that made it; memory of the player is not in it (it lives in the memory store), and
neither is what was read in the player, which an operator may have to keep out of every file. A save slot keeps both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from npc.animation.interface import Affect
from npc.dialogue.actions import CallLedger, Decision
from npc.dialogue.context import Exchange
from npc.dialogue.emotion import EmotionState
from npc.dialogue.emotion_reading import DeliveryHabit
from npc.dialogue.interface import Action
from npc.dialogue.narrative import StoryState
from npc.dialogue.scene import SceneState


@dataclass(frozen=True, slots=True)
class Held:
    """The mind's own state between turns: immutable, so that save slots are copies for free."""

    scene: SceneState
    emotion: EmotionState
    history: tuple[Exchange, ...] = ()
    habit: DeliveryHabit = DeliveryHabit()
    calls: CallLedger = CallLedger()
    pending: Decision = Decision()
    lately: tuple[Action | None, ...] = ()
    """What was done in each of the last replies, oldest first."""
    flags: Mapping[str, Any] = field(default_factory=dict)
    relationship: str = "stranger"
    turns: int = 0
    player_affect: Affect = Affect()
    story: StoryState | None = None


_HELD: TypeAdapter[Held] = TypeAdapter(Held)


def stored(held: Held) -> dict[str, Any]:
    """JSON values only, as a save slot keeps them."""
    data: dict[str, Any] = _HELD.dump_python(held, mode="json")
    return data


def dump(held: Held) -> dict[str, Any]:
    """JSON values only, without what was read in the player."""
    return stored(replace(held, player_affect=Affect()))


def load(data: Mapping[str, Any]) -> Held:
    """The state again; raises ValueError for what is none."""
    return _HELD.validate_python(data)
