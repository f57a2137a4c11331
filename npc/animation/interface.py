"""What an animator promises: phones with times go in, tracks on the same samples come out. Pure and seeded.

One `FaceStream` lives as long as one spoken item (a reply). Clauses are pushed as they are synthesised; because
co-articulation looks ahead, the last ~200 ms of what was pushed stay back until more arrives or `finish` is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from npc.phonetics.phones import Phone

#: Oculus (OVR LipSync) viseme names in their canonical order.
OCULUS15 = ("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "ih", "oh", "ou")


@dataclass(frozen=True, slots=True)
class Affect:
    """Emotional state at a moment: label of `protocol.md`, intensity [0, 1]; valence, arousal, dominance [-1, 1]."""

    label: str = "neutral"
    intensity: float = 0.0
    valence: float = 0.0
    arousal: float = 0.0
    dominance: float = 0.0


@dataclass(frozen=True, slots=True)
class VisemeCue:
    """A viseme that begins at sample `at` and holds until `until`, with weight in [0, 1]."""

    viseme: str
    at: int
    until: int
    weight: float


@dataclass(frozen=True, slots=True)
class BodyCue:
    """A gesture, gaze, head or blink cue. `stroke` is the sample of its peak where it has one."""

    kind: str
    name: str
    at: int
    until: int
    stroke: int | None = None
    weight: float = 1.0
    target: str | None = None


@dataclass(frozen=True, slots=True)
class BlendshapeBlock:
    """Consecutive frames of the 52 ARKit channels in Live Link Face order: u8 weights, shape [frames, 52].

    Frame k is the pose at sample `start + k * samples_per_frame` of the item.
    """

    start: int
    samples_per_frame: int
    frames: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FaceUpdate:
    """What became final with the last push; the blocks of one stream follow each other without gap or overlap."""

    visemes: tuple[VisemeCue, ...] = ()
    body: tuple[BodyCue, ...] = ()
    blendshapes: BlendshapeBlock | None = None


class FaceStream(Protocol):
    """Tracks of one spoken item, in samples of that item at `rate`."""

    def push(
        self,
        phones: tuple[Phone, ...],
        until: int,
        affect: Affect,
        loudness_db: float = -20.0,
        gesture: str | None = None,
    ) -> FaceUpdate:
        """Add phones (spans already in item samples); audio is known up to sample `until`.

        `gesture` names one that goes with what is pushed here.
        """

    def finish(self, until: int) -> FaceUpdate:
        """The item ends at sample `until`: everything still held back, then the decay to rest (about 250 ms more)."""


@runtime_checkable
class Animator(Protocol):
    """Makes face streams. Holds no per-session state."""

    def open(self, rate: int, fps: int, seed: int) -> FaceStream:
        """Start an item at sample rate `rate`; `fps` is 30 or 60."""
