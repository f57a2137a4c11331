"""Speech recognition: one interface (`interface.py`), engines in files named after what they wrap, loaded by name.

    recogniser = load("pocketsphinx", decoders=4)
    recogniser = load("faster_whisper", model="/models/whisper-small")

Third parties add an engine with an entry point of the group `npc.asr` whose value is a callable taking the settings.
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import Any

from npc.asr.interface import RecognizerError, StreamingRecognizer

__all__ = ["RecognizerError", "engines", "load"]

#: Engine name to (module, class); modules are imported when asked for, so an absent extra harms nobody.
_ENGINES = {
    "pocketsphinx": ("npc.asr.pocketsphinx", "PocketsphinxRecognizer"),
    "faster_whisper": ("npc.asr.faster_whisper", "FasterWhisperRecognizer"),
}
_EXTRA = {"faster_whisper": "local"}


def engines() -> tuple[str, ...]:
    """Names that `load` knows: ours, then installed third parties'."""
    return (*_ENGINES, *sorted(point.name for point in entry_points(group="npc.asr") if point.name not in _ENGINES))


def load(engine: str, **settings: Any) -> StreamingRecognizer:
    """The named engine with its settings. Raises ValueError for an unknown name or setting, RecognizerError when the
    engine's package or model is missing; the message says what to install or name."""
    if engine in _ENGINES:
        module, name = _ENGINES[engine]
        try:
            factory = getattr(importlib.import_module(module), name)
        except ImportError as error:
            extra = f"npc[{_EXTRA[engine]}]" if engine in _EXTRA else engine
            raise RecognizerError(f"recogniser {engine!r} needs {error.name}: pip install '{extra}'") from error
    else:
        found = [point for point in entry_points(group="npc.asr") if point.name == engine]
        if not found:
            raise ValueError(f"unknown recogniser {engine!r}: choose one of {', '.join(engines())}")
        factory = found[0].load()
    try:
        recognizer: StreamingRecognizer = factory(**settings)
    except TypeError as error:
        raise ValueError(f"recogniser {engine!r} does not take these settings: {error}") from error
    return recognizer
