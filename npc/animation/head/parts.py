"""Everything in the face that is not skin: eyeballs, lashes, brows, teeth, gums, tongue, mouth cavity, ears, horns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.animation.head.looks import Look, Rgb
from npc.animation.head.shape import MOUTH_Y, Eye, Shape, smooth_step
from npc.animation.head.skin import srgb_to_linear
from npc.animation.head.targets import TEETH_EDGE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """Vertices, triangles and linear colours of one piece; `jaw` [n] says how much it follows the jaw (0 for most)."""

    points: Floats
    triangles: Ints
    colours: Floats
    jaw: Floats


def part(points: Floats, triangles: Ints, colour: Rgb | Floats, jaw: Floats | float = 0.0) -> Part:
    """A part with one sRGB colour, or with linear colours per vertex."""
    n = len(points)
    colours = np.tile(srgb_to_linear(colour), (n, 1)) if isinstance(colour, tuple) else colour
    return Part(points, triangles, colours, np.broadcast_to(np.asarray(jaw, float), (n,)).copy())


def join(pieces: list[Part]) -> Part:
    """Several pieces as one."""
    offsets = np.cumsum([0, *(len(p.points) for p in pieces)])[:-1]
    return Part(
        np.concatenate([p.points for p in pieces]),
        np.concatenate([p.triangles + o for p, o in zip(pieces, offsets, strict=True)]),
        np.concatenate([p.colours for p in pieces]),
        np.concatenate([p.jaw for p in pieces]),
    )


def mirror(piece: Part) -> Part:
    """The same piece on the other side."""
    return Part(piece.points * np.array([-1.0, 1.0, 1.0]), piece.triangles[:, ::-1], piece.colours, piece.jaw)


def grid(rows: int, columns: int, closed: bool) -> Ints:
    """Triangles of a rows x columns grid of vertices, wrapped around the columns if `closed`."""
    cells = []
    for r in range(rows - 1):
        for c in range(columns if closed else columns - 1):
            a, b = r * columns + c, r * columns + (c + 1) % columns
            cells += [(a, b, a + columns), (b, b + columns, a + columns)]
    return np.array(cells, dtype=np.int64)


def outward(points: Floats, triangles: Ints) -> Ints:
    """The triangles of a closed or dome-like piece, turned as one so that they face away from its middle."""
    a, b, c = (points[triangles[:, k]] - points.mean(axis=0) for k in range(3))
    return triangles if float((np.cross(a, b) * c).sum()) >= 0.0 else triangles[:, ::-1]


def tube(
    path: Floats, across: Floats, out: Floats, width: Floats, depth: Floats, sides: int = 8
) -> tuple[Floats, Ints]:
    """A tapered, capped, elliptical tube along `path` [n, 3].

    It is `width` [n] wide along `across` [n, 3] and `depth` [n] deep along `out` [n, 3].
    """
    angle = 2.0 * np.pi * np.arange(sides) / sides
    rings = (
        path[:, None]
        + (width[:, None] * np.cos(angle))[..., None] * across[:, None]
        + (depth[:, None] * np.sin(angle))[..., None] * out[:, None]
    )
    fan = np.array([(0, i, i + 1) for i in range(1, sides - 1)], dtype=np.int64)
    far = (len(path) - 1) * sides
    points = rings.reshape(-1, 3)
    return points, outward(points, np.concatenate([grid(len(path), sides, True), fan[:, ::-1], far + fan]))


def unit(v: Floats) -> Floats:
    return np.asarray(v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12))


_PUPIL, _IRIS, _LIMBUS = np.radians(11.0), np.radians(25.0), np.radians(27.5)


def eyeball(shape: Shape, sign: float) -> Part:
    """One eye: pupil, iris with a dark rim and a bright lower arc, sclera.

    Colours change at doubled rings, so edges are crisp.
    """
    iris = srgb_to_linear(shape.look.iris)
    white = srgb_to_linear((0.95, 0.94, 0.92))
    bands: list[tuple[float, Floats]] = [
        (0.0, np.zeros(3)), (_PUPIL, np.zeros(3)), (_PUPIL, iris * 0.55), (0.5 * (_PUPIL + _IRIS), iris * 1.15),
        (0.85 * _IRIS, iris * 0.85), (_IRIS, iris * 0.22), (_LIMBUS, iris * 0.10 + 0.03), (_LIMBUS, white * 0.82),
        (np.radians(33.0), white), (np.radians(52.0), white), (np.radians(72.0), white * np.array([0.92, 0.80, 0.78])),
        (np.radians(100.0), white * 0.6),
    ]  # fmt: skip
    segments = 32
    psi = 2.0 * np.pi * np.arange(segments) / segments
    points, colours = [], []
    for angle, colour in bands:
        # The iris lies a little behind the sphere, the pupil deeper: flat eyes look painted on.
        radius = shape.eye_radius * (0.985 if angle < _LIMBUS else 1.0)
        ring = np.stack(
            [np.sin(angle) * np.cos(psi), np.sin(angle) * np.sin(psi), np.full(segments, np.cos(angle))], -1
        )
        points.append(ring * radius)
        glow = 1.0 + 0.8 * np.maximum(0.0, -np.sin(psi)) * float(_PUPIL < angle < _IRIS)
        colours.append(np.clip(colour * glow[:, None], 0, 1))
    centre = shape.eye * np.array([sign, 1.0, 1.0])
    triangles = grid(len(bands), segments, True)[:, ::-1]
    return part(np.concatenate(points) + centre, triangles, np.concatenate(colours))


def catchlight(shape: Shape, sign: float) -> Part:
    """Two small reflections of a window that stay put while the eye turns."""
    centre = shape.eye * np.array([sign, 1.0, 1.0])
    pieces = []
    for up, side, size in ((0.24, 0.17, 0.100), (-0.20, -0.16, 0.045)):
        psi = 2.0 * np.pi * np.arange(12) / 12
        a, e = side + size * np.cos(psi), up + size * np.sin(psi)
        ring = np.stack([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)], -1)
        middle = np.array([[np.sin(side) * np.cos(up), np.sin(up), np.cos(side) * np.cos(up)]])
        points = np.concatenate([middle, ring]) * shape.eye_radius * 1.012 + centre
        index = np.arange(12)
        pieces.append(part(points, np.stack([np.zeros(12, int), 1 + index, 1 + (index + 1) % 12], -1), (1.0, 1.0, 1.0)))
    return join(pieces)


def lashes(shape: Shape) -> Part:
    """The upper lash line of both eyes: a wedge that thickens outwards and follows the lid."""
    eye, look = Eye(shape), shape.look
    a = np.linspace(-0.93 * eye.inner, 0.995 * eye.outer, 24)
    u = np.linspace(0.0, 1.0, 24)
    thick = (0.10 + 0.70 * u**1.3) * (1.0 - 0.85 * smooth_step(u, 0.88, 1.0)) * look.lashes
    e = eye.upper(a)
    base_low = eye.at(a, e - 0.015, eye.lid * 0.995)
    base_high = eye.at(a, e + 0.018 + 0.03 * thick, eye.lid * 1.004)
    tip = eye.at(a * (1.0 + 0.10 * u * look.lashes), e + 0.03 + 0.10 * thick * u, eye.lid * (1.02 + 0.085 * thick))
    points = np.stack([base_low, tip, base_high], 1).reshape(-1, 3)
    piece = part(points, outward(points, grid(24, 3, True)), _dark(look, 0.35))
    return join([piece, mirror(piece)])


def _dark(look: Look, amount: float) -> Rgb:
    r, g, b = look.hair
    return (r * amount, g * amount, b * amount)


def brows(shape: Shape) -> Part:
    """Both brows: tapered tubes laid on the brow ridge."""
    look = shape.look
    u = np.linspace(0.0, 1.0, 16)
    x = 0.125 + 0.44 * u
    y = 0.300 + 0.085 * np.sin(np.pi * (u * 0.78 + 0.06)) - 0.055 * u**2 - 0.03 * look.age
    path = shape.front(x, y)
    step = shape.front(x + 0.004, y)
    down = shape.front(x, y - 0.004)
    out = unit(np.cross(step - path, path - down))
    along = unit(np.gradient(path, axis=0))
    across = unit(np.cross(out, along))
    profile = np.sin(np.pi * np.clip(0.12 + 0.86 * u, 0, 1)) ** 0.6 * (1.0 - 0.35 * u)
    points, triangles = tube(
        path + 0.012 * out, across, out, 0.040 * look.brows * profile, 0.024 * profile * look.brows**0.5
    )
    tone = _dark(look, 0.62) if look.age < 0.7 else look.hair
    piece = part(points, triangles, tone)
    return join([piece, mirror(piece)])


_GUM: Final = (0.70, 0.33, 0.34)
_TOOTH: Final = (0.95, 0.92, 0.86)


#: Rows of a dental arch: (height over the edge, how far it stands out, colour).
_ARCH: Final = (
    (0.150, -0.02, _GUM), (0.085, 0.012, _GUM), (0.070, 0.0, _TOOTH), (0.035, 0.006, _TOOTH),
    (0.006, 0.0, _TOOTH), (0.0, -0.012, _TOOTH), (0.01, -0.035, _TOOTH), (0.10, -0.05, _GUM),
)  # fmt: skip


def _arc(edge_y: float, front: float, up: float) -> tuple[Floats, Ints, Floats]:
    """A dental arch: rows from the gum over the teeth's face to their edge and back. `up` +1: the gum is above."""
    columns = 57
    t = np.linspace(-1.25, 1.25, columns)
    per_tooth = 0.205
    inside_tooth = np.abs(((t / per_tooth + 0.5) % 1.0) - 0.5) * 2.0
    groove = inside_tooth**6
    rows = []
    tone = []
    for height, out, colour in _ARCH:
        r = 1.0 + (out - 0.010 * groove * (height < 0.08)) / 0.28
        x, z = 0.245 * np.sin(t) * r, front - 0.30 + 0.30 * np.cos(t) * r
        y = edge_y + up * (height + 0.010 * groove * (height < 0.03))
        rows.append(np.stack([x, y, z], -1))
        shade = np.where(inside_tooth > 0.86, 0.72, 1.0) if colour is _TOOTH else np.ones(columns)
        tone.append(np.clip(srgb_to_linear(colour) * shade[:, None] * (0.55 + 0.45 * np.cos(t))[:, None], 0, 1))
    triangles = grid(len(rows), columns, False)
    return np.concatenate(rows), triangles if up < 0 else triangles[:, ::-1], np.concatenate(tone)


