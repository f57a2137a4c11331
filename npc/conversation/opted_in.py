"""The outbox as a session uses it: no `npc.*` before the client has opted in; who goes along hears it first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from npc.conversation.port import BlendshapesOut, Outbox
from npc.protocol import NpcBlendshapes, NpcDown


class OptedIn:
    """Implements `Outbox`."""

    def __init__(self, outbox: Outbox, opted_in: Callable[[], bool], overheard: Callable[[Any], None]) -> None:
        self._outbox, self._opted_in, self._overheard = outbox, opted_in, overheard

    def send(self, item: Any) -> None:
        self._overheard(item)
        if isinstance(item, NpcDown | NpcBlendshapes | BlendshapesOut) and not self._opted_in():
            return
        self._outbox.send(item)
