"""Listening behaviour: nods, short backchannels and gaze, from the player's live prosody.

A pure core: `step(event, now)`.

    silent ──speech──▶ hearing ──low pitch ≥ 110 ms, or a short pause──▶ due ──delay──▶ nod (sometimes with "mm-hm")

The cue rule is Ward & Tsukahara's (2000): a stretch of pitch below the speaker's 26th percentile for 110 ms, after
at least 700 ms of speech and 800 ms since the last response, answered 700 ms after its start. Where no pitch is
known, a pause of 240 ms after 1.2 s of speech serves. Gaze: listeners look at the speaker about three quarters of
the time (Argyle; Kendon 1967). All times are samples of the input clock at `npc.audio.clock.LISTEN_RATE`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from npc.animation.eyes import lognormal
from npc.animation.interface import BodyCue
from npc.animation.prng import Xorshift32
from npc.audio.clock import LISTEN_RATE, samples_in


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame of the player's voice (10-40 ms) that ends at `now`: speech or not, and its pitch where known."""

    speech: bool
    pitch_hz: float | None = None
    energy_db: float = -30.0


@dataclass(frozen=True, slots=True)
class Attention:
    """The character starts (`True`) or stops listening: it stops while it speaks itself."""

    listening: bool


@dataclass(frozen=True, slots=True)
class Thinking:
    """The player's turn is over and the answer is being made: people look away, mostly up, until they speak."""

    active: bool


@dataclass(frozen=True, slots=True)
class Glance:
    """Something in the scene deserves a look: an entity's id. The eyes return to the player after 1.2-2 s."""

    target: str


Event = Heard | Attention | Thinking | Glance


def _s(milliseconds: float) -> int:
    return samples_in(milliseconds, LISTEN_RATE)


LOW_PITCH: Final = _s(110)
MIN_SPEECH: Final = _s(700)
AFTER_RESPONSE: Final = _s(800)
DELAY: Final = _s(700)
PAUSE: Final = _s(240)
PAUSE_AFTER: Final = _s(1200)
#: Beside the rule's own 800 ms: nods closer than this look servile (set by eye; gives 6-14 a minute of listening).
NOD_GAP: Final = _s(2200)
#: People answer about six in ten such openings (the rest pass in silence).
NOD_SHARE: Final = 0.62
#: Spoken backchannels are rarer; above one in six seconds they interrupt.
UTTER_GAP: Final = _s(6500)
#: Pitch memory for the percentile.
_PITCH_FRAMES: Final = 400
_UTTERANCES: Final = ("mm-hm", "mhm", "right", "I see")


