"""Who takes part: the player as the service knows them, and how a character takes being interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: How a character takes an interruption: it stops, ends its clause, or stops and protests.
Temperament = Literal["yield", "finish", "protest"]


@dataclass(frozen=True, slots=True)
class PlayerRef:
    """Who talks to the character; whether text may leave the machine, and what is learnt may outlive the session."""

    player_id: str
    name: str | None = None
    locale: str | None = None
    remote_llm: bool = False
    remember: bool = True
