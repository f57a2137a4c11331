"""The session object, what a client may change in it, and the pure rule that merges a change.

`Session` holds effective values and is always sent whole. `SessionPatch` is what `session.update` brings: the fields
that were given (`model_fields_set`), whatever their defaults.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError

from npc.protocol.items import Tool
from npc.protocol.names import ARKIT52, PROTOCOL_VERSION
from npc.protocol.scene import Scene
from npc.protocol.wire import Id, Opt, Sample, Wire


class AudioFormat(Wire):
    """PCM16 little-endian mono at 24 or 16 kHz."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000, 16000] = 24000


class ServerVad(Wire):
    """Turns end on silence. Defaults are those of the Realtime API; `idle_timeout_ms` null means never."""

    nullable: ClassVar[frozenset[str]] = frozenset({"idle_timeout_ms"})

    type: Literal["server_vad"]
    threshold: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    prefix_padding_ms: Annotated[int, Field(ge=0, le=5000)] = 300
    silence_duration_ms: Annotated[int, Field(ge=100, le=10000)] = 500
    idle_timeout_ms: Annotated[int, Field(ge=1000, le=600000)] | None = None
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(Wire):
    """Turns end when the player seems to be done. Eagerness trades waiting against cutting in."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class Transcription(Wire):
    """How input is transcribed. The effective `model` is the server's own."""

    model: Opt[str] = None
    language: Opt[str] = None
    prompt: Opt[str] = None


class NoiseReduction(Wire):
    type: Opt[Literal["near_field", "far_field"]] = None


class AudioInput(Wire):
    """Input half. `turn_detection: null` is push-to-talk, `transcription: null` hides the transcripts."""

    nullable: ClassVar[frozenset[str]] = frozenset({"turn_detection", "transcription", "noise_reduction"})

    format: AudioFormat = AudioFormat()
    turn_detection: TurnDetection | None = SemanticVad(type="semantic_vad")
    transcription: Transcription | None = Transcription()
    noise_reduction: NoiseReduction | None = None


class VoiceRef(Wire):
    id: str


class AudioOutput(Wire):
    """Output half. A voice that does not exist here leaves the character's own voice in effect."""

    format: AudioFormat = AudioFormat()
    voice: str | VoiceRef = ""
    speed: Annotated[float, Field(ge=0.25, le=1.5)] = 1.0


class Audio(Wire):
    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class Player(Wire):
    """Who is talking. Memory is kept under `id`."""

    id: Opt[Id] = None
    name: Opt[Annotated[str, Field(max_length=200)]] = None
    locale: Opt[str] = None


class Transport(Wire):
    """How audio and blendshapes travel, and how far ahead of real time audio is sent."""

    audio: Literal["base64", "binary"] = "base64"
    animation: Literal["json", "binary"] = "json"
    lead_ms: Annotated[int, Field(ge=100, le=500)] = 200


class Cues(Wire):
    """Which tracks of the performance score the client wants."""

    visemes: Literal["oculus15", "none"] = "oculus15"
    blendshapes: Literal["arkit52", "none"] = "none"
    fps: Literal[30, 60] = 60
    words: bool = True
    gestures: bool = True
    gaze: bool = True
    emotion: bool = True


class Privacy(Wire):
    """`remote_llm` lets the text of this session leave the machine; `retain` bounds what is kept."""

    remote_llm: bool = False
    retain: Annotated[str, Field(pattern=r"^(session|none|days:[1-9]\d{0,4})$")] = "session"


class Interruption(Wire):
    """Whether the player may cut in, and how many words it takes (0: the turn core decides by sound alone)."""

    enabled: bool = True
    min_words: Annotated[int, Field(ge=0, le=10)] = 0


class Resume(Wire):
    """Token for the sub-protocol `npc-resume.<token>`, good for `window_s` seconds after the socket drops."""

    token: str
    window_s: float


class Limits(Wire):
    """What the server accepts: bytes in one message, input audio in one append, sessions of this server."""

    max_message_bytes: int
    max_append_ms: int
    max_text_chars: int


class Capabilities(Wire):
    """What the server can do, told once to a client that has opted in."""

    protocol_version: str = PROTOCOL_VERSION
    audio_rates: list[int] = Field(default_factory=lambda: [24000, 16000])
    fps: list[int] = Field(default_factory=lambda: [30, 60])
    blendshapes: list[str] = Field(default_factory=lambda: list(ARKIT52))
    idle_seed: Sample = 0
    """Seed from which clients render blinks, breathing and saccades, so that all of them agree."""
    limits: Opt[Limits] = None


