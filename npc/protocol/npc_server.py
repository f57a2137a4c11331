"""`npc.*` events that the server sends, to clients that have opted in. Each names its character.

Times are samples. `clock: "output"` counts samples of the item, `clock: "input"` samples of the session's input audio
as the server received it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from npc.protocol.names import Emotion
from npc.protocol.wire import Id, NpcDown, Opt, Sample, ServerEventBase, Signed, Unit, Wire

TurnState = Literal["listening", "user_speaking", "maybe_interrupted", "thinking", "speaking", "interrupted"]


class NpcTurn(NpcDown):
    """Where the conversation stands; `at_sample` is the input sample that decided it."""

    type: Literal["npc.turn"] = "npc.turn"
    state: TurnState
    at_sample: Sample
    reason: Opt[str] = None


class NpcOutput(NpcDown):
    """What the client's playback does now. After `pause` comes `resume` from the same sample, or `flush`."""

    type: Literal["npc.output"] = "npc.output"
    response_id: Id
    item_id: Id
    action: Literal["duck", "pause", "resume", "flush"]
    at_sample: Sample
    fade_ms: Annotated[int, Field(ge=0, le=2000)] = 0
    gain: Opt[Unit] = None
    """Only with `duck`: the gain to go to."""


class Cue(Wire):
    """One entry of the performance score.

    | kind | name | also |
    |---|---|---|
    | word | the word as written | word_start, word_end (index in the item's text) |
    | viseme | Oculus-15 name | weight |
    | gesture, head | gesture name | stroke, weight |
    | backchannel | "mm-hm", "right", … | weight; input clock only: may be voiced or shown |
    | gaze | target kind | target (entity id) |
    | blink, breath | the same | weight |
    | emotion | emotion name | weight (intensity), valence, arousal, dominance |
    | action | tool name | call_id |
    """

    kind: Literal["word", "viseme", "gesture", "head", "gaze", "blink", "breath", "backchannel", "emotion", "action"]
    name: str
    at: Sample
    until: Opt[Sample] = None
    weight: Opt[Unit] = None
    stroke: Opt[Sample] = None
    target: Opt[str] = None
    word_start: Opt[Sample] = None
    word_end: Opt[Sample] = None
    valence: Opt[Signed] = None
    arousal: Opt[Signed] = None
    dominance: Opt[Signed] = None
    call_id: Opt[str] = None


class NpcCues(NpcDown):
    """Cues in order of `at`. `response_id` and `item_id` are there when the clock is the item's."""

    type: Literal["npc.cues"] = "npc.cues"
    clock: Literal["output", "input"]
    response_id: Opt[Id] = None
    item_id: Opt[Id] = None
    cues: list[Cue]


class NpcBlendshapes(NpcDown):
    """JSON form of the ARKit-52 track: weight = value / 255, frame k at sample `start + k * samples_per_frame`."""

    type: Literal["npc.blendshapes"] = "npc.blendshapes"
    response_id: Id
    item_id: Id
    start: Sample
    samples_per_frame: Annotated[int, Field(ge=1)]
    frames: list[list[Annotated[int, Field(ge=0, le=255)]]]


class EmotionState(Wire):
    label: Emotion
    intensity: Unit
    valence: Signed = 0.0
    arousal: Signed = 0.0
    dominance: Signed = 0.0


class NpcEmotion(NpcDown):
    """The character's state, and what was read in the player."""

    type: Literal["npc.emotion"] = "npc.emotion"
    state: EmotionState
    player: Opt[EmotionState] = None


class CitationSpan(Wire):
    """A fact and the words `[word_start, word_end)` of the item's text that it supports."""

    fact_id: str
    source: str
    word_start: Sample
    word_end: Sample


class NpcCitations(NpcDown):
    type: Literal["npc.citations"] = "npc.citations"
    response_id: Id
    item_id: Id
    citations: list[CitationSpan]


class NpcNarrative(NpcDown):
    type: Literal["npc.narrative"] = "npc.narrative"
    kind: Literal["section_entered", "objective_met", "decision_taken", "timed", "level_changed"]
    name: str
    detail: Opt[dict[str, Any]] = None


