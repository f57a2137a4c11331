"""The engines that the settings name, each loaded by one function. Nothing is imported before its profile needs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.asr.interface import StreamingRecognizer
from npc.audio.clock import LISTEN_RATE
from npc.audio.resample import Resampler
from npc.audio.vad import VoiceActivityDetector
from npc.config.settings import Settings
from npc.conversation.ear import NoOwnVoice, OwnVoiceGuard
from npc.conversation.endpointing.interface import EndOfTurnDetector
from npc.inference.interface import LanguageModel


def load_vad(settings: Settings) -> VoiceActivityDetector:
    from npc.audio.vad import load_vad as load

    return load(settings.asr.vad)


def load_detector(settings: Settings) -> EndOfTurnDetector:
    """The end-of-turn detector: ours, or an ONNX model by path."""
    from npc.conversation.endpointing.embedded import EmbeddedDetector

    if settings.asr.end_of_turn == "embedded":
        return EmbeddedDetector()
    from npc.conversation.endpointing.smart_turn import SmartTurnDetector

    path = Path(settings.asr.end_of_turn)
    if not path.is_file():
        raise RuntimeError(f"asr.end_of_turn: there is no file {path}")
    return SmartTurnDetector(path)


def load_recognizer(settings: Settings) -> StreamingRecognizer | None:
    """The recogniser, or None for typing only."""
    if settings.asr.engine == "none":
        return None
    from npc import asr

    model = {"model": settings.asr.model} if settings.asr.model else {}
    return asr.load(settings.asr.engine, **model)


def load_model(settings: Settings) -> LanguageModel | None:
    """The language model behind the mind, or None where `composed` answers alone."""
    mind = settings.llm
    if mind.model == "composed":
        return None
    if mind.model == "openai_compatible":
        from npc.inference.openai_compatible import Endpoint, OpenAICompatible

        return OpenAICompatible(Endpoint(base_url=mind.url or "", model=mind.name or "", api_key=mind.key))
    path = Path(mind.path or "")
    if not path.is_dir():
        raise RuntimeError(f"llm.path: there is no directory {path}")
    if mind.model == "transformers":
        from npc.inference.transformers import TransformersModel

        return TransformersModel(path)
    from npc.inference.native import NativeModel, NativeSettings
    from npc.inference.steering import load_directions

    for name, folder in (("draft", mind.draft), ("adapters", mind.adapters)):
        if folder is not None and not folder.expanduser().is_dir():
            raise RuntimeError(f"llm.{name}: there is no directory {folder}")
    model = NativeModel.load(path, NativeSettings(draft=mind.draft))
    for folder in sorted(mind.adapters.expanduser().iterdir()) if mind.adapters is not None else ():
        if folder.is_dir() and not folder.name.startswith("."):
            model.add_adapter(folder.name, folder)
    for direction in load_directions(mind.directions) if mind.directions is not None else ():
        model.add_direction(direction)
    return model


def transcribe(recognizer: StreamingRecognizer, pcm: NDArray[np.int16], rate: int) -> str:
    """Words of a whole recording, with the second pass where the engine has one. Blocking."""
    if rate != LISTEN_RATE:
        resampler = Resampler(rate, LISTEN_RATE)
        pcm = np.concatenate([resampler.push(pcm), resampler.flush()])
    stream = recognizer.open()
    try:
        stream.accept(pcm)
        first = stream.finish()
        return (stream.refine() or first).text.strip()
    finally:
        stream.close()


def load_animator() -> Any:
    from npc.animation import FaceAnimator

    return FaceAnimator()


def guard_maker(settings: Settings) -> Callable[[], OwnVoiceGuard]:
    """Makes the own-voice guard of a session."""
    if not settings.asr.own_voice:
        return NoOwnVoice
    from npc.audio.echo import EchoGuard

    return EchoGuard
