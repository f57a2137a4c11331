"""Sculpted hair: a cap that sinks into the hairline, and tapered locks laid over it. No morph targets, no textures."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.animation.head.parts import Part, grid, join, outward, part, tube, unit
from npc.animation.head.shape import Shape, smooth_step
from npc.animation.head.skin import srgb_to_linear

Floats = NDArray[np.float64]

#: The crown: hair flows away from here.
_CROWN: Final = unit(np.array([0.0, 0.86, -0.42]))
_FRONT: Final = unit(np.array([0.0, 0.42, 0.86]))


def _direction(azimuth: Floats, angle: Floats) -> Floats:
    """Unit directions at `angle` from the crown; azimuth 0 points to the forehead, positive to the left."""
    forward = unit(_FRONT - (_FRONT @ _CROWN) * _CROWN)
    left = np.cross(forward, _CROWN) * -1.0
    across = np.cos(azimuth)[..., None] * forward + np.sin(azimuth)[..., None] * left
    return np.asarray(np.cos(angle)[..., None] * _CROWN + np.sin(angle)[..., None] * across)


def _hairline(azimuth: Floats) -> Floats:
    """Angle from the crown at which the hair ends: forehead, temple, over the ear, nape."""
    a = np.abs(azimuth) / np.pi
    degrees = [64.0, 66.0, 84.0, 92.0, 88.0, 96.0, 100.0]
    return np.interp(a, [0.0, 0.18, 0.32, 0.42, 0.52, 0.62, 1.0], np.radians(degrees))


def _tone(shape: Shape, amount: Floats) -> Floats:
    base = srgb_to_linear(shape.look.hair)
    return np.clip(base * amount[:, None], 0.0, 1.0)


def _cap(shape: Shape, thickness: float, grooves: int, relief: float) -> Part:
    rows, columns = 18, 72
    rho = np.linspace(0.0, 1.0, rows)
    azimuth = -np.pi + 2.0 * np.pi * np.arange(columns) / columns
    angle = np.outer(rho, _hairline(azimuth))
    d = _direction(np.broadcast_to(azimuth, angle.shape), np.maximum(angle, 1e-4)).reshape(-1, 3)
    r = rho.repeat(columns)
    az = np.tile(azimuth, rows)
    wave = relief * np.sin(grooves * az + 1.7 * np.sin(2 * az)) * smooth_step(r, 0.05, 0.4)
    height = (thickness + wave) * (1.0 - r**7) - 0.030 * r**7
    surface = shape.cast(d)
    points = surface + d * height[:, None]
    shade = 0.85 + 4.0 * wave + 0.15 * (1 - r)
    return part(points, outward(points, grid(rows, columns, True)), _tone(shape, shade))


def _lock(
    shape: Shape, azimuths: tuple[float, float], angles: tuple[float, float], width: float, lift: float,
    hang: tuple[float, float, float] = (0.0, 0.0, 0.0), curl: float = 0.0, shade: float = 1.0,
) -> Part:  # fmt: skip
    """A lock from one (azimuth, angle) to another over the scalp, then hanging by `hang`."""
    n = 14
    u = np.linspace(0.0, 1.0, n)
    on_head = np.clip(u / (0.62 if any(hang) else 1.0), 0.0, 1.0)
    az = azimuths[0] + (azimuths[1] - azimuths[0]) * on_head**1.15
    d = _direction(az, angles[0] + (angles[1] - angles[0]) * on_head)
    free = np.clip((u - 0.62) / 0.38, 0.0, 1.0)
    bulk = np.sin(np.pi * np.clip(0.10 + 0.9 * u, 0, 1) ** 0.85)
    path = shape.cast(d) + d * (lift * (0.35 + 0.65 * bulk))[:, None]
    bend = curl * np.sin(np.pi * free)[:, None] * np.array([np.sign(az[-1]), 0.0, 0.4])
    path = path + free[:, None] * np.asarray(hang) + bend
    along = unit(np.gradient(path, axis=0))
    out = unit(d - (d * along).sum(-1, keepdims=True) * along)
    across = np.cross(along, out)
    taper = np.sin(np.pi * (0.06 + 0.938 * u)) ** 0.6 * (1.0 - 0.35 * u)
    points, triangles = tube(path, across, out, width * taper, 0.45 * width * taper, 8)
    ridge = np.tile(np.array([0.95, 1.08, 1.15, 1.08, 0.95, 0.8, 0.75, 0.8]), n)
    return part(points, triangles, _tone(shape, shade * ridge * (0.85 + 0.25 * bulk.repeat(8))))


def _fringe(shape: Shape, parting: float, count: int, reach: float, lift: float) -> list[Part]:
    """Locks from a parting over the forehead to both sides."""
    locks = []
    for i in range(count):
        t = i / (count - 1)
        for sign, spread in ((1.0, 0.95 - parting), (-1.0, 0.95 + parting)):
            start = parting + sign * 0.04
            end = parting + sign * (0.18 + spread * t * 1.05)
            locks.append(
                _lock(shape, (start, end), (0.30 + 0.20 * t, reach + 0.16 * t), 0.165 - 0.03 * t, lift,
                      shade=0.92 + 0.16 * ((i * 7) % 3) / 2)
            )  # fmt: skip
    return locks


def _swept(shape: Shape) -> list[Part]:
    return [
        _lock(shape, (a, a * 1.25), (1.05, 0.12), 0.125, 0.115, shade=0.9 + 0.12 * (i % 3) / 2)
        for i, a in enumerate(np.linspace(-1.0, 1.0, 9))
    ] + [
        _lock(
            shape, (s * a, s * (a + 0.25)), (0.45, float(_hairline(np.array(a + 0.2))) - 0.04), 0.12, 0.085, shade=0.95
        )
        for s in (1.0, -1.0)
        for a in (1.15, 1.5, 1.9, 2.3, 2.75)
    ]


def _curls(shape: Shape) -> list[Part]:
    pieces = []
    golden = np.pi * (3.0 - np.sqrt(5.0))
    count = 112
    for i in range(count):
        rho = np.sqrt((i + 0.5) / count)
        az = float((i * golden + np.pi) % (2 * np.pi) - np.pi)
        limit = float(_hairline(np.array(az)))
        angle = rho * (limit - 0.06)
        d = _direction(np.array([az]), np.array([angle]))[0]
        centre = shape.cast(d[None])[0] + d * 0.055
        size = 0.155 - 0.035 * rho
        u = np.linspace(0.0, np.pi, 6)
        psi = 2 * np.pi * np.arange(8) / 8
        flat = np.sin(u)[:, None]
        ball = np.stack(np.broadcast_arrays(flat * np.cos(psi), flat * np.sin(psi), np.cos(u)[:, None]), -1)
        ball = ball.reshape(-1, 3) * size * (1.0 + 0.05 * np.sin(3 * np.tile(psi, 6) + i)[:, None])
        tone = 0.85 + 0.5 * np.clip((ball @ d) / size, 0, 1) + 0.1 * (i % 3)
        pieces.append(part(ball + centre, outward(ball, grid(6, 8, True)), _tone(shape, tone)))
    return pieces


def _sides(shape: Shape, length: float, inward: float) -> list[Part]:
    """Locks that fall beside the face and down the back."""
    locks = []
    for i, a in enumerate(np.linspace(1.02, np.pi, 9)):
        for sign in (1.0, -1.0):
            end = float(_hairline(np.array(a))) + 0.10
            sideways = sign * (0.05 - inward * (a < 1.7))
            drop = (sideways, -length * (0.82 + 0.18 * np.sin(i * 2.1)), -0.03 * i * (a < 2.4))
            locks.append(
                _lock(
                    shape,
                    (sign * a * 0.55, sign * a),
                    (0.35, end),
                    0.165,
                    0.115,
                    drop,
                    0.05,
                    0.88 + 0.2 * ((i * 5) % 4) / 3,
                )
            )
    return locks


def hair(shape: Shape) -> Part:
    """The hair of a look, by its `hair_style`. Raises ValueError naming the styles there are."""
    style = shape.look.hair_style
    if style == "bob":
        return join([_cap(shape, 0.085, 14, 0.010), *_fringe(shape, 0.28, 6, 1.24, 0.10), *_sides(shape, 0.52, 0.10)])
    if style == "long":
        return join([_cap(shape, 0.080, 16, 0.012), *_fringe(shape, -0.22, 6, 1.20, 0.10), *_sides(shape, 1.05, 0.02)])
    if style == "swept":
        return join([_cap(shape, 0.060, 18, 0.012), *_swept(shape)])
    if style == "curls":
        return join([_cap(shape, 0.055, 20, 0.010), *_curls(shape)])
    if style == "short":
        return join([_cap(shape, 0.070, 22, 0.012), *_fringe(shape, 0.25, 5, 1.12, 0.095)])
    raise ValueError(f"no hair style {style!r}: there are bob, long, swept, curls, short")