def teeth() -> Part:
    """Upper arch (fixed) and lower arch (on the jaw)."""
    upper, upper_cells, upper_tone = _arc(float(TEETH_EDGE[1]), float(TEETH_EDGE[2]), 1.0)
    lower, lower_cells, lower_tone = _arc(float(TEETH_EDGE[1]) - 0.004, float(TEETH_EDGE[2]) - 0.035, -1.0)
    return join([part(upper, upper_cells, upper_tone), part(lower, lower_cells, lower_tone, 1.0)])


def cavity() -> Part:
    """The dark inside of the mouth: a cup open to the front, its floor on the jaw."""
    rows, columns = 9, 24
    depth = np.linspace(0.0, np.pi / 2, rows)
    psi = 2.0 * np.pi * np.arange(columns) / columns
    x = 0.300 * np.outer(np.cos(depth), np.cos(psi))
    y = MOUTH_Y - 0.03 + 0.185 * np.outer(np.cos(depth), np.sin(psi))
    z = np.repeat((0.67 - 0.46 * np.sin(depth))[:, None], columns, 1) - 1.3 * x**2
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    jaw = 1.0 - smooth_step(points[:, 1], MOUTH_Y - 0.12, MOUTH_Y + 0.03)
    shade = (1.0 - 0.85 * np.sin(depth)).repeat(columns)
    return part(points, grid(rows, columns, True), srgb_to_linear((0.42, 0.12, 0.13)) * shade[:, None], jaw * 0.9)


