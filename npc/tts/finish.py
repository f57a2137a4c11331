"""What every engine does to its raw sound: bring it to one level, keep it from clipping, and cut the silences.

A voice speaks at LEVEL_DB, starts within LEAD_IN_MS of the first sample (every millisecond of leading silence is heard
as hesitation), and ends with the pause that its last mark asks for (the conversation loop adds none of its own).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.tts.interface import Pcm16

#: A clause, not a chapter: at 15 characters a second this is over a minute of speech.
MAX_TEXT: Final = 1_000
#: Digits and symbols say much with few characters: an engine that others wait for refuses a clause longer than this.
MAX_SOUND_S: Final = 120
#: Level of active speech in dB full scale; peaks of these voices then stay under the limiter's knee.
LEVEL_DB: Final = -20.0
LEAD_IN_MS: Final = 20
#: Pause after a clause by its last mark, at rate 1.
PAUSE_MS: Final = {".": 120, "!": 120, "?": 120, "…": 120, ";": 80, ":": 80, ",": 60}
_PAUSE_ELSE_MS: Final = 40
#: Samples are linear up to this share of full scale and bend softly above, so that no emphasis can wrap or clip hard.
_KNEE: Final = 0.7
_CLOSING: Final = "\"'”’»)]}*_ \t\n"


def check_length(text: str) -> None:
    """Raises ValueError when the text is too long for one clause, whose sound is the bound of every queue behind it."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"a clause may have {MAX_TEXT} characters, got {len(text)}: split it")


def pause_samples(text: str, rate: float, sample_rate: int) -> int:
    """Length of the pause after a clause spoken `rate` times as fast as usual."""
    last = text.rstrip(_CLOSING)[-1:]
    return round(PAUSE_MS.get(last, _PAUSE_ELSE_MS) / rate * sample_rate / 1000.0)


def soft_limit(samples: NDArray[np.float64]) -> Pcm16:
    """Float samples (full scale 1) to PCM16, linear below 0.7 and bent towards 1 above; never wraps."""
    size = np.abs(samples)
    if samples.size and size.max() > _KNEE:
        bent = _KNEE + (1.0 - _KNEE) * np.tanh((size - _KNEE) / (1.0 - _KNEE))
        samples = np.where(size > _KNEE, np.sign(samples) * bent, samples)
    return np.rint(samples * 32767.0).astype(np.int16)


def active_db(samples: NDArray[np.float64], sample_rate: int) -> float:
    """Level in dB full scale of the speech without its pauses: mean power of the 10 ms within 30 dB of the loudest."""
    step = sample_rate // 100
    whole = samples[: samples.size // step * step].reshape(-1, step)
    power = np.mean(whole**2, axis=1)
    if not power.size or power.max() <= 0.0:
        return -120.0
    return float(10.0 * np.log10(power[power >= power.max() * 1e-3].mean()))
