"""Where a session's events are written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Recorder(Protocol):
    """The session's event log. `record` never blocks."""

    def record(self, kind: str, data: Mapping[str, Any], at: float) -> None:
        """One event at session time `at` (seconds); `data` holds JSON values only."""

    def keep(self, days: int) -> None:
        """The player wants it kept no longer than this after the session."""

    async def end(self) -> None:
        """The session is over: everything is on disk and begins to age."""

    async def discard(self) -> None:
        """The player does not want to be kept: delete everything, record nothing more."""


class NoRecorder:
    """Keeps nothing."""

    def record(self, kind: str, data: Mapping[str, Any], at: float) -> None:
        return None

    def keep(self, days: int) -> None:
        return None

    async def end(self) -> None:
        return None

    async def discard(self) -> None:
        return None