def tongue() -> Part:
    """The tongue, on the jaw, with a groove along its middle."""
    rows, columns = 12, 16
    u = np.linspace(0.0, np.pi, rows)
    psi = 2.0 * np.pi * np.arange(columns) / columns
    x = 0.150 * np.outer(np.sin(u) ** 0.7, np.cos(psi))
    top = np.sin(psi)
    y = MOUTH_Y - 0.125 + 0.040 * np.outer(np.sin(u) ** 0.7, top)
    y -= 0.022 * np.exp(-((x / 0.03) ** 2)) * (top > 0)
    z = np.repeat((0.40 - 0.24 * np.cos(u))[:, None], columns, 1)
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    shade = 0.55 + 0.45 * smooth_step(points[:, 2], 0.25, 0.6)
    return part(points, grid(rows, columns, True), srgb_to_linear((0.70, 0.30, 0.32)) * shade[:, None], 0.85)


def tongue_out(points: Floats) -> Floats:
    """Displacement of tongueOut: the tip goes forward over the lower teeth and a little down."""
    w = smooth_step(points[:, 2], 0.18, 0.62)
    return np.asarray(w[:, None] * np.array([0.0, 0.058, 0.34]))


def ears(shape: Shape) -> Part:
    """Both ears: a rimmed, hollowed leaf; long blades for spirits."""
    if shape.look.ears == "long":
        return _blades(shape)
    rows, columns = 9, 28
    rho = np.linspace(0.0, 1.0, rows)
    psi = 2.0 * np.pi * np.arange(columns) / columns
    up, back = np.sin(psi), np.cos(psi)
    height = np.where(up > 0, 0.215, 0.185) * (1.0 + 0.15 * shape.look.age)
    y = np.outer(rho, height * up)
    z = -np.outer(rho, 0.125 * back)
    rim = np.exp(-(((rho - 0.80) / 0.17) ** 2))
    hollow = np.exp(-((rho / 0.42) ** 2))
    x = (
        0.075 * rim[:, None] * (1.0 - 0.35 * (back[None] < -0.6))
        - 0.030 * hollow[:, None]
        - 0.06 * (rho[:, None] > 0.97)
    )
    local = np.stack([x * np.ones_like(y), y, z], -1).reshape(-1, 3)
    angle = np.radians(-24.0)
    c, s = np.cos(angle), np.sin(angle)
    local = np.stack([local[:, 0] * c - local[:, 2] * -s, local[:, 1], local[:, 0] * s + local[:, 2] * c], -1)
    base = shape.cast(np.array([[0.80, -0.06 + 0.10, -0.10]]))[0]
    points = local + base + np.array([0.012, -0.04, 0.0])
    skin = srgb_to_linear(shape.look.skin)
    warm = skin * np.array([1.05, 0.66, 0.62])
    tone = skin + (0.75 * hollow.repeat(columns))[:, None] * (warm * 0.75 - skin)
    piece = part(points, grid(rows, columns, True)[:, ::-1], np.clip(tone, 0, 1))
    return join([piece, mirror(piece)])


