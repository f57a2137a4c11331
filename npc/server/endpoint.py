"""`/v1/realtime`: one coroutine reads a socket into its session, another writes the carrier to the socket. Raw ASGI.

    connect -> Host, Origin -> resume token? -> key or ticket -> character -> accept -> read | write -> dropped

Refusals before the upgrade are HTTP answers, except to a browser, which cannot see those: it gets an accepted socket
that is closed with the code that says why. Browsers are known by their Origin, or by a credential that is offered as a
sub-protocol.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import numpy as np

from npc.conversation.port import UnknownCharacter
from npc.protocol import ErrorEvent, ProtocolError, decode_json, dump, parse_client
from npc.protocol.frames import AudioFrame, FrameError, Kind
from npc.protocol.frames import decode as decode_frame
from npc.protocol.names import PROTOCOL_VERSION
from npc.server.auth import Gate, Refused, bearer
from npc.server.hub import CloseCode, Hub, Live
from npc.server.websocket import ABORT, REFUSED

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

logger = logging.getLogger(__name__)

SUBPROTOCOL = "realtime"
_KEY = "openai-insecure-api-key."
_RESUME = "npc-resume."
#: Close codes of a client that is done, or whose page was left or reloaded (RFC 6455, 7.4.1): it will not resume.
_LEAVING = frozenset({1000, 1001})
#: How a browser is told why it may not begin: by the refusal's code.
_BROWSER_CODES = {
    "full": CloseCode.FULL,
    "stopping": CloseCode.RESTARTING,
    "unknown_session": CloseCode.SESSION_ENDED,
    "scope": CloseCode.UNAUTHORIZED,
    "ticket_origin": CloseCode.UNAUTHORIZED,
    "ticket_character": CloseCode.UNAUTHORIZED,
}
#: Longest wait for a peer to take our close frame.
_CLOSE_S = 2.0
#: Messages handled in one go before other connections get their turn.
_FAIR = 32


class Socket:
    """One accepted connection. Implements `Link`."""

    def __init__(self, live: Live, hub: Hub, scope: Scope, receive: Receive, send: Send) -> None:
        self._live = live
        self._hub = hub
        self._receive = receive
        self._send = send
        self._abort: Callable[[], None] | None = scope["extensions"].get(ABORT)
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._written = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._left = False
        self._errors: list[float] = []
        self._window = self._loop.time()
        self._budget = 4 * hub.bounds.messages_per_s

    async def run(self) -> None:
        """Until either side closes."""
        writer = self._loop.create_task(self._write())
        try:
            await self._read()
        finally:
            writer.cancel()
            await asyncio.wait([writer])
            self._live.dropped(self, left=self._left)
            if self._closing is not None:
                await asyncio.wait([self._closing])

    # ---- Link ----------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
            self._written.clear()
        if self._live.carrier.overrun and self._closing is None:
            self._hub.metrics.too_slow += 1
            self.shut(CloseCode.TOO_SLOW, "messages were not taken in time; resume to go on")

    def shut(self, code: CloseCode, reason: str) -> None:
        if self._closing is None:
            self._closing = self._loop.create_task(self._close(code, reason))

    async def _close(self, code: CloseCode, reason: str) -> None:
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._drain(code)
                await self._send({"type": "websocket.close", "code": int(code), "reason": reason})
        except TimeoutError:
            if self._abort is not None:
                self._abort()
        except (OSError, RuntimeError):
            # It closed by itself meanwhile.
            pass

    async def _drain(self, code: CloseCode) -> None:
        """Let the writer finish what the session said last, unless the socket is closed for not taking it."""
        if code in (CloseCode.SESSION_ENDED, CloseCode.INTERNAL):
            await self._written.wait()

    # ---- out -----------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        carrier, metrics, send = self._live.carrier, self._hub.metrics, self._send
        try:
            # A socket that was replaced must not take another message: they belong to its successor.
            while self._live.link is self:
                message = carrier.take()
                if message is None:
                    self._waiter = self._loop.create_future()
                    self._written.set()
                    await self._waiter
                    self._waiter = None
                elif isinstance(message, str):
                    metrics.messages_out += 1
                    metrics.bytes_out += len(message)
                    await send({"type": "websocket.send", "text": message})
                else:
                    metrics.messages_out += 1
                    metrics.bytes_out += len(message)
                    await send({"type": "websocket.send", "bytes": message})
        except (OSError, RuntimeError):
            # The socket went away or is being closed; the reader sees its end and the message is kept for a resume.
            pass
        finally:
            self._written.set()

    # ---- in ------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        handled = 0
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._left = self._closing is None and message.get("code") in _LEAVING
                return
            if self._closing is not None or self._live.link is not self:
                # Not counted as received: a client that resumes sends it again.
                continue
            handled += 1
            self._live.received += 1
            if handled % _FAIR == 0:
                await asyncio.sleep(0)
            self._budget -= 1
            if self._budget <= 0 and self._flooding():
                self._give_up("too many messages")
                continue
            self._hub.metrics.messages_in += 1
            text = message.get("text")
            try:
                if text is not None:
                    self._text(text)
                else:
                    self._binary(message["bytes"])
            except ProtocolError as error:
                self._answer(error.to_event())
            except FrameError as error:
                self._answer(ErrorEvent.of(str(error), code="invalid_frame", param=error.field))
            except Exception as error:
                self._live.crashed(error)

    def _text(self, text: str) -> None:
        # A string has at least a quarter as many characters as bytes, so most messages need no encoding to be measured.
        limit = self._hub.bounds.max_message_bytes
        if len(text) * 4 > limit and len(text.encode()) > limit:
            raise ProtocolError(f"message is longer than {limit} bytes", code="message_too_long")
        data = decode_json(text)
        if data.get("type") == "input_audio_buffer.append":
            self._append(data)
        else:
            self._live.receive(parse_client(data))

    def _append(self, data: dict[str, Any]) -> None:
        event_id = data.get("event_id") if isinstance(data.get("event_id"), str) else None
        audio = data.get("audio")
        if not isinstance(audio, str):
            code = "missing_required_parameter" if audio is None else "invalid_type"
            raise ProtocolError("audio must be a base64 string", code=code, param="audio", event_id=event_id)
        try:
            pcm = binascii.a2b_base64(audio, strict_mode=True)
        except ValueError as error:
            raise ProtocolError(
                f"audio is not valid base64: {error}", code="invalid_value", param="audio", event_id=event_id
            ) from None
        if len(pcm) % 2:
            raise ProtocolError(
                f"audio must hold whole 16-bit samples, got {len(pcm)} bytes",
                code="invalid_value",
                param="audio",
                event_id=event_id,
            )
        self._hub.metrics.audio_bytes_in += len(pcm)
        if pcm:
            self._live.hear(np.frombuffer(pcm, "<i2"))

    def _binary(self, message: bytes) -> None:
        if not self._live.carrier.opted_in:
            raise ProtocolError(
                "binary frames need session.npc (see session.update); send input_audio_buffer.append",
                code="binary_not_negotiated",
            )
        if len(message) > self._hub.bounds.max_message_bytes:
            raise ProtocolError(
                f"message is longer than {self._hub.bounds.max_message_bytes} bytes", code="message_too_long"
            )
        frame = decode_frame(message)
        if not isinstance(frame, AudioFrame) or frame.kind != Kind.INPUT_AUDIO:
            raise FrameError("kind", "a client sends frames of kind 3 (input audio) only")
        self._hub.metrics.audio_bytes_in += frame.pcm.nbytes
        if frame.pcm.size:
            self._live.hear(frame.pcm)

    def _answer(self, event: ErrorEvent) -> None:
        self._hub.metrics.errors += 1
        now = self._loop.time()
        self._errors = [at for at in self._errors if now - at < 10.0]
        self._errors.append(now)
        if len(self._errors) > self._hub.bounds.errors_per_10s:
            self._give_up("too many errors")
        else:
            self._live.carrier.send(event)

    def _flooding(self) -> bool:
        """Four seconds' worth of messages have come: did they take four seconds? Starts the next window."""
        now = self._loop.time()
        flooding = now - self._window < 4.0
        self._window, self._budget = now, 4 * self._hub.bounds.messages_per_s
        return flooding

    def _give_up(self, reason: str) -> None:
        self._hub.metrics.abuse += 1
        self.shut(CloseCode.ABUSE, reason)
        self._live.end("abuse")


