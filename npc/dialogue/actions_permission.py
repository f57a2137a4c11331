"""Which actions may be done at all: permission by relationship, and preconditions."""

from __future__ import annotations

from npc.dialogue.actions import Decision
from npc.dialogue.character import RELATIONSHIPS, ActionSpec, Character
from npc.dialogue.conditions import Situation, holds
from npc.dialogue.context import Context
from npc.dialogue.scene import SceneState


def allowed_actions(character: Character, context: Context) -> tuple[ActionSpec, ...]:
    """Actions that may be done in this context by the character's own choice: permitted, and with preconditions met."""
    scene = context.scene if isinstance(context.scene, SceneState) else SceneState()
    said = "\n".join([*(exchange.player for exchange in context.history), context.turn.text])
    now = Situation(
        relationship=context.standing.get("relationship", "stranger"),
        flags=context.standing,
        variables=context.variables,
        scene=scene,
        said=said,
        told=frozenset(fact for exchange in context.history for fact in exchange.fact_ids),
        turns=len(context.history),
    )
    return tuple(spec for spec in (*character.actions, *context.actions) if not_permitted(spec, now) is None)


def not_permitted(spec: ActionSpec, now: Situation) -> Decision | None:
    """The refusal where permission or a precondition is missing; None where the action may be done."""
    if spec.permission == "game":
        return Decision("refuse", spec=spec)
    order: tuple[str, ...] = RELATIONSHIPS
    if spec.permission != "anyone" and order.index(now.relationship) < order.index(spec.permission):
        return Decision("refuse", spec=spec)
    failed = any(not holds(condition, now) for condition in spec.preconditions)
    return Decision("refuse", spec=spec) if failed else None
