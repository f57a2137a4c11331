"""When output audio leaves: absolute deadlines, `lead` ahead of real time. Pure; time is the session clock in seconds.

    sample s of the item sounds at      origin + s / rate
    it leaves at the latest at          origin + s / rate − lead

Deadlines are absolute, so a late wake-up is caught up with and never accumulates. Only three things move `origin`:
the first audio, an underrun (the client ran dry, so what follows sounds later), and the length of a pause.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Length of one piece of audio. Pipecat sends 40 ms too (read in its `audio_out_10ms_chunks`): half of it would
#: double the messages, twice as much would make a flush waste more.
PIECE_MS = 40


@dataclass
class Pacer:
    """Pacing of one item at `rate` Hz, `lead` samples ahead."""

    rate: int
    lead: int
    origin: float | None = None
    sent: int = 0
    paused: float | None = None

    @property
    def piece(self) -> int:
        """Samples in one piece."""
        return self.rate * PIECE_MS // 1000

    def due(self) -> float | None:
        """Time at which the next piece is to leave: None before the first audio (at once) and while paused (never)."""
        if self.origin is None or self.paused is not None:
            return None
        # To the microsecond, like the session clock: a finer deadline would never quite be reached.
        return round(self.origin + (self.sent - self.lead) / self.rate, 6)

    def send(self, samples: int, now: float) -> None:
        """`samples` more leave now."""
        if self.paused is not None:
            raise ValueError("audio was sent while the output was paused")
        if self.origin is None:
            self.origin = now
        # The client ran dry: everything from here on sounds later by as much.
        self.origin = max(self.origin, now - self.sent / self.rate)
        self.sent += samples

    def playing(self, now: float) -> int:
        """Estimate of the sample that sounds now (transit and the client's own buffer are not in it)."""
        if self.origin is None:
            return 0
        at = self.paused if self.paused is not None else now
        return max(0, min(self.sent, round((at - self.origin) * self.rate)))

    def sounding(self, now: float) -> bool:
        """Whether sent audio is still to be heard."""
        return self.origin is not None and self.playing(now) < self.sent

    def ends(self) -> float:
        """Time at which what was sent has sounded."""
        return round((self.origin or 0.0) + self.sent / self.rate, 6)

    def pause(self, now: float) -> int:
        """The client's playback stands still from now; the estimated sample. Idempotent."""
        if self.paused is None:
            self.paused = now
        return self.playing(now)

    def resume(self, now: float, at: int | None = None) -> int:
        """It goes on, from `at` where the client said so, else from the sample at which it stopped; that sample."""
        if self.paused is None:
            return self.playing(now)
        stopped = self.playing(now) if at is None else max(0, min(at, self.sent))
        if self.origin is not None:
            self.origin = now - stopped / self.rate
        self.paused = None
        return stopped