def _blades(shape: Shape) -> Part:
    n, sides = 16, 10
    u = np.linspace(0.0, 1.0, n)
    base = shape.cast(np.array([[0.80, 0.02, -0.02]]))[0] - np.array([0.05, 0.0, 0.0])
    path = base + np.stack([0.78 * u, 0.30 * u**1.4, -0.30 * u - 0.05 * np.sin(np.pi * u)], -1)
    along = unit(np.gradient(path, axis=0))
    out = unit(np.cross(along, np.tile([0.0, 1.0, 0.25], (n, 1)))) * -1.0
    across = np.cross(out, along)
    width = 0.185 * np.sin(np.pi * np.clip(0.22 + 0.78 * u, 0, 1)) ** 0.9 + 0.004
    points, triangles = tube(path, across, out, width, 0.30 * width, sides)
    skin = srgb_to_linear(shape.look.skin)
    angle = np.tile(2.0 * np.pi * np.arange(sides) / sides, n)
    facing = np.clip(np.sin(angle), 0, 1) ** 2
    # The side that looks forward is hollow and darker.
    points -= (facing * 0.34 * width.repeat(sides))[:, None] * out.repeat(sides, 0)
    tone = skin * (1.0 - 0.35 * facing * (1.0 - u.repeat(sides)))[:, None]
    piece = part(points, triangles, np.clip(tone, 0, 1))
    return join([piece, mirror(piece)])


def moustache(shape: Shape) -> Part:
    """Two tapered tufts on the upper lip; they move with the face like the brows."""
    u = np.linspace(0.0, 1.0, 14)
    x = 0.008 + 0.285 * u
    y = MOUTH_Y + 0.118 - 0.02 * u - 0.125 * u**2.2
    path = shape.front(x, y)
    step = shape.front(x + 0.004, y)
    down = shape.front(x, y - 0.004)
    out = unit(np.cross(step - path, path - down))
    across = unit(np.cross(out, unit(np.gradient(path, axis=0))))
    profile = np.sin(np.pi * np.clip(0.22 + 0.78 * u, 0, 1)) ** 0.7
    points, triangles = tube(path + 0.045 * out, across, out, 0.058 * profile + 0.003, 0.045 * profile + 0.003)
    piece = part(points, triangles, shape.look.hair)
    return join([piece, mirror(piece)])


def horns(shape: Shape) -> Part:
    """Two small curved horns."""
    u = np.linspace(0.0, 1.0, 12)
    start = shape.cast(np.array([[0.34, 0.86, 0.42]]))[0]
    path = start + np.stack([0.10 * u + 0.10 * u**2, 0.34 * u, 0.05 * np.sin(2.6 * u) - 0.24 * u**2], -1) - 0.02
    along = unit(np.gradient(path, axis=0))
    across = unit(np.cross(along, np.array([0.0, 0.0, 1.0])))
    width = 0.075 * (1.0 - u) ** 0.8 * (1.0 + 0.06 * np.sin(40 * u)) + 0.004
    points, triangles = tube(path, across, np.cross(across, along), width, width, 10)
    tone = srgb_to_linear((0.62, 0.55, 0.42)) * (0.65 + 0.5 * u.repeat(10))[:, None]
    piece = part(points, triangles, np.clip(tone, 0, 1))
    return join([piece, mirror(piece)])
