"""A client with a microphone and a loudspeaker on one clock, in real time: what latency is measured with.

    microphone   sample i is spoken at  t0 + i/rate, and leaves in the frame that ends after it (20 ms frames)
    loudspeaker  read every 10 ms; sample j sounds at  t0 + j/rate

Both tracks are whole recordings from t0 on, so every figure comes from comparing two waveforms.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import LISTEN_RATE
from npc.client import Playback, RealtimeClient
from npc.protocol import SessionUpdate
from npc.training.rooms import room_noise

Pcm16 = NDArray[np.int16]

RATE = LISTEN_RATE
MIC_FRAME = RATE // 50
SPEAKER_FRAME = RATE // 100
#: A block of 5 ms counts as audible from -50 dB of full scale on: below it lies the tail of a fade, above it any phone.
AUDIBLE = 10 ** (-50 / 20) * 32768
_BLOCK = RATE // 200
#: Background between turns, RMS of 16-bit samples: a quiet room, about -66 dB.
ROOM_RMS = 16.0


@dataclass
class Seen:
    """An event and when it arrived, in seconds since t0."""

    at: float
    event: Any


@dataclass
class LiveClient:
    """Talks to one session. `play` puts sound into the microphone; `heard` is what came out of the loudspeaker."""

    client: RealtimeClient
    seed: int = 1
    seen: list[Seen] = field(default_factory=list)
    playback: Playback = field(default_factory=lambda: Playback(RATE, RATE))

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._t0 = 0.0
        self._sent = 0
        self._queue: deque[Pcm16] = deque()
        self._out: list[Pcm16] = []
        self._read = 0
        self._noise = room_noise(self.seed, 60 * RATE, ROOM_RMS)
        self._quiet = self._loop.time()

    @property
    def now(self) -> float:
        """Seconds since t0."""
        return self._loop.time() - self._t0

    async def run(self) -> None:
        """Configure the session, then hold the devices open until cancelled."""
        await self.client.created()
        await self.client.send(_wanted())
        self._t0 = self._loop.time()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._receive())
            group.create_task(self._microphone())
            group.create_task(self._loudspeaker())

    def play(self, pcm: Pcm16) -> float:
        """Speak from the next microphone frame on; when its first sample is spoken, in seconds since t0."""
        queued = sum(part.size for part in self._queue)
        self._queue.append(pcm)
        return (self._sent + queued) / RATE

    @property
    def speaking(self) -> bool:
        """Whether there is sound left to speak."""
        return bool(self._queue)

    @property
    def quiet_for(self) -> float:
        """Seconds since the character was last audible."""
        return self._loop.time() - self._quiet

    def heard(self, start: float = 0.0, end: float | None = None) -> Pcm16:
        """The loudspeaker's track between two times; only that part is put together, because this is asked 50 times a
        second beside the server that is measured (2.4 ms each for a track of two minutes)."""
        first, last = round(start * RATE), self._read if end is None else round(end * RATE)
        whole = first // SPEAKER_FRAME
        blocks = self._out[whole : -(-last // SPEAKER_FRAME)]
        track = np.concatenate(blocks) if blocks else np.zeros(0, np.int16)
        return track[first - whole * SPEAKER_FRAME : last - whole * SPEAKER_FRAME]

    async def _receive(self) -> None:
        async for incoming in self.client:
            self.seen.append(Seen(self.now, incoming))
            self.playback.receive(incoming)
            await self._report()

    async def _report(self) -> None:
        for report in self.playback.reports():
            await self.client.send(report)

    async def _microphone(self) -> None:
        while True:
            await self._until((self._sent + MIC_FRAME) / RATE)
            frame = self._next_frame()
            self._sent += MIC_FRAME
            await self.client.send_audio(frame)

    def _next_frame(self) -> Pcm16:
        at = self._sent % (self._noise.size - MIC_FRAME)
        frame = self._noise[at : at + MIC_FRAME].copy()
        filled = 0
        while self._queue and filled < MIC_FRAME:
            part = self._queue.popleft()
            take = part[: MIC_FRAME - filled]
            frame[filled : filled + take.size] = take
            filled += int(take.size)
            if part.size > take.size:
                self._queue.appendleft(part[take.size :])
        return frame

    async def _loudspeaker(self) -> None:
        while True:
            await self._until(self._read / RATE)
            block = self.playback.read(SPEAKER_FRAME)
            self._read += SPEAKER_FRAME
            self._out.append(block)
            if audible(block).size:
                self._quiet = self._loop.time()
            self.playback.heard(self.client.input_samples)
            await self._report()

    async def _until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, self._t0 + at - self._loop.time()))


def audible(pcm: Pcm16) -> NDArray[np.intp]:
    """Indices of the 5 ms blocks in which something is to be heard."""
    whole = pcm[: pcm.size - pcm.size % _BLOCK].reshape(-1, _BLOCK).astype(np.float64)
    return np.flatnonzero(np.sqrt(np.square(whole).mean(axis=1)) >= AUDIBLE)


def first_audible(pcm: Pcm16) -> float | None:
    """Seconds from the beginning to the first audible block, or None."""
    blocks = audible(pcm)
    return float(blocks[0]) * _BLOCK / RATE if blocks.size else None


def last_audible(pcm: Pcm16) -> float | None:
    """Seconds from the beginning to the end of the last audible block, or None."""
    blocks = audible(pcm)
    return float(blocks[-1] + 1) * _BLOCK / RATE if blocks.size else None


def _wanted() -> SessionUpdate:
    pcm = {"type": "audio/pcm", "rate": RATE}
    npc = {"transport": {"audio": "binary", "animation": "binary"}, "cues": {"blendshapes": "arkit52", "fps": 60}}
    return SessionUpdate.model_validate(
        {"session": {"audio": {"input": {"format": pcm}, "output": {"format": pcm}}, "npc": npc}}
    )
