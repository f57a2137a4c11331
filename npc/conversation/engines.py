"""What a session is made of: the engines and the character, put together by `npc.server.assembly`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from npc.animation.interface import Animator
from npc.asr.interface import StreamingRecognizer
from npc.audio.vad import VoiceActivityDetector
from npc.conversation.companion import Companions
from npc.conversation.ear import NoOwnVoice, OwnVoiceGuard, TalkoverSense
from npc.conversation.endpointing.interface import EndOfTurnDetector
from npc.conversation.people import PlayerRef, Temperament
from npc.conversation.reply import Speaker
from npc.conversation.slots import SaveSlots, SlotsInMemory
from npc.conversation.workers import Workers
from npc.dialogue.interface import Mind


@dataclass(frozen=True, slots=True)
class Engines:
    """Shared by the sessions of one character; only `open_mind`, `guard`, `talkover` and lanes make state of a session.

    `recognizer` None means nothing is understood but typing, `speaker` None that replies are text. `lines` are what the
    character says when a part fails: "not_heard" (sound without words) and "lost_thread" (the mind failed).
    """

    character_id: str
    open_mind: Callable[[PlayerRef], Mind]
    workers: Workers
    vad: VoiceActivityDetector
    detector: EndOfTurnDetector
    recognizer: StreamingRecognizer | None = None
    speaker: Speaker | None = None
    others: Mapping[str, Speaker] = field(default_factory=dict)
    """Voices of further characters by id, where a scenario brings some."""
    animator: Animator | None = None
    guard: Callable[[], OwnVoiceGuard] = NoOwnVoice
    talkover: Callable[[], TalkoverSense | None] = lambda: None
    """Hears who speaks over the character; None: overlaps are judged by their length, level and words."""
    slots: SaveSlots = field(default_factory=SlotsInMemory)
    voice_id: str = ""
    voices: frozenset[str] = frozenset()
    """Voice ids that `session.update` may name; another leaves the character's own."""
    instructions: str = ""
    language: str = "en"
    temperament: Temperament = "yield"
    seed: int = 0
    greets: bool = True
    fillers: tuple[str, ...] = ()
    """What the character says while its mind keeps the player waiting for more than `filler_after` seconds (0: never)
    after the end of the turn."""
    filler_after: float = 0.0
    refine_budget: float = 0.15
    pronunciations: tuple[tuple[str, str], ...] = ()
    lines: Mapping[str, str] = field(
        default_factory=lambda: {
            "not_heard": "Sorry, I did not catch that.",
            "lost_thread": "Forgive me, I lost my thread. Could you say that again?",
        }
    )
    companions: Companions | None = None
    """Where training scenarios come from; None: `session.npc.scenario` is refused."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Of what replies rest on, for the session's log (`npc.dialogue.fingerprint`)."""
