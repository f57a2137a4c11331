"""Events of the Realtime API that a client sends."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from npc.protocol.items import Item
from npc.protocol.response import ResponseParams
from npc.protocol.session import SessionPatch
from npc.protocol.wire import ClientEventBase, Id, Opt


class SessionUpdate(ClientEventBase):
    type: Literal["session.update"] = "session.update"
    session: SessionPatch


class InputAudioBufferAppend(ClientEventBase):
    """Base64 of PCM16 at the session's input rate. The server takes it apart itself, off this class."""

    type: Literal["input_audio_buffer.append"] = "input_audio_buffer.append"
    audio: str


class InputAudioBufferCommit(ClientEventBase):
    type: Literal["input_audio_buffer.commit"] = "input_audio_buffer.commit"


class InputAudioBufferClear(ClientEventBase):
    type: Literal["input_audio_buffer.clear"] = "input_audio_buffer.clear"


class ConversationItemCreate(ClientEventBase):
    """`previous_item_id` "root" puts the item first; left out, last."""

    type: Literal["conversation.item.create"] = "conversation.item.create"
    previous_item_id: Opt[str] = None
    item: Item


class ConversationItemRetrieve(ClientEventBase):
    type: Literal["conversation.item.retrieve"] = "conversation.item.retrieve"
    item_id: Id


class ConversationItemTruncate(ClientEventBase):
    """The player heard the item only up to `audio_end_ms`."""

    type: Literal["conversation.item.truncate"] = "conversation.item.truncate"
    item_id: Id
    content_index: Annotated[int, Field(ge=0)] = 0
    audio_end_ms: Annotated[int, Field(ge=0, le=24 * 3_600_000)]


class ConversationItemDelete(ClientEventBase):
    type: Literal["conversation.item.delete"] = "conversation.item.delete"
    item_id: Id


class ResponseCreate(ClientEventBase):
    type: Literal["response.create"] = "response.create"
    response: Opt[ResponseParams] = None


class ResponseCancel(ClientEventBase):
    """Without `response_id`, the response in progress."""

    type: Literal["response.cancel"] = "response.cancel"
    response_id: Opt[Id] = None


BaseClientEvent = (
    SessionUpdate
    | InputAudioBufferAppend
    | InputAudioBufferCommit
    | InputAudioBufferClear
    | ConversationItemCreate
    | ConversationItemRetrieve
    | ConversationItemTruncate
    | ConversationItemDelete
    | ResponseCreate
    | ResponseCancel
)
