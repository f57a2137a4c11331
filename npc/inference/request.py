"""A request on its way through the engine, and the events it gives: what the engine and a listener both know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from npc.inference.adapters import Adapter
from npc.inference.cache import Table
from npc.inference.grammar import Grammar
from npc.inference.interface import Priority, Sampling
from npc.inference.kernels import Floats
from npc.inference.textstream import TextStream

Finish = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Event:
    """What a step gave one sequence: a token and the text it made certain; `finish` or `error` on the last one only."""

    sequence: int
    token: int | None = None
    text: str = ""
    logprob: float | None = None
    finish: Finish | None = None
    error: str | None = None


@dataclass(slots=True)
class Request:
    """A request and its state. `held` tokens have their keys and values in `table`."""

    id: int
    tokens: list[int]
    prompt: int
    sampling: Sampling
    seed: int
    priority: Priority
    table: Table
    text: TextStream | None = None
    grammar: Grammar | None = None
    adapter: Adapter | None = None
    steering: Floats | None = None
    steering_decay: float = 1.0
    end_tokens: frozenset[int] = frozenset()
    pause: int | None = None
    held: int = 0
    shared: int = 0
    running: bool = False
    reused: int = 0
    rows: int = 0
    draft: list[int] = field(default_factory=list)

    @property
    def paused(self) -> bool:
        """A draft that is long enough for now."""
        return self.pause is not None and len(self.tokens) - self.prompt >= self.pause

    @property
    def root(self) -> str | None:
        """Which prefix tree its pages belong to."""
        return None if self.adapter is None else self.adapter.name

    @property
    def shareable(self) -> int:
        """Leading tokens whose keys and values any session may use: steering acts from the last prompt token on."""
        return min(self.held, self.prompt - 1) if self.steering is not None else self.held
