"""The embedded end-of-turn detector: words, melody and pace in one small logistic model. 20 µs a judgement.

    text ─▶ TextModel ─▶ log-odds ┐
    prosody ─▶ seven measures ────┴─▶ logistic regression ─▶ P(complete) ─▶ curve ─▶ silence to wait

Sure of an end it waits about 200 ms, unsure half a second, and 1.2 s when the clause is open. `model.json.gz` is made
by `python -m npc.training.endpointing`; `DATA_LICENSES.md` beside it says from what.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from npc.audio.clock import LISTEN_RATE
from npc.audio.prosody import PauseProsody
from npc.conversation.endpointing.interface import LONGEST_MS, SHORTEST_MS, Judgement, Pause
from npc.conversation.endpointing.text import TextModel

_MODEL = Path(__file__).with_name("model.json.gz")
_NO_PROSODY = PauseProsody()
#: Inputs of the logistic model, in order.
INPUTS = (
    "text", "no_text", "final_pitch", "pitch_slope", "final_level", "voiced", "final_voiced",
    "rate", "no_pitch", "text_x_pitch", "text_x_level",
)  # fmt: skip


def inputs(pause: Pause, text_logit: float) -> tuple[float, ...]:
    """The numbers of `INPUTS`, each about in [-3, 3]; prosody that nobody measured counts as middling."""
    heard = bool(pause.text)
    voice = pause.prosody or _NO_PROSODY
    no_pitch = voice.pitch_hz == 0.0
    text = max(-4.0, min(4.0, text_logit)) / 2.0 if heard else 0.0
    pitch = 0.0 if no_pitch else max(-3.0, min(3.0, voice.final_pitch / 3.0))
    level = 0.0 if pause.prosody is None else max(-3.0, min(3.0, (voice.final_level + 4.0) / 5.0))
    return (
        text,
        0.0 if heard else 1.0,
        pitch,
        0.0 if no_pitch else max(-3.0, min(3.0, voice.pitch_slope / 10.0)),
        level,
        (voice.voiced - 0.6) * 3.0 if pause.prosody is not None else 0.0,
        0.0 if no_pitch else min(3.0, voice.final_voiced_ms / 200.0 - 1.0),
        (voice.syllable_rate - 4.0) / 2.0 if pause.prosody is not None else 0.0,
        1.0 if no_pitch else 0.0,
        text * pitch,
        text * level,
    )


@dataclass(frozen=True, slots=True)
class Curve:
    """Silence to wait by P(complete): straight lines between (probability, milliseconds) points, level outside them."""

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if list(self.points) != sorted(self.points) or not self.points:
            raise ValueError(f"curve points must be in order of probability, got {self.points}")
        if any(not SHORTEST_MS <= wait <= LONGEST_MS for _, wait in self.points):
            raise ValueError(f"waits must lie in [{SHORTEST_MS}, {LONGEST_MS}] ms, got {self.points}")

    def milliseconds(self, probability: float) -> float:
        (low, wait), *rest = self.points
        if probability <= low:
            return wait
        for high, next_wait in rest:
            if probability <= high:
                return wait + (next_wait - wait) * (probability - low) / (high - low)
            low, wait = high, next_wait
        return wait


@dataclass(frozen=True, slots=True)
class Weights:
    """A trained detector: the text model, the weights of `INPUTS`, their bias and the curve."""

    text: Mapping[str, float]
    text_bias: float
    mix: Sequence[float]
    bias: float
    curve: Curve

    def __post_init__(self) -> None:
        if len(self.mix) != len(INPUTS):
            raise ValueError(f"expected {len(INPUTS)} weights ({', '.join(INPUTS)}), got {len(self.mix)}")


def save(path: Path, weights: Weights) -> None:
    """Write a detector; the same bytes every time."""
    data = {
        "inputs": INPUTS, "mix": list(weights.mix), "bias": weights.bias, "curve": weights.curve.points,
        "text_bias": weights.text_bias, "text": dict(sorted(weights.text.items())),
    }  # fmt: skip
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(json.dumps(data, separators=(",", ":")).encode())


def load(path: Path) -> Weights:
    """Read a detector. Raises ValueError naming the file when it was made for other inputs."""
    data: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    if tuple(data["inputs"]) != INPUTS:
        raise ValueError(f"{path} was trained for other inputs ({', '.join(data['inputs'])}): train it again")
    curve = Curve(tuple((float(p), float(wait)) for p, wait in data["curve"]))
    return Weights(data["text"], data["text_bias"], tuple(data["mix"]), data["bias"], curve)


@lru_cache(maxsize=1)
def _shipped() -> Weights:
    return load(_MODEL)


class EmbeddedDetector:
    """Judges pauses in English by words and melody, in other languages by melody alone."""

    name = "embedded"
    audio_seconds = 0.0

    def __init__(self, weights: Weights | None = None) -> None:
        self._weights = weights or _shipped()
        self._text = TextModel(self._weights.text, self._weights.text_bias)
        self._logits = lru_cache(maxsize=256)(self._text.logit)

    def judge(self, pause: Pause) -> Judgement:
        if pause.language.split("-")[0].lower() != "en":
            return self._decide(Pause(pause.silence, pause.speech, prosody=pause.prosody), 0.0)
        return self._decide(pause, self._logits(pause.text))

    def _decide(self, pause: Pause, text_logit: float) -> Judgement:
        values = inputs(pause, text_logit)
        logit = self._weights.bias + sum(w * x for w, x in zip(self._weights.mix, values, strict=True))
        complete = 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, logit))))
        return Judgement(complete, round(self._weights.curve.milliseconds(complete) * LISTEN_RATE / 1000))
