"""What an end-of-turn detector promises: at a pause, how much silence it takes to believe that the player is done.

    sound   ▇▇▆▇▅▁____________________________
            speech   │← silence so far →│
                     last voiced sample  now        decision: `until` samples of silence after the last voiced one
                     │←────────── until ──────────────→│ turn over

The turn core calls `judge` when the voice-activity detector first reports a pause and again whenever something it
depends on changed (a new partial, a later frame); the newest judgement replaces the older ones. Deadlines are counted
from the last voiced sample, so the time a judgement takes, or its lateness, never adds to the wait.

Detectors are pure: no clock, no randomness, no state between calls. All times are samples at
`npc.audio.clock.LISTEN_RATE` (16 kHz).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from npc.audio.prosody import PauseProsody

#: Bounds of every judgement: the shortest and longest silence that may end a turn. From the latency budget of
#: `docs/hearing.md`: below 150 ms stop closures inside words look like pauses; above 1.2 s players repeat themselves.
SHORTEST_MS = 150
LONGEST_MS = 1200


@dataclass(frozen=True, slots=True)
class Pause:
    """Everything known about a turn at a moment of silence.

    `silence` is the samples since the last voiced sample, `speech` the samples between the first and the last voiced
    one. `text` is the newest partial ("" while nothing was recognised), of which `stable_words` leading words are not
    expected to change and whose last change is `text_age` samples ago. `speech_probability` is the voice-activity
    detector's newest value. `prosody` is measured on the last second before the pause, and `ending` is the log-odds by
    the sound alone that the voice has finished (`endpointing.voice`); both None where nobody measured.
    `audio` is the turn's newest sound (up to `EndOfTurnDetector.audio_seconds`, float32 in [-1, 1], silence included)
    and is only given to detectors that ask for it.
    """

    silence: int
    speech: int
    text: str = ""
    stable_words: int = 0
    text_age: int = 0
    confidence: float = 1.0
    speech_probability: float = 0.0
    prosody: PauseProsody | None = None
    ending: float | None = None
    language: str = "en"
    audio: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """`complete` is the probability that the turn is over; `until` the silence (from the last voiced sample, in
    samples) after which it counts as over unless speech resumes or a later judgement says otherwise."""

    complete: float
    until: int

    def remaining(self, silence: int) -> int:
        """Samples still to wait when `silence` samples have passed since the last voiced one; 0 when over."""
        return max(0, self.until - silence)


@runtime_checkable
class EndOfTurnDetector(Protocol):
    """Judges pauses. `judge` of the embedded detector takes well under a millisecond and may run on the event loop;
    a detector with `audio_seconds` > 0 runs a model on the sound and belongs on a worker."""

    name: str
    audio_seconds: float
    """Seconds of sound wanted in `Pause.audio`; 0 for detectors that need none."""

    def judge(self, pause: Pause) -> Judgement:
        """Judge one pause. `Judgement.until` lies in [SHORTEST_MS, LONGEST_MS]."""
