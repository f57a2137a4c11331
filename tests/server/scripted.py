"""A service whose sessions follow a script instead of engines: what the server's own tests drive.

A turn is told by the last user text: "call NAME" announces a function call, anything else is answered by saying it
back. Audio is a ramp, so that every sample tells its own position.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from npc.conversation.port import AudioOut, Conversation, Opening, Outbox, UnknownCharacter
from npc.protocol import (
    Capabilities,
    ClientEvent,
    ContentPart,
    ConversationItemAdded,
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemRetrieve,
    ConversationItemRetrieved,
    ConversationItemTruncate,
    ConversationItemTruncated,
    Cue,
    ErrorEvent,
    FunctionCallArgumentsDelta,
    FunctionCallArgumentsDone,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudioBufferClear,
    InputAudioBufferCleared,
    InputAudioBufferCommit,
    InputAudioBufferCommitted,
    MessageItem,
    NpcCues,
    NpcMetrics,
    NpcOutput,
    NpcResponse,
    NpcSession,
    NpcTurn,
    Part,
    Response,
    ResponseAudioDone,
    ResponseCancel,
    ResponseContentPartAdded,
    ResponseContentPartDone,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseTranscriptDelta,
    ResponseTranscriptDone,
    Session,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    StatusDetails,
    TranscriptionCompleted,
    TranscriptionUsage,
    Usage,
    apply_update,
)

FRAME = 480


class ScriptedConversation:
    """Answers at once; `frame_s` paces the audio (0: as fast as the loop turns)."""

    def __init__(self, opening: Opening, outbox: Outbox, *, frames: int, frame_s: float) -> None:
        self.session_id = opening.session_id
        self.opening = opening
        self.opted_in = opening.opted_in
        self.events: list[ClientEvent] = []
        self.heard = 0
        self.links: list[bool] = []
        self.closed: str | None = None
        self._out = outbox
        self._frames, self._frame_s = frames, frame_s
        self._session = Session(id=opening.session_id, model=opening.character_id, instructions="be brief")
        self._session.audio.output.voice = "ramp"
        if self.opted_in:
            self._opt_in()
        self._items: dict[str, Any] = {}
        self._ordinal = 0
        self._ids = 0
        self._speaking: asyncio.Task[None] | None = None
        self._response: Response | None = None
        self._item_id = ""
        self._end = asyncio.Event()
        self._speech = False
        self._silence = 0

    def _opt_in(self) -> None:
        self.opted_in = True
        if self._session.npc is None:
            self._session.npc = NpcSession()
        self._session.npc.capabilities = Capabilities(idle_seed=7, limits=self.opening.limits)

    def _id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}_{self._ids}"

    async def run(self) -> None:
        self._out.send(SessionCreated(session=self._session))
        await self._end.wait()
        if self._speaking is not None:
            self._speaking.cancel()

    async def close(self, reason: str) -> None:
        self.closed = reason
        self._end.set()

    def attach(self, connected: bool) -> None:
        self.links.append(connected)

    def snapshot(self) -> Mapping[str, Any]:
        return {"state": "listening", "items": list(self._items)}

    def hear(self, pcm: np.ndarray) -> None:
        """Loud audio starts a turn, 0.2 s of quiet ends it, where turns are detected at all."""
        self.heard += pcm.size
        if self._session.audio.input.turn_detection is None:
            return
        at_ms = self.heard * 1000 // self._session.audio.input.format.rate
        if int(np.abs(pcm.astype(np.int32)).max()) > 1000:
            self._silence = 0
            if not self._speech:
                self._speech = True
                self._item_id = self._id("item")
                if self._speaking is not None and not self._speaking.done():
                    self._out.send(SpeechStarted(audio_start_ms=at_ms, item_id=self._item_id))
                    self._cancel("turn_detected")
                else:
                    self._out.send(SpeechStarted(audio_start_ms=at_ms, item_id=self._item_id))
        elif self._speech:
            self._silence += pcm.size
            if self._silence >= 4800:
                self._speech = False
                self._out.send(SpeechStopped(audio_end_ms=at_ms, item_id=self._item_id))
                self._commit()
                self._speak("I heard you")

    def _commit(self) -> None:
        item_id = self._item_id or self._id("item")
        self._item_id = ""
        self._out.send(InputAudioBufferCommitted(item_id=item_id))
        item = MessageItem(
            id=item_id,
            role="user",
            status="completed",
            content=[ContentPart(type="input_audio", transcript="hello there")],
        )
        self._items[item_id] = item
        self._out.send(ConversationItemAdded(item=item))
        self._out.send(
            TranscriptionCompleted(item_id=item_id, transcript="hello there", usage=TranscriptionUsage(seconds=1.0))
        )
        self._out.send(ConversationItemDone(item=item))

    def receive(self, event: ClientEvent) -> None:
        self.events.append(event)
        if isinstance(event, SessionUpdate):
            self._session = apply_update(self._session, event.session)
            if event.session.npc is not None:
                self._opt_in()
            self._out.send(SessionUpdated(session=self._session))
        elif isinstance(event, ConversationItemCreate):
            item = event.item.model_copy(update={"id": event.item.id or self._id("item"), "status": "completed"})
            self._items[item.id] = item
            self._out.send(ConversationItemAdded(item=item))
            self._out.send(ConversationItemDone(item=item))
        elif isinstance(event, ConversationItemRetrieve):
            if event.item_id in self._items:
                self._out.send(ConversationItemRetrieved(item=self._items[event.item_id]))
            else:
                self._missing(event.item_id, event.event_id)
        elif isinstance(event, ConversationItemDelete):
            if self._items.pop(event.item_id, None) is not None:
                self._out.send(ConversationItemDeleted(item_id=event.item_id))
            else:
                self._missing(event.item_id, event.event_id)
        elif isinstance(event, ConversationItemTruncate):
            if event.item_id in self._items:
                self._out.send(ConversationItemTruncated(item_id=event.item_id, audio_end_ms=event.audio_end_ms))
            else:
                self._missing(event.item_id, event.event_id)
        elif isinstance(event, InputAudioBufferCommit):
            self._commit()
        elif isinstance(event, InputAudioBufferClear):
            self._out.send(InputAudioBufferCleared())
        elif isinstance(event, ResponseCreate):
            last = next(reversed(self._items.values()), None)
            text = last.text() if isinstance(last, MessageItem) else "well done"
            if text.startswith("call "):
                self._call(text.removeprefix("call "))
            else:
                done = isinstance(last, FunctionCallOutputItem)
                self._speak(f"done: {last.output}" if done else f"you said {text}")
        elif isinstance(event, ResponseCancel):
            if self._speaking is None or self._speaking.done():
                self._out.send(ErrorEvent.of("no response is active", code="response_cancel_not_active"))
            else:
                self._cancel("client_cancelled")

    def _missing(self, item_id: str, event_id: str | None) -> None:
        self._out.send(ErrorEvent.of(f"no item {item_id}", code="item_not_found", param="item_id", event_id=event_id))

    def _begin(self) -> Response:
        self._ordinal += 1
        self._response = Response(
            id=self._id("resp"), status="in_progress", npc=NpcResponse(ordinal=self._ordinal, character="ada")
        )
        self._out.send(ResponseCreated(response=self._response))
        return self._response

    def _finish(self, **changes: Any) -> None:
        assert self._response is not None
        self._out.send(ResponseDone(response=self._response.model_copy(update={"usage": Usage(), **changes})))

    def _call(self, name: str) -> None:
        response = self._begin()
        item = FunctionCallItem(
            id=self._id("item"), call_id=self._id("call"), name=name, arguments='{"item":"lamp"}', status="completed"
        )
        self._items[item.id] = item
        place = {"response_id": response.id, "output_index": 0}
        self._out.send(ResponseOutputItemAdded(item=item.model_copy(update={"status": "in_progress"}), **place))
        self._out.send(ConversationItemAdded(item=item))
        call = {"item_id": item.id, "call_id": item.call_id, **place}
        self._out.send(FunctionCallArgumentsDelta(delta=item.arguments, **call))
        self._out.send(FunctionCallArgumentsDone(name=name, arguments=item.arguments, **call))
        self._out.send(ConversationItemDone(item=item))
        self._out.send(ResponseOutputItemDone(item=item, **place))
        self._finish(status="completed", output=[item])

    def _speak(self, text: str) -> None:
        self._speaking = asyncio.get_running_loop().create_task(self._turn(text))

    def _cancel(self, reason: str) -> None:
        assert self._response is not None
        assert self._speaking is not None
        self._speaking.cancel()
        if self.opted_in:
            self._out.send(
                NpcOutput(
                    character="ada",
                    response_id=self._response.id,
                    item_id=self._reply.id or "",
                    action="flush",
                    at_sample=0,
                )
            )
        cut = self._reply.model_copy(update={"status": "incomplete"})
        self._out.send(ResponseOutputItemDone(response_id=self._response.id, item=cut))
        self._finish(status="cancelled", status_details=StatusDetails(type="cancelled", reason=reason), output=[cut])

    async def _turn(self, text: str) -> None:
        response = self._begin()
        item = MessageItem(id=self._id("item"), role="assistant", status="in_progress", content=[])
        self._reply = item
        self._items[item.id] = item
        place = {"response_id": response.id, "item_id": item.id}
        self._out.send(ResponseOutputItemAdded(response_id=response.id, item=item))
        self._out.send(ConversationItemAdded(item=item))
        self._out.send(ResponseContentPartAdded(part=Part(type="audio", transcript=""), **place))
        if self.opted_in:
            self._out.send(NpcTurn(character="ada", state="speaking", at_sample=self.heard))
        words = text.split()
        for k in range(self._frames):
            at = k * FRAME
            if k % 5 == 0 and words:
                word = words.pop(0)
                self._out.send(ResponseTranscriptDelta(delta=f"{word} ", **place))
                if self.opted_in:
                    cue = Cue(kind="word", name=word, at=at, until=at + FRAME)
                    self._out.send(NpcCues(character="ada", clock="output", cues=[cue], **place))
            pcm = np.arange(at, at + FRAME).astype(np.int16)
            last = k == self._frames - 1
            self._out.send(AudioOut(response.id, item.id, self._ordinal, 0, at, pcm, last))
            await asyncio.sleep(self._frame_s)
        done = item.model_copy(
            update={"status": "completed", "content": [ContentPart(type="output_audio", transcript=text)]}
        )
        self._items[item.id] = done
        self._out.send(ResponseAudioDone(**place))
        self._out.send(ResponseTranscriptDone(transcript=text, **place))
        self._out.send(ResponseContentPartDone(part=Part(type="audio", transcript=text), **place))
        self._out.send(ConversationItemDone(item=done))
        self._out.send(ResponseOutputItemDone(response_id=response.id, item=done))
        if self.opted_in:
            self._out.send(NpcMetrics(character="ada", response_id=response.id, stages_ms={"first_audio": 1.0}))
        self._finish(status="completed", output=[done])


class ScriptedService:
    """Two characters, and memory of one player."""

    def __init__(self, *, frames: int = 25, frame_s: float = 0.0) -> None:
        self.frames, self.frame_s = frames, frame_s
        self.conversations: list[ScriptedConversation] = []
        self.memories = {("ann", "ada"): ["likes tea"]}
        self.started = self.closed = False

    async def start(self) -> None:
        self.started = True

    async def close(self) -> None:
        self.closed = True

    def ready(self) -> Mapping[str, Any]:
        return {"ready": self.started, "components": {}}

    async def load(self, character_id: str, voice: str) -> None:
        return None

    def open(self, opening: Opening, outbox: Outbox) -> Conversation:
        self.character(opening.character_id)
        conversation = ScriptedConversation(opening, outbox, frames=self.frames, frame_s=self.frame_s)
        self.conversations.append(conversation)
        return conversation

    def characters(self) -> Sequence[Mapping[str, Any]]:
        return [{"id": "ada", "name": "Ada"}, {"id": "bob", "name": "Bob"}]

    def character(self, character_id: str) -> Mapping[str, Any]:
        for character in self.characters():
            if character["id"] == character_id:
                return character
        raise UnknownCharacter(f"no character {character_id!r}; there are ada, bob")

    def knowledge(self, character_id: str) -> Sequence[Mapping[str, Any]]:
        self.character(character_id)
        return [{"id": "f1", "text": "the lamp is green", "source": "card"}]

    def voices(self) -> Sequence[Mapping[str, Any]]:
        return [{"id": "ramp"}]

    async def memory(self, player_id: str, character_id: str) -> Mapping[str, Any]:
        return {"records": self.memories.get((player_id, character_id), [])}

    async def forget(self, player_id: str, character_id: str) -> int:
        return len(self.memories.pop((player_id, character_id), []))
