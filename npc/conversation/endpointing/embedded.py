"""The embedded end-of-turn detector: what was said and how it sounded in one small logistic model. 20 µs a judgement.

    text ─▶ TextModel ─▶ log-odds ┐
    sound ─▶ VoiceModel ─▶ ending ┴─▶ logistic regression ─▶ P(complete) ─▶ curve ─▶ silence to wait

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
from npc.conversation.endpointing.interface import LONGEST_MS, SHORTEST_MS, Judgement, Pause
from npc.conversation.endpointing.text import TextModel

_MODEL = Path(__file__).with_name("model.json.gz")
#: Inputs of the logistic model, in order.
INPUTS = ("text", "voice", "text_x_voice", "text_alone", "no_text", "no_voice")


def inputs(pause: Pause, text_logit: float) -> tuple[float, ...]:
    """The numbers of `INPUTS`, each in [-3, 3]; what nobody heard or measured counts as middling."""
    text = max(-4.0, min(4.0, text_logit)) / 2.0 if pause.text else 0.0
    voice = 0.0 if pause.ending is None else max(-6.0, min(6.0, pause.ending)) / 2.0
    no_voice = float(pause.ending is None)
    return (text, voice, text * voice, text * no_voice, float(not pause.text), no_voice)


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
    """Judges pauses in English by words and voice, in other languages by the voice alone."""

    name = "embedded"
    audio_seconds = 0.0

    def __init__(self, weights: Weights | None = None) -> None:
        self._weights = weights or _shipped()
        self._text = TextModel(self._weights.text, self._weights.text_bias)
        self._logits = lru_cache(maxsize=256)(self._text.logit)

    def judge(self, pause: Pause) -> Judgement:
        if pause.language.split("-")[0].lower() != "en":
            return self._decide(Pause(pause.silence, pause.speech, ending=pause.ending), 0.0)
        return self._decide(pause, self._logits(pause.text))

    def _decide(self, pause: Pause, text_logit: float) -> Judgement:
        values = inputs(pause, text_logit)
        logit = self._weights.bias + sum(w * x for w, x in zip(self._weights.mix, values, strict=True))
        complete = 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, logit))))
        return Judgement(complete, round(self._weights.curve.milliseconds(complete) * LISTEN_RATE / 1000))
