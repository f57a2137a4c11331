"""Audio between the socket and the speaker as the engine cores do it: items in order, every sample that left counted.

    idle --audio--> priming --60 ms queued, or the item whole--> playing --queue empty--> starved --audio--> priming
      ^                                                        |  \\--pause--> paused --resume--> playing
      +----------------- last sample pulled, or flushed -------+

A hole in an item is filled with silence, so that the clock stays on the item's samples; what comes late or twice is
dropped.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from npc.protocol.frames import AudioFrame, FrameError

Pcm16 = NDArray[np.int16]
PlayState = Literal["idle", "priming", "playing", "starved", "paused"]

PRIME_MS: Final = 60
FADE_MS: Final = 8
#: No server leaves a hole this long: a frame behind one does not belong here.
LONGEST_HOLE_S: Final = 10


@dataclass(slots=True)
class _Item:
    ordinal: int
    played: int
    end: int
    chunks: deque[Pcm16] = field(default_factory=deque)
    whole: bool = False
    primed: bool = False


class ItemAudio:
    """One output stream at `rate`. `played` counts the samples of item `ordinal` that have left."""

    def __init__(self, rate: int) -> None:
        self._prime, self._fade = rate * PRIME_MS // 1000, rate * FADE_MS // 1000
        self._longest_hole = rate * LONGEST_HOLE_S
        self.state: PlayState = "idle"
        self.ordinal, self.played, self.underruns = 0, 0, 0
        self.finished: deque[tuple[int, int]] = deque()
        """Items that sounded to their end, with their samples: the owner takes them out."""
        self._items: list[_Item] = []
        self._flushed: set[int] = set()
        self._paused = False
        self._gain = self._target = 1.0
        self._slope, self._fading = 0.0, 0

    def push(self, frame: AudioFrame) -> None:
        """Take audio. Raises FrameError for a frame that lies too far ahead to belong to its item."""
        if frame.ordinal in self._flushed:
            return
        item = next((one for one in self._items if one.ordinal == frame.ordinal), None)
        if item is None:
            item = _Item(frame.ordinal, frame.start, frame.start)
            self._items.append(item)
            if self.state == "idle":
                self.state = "priming"
        hole = frame.start - item.end
        if hole > self._longest_hole:
            raise FrameError("start", f"audio at sample {frame.start} came after sample {item.end}: too far ahead")
        if hole > 0:
            item.chunks.append(np.zeros(hole, np.int16))
            item.end = frame.start
        fresh = frame.pcm[max(0, -hole) :]
        if fresh.size:
            item.chunks.append(fresh)
            item.end += int(fresh.size)
        item.whole = item.whole or frame.last

    def pull(self, count: int) -> Pcm16:
        """The next `count` samples, silence where there are none."""
        out = np.zeros(count, np.int16)
        if not self._items:
            self.state = "idle"
            return out
        if self._paused and self._gain <= 0.0:
            self.state = "paused"
            return out
        item = self._items[0]
        if not item.primed and not item.whole and item.end - item.played < self._prime:
            return out
        item.primed, self.state = True, "playing"
        filled = 0
        while filled < count and item.chunks:
            chunk = item.chunks.popleft()
            take = min(count - filled, chunk.size)
            out[filled : filled + take] = chunk[:take]
            if take < chunk.size:
                item.chunks.appendleft(chunk[take:])
            filled += take
        item.played += filled
        self.ordinal, self.played = item.ordinal, item.played
        self._shape(out[:filled])
        if filled < count:
            self._ran_out(item)
        return out

    def flush(self, ordinal: int) -> None:
        """Nothing more of this response sounds, now or later."""
        self._flushed.add(ordinal)
        waited = bool(self._items) and self._items[0].ordinal != ordinal
        self._items = [one for one in self._items if one.ordinal != ordinal]
        if waited:
            return  # what sounds before it, or its pause, goes on
        self._paused = False
        self._gain = self._target = 1.0
        self._fading = 0
        if not self._items:
            self.state = "idle"

    def clear(self) -> None:
        """Another session begins: nothing of the one before sounds, and its ordinals may come again."""
        self._items, self._paused, self._fading = [], False, 0
        self._flushed.clear()
        self.finished.clear()
        self._gain = self._target = 1.0
        self.state, self.ordinal, self.played = "idle", 0, 0

    def pause(self) -> None:
        self._paused = True
        self._fade_to(0.0)

    def duck(self, gain: float) -> None:
        self._fade_to(gain)

    def resume(self) -> None:
        self._paused = False
        self._fade_to(1.0)

    def _ran_out(self, item: _Item) -> None:
        if item.whole:
            self._items.pop(0)
            self.finished.append((item.ordinal, item.played))
            self.state = "priming" if self._items else "idle"
            return
        self.underruns += 1
        item.primed, self.state = False, "starved"

    def _fade_to(self, gain: float) -> None:
        self._target, self._fading = gain, self._fade
        self._slope = (gain - self._gain) / self._fade

    def _shape(self, out: Pcm16) -> None:
        if self._gain == 1.0 and not self._fading:
            return
        # Sample k is scaled by the gain before it moves, as in the other cores.
        moving = min(self._fading, out.size)
        gains = np.full(out.size, self._target if self._fading <= out.size else self._gain)
        gains[:moving] = self._gain + self._slope * np.arange(moving)
        self._fading -= moving
        self._gain = self._target if self._fading == 0 else self._gain + self._slope * moving
        out[:] = (out * gains).astype(np.int16)
