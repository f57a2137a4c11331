"""All live sessions of this process: opening, losing and resuming sockets, ending, draining.

    open --> linked --socket lost--> waiting --resume--> linked ...
               |                       |
               | session ends,         | window passes
               | stock client leaves   |
               v                       v
             closed <------------------+

A resume token opens one connection. It is used up once the client has sent something on that connection, because until
then the client may not have read its successor: a socket that dies in between can be resumed with either.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from npc.conversation.port import AudioOut, BlendshapesOut, Conversation, Opening, Service
from npc.protocol import (
    ClientEvent,
    ErrorEvent,
    Limits,
    NpcMetrics,
    NpcResumed,
    NpcStatus,
    Player,
    Resume,
    ServerEvent,
    SessionUpdate,
    SessionUpdated,
)
from npc.server.auth import INSTRUCTOR, Identity, Refused
from npc.server.carrier import Carrier
from npc.server.metrics import Metrics
from npc.server.settings import Bounds
from npc.server.tracing import SessionTrace
from npc.server.watching import Watching

logger = logging.getLogger(__name__)


class CloseCode(IntEnum):
    """Why the server closed a socket. 1009 to 1013 keep their meaning of RFC 6455 and its registry."""

    SESSION_ENDED = 4000
    UNAUTHORIZED = 4401
    SESSION_GONE = 4404
    VERSION_MISMATCH = 4406
    TOO_SLOW = 4408
    REPLACED = 4409
    ABUSE = 4429
    INTERNAL = 1011
    RESTARTING = 1012
    FULL = 1013


class Link(Protocol):
    """A socket as a session sees it."""

    def wake(self) -> None:
        """Something can be taken from the carrier."""

    def shut(self, code: CloseCode, reason: str) -> None:
        """Close the socket. Idempotent, does not wait."""


class Live:
    """One session with its carrier, and the socket it has at the moment."""

    def __init__(self, hub: Hub, session_id: str, character: str, identity: Identity, *, opted_in: bool) -> None:
        self.hub = hub
        self.session_id = session_id
        self.character = character
        self.identity = identity
        self.link: Link | None = None
        self.input_samples = 0
        self.received = 0
        """Messages that reached this session, malformed ones too."""
        self.carrier = Carrier(session_id, hub.bounds, opted_in=opted_in, wake=self._wake)
        self.watchers: list[Live] = []
        """Instructors' sockets that get what this session sends."""
        self.conversation: Conversation
        self.task: asyncio.Task[None]
        self.trace = SessionTrace(session_id, character)
        self._began = asyncio.get_running_loop().time()
        self._tokens: list[bytes] = []
        self._expiry: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    # ---- from the session ----------------------------------------------------------------------------------------

    def send(self, item: ServerEvent | AudioOut | BlendshapesOut) -> None:
        """The session's outbox: looked at for metrics and traces, then carried."""
        if isinstance(item, NpcMetrics | NpcStatus):
            self.hub.metrics.observe(item)
        if not isinstance(item, AudioOut | BlendshapesOut):
            self.trace.follow(item)
        self.carrier.send(item)
        for watcher in self.watchers:
            # How this client gets its output is no business of theirs, but for the rate of the sound.
            if isinstance(item, SessionUpdated):
                assert isinstance(watcher.conversation, Watching), "hub.watch makes watchers"
                watcher.conversation.follow(item.session.audio.output.format.rate)
            else:
                watcher.carrier.send(item)

    # ---- from the socket -----------------------------------------------------------------------------------------

    def receive(self, event: ClientEvent) -> None:
        """A typed event from the client."""
        self._confirm()
        if isinstance(event, SessionUpdate) and event.session.npc is not None:
            self._opt_in(event)
        self.conversation.receive(event)

    def hear(self, pcm: NDArray[np.int16]) -> None:
        """Input audio at the session's input rate."""
        if len(self._tokens) > 1:
            self._confirm()
        self.input_samples += pcm.size
        self.conversation.hear(pcm)

    def _opt_in(self, event: SessionUpdate) -> None:
        npc = event.session.npc
        assert npc is not None
        if self.identity.player is not None:
            # A ticket is bound to its player: another name or locale is welcome, another memory is not.
            npc.player = Player.model_validate(
                {**npc.player.model_dump(exclude_unset=True), "id": self.identity.player}
            )
            npc.__pydantic_fields_set__.add("player")
        if not self.carrier.opted_in:
            self.carrier.opted_in = True
            self._renew()

    # ---- sockets come and go -------------------------------------------------------------------------------------

    def linked(self, link: Link) -> None:
        """A socket is there, the first or a later one; an older one is closed."""
        if self.link is not None and self.link is not link:
            self.link.shut(CloseCode.REPLACED, "the session went on on another socket")
        self.link = link
        self.carrier.connected = True
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def resumed(self, link: Link, after: int, token: str) -> NpcResumed:
        """Go on on the socket that `token` opened, after message `after`. Raises ValueError for an unknown number."""
        complete = self.carrier.rewind(after, self.conversation.snapshot, self.character)
        was_down = self.link is None
        self.linked(link)
        resume = self._renew(used=_digest(token))
        if was_down:
            self.conversation.attach(True)
        self.hub.metrics.resumed(complete)
        return NpcResumed(
            token=resume.token,
            window_s=resume.window_s,
            complete=complete,
            received=self.received,
            input_samples=self.input_samples,
        )

    def dropped(self, link: Link, *, left: bool = False) -> None:
        """The socket is gone. A client that can resume has the window to come back, unless it said that it has `left`;
        a stock client always has."""
        if self.link is not link:
            return
        self.link = None
        self.carrier.connected = False
        if self._closing is not None or self.task.done():
            return
        if left or not self.carrier.opted_in or self.hub.draining:
            self.end("client left")
            return
        self.conversation.attach(False)
        loop = asyncio.get_running_loop()
        self._expiry = loop.call_later(self.hub.bounds.resume_window_s, self.end, "resume window passed")

    def _renew(self, used: bytes | None = None) -> Resume:
        """A new token; `used`, which opened the present socket, stays good until the client has confirmed."""
        token = self.hub.new_token()
        digest = _digest(token)
        for old in self._tokens:
            if old != used:
                self.hub.forget_token(old)
        self._tokens = [digest] if used is None else [used, digest]
        self.hub.keep_token(digest, self)
        resume = Resume(token=token, window_s=self.hub.bounds.resume_window_s)
        self.carrier.resume = resume
        return resume

    def renew(self) -> None:
        """Give the session its first token."""
        self._renew()

    def _confirm(self) -> None:
        """The client has read the newest token: it has sent something on the socket that brought it."""
        for old in self._tokens[:-1]:
            self.hub.forget_token(old)
        self._tokens = self._tokens[-1:]

    def age(self) -> float:
        """Seconds since it began."""
        return asyncio.get_running_loop().time() - self._began

    def _wake(self) -> None:
        if self.link is not None:
            self.link.wake()

    # ---- the end -------------------------------------------------------------------------------------------------

    def end(self, reason: str) -> asyncio.Task[None]:
        """Close the session. Idempotent; the task ends when everything is written."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._end(reason))
        return self._closing

    async def _end(self, reason: str) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        try:
            await self.conversation.close(reason)
            await self.task
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("a session did not close cleanly", extra={"session": self.session_id})
        finally:
            for token in self._tokens:
                self.hub.forget_token(token)
            self.hub.remove(self)
            for watcher in tuple(self.watchers):
                watcher.end("the session is over")
            self.hub.metrics.talk.observe(asyncio.get_running_loop().time() - self._began)
            self.trace.end(reason)
            if self.link is not None:
                self.link.shut(CloseCode.SESSION_ENDED, reason)

    def crashed(self, error: BaseException) -> None:
        """The session's task broke: say so, then end. Other sessions go on."""
        logger.error("a session broke", exc_info=error, extra={"session": self.session_id})
        self.hub.metrics.session_crashes += 1
        self.carrier.send(ErrorEvent.of("this session broke inside the server", type="server_error", code="internal"))
        if self.link is not None:
            self.link.shut(CloseCode.INTERNAL, "session broke")
        self.end("broken")


