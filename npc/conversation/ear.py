"""The ear of a session: the player's sound in, voice onsets, pauses and end-of-turn judgements out. Runs on a worker.

    client rate ─▶ 16 kHz ─▶ 32 ms frames ─▶ own-voice guard ─▶ voice activity ─▶ gate ─▶ VoiceStarted, VoiceStopped
                                                     │                                     Heard (every frame)
                                                     ▼                              pause ─▶ end-of-turn ─▶ Judged
                                              sound for the recogniser

Positions are samples at 16 kHz since the session began. The gate opens on two voiced frames or one very sure one (in a
pause of a turn on any one: a voice that comes back is nothing new), and closes after two unvoiced ones; both are dated
back to where the voice really began or ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from npc.audio import prosody as voices
from npc.audio.clock import LISTEN_RATE
from npc.audio.resample import Resampler
from npc.audio.vad import FRAME, VadFrame, VadStream, VoiceGate
from npc.conversation.endpointing.interface import EndOfTurnDetector, Pause
from npc.conversation.endpointing.voice import shipped
from npc.conversation.talkover import Frame, Presence
from npc.conversation.turn_events import Heard, Judged, VoiceStarted, VoiceStopped

Pcm16 = NDArray[np.int16]
EarEvent = VoiceStarted | VoiceStopped | Heard | Judged

#: One frame this sure opens the gate alone: a pause of our output 32 ms earlier is worth a few false ones.
SURE = 0.85
#: A player's voice over the character opens the gate from this belief of the network on: it knows a first "s" or "f"
#: sooner than the voice-activity detector does.
OVERHEARD = 0.6
#: An echo path counts as being learnt for so many frames after it was found (EchoGuard's filter settles in 20), and
#: what is heard meanwhile as our own voice with at least this probability.
LEARNING_FRAMES, LEARNING = 24, 0.8
#: Unvoiced frames that close the gate.
CLOSING = 2
#: Our own sound does not lie further ahead of the player's than this, samples.
LONGEST_AHEAD = 2 * LISTEN_RATE
#: Sound kept for the prosody of a pause and for end-of-turn models that want to hear it.
_KEPT_SECONDS = 8


class OwnVoice(Protocol):
    """What the guard says of a frame: probability that it holds only our own voice, the frame without it, the delay of
    the echo in samples (None while there is none known), and our voice as it was sent for that time, if any."""

    @property
    def delay(self) -> int | None: ...

    @property
    def own_voice(self) -> float: ...

    @property
    def cleaned(self) -> Pcm16: ...

    @property
    def ours(self) -> NDArray[np.float64] | None: ...


@dataclass(frozen=True, slots=True)
class NotOurs:
    """A frame that nobody looked at."""

    cleaned: Pcm16
    own_voice: float = 0.0
    delay: int | None = None
    ours: NDArray[np.float64] | None = None


class OwnVoiceGuard(Protocol):
    """Recognises our own sound coming back through the microphone (`npc.audio.echo`)."""

    def sent(self, pcm: Pcm16, at: int) -> None:
        """Sound that plays at the player's from about input sample `at` on, at 16 kHz."""

    def heard(self, frame: Pcm16) -> OwnVoice:
        """Judge one frame of 512 samples."""


class TalkoverSense(Protocol):
    """Hears who speaks over the character (`npc.conversation.talkover`)."""

    def step(self, frame: Frame, sounding: bool) -> Presence | None:
        """Judge the next frame; `sounding`: our voice was sent out lately. None while we are silent."""


class NoOwnVoice:
    """For sessions whose client plays through headphones or cancels echo itself."""

    def sent(self, pcm: Pcm16, at: int) -> None:
        return None

    def heard(self, frame: Pcm16) -> OwnVoice:
        return NotOurs(frame)


@dataclass(frozen=True, slots=True)
class Sensed:
    """Events of a piece of sound in order, and the 16 kHz sound itself from input sample `start` on."""

    start: int
    sound: Pcm16
    events: tuple[EarEvent, ...]


@dataclass
class Partial:
    """The recogniser's newest text of the turn, as the end-of-turn detector wants it. Replaced whole, never changed."""

    text: str = ""
    stable_words: int = 0
    confidence: float = 1.0
    changed_at: int = 0
    language: str = "en"


