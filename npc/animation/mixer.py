"""The one writer of the face: layers in, each of the 52 channels written once per frame.

    expression ──┐ mouth part gives way to speech, vanishes in a closure
    brow flashes ┤ added to the brows
    mouth ───────┼──▶ mix ──▶ invariants ──▶ u8 [frames, 52]
    eyes ────────┘ a blink wins over wide and squinted lids

Region priority: lips under a due closure or contact > speech > expression; blink > expression at the lids.
Invariants: every weight in [0, 1] and finite; mouthClose <= jawOpen, also after quantisation.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.animation.channels import ARKIT52, FAST, INDEX, MAX_FAST_STEP, MAX_STEP, MOUTH, expand
from npc.animation.coarticulation import Mouth
from npc.animation.eyes import Eyes, add_looks

Floats = NDArray[np.float64]

#: Share of the mouth's expression that stays while speaking in full: a smile is heard and seen through speech.
SPEAKING_SHARE: Final = 0.62
#: After a flush or when the track runs dry, a client fades the last pose to rest in this time.
REST_FADE_S: Final = 0.12

_BLINK = np.array([INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]])
_LIDS = np.array([INDEX["eyeWideLeft"], INDEX["eyeWideRight"], INDEX["eyeSquintLeft"], INDEX["eyeSquintRight"]])
_BROWS = ((INDEX["browInnerUp"], 0.7), (INDEX["browOuterUpLeft"], 1.0), (INDEX["browOuterUpRight"], 1.0))
#: Groups of expression channels by what speech does to them; the rest of the mouth is group 1, all else group 0.
_GROUPS: Final = (
    ("mouthSmile", "mouthDimple"),
    ("mouthFrown",),
    # They part or hide the lips, and must be gone while the lips have to meet.
    ("mouthUpperUp", "mouthLowerDown", "mouthFunnel", "jawOpen", "mouthStretch"),
    ("mouthPress", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
)


def _group_of_each() -> NDArray[np.intp]:
    group = np.zeros(len(ARKIT52), np.intp)
    group[list(MOUTH)] = 1
    for number, names in enumerate(_GROUPS, start=2):
        group[list(expand(dict.fromkeys(names, 1.0)))] = number
    return group


_GROUP: Final = _group_of_each()
_MOST = {
    fps: np.floor(np.where(np.isin(np.arange(len(ARKIT52)), FAST), MAX_FAST_STEP[fps], MAX_STEP[fps]) * 255.0).astype(
        np.int16
    )
    for fps in MAX_STEP
}
_JAW, _CLOSE = INDEX["jawOpen"], INDEX["mouthClose"]


def mix(mouth: Mouth, expression: Floats, eyes: Eyes, brows: Floats, presence: Floats) -> Floats:
    """Weights [frames, 52] in [0, 1]. `presence` [frames] scales the expression (1, falling to 0 at the item's end)."""
    face = mouth.weights.copy()
    if expression.any():
        face += expression * presence[:, None] * _gains(mouth)
    if brows.any():
        for channel, share in _BROWS:
            face[:, channel] += share * brows
    if eyes.blink.any():
        face[:, _LIDS] *= (1.0 - eyes.blink)[:, None]
        face[:, _BLINK] = np.maximum(face[:, _BLINK], eyes.blink[:, None])
    add_looks(face, eyes)
    np.clip(face, 0.0, 1.0, out=face)
    face[:, _CLOSE] = np.minimum(face[:, _CLOSE], face[:, _JAW])
    return face


def _gains(mouth: Mouth) -> Floats:
    """What is left of each expression channel while the mouth speaks, [frames, 52]."""
    need = np.maximum(mouth.closure, mouth.contact)
    share = 1.0 - (1.0 - SPEAKING_SHARE) * mouth.activity
    by_group = np.empty((len(share), 2 + len(_GROUPS)))
    by_group[:, 0] = 1.0
    by_group[:, 1] = share
    # Rounded lips cannot smile, and a wide grin must not pull a closure apart.
    by_group[:, 2] = share * ((1.0 - 0.55 * np.minimum(1.0, mouth.rounding)) * (1.0 - 0.35 * need))
    by_group[:, 3] = share * (1.0 - 0.35 * need)
    by_group[:, 4] = share * (1.0 - need)
    # Pressed lips belong to silence: while speaking they would look like closures that nobody hears.
    by_group[:, 5] = share * (1.0 - 0.9 * mouth.activity)
    return by_group.take(_GROUP, axis=1)


def quantise(weights: Floats) -> NDArray[np.uint8]:
    """u8 weights (value / 255); keeps mouthClose <= jawOpen. Raises ValueError for NaN or weights outside [0, 1]."""
    if weights.size and not (np.isfinite(weights).all() and weights.min() >= 0.0 and weights.max() <= 1.0):
        raise ValueError(
            f"weights must be finite and in [0, 1], got {float(np.nanmin(weights))}..{float(np.nanmax(weights))}"
        )
    result: NDArray[np.uint8] = np.rint(weights * 255.0).astype(np.uint8)
    return result


def limit_steps(frames: NDArray[np.uint8], before: NDArray[np.uint8], fps: int) -> NDArray[np.uint8]:
    """Hold every channel to the stated bound (`channels.MAX_STEP`, `MAX_FAST_STEP`) from frame to frame.

    `before` [52] is the frame ahead of the first. Natural speech stays inside by construction, so that the
    sequential pass runs only for pathological input (a rounded vowel of 20 ms at the very end); then mouthClose
    follows its jaw.
    """
    if len(frames) == 0:
        return frames
    most = _MOST[fps]
    poses = np.concatenate([before[None], frames]).astype(np.int16)
    if not (np.abs(np.diff(poses, axis=0)) > most).any():
        return frames
    for k in range(1, len(poses)):
        poses[k] = np.minimum(np.maximum(poses[k], poses[k - 1] - most), poses[k - 1] + most)
        poses[k, _CLOSE] = min(poses[k, _CLOSE], poses[k, _JAW])
    limited: NDArray[np.uint8] = poses[1:].astype(np.uint8)
    return limited


def fade_to_rest(pose: NDArray[np.uint8], elapsed_s: float) -> NDArray[np.uint8]:
    """What a client shows `elapsed_s` after a flush, or after the last frame it holds: `pose` fading linearly to rest.

    Shape [52] in and out; all zero from `REST_FADE_S` on. A blink in progress closes and opens no further: it fades
    too.
    """
    if pose.shape != (len(ARKIT52),):
        raise ValueError(f"a pose has {len(ARKIT52)} weights, got shape {pose.shape}")
    left = min(1.0, max(0.0, 1.0 - elapsed_s / REST_FADE_S))
    faded: NDArray[np.uint8] = np.rint(pose * left).astype(np.uint8)
    return faded
