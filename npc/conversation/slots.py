"""Where conversations lie that were saved under a name."""

from __future__ import annotations

from typing import Any, Protocol


class SaveSlots(Protocol):
    """Conversations by player, character and slot; `items` is JSON of the conversation's items."""

    def save(self, player_id: str, character_id: str, slot: str, items: list[dict[str, Any]]) -> None:
        """Keep; overwrites. Never blocks the event loop for more than a moment."""

    def load(self, player_id: str, character_id: str, slot: str) -> list[dict[str, Any]] | None:
        """What was kept, or None."""


class SlotsInMemory:
    """Slots of one process. At most `bound`; the oldest leave first."""

    def __init__(self, bound: int = 1000) -> None:
        self._bound = bound
        self._kept: dict[tuple[str, str, str], list[dict[str, Any]]] = {}

    def save(self, player_id: str, character_id: str, slot: str, items: list[dict[str, Any]]) -> None:
        self._kept.pop((player_id, character_id, slot), None)
        self._kept[player_id, character_id, slot] = items
        while len(self._kept) > self._bound:
            del self._kept[next(iter(self._kept))]

    def load(self, player_id: str, character_id: str, slot: str) -> list[dict[str, Any]] | None:
        return self._kept.get((player_id, character_id, slot))
