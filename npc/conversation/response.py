"""The base events of one response, in the order a stock Realtime client expects them.

    response.created ─ rate_limits.updated (stock clients: an empty list, nothing is rationed here)
      response.output_item.added ─ conversation.item.added ─ response.content_part.added        the message
        response.output_audio_transcript.delta …  (audio leaves as AudioOut)                    or output_text.delta
      response.output_item.added ─ function_call_arguments.delta, .done ─ output_item.done      one item an action
      output_audio.done ─ transcript.done ─ content_part.done ─ output_item.done ─ conversation.item.done
    response.done

`ResponseWriter` only writes; whether and when is the playout's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from npc.conversation.score import PlacedAction
from npc.protocol import (
    ConversationItemAdded,
    ConversationItemDone,
    FunctionCallArgumentsDelta,
    FunctionCallArgumentsDone,
    FunctionCallItem,
    Item,
    MessageItem,
    NpcResponse,
    OutputTokenDetails,
    Part,
    RateLimitsUpdated,
    Response,
    ResponseAudio,
    ResponseAudioDone,
    ResponseAudioOutput,
    ResponseContentPartAdded,
    ResponseContentPartDone,
    ResponseCreated,
    ResponseDone,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseTextDelta,
    ResponseTextDone,
    ResponseTranscriptDelta,
    ResponseTranscriptDone,
    Session,
    StatusDetails,
    StatusError,
    Usage,
)
from npc.protocol.items import ContentPart, ItemStatus

Status = Literal["completed", "cancelled", "incomplete", "failed"]
Reason = Literal["turn_detected", "client_cancelled"]


class ResponseWriter:
    """Writes the events of response `response_id` whose message is `item_id`. `emit` takes each in order.

    `add_item` puts an item at the end of the conversation and returns the id of the one before it, or None.
    """

    def __init__(
        self,
        emit: Callable[[Any], None],
        add_item: Callable[[Item], str | None],
        session: Session,
        response_id: str,
        item_id: str,
        ordinal: int,
        character: str,
        text_only: bool,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._emit, self._add_item, self._session = emit, add_item, session
        self.response_id, self.item_id, self.ordinal = response_id, item_id, ordinal
        self._character, self._text_only, self._metadata = character, text_only, metadata
        self._previous: str | None = None
        self._opened = False
        self._said: list[str] = []
        self._actions: list[FunctionCallItem] = []
        self.closed = False

    def created(self) -> None:
        self._emit(ResponseCreated(response=self._response("in_progress")))
        if self._session.npc is None:
            # Stock clients are told their limits with every response; ours are on sessions, none on what one asks for.
            self._emit(RateLimitsUpdated(rate_limits=[]))

    def open(self) -> None:
        """The message begins. Called once, before its first delta."""
        if self._opened:
            return
        self._opened = True
        item = self._message("in_progress", "").model_copy(update={"content": []})
        self._emit(ResponseOutputItemAdded(response_id=self.response_id, output_index=0, item=item))
        self._previous = self._add_item(item)
        self._emit(ConversationItemAdded(previous_item_id=self._previous, item=item))
        part = Part(type="text", text="") if self._text_only else Part(type="audio", transcript="")
        self._emit(ResponseContentPartAdded(response_id=self.response_id, item_id=self.item_id, part=part))

    def said(self, text: str) -> None:
        """More of the text, as it is sent: deltas joined are the transcript."""
        self.open()
        delta = f" {text}" if self._said else text
        self._said.append(text)
        place: dict[str, Any] = {"response_id": self.response_id, "item_id": self.item_id, "delta": delta}
        self._emit(ResponseTextDelta(**place) if self._text_only else ResponseTranscriptDelta(**place))

    def action(self, action: PlacedAction) -> None:
        """An action starts: a function call of its own."""
        self.open()
        index = len(self._actions) + 1
        item_id = f"{self.item_id}_call{index}"
        item = FunctionCallItem(
            id=item_id,
            object="realtime.item",
            status="completed",
            call_id=action.call_id,
            name=action.name,
            arguments=action.arguments,
        )
        begun = item.model_copy(update={"status": "in_progress", "arguments": ""})
        where: dict[str, Any] = {"response_id": self.response_id, "output_index": index}
        self._emit(ResponseOutputItemAdded(item=begun, **where))
        previous = self._add_item(item)
        self._emit(ConversationItemAdded(previous_item_id=previous, item=begun))
        call: dict[str, Any] = {**where, "item_id": item_id, "call_id": action.call_id}
        self._emit(FunctionCallArgumentsDelta(delta=action.arguments, **call))
        self._emit(FunctionCallArgumentsDone(name=action.name, arguments=action.arguments, **call))
        self._emit(ResponseOutputItemDone(item=item, **where))
        self._emit(ConversationItemDone(previous_item_id=previous, item=item))
        self._actions.append(item)

    def close(self, status: Status, reason: Reason | None = None, error: str | None = None) -> None:
        """The response ends; later calls do nothing. What was said so far stands as its text."""
        if self.closed:
            return
        self.closed = True
        text = " ".join(self._said)
        if self._opened:
            self._close_message(text, "completed" if status == "completed" else "incomplete")
        details = StatusDetails(
            type=status,
            reason=reason,
            error=StatusError(type="server_error", code="engine_failed", message=error) if error else None,
        )
        self._emit(ResponseDone(response=self._response(status, details, text)))

    def _close_message(self, text: str, status: ItemStatus) -> None:
        place: dict[str, Any] = {"response_id": self.response_id, "item_id": self.item_id}
        if self._text_only:
            self._emit(ResponseTextDone(text=text, **place))
            self._emit(ResponseContentPartDone(part=Part(type="text", text=text), **place))
        else:
            self._emit(ResponseAudioDone(**place))
            self._emit(ResponseTranscriptDone(transcript=text, **place))
            self._emit(ResponseContentPartDone(part=Part(type="audio", transcript=text), **place))
        item = self._message(status, text)
        self._emit(ResponseOutputItemDone(response_id=self.response_id, output_index=0, item=item))
        self._emit(ConversationItemDone(previous_item_id=self._previous, item=item))

    def _message(self, status: ItemStatus, text: str) -> MessageItem:
        return assistant_item(self.item_id, text, status, self._text_only)

    def _response(
        self, status: Status | Literal["in_progress"], details: StatusDetails | None = None, text: str = ""
    ) -> Response:
        output: list[Item] = []
        if self._opened and details is not None:
            output.append(self._message("completed" if status == "completed" else "incomplete", text))
            output += self._actions
        words = len(text.split())
        audio = self._session.audio.output
        voice = audio.voice if isinstance(audio.voice, str) else audio.voice.id
        return Response(
            id=self.response_id,
            status=status,
            status_details=details,
            output=output,
            conversation_id=f"conv_{self._session.id}",
            output_modalities=["text"] if self._text_only else ["audio"],
            max_output_tokens=self._session.max_output_tokens,
            audio=ResponseAudio(output=ResponseAudioOutput(format=audio.format.model_dump(), voice=voice)),
            usage=None
            if details is None
            else Usage(
                total_tokens=words,
                output_tokens=words,
                output_token_details=OutputTokenDetails(text_tokens=words),
            ),
            metadata=self._metadata,
            npc=NpcResponse(ordinal=self.ordinal, character=self._character) if self._session.npc else None,
        )


def assistant_item(item_id: str, text: str, status: ItemStatus, text_only: bool) -> MessageItem:
    """The message of a response as a conversation item."""
    part = (
        ContentPart(type="output_text", text=text) if text_only else ContentPart(type="output_audio", transcript=text)
    )
    return MessageItem(id=item_id, object="realtime.item", role="assistant", status=status, content=[part])
