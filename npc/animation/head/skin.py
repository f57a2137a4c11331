"""The mesh of the face: rings that follow the lids and the lips, and a triangulation of everything between.

The sphere of view directions from the head's centre is unrolled around the face (azimuthal equidistant), so that
rings and free points share one plane:

      free points ... ring 5 ... ring 0 = lid margin        mouth: ring 7 ... 4 = lip border ... 0 = where the lips
      meet,
                                                                   then three rows inside the mouth

Upper and lower lip meet in ring 0 at equal positions but as separate vertices, except at the two corners.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from npc.animation.head.shape import CENTRE, MOUTH_WIDTH, Eye, Shape, gauss, mouth_line, smooth_step

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EYE_POINTS: Final = 40
MOUTH_POINTS: Final = 56
_EYE_RINGS: Final = (1.0, 1.07, 1.16, 1.27, 1.40, 1.56)
#: How much each ring lies on the lid sphere rather than on the draped face; the margin does exactly.
_LID_SHARE: Final = (1.0, 0.97, 0.80, 0.45, 0.15, 0.0)
#: Rings of the mouth: (lip coordinate s: 0 contact, 1 border; widening of the half width).
_MOUTH_RINGS: Final = (
    (0.0, 0.0), (0.22, 0.004), (0.5, 0.010), (0.78, 0.018), (1.0, 0.026), (1.25, 0.042), (1.65, 0.07), (2.15, 0.105),
)  # fmt: skip
#: Rows inside the mouth: (depth behind the contact line, how far the row opens upwards and downwards, width factor).
_INNER_ROWS: Final = ((0.035, 0.004, 0.985), (0.09, 0.035, 0.95), (0.17, 0.085, 0.90))


@dataclass(frozen=True, slots=True)
class Skin:
    """Vertices [n, 3], triangles [m, 3], and what is known of each vertex.

    `side`: +1 above the mouth's line, -1 below; `lip`: lip coordinate s on the lips, large elsewhere, negative
    inside the mouth; `eye_ring`: ring number around an eye or -1. `contact_upper[i]` and `contact_lower[i]` are the
    vertices that meet.
    """

    points: Floats
    triangles: Ints
    side: Floats
    lip: Floats
    eye_ring: Ints
    contact_upper: Ints
    contact_lower: Ints
    lid_upper: Ints
    """Margin of the left upper lid, and the points of the lower one that face them."""
    lid_lower: Ints


def unroll(points: Floats) -> Floats:
    """Directions from the centre as plane coordinates [n, 2]: distance from the origin = angle from straight ahead."""
    d = points - CENTRE
    d = d / np.linalg.norm(d, axis=-1, keepdims=True)
    angle = np.arccos(np.clip(d[:, 2], -1.0, 1.0))
    flat = np.hypot(d[:, 0], d[:, 1])
    return np.asarray(d[:, :2] / np.maximum(flat, 1e-12)[:, None] * angle[:, None])


def _roll(plane: Floats) -> Floats:
    angle = np.linalg.norm(plane, axis=-1)
    s = np.sin(angle) / np.maximum(angle, 1e-12)
    return np.stack([plane[:, 0] * s, plane[:, 1] * s, np.cos(angle)], axis=-1)


def eye_blend(points: Floats, eye: Eye) -> Floats:
    """Drape skin over both eyeballs: never inside the lid spheres."""
    result = points.copy()
    for sign in (1.0, -1.0):
        mirrored = result * np.array([sign, 1.0, 1.0])
        d = mirrored - eye.centre
        r = np.linalg.norm(d, axis=-1)
        near = (r < 2.0 * eye.lid) & (d[:, 2] > -0.05)
        soft = 0.5 * (r + eye.lid + np.sqrt((r - eye.lid) ** 2 + 0.0004))
        target = np.where(near, soft, r)
        result = (eye.centre + d * (target / r)[:, None]) * np.array([sign, 1.0, 1.0])
    return np.asarray(result)


def _lip_relief(s: Floats, x: Floats, side: Floats) -> Floats:
    """How far the lips stand out along z at lip coordinate s."""
    inside = np.clip(s, 0.0, 1.0)
    across = np.maximum(0.0, 1.0 - (x / (MOUTH_WIDTH * 1.05)) ** 2) ** 0.7
    full = np.where(side > 0, 0.042, 0.058) * np.sin(np.pi * np.clip(inside * 0.92 + 0.08, 0, 1)) ** 0.8
    dip = -0.018 * np.exp(-((s / 0.12) ** 2))
    groove = np.where(side < 0, -0.022 * np.exp(-(((s - 1.75) / 0.4) ** 2)) * np.exp(-((x / 0.12) ** 2)), 0.0)
    philtrum = np.where(side > 0, -0.012 * np.exp(-((x / 0.028) ** 2)) * smooth_step(s, 0.9, 1.4), 0.0)
    return np.asarray((full + dip) * across + groove + philtrum)


def _mouth_rings(shape: Shape) -> tuple[list[Floats], list[Floats], Floats]:
    """3D rings from the innermost row to the outermost ring, their lip coordinates, and every ring point's side."""
    psi = 2.0 * np.pi * np.arange(MOUTH_POINTS) / MOUTH_POINTS
    side = np.where(np.sin(psi) >= -1e-9, 1.0, -1.0)
    arch = np.abs(np.sin(psi))
    rings, coords = [], []
    contact: Floats | None = None
    for s, wider in _MOUTH_RINGS:
        x = (MOUTH_WIDTH + wider) * np.cos(psi)
        bow = 1.0 - 0.16 * np.exp(-((x / 0.035) ** 2)) + 0.10 * np.exp(-(((np.abs(x) - 0.075) / 0.05) ** 2))
        height = np.where(side > 0, 0.066 * bow, 0.082) * min(s, 1.0) + 0.085 * max(0.0, s - 1.0)
        y = mouth_line(x) + side * height * arch**0.85
        points = shape.front(x, y)
        points[:, 2] += _lip_relief(np.full(len(x), s), x, side)
        if contact is None:
            contact = points
        rings.append(points)
        coords.append(np.full(len(x), s))
    assert contact is not None
    # The two halves of ring 0 are computed alike; make them equal to the last bit.
    half = MOUTH_POINTS // 2
    contact[half + 1 :] = contact[1:half][::-1]
    for k, (depth, opening, width) in enumerate(_INNER_ROWS):
        row = contact.copy()
        row[:, 0] *= width
        row[:, 1] += side * opening * arch
        row[:, 2] -= depth * (0.35 + 0.65 * arch)
        rings.insert(0, row)
        coords.insert(0, np.full(len(psi), -1.0 - k))
    return rings, coords, side


