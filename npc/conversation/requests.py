"""What clients ask for, event by event. Every refusal is an `error` that names the field; the session lives on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from npc.conversation.companion import CannotJoin
from npc.conversation.ground import Ground
from npc.conversation.items import ItemError, with_text
from npc.conversation.parts import Parts
from npc.conversation.port import Outbox
from npc.conversation.saving import Saving
from npc.conversation.turn_events import ReplyOver
from npc.dialogue.interface import WorldEvent
from npc.protocol import (
    ClientEvent,
    ConversationItemAdded,
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemRetrieve,
    ConversationItemRetrieved,
    ConversationItemTruncate,
    ConversationItemTruncated,
    ErrorEvent,
    FunctionCallOutputItem,
    InputAudioBufferClear,
    InputAudioBufferCleared,
    InputAudioBufferCommit,
    Item,
    MessageItem,
    NpcEvent,
    NpcInstructor,
    NpcLoad,
    NpcPlayback,
    NpcRoomUp,
    NpcSave,
    NpcSceneUpdate,
    Rehearsal,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
    SessionUpdated,
    apply_update,
)

#: A commit needs at least this much sound (OpenAI's API asks for the same), ms.
SHORTEST_COMMIT_MS = 100


class _Refused(Exception):
    """The request cannot be done: message, code and field for the error event."""

    def __init__(self, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.param = code, param


class Requests:
    """Does what the client of one session asks. `snapshot` gives the session as it stands."""

    def __init__(self, ground: Ground, parts: Parts, snapshot: Callable[[], Mapping[str, Any]]) -> None:
        self._ground, self._parts, self._snapshot = ground, parts, snapshot
        self._saving = Saving(ground, parts)
        self._buffer_from = 0

    def handle(self, event: ClientEvent) -> None:
        try:
            self._dispatch(event)
        except (_Refused, ItemError) as refused:
            self._refuse(refused, event)

    async def settled(self) -> None:
        """What takes longer than a moment is done."""
        await self._saving.settled()

    def _refuse(self, refused: _Refused | ItemError, event: ClientEvent) -> None:
        self._ground.outbox.send(
            ErrorEvent.of(str(refused), code=refused.code, param=refused.param, event_id=event.event_id)
        )

    def _dispatch(self, event: ClientEvent) -> None:
        ground, parts = self._ground, self._parts
        match event:
            case SessionUpdate():
                self._update(event)
            case InputAudioBufferCommit():
                self._commit()
            case InputAudioBufferClear():
                parts.hearing.drop()
                self._buffer_from = parts.hearing.received
                ground.outbox.send(InputAudioBufferCleared())
            case ConversationItemCreate(previous_item_id=after, item=item):
                self._create(item, after)
            case ConversationItemRetrieve(item_id=item_id):
                ground.outbox.send(ConversationItemRetrieved(item=ground.items.get(item_id)))
            case ConversationItemDelete(item_id=item_id):
                ground.items.delete(item_id)
                ground.record("item.deleted", {"item_id": item_id})
                ground.outbox.send(ConversationItemDeleted(item_id=item_id))
            case ConversationItemTruncate():
                self._truncate(event)
            case ResponseCreate():
                self._respond(event)
            case ResponseCancel(response_id=response_id):
                self._cancel(response_id)
            case NpcPlayback(item_id=item_id, played_samples=played, state=state):
                parts.answering.report(item_id, played, state)
            case NpcSceneUpdate(scene=scene):
                parts.character.observe(WorldEvent("scene", scene.model_dump(mode="json", exclude_none=True)))
                if scene.attention:
                    parts.attending.glance(scene.attention)
            case NpcEvent():
                parts.character.observe(WorldEvent("event", _plain(event)))
            case NpcSave(slot=slot):
                self._saving.save(slot)
            case NpcLoad(slot=slot, fork=fork):
                self._saving.load(slot, fork, lambda why: self._refuse(_Refused(why, "not_found", "slot"), event))
            case NpcInstructor():
                self._instruct(event)
            case NpcRoomUp():
                raise _Refused("this session has one character and one player", "not_supported", "action")
            case _:
                raise _Refused(f"{event.type} comes as sound, not as an event", "invalid_value", "type")

    def _update(self, event: SessionUpdate) -> None:
        ground, parts = self._ground, self._parts
        try:
            merged = apply_update(ground.session, event.session, ground.engines.voices)
        except ValueError as error:
            raise _Refused(str(error), "invalid_value", "session") from None
        joined = merged.npc is not None and not ground.opted_in
        if joined and merged.npc is not None:
            merged = merged.model_copy(
                update={"npc": merged.npc.model_copy(update={"capabilities": ground.capabilities()})}
            )
        parts.terms.change(merged)
        npc = merged.npc
        if npc is not None:
            player = ground.player
            scene = parts.terms.set_player(
                replace(
                    player,
                    player_id=npc.player.id or player.player_id,
                    name=npc.player.name or player.name,
                    locale=npc.player.locale or player.locale,
                    remote_llm=npc.privacy.remote_llm,
                    remember=npc.privacy.retain != "none",
                ),
                keep_mind=parts.company.companion is not None,
            )
            if scene:
                parts.character.observe(WorldEvent("scene", scene))
        ground.outbox.send(SessionUpdated(session=merged))
        if event.session.model_fields_set & {"tools", "tool_choice"}:
            for tool in parts.terms.equip():
                self._refuse(
                    _Refused(f"{tool.why}; it is not used", "not_supported", f"session.tools[{tool.index}]"), event
                )
        given = event.session.npc
        if given is not None and "privacy" in given.model_fields_set and "retain" in given.privacy.model_fields_set:
            self._retain(given.privacy.retain)
        if given is not None and given.scenario is not None:
            # From the effective session: the player may have been named in the same update.
            assert npc is not None, "what was given is in the session"
            self._join(given.scenario, npc.rehearsal or Rehearsal())
        if given is not None and given.scene is not None:
            parts.character.observe(WorldEvent("scene", given.scene.model_dump(mode="json", exclude_none=True)))
        if joined:
            parts.character.greet_soon()

    def _retain(self, asked: str) -> None:
        """The player's wish: less than the operator keeps, never more."""
        if asked.startswith("days:"):
            self._ground.keep_log(int(asked.removeprefix("days:")))
        else:
            self._ground.discard_log(recording=self._parts.company.companion is not None)

    def _join(self, scenario: str, rehearsal: Rehearsal) -> None:
        try:
            self._parts.company.join(scenario, rehearsal)
        except CannotJoin as error:
            raise _Refused(str(error), "invalid_value", f"session.npc.{error.param}") from None

    def _commit(self) -> None:
        ground, parts = self._ground, self._parts
        rate = ground.session.audio.input.format.rate
        buffered_ms = (parts.hearing.received - self._buffer_from) * 1000 / rate
        if buffered_ms < SHORTEST_COMMIT_MS:
            raise _Refused(
                f"the input buffer holds {buffered_ms:.0f} ms of sound; a commit needs {SHORTEST_COMMIT_MS} ms",
                "input_audio_buffer_commit_empty",
            )
        self._buffer_from = parts.hearing.received
        parts.turns.commit_sound()

    def _create(self, item: Item, after: str | None) -> None:
        ground, parts = self._ground, self._parts
        given = self._checked(item, "item")
        given = given if given.id is not None else given.model_copy(update={"id": ground.new_id("item")})
        given = given.model_copy(update={"object": "realtime.item", "status": "completed"})
        previous = ground.items.add(given, after)
        ground.record("item.added", {"item": given.model_dump(mode="json"), "after": previous})
        ground.outbox.send(ConversationItemAdded(previous_item_id=previous, item=given))
        ground.outbox.send(ConversationItemDone(previous_item_id=previous, item=given))
        if isinstance(given, MessageItem) and given.role == "user" and given.text().strip():
            parts.turns.type(given.text().strip())
        elif isinstance(given, MessageItem) and given.role == "system" and given.text().strip():
            parts.character.observe(WorldEvent("event", {"text": given.text(), "salience": 0.5, "react": False}))
        elif isinstance(given, FunctionCallOutputItem):
            parts.character.observe(WorldEvent("action_result", _result(given)))

    def _checked(self, item: Item, param: str) -> Item:
        """The item without its sound, which nobody listens to. Refused with more text than the client was told."""
        if not isinstance(item, MessageItem):
            return item
        limits = self._ground.opening.limits
        if limits is not None and len(item.text()) > limits.max_text_chars:
            raise _Refused(
                f"the message holds {len(item.text())} characters; {limits.max_text_chars} may come in one",
                "text_too_long",
                f"{param}.content",
            )
        silent = [part.model_copy(update={"audio": None}) for part in item.content]
        return item.model_copy(update={"content": silent})

    def _truncate(self, event: ConversationItemTruncate) -> None:
        ground, parts = self._ground, self._parts
        item = ground.items.get(event.item_id)
        if not isinstance(item, MessageItem) or item.role != "assistant":
            raise _Refused("only a message of the character can be truncated", "invalid_value", "item_id")
        live = parts.answering.active
        try:
            known = parts.answering.truncate(event.item_id, event.audio_end_ms)
        except ValueError as error:
            raise _Refused(str(error), "invalid_value", "audio_end_ms") from None
        if live is not None and parts.answering.active is None:
            ground.step(ReplyOver())
        if not known and event.audio_end_ms == 0:
            ground.items.replace(with_text(item, "", complete=False))
        ground.outbox.send(
            ConversationItemTruncated(
                item_id=event.item_id, content_index=event.content_index, audio_end_ms=event.audio_end_ms
            )
        )

    def _respond(self, event: ResponseCreate) -> None:
        ground, parts = self._ground, self._parts
        if parts.company.paused:
            raise _Refused("the instructor has paused the scenario", "paused")
        live = parts.answering.active
        if live is not None and not live.writer.closed and not ground.opted_in:
            raise _Refused(
                f"response {live.writer.response_id} is in progress; cancel it or wait for it",
                "conversation_already_has_active_response",
            )
        params = event.response
        text_only = None
        if params is not None:
            if params.output_modalities is not None:
                text_only = "audio" not in params.output_modalities
            given = [self._checked(item, f"response.input[{n}]") for n, item in enumerate(params.input or ())]
            for item in given:
                if isinstance(item, MessageItem) and item.role == "user" and item.text().strip():
                    parts.turns.type(item.text().strip())
            if params.instructions:
                parts.character.observe(WorldEvent("whisper", {"text": params.instructions}))
        parts.turns.respond(text_only, params.metadata if params is not None else None)

    def _cancel(self, response_id: str | None) -> None:
        parts = self._parts
        live = parts.answering.active
        if live is None and parts.answering.just_truncated:
            return
        if live is None or (response_id is not None and live.writer.response_id != response_id):
            raise _Refused(
                "there is no such response in progress",
                "response_cancel_not_active",
                "response_id" if response_id else None,
            )
        parts.turns.break_off()

    def _instruct(self, event: NpcInstructor) -> None:
        ground = self._ground
        if "instructor" not in ground.opening.scopes:
            raise _Refused("npc.instructor needs a ticket with the instructor scope", "forbidden", "type")
        self.instruct(event, ground.player.player_id, ground.outbox)

    def instruct(self, event: NpcInstructor, by: str, outbox: Outbox) -> None:
        """An instructor's event, of this socket or of one that watches the session; answered to `outbox`."""
        try:
            self._parts.company.instruct(event, by, self._snapshot, outbox.send)
        except CannotJoin as error:
            refused = ErrorEvent.of(str(error), code="invalid_value", param=error.param, event_id=event.event_id)
            outbox.send(refused)


def _plain(event: NpcEvent) -> dict[str, Any]:
    return event.model_dump(mode="json", exclude_none=True, exclude={"type", "event_id"})


def _result(item: FunctionCallOutputItem) -> dict[str, Any]:
    """An action's result: `ok` is false when the engine's JSON says so."""
    ok = True
    try:
        parsed = json.loads(item.output)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        ok = bool(parsed.get("ok", parsed.get("success", "error" not in parsed)))
    return {"call_id": item.call_id, "ok": ok, "output": item.output}
