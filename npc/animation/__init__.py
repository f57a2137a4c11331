"""The body: faces that match the voice. Pure, deterministic, seeded; time is in samples of the spoken item."""

from npc.animation.channels import ARKIT52
from npc.animation.coarticulation import LOOKAHEAD_S, SpeechStyle
from npc.animation.face import TAIL_S, FaceAnimator
from npc.animation.interface import OCULUS15, Affect, BlendshapeBlock, BodyCue, FaceUpdate, VisemeCue
from npc.animation.mixer import fade_to_rest

__all__ = [
    "ARKIT52",
    "LOOKAHEAD_S",
    "OCULUS15",
    "TAIL_S",
    "Affect",
    "BlendshapeBlock",
    "BodyCue",
    "FaceAnimator",
    "FaceUpdate",
    "SpeechStyle",
    "VisemeCue",
    "fade_to_rest",
]