class ListeningCore:
    """What a listener does. One per session; deterministic for a seed and a sequence of events."""

    def __init__(self, seed: int, player: str = "player") -> None:
        self._rng = Xorshift32(seed, 41)
        self._player = player
        self._pitches: deque[float] = deque(maxlen=_PITCH_FRAMES)
        self._listening = False
        self._last_now = 0
        self._spoke = 0
        self._silence = 0
        self._low = 0
        self._due: int | None = None
        self._last_nod = self._last_utterance = -(1 << 40)
        self._looking = True
        self._next_gaze = 0

    def step(self, event: Event, now: int) -> tuple[BodyCue, ...]:
        """Take in an event at input sample `now`; cues begin at or after `now`.
        Raises ValueError if time runs backwards.
        """
        if now < self._last_now:
            raise ValueError(f"input time ran backwards: {now} after {self._last_now}")
        length, self._last_now = now - self._last_now, now
        if isinstance(event, Attention):
            return self._attend(event.listening, now)
        if isinstance(event, Thinking):
            return self._think(now) if event.active else ()
        if isinstance(event, Glance):
            return self._glance(event.target, now)
        if not self._listening:
            return ()
        self._hear(event, length, now)
        return (*self._respond(now), *self._gaze(now))

    def _attend(self, listening: bool, now: int) -> tuple[BodyCue, ...]:
        if listening == self._listening:
            return ()
        self._listening = listening
        self._spoke = self._silence = self._low = 0
        self._due = None
        if not listening:
            return ()
        self._looking = True
        self._next_gaze = now + self._gaze_gap()
        return (self._look(now),)

    def _think(self, now: int) -> tuple[BodyCue, ...]:
        self._due = None
        self._next_gaze = now + self._gaze_gap()
        side = "left" if self._rng.unit() < 0.5 else "right"
        avert, tilt = self._rng.unit(), self._rng.unit()
        cues: list[BodyCue] = []
        if avert < 0.8:
            self._looking = False
            cues.append(BodyCue("gaze", f"avert_up_{side}", now, now + _s(200), weight=round(0.3 + 0.2 * tilt, 3)))
        if tilt < 0.45:
            cues.append(BodyCue("head", f"tilt_{side}", now, now + _s(600), weight=round(0.2 + 0.3 * avert, 3)))
        return tuple(cues)

    def _glance(self, target: str, now: int) -> tuple[BodyCue, ...]:
        back = now + _s(1200 + 800 * self._rng.unit())
        self._looking = True
        self._next_gaze = back + self._gaze_gap()
        return (BodyCue("gaze", "look", now, back, target=target), self._look(back))

    def _hear(self, event: Heard, length: int, now: int) -> None:
        if not event.speech:
            before, self._silence = self._silence, self._silence + length
            self._low = 0
            if before < PAUSE <= self._silence and self._spoke >= PAUSE_AFTER and self._due is None:
                self._due = now + _s(60)
            if self._silence >= _s(900):
                self._spoke = 0
            return
        self._spoke += length
        self._silence = 0
        if event.pitch_hz is None or event.pitch_hz <= 0.0:
            return
        self._pitches.append(event.pitch_hz)
        self._low = self._low + length if event.pitch_hz < self._threshold() else 0
        if self._low >= LOW_PITCH and self._spoke >= MIN_SPEECH and self._due is None:
            self._due = now - self._low + DELAY
            self._low = 0

    def _threshold(self) -> float:
        """The 26th percentile of the speaker's recent pitch; nothing is low until a second or so was heard."""
        if len(self._pitches) < 40:
            return 0.0
        return sorted(self._pitches)[int(0.26 * len(self._pitches))]

    def _respond(self, now: int) -> tuple[BodyCue, ...]:
        if self._due is None or now < self._due:
            return ()
        self._due = None
        if now - self._last_nod < max(AFTER_RESPONSE, NOD_GAP) or self._rng.unit() >= NOD_SHARE:
            return ()
        self._last_nod = now
        size = 0.35 + 0.4 * self._rng.unit()
        double = self._rng.unit() < 0.3
        length = _s(760 if double else 420)
        cues = [BodyCue("head", "nod_twice" if double else "nod", now, now + length, now + _s(150), round(size, 3))]
        utter = self._rng.unit()
        if now - self._last_utterance >= UTTER_GAP and self._spoke >= _s(2500) and utter < 0.35:
            self._last_utterance = now
            word = _UTTERANCES[self._rng.below(len(_UTTERANCES))]
            cues.append(BodyCue("backchannel", word, now, now + _s(400), None, 0.5))
        return tuple(cues)

    def _gaze_gap(self) -> int:
        seconds = lognormal(self._rng, 3.6 if self._looking else 1.15, 0.5, 0.5, 9.0)
        return round(seconds * LISTEN_RATE)

    def _look(self, now: int) -> BodyCue:
        return BodyCue("gaze", "look", now, now + _s(200), target=self._player)

    def _gaze(self, now: int) -> tuple[BodyCue, ...]:
        if now < self._next_gaze:
            return ()
        self._looking = not self._looking
        self._next_gaze = now + self._gaze_gap()
        if self._looking:
            return (self._look(now),)
        name = ("avert_side_left", "avert_side_right", "avert_down_left", "avert_down_right")[self._rng.below(4)]
        return (BodyCue("gaze", name, now, now + _s(200), weight=round(0.2 + 0.2 * self._rng.unit(), 3)),)
