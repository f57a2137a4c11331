"""A loudspeaker made of time: reads playback in real time on absolute deadlines and reports what was heard.

For terminals without a sound device, benches and tests. A sound device's callback takes its place where there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from npc.client.connection import ConnectionLost
from npc.client.cues import DueCue
from npc.client.jitter import Pcm16
from npc.client.playback import Playback
from npc.protocol import ClientEvent

_BLOCK_MS = 20


class Player(Protocol):
    """What pacing needs of a client."""

    @property
    def input_samples(self) -> int: ...
    async def send(self, event: ClientEvent) -> None: ...


class Pacer:
    """Plays `playback` for `client`: 20 ms at a time into `sink`, due cues into `on_cue`, reports to the server."""

    def __init__(
        self,
        client: Player,
        playback: Playback,
        *,
        sink: Callable[[Pcm16], None] | None = None,
        on_cue: Callable[[DueCue], None] | None = None,
    ) -> None:
        self._client = client
        self._playback = playback
        self._sink = sink
        self._on_cue = on_cue

    async def run(self) -> None:
        """Until cancelled or the session is over."""
        loop = asyncio.get_running_loop()
        block = self._playback.buffer.rate * _BLOCK_MS // 1000
        due = loop.time()
        while True:
            pcm = self._playback.read(block)
            if self._sink is not None:
                self._sink(pcm)
            self._playback.heard(self._client.input_samples)
            for cue in self._playback.due():
                if self._on_cue is not None:
                    self._on_cue(cue)
            try:
                for report in self._playback.reports():
                    await self._client.send(report)
            except ConnectionLost:
                return
            due += _BLOCK_MS / 1000
            await asyncio.sleep(max(0.0, due - loop.time()))
