"""A `/v1/chat/completions` server that does what a script says: streams, stalls, breaks, refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Script:
    """What the server does, request after request; the last entry repeats.

    Each entry is a list of steps: a text (one token), a float (seconds to wait), "!close" (cut the connection),
    ("raw", bytes), or ("status", code, body).
    """

    entries: list[Sequence[Any]]
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bytes_in: int = 0


def event(text: str, finish: str | None = None) -> bytes:
    payload = {"choices": [{"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}]}
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


@asynccontextmanager
async def serve(script: Script) -> AsyncIterator[str]:
    """Run on a free port; yields the base_url."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if ": " in line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            script.bytes_in += len(head) + len(body)
            script.headers.append(headers)
            script.requests.append(json.loads(body))
            steps = script.entries[min(len(script.requests), len(script.entries)) - 1]
            await play(steps, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        await server.wait_closed()


async def play(steps: Sequence[Any], writer: asyncio.StreamWriter) -> None:
    if steps and isinstance(steps[0], tuple) and steps[0][0] == "status":
        _, code, body = steps[0]
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        writer.write(f"HTTP/1.1 {code} X\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n\r\n".encode() + raw)
        await writer.drain()
        return
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    for step in steps:
        if isinstance(step, float):
            await asyncio.sleep(step)
        elif step == "!close":
            await writer.drain()
            return
        elif isinstance(step, tuple):
            writer.write(step[1])
        else:
            writer.write(event(step))
        await writer.drain()
    writer.write(event("", "stop") + b"data: [DONE]\n\n")
    await writer.drain()
