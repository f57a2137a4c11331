"""A mind that is still being made: the server is up at once, and only the first words of a session may wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from npc.animation.interface import Affect
from npc.dialogue.interface import Clause, HeardReply, Mind, MindState, PlayerTurn, WorldEvent
from npc.dialogue.tools import Equipment


class LateMind:
    """Implements `Mind` over one that a future will bring; what it cannot answer yet it waits for."""

    def __init__(self, character_id: str, made: asyncio.Future[Mind], bias: tuple[str, ...]) -> None:
        self.character_id = character_id
        self._made, self._bias = made, bias

    def _ready(self) -> Mind | None:
        done = self._made.done() and not self._made.cancelled() and self._made.exception() is None
        return self._made.result() if done else None

    async def ready(self) -> None:
        """Wait until the mind is there, or will never be."""
        await asyncio.wait({self._made})

    def bias_words(self) -> tuple[str, ...]:
        mind = self._ready()
        return self._bias if mind is None else mind.bias_words()

    async def greet(self) -> AsyncIterator[Clause]:
        async for clause in (await asyncio.shield(self._made)).greet():
            yield clause

    def listen(self, partial: str) -> None:
        mind = self._ready()
        if mind is not None:
            mind.listen(partial)

    def equip(self, equipment: Equipment) -> None:
        if not self._made.done():
            # Before whoever waits for the mind goes on: that takes two turns of the loop, and this one.
            self._made.add_done_callback(lambda _: self.equip(equipment))
            return
        equip = getattr(self._ready(), "equip", None)
        if equip is not None:
            equip(equipment)

    def place(self) -> Mapping[str, Any]:
        place = getattr(self._ready(), "place", None)
        return {} if place is None else place()

    def decided(self) -> None:
        decided = getattr(self._ready(), "decided", None)
        if decided is not None:
            decided()

    def speculation(self) -> Mapping[str, float]:
        speculation = getattr(self._ready(), "speculation", None)
        return {} if speculation is None else speculation()

    async def respond(self, turn: PlayerTurn) -> AsyncIterator[Clause]:
        clauses = (await asyncio.shield(self._made)).respond(turn)
        try:
            async for clause in clauses:
                yield clause
        finally:
            close = getattr(clauses, "aclose", None)
            if close is not None:
                await close()

    async def observe(self, event: WorldEvent) -> bool:
        return await (await asyncio.shield(self._made)).observe(event)

    async def commit(self, turn: PlayerTurn | None, reply: HeardReply | None) -> None:
        await (await asyncio.shield(self._made)).commit(turn, reply)

    def state(self) -> MindState:
        mind = self._ready()
        return MindState(Affect(), Affect()) if mind is None else mind.state()

    async def close(self) -> None:
        mind = self._ready()
        if mind is not None:
            await mind.close()
        else:
            self._made.cancel()
