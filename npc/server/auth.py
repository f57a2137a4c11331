"""Who may connect: Host and Origin rules, Bearer keys, short-lived tickets. Pure: time and nonces are arguments.

Browsers do not apply the same-origin rule to WebSockets, so any web page can open a socket to a server on loopback.
The Origin rule keeps foreign pages out; the Host rule keeps out a page whose own name was re-pointed to 127.0.0.1
(DNS rebinding), for which Origin and Host agree.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from npc.server.settings import ServerSettings, is_loopback

_TICKET_PREFIX = "ek_"
INSTRUCTOR = "instructor"


class Refused(Exception):
    """A request that may not pass: HTTP status and what to tell its sender."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Identity:
    """What a credential allows. None means not bound."""

    player: str | None = None
    character: str | None = None
    scopes: frozenset[str] = frozenset()
    by_key: bool = False


@dataclass(frozen=True, slots=True)
class Ticket:
    """Claims of a ticket. `expires` is in seconds since the epoch."""

    expires: int
    nonce: str
    player: str | None = None
    character: str | None = None
    origin: str | None = None
    scopes: tuple[str, ...] = ()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


class Gate:
    """Decides on requests. Raises Refused with 401 or 403."""

    def __init__(self, settings: ServerSettings, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("the ticket secret must have at least 16 bytes")
        self._secret = secret
        self._key_digests = [hashlib.sha256(key.encode()).digest() for key in settings.keys]
        self._origins = frozenset(settings.origins)
        self._hosts = frozenset(host.lower() for host in settings.hosts)
        self._any_host = bool(settings.keys) and not settings.hosts

    @property
    def open(self) -> bool:
        """No keys: whoever passes the Host and Origin rules is let in."""
        return not self._key_digests

    def check_place(self, headers: Mapping[str, str], scheme: str, also: Container[str] = ()) -> None:
        """Host and Origin rules, before anything else. `headers` have lower-case names, `scheme` is http or https.

        `also` holds further origins that may make this one request.
        """
        host = headers.get("host", "").lower()
        name = _host_name(host)
        if not (self._any_host or is_loopback(name) or host in self._hosts or name in self._hosts):
            raise Refused(403, "host_not_allowed", f"this server does not answer to the name {name[:100]!r}")
        origin = headers.get("origin")
        own = origin is None or origin.lower() == f"{scheme}://{host}"
        if not own and origin not in self._origins and origin not in also:
            assert origin is not None, "no origin is an own one"
            raise Refused(403, "origin_not_allowed", f"origin {origin[:100]!r} may not use this server")

    def identify(self, credential: str | None, origin: str | None, now: float) -> Identity:
        """Who holds `credential` (a key, a ticket or None)."""
        if credential is not None:
            digest = hashlib.sha256(credential.encode()).digest()
            matches = [hmac.compare_digest(digest, known) for known in self._key_digests]
            if any(matches):
                return Identity(scopes=frozenset({INSTRUCTOR}), by_key=True)
            if credential.startswith(_TICKET_PREFIX):
                ticket = self.verify(credential, origin, now)
                return Identity(ticket.player, ticket.character, frozenset(ticket.scopes))
        if self.open:
            # Stock SDKs insist on some key; on an open loopback server any text will do.
            return Identity(scopes=frozenset({INSTRUCTOR}), by_key=True)
        missing = credential is None
        raise Refused(
            401,
            "missing_credential" if missing else "invalid_credential",
            "send Authorization: Bearer <key>, or a ticket from POST /v1/realtime/client_secrets"
            if missing
            else "this key or ticket is not known",
        )

    def mint(self, ticket: Ticket) -> str:
        """Sign a ticket: `ek_<claims>.<signature>`, in characters that a sub-protocol may hold."""
        claims = {
            "exp": ticket.expires,
            "n": ticket.nonce,
            "p": ticket.player,
            "c": ticket.character,
            "o": ticket.origin,
            "s": list(ticket.scopes),
        }
        body = _b64(json.dumps({k: v for k, v in claims.items() if v}, separators=(",", ":")).encode())
        return f"{_TICKET_PREFIX}{body}.{self._sign(body)}"

    def verify(self, text: str, origin: str | None, now: float) -> Ticket:
        """The claims of a ticket that is genuine, in time and used from its origin."""
        body, _, signature = text.removeprefix(_TICKET_PREFIX).partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            raise Refused(401, "invalid_ticket", "this ticket was not issued by this server")
        try:
            claims: dict[str, Any] = json.loads(_unb64(body))
        except (ValueError, binascii.Error):
            raise Refused(401, "invalid_ticket", "this ticket is damaged") from None
        ticket = Ticket(
            expires=claims["exp"],
            nonce=claims.get("n", ""),
            player=claims.get("p"),
            character=claims.get("c"),
            origin=claims.get("o"),
            scopes=tuple(claims.get("s", ())),
        )
        if now >= ticket.expires:
            raise Refused(401, "ticket_expired", "this ticket has expired; ask for a new one")
        if ticket.origin is not None and origin != ticket.origin:
            raise Refused(403, "ticket_origin", "this ticket belongs to another origin")
        return ticket

    def _sign(self, body: str) -> str:
        return _b64(hmac.digest(self._secret, body.encode(), "sha256"))


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of an Authorization header, or None."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if kind.lower() == "bearer" else None


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0][1:]
    return host.rpartition(":")[0] if ":" in host else host
