"""A ruler for our heads: distances between real vertices of a GLB under a pose, in metres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from npc.animation.channels import ARKIT52, INDEX
from npc.animation.head.glb import Glb

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HeadRuler:
    """Landmark vertices at rest and their displacement per channel: arrays [points, 3] and [52, points, 3]."""

    upper: Floats
    upper_moves: Floats
    lower: Floats
    lower_moves: Floats
    teeth: Floats
    teeth_moves: Floats
    lid_upper: Floats
    lid_upper_moves: Floats
    lid_lower: Floats
    lid_lower_moves: Floats
    middle: int

    @classmethod
    def read(cls, path: Path) -> HeadRuler:
        """Read a head made by `npc.animation.head.build`. Raises KeyError where its landmarks are missing."""
        glb = Glb.read(path)
        face = glb.mesh("Face")
        marks = face["extras"]["landmarks"]

        def of(primitive: int, vertices: list[int]) -> tuple[Floats, Floats]:
            part = face["primitives"][primitive]
            rest = glb.accessor(part["attributes"]["POSITION"])[vertices].astype(np.float64)
            moves = np.stack([glb.accessor(t["POSITION"])[vertices] for t in part["targets"]]).astype(np.float64)
            return rest, moves

        upper, lower = of(0, marks["lipUpper"]), of(0, marks["lipLower"])
        teeth = of(marks["upperTeethPrimitive"], [marks["upperTeethEdge"]])
        lid_upper, lid_lower = of(0, marks["lidUpper"]), of(0, marks["lidLower"])
        return cls(*upper, *lower, *teeth, *lid_upper, *lid_lower, marks["lipMiddle"])

    @property
    def open_gap(self) -> float:
        """Gap between the lips at their middle with the jaw fully open."""
        return self.lip_gap({"jawOpen": 1.0})

    def lip_gap(self, pose: Mapping[str, float]) -> float:
        """Gap at the middle of the lips, without mouth tricks: distance of the two vertices that touch at rest."""
        return float(self.lip_gaps(_row(pose))[0])

    def lip_gaps(self, frames: Floats) -> Floats:
        """Gaps [frames] of weights [frames, 52] in [0, 1]."""
        i = self.middle
        rest = self.upper[i] - self.lower[i]
        moves = self.upper_moves[:, i] - self.lower_moves[:, i]
        return np.asarray(np.linalg.norm(rest + frames @ moves, axis=1))

    def teeth_gap(self, pose: Mapping[str, float]) -> float:
        """Distance from the lower lip's middle to the edge of the upper teeth."""
        return float(self.teeth_gaps(_row(pose))[0])

    def teeth_gaps(self, frames: Floats) -> Floats:
        """Distances [frames], as `teeth_gap`."""
        i = self.middle
        rest = self.teeth[0] - self.lower[i]
        moves = self.teeth_moves[:, 0] - self.lower_moves[:, i]
        return np.asarray(np.linalg.norm(rest + frames @ moves, axis=1))

    def lid_gap(self, pose: Mapping[str, float]) -> float:
        """Largest distance between facing points of the lid margins."""
        frame = _row(pose)[0]
        gap = self.lid_upper - self.lid_lower + np.tensordot(frame, self.lid_upper_moves - self.lid_lower_moves, 1)
        return float(np.linalg.norm(gap, axis=1).max())


def _row(pose: Mapping[str, float]) -> Floats:
    frame = np.zeros((1, len(ARKIT52)))
    for name, weight in pose.items():
        frame[0, INDEX[name]] = weight
    return frame
