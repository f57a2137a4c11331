"""A session without a wire: a client and its session on one event loop, for runs in virtual time.

    TraineeClient ──send, send_audio──▶ Conversation ──Outbox──▶ queue ──iterate──▶ TraineeClient

On a loop whose clock jumps, with workers that run inline, a conversation of two minutes with real ears, mind and voice
takes the seconds that computing takes, comes out the same on a busy machine as on an idle one, and twice the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.client.core import Incoming, OutputAudio
from npc.conversation.port import AudioOut, BlendshapesOut, Conversation, Outbox
from npc.protocol import ClientEvent, SessionCreated

#: Messages that may wait for the client: it shares the loop, so more means that it has stopped reading.
BOUND = 100_000


class _Incoming:
    """The session's outbox: what a client would have read from the wire."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Incoming] = asyncio.Queue(BOUND)
        self.created = asyncio.Event()

    def send(self, item: Any) -> None:
        if isinstance(item, AudioOut):
            audio = OutputAudio(item.response_id, item.item_id, item.start, item.pcm, item.track, item.last)
            self.queue.put_nowait(audio)
        elif not isinstance(item, BlendshapesOut):
            if isinstance(item, SessionCreated):
                self.created.set()
            self.queue.put_nowait(item)


class InProcessClient:
    """What `TraineeClient` needs of a `RealtimeClient`."""

    def __init__(self, open_conversation: Callable[[Outbox], Conversation]) -> None:
        self._incoming = _Incoming()
        self.input_samples = 0
        self.conversation = open_conversation(self._incoming)
        self._task = asyncio.get_running_loop().create_task(self.conversation.run())

    # -- client --------------------------------------------------------------------------------------------------------

    async def created(self) -> None:
        """The session is there."""
        await self._incoming.created.wait()

    async def send(self, event: ClientEvent) -> None:
        self.conversation.receive(event)

    async def send_audio(self, pcm: NDArray[np.int16]) -> None:
        self.input_samples += int(pcm.size)
        self.conversation.hear(pcm)

    def __aiter__(self) -> InProcessClient:
        return self

    async def __anext__(self) -> Incoming:
        return await self._incoming.queue.get()

    async def close(self) -> None:
        """End the session; everything is written when it returns."""
        await self.conversation.close("client left")
        await self._task
