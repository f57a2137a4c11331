"""The socket shell of the client: connects, authenticates, resumes after a dropped socket, and yields typed events.

    async with RealtimeClient.connect("ws://127.0.0.1:8765", character="ada") as client:
        await client.send(ResponseCreate())
        async for incoming in client:
            ...

A dropped socket is resumed without the caller noticing more than an `NpcResumed` among the events, as long as the
server's resume window lasts. The iterator ends when either side closes in order, and raises `ConnectionLost` otherwise.
"""

from __future__ import annotations

import asyncio
import binascii
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from npc.client.core import ClientCore, Incoming, OutOfOrder
from npc.protocol import ClientEvent, InputAudioBufferAppend, NpcResumed, SessionCreated, dump, parse_server
from npc.protocol.frames import Kind, encode_audio

_CONNECT_S = 10.0
_FIRST_RETRY_S = 0.05
_LAST_RETRY_S = 2.0
#: Incoming messages that wait for the caller; then reading stops and the server sees a slow client.
_QUEUE = 4096
#: After these a resume makes no sense: the session ended, or the server will not have it.
_FINAL_CODES = frozenset({1000, 1012, 4000, 4401, 4404, 4406, 4429})


class ConnectionLost(ConnectionError):
    """The session is over for a reason that was not asked for. `code` is the close code or HTTP status, 0 if none."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class RealtimeClient:
    """One session with a server. Use `connect`."""

    def __init__(self, url: str, *, character: str | None, api_key: str | None, opt_in: bool, resume: bool) -> None:
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise ValueError(f"url must be an address like http://127.0.0.1:8765, got {url!r}: {error}") from None
        if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
            raise ValueError(f"url must be an address like http://127.0.0.1:8765 (ws, wss, http, https), got {url!r}")
        scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
        path = parts.path if parts.path.rstrip("/") else "/v1/realtime"
        self._place = (scheme, parts.netloc, path)
        self._query = parts.query
        self._params = {**({"model": character} if character else {}), **({"npc": "1"} if opt_in else {})}
        self._api_key = api_key
        self._resume = resume
        self.core = ClientCore()
        self.resumes = 0
        self._socket: ClientConnection | None = None
        self._queue: asyncio.Queue[Incoming | ConnectionLost | None] = asyncio.Queue(_QUEUE)
        self._up = asyncio.Event()
        self._sending = asyncio.Lock()
        self._over = False
        self._input_at = 0

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str,
        *,
        character: str | None = None,
        api_key: str | None = None,
        opt_in: bool = True,
        resume: bool = True,
    ) -> AsyncIterator[RealtimeClient]:
        """Open a session. `url` is the server or its full realtime address; `api_key` may be a ticket.

        Returns once the socket is open; the first event is `session.created`. Raises ConnectionLost with the HTTP
        status when the server refuses, ValueError for a `url` that is no address.
        """
        client = cls(url, character=character, api_key=api_key, opt_in=opt_in, resume=resume)
        await client._open()
        reader = asyncio.create_task(client._read())
        try:
            yield client
        finally:
            client._over = True
            if client._socket is not None:
                await client._socket.close()
            reader.cancel()
            await asyncio.wait([reader])

    # ---- up ------------------------------------------------------------------------------------------------------

    async def send(self, event: ClientEvent) -> None:
        """Send an event. While the socket is down it waits for the resume; raises ConnectionLost when there is none."""
        await self._send(dump(event))

    async def send_audio(self, pcm: NDArray[np.int16]) -> None:
        """Send input audio at the session's input rate, as a binary frame or base64 as negotiated."""
        start, self._input_at = self._input_at, self._input_at + pcm.size
        npc = self.core.session.npc if self.core.session else None
        if npc is not None and npc.transport.audio == "binary":
            await self._send(encode_audio(Kind.INPUT_AUDIO, pcm, start))
        else:
            await self._send(dump(InputAudioBufferAppend(audio=_base64(pcm))))

    @property
    def input_samples(self) -> int:
        """Input audio sent so far: the input clock."""
        return self._input_at

    async def _send(self, message: str | bytes) -> None:
        async with self._sending:
            await self._up.wait()
            socket = self._socket
            if self._over or socket is None:
                raise ConnectionLost("the session is over")
            # Noted only now: what is noted while a resume is under way would go out twice.
            self.core.sending(message)
            try:
                await socket.send(message)
            except ConnectionClosed:
                # Where there is a resume, it sends the message again, since the server does not have it.
                if not self.core.resumable or not self._resume:
                    raise ConnectionLost("the session is over") from None

    # ---- down ----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[Incoming]:
        return self

    async def __anext__(self) -> Incoming:
        incoming = await self._queue.get()
        if incoming is None:
            self._queue.put_nowait(None)
            raise StopAsyncIteration
        if isinstance(incoming, ConnectionLost):
            self._queue.put_nowait(None)
            raise incoming
        return incoming

    async def _read(self) -> None:
        end: ConnectionLost | None = None
        try:
            while True:
                assert self._socket is not None
                try:
                    async for message in self._socket:
                        for incoming in self.core.feed(message):
                            await self._queue.put(incoming)
                except ConnectionClosed:
                    pass
                self._up.clear()
                code = self._socket.close_code or 1006
                if self._over or code in (1000, 4000):
                    return
                if not self._resume or not self.core.resumable or code in _FINAL_CODES:
                    reason = self._socket.close_reason or "the connection was lost"
                    end = ConnectionLost(reason, code)
                    return
                await self._come_back()
        except ConnectionLost as lost:
            end = lost
        except (ValueError, OutOfOrder) as error:
            end = ConnectionLost(f"the server sent what cannot be read: {error}")
        finally:
            self._over = True
            self._up.set()
            if self._queue.full():
                self._queue.get_nowait()
            self._queue.put_nowait(end)

    # ---- sockets -------------------------------------------------------------------------------------------------

    def _url(self, **extra: str) -> str:
        query = "&".join(part for part in (self._query, urlencode({**self._params, **extra})) if part)
        return urlunsplit((*self._place, query, ""))

    async def _open(self) -> None:
        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        self._socket = await self._dial(self._url(), ["realtime"], headers)
        self._up.set()

    async def _dial(self, url: str, subprotocols: list[Any], headers: dict[str, str]) -> ClientConnection:
        try:
            return await open_socket(
                url,
                subprotocols=subprotocols,
                additional_headers=headers,
                compression=None,
                max_size=8 << 20,
                open_timeout=_CONNECT_S,
                proxy=None,
            )
        except InvalidStatus as refused:
            status = refused.response.status_code
            raise ConnectionLost(
                f"the server refused ({status}): {_reason(refused.response.body)}", status
            ) from refused
        except (OSError, InvalidHandshake, TimeoutError) as error:
            raise ConnectionLost(f"cannot reach the server: {error}") from error

    async def _come_back(self) -> None:
        """Resume within the window. Raises ConnectionLost when the session is gone or the window has passed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.core.window_s
        retry = _FIRST_RETRY_S
        while True:
            try:
                if await self._try_resume():
                    return
            except ConnectionLost as lost:
                if lost.code in _FINAL_CODES or loop.time() + retry > deadline:
                    raise
            if loop.time() + retry > deadline:
                raise ConnectionLost("the server did not come back within the resume window")
            await asyncio.sleep(retry)
            retry = min(2 * retry, _LAST_RETRY_S)

    async def _try_resume(self) -> bool:
        """One attempt; False when the socket broke again before it was of use."""
        url = self._url(after=str(self.core.last_seq))
        socket = await self._dial(url, ["realtime", f"npc-resume.{self.core.token}"], {})
        try:
            async with asyncio.timeout(_CONNECT_S):
                message = await socket.recv()
            resumed = parse_server(message)
            if not isinstance(resumed, NpcResumed):
                raise ConnectionLost(f"expected npc.resumed, got {resumed.type}")
            self.core.feed(message)
            for again in self.core.missing(resumed.received):
                await socket.send(again)
        except (ConnectionClosed, TimeoutError):
            code = socket.close_code or 1006
            await socket.close()
            if code in _FINAL_CODES:
                raise ConnectionLost(socket.close_reason or "the session is gone", code) from None
            return False
        except (ConnectionLost, ValueError, OutOfOrder):
            await socket.close()
            raise
        self._socket = socket
        self.resumes += 1
        await self._queue.put(resumed)
        self._up.set()
        return True

    async def created(self) -> SessionCreated:
        """Wait for `session.created`, which comes first. Call it before iterating."""
        first = await self.__anext__()
        if not isinstance(first, SessionCreated):
            raise ConnectionLost(f"expected session.created, got {first}")
        return first


def _reason(body: bytes | bytearray | None) -> str:
    """What a refusal says: the message of its JSON error, else its text, else that it gave no reason."""
    text = (body or b"").decode(errors="replace").strip()
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text[:300] or "no reason given"


def _base64(pcm: NDArray[np.int16]) -> str:
    return binascii.b2a_base64(pcm.astype("<i2", copy=False).tobytes(), newline=False).decode("ascii")
