"""A TCP proxy that kills connections after a given number of bytes, as a bad network does: no close, mid-frame."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager


class Cutter:
    """Passes bytes to `port` until the next cut is due; `cuts` yields the bytes from the server that each
    connection may still pass (None: as many as come)."""

    def __init__(self, port: int, cuts: Iterator[int | None]) -> None:
        self.target = port
        self.port = 0
        self.kills = 0
        self._cuts = cuts
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        left = next(self._cuts, None)
        upward = asyncio.ensure_future(self._pump(reader, up_writer))
        try:
            while data := await up_reader.read(2048):
                if left is not None and len(data) >= left:
                    writer.write(data[:left])
                    await writer.drain()
                    self.kills += 1
                    break
                if left is not None:
                    left -= len(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            upward.cancel()
            await asyncio.wait([upward])
            writer.transport.abort()
            up_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass


@asynccontextmanager
async def cutting(port: int, cuts: Iterator[int | None]) -> AsyncIterator[Cutter]:
    """A proxy in front of `port`."""
    cutter = Cutter(port, cuts)
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await cutter.serve(reader, writer)
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    cutter.port = server.sockets[0].getsockname()[1]
    try:
        yield cutter
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
