"""Where sound of either side lies on the attempt's clock; with consent it goes to the writer, otherwise only its times.

trainee    pieces come as the client sends them ─▶ joined while they keep up with the clock, placed anew after a gap
character  pieces leave ahead of their time ─▶ kept until the reply is over ─▶ what was played, at its time
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import LISTEN_RATE
from npc.conversation.port import AudioOut
from npc.simulation.recording import AttemptWriter

Pcm16 = NDArray[np.int16]
Anchor = Callable[[str, Mapping[str, Any], float], None]

#: A client that falls behind its clock by this much has stopped for a while (muted, push-to-talk), seconds.
GAP = 0.25


class Ears:
    """The trainee's sound."""

    def __init__(self, anchor: Anchor, writer: AttemptWriter | None) -> None:
        self._anchor, self._writer = anchor, writer
        self.offset = 0.0
        """Seconds of the attempt at second 0 of the session."""
        self._ends: float | None = None
        """Session time at which the sound so far ends."""

    def heard(self, pcm: Pcm16, rate: int, at: float, before: int) -> None:
        """Sound whose last sample came at session time `at`, behind `before` samples of the session's input."""
        seconds = pcm.size / rate
        follows = self._ends is not None and at - seconds - self._ends < GAP
        begins = self._ends if self._ends is not None and follows else max(0.0, at - seconds)
        if not follows:
            sample = round(before * LISTEN_RATE / rate)
            self._anchor("input.clock", {"sample": sample, "second": round(begins, 6)}, round(begins, 6))
        if self._writer is not None:
            self._writer.sound("trainee", begins + self.offset, rate, pcm, follows)
        self._ends = begins + seconds


@dataclass
class _Reply:
    """Pieces of one reply, and where its samples sound: (sample, session time), in order."""

    rate: int
    clock: list[tuple[int, float]]
    pieces: list[tuple[int, Pcm16]] = field(default_factory=list)
    paused: float | None = None
    sent: int = 0

    def at(self, sample: int) -> float:
        place, moment = max(one for one in self.clock if one[0] <= sample)
        return moment + (sample - place) / self.rate


class Mouth:
    """The character's sound."""

    def __init__(self, anchor: Anchor, writer: AttemptWriter | None) -> None:
        self._anchor, self._writer = anchor, writer
        self.offset = 0.0
        self._replies: dict[str, _Reply] = {}
        self._latest: str | None = None

    def sounded(self, audio: AudioOut, rate: int, at: float) -> None:
        """A piece leaves now. Its time is that of its place, or now where the client has run dry."""
        reply = self._replies.get(audio.response_id)
        if reply is None:
            reply = self._replies[audio.response_id] = _Reply(rate, [])
            self._latest = audio.response_id
            self._mark(audio.response_id, audio.start, at)
        elif reply.at(audio.start) < at:
            self._mark(audio.response_id, audio.start, at)
        if self._writer is not None:
            reply.pieces.append((audio.start, audio.pcm))
        reply.sent = audio.start + int(audio.pcm.size)

    def follow(self, kind: str, data: Mapping[str, Any], at: float) -> None:
        """Records that move the output: pauses of the playback, and the end of a reply."""
        if kind == "turn":
            for name, _ in data["effects"]:
                self._paused(name, at)
        elif kind == "response.ended":
            reply = self._replies.pop(data["response_id"], None)
            if reply is not None:
                self._write(reply, data["played"])

    def close(self) -> None:
        """Replies that never ended are kept as far as they were sent."""
        for reply in self._replies.values():
            self._write(reply, reply.sent)
        self._replies.clear()

    def _paused(self, effect: str, at: float) -> None:
        reply = self._replies.get(self._latest or "")
        if reply is None or self._latest is None:
            return
        if effect == "PauseReply" and reply.paused is None:
            reply.paused = at
        elif effect == "ResumeReply" and reply.paused is not None:
            place, moment = reply.clock[-1]
            stopped = min(reply.sent, place + round(max(0.0, reply.paused - moment) * reply.rate))
            reply.paused = None
            self._mark(self._latest, stopped, at)

    def _mark(self, response_id: str, sample: int, at: float) -> None:
        self._replies[response_id].clock.append((sample, at))
        self._anchor("output.clock", {"response_id": response_id, "sample": sample, "second": at}, at)

    def _write(self, reply: _Reply, played: int) -> None:
        if self._writer is None:
            return
        bounds = [place for place, _ in reply.clock]
        for start, pcm in reply.pieces:
            # A piece in which the clock slipped is cut there.
            cuts = sorted({start, *(b for b in bounds if start < b < start + pcm.size)})
            for cut, until in zip(cuts, [*cuts[1:], start + pcm.size], strict=True):
                part = pcm[cut - start : min(until, played) - start]
                if cut < played and part.size:
                    follows = cut not in bounds
                    self._writer.sound("character", reply.at(cut) + self.offset, reply.rate, part, follows)
