"""The surface of the head without its openings: a smooth union of simple solids, found by rays from the head's centre.

Distances follow the usual signed-distance constructions (sphere, ellipsoid by scaling, capsule, polynomial smooth
minimum).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.animation.head.looks import Look

Floats = NDArray[np.float64]

#: Rays start here; every visible point of the skin is seen from it.
CENTRE: Final = np.array([0.0, -0.10, 0.0])

EYE_RADIUS: Final = 0.30
#: Lids ride this much outside the eyeball, so that their straight morph paths do not cut into it.
LID_RADIUS: Final = 1.075

MOUTH_WIDTH: Final = 0.235
MOUTH_Y: Final = -0.50


def smooth_step(x: Floats, low: float, high: float) -> Floats:
    """0 below `low`, 1 above `high`, a cubic between."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def gauss(points: Floats, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Floats:
    """exp(-d²) with d measured in `radii` along each axis."""
    d = (points - np.asarray(centre)) / np.asarray(radii)
    return np.asarray(np.exp(-(d * d).sum(axis=-1)))


def _blend(a: Floats, b: Floats, k: float) -> Floats:
    h = np.maximum(k - np.abs(a - b), 0.0) / k
    return np.asarray(np.minimum(a, b) - h * h * k * 0.25)


def _ellipsoid(p: Floats, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Floats:
    r = np.asarray(radii)
    return np.asarray((np.linalg.norm((p - np.asarray(centre)) / r, axis=-1) - 1.0) * r.min())


def _capsule(p: Floats, a: tuple[float, float, float], b: tuple[float, float, float], radius: float) -> Floats:
    start, axis = np.asarray(a), np.asarray(b) - np.asarray(a)
    t = np.clip(((p - start) @ axis) / (axis @ axis), 0.0, 1.0)
    return np.asarray(np.linalg.norm(p - start - t[..., None] * axis, axis=-1) - radius)


class Shape:
    """The head of one look."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.eye_radius = EYE_RADIUS * look.eyes
        #: Centre of the character's left eye; the right one mirrors it.
        self.eye = np.array([0.335, 0.0, 0.415 + 0.02 * (1.0 - look.eyes)])

    def distance(self, points: Floats) -> Floats:
        """Approximate signed distance [n] of points [n, 3], negative inside."""
        look = self.look
        p = points.copy()
        p[..., 0] = np.abs(p[..., 0])
        old, jaw, nose = look.age, look.jaw, look.nose
        d = _ellipsoid(p, (0.0, 0.28, -0.12), (0.80, 0.80, 0.90))
        d = _blend(d, _ellipsoid(p, (0.0, -0.22, 0.12), (0.655, 0.62, 0.655)), 0.16)
        d = _blend(d, _ellipsoid(p, (0.0, -0.55, 0.20), (0.47 * jaw, 0.37, 0.49)), 0.20)
        d = _blend(d, _ellipsoid(p, (0.0, -0.80 - 0.03 * old, 0.51), (0.17 * jaw, 0.14, 0.15)), 0.20)
        cheek = 0.265 - 0.03 * old
        d = _blend(d, _ellipsoid(p, (0.36, -0.31 - 0.03 * old, 0.42), (cheek, cheek, cheek)), 0.16)
        d = _blend(d, _ellipsoid(p, (0.31, 0.20, 0.58), (0.25, 0.08, 0.11 + 0.03 * old)), 0.14)
        d = _blend(d, _ellipsoid(p, (0.0, -0.52, 0.60), (0.25, 0.17, 0.16)), 0.16)
        # Shallow sockets, so that the lids stand out of the face.
        socket = _ellipsoid(p, (0.33, 0.02, 0.80), (0.22, 0.16, 0.17))
        d = -_blend(-d, socket, 0.14)
        bridge = _capsule(p, (0.0, 0.04, 0.655), (0.0, -0.20, 0.80 + 0.05 * nose), 0.062)
        d = _blend(d, bridge, 0.11)
        tip = 0.088 * nose
        d = _blend(d, _ellipsoid(p, (0.0, -0.235, 0.83 + 0.055 * nose), (tip * 1.05, tip * 0.95, tip)), 0.07)
        d = _blend(d, _ellipsoid(p, (0.082 * nose, -0.262, 0.79), (0.062 * nose, 0.056 * nose, 0.075)), 0.05)
        return d

    def cast(self, directions: Floats) -> Floats:
        """Surface points [n, 3] along rays from `CENTRE`, traced inwards from outside the head."""
        unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
        t = np.full(len(unit), 2.2)
        for _ in range(90):
            t -= 0.7 * self.distance(CENTRE + unit * t[:, None])
        return np.asarray(CENTRE + unit * t[:, None])

    def front(self, x: Floats, y: Floats) -> Floats:
        """The surface point [n, 3] that lies exactly above (x, y), seen from the front."""
        z = np.full(len(x), 0.8)
        for _ in range(8):
            p = self.cast(np.stack([x, y, z], axis=-1) - CENTRE)
            z = z + (p[:, 2] - z) * 0.9
        return np.stack([x, y, z], axis=-1)


def mouth_line(x: Floats) -> Floats:
    """Height of the closed mouth at x: a slight smile at rest."""
    return np.asarray(MOUTH_Y + 0.022 * (np.minimum(np.abs(x), 0.3) / MOUTH_WIDTH) ** 2)


class Eye:
    """The left eye's own angles: azimuth a (outwards positive) and elevation e in radians, seen from its centre.

    `upper(a)` and `lower(a)` are the lid margins of the open eye, `line(a)` is where the lids meet.
    """

    outer: Final = np.radians(45.0)
    inner: Final = np.radians(41.0)
    _up: Final = np.radians(28.0)
    _down: Final = np.radians(22.0)

    def __init__(self, shape: Shape) -> None:
        self.centre, self.radius = shape.eye, shape.eye_radius
        self.lid = shape.eye_radius * LID_RADIUS
        self._sleepy = 1.0 - 0.16 * max(0.0, shape.look.age - 0.4)

    def angles(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Azimuth, elevation and distance of points given on the left side."""
        d = points - self.centre
        return (
            np.arctan2(d[..., 0], d[..., 2]),
            np.arctan2(d[..., 1], np.hypot(d[..., 0], d[..., 2])),
            np.linalg.norm(d, axis=-1),
        )

    def at(self, a: Floats, e: Floats, radius: Floats | float) -> Floats:
        """Points [n, 3] at angles (a, e) and `radius`."""
        flat = np.cos(e)
        d = np.stack([np.sin(a) * flat, np.sin(e), np.cos(a) * flat], axis=-1)
        return np.asarray(self.centre + d * np.asarray(radius)[..., None])

    def _arch(self, a: Floats) -> Floats:
        half = np.where(a >= 0.0, self.outer, self.inner)
        return np.sqrt(np.maximum(0.0, 1.0 - (a / half) ** 2))

    def tilt(self, a: Floats) -> Floats:
        """The axis of the almond rises outwards."""
        return np.asarray(0.075 * a)

    def upper(self, a: Floats) -> Floats:
        return np.asarray(self.tilt(a) + self._up * self._sleepy * self._arch(a) ** 0.95)

    def lower(self, a: Floats) -> Floats:
        return np.asarray(self.tilt(a) - self._down * self._arch(a) ** 1.05)

    def line(self, a: Floats) -> Floats:
        """Closed lids meet a quarter of the way up from the lower lid."""
        return np.asarray(self.lower(a) + 0.22 * (self.upper(a) - self.lower(a)))
