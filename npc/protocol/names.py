"""Names that travel: emotions and their mappings, ARKit-52 channels in Live Link Face order, protocol version."""

from __future__ import annotations

from typing import Literal, get_args

#: Version of the `npc.*` extension; the major part changes when an old client would misread something.
PROTOCOL_VERSION = "1.0"

Emotion = Literal[
    "neutral",
    "joy",
    "trust",
    "fear",
    "surprise",
    "sadness",
    "disgust",
    "anger",
    "anticipation",
    "curiosity",
    "concern",
    "amusement",
    "pride",
    "relief",
    "shame",
]
EMOTIONS: tuple[Emotion, ...] = get_args(Emotion)

#: To Plutchik's eight, with the share of the intensity that carries over; neutral maps to nothing. The dyads follow
#: Plutchik (1980): curiosity = trust + surprise, pride = anger + joy, shame = fear + disgust; the rest are nearest kin.
PLUTCHIK: dict[Emotion, dict[str, float]] = {
    "neutral": {},
    "joy": {"joy": 1.0},
    "trust": {"trust": 1.0},
    "fear": {"fear": 1.0},
    "surprise": {"surprise": 1.0},
    "sadness": {"sadness": 1.0},
    "disgust": {"disgust": 1.0},
    "anger": {"anger": 1.0},
    "anticipation": {"anticipation": 1.0},
    "curiosity": {"trust": 0.5, "surprise": 0.5},
    "concern": {"fear": 0.4, "sadness": 0.4},
    "amusement": {"joy": 0.7, "surprise": 0.3},
    "pride": {"joy": 0.6, "anger": 0.2},
    "relief": {"joy": 0.5, "trust": 0.3},
    "shame": {"fear": 0.5, "disgust": 0.5},
}

#: To the emotion presets of VRM 1.0 (happy, angry, sad, relaxed, surprised, neutral).
VRM: dict[Emotion, dict[str, float]] = {
    "neutral": {"neutral": 1.0},
    "joy": {"happy": 1.0},
    "trust": {"relaxed": 0.6, "happy": 0.3},
    "fear": {"surprised": 0.5, "sad": 0.5},
    "surprise": {"surprised": 1.0},
    "sadness": {"sad": 1.0},
    "disgust": {"angry": 0.6},
    "anger": {"angry": 1.0},
    "anticipation": {"happy": 0.3, "surprised": 0.2},
    "curiosity": {"surprised": 0.4, "happy": 0.2},
    "concern": {"sad": 0.5},
    "amusement": {"happy": 0.8},
    "pride": {"happy": 0.5, "relaxed": 0.3},
    "relief": {"relaxed": 1.0},
    "shame": {"sad": 0.6},
}

#: To the ten emotions of Audio2Face-3D (amazement anger cheekiness disgust fear grief joy outofbreath pain sadness).
A2F: dict[Emotion, dict[str, float]] = {
    "neutral": {},
    "joy": {"joy": 1.0},
    "trust": {"joy": 0.4},
    "fear": {"fear": 1.0},
    "surprise": {"amazement": 1.0},
    "sadness": {"sadness": 1.0},
    "disgust": {"disgust": 1.0},
    "anger": {"anger": 1.0},
    "anticipation": {"amazement": 0.3, "joy": 0.3},
    "curiosity": {"amazement": 0.5},
    "concern": {"sadness": 0.4, "fear": 0.2},
    "amusement": {"cheekiness": 0.6, "joy": 0.5},
    "pride": {"cheekiness": 0.4, "joy": 0.4},
    "relief": {"joy": 0.4, "outofbreath": 0.2},
    "shame": {"sadness": 0.5, "fear": 0.2},
}

_EYE = ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
#: The 52 ARKit blendshapes in Live Link Face order, which is also Audio2Face's: eyeBlinkLeft first, tongueOut last.
ARKIT52: tuple[str, ...] = (
    *(f"eye{part}Left" for part in _EYE),
    *(f"eye{part}Right" for part in _EYE),
    *("jawForward", "jawLeft", "jawRight", "jawOpen"),
    *("mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight"),
    *("mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight"),
    *("mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight"),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *("mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight"),
    *("mouthUpperUpLeft", "mouthUpperUpRight"),
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut"),
)

#: Oculus (OVR LipSync) visemes in their canonical order.
OCULUS15 = ("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "ih", "oh", "ou")
