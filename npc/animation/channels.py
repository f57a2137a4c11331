"""The 52 ARKit channels: names in Live Link Face order, regions, mirror pairs, and the bounds a track keeps.

Other orders and spellings are a matter of rig profiles (`npc.animation.rig`); inside the product only this order
exists. "Left" is the character's own left.
"""

from __future__ import annotations

from typing import Final

ARKIT52: Final = (
    "eyeBlinkLeft",
    "eyeLookDownLeft",
    "eyeLookInLeft",
    "eyeLookOutLeft",
    "eyeLookUpLeft",
    "eyeSquintLeft",
    "eyeWideLeft",
    "eyeBlinkRight",
    "eyeLookDownRight",
    "eyeLookInRight",
    "eyeLookOutRight",
    "eyeLookUpRight",
    "eyeSquintRight",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawRight",
    "jawOpen",
    "mouthClose",
    "mouthFunnel",
    "mouthPucker",
    "mouthLeft",
    "mouthRight",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "noseSneerLeft",
    "noseSneerRight",
    "tongueOut",
)

INDEX: Final = {name: i for i, name in enumerate(ARKIT52)}

#: Channels that shape the lips and jaw; speech owns them while it needs them.
MOUTH: Final = tuple(i for i, n in enumerate(ARKIT52) if n.startswith(("mouth", "jaw", "tongue")))
EYELIDS: Final = tuple(i for i, n in enumerate(ARKIT52) if n.startswith(("eyeBlink", "eyeSquint", "eyeWide")))
EYES: Final = tuple(i for i, n in enumerate(ARKIT52) if n.startswith("eyeLook"))
BROWS_AND_CHEEKS: Final = tuple(i for i, n in enumerate(ARKIT52) if n.startswith(("brow", "cheek", "nose")))

#: Blinks, saccades and lip closures are short on purpose; these channels carry them.
FAST: Final = tuple(
    i
    for i, n in enumerate(ARKIT52)
    if n.startswith(("eye", "mouthRoll", "mouthClose", "mouthPress", "mouthShrugLower"))
)

#: Largest change of a channel between neighbouring frames, by frame rate: 0.35 at 30 fps is the design's figure.
MAX_STEP: Final = {30: 0.35, 60: 0.22}
#: The same for the `FAST` channels: a lid closes in 65 ms.
MAX_FAST_STEP: Final = {30: 0.75, 60: 0.45}


def expand(weights: dict[str, float]) -> dict[int, float]:
    """Channel indices for a recipe in which a name without side ("mouthSmile") stands for both sides.

    Raises KeyError naming the recipe's unknown channel.
    """
    result: dict[int, float] = {}
    for name, weight in weights.items():
        if name in INDEX:
            result[INDEX[name]] = weight
        elif name + "Left" in INDEX:
            result[INDEX[name + "Left"]] = weight
            result[INDEX[name + "Right"]] = weight
        else:
            raise KeyError(f"{name!r} is no ARKit channel")
    return result
