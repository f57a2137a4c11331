"""An instructor's socket: it gets what a session sends, and what it sends steers that session.

trainee ◀── Live.send ──┬──▶ carrier of the trainee
                        └──▶ carriers of those who watch ◀── instructor
npc.instructor ──▶ Watching ──▶ session.instruct   (answered to the instructor alone)
take_over without a text: what the instructor says until `release` is recognised and said in the character's voice
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.conversation.port import Instructable, Outbox, Rehearses, Service
from npc.protocol import (
    AudioFormat,
    Capabilities,
    ClientEvent,
    ErrorEvent,
    Limits,
    NpcInstructed,
    NpcInstructor,
    NpcPlayback,
    NpcSession,
    Session,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    apply_update,
)

log = logging.getLogger(__name__)

#: What an instructor may say in one go, seconds; more is cut.
LONGEST_S = 30


class Watching:
    """Implements `port.Conversation` for an instructor."""

    def __init__(
        self,
        session_id: str,
        watched: object,
        character: str,
        by: str,
        service: Service,
        limits: Limits,
        outbox: Outbox,
    ) -> None:
        self.session_id = session_id
        self.opted_in = True
        self._watched, self._character, self._by = watched, character, by
        self._service, self._outbox = service, outbox
        npc = NpcSession(capabilities=Capabilities(limits=limits))
        self._session = Session(id=session_id, model=character, npc=npc)
        self._running = False
        self._speaking: list[NDArray[np.int16]] | None = None
        self._spoken = 0
        self._end = asyncio.Event()
        self._work: set[asyncio.Task[None]] = set()

    # -- Conversation --------------------------------------------------------------------------------------------------

    def receive(self, event: ClientEvent) -> None:
        match event:
            case SessionUpdate():
                heard_at = self._session.audio.output.format
                with contextlib.suppress(ValueError):
                    self._session = apply_update(self._session, event.session)
                self._session = _with_output(self._session, heard_at)
                self._outbox.send(SessionUpdated(session=self._session))
            case NpcInstructor(action="take_over", text=text) if not (text or "").strip():
                self._speaking, self._spoken = [], 0
                self._answer("take_over", {"listening": True})
            case NpcInstructor(action="release") if self._speaking is not None:
                spoken, self._speaking = self._speaking, None
                task = asyncio.get_running_loop().create_task(self._say(spoken, event))
                self._work.add(task)
                task.add_done_callback(self._work.discard)
            case NpcInstructor():
                self._instruct(event)
            case NpcPlayback():
                pass
            case _:
                message = "a socket that watches sends session.update, npc.instructor and sound"
                self._outbox.send(ErrorEvent.of(message, code="not_supported", param="type", event_id=event.event_id))

    def hear(self, pcm: NDArray[np.int16]) -> None:
        if self._speaking is not None and self._spoken < LONGEST_S * self._session.audio.input.format.rate:
            self._speaking.append(pcm)
            self._spoken += int(pcm.size)

    def attach(self, connected: bool) -> None:
        if not connected:
            self._speaking = None

    def snapshot(self) -> Mapping[str, Any]:
        return {}

    async def run(self) -> None:
        self._running = True
        self._outbox.send(SessionCreated(session=self._session))
        self._instruct(NpcInstructor(action="observe"))
        await self._end.wait()

    async def close(self, reason: str) -> None:
        for task in tuple(self._work):
            task.cancel()
        self._end.set()

    def follow(self, rate: int) -> None:
        """The sound of the session has this rate."""
        if rate != self._session.audio.output.format.rate:
            self._session = _with_output(self._session, AudioFormat.model_validate({"rate": rate}))
            if self._running:
                self._outbox.send(SessionUpdated(session=self._session))

    # -- inside --------------------------------------------------------------------------------------------------------

    def _instruct(self, event: NpcInstructor) -> None:
        if isinstance(self._watched, Instructable):
            self._watched.instruct(event, self._by, self._outbox)
        else:
            self._outbox.send(ErrorEvent.of("this session takes no instructions", code="not_supported", param="action"))

    async def _say(self, spoken: list[NDArray[np.int16]], event: NpcInstructor) -> None:
        text = ""
        if spoken and isinstance(self._service, Rehearses):
            try:
                text = await self._service.transcribe(np.concatenate(spoken), self._session.audio.input.format.rate)
            except Exception:
                log.exception("an instructor's speech was not recognised", extra={"session": self.session_id})
        if text:
            self._instruct(NpcInstructor(action="take_over", text=text))
        else:
            message = "nothing was understood of what was said; type it, or say it again"
            self._outbox.send(ErrorEvent.of(message, code="not_heard", event_id=event.event_id))

    def _answer(self, action: str, detail: dict[str, Any]) -> None:
        self._outbox.send(NpcInstructed(character=self._character, action=action, detail=detail))


def _with_output(session: Session, output: AudioFormat) -> Session:
    audio = session.audio
    half = audio.output.model_copy(update={"format": output})
    return session.model_copy(update={"audio": audio.model_copy(update={"output": half})})
