"""Save slots: the conversation as the game's save-game sees it. The mind keeps its memory by the same slot names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from pydantic import TypeAdapter

from npc.conversation.ground import Ground
from npc.conversation.parts import Parts
from npc.conversation.slots import Kept
from npc.dialogue.interface import WorldEvent
from npc.protocol import Item, NpcLoaded, NpcSaved

_ITEM: TypeAdapter[Item] = TypeAdapter(Item)


#: A session that ends waits so long for what is being saved, seconds.
SAVED_BY = 5.0


class Saving:
    """Owned by the session. One request after the other; the client is answered when it is done."""

    def __init__(self, ground: Ground, parts: Parts) -> None:
        self._ground, self._parts = ground, parts
        self._turn = asyncio.Lock()
        self._under_way: set[asyncio.Task[None]] = set()

    def save(self, slot: str) -> None:
        """Keep the conversation as it is now under a slot; the mind keeps its memory under the same name."""
        items = [item.model_dump(mode="json") for item in self._ground.items.all()]
        told = self._parts.character.observe(WorldEvent("save", {"slot": slot}))
        self._begin(self._save(slot, items, told))

    def load(self, slot: str, fork: str | None, refused: Callable[[str], None]) -> None:
        """Back to a save slot; `refused` is told when there is none."""
        self._begin(self._load(slot, fork, refused))

    async def settled(self) -> None:
        """What was asked for is done."""
        if self._under_way:
            await asyncio.wait(tuple(self._under_way), timeout=SAVED_BY)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._ground.spawn(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _keep(self, slot: str, items: Kept) -> None:
        ground = self._ground
        lasting = ground.player.remember and self._parts.company.companion is None
        whose = ground.player.player_id, ground.engines.character_id
        await ground.engines.slots.save(*whose, slot, items, lasting=lasting)

    async def _save(self, slot: str, items: Kept, told: asyncio.Task[None] | None) -> None:
        async with self._turn:
            await self._keep(slot, items)
        if told is not None:
            await asyncio.wait({told})
        self._ground.outbox.send(NpcSaved(character=self._ground.engines.character_id, slot=slot))

    async def _load(self, slot: str, fork: str | None, refused: Callable[[str], None]) -> None:
        ground, parts = self._ground, self._parts
        async with self._turn:
            kept = await ground.engines.slots.load(ground.player.player_id, ground.engines.character_id, slot)
            if kept is None:
                refused(f"there is no save slot {slot!r} of this player and character")
                return
            if fork is not None:
                await self._keep(fork, kept)
        parts.turns.break_off()
        parts.turns.unanswered.clear()
        ground.items.clear()
        ground.record("items.cleared", {})
        for data in kept:
            ground.add_item(_ITEM.validate_python(data))
        forked = {"fork": fork} if fork is not None else {}
        parts.character.observe(WorldEvent("load", {"slot": slot, **forked}))
        ground.outbox.send(NpcLoaded(character=ground.engines.character_id, slot=slot, items=len(kept)))
