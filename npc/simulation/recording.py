"""An attempt on its way to disk: a thread writes log lines, sound and the record; the event loop never waits for it.

    line, sound, save ─▶ queue (bounded) ─▶ thread ─▶ log.jsonl · trainee.wav · character.wav · attempt.json
                                               └ synced: told back on the loop, once it is on the disk

Sound is written at its place on the attempt's clock, so what was never heard is silence in the file. When the disk is
too slow, sound is dropped first (and counted), the log never is: past its own bound the attempt stops with an error,
because half a log would be a lie.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TextIO

import numpy as np
from numpy.typing import NDArray

from npc.audio.resample import Resampler
from npc.simulation.attempt import Attempt, save
from npc.store import Record

log = logging.getLogger(__name__)

Side = Literal["trainee", "character"]
Pcm16 = NDArray[np.int16]

#: Rate of the files: what the recogniser hears, and enough for speech.
RATE = 16_000
#: Seconds of sound that may wait for the disk, of both sides together.
SOUND_BOUND_S = 60.0
#: Records that may wait for the disk: minutes of the busiest session.
RECORD_BOUND = 50_000
#: A batch is written after this time at the latest, seconds.
BATCH_S = 0.2


@dataclass(frozen=True, slots=True)
class _Sound:
    """`pcm` of `rate` from second `at` on; `follows` the piece before it without a gap."""

    side: Side
    at: float
    rate: int
    pcm: Pcm16
    follows: bool


@dataclass(frozen=True, slots=True)
class _Save:
    attempt: Attempt
    then: Callable[[], None] | None


class WavTrack:
    """A WAV file that is written at any place and can be read at any time, also after a crash."""

    def __init__(self, path: Path) -> None:
        existed = path.is_file() and path.stat().st_size >= 44
        self._file: BinaryIO = path.open("r+b" if existed else "w+b")
        self._length = (path.stat().st_size - 44) // 2 if existed else 0
        self._resampler: Resampler | None = None
        self._rate, self._next = 0, 0
        self._header()

    def write(self, at: float, rate: int, pcm: Pcm16, follows: bool) -> None:
        """Put sound at second `at`; a piece that follows the one before goes right behind it."""
        if not follows or rate != self._rate:
            self._end()
            self._rate, self._next = rate, max(0, round(at * RATE))
            self._resampler = Resampler(rate, RATE) if rate != RATE else None
        self._put(pcm if self._resampler is None else self._resampler.push(pcm))

    def flush(self) -> None:
        self._header()
        self._file.flush()

    def close(self) -> None:
        self._end()
        self._header()
        self._file.close()

    def _end(self) -> None:
        if self._resampler is not None:
            self._put(self._resampler.flush())
            self._resampler = None

    def _put(self, pcm: Pcm16) -> None:
        self._file.seek(44 + 2 * self._next)
        self._file.write(pcm.astype("<i2", copy=False).tobytes())
        self._next += int(pcm.size)
        self._length = max(self._length, self._next)

    def _header(self) -> None:
        size = 2 * self._length
        self._file.seek(0)
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
        self._file.write(struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size))


class AttemptWriter:
    """Writes one attempt's folder. Methods but `close` return at once and are called from one thread."""

    def __init__(self, folder: Path, number: int = 1) -> None:
        """`number` of this session in the attempt: 1 begins it, 2 is its first resume."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._path = folder / ("log.jsonl" if number == 1 else f"log.{number}.jsonl")
        self._waiting: deque[str | _Sound | _Save] = deque()
        self._changed = threading.Condition()
        self._sound_s = 0.0
        self._seq = 0
        self._closing = False
        self.lost_sound_s = 0.0
        self.error: str | None = None
        self._tracks: dict[Side, WavTrack] = {}
        self._thread = threading.Thread(target=self._run, name="npc-attempt", daemon=True)
        self._thread.start()

    def line(self, kind: str, data: object, at: float) -> None:
        """A record of the session; numbered here."""
        record = Record(self._seq, at, kind, data)  # type: ignore[arg-type]
        self._seq += 1
        with self._changed:
            if len(self._waiting) >= RECORD_BOUND:
                self.error = self.error or f"{self._path}: the disk is too slow, the attempt is not recorded any more"
            if self.error is None:
                # Encoded here: what a record holds may change once its step is over.
                self._waiting.append(record.line())
                self._changed.notify()

    def sound(self, side: Side, at: float, rate: int, pcm: Pcm16, follows: bool) -> None:
        """Sound of one side from second `at` of the attempt on."""
        seconds = pcm.size / rate
        with self._changed:
            if self._sound_s + seconds > SOUND_BOUND_S:
                self.lost_sound_s += seconds
                return
            self._sound_s += seconds
            self._waiting.append(_Sound(side, at, rate, pcm, follows))

    def save(self, attempt: Attempt, then: Callable[[], None] | None = None) -> None:
        """Write the record and everything before it; `then` is called on the writer's thread once it is on disk."""
        with self._changed:
            self._waiting.append(_Save(attempt, then))
            self._changed.notify()

    def close(self) -> None:
        """Write what waits; blocks until it is done."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    # -- its thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as lines:
                while True:
                    with self._changed:
                        self._changed.wait_for(lambda: self._closing or self._has_save(), BATCH_S)
                        batch = list(self._waiting)
                        self._waiting.clear()
                        self._sound_s = 0.0
                        over = self._closing and not batch
                    if over:
                        break
                    self._write(batch, lines)
        except OSError as error:
            self.error = f"{error.filename or self._path}: {error.strerror or error}"
            log.error("an attempt cannot be written", extra={"error": self.error})
        except Exception as error:
            self.error = f"{self._path}: cannot be written: {error}"
            log.exception("an attempt cannot be written")
        finally:
            for track in self._tracks.values():
                track.close()

    def _has_save(self) -> bool:
        return any(isinstance(one, _Save) for one in self._waiting)

    def _write(self, batch: list[str | _Sound | _Save], out: TextIO) -> None:
        for one in batch:
            if isinstance(one, str):
                out.write(one + "\n")
            elif isinstance(one, _Sound):
                track = self._tracks.get(one.side)
                if track is None:
                    track = self._tracks[one.side] = WavTrack(self.folder / f"{one.side}.wav")
                track.write(one.at, one.rate, one.pcm, one.follows)
            else:
                out.flush()
                os.fsync(out.fileno())
                for track in self._tracks.values():
                    track.flush()
                save(one.attempt, self.folder)
                if one.then is not None:
                    one.then()
        out.flush()
