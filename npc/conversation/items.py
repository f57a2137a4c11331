"""The conversation as the base protocol sees it: items in order. Every refusal is an `ItemError` with its field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from npc.protocol import FunctionCallItem, Item, MessageItem
from npc.protocol.items import ContentPart

PartKind = Literal["output_audio", "output_text"]

#: Items kept, and characters of text in them; the oldest leave first. A day of talk, and a bound on what one session
#: can cost.
MOST_ITEMS, MOST_CHARS = 4000, 4_000_000


class ItemError(ValueError):
    """What a client asked of an item cannot be done."""

    def __init__(self, message: str, code: str, param: str) -> None:
        super().__init__(message)
        self.code, self.param = code, param


@dataclass
class Items:
    """Ordered items by id."""

    _order: list[str] = field(default_factory=list)
    _by_id: dict[str, Item] = field(default_factory=dict)
    _chars: int = 0

    def __len__(self) -> int:
        return len(self._order)

    def all(self) -> list[Item]:
        return [self._by_id[item_id] for item_id in self._order]

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put `item` (which has an id) last, or behind `after` ("root": first); the id of the one before it."""
        assert item.id is not None, "the session gives every item an id"
        if item.id in self._by_id:
            raise ItemError(f"there already is an item {item.id!r}", "item_id_exists", "item.id")
        if after is not None and after != "root" and after not in self._by_id:
            raise ItemError(f"there is no item {after!r} to insert behind", "item_not_found", "previous_item_id")
        place = len(self._order) if after is None else 0 if after == "root" else self._order.index(after) + 1
        self._order.insert(place, item.id)
        self._by_id[item.id] = item
        self._chars += _chars(item)
        while len(self._order) > MOST_ITEMS or (self._chars > MOST_CHARS and len(self._order) > 1):
            self._chars -= _chars(self._by_id.pop(self._order.pop(0)))
            place -= 1
        return self._order[place - 1] if place > 0 else None

    def get(self, item_id: str) -> Item:
        """Raises ItemError when there is none."""
        if item_id not in self._by_id:
            raise ItemError(f"there is no item {item_id!r}", "item_not_found", "item_id")
        return self._by_id[item_id]

    def find(self, item_id: str) -> Item | None:
        return self._by_id.get(item_id)

    def replace(self, item: Item) -> None:
        """New contents for an item that may have been deleted meanwhile."""
        if item.id in self._by_id:
            self._chars += _chars(item) - _chars(self._by_id[item.id])
            self._by_id[item.id] = item

    def delete(self, item_id: str) -> None:
        self._chars -= _chars(self.get(item_id))
        self._order.remove(item_id)
        del self._by_id[item_id]

    def clear(self) -> None:
        self._order.clear()
        self._by_id.clear()
        self._chars = 0


def _chars(item: Item) -> int:
    match item:
        case MessageItem():
            return sum(len(part.text or part.transcript or "") for part in item.content)
        case FunctionCallItem():
            return len(item.arguments)
        case _:
            return len(item.output)


def with_text(item: Item, text: str, complete: bool, kind: PartKind = "output_audio") -> Item:
    """The message with other text: what was recognised, or what was heard of it. `kind` is that of its part where it
    has none yet."""
    if not isinstance(item, MessageItem):
        return item
    part = item.content[0] if item.content else ContentPart(type=kind)
    field_name = "transcript" if part.type.endswith("audio") else "text"
    changed = part.model_copy(update={field_name: text})
    return item.model_copy(update={"content": [changed], "status": "completed" if complete else "incomplete"})


def spoken_item(item_id: str, transcript: str | None = None) -> MessageItem:
    """A player's spoken turn."""
    part = ContentPart(type="input_audio", transcript=transcript)
    return MessageItem(id=item_id, object="realtime.item", role="user", status="completed", content=[part])