@dataclass
class Ear:
    """One microphone. `sense` belongs to one lane; `partial` and `pitched` may be replaced from outside at any time."""

    rate: int
    vad: VadStream
    detector: EndOfTurnDetector
    guard: OwnVoiceGuard
    partial: Partial = field(default_factory=Partial)
    talkover: TalkoverSense | None = None
    pitched: bool = False
    """Measure the pitch of every voiced frame (0.1 ms each): a listening body wants it."""

    def __post_init__(self) -> None:
        self._resampler = Resampler(self.rate, LISTEN_RATE)
        self._gate = VoiceGate()
        self._at = 0
        self._frame_sound: Pcm16 = np.zeros(0, np.int16)
        self._recent: Pcm16 = np.zeros(0, np.int16)
        self._voice = False
        self._voice_start: int | None = None
        self._first: int | None = None
        self._last_end = 0
        self._turn_start: int | None = None
        self._unvoiced = 0
        self._own = 0.0
        self._learning = 0
        self._sounding_until = 0
        self._presence: Presence | None = None
        self._overheard = False
        self.prosody: voices.PauseProsody | None = None
        self._ending: float | None = None
        self._judged: tuple[int, float] | None = None

    def set_rate(self, rate: int) -> None:
        """The client changed its input format; what the old resampler held back (2 ms) is dropped."""
        if rate != self.rate:
            self.rate, self._resampler = rate, Resampler(rate, LISTEN_RATE)

    def configure(self, detector: EndOfTurnDetector, gate: tuple[float, float]) -> None:
        """Another detector and other (on, off) thresholds of the gate."""
        self.detector, self._gate = detector, VoiceGate(*gate)

    def new_turn(self) -> None:
        """The turn is over: the next pause is judged on its own. A voice that sounds belongs to the next turn."""
        self._turn_start = self._voice_start if self._voice else None
        self._judged, self.partial = None, Partial()

    def sent(self, pcm: Pcm16) -> None:
        """Our own voice at 16 kHz as it begins to sound at the player's: now, by the clock of the sound so far.

        That clock stands still while a client sends nothing (muted, push-to-talk): what sounded meanwhile comes in one
        piece when it sends again, and is over but for its end.
        """
        now = self._at + int(self._frame_sound.size)
        self.guard.sent(pcm, now)
        until = max(self._sounding_until, now) + int(pcm.size)
        self._sounding_until = until if until - now <= LONGEST_AHEAD else now + FRAME

    def sense(self, pcm: Pcm16) -> Sensed:
        """Take sound at the client's rate."""
        self._frame_sound = np.concatenate([self._frame_sound, self._resampler.push(pcm)])
        whole = self._frame_sound.size - self._frame_sound.size % FRAME
        start = self._at
        events: list[EarEvent] = []
        cleaned: list[Pcm16] = []
        for begin in range(0, whole, FRAME):
            sound = self._frame_sound[begin : begin + FRAME]
            own = self.guard.heard(sound)
            self._own = self._doubtful(own)
            cleaned.append(own.cleaned)
            self._recent = np.concatenate([self._recent, own.cleaned])[-_KEPT_SECONDS * LISTEN_RATE :]
            self._at += FRAME
            for frame in self.vad.push(own.cleaned):
                self._presence = self._over_us(sound, own, frame.probability)
                events += self._frame(frame)
        self._frame_sound = self._frame_sound[whole:]
        heard = np.concatenate(cleaned) if cleaned else np.zeros(0, np.int16)
        return Sensed(start, heard, tuple(events))

    def _over_us(self, sound: Pcm16, own: OwnVoice, speech: float) -> Presence | None:
        """Who is heard in a frame over the character."""
        if self.talkover is None:
            return None
        ours = np.zeros(FRAME) if own.ours is None else own.ours
        frame = Frame(sound, own.cleaned, ours, own.own_voice, own.delay is not None, speech)
        return self.talkover.step(frame, self._at - FRAME < self._sounding_until)

    def _doubtful(self, heard: OwnVoice) -> float:
        """Own-voice probability of a frame, kept high while the guard has only just found that there is an echo: in its
        first moments it takes what it cannot yet take out for a player."""
        if heard.delay is None:
            self._learning = 0
            return heard.own_voice
        self._learning += 1
        return max(heard.own_voice, LEARNING) if self._learning <= LEARNING_FRAMES else heard.own_voice

    def _frame(self, frame: VadFrame) -> Sequence[EarEvent]:
        voiced = self._gate.step(frame.probability)
        pitch = voices.newest_pitch(self._recent) if self.pitched and self._voice else 0.0
        player = talker = None
        if self._presence is not None:
            player, talker = round(self._presence.player, 3), round(self._presence.talker, 3)
        events: list[EarEvent] = [Heard(frame.end, self._own, round(float(frame.level_db), 2), pitch, player, talker)]
        overheard = player is not None and player >= OVERHEARD
        # The network remembers a voice for a while after its end: only one that it newly hears opens the gate.
        fresh, self._overheard = overheard and not self._overheard and not self._voice, overheard
        if voiced or fresh:
            self._unvoiced = 0
            second = self._first is not None
            self._first = frame.start if self._first is None else self._first
            if self._voice:
                self._last_end = frame.end
            elif second or fresh or frame.probability >= SURE or self._turn_start is not None:
                self._voice, self._voice_start, self._last_end = True, self._first, frame.end
                self._turn_start = self._first if self._turn_start is None else self._turn_start
                self._judged = None
                events.append(VoiceStarted(self._first, frame.end, self._own, player))
            return events
        self._first = None
        if self._voice:
            self._unvoiced += 1
            if self._unvoiced >= CLOSING:
                self._voice = False
                events.append(VoiceStopped(self._last_end, frame.end))
                self._measure()
        if not self._voice and self._turn_start is not None:
            events += self._judge(frame)
        return events

    def _measure(self) -> None:
        """How the voice sounded just before it stopped."""
        end = self._recent.size - (self._at - self._last_end)
        if end > LISTEN_RATE // 10:
            self.prosody, self._ending = voices.measure(self._recent, end), shipped().logit(self._recent, end)
        else:
            self.prosody = self._ending = None

    def _judge(self, frame: VadFrame) -> Sequence[EarEvent]:
        assert self._turn_start is not None
        partial = self.partial
        sound = None
        if self.detector.audio_seconds > 0:
            kept = self._recent[-round(self.detector.audio_seconds * LISTEN_RATE) :]
            sound = kept.astype(np.float32) / 32768.0
        judgement = self.detector.judge(
            Pause(
                silence=frame.end - self._last_end,
                speech=max(0, self._last_end - self._turn_start),
                text=partial.text,
                stable_words=partial.stable_words,
                text_age=max(0, frame.end - partial.changed_at),
                confidence=partial.confidence,
                speech_probability=frame.probability,
                prosody=self.prosody,
                ending=self._ending,
                language=partial.language,
                audio=sound,
            )
        )
        verdict = (judgement.until, round(judgement.complete, 4))
        if verdict == self._judged:
            return ()
        self._judged = verdict
        return (Judged(*verdict),)
