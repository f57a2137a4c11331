"""Health of a session's parts, told to the client once per change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from npc.conversation.port import Outbox
from npc.protocol import NpcStatus


class Health:
    """Owned by a session."""

    def __init__(self, character: str, record: Callable[[str, Mapping[str, Any]], None], outbox: Outbox) -> None:
        self._character, self._record, self._outbox = character, record, outbox
        self._trouble: dict[str, str] = {}

    def tell(self, component: str, state: str, message: str, fallback: str | None) -> None:
        """`state` of a component now; what was told before is not repeated."""
        if self._trouble.get(component, "ok") == state == "ok" or self._trouble.get(component) == message:
            return
        self._trouble[component] = message if state != "ok" else "ok"
        self._record("status", {"component": component, "state": state, "message": message})
        told = {"component": component, "state": state, "message": message, "fallback": fallback}
        self._outbox.send(NpcStatus.model_validate({"character": self._character, **told}))
