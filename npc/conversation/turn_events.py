"""What the turn core is told (events) and what it wants done (effects). Samples are 16 kHz input samples."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class State(StrEnum):
    LISTENING = "listening"
    USER_SPEAKING = "user_speaking"
    THINKING = "thinking"
    SPEAKING = "speaking"
    MAYBE_INTERRUPTED = "maybe_interrupted"


@dataclass(frozen=True, slots=True)
class Rules:
    """How turns are taken in this session.

    `hands_free` false is push-to-talk: only `Committed` ends a turn. `respond` is `create_response`, `interruptible`
    is `interrupt_response` and `npc.interruption.enabled`. `temperament`: what the character does when cut in on:
    "yield" falls silent at once, "finish" ends its clause, "protest" falls silent and says so in its next words.
    """

    hands_free: bool = True
    respond: bool = True
    interruptible: bool = True
    min_words: int = 0
    temperament: Literal["yield", "finish", "protest"] = "yield"


# -- events ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VoiceStarted:
    """The voice-activity gate opened: first voiced sample `at`, newest sample `heard`. `player` as in `Heard`."""

    at: int
    heard: int
    own_voice: float = 0.0
    player: float | None = None


@dataclass(frozen=True, slots=True)
class VoiceStopped:
    """It closed: the last voiced sample was `at`."""

    at: int
    heard: int


@dataclass(frozen=True, slots=True)
class Heard:
    """Sound arrived up to `heard`. `own_voice`: how probable it is that the newest frame is only our echo; `level` is
    its level in dB of full scale, `pitch_hz` the voice's pitch (0: unvoiced, or nobody wants to know). While the
    character speaks `player` is the probability that somebody's voice is heard over it, `talker` that it is somebody
    who wants the floor; None where nothing listens for that (`npc.conversation.talkover`)."""

    heard: int
    own_voice: float = 0.0
    level: float = 0.0
    pitch_hz: float = 0.0
    player: float | None = None
    talker: float | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """The end-of-turn detector on the present pause: over after `until` samples of silence, with this belief."""

    until: int
    complete: float


@dataclass(frozen=True, slots=True)
class Words:
    """The recogniser's newest text of the open utterance; `echoed` when it is what the character itself is saying."""

    text: str
    confidence: float = 1.0
    echoed: bool = False


@dataclass(frozen=True, slots=True)
class Committed:
    """Push-to-talk released or `input_audio_buffer.commit`: the turn ends here."""

    heard: int


@dataclass(frozen=True, slots=True)
class Typed:
    """A typed turn wants an answer (or `response.create` does)."""


@dataclass(frozen=True, slots=True)
class NothingSaid:
    """The turn that ended held no words (or its response was not wanted)."""


@dataclass(frozen=True, slots=True)
class ReplyAudible:
    """The first sound of the reply left."""


@dataclass(frozen=True, slots=True)
class ReplyProgress:
    """The reply is still being played."""


@dataclass(frozen=True, slots=True)
class ReplyOver:
    """The reply was played out, failed, or was cancelled from outside."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed; sent at `wake(turn)`."""


Event = (
    VoiceStarted | VoiceStopped | Heard | Judged | Words | Committed | Typed | NothingSaid
    | ReplyAudible | ReplyProgress | ReplyOver | Tick
)  # fmt: skip


# -- effects -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entered:
    """The state changed; `label` is the word on the wire ("interrupted" is said once, between two states)."""

    label: str
    at: int


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    at: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    at: int


@dataclass(frozen=True, slots=True)
class OpenUtterance:
    """Start recognising from the sample `at`."""

    at: int


@dataclass(frozen=True, slots=True)
class DropUtterance:
    """What was being recognised was no turn (echo, cough, backchannel)."""

    backchannel: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """The turn is probably over at `at`: think ahead."""

    at: int


@dataclass(frozen=True, slots=True)
class DropDraft:
    """The player went on."""


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The turn `[start, end)` is over; `respond` says whether an answer is wanted of itself."""

    start: int
    end: int
    respond: bool


@dataclass(frozen=True, slots=True)
class PauseReply:
    at: int


@dataclass(frozen=True, slots=True)
class ResumeReply:
    pass


@dataclass(frozen=True, slots=True)
class CancelReply:
    """Stop the reply. "interrupted" by voice, "resumed" before it sounded, "typed" over, or "timeout"."""

    reason: Literal["interrupted", "resumed", "typed", "timeout"]
    finish_clause: bool = False


Effect = (
    Entered | SpeechStarted | SpeechStopped | OpenUtterance | DropUtterance | Draft | DropDraft | EndTurn
    | PauseReply | ResumeReply | CancelReply
)  # fmt: skip
