"""Events of the Realtime API that the server sends."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from npc.protocol.items import Item
from npc.protocol.response import ErrorDetail, RateLimit, Response
from npc.protocol.session import Session
from npc.protocol.wire import Id, Opt, Sample, ServerEventBase, Wire


class SessionCreated(ServerEventBase):
    type: Literal["session.created"] = "session.created"
    session: Session


class SessionUpdated(ServerEventBase):
    type: Literal["session.updated"] = "session.updated"
    session: Session


class SpeechStarted(ServerEventBase):
    """Stock clients stop playback and truncate on this event, so while a response sounds it means "interrupted"."""

    type: Literal["input_audio_buffer.speech_started"] = "input_audio_buffer.speech_started"
    audio_start_ms: Sample
    item_id: Id


class SpeechStopped(ServerEventBase):
    type: Literal["input_audio_buffer.speech_stopped"] = "input_audio_buffer.speech_stopped"
    audio_end_ms: Sample
    item_id: Id


class _Placed(ServerEventBase):
    nullable: ClassVar[frozenset[str]] = frozenset({"previous_item_id"})

    previous_item_id: str | None = None


class InputAudioBufferCommitted(_Placed):
    type: Literal["input_audio_buffer.committed"] = "input_audio_buffer.committed"
    item_id: Id


class InputAudioBufferCleared(ServerEventBase):
    type: Literal["input_audio_buffer.cleared"] = "input_audio_buffer.cleared"


class ConversationItemAdded(_Placed):
    type: Literal["conversation.item.added"] = "conversation.item.added"
    item: Item


class ConversationItemDone(_Placed):
    type: Literal["conversation.item.done"] = "conversation.item.done"
    item: Item


class ConversationItemRetrieved(ServerEventBase):
    type: Literal["conversation.item.retrieved"] = "conversation.item.retrieved"
    item: Item


class ConversationItemTruncated(ServerEventBase):
    type: Literal["conversation.item.truncated"] = "conversation.item.truncated"
    item_id: Id
    content_index: int = 0
    audio_end_ms: Sample


class ConversationItemDeleted(ServerEventBase):
    type: Literal["conversation.item.deleted"] = "conversation.item.deleted"
    item_id: Id


class TranscriptionDelta(ServerEventBase):
    type: Literal["conversation.item.input_audio_transcription.delta"] = (
        "conversation.item.input_audio_transcription.delta"
    )
    item_id: Id
    content_index: int = 0
    delta: str


class TranscriptionUsage(Wire):
    type: Literal["duration"] = "duration"
    seconds: float


class TranscriptionCompleted(ServerEventBase):
    type: Literal["conversation.item.input_audio_transcription.completed"] = (
        "conversation.item.input_audio_transcription.completed"
    )
    item_id: Id
    content_index: int = 0
    transcript: str
    usage: TranscriptionUsage


class TranscriptionFailed(ServerEventBase):
    type: Literal["conversation.item.input_audio_transcription.failed"] = (
        "conversation.item.input_audio_transcription.failed"
    )
    item_id: Id
    content_index: int = 0
    error: ErrorDetail


class ResponseCreated(ServerEventBase):
    type: Literal["response.created"] = "response.created"
    response: Response


class ResponseDone(ServerEventBase):
    type: Literal["response.done"] = "response.done"
    response: Response


class _OutputItem(ServerEventBase):
    response_id: Id
    output_index: int = 0
    item: Item


class ResponseOutputItemAdded(_OutputItem):
    type: Literal["response.output_item.added"] = "response.output_item.added"


class ResponseOutputItemDone(_OutputItem):
    type: Literal["response.output_item.done"] = "response.output_item.done"


class Part(Wire):
    """A content part inside a response is named "text" or "audio", other than inside an item."""

    type: Literal["text", "audio"]
    text: Opt[str] = None
    transcript: Opt[str] = None


class _InItem(ServerEventBase):
    response_id: Id
    item_id: Id
    output_index: int = 0


class _InContent(_InItem):
    content_index: int = 0


class ResponseContentPartAdded(_InContent):
    type: Literal["response.content_part.added"] = "response.content_part.added"
    part: Part


class ResponseContentPartDone(_InContent):
    type: Literal["response.content_part.done"] = "response.content_part.done"
    part: Part


class AudioPlace(Wire):
    """For a client that has opted in: where the audio stands in its item, as a binary frame would say."""

    start: Sample
    track: int = 0
    last: bool = False


class ResponseAudioDelta(_InContent):
    """Base64 PCM16 at the session's output rate. The carrier writes it from `AudioOut`."""

    type: Literal["response.output_audio.delta"] = "response.output_audio.delta"
    delta: str
    npc: Opt[AudioPlace] = None


class ResponseAudioDone(_InContent):
    type: Literal["response.output_audio.done"] = "response.output_audio.done"


class ResponseTranscriptDelta(_InContent):
    type: Literal["response.output_audio_transcript.delta"] = "response.output_audio_transcript.delta"
    delta: str


class ResponseTranscriptDone(_InContent):
    type: Literal["response.output_audio_transcript.done"] = "response.output_audio_transcript.done"
    transcript: str


class ResponseTextDelta(_InContent):
    type: Literal["response.output_text.delta"] = "response.output_text.delta"
    delta: str


class ResponseTextDone(_InContent):
    type: Literal["response.output_text.done"] = "response.output_text.done"
    text: str


class FunctionCallArgumentsDelta(_InItem):
    type: Literal["response.function_call_arguments.delta"] = "response.function_call_arguments.delta"
    call_id: Id
    delta: str


class FunctionCallArgumentsDone(_InItem):
    type: Literal["response.function_call_arguments.done"] = "response.function_call_arguments.done"
    call_id: Id
    name: str
    arguments: str


class RateLimitsUpdated(ServerEventBase):
    type: Literal["rate_limits.updated"] = "rate_limits.updated"
    rate_limits: list[RateLimit]


class ErrorEvent(ServerEventBase):
    """Something a client sent could not be done, or something here broke. The session lives on."""

    type: Literal["error"] = "error"
    error: ErrorDetail

    @classmethod
    def of(cls, message: str, **detail: Any) -> ErrorEvent:
        """`ErrorEvent.of("…", code="invalid_value", param="item_id", event_id=event.event_id)`."""
        return cls(error=ErrorDetail(message=message, **detail))


BaseServerEvent = (
    SessionCreated
    | SessionUpdated
    | SpeechStarted
    | SpeechStopped
    | InputAudioBufferCommitted
    | InputAudioBufferCleared
    | ConversationItemAdded
    | ConversationItemDone
    | ConversationItemRetrieved
    | ConversationItemTruncated
    | ConversationItemDeleted
    | TranscriptionDelta
    | TranscriptionCompleted
    | TranscriptionFailed
    | ResponseCreated
    | ResponseDone
    | ResponseOutputItemAdded
    | ResponseOutputItemDone
    | ResponseContentPartAdded
    | ResponseContentPartDone
    | ResponseAudioDelta
    | ResponseAudioDone
    | ResponseTranscriptDelta
    | ResponseTranscriptDone
    | ResponseTextDelta
    | ResponseTextDone
    | FunctionCallArgumentsDelta
    | FunctionCallArgumentsDone
    | RateLimitsUpdated
    | ErrorEvent
)
