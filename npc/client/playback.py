"""Everything between the socket and the loudspeaker: jitter buffer, cue scheduler and the reports of what was heard.

Pure: the device (or a pacer, or a test) calls `read`, and all times follow from how much it read.
"""

from __future__ import annotations

from npc.client.core import Incoming, OutputAudio
from npc.client.cues import CueScheduler, DueCue
from npc.client.jitter import PREBUFFER_MS, JitterBuffer, Pcm16, Progress
from npc.protocol import NpcCues, NpcOutput, NpcPlayback, ResponseAudioDone, ResponseDone

#: How often what was heard is reported while it plays.
REPORT_MS = 100


class Playback:
    """Plays one session. `receive` takes everything that comes down; events it has no use for are ignored."""

    def __init__(
        self, output_rate: int = 24_000, input_rate: int = 24_000, *, prebuffer_ms: int = PREBUFFER_MS
    ) -> None:
        self.buffer = JitterBuffer(output_rate, prebuffer_ms=prebuffer_ms)
        self.cues = CueScheduler(input_rate)
        self._every = output_rate * REPORT_MS // 1000
        self._reported: tuple[str, str] = ("", "")
        self._reported_at = 0
        self._due: list[DueCue] = []
        self._reports: list[NpcPlayback] = []

    def receive(self, incoming: Incoming) -> None:
        """Take something that came down."""
        if isinstance(incoming, OutputAudio):
            self.buffer.push(incoming)
        elif isinstance(incoming, NpcCues):
            self.cues.add(incoming)
        elif isinstance(incoming, ResponseAudioDone):
            self.buffer.finish(incoming.response_id, incoming.item_id)
        elif isinstance(incoming, NpcOutput):
            self._control(incoming)
        elif isinstance(incoming, ResponseDone) and incoming.response.status == "cancelled":
            self._flush(incoming.response.id, 0)

    def _control(self, output: NpcOutput) -> None:
        if output.action == "flush":
            self._flush(output.response_id, output.fade_ms)
        elif output.action == "duck":
            self.buffer.duck(output.gain if output.gain is not None else 0.3, output.fade_ms)
        elif output.action == "pause":
            self.buffer.pause(output.fade_ms)
        else:
            self.buffer.resume(output.fade_ms)
        self._settle()

    def _flush(self, response_id: str, fade_ms: int) -> None:
        self.buffer.flush(response_id, fade_ms)
        self._settle()
        self.cues.drop(response_id)

    def read(self, n: int) -> Pcm16:
        """The next `n` samples for the device."""
        pcm = self.buffer.read(n)
        self._settle()
        position = self.buffer.position
        if position is not None and position.state == "playing":
            self._due += self.cues.played(position.response_id, position.item_id, position.played)
            new = (position.response_id, position.item_id) != self._reported
            if new or position.played - self._reported_at >= self._every:
                self._report(position)
        return pcm

    def heard(self, input_samples: int) -> None:
        """Input audio sent so far: drives the cues on the input clock."""
        self._due += self.cues.heard(input_samples)

    def _settle(self) -> None:
        """Stops and ends: the last cues before them, and a report at once."""
        for change in self.buffer.changes():
            self._due += self.cues.played(change.response_id, change.item_id, change.played)
            if change.state == "finished":
                self._due += self.cues.finished(change.response_id, change.item_id)
            self._report(change)

    def _report(self, progress: Progress) -> None:
        self._reported = (progress.response_id, progress.item_id)
        self._reported_at = progress.played
        self._reports.append(
            NpcPlayback(
                response_id=progress.response_id,
                item_id=progress.item_id,
                played_samples=progress.played,
                state=progress.state,
            )
        )

    def due(self) -> list[DueCue]:
        """Cues whose time came since the last call, in order."""
        due, self._due = self._due, []
        return due

    def reports(self) -> list[NpcPlayback]:
        """`npc.playback` events to send, since the last call."""
        reports, self._reports = self._reports, []
        return reports
