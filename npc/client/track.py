"""Blendshape frames of one item, sampled between frames on the played-sample clock.

Past the last frame known the pose decays to rest; late, doubled and out-of-order blocks are sorted in, the first copy
wins.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.protocol.frames import BlendshapeFrame, FrameError

#: A starved face rests after this long.
DECAY_S: Final = 0.15


class BlendshapeTrack:
    """The track of one item with `channels` weights a frame."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._blocks: list[BlendshapeFrame] = []

    def add(self, block: BlendshapeFrame) -> None:
        """Take a block. Raises FrameError for another number of channels; an empty block is nothing."""
        frames, channels = block.weights.shape
        if channels != self._channels:
            raise FrameError("channels", f"the track has {self._channels} channels, the block has {channels}")
        place = bisect_left(self._blocks, block.start, key=lambda one: one.start)
        known = place < len(self._blocks) and self._blocks[place].start == block.start
        if frames and not known:
            self._blocks.insert(place, block)

    def sample(self, played: float, rate: int) -> NDArray[np.float64]:
        """Weights [channels] in [0, 1] at sample `played` of the item; rest before the first frame."""
        at = bisect_right(self._blocks, played, key=lambda one: one.start) - 1
        if at < 0:
            return np.zeros(self._channels)
        block = self._blocks[at]
        count = len(block.weights)
        exact = (played - block.start) / block.samples_per_frame
        index = min(int(exact), count - 1)
        here = block.weights[index].astype(np.float64)
        end = block.start + count * block.samples_per_frame
        if index + 1 < count:
            there = block.weights[index + 1].astype(np.float64)
        elif at + 1 < len(self._blocks) and self._blocks[at + 1].start == end:
            there = self._blocks[at + 1].weights[0].astype(np.float64)
        else:
            here = here * max(0.0, 1.0 - max(0.0, played - end) / rate / DECAY_S)
            return np.asarray(here / 255.0)
        return np.asarray((here + (there - here) * min(1.0, exact - index)) / 255.0)