def _inside(points: Floats, polygon: Floats) -> NDArray[np.bool_]:
    """Even-odd test of plane points against a polygon."""
    result = np.zeros(len(points), bool)
    x, y = points[:, 0], points[:, 1]
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        result ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0 + 1e-15) + x0)
    return result


def _spacing(plane: Floats) -> Floats:
    """Wanted distance between free points: fine at the nose, coarse behind the ears."""
    angle = np.linalg.norm(plane, axis=-1)
    h = 0.060 + 0.11 * smooth_step(angle, 0.9, 2.0)
    nose = np.exp(-((plane[:, 0] / 0.22) ** 2) - (((plane[:, 1] + 0.10) / 0.26) ** 2))
    return np.asarray(h * (1.0 - 0.42 * nose))


def _free_points(taken: Floats, holes: list[Floats]) -> Floats:
    """Plane points that keep `_spacing` from each other and from the rings: a greedy hexagonal sieve."""
    step = 0.03
    ys = np.arange(-2.75, 2.75, step * np.sqrt(3) / 2)
    grid = np.concatenate(
        [np.stack([np.arange(-2.75, 2.75, step) + (i % 2) * step / 2, np.full(len(np.arange(-2.75, 2.75, step)), y)],
        -1)
         for i, y in enumerate(ys)]
    )  # fmt: skip
    # Left-right symmetry: keep one half and mirror it.
    grid = grid[(np.linalg.norm(grid, axis=-1) < 2.72) & (grid[:, 0] >= -1e-9)]
    for hole in holes:
        grid = grid[~_inside(grid, hole)]
    order = np.argsort(np.linalg.norm(grid, axis=-1) + 0.3 * np.sin(37.0 * grid[:, 0]) * 0.02, kind="stable")
    grid = grid[order]
    want = _spacing(grid)
    near = np.full(len(grid), np.inf)
    for point in taken:
        near = np.minimum(near, np.linalg.norm(grid - point, axis=-1))
    alive = near > 0.72 * want
    alive &= (grid[:, 0] < 1e-6) | (grid[:, 0] > 0.42 * want)
    kept = []
    for i in range(len(grid)):
        if alive[i]:
            kept.append(grid[i])
            alive &= np.linalg.norm(grid - grid[i], axis=-1) > want
            alive[i] = False
    half = np.array(kept)
    mirrored = half[half[:, 0] > 1e-6] * np.array([-1.0, 1.0])
    return np.concatenate([half, mirrored])


