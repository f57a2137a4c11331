"""Save slots: the conversation as the game's save-game sees it. The mind keeps its memory by the same slot names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from npc.dialogue.interface import WorldEvent
from npc.protocol import Item, NpcLoaded, NpcSaved

if TYPE_CHECKING:
    from npc.conversation.session import TalkSession

_ITEM: TypeAdapter[Item] = TypeAdapter(Item)


def save(session: TalkSession, slot: str) -> None:
    """Keep the conversation under a slot; the mind keeps its memory under the same name."""
    items = [item.model_dump(mode="json") for item in session.items.all()]
    session.engines.slots.save(session.player.player_id, session.engines.character_id, slot, items)
    session.character.observe(WorldEvent("save", {"slot": slot}))
    session.outbox.send(NpcSaved(character=session.engines.character_id, slot=slot))


def load(session: TalkSession, slot: str, fork: str | None) -> None:
    """Back to a save slot; raises LookupError when there is none."""
    kept = session.engines.slots.load(session.player.player_id, session.engines.character_id, slot)
    if kept is None:
        raise LookupError(f"there is no save slot {slot!r} of this player and character")
    session.cancel_by_client()
    session.turns.unanswered.clear()
    session.items.clear()
    session.record("items.cleared", {})
    for data in kept:
        session.add_item(_ITEM.validate_python(data))
    if fork is not None:
        session.engines.slots.save(session.player.player_id, session.engines.character_id, fork, kept)
    session.character.observe(WorldEvent("load", {"slot": slot, **({"fork": fork} if fork is not None else {})}))
    session.outbox.send(NpcLoaded(character=session.engines.character_id, slot=slot, items=len(kept)))
