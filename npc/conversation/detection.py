"""From a client's `turn_detection` to an end-of-turn detector.

semantic_vad   the character's own detector; eagerness high waits 0.7 times as long, low 1.6 times
server_vad     plain silence of `silence_duration_ms`
null           push-to-talk: pauses are judged but nobody acts on it (`turn.Rules.hands_free`)
"""

from __future__ import annotations

from dataclasses import dataclass, field

from npc.audio.clock import LISTEN_RATE
from npc.conversation.endpointing.interface import EndOfTurnDetector, Judgement, Pause
from npc.protocol import SemanticVad, ServerVad

#: Factors on the wait. OpenAI documents longest waits of 8, 4 and 2 s for low, medium and high; ours spread less, since
#: the detector already knows most pauses for what they are.
EAGERNESS = {"low": 1.6, "medium": 1.0, "auto": 1.0, "high": 0.7}


@dataclass(slots=True)
class FixedSilence:
    """Every pause ends the turn after the same silence, in samples."""

    until: int
    name: str = "server_vad"
    audio_seconds: float = 0.0

    def judge(self, pause: Pause) -> Judgement:
        return Judgement(0.5, self.until)


@dataclass(slots=True)
class Scaled:
    """Another detector's judgement with the wait times `factor`."""

    inner: EndOfTurnDetector
    factor: float
    name: str = "scaled"
    audio_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        self.audio_seconds = self.inner.audio_seconds

    def judge(self, pause: Pause) -> Judgement:
        judgement = self.inner.judge(pause)
        return Judgement(judgement.complete, round(judgement.until * self.factor))


def detector_for(detection: SemanticVad | ServerVad | None, semantic: EndOfTurnDetector) -> EndOfTurnDetector:
    """The detector that does what the client asked for."""
    if isinstance(detection, ServerVad):
        return FixedSilence(LISTEN_RATE * detection.silence_duration_ms // 1000)
    if isinstance(detection, SemanticVad) and EAGERNESS[detection.eagerness] != 1.0:
        return Scaled(semantic, EAGERNESS[detection.eagerness])
    return semantic


def gate_for(detection: SemanticVad | ServerVad | None) -> tuple[float, float]:
    """(on, off) thresholds of the voice gate; Silero's advice is to close 0.15 below the opening threshold."""
    on = min(0.95, max(0.2, detection.threshold)) if isinstance(detection, ServerVad) else 0.5
    return on, max(0.05, on - 0.15)
