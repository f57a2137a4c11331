"""Playback as arithmetic: audio goes in as it arrives, comes out in the device's blocks, and the clock counts samples.

          push                     read(n)
    ---> [ item A | item B ] ---> n samples, always        played: samples of the item that went out
                                                           starved or paused: silence, the clock stands still

        waiting --enough buffered--> playing <--> paused
           ^                            |  \\--flush--> (item gone)
           +------starved---------------+--last sample--> finished

The item's clock never runs without its audio, so cues on it stay on the sound however the network behaves.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from npc.client.core import OutputAudio

Pcm16 = NDArray[np.int16]
State = Literal["playing", "stopped", "finished"]

#: Audio to have before an item starts: three 20 ms frames ride out the jitter of a local network (lead is 200 ms).
PREBUFFER_MS = 60


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an item was heard."""

    response_id: str
    item_id: str
    played: int
    state: State


@dataclass(slots=True)
class _Item:
    response_id: str
    item_id: str
    blocks: deque[Pcm16] = field(default_factory=deque)
    buffered: int = 0
    played: int = 0
    complete: bool = False
    started: bool = False

    @property
    def end(self) -> int:
        return self.played + self.buffered


class JitterBuffer:
    """One output stream at `rate`. `max_ms` bounds what waits; older audio than that is dropped and the clock jumps."""

    def __init__(self, rate: int, *, prebuffer_ms: int = PREBUFFER_MS, max_ms: int = 60_000) -> None:
        self.rate = rate
        self.underruns = 0
        self._prebuffer = rate * prebuffer_ms // 1000
        self._max = rate * max_ms // 1000
        self._items: deque[_Item] = deque()
        self._paused = False
        self._gain = self._gain_to = 1.0
        self._gain_step = 0.0
        self._tail: Pcm16 = np.empty(0, np.int16)
        self._changes: list[Progress] = []

    # ---- in ------------------------------------------------------------------------------------------------------

    def push(self, audio: OutputAudio) -> None:
        """Take audio. What overlaps the audio already there is dropped; a hole moves the clock on."""
        item = self._item(audio.response_id, audio.item_id)
        pcm, start = audio.pcm, audio.start
        if start < item.end:
            pcm = pcm[item.end - start :]
        elif start > item.end:
            self._skip(item, start)
        if pcm.size:
            item.blocks.append(pcm)
            item.buffered += pcm.size
        item.complete = item.complete or audio.last
        while item.buffered > self._max:
            old = item.blocks.popleft()
            item.buffered -= old.size
            item.played += old.size

    def finish(self, response_id: str, item_id: str) -> None:
        """No more audio will come for the item."""
        for item in self._items:
            if (item.response_id, item.item_id) == (response_id, item_id):
                item.complete = True

    def _item(self, response_id: str, item_id: str) -> _Item:
        for item in self._items:
            if item.item_id == item_id and item.response_id == response_id:
                return item
        item = _Item(response_id, item_id)
        self._items.append(item)
        return item

    def _skip(self, item: _Item, start: int) -> None:
        if item.buffered == 0 or start - item.end > self._max:
            # Nothing is left to be heard before it, or so long a hole that all of it would be past the bound.
            item.blocks.clear()
            item.played, item.buffered = start, 0
        else:
            # The hole lies behind audio that is still to be heard: fill it, so that the clock stays true.
            hole = np.zeros(start - item.end, np.int16)
            item.blocks.append(hole)
            item.buffered += hole.size

    # ---- control -------------------------------------------------------------------------------------------------

    def duck(self, gain: float, fade_ms: int) -> None:
        """Go to `gain` within `fade_ms`."""
        self._gain_to = gain
        self._gain_step = (gain - self._gain) / max(1, self.rate * fade_ms // 1000)

    def pause(self, fade_ms: int) -> None:
        """Stop here. What fades out is heard again after `resume`, so the position is that of the pause."""
        if not self._paused:
            self._fade_out(fade_ms)
            self._paused = True
            self._note("stopped")

    def resume(self, fade_ms: int) -> None:
        """Go on from the sample where `pause` stopped, at full gain."""
        if self._paused:
            self._paused = False
            self._gain = 0.0 if fade_ms else 1.0
        self.duck(1.0, fade_ms)

    def flush(self, response_id: str, fade_ms: int) -> None:
        """Drop a response, after a fade."""
        if self._items and self._items[0].response_id == response_id:
            if not self._paused:
                self._fade_out(fade_ms)
            self._note("stopped")
            self._gain = self._gain_to = 1.0
            self._paused = False
        self._items = deque(item for item in self._items if item.response_id != response_id)

    def _fade_out(self, fade_ms: int) -> None:
        if not self._items or not self._items[0].started:
            return
        n = min(self.rate * fade_ms // 1000, self._items[0].buffered)
        if n:
            ramp = np.linspace(self._gain, 0.0, n, endpoint=False)
            self._tail = (np.concatenate(list(self._items[0].blocks))[:n] * ramp).astype(np.int16)

    def _note(self, state: State) -> None:
        if self._items and self._items[0].started:
            item = self._items[0]
            self._changes.append(Progress(item.response_id, item.item_id, item.played, state))

    # ---- out -----------------------------------------------------------------------------------------------------

    def read(self, n: int) -> Pcm16:
        """The next `n` samples to be heard, silence where there is nothing to play."""
        out = np.zeros(n, np.int16)
        at = min(n, self._tail.size)
        out[:at] = self._tail[:at]
        self._tail = self._tail[at:]
        while at < n and self._items and not self._paused:
            item = self._items[0]
            if not item.started and not (item.complete or item.buffered >= self._prebuffer):
                break
            if item.buffered == 0:
                if not item.complete:
                    self.underruns += item.started
                    item.started = False
                    break
                self._note("finished")
                self._items.popleft()
                continue
            item.started = True
            block = item.blocks[0]
            take = min(n - at, block.size)
            out[at : at + take] = self._scaled(block[:take])
            if take == block.size:
                item.blocks.popleft()
            else:
                item.blocks[0] = block[take:]
            item.buffered -= take
            item.played += take
            at += take
            if item.buffered == 0 and item.complete:
                self._note("finished")
                self._items.popleft()
        return out

    def _scaled(self, pcm: Pcm16) -> Pcm16:
        if self._gain == self._gain_to == 1.0:
            return pcm
        steps = self._gain + self._gain_step * np.arange(1, pcm.size + 1)
        low, high = min(self._gain, self._gain_to), max(self._gain, self._gain_to)
        gains = np.clip(steps, low, high)
        self._gain = float(gains[-1])
        scaled: Pcm16 = (pcm * gains).astype(np.int16)
        return scaled

    # ---- clock ---------------------------------------------------------------------------------------------------

    @property
    def position(self) -> Progress | None:
        """The item that is being heard, and how much of it was."""
        if not self._items or not (self._items[0].started or self._items[0].played):
            return None
        item = self._items[0]
        return Progress(item.response_id, item.item_id, item.played, "stopped" if self._paused else "playing")

    def changes(self) -> list[Progress]:
        """Stops and ends since the last call, in order."""
        changes, self._changes = self._changes, []
        return changes

    @property
    def buffered_ms(self) -> float:
        """Audio that waits to be heard."""
        return sum(item.buffered for item in self._items) * 1000 / self.rate
