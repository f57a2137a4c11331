"""A response of the character: its status, its output items, its usage."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from npc.protocol.items import Item, Tool
from npc.protocol.session import Audio, MaxTokens, Modalities, spoken
from npc.protocol.wire import Id, Opt, Sample, Wire

ResponseStatus = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]


class StatusError(Wire):
    type: str
    code: Opt[str] = None
    message: Opt[str] = None


class StatusDetails(Wire):
    """Why a response ended: `turn_detected` (the player cut in), `client_cancelled`, or an error."""

    type: Literal["completed", "cancelled", "incomplete", "failed"]
    reason: Opt[Literal["turn_detected", "client_cancelled", "max_output_tokens", "content_filter"]] = None
    error: Opt[StatusError] = None


class InputTokenDetails(Wire):
    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0
    cached_tokens: int = 0


class OutputTokenDetails(Wire):
    text_tokens: int = 0
    audio_tokens: int = 0


class Usage(Wire):
    """Token counts; an engine without tokens counts words as text tokens."""

    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    input_token_details: InputTokenDetails = InputTokenDetails()
    output_token_details: OutputTokenDetails = OutputTokenDetails()


class NpcResponse(Wire):
    """`ordinal` counts the responses of a session from 1 and stands in binary frames in place of the id."""

    ordinal: Annotated[int, Field(ge=1, le=2**32 - 1)]
    character: Opt[str] = None


class ResponseAudioOutput(Wire):
    format: dict[str, Any]
    voice: str


class ResponseAudio(Wire):
    output: ResponseAudioOutput


class Response(Wire):
    """`npc` is there for a client that has opted in."""

    nullable: ClassVar[frozenset[str]] = frozenset({"status_details", "usage", "metadata"})

    object: Literal["realtime.response"] = "realtime.response"
    id: Id
    status: ResponseStatus
    status_details: StatusDetails | None = None
    output: list[Item] = Field(default_factory=list)
    conversation_id: Opt[str] = None
    output_modalities: Modalities = Field(default_factory=spoken)
    max_output_tokens: MaxTokens = "inf"
    audio: Opt[ResponseAudio] = None
    usage: Usage | None = None
    metadata: dict[str, Any] | None = None
    npc: Opt[NpcResponse] = None


class ResponseParams(Wire):
    """What `response.create` may set for one response; which of it has an effect: `docs/protocol.md`."""

    instructions: Opt[Annotated[str, Field(max_length=100_000)]] = None
    output_modalities: Opt[Modalities] = None
    conversation: Opt[Literal["auto", "none"]] = None
    input: Opt[Annotated[list[Item], Field(max_length=500)]] = None
    tools: Opt[Annotated[list[Tool], Field(max_length=128)]] = None
    tool_choice: Opt[str | dict[str, Any]] = None
    max_output_tokens: Opt[MaxTokens] = None
    metadata: Opt[dict[str, Any]] = None
    audio: Opt[Audio] = None


class ErrorDetail(Wire):
    """What went wrong: `param` names the field, `event_id` the client event that caused it."""

    nullable: ClassVar[frozenset[str]] = frozenset({"code", "param", "event_id"})

    type: str = "invalid_request_error"
    code: str | None = None
    message: str
    param: str | None = None
    event_id: str | None = None


class RateLimit(Wire):
    name: Literal["requests", "tokens"]
    limit: Sample
    remaining: Sample
    reset_seconds: float
