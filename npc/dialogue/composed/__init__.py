"""The composed mind: answers from card, knowledge, scene and memory without a large language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from npc.dialogue.composed.responder import ComposedResponder

__all__ = ["ComposedResponder"]


def __getattr__(name: str) -> Any:
    # Imported on use: `knowledge` builds on parts of this package, and the responder builds on `knowledge`.
    if name == "ComposedResponder":
        from npc.dialogue.composed.responder import ComposedResponder

        return ComposedResponder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
