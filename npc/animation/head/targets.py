"""The 52 shapes as displacement fields over the rest face. Any vertex (skin, brow, lash, tooth) can ask for its own.

Two shapes are exact by construction:
- `mouthClose` at weight w brings the lips, opened by `jawOpen` at weight w, back to contact vertex by vertex;
- fields that do not part the lips depend on position alone, so that lips that touch stay touching.
`mouthRollLower` is aimed so that the animator's labiodental pose puts the lower lip on the edge of the upper teeth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.animation.channels import ARKIT52
from npc.animation.eyes import EYE_RANGE_DEG
from npc.animation.head.shape import MOUTH_WIDTH, MOUTH_Y, Eye, gauss, mouth_line, smooth_step

Floats = NDArray[np.float64]

#: The jaw turns about this axis (x direction) by this angle at jawOpen 1.
HINGE: Final = np.array([0.0, -0.12, -0.20])
JAW_ANGLE: Final = np.radians(17.0)
#: Lower edge of the upper front teeth.
TEETH_EDGE: Final = np.array([0.0, MOUTH_Y - 0.030, 0.735])
#: The animator's labiodental pose (coarticulation.py): jawOpen, mouthRollLower, mouthShrugLower.
_CONTACT_POSE: Final = (0.07, 0.65, 0.35)


@dataclass(frozen=True, slots=True)
class Region:
    """What a field needs to know of the vertices:

    rest positions [n, 3], the side of the mouth [n], lip coordinate [n].
    """

    points: Floats
    side: Floats
    lip: Floats


def region(points: Floats) -> Region:
    """Region of vertices that are not on the lips."""
    side = np.where(points[:, 1] >= mouth_line(points[:, 0]), 1.0, -1.0)
    return Region(points, side, np.full(len(points), 99.0))


def jaw_turn(points: Floats, angle: float = JAW_ANGLE) -> Floats:
    """Displacement of points fixed to the jaw when it opens by `angle`."""
    d = points - HINGE
    c, s = np.cos(angle), np.sin(angle)
    turned = np.stack([d[:, 0], d[:, 1] * c - d[:, 2] * s, d[:, 1] * s + d[:, 2] * c], -1)
    return np.asarray(turned - d)


def jaw_mask(r: Region) -> Floats:
    """How much a vertex follows the jaw, [0, 1]: discontinuous only across the mouth's opening, 0.42 at its corners."""
    p = r.points
    v = p[:, 1] - mouth_line(p[:, 0])
    corner = smooth_step(np.abs(p[:, 0]) / MOUTH_WIDTH, 0.0, 1.0) ** 1.6
    reach = 0.075 + 0.10 * smooth_step(np.abs(p[:, 0]), MOUTH_WIDTH, 0.6)
    soft = 1.0 / (1.0 + np.exp(np.clip(v / reach + 0.32, -40, 40)))
    mask = np.where(r.side < 0, 1.0 - (1.0 - soft) * corner, soft * corner)
    front = smooth_step(p[:, 2], -0.30, 0.30)
    return np.asarray(mask * front)


def _lens(x: Floats) -> Floats:
    return np.maximum(0.0, 1.0 - (x / MOUTH_WIDTH) ** 2)