class Consent(Wire):
    """What the trainee agreed to. Without `audio` no sound is kept."""

    audio: bool = False


class Rehearsal(Wire):
    """How a training scenario is run: its level of difficulty, consent, and an attempt to go on with."""

    level: Opt[Id] = None
    consent: Consent = Consent()
    attempt: Opt[Id] = None


class NpcSession(Wire):
    """`session.npc`: everything the base protocol lacks. Sending it, even empty, opts in to `npc.*` events."""

    player: Player = Player()
    transport: Transport = Transport()
    cues: Cues = Cues()
    characters: Annotated[list[Id], Field(max_length=16)] = Field(default_factory=list)
    scene: Opt[Scene] = None
    scenario: Opt[Id] = None
    """A training scenario to begin, before anything was said; its character is the connection's."""
    rehearsal: Opt[Rehearsal] = None
    save_slot: Opt[Id] = None
    privacy: Privacy = Privacy()
    interruption: Interruption = Interruption()
    capabilities: Opt[Capabilities] = None
    resume: Opt[Resume] = None


Modality = Literal["text", "audio"]
Modalities = Annotated[list[Modality], Field(min_length=1, max_length=2)]
MaxTokens = Annotated[int, Field(ge=1, le=4096)] | Literal["inf"]
Instructions = Annotated[str, Field(max_length=100_000)]


class SessionPatch(Wire):
    """`session.update`. Fields of other products (`tracing`, `prompt`, `truncation` …) are accepted and ignored."""

    type: Opt[Literal["realtime"]] = None
    model: Opt[str] = None
    instructions: Opt[Instructions] = None
    output_modalities: Opt[Modalities] = None
    audio: Opt[Audio] = None
    tools: Opt[Annotated[list[Tool], Field(max_length=128)]] = None
    tool_choice: Opt[str | dict[str, Any]] = None
    max_output_tokens: Opt[MaxTokens] = None
    npc: Opt[NpcSession] = None


def spoken() -> list[Modality]:
    """What a session answers with unless it is told otherwise: audio, with its transcript."""
    return ["audio"]


class Session(Wire):
    """Effective values, whole. `npc` is there once the client has opted in."""

    nullable: ClassVar[frozenset[str]] = frozenset({"tracing", "prompt"})

    type: Literal["realtime"] = "realtime"
    object: Literal["realtime.session"] = "realtime.session"
    id: Id
    model: Id
    instructions: str = ""
    output_modalities: Modalities = Field(default_factory=spoken)
    audio: Audio = Audio()
    tools: list[Tool] = Field(default_factory=list)
    tool_choice: str | dict[str, Any] = "auto"
    max_output_tokens: MaxTokens = "inf"
    tracing: None = None
    prompt: None = None
    truncation: Literal["auto"] = "auto"
    npc: Opt[NpcSession] = None


#: What the client may send but the connection has fixed: the effective value stays, without an error.
_FIXED = ("type", "model")


def _merge(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in change.items():
        old = merged.get(name)
        same_kind = (
            isinstance(old, dict) and isinstance(value, dict) and old.get("type") == value.get("type", old.get("type"))
        )
        whole = name in ("parameters", "tool_choice", "scene")
        merged[name] = _merge(old, value) if same_kind and not whole else value  # type: ignore[arg-type]
    return merged


def apply_update(session: Session, patch: SessionPatch, voices: Collection[str] = ()) -> Session:
    """The session after `session.update`: given fields win and nested objects merge.

    Turn detection of another type replaces the old one. `model` and `transcription.model` stay; `voice` changes only
    to one of `voices`; capabilities and resume token are the server's to write. Raises ValueError where the result
    would not be a session.
    """
    change = patch.model_dump(exclude_unset=True, exclude_none=False)
    for name in _FIXED:
        change.pop(name, None)
    output = change.get("audio", {}).get("output", {})
    if "voice" in output:
        asked = output["voice"]["id"] if isinstance(output["voice"], dict) else output["voice"]
        if asked in voices:
            output["voice"] = asked
        else:
            del output["voice"]
    transcription = change.get("audio", {}).get("input", {}).get("transcription")
    if transcription is not None:
        transcription.pop("model", None)
    npc = change.get("npc")
    if npc is not None:
        npc.pop("capabilities", None)
        npc.pop("resume", None)
    base = session.model_dump()
    if npc is not None and base.get("npc") is None:
        base["npc"] = {}
    try:
        return Session.model_validate(_merge(base, change))
    except ValidationError as error:
        raise ValueError(f"session.update does not fit the session: {error}") from error
