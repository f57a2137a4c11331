"""What the body does while the character does not speak: nods, "mm-hm", gaze and thinking looks, on the input clock.

    ear ──Heard (voice, pitch, level)──┐
    turn core ──Entered (who has it)───┼─▶ ListeningCore (npc.animation.listening) ─▶ wanted? ─▶ npc.cues {clock: input}
    scene ──what the player attends to─┘

The core decides; this shell turns the session's events into its own, and its cues into the wire's at the client's rate.
"""

from __future__ import annotations

from collections.abc import Callable

from npc.animation.interface import BodyCue
from npc.animation.listening import Attention, Event, Glance, Heard, ListeningCore, Thinking
from npc.audio.clock import LISTEN_RATE, rescale
from npc.conversation import turn_events as turns
from npc.conversation.turn_events import State
from npc.protocol import Cue, Cues, NpcCues

#: Frames in which a voice is probably our own echo are nobody to nod at.
_OURS = 0.5
_WORDS = {"backchannel", "gesture", "head", "breath"}


class Attending:
    """The listening body of one session. `send` takes the messages; `wish` says what the client wants to have."""

    def __init__(self, character: str, seed: int, send: Callable[[NpcCues], None]) -> None:
        self._character, self._send = character, send
        self._core = ListeningCore(seed)
        self._now = 0
        self._rate = LISTEN_RATE
        self._wish = Cues(gestures=False, gaze=False)

    @property
    def wanted(self) -> bool:
        """Whether anything of it would be sent."""
        return self._wish.gestures or self._wish.gaze

    def configure(self, wish: Cues | None, rate: int) -> None:
        """`wish` None: the client knows nothing of `npc.*`. `rate` is that of its input audio."""
        self._wish = wish or Cues(gestures=False, gaze=False)
        self._rate = rate
        if self.wanted:
            self._step(Attention(True), self._now)

    def heard(self, event: turns.Heard, voice: bool) -> None:
        """A frame of the player's sound; `voice`: somebody speaks."""
        if self.wanted:
            speech = voice and event.own_voice < _OURS
            self._step(Heard(speech, event.pitch_hz or None, event.level), event.heard)

    def entered(self, label: str, at: int) -> None:
        """The turn core changed state; `label` is the word on the wire."""
        if not self.wanted:
            return
        if label == State.THINKING:
            self._step(Attention(False), at)
            self._step(Thinking(True), at)
        elif label == State.SPEAKING:
            self._step(Attention(False), at)
        elif label in (State.LISTENING, State.USER_SPEAKING):
            self._step(Attention(True), at)

    def glance(self, entity: str) -> None:
        """The player's attention went to something in the scene: look there for a moment."""
        if self.wanted:
            self._step(Glance(entity), self._now)

    def _step(self, event: Event, now: int) -> None:
        # A decision about the past (an onset is dated back) takes hold now.
        self._now = max(self._now, now)
        cues = [cue for cue in self._core.step(event, self._now) if self._of_use(cue)]
        if cues:
            cues.sort(key=lambda cue: cue.at)
            wire = [self._wire(cue) for cue in cues]
            self._send(NpcCues(character=self._character, clock="input", cues=wire))

    def _of_use(self, cue: BodyCue) -> bool:
        return self._wish.gestures if cue.kind in _WORDS else self._wish.gaze

    def _wire(self, cue: BodyCue) -> Cue:
        def at(sample: int) -> int:
            return rescale(sample, LISTEN_RATE, self._rate)

        return Cue.model_validate(
            {
                "kind": cue.kind,
                "name": cue.name,
                "at": at(cue.at),
                "until": at(cue.until),
                "stroke": None if cue.stroke is None else at(cue.stroke),
                "weight": cue.weight,
                "target": cue.target,
            }
        )
