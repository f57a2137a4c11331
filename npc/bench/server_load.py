"""The load: many full-duplex audio streams from one process, on sockets driven by hand.

A client library costs more per message than the server it should measure, so frames are built once (a zero masking key
leaves the payload as it is) and answers are only cut apart and timed.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, cast

import numpy as np
import uvloop

from npc.protocol.frames import Kind, encode_audio

FRAME_S = 0.02
_RATE = 24_000
_SAMPLES = int(_RATE * FRAME_S)
_HANDSHAKE = (
    "GET /v1/realtime?model={character}&npc=1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
#: Beginning of an audio delta; anything else that comes as text is an event.
_DELTA = b'"type":"response.output_audio.delta"'


@dataclass(frozen=True, slots=True)
class Load:
    """What to do: sessions, whether audio is binary, seconds before and of measuring (0: sessions are only held)."""

    port: int
    character: str
    streams: int
    binary: bool
    warm_s: float
    measure_s: float


def _client_frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return struct.pack("!BB4x", 0x80 | opcode, 0x80 | size) + payload
    if size < 65536:
        return struct.pack("!BBH4x", 0x80 | opcode, 0x80 | 126, size) + payload
    return struct.pack("!BBQ4x", 0x80 | opcode, 0x80 | 127, size) + payload


class Stream(asyncio.Protocol):
    """One session: sends a frame when told, times the frame that comes back."""

    def __init__(self, load: Load) -> None:
        self.ready = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self.sent: deque[float] = deque()
        self.measuring = False
        self.latencies: list[float] = []
        self._load = load
        self._buffer = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(_HANDSHAKE.format(port=self._load.port, character=self._load.character).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("the server closed a connection before its session began"))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        if not self._upgraded:
            head, found, buffer = buffer.partition(b"\r\n\r\n")
            if not found:
                self._buffer = head
                return
            if b" 101 " not in head[:16]:
                self.ready.set_exception(ConnectionError(head.split(b"\r\n")[0].decode()))
                return
            self._upgraded = True
        at, end = 0, len(buffer)
        while end - at >= 2:
            size, body = buffer[at + 1], at + 2
            if size == 126:
                if end - at < 4:
                    break
                size, body = int.from_bytes(buffer[at + 2 : at + 4]), at + 4
            elif size == 127:
                if end - at < 10:
                    break
                size, body = int.from_bytes(buffer[at + 2 : at + 10]), at + 10
            if end < body + size:
                break
            opcode = buffer[at] & 15
            if opcode == 2 or (opcode == 1 and buffer.find(_DELTA, body, body + 160) >= 0):
                began = self.sent.popleft()
                if self.measuring:
                    self.latencies.append(time.perf_counter() - began)
            elif opcode == 1:
                self._event(buffer[body : body + size])
            at = body + size
        self._buffer = buffer[at:]

    def _event(self, payload: bytes) -> None:
        kind = json.loads(payload)["type"]
        if kind == "error":
            raise RuntimeError(f"the server answered with an error: {payload[:300]!r}")
        if kind == "session.created" and self._load.binary:
            update = {"type": "session.update", "session": {"npc": {"transport": {"audio": "binary"}}}}
            self.transport.write(_client_frame(1, json.dumps(update).encode()))
        done = "session.updated" if self._load.binary else "response.output_item.added"
        if not self._load.measure_s:
            done = "session.created"
        if kind == done and not self.ready.done():
            self.ready.set_result(None)

    def send(self, frame: bytes) -> None:
        self.sent.append(time.perf_counter())
        self.transport.write(frame)


def _same(stream: Stream) -> Stream:
    return stream


async def _run(load: Load, streams: list[Stream], told: Connection) -> None:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    for stream in streams:
        stream.latencies = latencies
    pcm = (np.arange(_SAMPLES) * 37 % 4000).astype(np.int16)
    if load.binary:
        frame = _client_frame(2, encode_audio(Kind.INPUT_AUDIO, pcm, 0))
    else:
        append = {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm.tobytes()).decode()}
        frame = _client_frame(1, json.dumps(append).encode())
    # Streams are spread over the 20 ms in 1 ms slots, as independent microphones would be.
    slots = [streams[slot::20] for slot in range(20)]
    late: list[float] = []
    sent = 0
    start = loop.time()
    measure_from, stop = start + load.warm_s, start + load.warm_s + load.measure_s
    tick, measuring, cpu_from = 0, False, 0.0
    while (now := loop.time()) < stop:
        due = start + tick * 0.001
        if now < due:
            await asyncio.sleep(due - now)
        if not measuring and loop.time() >= measure_from:
            measuring, cpu_from = True, time.process_time()
            told.send("measuring")
            for stream in streams:
                stream.measuring = True
        if measuring:
            late.append(loop.time() - due)
        for stream in slots[tick % 20]:
            stream.send(frame)
            sent += measuring
        tick += 1
        if tick % 5 == 0:
            await asyncio.sleep(0)
    cpu = time.process_time() - cpu_from
    told.send("measured")
    for _ in range(100):
        if not any(stream.sent for stream in streams):
            break
        await asyncio.sleep(0.01)
    told.send(
        {
            "sent": sent,
            "unanswered": sum(len(stream.sent) for stream in streams),
            "latency_ms": [float(q) for q in np.percentile(np.array(latencies or [9.9]) * 1000, (50, 95, 99, 100))],
            "generator_late_ms_p99": float(np.percentile(np.array(late) * 1000, 99)),
            "generator_cpu": cpu / load.measure_s,
        }
    )


async def _work(told: Connection) -> None:
    loop = asyncio.get_running_loop()
    while True:
        load: Load | None = await loop.run_in_executor(None, told.recv)
        if load is None:
            return
        streams: list[Stream] = []
        try:
            for at in range(0, load.streams, 20):
                group = [Stream(load) for _ in range(min(20, load.streams - at))]
                for stream in group:
                    await loop.create_connection(partial(_same, stream), "127.0.0.1", load.port)
                async with asyncio.timeout(30):
                    await asyncio.gather(*(stream.ready for stream in group))
                streams += group
            if load.measure_s:
                await _run(load, streams, told)
            else:
                told.send("holding")
                await loop.run_in_executor(None, told.recv)
        except Exception as error:
            told.send(error)
        for stream in streams:
            stream.transport.abort()
        told.send("closed")


def run_load(core: int | None, told: Connection) -> None:
    """Child process: takes `Load`s through `told` until it gets None."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    uvloop.run(_work(told))


def ask(told: Connection, timeout_s: float = 120.0) -> Any:
    """What the child says next; its exceptions are raised here."""
    if not told.poll(timeout_s):
        raise TimeoutError("the load generator does not answer")
    answer = told.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer
