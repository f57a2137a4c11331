"""Text to speech: one interface (`npc.tts.interface`), engines behind it, voices as cards.

    voice card ──load()──▶ engine module (imported only now) ──▶ Synthesizer [─▶ watermark]

An engine is a module with `from_card(voice: InstalledVoice) -> Synthesizer`; third parties add one as an entry point in
the group `npc.tts` whose name is the card's `engine` and whose object is that function.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Final

from npc.config.authored import AuthoredFileError
from npc.tts.cards import InstalledVoice, VoiceCard, VoiceNotFound, choose, find_card, list_cards
from npc.tts.interface import EngineFailed, EngineUnavailable, Prosody, SpeechChunk, SpeechRequest, Synthesizer
from npc.tts.prosody import prosody_of

__all__ = [
    "ENGINES",
    "EngineFailed",
    "EngineUnavailable",
    "InstalledVoice",
    "Prosody",
    "SpeechChunk",
    "SpeechRequest",
    "Synthesizer",
    "VoiceCard",
    "VoiceNotFound",
    "choose",
    "engines",
    "find_card",
    "list_cards",
    "load",
    "prosody_of",
]

#: Engines of this package: name -> module with `from_card`.
ENGINES: Final[dict[str, str]] = {
    "flite": "npc.tts.flite",
    "espeak": "npc.tts.espeak",
    "piper": "npc.tts.piper",
    "coqui": "npc.tts.coqui",
}


def engines() -> tuple[str, ...]:
    """Names a card's `engine` may have: ours and those of installed third parties."""
    return tuple(sorted({*ENGINES, *(point.name for point in entry_points(group="npc.tts"))}))


def load(voice: InstalledVoice | str, *, watermark: bool = True) -> Synthesizer:
    """A card's voice, ready to speak. `watermark=False` leaves the mark out whatever the card says.

    Raises VoiceNotFound, AuthoredFileError (a setting the engine does not take, with file and line) or
    EngineUnavailable (a library or model is missing; says how to get it).
    """
    installed = find_card(voice) if isinstance(voice, str) else voice
    make = _maker(installed)
    try:
        synthesizer = make(installed)
    except AuthoredFileError:
        raise
    except ValueError as error:
        raise installed.complain(("settings",), str(error)) from error
    if watermark and installed.card.watermark:
        from npc.tts.watermark import Watermarked

        return Watermarked(synthesizer)
    return synthesizer


def _maker(voice: InstalledVoice) -> Callable[[InstalledVoice], Synthesizer]:
    name = voice.card.engine
    if name in ENGINES:
        maker: Callable[[InstalledVoice], Synthesizer] = importlib.import_module(ENGINES[name]).from_card
        return maker
    for point in entry_points(group="npc.tts"):
        if point.name == name:
            found: Callable[[InstalledVoice], Synthesizer] = point.load()
            return found
    raise voice.complain(("engine",), f"no engine {name!r}: there are {', '.join(engines())}")
