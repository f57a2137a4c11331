"""The server under load: the real endpoint over sessions that say back every frame they hear, without engines."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.config.settings import load_settings
from npc.conversation.port import AudioOut, Conversation, Opening, Outbox, Service, UnknownCharacter
from npc.protocol import (
    Capabilities,
    ClientEvent,
    MessageItem,
    NpcResponse,
    NpcSession,
    Response,
    ResponseCreated,
    ResponseOutputItemAdded,
    Session,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    apply_update,
)
from npc.server import Bounds, ServerSettings, serve
from npc.server.assembly import build

CHARACTER = "echo"


class EchoConversation:
    """One response that never ends: each input frame comes back as output audio at the same samples."""

    def __init__(self, opening: Opening, outbox: Outbox) -> None:
        self.session_id = opening.session_id
        self.opted_in = opening.opted_in
        self._out = outbox
        self._at = 0
        self._end = asyncio.Event()
        self._session = Session(id=opening.session_id, model=opening.character_id)
        if opening.opted_in:
            self._session.npc = NpcSession(capabilities=Capabilities(limits=opening.limits))

    async def run(self) -> None:
        self._out.send(SessionCreated(session=self._session))
        response = Response(id="resp_1", status="in_progress", npc=NpcResponse(ordinal=1, character=CHARACTER))
        self._out.send(ResponseCreated(response=response))
        item = MessageItem(id="item_1", role="assistant", status="in_progress", content=[])
        self._out.send(ResponseOutputItemAdded(response_id="resp_1", item=item))
        await self._end.wait()

    def receive(self, event: ClientEvent) -> None:
        if isinstance(event, SessionUpdate):
            self._session = apply_update(self._session, event.session)
            self._out.send(SessionUpdated(session=self._session))

    def hear(self, pcm: NDArray[np.int16]) -> None:
        self._out.send(AudioOut("resp_1", "item_1", 1, 0, self._at, pcm))
        self._at += pcm.size

    def attach(self, connected: bool) -> None:
        pass

    def snapshot(self) -> Mapping[str, Any]:
        return {}

    async def close(self, reason: str) -> None:
        self._end.set()


class EchoService:
    """One character that repeats."""

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def ready(self) -> Mapping[str, Any]:
        return {"ready": True, "components": {}}

    async def load(self, character_id: str, voice: str) -> None:
        return None

    def open(self, opening: Opening, outbox: Outbox) -> Conversation:
        self.character(opening.character_id)
        return EchoConversation(opening, outbox)

    def characters(self) -> Sequence[Mapping[str, Any]]:
        return [{"id": CHARACTER, "name": "Echo"}]

    def character(self, character_id: str) -> Mapping[str, Any]:
        if character_id != CHARACTER:
            raise UnknownCharacter(f"no character {character_id!r}; there is {CHARACTER}")
        return self.characters()[0]

    def knowledge(self, character_id: str) -> Sequence[Mapping[str, Any]]:
        return []

    def voices(self) -> Sequence[Mapping[str, Any]]:
        return []

    async def memory(self, player_id: str, character_id: str) -> Mapping[str, Any]:
        return {}

    async def forget(self, player_id: str, character_id: str) -> int:
        return 0


def run_server(core: int | None, told: Connection, embedded: bool = False) -> None:
    """Child process: serve on a free port, pinned to `core`; tells its address and a character through `told`.

    With `embedded` the sessions are those of the embedded profile, engines and all.
    """
    if core is not None:
        os.sched_setaffinity(0, {core})
    bounds = Bounds(max_sessions=20_000, drain_s=0.1, resume_window_s=0.05)
    with tempfile.TemporaryDirectory() as folder:
        service: Service = EchoService()
        if embedded:
            overrides = {"store.folder": folder, "tts.greets": False}
            service = build(load_settings(profile="embedded", overrides=overrides))

        def started(url: str) -> None:
            told.send((url, service.characters()[0]["id"]))

        serve(service, ServerSettings(port=0, bounds=bounds), started=started)
