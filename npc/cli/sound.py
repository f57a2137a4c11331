"""The terminal's loudspeaker and microphone, through PortAudio where the machine has it."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pcm16 = NDArray[np.int16]
#: Blocks of 20 ms that may wait for the device; older ones are dropped, so that a stalled device never adds delay.
_WAITING = 15


class SoundUnavailable(RuntimeError):
    """There is no PortAudio or no device; the message says what to do instead."""


def _portaudio() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise SoundUnavailable(
            f"no sound here ({error}). Install PortAudio (Debian: apt-get install libportaudio2), "
            "or use --wav FILE and --out FILE"
        ) from error
    return sounddevice


class Loudspeaker:
    """Plays the blocks it is given; made of a device callback and a short queue."""

    def __init__(self, rate: int, block: int) -> None:
        self._blocks: queue.Queue[Pcm16] = queue.Queue(_WAITING)
        portaudio = _portaudio()
        try:
            self._stream = portaudio.OutputStream(
                samplerate=rate, channels=1, dtype="int16", blocksize=block, callback=self._fill
            )
            self._stream.start()
        except portaudio.PortAudioError as error:
            raise SoundUnavailable(f"no loudspeaker: {error}. Use --out FILE to keep the answers") from error

    def play(self, pcm: Pcm16) -> None:
        """Queue one block; the oldest goes when the device has stalled."""
        if self._blocks.full():
            self._blocks.get_nowait()
        self._blocks.put_nowait(pcm.copy())

    def _fill(self, out: Pcm16, frames: int, _time: Any, _status: Any) -> None:
        try:
            block = self._blocks.get_nowait()
        except queue.Empty:
            out.fill(0)
            return
        out[: len(block), 0] = block[:frames]
        out[len(block) :].fill(0)

    def close(self) -> None:
        self._stream.close()


async def microphone(rate: int, block: int) -> AsyncIterator[Pcm16]:
    """Blocks of PCM16 mono from the default microphone, until cancelled. Raises SoundUnavailable."""
    portaudio = _portaudio()
    loop = asyncio.get_running_loop()
    blocks: asyncio.Queue[Pcm16] = asyncio.Queue(_WAITING)

    def take(pcm: Pcm16) -> None:
        if blocks.full():
            blocks.get_nowait()
        blocks.put_nowait(pcm)

    def heard(data: Pcm16, _frames: int, _time: Any, _status: Any) -> None:
        loop.call_soon_threadsafe(take, data[:, 0].copy())

    try:
        stream = portaudio.InputStream(samplerate=rate, channels=1, dtype="int16", blocksize=block, callback=heard)
    except portaudio.PortAudioError as error:
        raise SoundUnavailable(f"no microphone: {error}. Use --wav FILE, or type") from error
    with stream:
        while True:
            yield await blocks.get()
