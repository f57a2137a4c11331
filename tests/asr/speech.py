"""Speech for tests, spoken in process by Flite; tests that need it are skipped by name where it is not installed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from npc.audio.pcm import Pcm16
from npc.audio.resample import resample


@lru_cache(maxsize=64)
def say(text: str, voice: str = "slt") -> Pcm16:
    """16 kHz PCM16 of `text`, with 200 ms of silence at both ends."""
    try:
        from npc.tts.flite import FliteSettings, FliteVoice
        from npc.tts.interface import SpeechRequest

        speaker = FliteVoice(FliteSettings(voice))
    except Exception as error:
        pytest.skip(f"no Flite voice to speak with: {error}")
    pieces = [chunk.pcm for chunk in speaker.synthesize(SpeechRequest(text))]
    edge = np.zeros(3_200, np.int16)
    return np.concatenate([edge, resample(np.concatenate(pieces), speaker.sample_rate, 16_000), edge])
