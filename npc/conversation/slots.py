"""Where conversations lie that were saved under a name: in this process, or beside what characters remember.

The store's table `talks` is erased, vacuumed and searched for traces together with the player's memories.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Protocol

from npc.dialogue.memory.store import MemoryStore

Kept = list[dict[str, Any]]


class SaveSlots(Protocol):
    """Conversations by player, character and slot; `items` is JSON of the conversation's items."""

    async def save(self, player_id: str, character_id: str, slot: str, items: Kept, *, lasting: bool) -> None:
        """Keep; overwrites. Not `lasting`: no longer than this process, because the player agreed to no more."""

    async def load(self, player_id: str, character_id: str, slot: str) -> Kept | None:
        """What was kept, or None."""

    def forget(self, player_id: str, character_id: str | None = None) -> None:
        """Let go of what this process keeps of a player, with one character or all."""


class SlotsInMemory:
    """Slots of one process. At most `bound`; the oldest leave first."""

    def __init__(self, bound: int = 1000) -> None:
        self._bound = bound
        self._kept: dict[tuple[str, str, str], Kept] = {}

    async def save(self, player_id: str, character_id: str, slot: str, items: Kept, *, lasting: bool) -> None:
        self._kept.pop((player_id, character_id, slot), None)
        self._kept[player_id, character_id, slot] = items
        while len(self._kept) > self._bound:
            del self._kept[next(iter(self._kept))]

    async def load(self, player_id: str, character_id: str, slot: str) -> Kept | None:
        return self._kept.get((player_id, character_id, slot))

    def forget(self, player_id: str, character_id: str | None = None) -> None:
        for key in [key for key in self._kept if key[0] == player_id and character_id in (None, key[1])]:
            del self._kept[key]


class StoredSlots(SlotsInMemory):
    """Slots that outlive the process. `clock` is wall time in seconds."""

    def __init__(self, store: MemoryStore, clock: Callable[[], float]) -> None:
        super().__init__()
        self._store, self._clock = store, clock

    async def save(self, player_id: str, character_id: str, slot: str, items: Kept, *, lasting: bool) -> None:
        if not lasting:
            await super().save(player_id, character_id, slot, items, lasting=False)
            return
        self._kept.pop((player_id, character_id, slot), None)
        sql = (
            "INSERT INTO talks VALUES (?,?,?,?,?) ON CONFLICT (character, player, slot) DO UPDATE "
            "SET created = excluded.created, content = excluded.content"
        )
        row = (character_id, player_id, slot, self._clock(), json.dumps(items))
        await asyncio.to_thread(self._store.write, [(sql, row)])

    async def load(self, player_id: str, character_id: str, slot: str) -> Kept | None:
        kept = await super().load(player_id, character_id, slot)
        if kept is not None:
            return kept
        sql = "SELECT content FROM talks WHERE character=? AND player=? AND slot=?"
        rows = await asyncio.to_thread(self._store.read, sql, (character_id, player_id, slot))
        found: Kept | None = json.loads(rows[0][0]) if rows else None
        return found