class Hub:
    """Owns the live sessions. All methods run on the event loop."""

    def __init__(
        self,
        service: Service,
        bounds: Bounds,
        metrics: Metrics,
        *,
        new_token: Callable[[], str] = lambda: secrets.token_urlsafe(24),
    ) -> None:
        self.service = service
        self.bounds = bounds
        self.metrics = metrics
        self.new_token = new_token
        self.draining = False
        self._silent_by: float | None = None
        """Loop time by which a stopping server has fallen silent."""
        self._live: dict[str, Live] = {}
        self._by_token: dict[bytes, Live] = {}

    def __len__(self) -> int:
        return len(self._live)

    def sessions(self) -> list[Live]:
        """Those alive now."""
        return list(self._live.values())

    def listing(self) -> list[dict[str, Any]]:
        """Those that can be watched: id, character, player, seconds they have lasted."""
        return [
            {
                "id": live.session_id,
                "character": live.character,
                "player": live.identity.player,
                "seconds": round(live.age(), 1),
                "watchers": len(live.watchers),
            }
            for live in self._live.values()
            if not isinstance(live.conversation, Watching)
        ]

    def open(self, character: str, identity: Identity, *, opted_in: bool, voice: str = "") -> Live:
        """A new session, not yet running. Raises Refused (503) when full or stopping, and UnknownCharacter."""
        self._make_room()
        session_id = f"sess_{secrets.token_hex(10)}"
        live = Live(self, session_id, character, identity, opted_in=opted_in)
        opening = Opening(
            session_id=session_id,
            character_id=character,
            player_id=identity.player or "player",
            opted_in=opted_in,
            scopes=identity.scopes,
            limits=self._limits(),
            voice=voice,
        )
        live.conversation = self.service.open(opening, live)
        self._live[session_id] = live
        return live

    def _make_room(self) -> None:
        if self.draining:
            raise Refused(503, "stopping", "this server is stopping; try another one")
        if len(self._live) >= self.bounds.max_sessions:
            self.metrics.refused_full += 1
            raise Refused(503, "full", f"this server holds its {self.bounds.max_sessions} sessions; try again later")

    def watch(self, session_id: str, identity: Identity) -> Live:
        """An instructor's view of a live session. Raises Refused (403, 404, 503)."""
        if INSTRUCTOR not in identity.scopes:
            raise Refused(403, "scope", "watching a session needs a ticket with the instructor scope")
        self._make_room()
        watched = self._live.get(session_id)
        if watched is None or isinstance(watched.conversation, Watching):
            raise Refused(404, "unknown_session", f"there is no session {session_id[:80]!r}")
        watch_id = f"sess_{secrets.token_hex(10)}"
        live = Live(self, watch_id, watched.character, identity, opted_in=True)
        by = identity.player or "instructor"
        limits = self._limits()
        live.conversation = Watching(
            watch_id, watched.conversation, watched.character, by, self.service, limits, live.carrier
        )
        live.conversation.follow(watched.carrier.output_rate)
        self._live[watch_id] = live
        watched.watchers.append(live)
        return live

    def start(self, live: Live) -> None:
        """Run it; the first thing it sends is `session.created`."""
        if live.carrier.opted_in:
            live.renew()
        self.metrics.sessions_opened += 1
        live.task = asyncio.get_running_loop().create_task(live.conversation.run(), name=live.session_id)
        live.task.add_done_callback(lambda task: self._ran(live, task))

    def _ran(self, live: Live, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            live.crashed(error)
        else:
            live.end("session ended")

    def _limits(self) -> Limits:
        return Limits(
            max_message_bytes=self.bounds.max_message_bytes,
            max_append_ms=self.bounds.max_message_bytes * 3 // 4 * 1000 // 48_000,
            max_text_chars=self.bounds.max_text_chars,
        )

    def find(self, token: str) -> Live | None:
        """The session that a resume token belongs to."""
        return self._by_token.get(_digest(token))

    def keep_token(self, digest: bytes, live: Live) -> None:
        self._by_token[digest] = live

    def forget_token(self, digest: bytes) -> None:
        self._by_token.pop(digest, None)

    def remove(self, live: Live) -> None:
        self._live.pop(live.session_id, None)
        for other in self._live.values():
            if live in other.watchers:
                other.watchers.remove(live)

    async def drain(self) -> None:
        """Stop: no new sessions, idle ones end at once, those that speak may finish within `drain_s`, and all get as
        long again to close. Called again, it has no more time than that."""
        self.draining = True
        loop = asyncio.get_running_loop()
        if self._silent_by is None:
            self._silent_by = loop.time() + self.bounds.drain_s
        while self._live:
            late = loop.time() >= self._silent_by
            ending = []
            for live in self.sessions():
                if late or not (live.carrier.busy and live.link is not None):
                    if live.link is not None:
                        live.link.shut(CloseCode.RESTARTING, "server is stopping")
                    ending.append(live.end("server stopping"))
            if ending:
                until = self._silent_by + (self.bounds.drain_s if late else 0.0)
                await asyncio.wait(ending, timeout=max(0.0, until - loop.time()))
            if late:
                break
            await asyncio.sleep(0.05)
        for live in self.sessions():
            logger.error("a session did not close in time", extra={"session": live.session_id})


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