def _strip(outer: Ints, inner: Ints) -> Ints:
    """Triangles between two rings of equal length."""
    a, b = outer, np.roll(outer, -1)
    c, d = inner, np.roll(inner, -1)
    return np.concatenate([np.stack([a, b, c], -1), np.stack([b, d, c], -1)])


def build_skin(shape: Shape) -> Skin:
    """The face of one shape."""
    eye = Eye(shape)
    points: list[Floats] = []
    lip: list[Floats] = []
    eye_ring: list[Ints] = []
    side: list[Floats] = []
    triangles: list[Ints] = []
    count = 0

    def add(new: Floats, s: Floats | None = None, ring: int = -1, of_side: Floats | None = None) -> Ints:
        nonlocal count
        points.append(new)
        lip.append(np.full(len(new), 99.0) if s is None else s)
        eye_ring.append(np.full(len(new), ring))
        above = np.where(new[:, 1] >= mouth_line(new[:, 0]), 1.0, -1.0)
        side.append(above if of_side is None else of_side)
        count += len(new)
        return np.arange(count - len(new), count)

    holes: list[Floats] = []
    outermost: list[Ints] = []
    psi = 2.0 * np.pi * np.arange(EYE_POINTS) / EYE_POINTS
    for sign in (1.0, -1.0):
        rings = []
        margin_a: Floats = np.where(np.cos(psi) >= 0, float(eye.outer), float(eye.inner)) * np.cos(psi)
        for k, scale in enumerate(_EYE_RINGS):
            upper = np.sin(psi) >= 0
            edge = np.where(upper, eye.upper(margin_a), eye.lower(margin_a)) - eye.tilt(margin_a)
            a = margin_a * (1.0 + (scale - 1.0) * 0.8)
            e = eye.tilt(a) + edge * (1.0 + (scale - 1.0) * 1.25) + (scale - 1.0) * 0.12 * np.sin(psi)
            on_lid = eye.at(a, e, eye.lid)
            base = shape.cast(on_lid - CENTRE)
            draped = eye_blend(base, eye)
            ring_points = (draped + _LID_SHARE[k] * (on_lid - draped)) * np.array([sign, 1.0, 1.0])
            rings.append(add(ring_points, ring=k))
        # The margin's thickness: a row that turns in towards the eyeball.
        inward = add(eye.at(margin_a, np.where(np.sin(psi) >= 0, eye.upper(margin_a), eye.lower(margin_a)),
                            eye.radius * 0.985) * np.array([sign, 1.0, 1.0]), ring=-2)  # fmt: skip
        for inner, outer in zip([inward, *rings[:-1]], rings, strict=True):
            triangles.append(_strip(outer, inner)[:, :: int(sign)])
        outermost.append(rings[-1])
    mouth_points, mouth_coords, mouth_side = _mouth_rings(shape)
    mouth = [add(p, s=c, of_side=mouth_side) for p, c in zip(mouth_points, mouth_coords, strict=True)]
    for inner, outer in pairwise(mouth):
        triangles.append(_strip(outer, inner))
    outermost.append(mouth[-1])
    so_far = np.concatenate(points)
    holes = [unroll(so_far[ring]) for ring in outermost]
    ring_plane = np.concatenate(holes)
    free = _free_points(ring_plane, holes)
    rim_angles = 2.0 * np.pi * np.arange(36) / 36
    rim = 2.78 * np.stack([np.sin(rim_angles), np.cos(rim_angles)], -1)
    free = np.concatenate([free, rim])
    skin_free = eye_blend(shape.cast(_roll(free)), eye)
    free_index = add(skin_free)
    plane = np.concatenate([ring_plane, free])
    index = np.concatenate([*outermost, free_index])
    cells = Delaunay(plane).simplices
    centroid = plane[cells].mean(axis=1)
    keep = np.ones(len(cells), bool)
    for hole in holes:
        keep &= ~_inside(centroid, hole)
    cells = cells[keep]
    corner = plane[cells]
    turn = np.cross(
        np.pad(corner[:, 1] - corner[:, 0], ((0, 0), (0, 1))), np.pad(corner[:, 2] - corner[:, 0], ((0, 0), (0, 1)))
    )[:, 2]
    cells = np.where((turn < 0)[:, None], cells[:, ::-1], cells)
    triangles.append(index[cells])
    back = add(shape.cast(np.array([[0.0, 0.0, -1.0]])))
    rim_index = free_index[-36:]
    triangles.append(np.stack([np.roll(rim_index, -1), rim_index, np.full(36, back[0])], -1))
    ring0 = mouth[len(_INNER_ROWS)]
    half = MOUTH_POINTS // 2
    margin = np.flatnonzero(np.concatenate(eye_ring) == 0)[:EYE_POINTS]
    return Skin(
        points=np.concatenate(points),
        triangles=np.concatenate(triangles).astype(np.int64),
        side=np.concatenate(side),
        lip=np.concatenate(lip),
        eye_ring=np.concatenate(eye_ring),
        contact_upper=ring0[1:half],
        contact_lower=ring0[half + 1 :][::-1],
        lid_upper=margin[1 : EYE_POINTS // 2],
        lid_lower=margin[EYE_POINTS // 2 + 1 :][::-1],
    )


def skin_colours(skin: Skin, shape: Shape) -> Floats:
    """Linear vertex colours [n, 3]:

    skin with a blush at cheeks, nose and lids, lips with a soft border, a dark mouth.
    """
    look = shape.look
    base, lips = srgb_to_linear(look.skin), srgb_to_linear(look.lips)
    p = skin.points
    mirrored = np.abs(p) * np.array([1, 0, 0]) + p * np.array([0, 1, 1])
    colour = np.tile(base, (len(p), 1))
    flush = look.blush * (
        gauss(mirrored, (0.42, -0.26, 0.58), (0.20, 0.15, 0.3)) + 0.6 * gauss(p, (0.0, -0.24, 0.9), (0.13, 0.10, 0.15))
    )
    red = base * np.array([1.12, 0.62, 0.58])
    colour += np.clip(flush, 0, 1)[:, None] * (red - colour)
    nostril = gauss(mirrored, (0.052 * look.nose, -0.300, 0.82), (0.034, 0.024, 0.08))
    colour += (0.72 * np.clip(nostril, 0, 1))[:, None] * (base * np.array([0.30, 0.16, 0.15]) - colour)
    eye = Eye(shape)
    a, e, r = eye.angles(mirrored)
    crease = np.exp(-(((e - eye.upper(a) - 0.20) / 0.10) ** 2)) * np.exp(-((a / 0.75) ** 4)) * (r < 1.5 * eye.lid)
    shade = base * np.array([0.80, 0.66, 0.64])
    colour += (0.55 * crease)[:, None] * (shade - colour)
    if look.markings:
        aside = np.abs(p[:, 0])
        stripe = np.exp(-(((p[:, 1] + 0.21 + 0.25 * aside) / 0.022) ** 2)) * smooth_step(aside, 0.3, 0.36)
        stripe *= p[:, 2] > 0.2
        colour += (0.75 * stripe)[:, None] * (srgb_to_linear(look.trim) - colour)
    # Ring 4 is the border; the blend spans the rings beside it.
    amount = np.where(skin.lip < 90, 1.0 - smooth_step(skin.lip, 0.85, 1.2), 0.0)
    colour += amount[:, None] * (lips - colour)
    inner = np.where(skin.lip < 0, np.clip(-skin.lip / 3.0, 0, 1), 0.0)
    colour += inner[:, None] * (np.array([0.10, 0.018, 0.020]) - colour)
    seam = np.where(np.abs(skin.lip) < 1e-6, 0.45, 0.0)
    colour *= (1.0 - seam)[:, None]
    rim = skin.eye_ring == -2
    colour[rim] = base * np.array([0.82, 0.58, 0.55])
    lid = skin.eye_ring == 0
    colour[lid] = colour[lid] * 0.75
    return np.clip(colour, 0.0, 1.0)


def srgb_to_linear(rgb: tuple[float, float, float]) -> Floats:
    """glTF vertex colours and factors are linear."""
    c = np.asarray(rgb, dtype=np.float64)
    return np.asarray(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4))
