"""Emotion to face: FACS recipes of the fifteen labels, a small mood from valence, arousal, dominance, and easing.

The recipes are data (`expressions.json`), because clients show the same mood between items.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.animation.channels import ARKIT52, expand
from npc.animation.interface import Affect

Floats = NDArray[np.float64]

#: Time constant of the easing towards a new expression; 95 % after 0.5 s, Audio2Face's default transition time.
EASE_S: Final = 0.105
#: How far a full valence, arousal or dominance bends the resting face, beside the label's own expression.
_MOOD_POSITIVE: Final = {"mouthSmile": 0.14, "cheekSquint": 0.06}
_MOOD_NEGATIVE: Final = {"mouthFrown": 0.12, "browInnerUp": 0.10}
_MOOD_AROUSED: Final = {"eyeWide": 0.10, "browOuterUp": 0.06}
_MOOD_CALM: Final = {"eyeBlink": 0.08, "eyeSquint": 0.04}
_MOOD_SUBMISSIVE: Final = {"browInnerUp": 0.10}
_MOOD_DOMINANT: Final = {"browDown": 0.08}


def _vector(recipe: dict[str, float]) -> Floats:
    pose = np.zeros(len(ARKIT52))
    for index, weight in expand(recipe).items():
        pose[index] = weight
    return pose


@lru_cache(maxsize=1)
def recipes() -> dict[str, Floats]:
    """Pose [52] at intensity 1 of every label, read from `expressions.json`."""
    text = resources.files("npc.animation").joinpath("expressions.json").read_text(encoding="utf-8")
    return {label: _vector(entry["weights"]) for label, entry in json.loads(text)["expressions"].items()}


def labels() -> tuple[str, ...]:
    """Emotion labels that have a face."""
    return tuple(recipes())


@lru_cache(maxsize=512)
def expression(affect: Affect) -> Floats:
    """Pose [52] in [0, 1] of an affect; an unknown label shows only its valence, arousal and dominance. Read-only."""
    pose = recipes().get(affect.label, np.zeros(len(ARKIT52))) * float(np.clip(affect.intensity, 0.0, 1.0))
    for value, up, down in (
        (affect.valence, _MOOD_POSITIVE, _MOOD_NEGATIVE),
        (affect.arousal, _MOOD_AROUSED, _MOOD_CALM),
        (affect.dominance, _MOOD_DOMINANT, _MOOD_SUBMISSIVE),
    ):
        amount = float(np.clip(value, -1.0, 1.0))
        pose = pose + abs(amount) * _vector(up if amount >= 0 else down)
    pose = np.clip(pose, 0.0, 1.0)
    pose.setflags(write=False)
    return pose


class Easing:
    """Two cascaded one-pole filters towards a changing target: no jump in value or slope.

    Frames are numbered from the start of the item. A pose is computed in closed form from the frame at which the
    target last changed, so it does not depend on how many frames were asked for at a time.
    """

    def __init__(self, dt: float) -> None:
        self._keep = float(np.exp(-dt / EASE_S))
        self._target = self._inner = self._outer = np.zeros(len(ARKIT52))
        self._since = -1

    def _state(self, frame: Floats) -> tuple[Floats, Floats]:
        # With d = state - target and n frames since: inner = k^n d_inner, outer = k^n (d_outer + n (1-k) d_inner).
        n = frame - self._since
        fade = self._keep**n
        inner, outer = self._inner - self._target, self._outer - self._target
        return self._target + fade * inner, self._target + fade * (outer + n * (1.0 - self._keep) * inner)

    def retarget(self, target: Floats, frame: int) -> None:
        """From `frame` on, move towards `target`; frames must not go back."""
        if np.array_equal(target, self._target):
            return
        self._inner, self._outer = self._state(np.float64(frame - 1))  # type: ignore[arg-type]
        self._since, self._target = frame - 1, np.asarray(target, dtype=np.float64)

    def poses(self, first: int, last: int) -> Floats:
        """Poses [last - first, 52] of frames first .. last - 1."""
        return self._state(np.arange(first, last, dtype=np.float64)[:, None])[1]


_LIVELY: Final = ("mouthSmile", "brow", "cheekSquint", "mouthFrown", "noseSneer")
#: +1 for the lively channels of the left side, -1 for those of the right, 0 elsewhere.
_SIDES: Final = np.array(
    [(n.endswith("Left") - float(n.endswith("Right"))) if n.startswith(_LIVELY) else 0.0 for n in ARKIT52]
)


def asymmetry(seed_unit: float) -> Floats:
    """Per-channel gain [52]: one side of the face is up to 8 % livelier, as in people; the seed says which."""
    return np.asarray(1.0 + 0.08 * (2.0 * seed_unit - 1.0) * _SIDES)
