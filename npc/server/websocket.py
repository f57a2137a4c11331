"""uvicorn's sans-I/O WebSocket protocol with a short write buffer, a way to abort, and quiet refusals.

A slow socket must push back early, because a flush cannot recall what already lies in the socket's buffer; and a peer
that stopped reading never completes a closing handshake, so its connection has to be cut off. A refusal before the
upgrade is complete when it is sent; uvicorn would log it as an unfinished handshake.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

#: 0.5 s of base64 audio at 24 kHz; beyond it the writer waits.
WRITE_HIGH_WATER = 32 * 1024
#: Keys in the scope's extensions: call the first to cut the connection off, the second once a refusal was sent.
ABORT = "npc.abort"
REFUSED = "npc.refused"


class RealtimeWebSocketProtocol(WebSocketsSansIOProtocol):
    """Given to uvicorn as its `ws` class."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)

    def keepalive_timeout(self) -> None:
        """A peer that does not answer pings will not take a close frame either: its session shall know at once."""
        super().keepalive_timeout()
        self.transport.abort()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        scope: Any = getattr(self, "scope", None)
        if scope is not None:
            # The application's task starts on the next turn of the loop, so it sees this.
            scope["extensions"][ABORT] = self.transport.abort
            scope["extensions"][REFUSED] = self._refused

    def _refused(self) -> None:
        self.handshake_complete = True
