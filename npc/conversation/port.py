"""The seam between a session and whatever carries it (a WebSocket, a test, the bench).

The session takes `npc.protocol` client events and input audio, and emits `Outbound` items in order. The carrier
numbers them (`npc_seq`), turns audio and blendshapes into base64 events or binary frames as negotiated, and keeps them
for resume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class AudioOut:
    """Paced output audio: PCM16 at the session's output rate, from sample `start` of the item."""

    response_id: str
    item_id: str
    ordinal: int
    track: int
    start: int
    pcm: NDArray[np.int16]
    last: bool = False


@dataclass(frozen=True, slots=True)
class BlendshapesOut:
    """Frames of the ARKit-52 track: u8 [frames, 52], frame k at sample `start + k * samples_per_frame`."""

    response_id: str
    item_id: str
    ordinal: int
    track: int
    start: int
    samples_per_frame: int
    frames: NDArray[np.uint8]


class Outbox(Protocol):
    """Where a session's output goes. `send` never blocks; the carrier applies its own bound and policy."""

    def send(self, item: Any) -> None:
        """A `npc.protocol` server event, an `AudioOut` or a `BlendshapesOut`."""