class NpcActionCancelled(NpcDown):
    """An announced action will not happen, or must be undone (`undo`)."""

    type: Literal["npc.action.cancelled"] = "npc.action.cancelled"
    call_id: Id
    name: str
    undo: bool = False


class NpcAssessment(NpcDown):
    type: Literal["npc.assessment"] = "npc.assessment"
    rubric_item: str
    score: float
    """Points given, of the item's weight; 0 while nothing was observed."""
    state: Literal["met", "not_met", "not_observed"] = "not_observed"
    confidence: Unit = 0.0
    reason: str = ""
    evidence: list[dict[str, Any]] = Field(default_factory=list)
    """Each `{turn, word_start, word_end, start_s, end_s, quote}`, seconds of the attempt."""


class NpcRehearsal(NpcDown):
    """Where a training attempt stands: sent when it begins, after every finished turn, and when it ends.

    `turns_saved` turns are on disk: an attempt that is cut off goes on from there (`session.npc.rehearsal.attempt`).
    `character` is the one that is spoken to: where several play, another one once it was addressed.
    """

    type: Literal["npc.rehearsal"] = "npc.rehearsal"
    attempt: Id
    scenario: Id
    version: str
    level: Id
    state: Literal["running", "paused", "finished"]
    outcome: str = "running"
    section: str = ""
    elapsed_s: float = 0.0
    turns_saved: Sample = 0
    score: Opt[float] = None
    """0-100, of what could be observed so far."""
    pass_mark: float = 0.0
    passed: Opt[bool] = None
    audio_kept: bool = False
    warnings: list[str] = Field(default_factory=list)


class NpcMetrics(NpcDown):
    """Latency waterfall of a response in ms on the server's clock, from the last voiced input sample."""

    type: Literal["npc.metrics"] = "npc.metrics"
    response_id: Id
    stages_ms: dict[str, float]
    speculation: Opt[dict[str, float]] = None


class NpcStatus(NpcDown):
    """Health of a part. `fallback` says what is used instead."""

    type: Literal["npc.status"] = "npc.status"
    component: Literal["asr", "llm", "tts", "animation", "memory"]
    state: Literal["ok", "degraded", "down"]
    fallback: Opt[str] = None
    message: Opt[str] = None


class NpcSaved(NpcDown):
    type: Literal["npc.saved"] = "npc.saved"
    slot: Id


class NpcLoaded(NpcDown):
    type: Literal["npc.loaded"] = "npc.loaded"
    slot: Id
    items: Sample = 0


class NpcResync(NpcDown):
    """After a resume past the replay buffer: events `first_lost` to `last_lost` are gone, this is the state instead."""

    type: Literal["npc.resync"] = "npc.resync"
    first_lost: Sample
    last_lost: Sample
    snapshot: dict[str, Any]


class NpcResumed(ServerEventBase):
    """First message on a resumed socket, without a number of its own: the next token, and what the server has.

    `received` counts the messages of this session that reached the server, of all its sockets: the client sends those
    after it again, and nothing said is lost. `input_samples` is the input audio in them. The old token stays good until
    the client has sent something on this socket.
    """

    type: Literal["npc.resumed"] = "npc.resumed"
    token: str
    window_s: float
    complete: bool
    received: Sample
    input_samples: Sample


class NpcRoomDown(NpcDown):
    type: Literal["npc.room"] = "npc.room"
    action: Literal["join", "leave", "address", "floor"]
    member: Id
    kind: Opt[Literal["character", "player"]] = None


class NpcInstructed(NpcDown):
    """What an instructor's action led to; sent to the instructor."""

    type: Literal["npc.instructed"] = "npc.instructed"
    action: str
    detail: Opt[dict[str, Any]] = None


NpcServerEvent = (
    NpcTurn
    | NpcOutput
    | NpcCues
    | NpcBlendshapes
    | NpcEmotion
    | NpcCitations
    | NpcNarrative
    | NpcActionCancelled
    | NpcAssessment
    | NpcRehearsal
    | NpcMetrics
    | NpcStatus
    | NpcSaved
    | NpcLoaded
    | NpcResync
    | NpcResumed
    | NpcRoomDown
    | NpcInstructed
)
