"""Who the character is: every parameter that tells one look from another, and the looks that ship."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Look:
    """One character. Colours are sRGB in [0, 1]; `age` 0 is childlike, 1 old; factors are relative to 1."""

    name: str
    title: str
    skin: Rgb
    lips: Rgb
    iris: Rgb
    hair: Rgb
    cloth: Rgb
    trim: Rgb
    hair_style: str = "short"
    age: float = 0.35
    eyes: float = 1.0
    nose: float = 1.0
    jaw: float = 1.0
    brows: float = 1.0
    lashes: float = 1.0
    blush: float = 0.35
    ears: str = "round"
    horns: bool = False
    markings: bool = False
    moustache: bool = False


LOOKS: Final = (
    Look(
        "marrow", "A warm innkeeper with auburn hair",
        skin=(0.90, 0.66, 0.54), lips=(0.76, 0.35, 0.35), iris=(0.25, 0.50, 0.36), hair=(0.46, 0.19, 0.10),
        cloth=(0.20, 0.33, 0.36), trim=(0.86, 0.72, 0.46), hair_style="bob", age=0.3, lashes=1.3, jaw=0.95,
    ),
    Look(
        "roe", "An old keeper with silver hair and heavy brows",
        skin=(0.84, 0.60, 0.48), lips=(0.68, 0.38, 0.34), iris=(0.33, 0.44, 0.56), hair=(0.80, 0.79, 0.77),
        cloth=(0.33, 0.24, 0.20), trim=(0.60, 0.50, 0.38), hair_style="swept", age=0.9, eyes=0.92, nose=1.22,
        jaw=1.08, brows=1.6, lashes=0.5, blush=0.45, moustache=True,
    ),
    Look(
        "reid", "A young technician with dark curls",
        skin=(0.52, 0.34, 0.25), lips=(0.50, 0.26, 0.24), iris=(0.30, 0.17, 0.08), hair=(0.075, 0.055, 0.05),
        cloth=(0.86, 0.52, 0.20), trim=(0.20, 0.22, 0.26), hair_style="curls", age=0.4, nose=1.08, jaw=1.04,
        brows=1.25, lashes=0.8, blush=0.2,
    ),
    Look(
        "sprite", "A forest spirit with long ears",
        skin=(0.47, 0.70, 0.64), lips=(0.28, 0.45, 0.48), iris=(0.95, 0.68, 0.15), hair=(0.90, 0.93, 0.84),
        cloth=(0.24, 0.30, 0.20), trim=(0.75, 0.80, 0.45), hair_style="long", age=0.15, eyes=1.12, nose=0.85,
        jaw=0.9, brows=0.8, lashes=1.2, blush=0.3, ears="long", horns=True, markings=True,
    ),
    Look(
        "dana", "A tired translator with dark blond hair",
        skin=(0.93, 0.73, 0.63), lips=(0.72, 0.42, 0.41), iris=(0.36, 0.46, 0.50), hair=(0.52, 0.39, 0.24),
        cloth=(0.42, 0.26, 0.34), trim=(0.82, 0.78, 0.72), hair_style="long", age=0.5, eyes=0.95, nose=1.04,
        brows=1.05, lashes=1.0, blush=0.25,
    ),
    Look(
        "walter", "A retired man with grey hair",
        skin=(0.88, 0.66, 0.56), lips=(0.66, 0.42, 0.39), iris=(0.30, 0.34, 0.28), hair=(0.55, 0.54, 0.53),
        cloth=(0.28, 0.36, 0.30), trim=(0.66, 0.60, 0.50), hair_style="short", age=0.8, eyes=0.93, nose=1.15,
        jaw=1.02, brows=1.3, lashes=0.5, blush=0.4,
    ),
    Look(
        "tam", "An electrician with short black hair",
        skin=(0.66, 0.45, 0.34), lips=(0.56, 0.33, 0.29), iris=(0.22, 0.14, 0.08), hair=(0.10, 0.08, 0.07),
        cloth=(0.90, 0.62, 0.16), trim=(0.80, 0.82, 0.80), hair_style="short", age=0.6, nose=1.1, jaw=1.1,
        brows=1.4, lashes=0.6, blush=0.2, moustache=True,
    ),
)  # fmt: skip


def look(name: str) -> Look:
    """The look of that name. Raises KeyError listing the names there are."""
    for candidate in LOOKS:
        if candidate.name == name:
            return candidate
    raise KeyError(f"no look {name!r}: there are {', '.join(x.name for x in LOOKS)}")
