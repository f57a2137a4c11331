"""Neck, shoulders and clothes: stacked superelliptical rings.

The neck's top hides inside the head, so the head may turn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npc.animation.head.parts import Part, grid, join, part, tube
from npc.animation.head.shape import Shape
from npc.animation.head.skin import srgb_to_linear

Floats = NDArray[np.float64]

_COLUMNS = 40


def _rings(rows: list[tuple[float, float, float, float, float]]) -> tuple[Floats, Floats]:
    """Points of rows (y, half width, half depth, centre z, squareness) and the row number of each."""
    psi = 2.0 * np.pi * np.arange(_COLUMNS) / _COLUMNS
    points = []
    for y, width, depth, centre, power in rows:
        c, s = np.cos(psi), np.sin(psi)
        r = (np.abs(c) ** power + np.abs(s) ** power) ** (-1.0 / power)
        points.append(np.stack([width * r * c, np.full(_COLUMNS, y), centre + depth * r * s], -1))
    return np.concatenate(points), np.arange(float(len(rows))).repeat(_COLUMNS)


def neck(shape: Shape) -> Part:
    """Neck and upper chest in skin colour."""
    slim = 1.0 - 0.10 * (1.0 - shape.look.jaw)
    rows = [
        (-0.74, 0.33 * slim, 0.31, -0.18, 2.0), (-0.84, 0.335 * slim, 0.32, -0.15, 2.0), (-1.05, 0.325 * slim, 0.31,
        -0.15, 2.0), (-1.22, 0.35 * slim, 0.32, -0.15, 2.0), (-1.34, 0.46, 0.36, -0.15, 2.1), (-1.44, 0.66, 0.42,
        -0.14, 2.3), (-1.60, 0.80, 0.47, -0.10, 2.4),
    ]  # fmt: skip
    points, row = _rings(rows)
    shade = np.interp(row, [0, 1, 2, 3, 6], [0.5, 0.62, 0.85, 1.0, 1.0])
    return part(
        points, grid(len(rows), _COLUMNS, True), np.clip(srgb_to_linear(shape.look.skin) * shade[:, None], 0, 1)
    )


def clothes(shape: Shape) -> Part:
    """A garment with a raised collar and trim."""
    rows = [
        (-1.235, 0.46, 0.43, -0.15, 2.0), (-1.215, 0.50, 0.47, -0.15, 2.0), (-1.27, 0.53, 0.49, -0.15, 2.0),
        (-1.37, 0.60, 0.50, -0.15, 2.1), (-1.45, 0.84, 0.53, -0.15, 2.3), (-1.55, 1.10, 0.56, -0.15, 2.6),
        (-1.70, 1.28, 0.60, -0.14, 2.8), (-1.95, 1.37, 0.64, -0.11, 2.8), (-2.30, 1.36, 0.68, -0.08, 2.8),
        (-2.50, 1.30, 0.66, -0.08, 2.8), (-2.52, 0.60, 0.30, -0.08, 2.8),
    ]  # fmt: skip
    points, row = _rings(rows)
    # The neckline dips in front.
    front = np.clip((points[:, 2] + 0.15) / 0.6, 0, 1) * np.exp(-((points[:, 0] / 0.35) ** 2))
    points[:, 1] -= 0.20 * front * np.interp(row, [0, 3, 5, 6], [1, 1, 0.3, 0])
    cloth, trim = srgb_to_linear(shape.look.cloth), srgb_to_linear(shape.look.trim)
    colours = np.where((row <= 2)[:, None], trim, cloth)
    body = part(points, grid(len(rows), _COLUMNS, True), colours)
    u = np.linspace(0.0, 1.0, 10)
    path = np.stack([np.zeros(10), -1.50 - 0.95 * u, 0.385 + 0.21 * np.sin(1.5 * u) ** 0.8], -1)
    across = np.tile([1.0, 0.0, 0.0], (10, 1))
    out = np.tile([0.0, 0.0, 1.0], (10, 1))
    seam_points, seam_cells = tube(path, across, out, np.full(10, 0.035), np.full(10, 0.03))
    return join([body, part(seam_points, seam_cells, shape.look.trim)])
