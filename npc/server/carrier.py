"""The outgoing side of a session: numbers what it sends, encodes it, and keeps it for a resume. No sockets, no tasks.

    session --send()--> pending --take()--> [number, encode] --> socket
                          |                        |
              flush drops a response's       sent: kept for resume,
              audio that still waits here    bounded in bytes and ms
                                                   |
                        rewind(after) --------> again: taken first

Numbers are given when a message is taken, so a flush leaves no hole. A binary frame takes a number without carrying it.
While no socket takes, `pending` fills; past its bound everything unsent is lost and the next resume is a resync.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from npc.conversation.port import AudioOut, BlendshapesOut
from npc.protocol import (
    NpcBlendshapes,
    NpcCues,
    NpcDown,
    NpcOutput,
    NpcResync,
    ResponseCreated,
    ResponseDone,
    Resume,
    ServerEvent,
    ServerEventBase,
    Session,
    SessionCreated,
    SessionUpdated,
    dump,
)
from npc.protocol.frames import Kind, encode_audio, encode_blendshapes
from npc.server.settings import Bounds

Message = str | bytes

#: What an event is reckoned to weigh while it waits unencoded.
_EVENT_BYTES = 512
#: How many flushed responses are remembered, to refuse their stragglers.
_FLUSHED = 8


class Carrier:
    """An `Outbox` for one session. `wake` is called when something can be taken, or when the bound was passed."""

    def __init__(self, session_id: str, bounds: Bounds, *, opted_in: bool, wake: Callable[[], None]) -> None:
        self.opted_in = opted_in
        self.wake = wake
        self.resume: Resume | None = None
        """Written into the next session object that goes out."""
        self.connected = True
        self.overrun = False
        """Set when a connected socket did not take for too long."""
        self.seq = 0
        self.busy = False
        """A response is in progress."""
        self.input_rate = 24_000
        self.output_rate = 24_000
        self._event_prefix = f'{{"event_id":"event_{session_id.removeprefix("sess_")}_'
        self._bounds = bounds
        self._binary_audio = False
        self._binary_face = False
        self._characters: list[str] = []
        self._pending: deque[ServerEventBase | AudioOut | BlendshapesOut] = deque()
        self._pending_bytes = 0
        self._pending_samples = 0
        self._sent: deque[tuple[int, Message, int]] = deque()
        self._sent_bytes = 0
        self._sent_samples = 0
        self._again: deque[Message] = deque()
        self._gap = False
        self._catching_up = False
        self._flushed: deque[str] = deque(maxlen=_FLUSHED)
        self._audio_heads: dict[tuple[str, str, int, int], str] = {}

    # ---- from the session ----------------------------------------------------------------------------------------

    def send(self, item: ServerEvent | AudioOut | BlendshapesOut) -> None:
        """Take an item from the session. Never blocks; see `Bounds.queue_ms` for what happens when nobody takes."""
        if isinstance(item, AudioOut):
            if item.response_id in self._flushed:
                return
            self._pending_samples += item.pcm.size
            self._pending_bytes += 2 * item.pcm.size
        elif isinstance(item, BlendshapesOut):
            if not self.opted_in or item.response_id in self._flushed:
                return
            self._pending_bytes += item.frames.size
        else:
            if not self._admit(item):
                return
            self._pending_bytes += _EVENT_BYTES
        self._pending.append(item)
        if self._beyond(1):
            self._overflow()
        self.wake()

    def _admit(self, event: ServerEventBase) -> bool:
        if isinstance(event, ResponseCreated):
            self.busy = True
        elif isinstance(event, ResponseDone):
            self.busy = False
            if event.response.status == "cancelled":
                self._drop_response(event.response.id)
        elif isinstance(event, NpcOutput) and event.action == "flush":
            self._drop_response(event.response_id)
        elif isinstance(event, NpcCues | NpcBlendshapes) and event.response_id in self._flushed:
            return False
        return self.opted_in or not isinstance(event, NpcDown)

    def _drop_response(self, response_id: str) -> None:
        """Forget what still waits of a flushed response, so that the flush overtakes it."""
        if response_id not in self._flushed:
            self._flushed.append(response_id)
        if any(_track_of(item) == response_id for item in self._pending):
            keep = [item for item in self._pending if _track_of(item) != response_id]
            self._clear_pending()
            for item in keep:
                self._pending.append(item)
                self._weigh(item)

    def _weigh(self, item: ServerEventBase | AudioOut | BlendshapesOut, sign: int = 1) -> None:
        if isinstance(item, AudioOut):
            self._pending_samples += sign * item.pcm.size
            self._pending_bytes += sign * 2 * item.pcm.size
        elif isinstance(item, BlendshapesOut):
            self._pending_bytes += sign * item.frames.size
        else:
            self._pending_bytes += sign * _EVENT_BYTES

    def _clear_pending(self) -> None:
        self._pending.clear()
        self._pending_bytes = self._pending_samples = 0

    def _beyond(self, times: int) -> bool:
        """Whether more waits than so many times the bound."""
        return (
            self._pending_bytes > times * self._bounds.queue_bytes
            or self._pending_samples * 1000 > times * self._bounds.queue_ms * self.output_rate
        )

    def _overflow(self) -> None:
        if self.connected:
            # The socket is about to be closed; what waits is kept for its resume, which gets time to take it.
            self.overrun = not self._catching_up or self._beyond(2)
        elif self._beyond(2):
            self._lose_all()

    def _lose_all(self) -> None:
        self.seq += len(self._pending)
        self._gap = True
        self._clear_pending()
        self._sent.clear()
        self._sent_bytes = self._sent_samples = 0

    # ---- to the socket -------------------------------------------------------------------------------------------

    def take(self) -> Message | None:
        """The next message for the socket, or None when there is nothing."""
        if self._again:
            return self._again.popleft()
        if not self._pending:
            return None
        item = self._pending.popleft()
        self._weigh(item, -1)
        self._catching_up = self._catching_up and self._beyond(1)
        self.seq += 1
        samples = 0
        message: Message
        if isinstance(item, AudioOut):
            samples = item.pcm.size
            message = self._audio(item)
        elif isinstance(item, BlendshapesOut):
            message = self._face(item)
        else:
            message = self._event(item)
        if self.opted_in:
            self._keep(message, samples)
        return message

    @property
    def idle(self) -> bool:
        """Nothing waits for the socket."""
        return not self._pending and not self._again

    def _keep(self, message: Message, samples: int) -> None:
        self._sent.append((self.seq, message, samples))
        self._sent_bytes += len(message)
        self._sent_samples += samples
        while (
            self._sent_bytes > self._bounds.replay_bytes
            or self._sent_samples * 1000 > self._bounds.replay_ms * self.output_rate
        ):
            _, old, old_samples = self._sent.popleft()
            self._sent_bytes -= len(old)
            self._sent_samples -= old_samples

    # ---- resume --------------------------------------------------------------------------------------------------

    def rewind(self, after: int, snapshot: Callable[[], Mapping[str, Any]], character: str) -> bool:
        """Prepare to go on after message `after`. True when nothing was lost; else a `npc.resync` comes first.

        Raises ValueError for a number that was never sent.
        """
        if not 0 <= after <= self.seq:
            raise ValueError(f"after={after} was never sent; the last number was {self.seq}")
        self.overrun, self._catching_up = False, self._beyond(1)
        oldest = self._sent[0][0] if self._sent else self.seq + 1
        if not self._gap and after >= oldest - 1:
            self._again = deque(message for seq, message, _ in self._sent if seq > after)
            return True
        self._again.clear()
        self._lose_all()
        self._gap = False
        lost = NpcResync(character=character, first_lost=after + 1, last_lost=self.seq, snapshot=dict(snapshot()))
        self._pending.append(lost)
        self._weigh(lost)
        return False

    # ---- encoding ------------------------------------------------------------------------------------------------

    def _event(self, event: ServerEventBase) -> str:
        if isinstance(event, SessionCreated | SessionUpdated):
            event = event.model_copy(update={"session": self._session(event.session)})
        elif isinstance(event, ResponseCreated | ResponseDone) and event.response.npc and not self.opted_in:
            event = event.model_copy(update={"response": event.response.model_copy(update={"npc": None})})
        return f'{self._event_prefix}{self.seq}","npc_seq":{self.seq},{dump(event)[1:]}'

    def _session(self, session: Session) -> Session:
        """What the session object says decides how later items are encoded."""
        self.input_rate = session.audio.input.format.rate
        self.output_rate = session.audio.output.format.rate
        npc = session.npc
        if npc is None:
            return session
        if not self.opted_in:
            return session.model_copy(update={"npc": None})
        self._binary_audio = npc.transport.audio == "binary"
        self._binary_face = npc.transport.animation == "binary"
        self._characters = npc.characters or [session.model]
        return session.model_copy(update={"npc": npc.model_copy(update={"resume": self.resume})})

    def _audio(self, item: AudioOut) -> Message:
        if self._binary_audio:
            return encode_audio(
                Kind.OUTPUT_AUDIO, item.pcm, item.start, ordinal=item.ordinal, track=item.track, last=item.last
            )
        key = (item.response_id, item.item_id, item.output_index, item.content_index)
        head = self._audio_heads.get(key)
        if head is None:
            if len(self._audio_heads) > _FLUSHED:
                self._audio_heads.clear()
            head = self._audio_heads[key] = (
                f'"type":"response.output_audio.delta","response_id":{json.dumps(item.response_id)},'
                f'"item_id":{json.dumps(item.item_id)},"output_index":{item.output_index},'
                f'"content_index":{item.content_index},'
            )
        place = ""
        if self.opted_in:
            last = "true" if item.last else "false"
            place = f',"npc":{{"start":{item.start},"track":{item.track},"last":{last}}}'
        pcm = b2a_base64(item.pcm.astype("<i2", copy=False).tobytes(), newline=False).decode("ascii")
        return f'{self._event_prefix}{self.seq}","npc_seq":{self.seq},{head}"delta":"{pcm}"{place}}}'

    def _face(self, item: BlendshapesOut) -> Message:
        if self._binary_face:
            return encode_blendshapes(
                item.frames, item.start, item.samples_per_frame, ordinal=item.ordinal, track=item.track
            )
        character = self._characters[item.track] if item.track < len(self._characters) else ""
        return self._event(
            NpcBlendshapes(
                character=character,
                response_id=item.response_id,
                item_id=item.item_id,
                start=item.start,
                samples_per_frame=item.samples_per_frame,
                frames=item.frames.tolist(),
            )
        )


def _track_of(item: object) -> str | None:
    """The response whose tracks `item` belongs to; None for events, which a flush leaves in place."""
    if isinstance(item, AudioOut | BlendshapesOut | NpcCues | NpcBlendshapes):
        return item.response_id
    return None