class RealtimeEndpoint:
    """The ASGI application behind `/v1/realtime`. Host and Origin were checked before."""

    def __init__(self, hub: Hub, gate: Gate, *, now: Callable[[], float] = time.time) -> None:
        self._hub = hub
        self._gate = gate
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        offered: list[str] = scope.get("subprotocols", [])
        query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
        accept: dict[str, Any] = {"type": "websocket.accept"}
        if offered:
            accept["subprotocol"] = SUBPROTOCOL if SUBPROTOCOL in offered else offered[0]

        async def turn_away(code: CloseCode, reason: str) -> None:
            await send(accept)
            await send({"type": "websocket.close", "code": int(code), "reason": reason[:120]})

        version = query.get("npc", "0")
        if version not in ("0", PROTOCOL_VERSION.partition(".")[0]):
            await turn_away(CloseCode.VERSION_MISMATCH, f"this server speaks npc protocol {PROTOCOL_VERSION}")
            return
        resume = _offered(offered, _RESUME)
        if resume is not None:
            await self._resume(resume, query.get("after", ""), accept, turn_away, scope, receive, send)
            return
        try:
            live = await self._open(scope, query, offered)
        except Refused as refused:
            if refused.status == 401:
                self._hub.metrics.refused_auth += 1
            code = _BROWSER_CODES.get(refused.code, CloseCode.UNAUTHORIZED if refused.status == 401 else None)
            by_key = refused.status == 401 and _offered(offered, _KEY) is not None
            if code is not None and (by_key or "origin" in header_map(scope)):
                await turn_away(code, refused.message)
            else:
                await refuse(scope, send, refused)
            return
        socket = Socket(live, self._hub, scope, receive, send)
        live.linked(socket)
        self._hub.start(live)
        try:
            await send(accept)
        except OSError:
            live.end("client left")
            return
        await socket.run()

    async def _open(self, scope: Scope, query: dict[str, str], offered: list[str]) -> Live:
        headers = header_map(scope)
        credential = bearer(headers) or _offered(offered, _KEY)
        identity = self._gate.identify(credential, headers.get("origin"), self._now())
        if "watch" in query:
            return self._hub.watch(query["watch"], identity)
        character = query.get("character") or query.get("model") or identity.character
        if not character:
            raise Refused(400, "missing_character", "name a character: ?model=<id>, as listed at /v1/characters")
        if identity.character is not None and identity.character != character:
            raise Refused(403, "ticket_character", "this ticket belongs to another character")
        try:
            opted_in, voice = query.get("npc", "0") != "0", query.get("voice", "")
            await self._hub.service.load(character, voice)
            return self._hub.open(character, identity, opted_in=opted_in, voice=voice)
        except UnknownCharacter as unknown:
            raise Refused(404, "unknown_character", str(unknown.args[0] if unknown.args else unknown)) from None

    async def _resume(
        self,
        token: str,
        after: str,
        accept: dict[str, Any],
        turn_away: Callable[[CloseCode, str], Awaitable[None]],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        live = self._hub.find(token)
        if live is None:
            await turn_away(CloseCode.SESSION_GONE, "this session is over, or the token was used already")
            return
        socket = Socket(live, self._hub, scope, receive, send)
        try:
            resumed = live.resumed(socket, int(after), token)
        except ValueError:
            await turn_away(CloseCode.SESSION_GONE, "after= must be the number of the last message received")
            return
        try:
            await send(accept)
            await send({"type": "websocket.send", "text": dump(resumed)})
        except OSError:
            live.dropped(socket)
            return
        await socket.run()


async def refuse(scope: Scope, send: Send, refused: Refused) -> None:
    """Answer a WebSocket request with an HTTP error before the upgrade."""
    body = json.dumps({"error": {"type": "invalid_request_error", "code": refused.code, "message": refused.message}})
    await send(
        {
            "type": "websocket.http.response.start",
            "status": refused.status,
            "headers": [(b"content-type", b"application/json")],
        }
    )
    await send({"type": "websocket.http.response.body", "body": body.encode()})
    finished = scope["extensions"].get(REFUSED)
    if finished is not None:
        finished()


def header_map(scope: Scope) -> dict[str, str]:
    """Request headers by lower-case name; of a repeated header the first counts."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return headers


def _offered(offered: list[str], prefix: str) -> str | None:
    return next((item.removeprefix(prefix) for item in offered if item.startswith(prefix)), None)
