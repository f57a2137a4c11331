"""What the server may be told. No environment is read here: `npc.config` does that and passes values in."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field


def is_loopback(host: str) -> bool:
    """Whether binding to `host` keeps the server on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Bounds:
    """Every bound of the server, with its policy.

    | field | default | why, and what happens beyond it |
    |---|---|---|
    | max_sessions | 500 | what one core carries as measured by `npc bench server`; 503, to browsers 1013 |
    | max_message_bytes | 1 MiB | 16 s of base64 audio at 24 kHz; `error` event, message ignored |
    | hard_message_bytes | 2 MiB | a peer that sends more is not a client: socket closed with 1009, session resumable |
    | queue_ms, queue_bytes | 15 s, 4 MiB | output waiting for a slow socket; closed with 4408, session resumable |
    | replay_ms, replay_bytes | 20 s, 2 MiB | output kept for a resume; older output is forgotten, then `npc.resync` |
    | resume_window_s | 30 | a phone changing networks takes 5-20 s; then the session is closed |
    | messages_per_s | 500 | ten times a 20 ms audio stream, with a burst of four seconds; socket closed with 4429 |
    | errors_per_10s | 200 | a client in a loop of mistakes; socket closed with 4429 |
    | drain_s | 10 | longest reply that a stopping server still finishes |
    """

    max_sessions: int = 500
    max_message_bytes: int = 1 << 20
    hard_message_bytes: int = 2 << 20
    max_text_chars: int = 100_000
    queue_ms: int = 15_000
    queue_bytes: int = 4 << 20
    replay_ms: int = 20_000
    replay_bytes: int = 2 << 20
    resume_window_s: float = 30.0
    messages_per_s: int = 500
    errors_per_10s: int = 200
    drain_s: float = 10.0
    ticket_max_s: int = 7200

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"server bound {name} must be positive, got {getattr(self, name)}")
        if self.hard_message_bytes < self.max_message_bytes:
            raise ValueError("server bound hard_message_bytes must be at least max_message_bytes")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where to listen and whom to let in.

    `keys` are Bearer keys; none means that loopback is open to local programs and our own page. `origins` are further
    web origins allowed to connect, exactly as browsers send them; `hosts` further names the server answers to.
    `ticket_secret` signs tickets; left empty, tickets die with the process.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    keys: tuple[str, ...] = field(default=(), repr=False)
    ticket_secret: bytes = field(default=b"", repr=False)
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    bounds: Bounds = Bounds()

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and not self.keys:
            raise ValueError(
                f"refusing to listen on {self.host} without authentication: set an API key of 16 characters or more, "
                "e.g. NPC_SERVER__KEYS=$(openssl rand -hex 16), or listen on 127.0.0.1"
            )
        if any(len(key) < 16 for key in self.keys):
            raise ValueError("an API key must have at least 16 characters")
        for origin in self.origins:
            if origin == "null" or "://" not in origin or origin.endswith("/"):
                raise ValueError(f"origin {origin!r} must look like https://example.org, without a trailing slash")
