"""Save slots: the conversation as the game's save-game sees it. The mind keeps its memory by the same slot names."""

from __future__ import annotations

from pydantic import TypeAdapter

from npc.conversation.ground import Ground
from npc.conversation.parts import Parts
from npc.dialogue.interface import WorldEvent
from npc.protocol import Item, NpcLoaded, NpcSaved

_ITEM: TypeAdapter[Item] = TypeAdapter(Item)


def save(ground: Ground, parts: Parts, slot: str) -> None:
    """Keep the conversation under a slot; the mind keeps its memory under the same name."""
    items = [item.model_dump(mode="json") for item in ground.items.all()]
    ground.engines.slots.save(ground.player.player_id, ground.engines.character_id, slot, items)
    parts.character.observe(WorldEvent("save", {"slot": slot}))
    ground.outbox.send(NpcSaved(character=ground.engines.character_id, slot=slot))


def load(ground: Ground, parts: Parts, slot: str, fork: str | None) -> None:
    """Back to a save slot; raises LookupError when there is none."""
    kept = ground.engines.slots.load(ground.player.player_id, ground.engines.character_id, slot)
    if kept is None:
        raise LookupError(f"there is no save slot {slot!r} of this player and character")
    parts.turns.break_off()
    parts.turns.unanswered.clear()
    ground.items.clear()
    ground.record("items.cleared", {})
    for data in kept:
        ground.add_item(_ITEM.validate_python(data))
    if fork is not None:
        ground.engines.slots.save(ground.player.player_id, ground.engines.character_id, fork, kept)
    parts.character.observe(WorldEvent("load", {"slot": slot, **({"fork": fork} if fork is not None else {})}))
    ground.outbox.send(NpcLoaded(character=ground.engines.character_id, slot=slot, items=len(kept)))