class Targets:
    """Displacements of one head. `contact` are the points where the lips meet at rest, ordered along the mouth."""

    def __init__(self, eye: Eye, contact: Floats) -> None:
        self._eye = eye
        order = np.argsort(contact[:, 0])
        self._contact = contact[order]
        line = self._contact
        lower = Region(line, np.full(len(line), -1.0), np.zeros(len(line)))
        upper = Region(line, np.full(len(line), 1.0), np.zeros(len(line)))
        #: How far jawOpen parts the lips, along the mouth.
        self._parted = self._jaw(lower) - self._jaw(upper)
        middle = line[len(line) // 2][None]
        jaw, roll, shrug = _CONTACT_POSE
        centre = Region(middle, np.array([-1.0]), np.zeros(1))
        moved = middle + jaw * self._jaw(centre) + shrug * self._shrug_lower(centre)
        self._tuck = ((TEETH_EDGE - moved[0]) / roll) * np.array([0.0, 1.0, 1.0])

    def _jaw(self, r: Region) -> Floats:
        return jaw_turn(r.points) * jaw_mask(r)[:, None]

    def _shrug_lower(self, r: Region) -> Floats:
        f = gauss(r.points, (0.0, MOUTH_Y - 0.10, 0.8), (0.26, 0.17, 0.5))
        return np.asarray(f[:, None] * np.array([0.0, 0.055, 0.025]))

    def _close(self, r: Region) -> Floats:
        """Undo the parting of the lips:

        0.85 of it by the lower lip, the rest by the upper; fading into chin and philtrum.
        """
        x = r.points[:, 0]
        parted = np.stack([np.interp(x, self._contact[:, 0], self._parted[:, k], 0.0, 0.0) for k in range(3)], -1)
        v = np.abs(r.points[:, 1] - mouth_line(x))
        fade = np.where(r.lip < 0, 1.0, np.exp(-((np.maximum(0.0, v - 0.05) / 0.17) ** 2)))
        fade = fade * smooth_step(r.points[:, 2], 0.2, 0.5)
        share = np.where(r.side < 0, -0.85, 0.15) * fade
        return np.asarray(parted * share[:, None])

    def all(self, r: Region) -> dict[str, Floats]:
        """Every target's displacement [n, 3] by ARKit name, in Live Link Face order."""
        found = self._mouth(r) | self._upper_face(r) | self._lids(r)
        return {name: found.get(name, np.zeros_like(r.points)) for name in ARKIT52}

    def _mouth(self, r: Region) -> dict[str, Floats]:
        p, x = r.points, r.points[:, 0]
        mouth = gauss(p, (0.0, MOUTH_Y, 0.80), (0.36, 0.24, 0.45))
        lens = _lens(x)
        lower_lip = np.where((r.side < 0) & (r.lip < 3), 1.0, 0.0) * np.exp(-((np.maximum(r.lip - 0.6, 0) / 0.75) ** 2))
        upper_lip = np.where((r.side > 0) & (r.lip < 3), 1.0, 0.0) * np.exp(-((np.maximum(r.lip - 0.6, 0) / 0.75) ** 2))
        mask = jaw_mask(r)[:, None]
        out: dict[str, Floats] = {
            "jawOpen": self._jaw(r),
            "mouthClose": self._close(r),
            "jawForward": mask * np.array([0.0, 0.0, 0.09]),
            "jawLeft": mask * np.array([0.09, 0.0, 0.0]),
            "jawRight": mask * np.array([-0.09, 0.0, 0.0]),
        }
        squeeze = np.stack([-x * mouth, np.zeros_like(x), np.zeros_like(x)], -1)
        ahead = gauss(p, (0.0, MOUTH_Y, 0.82), (0.25, 0.17, 0.4))[:, None] * np.array([0.0, 0.0, 1.0])
        off = p[:, 1] - mouth_line(x)
        plump = np.stack([np.zeros_like(x), off * gauss(p, (0, MOUTH_Y, 0.8), (0.16, 0.14, 0.4)), np.zeros_like(x)], -1)
        opening = np.where(r.side > 0, 0.060, -0.075) * lens * np.exp(-((off / 0.17) ** 2))
        open_ring = opening[:, None] * np.array([0.0, 1.0, 0.0])
        out["mouthPucker"] = 0.50 * squeeze + 0.135 * ahead + 0.30 * plump
        out["mouthFunnel"] = 0.30 * squeeze + 0.150 * ahead + open_ring * smooth_step(p[:, 2], 0.3, 0.55)[:, None]
        push = gauss(p, (0.0, MOUTH_Y, 0.8), (0.42, 0.30, 0.5))[:, None]
        out["mouthLeft"] = push * np.array([0.10, 0.0, 0.0])
        out["mouthRight"] = push * np.array([-0.10, 0.0, 0.0])
        out["mouthRollLower"] = (lower_lip * lens**0.5)[:, None] * self._tuck
        out["mouthRollUpper"] = (upper_lip * lens**0.5)[:, None] * self._tuck
        out["mouthShrugLower"] = self._shrug_lower(r)
        raised = gauss(p, (0.0, MOUTH_Y + 0.05, 0.8), (0.26, 0.15, 0.5))[:, None]
        out["mouthShrugUpper"] = raised * np.array([0.0, 0.05, 0.02])
        for name, sign in (("Left", 1.0), ("Right", -1.0)):
            half = smooth_step(sign * x, -0.07, 0.07)
            corner = gauss(p, (sign * 0.245, MOUTH_Y + 0.02, 0.70), (0.19, 0.17, 0.35))
            cheek = gauss(p, (sign * 0.40, -0.28, 0.62), (0.20, 0.17, 0.32))
            fold = gauss(p, (sign * 0.36, MOUTH_Y + 0.07, 0.62), (0.12, 0.16, 0.3))
            beside = gauss(p, (sign * 0.12, MOUTH_Y, 0.80), (0.15, 0.17, 0.40)) * half
            lips = np.clip(lens, 0, 1) ** 0.6 * half * np.exp(-((np.maximum(np.abs(off) - 0.06, 0.0) / 0.10) ** 2))
            lips = lips * smooth_step(p[:, 2], 0.35, 0.6)
            axis = np.array([sign, 1.0, 1.0])
            out[f"mouthSmile{name}"] = axis * (
                corner[:, None] * np.array([0.085, 0.100, -0.065]) + cheek[:, None] * np.array([0.010, 0.055, 0.030])
                + fold[:, None] * np.array([0.02, 0.0, 0.015]) + beside[:, None] * np.array([0.012, 0.006, -0.022])
            )  # fmt: skip
            out[f"mouthFrown{name}"] = axis * (
                corner[:, None] * np.array([0.015, -0.110, -0.010]) + beside[:, None] * np.array([0.0, 0.012, 0.006])
            )
            out[f"mouthDimple{name}"] = axis * corner[:, None] * np.array([0.050, 0.012, -0.055])
            out[f"mouthStretch{name}"] = axis * corner[:, None] * np.array([0.105, -0.030, -0.055])
            press = np.stack([np.zeros_like(x), -0.34 * off, -0.020 * np.ones_like(x)], -1)
            press *= (gauss(p, (sign * 0.10, MOUTH_Y, 0.8), (0.20, 0.13, 0.4)) * half)[:, None]
            out[f"mouthPress{name}"] = press
            out[f"mouthLowerDown{name}"] = (lips * (r.side < 0))[:, None] * np.array([0.0, -0.105, -0.012])
            out[f"mouthUpperUp{name}"] = (lips * (r.side > 0))[:, None] * np.array([0.0, 0.090, 0.008]) + (
                gauss(p, (sign * 0.15, MOUTH_Y + 0.19, 0.74), (0.12, 0.10, 0.3)) * half * (r.side > 0)
            )[:, None] * np.array([0.0, 0.030, 0.012])
        return out

    def _upper_face(self, r: Region) -> dict[str, Floats]:
        p, x = r.points, r.points[:, 0]
        out: dict[str, Floats] = {
            "browInnerUp": sum(
                gauss(p, (s * 0.13, 0.34, 0.72), (0.17, 0.17, 0.4))[:, None] * np.array([s * 0.008, 0.105, 0.0])
                for s in (1.0, -1.0)
            ) + np.zeros_like(p),
            "cheekPuff": sum(
                gauss(p, (s * 0.46, -0.45, 0.52), (0.22, 0.20, 0.30))[:, None] * np.array([s * 0.12, 0.0, 0.085])
                for s in (1.0, -1.0)
            ) + np.zeros_like(p),
        }  # fmt: skip
        for name, sign in (("Left", 1.0), ("Right", -1.0)):
            axis = np.array([sign, 1.0, 1.0])
            half = smooth_step(sign * x, -0.03, 0.10)
            inner = gauss(p, (sign * 0.16, 0.27, 0.72), (0.17, 0.17, 0.4)) * half
            whole = gauss(p, (sign * 0.33, 0.27, 0.66), (0.24, 0.14, 0.4)) * half
            outer = gauss(p, (sign * 0.46, 0.30, 0.58), (0.20, 0.19, 0.4))
            apple = gauss(p, (sign * 0.37, -0.22, 0.66), (0.23, 0.12, 0.3))
            wing = gauss(p, (sign * 0.10, -0.23, 0.80), (0.085, 0.11, 0.2))
            lip = gauss(p, (sign * 0.12, -0.37, 0.78), (0.11, 0.09, 0.25))
            out[f"browDown{name}"] = axis * (
                inner[:, None] * np.array([-0.030, -0.070, 0.018]) + whole[:, None] * np.array([-0.008, -0.040, 0.006])
            )
            out[f"browOuterUp{name}"] = axis * outer[:, None] * np.array([0.0, 0.105, -0.004])
            out[f"cheekSquint{name}"] = axis * apple[:, None] * np.array([0.004, 0.060, 0.022])
            out[f"noseSneer{name}"] = axis * (
                wing[:, None] * np.array([0.010, 0.042, 0.0]) + lip[:, None] * np.array([0.0, 0.028, 0.006])
            )
        return out

    def _lids(self, r: Region) -> dict[str, Floats]:
        out: dict[str, Floats] = {}
        for name, sign in (("Left", 1.0), ("Right", -1.0)):
            flip = np.array([sign, 1.0, 1.0])
            local = r.points * flip
            for shape, (upper, lower) in {
                "eyeBlink": (1.0, 1.0), "eyeWide": (-0.34, -0.12), "eyeSquint": (0.20, 0.75),
                "eyeLookDown": (0.46, -0.30), "eyeLookUp": (-0.22, 0.10),
            }.items():  # fmt: skip
                out[f"{shape}{name}"] = np.asarray(self._lid(local, upper, lower) * flip)
        return out

    def _lid(self, local: Floats, upper: float, lower: float) -> Floats:
        """Turn the lids about the eye, by shares of the way to the closing line (negative: away from it)."""
        eye = self._eye
        a, e, radius = eye.angles(local)
        top, bottom, line = eye.upper(a), eye.lower(a), eye.line(a)
        above = e >= line
        follow_up = 1.0 - smooth_step(e - top, 0.0, np.radians(19.0))
        follow_down = 1.0 - smooth_step(bottom - e, 0.0, np.radians(22.0))
        follow = np.where(above, follow_up, follow_down)
        near = (radius < 1.9 * eye.lid) & (local[:, 2] > eye.centre[2] * 0.2) & (local[:, 0] > 0.01)
        follow = follow * near * (1.0 - smooth_step(radius, 1.25 * eye.lid, 1.9 * eye.lid))
        travel = np.where(above, upper * (line - top), lower * (line - bottom))
        # Past the corners the margins have met and nothing moves; away from the margin that ends more softly.
        half = np.where(a >= 0.0, float(eye.outer), float(eye.inner))
        inside = smooth_step(1.0 - np.abs(a) / half, 0.0, 0.5)
        away = smooth_step(np.where(above, e - top, bottom - e), 0.0, np.radians(9.0))
        travel = travel * (1.0 - away * (1.0 - inside))
        turned = e + follow * travel
        # Lid skin that slides over the ball keeps the lid's radius; the inner rim keeps its own.
        settled = np.where(radius > 0.999 * eye.radius, np.maximum(radius, eye.lid), radius)
        kept = radius + (settled - radius) * follow * min(1.0, abs(upper)) * (radius > 1.02 * eye.radius)
        return np.asarray((eye.at(a, turned, kept) - local) * (follow > 1e-4)[:, None])

    def eyeball(self, points: Floats, sign: float) -> dict[str, Floats]:
        """Targets of an eyeball's vertices: turns of `EYE_RANGE_DEG` at weight 1."""
        side = "Left" if sign > 0 else "Right"
        centre = self._eye.centre * np.array([sign, 1.0, 1.0])
        d = points - centre
        angle = np.radians(EYE_RANGE_DEG)
        c, s = np.cos(angle), np.sin(angle)

        def yaw(direction: float) -> Floats:
            t = direction * s
            return np.asarray(np.stack([d[:, 0] * c + d[:, 2] * t, d[:, 1], -d[:, 0] * t + d[:, 2] * c], -1) - d)

        def pitch(direction: float) -> Floats:
            t = direction * s
            return np.asarray(np.stack([d[:, 0], d[:, 1] * c + d[:, 2] * t, -d[:, 1] * t + d[:, 2] * c], -1) - d)

        found = {
            f"eyeLookUp{side}": pitch(1.0), f"eyeLookDown{side}": pitch(-1.0),
            f"eyeLookOut{side}": yaw(sign), f"eyeLookIn{side}": yaw(-sign),
        }  # fmt: skip
        return {name: found.get(name, np.zeros_like(points)) for name in ARKIT52}
