"""A voice process that does what the name of its "model" says; run by the tests in place of Coqui's.

vits / xtts       speaks: a tone per unit, or Flite's speech in pieces of 0.4 s at 24 kHz
crash             dies in the middle of the first clause, speaks after it was started again (a file remembers)
always-crash      dies in every clause       hang      never answers a clause
babble            prints to stdout           refuse    cannot load
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "npc" / "tts"))
import coqui_worker

sys.path.pop(0)


def load(request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    folder = Path(request["model"])
    manner = folder.name
    if manner == "refuse":
        raise ValueError("no checkpoint here")
    if manner == "babble":
        os.write(OUT, b"Downloading a model, please wait ..." * 9)
    streams = manner.startswith("xtts")

    def speak(wish: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
        if manner == "hang":
            time.sleep(600)
        if manner == "always-crash" or (manner == "crash" and not (folder / "died").exists()):
            (folder / "died").touch()
            sys.stderr.write("segmentation fault, as they say\n")
            sys.stderr.flush()
            os._exit(139)
        if streams:
            yield from flite(wish)
        else:
            yield tones(wish)

    kind = "xtts" if streams else "vits"
    rate = 24_000 if streams else 22_050
    return speak, {"kind": kind, "sample_rate": rate, "phonemes": False}


def tones(wish: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    each = round(1_800 * float(wish["length"]))
    at = np.arange(each) / 22_050
    parts = [0.2 * np.sin(2 * np.pi * (300 + 20 * (ord(unit[0]) % 32)) * at) for unit in wish["units"]]
    audio = np.concatenate(parts).astype("<f4")
    return {"samples": [each] * len(parts)}, audio.tobytes()


def flite(wish: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
    from npc.audio.resample import resample
    from npc.tts.flite import FliteSettings, FliteVoice
    from npc.tts.interface import Prosody, SpeechRequest

    request = SpeechRequest(wish["text"], Prosody(rate=1.0 / wish["length"]))
    pcm = np.concatenate([chunk.pcm for chunk in FliteVoice(FliteSettings("rms")).synthesize(request)])
    audio = (resample(pcm, 16_000, 24_000) / 32_768.0).astype("<f4")
    for start in range(0, audio.size, 9_600):
        yield {}, audio[start : start + 9_600].tobytes()


OUT = os.dup(1)
coqui_worker.load = load
sys.exit(coqui_worker.main())
