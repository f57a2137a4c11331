"""A voice in a process of its own: for engines whose packages do not fit beside ours, or may fall over.

    ours                         the worker's stdin / stdout
    load ──────────────────────▶
         ◀────────────────────── ready {sample_rate, …}
    speak {id, …} ─────────────▶
         ◀────────────────────── audio {id, bytes, …} + bytes     any number
         ◀────────────────────── done {id}   or   error {id, message}

A message is a four-byte little-endian length, that many bytes of JSON, and, where the JSON has `bytes`, so many bytes
of payload. One request runs at a time; the pipe is the only queue, so a slow reader slows the worker. Every read has a
deadline: a worker that dies or goes silent is killed, the running clause fails with `EngineFailed`, and the next one
starts it anew, at most STARTS times in WINDOW_S.
"""

from __future__ import annotations

import json
import logging
import os
import select
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from npc.tts.interface import EngineFailed

log = logging.getLogger(__name__)

STARTS: Final = 3
WINDOW_S: Final = 60.0
#: No message is larger: a minute of float audio at 48 kHz.
_MAX_PAYLOAD: Final = 12_000_000
_LENGTH: Final = struct.Struct("<I")

Message = tuple[dict[str, Any], bytes]


class Worker:
    """The process and its protocol. `ready` is its greeting, `starts` counts how often it was started."""

    def __init__(
        self,
        command: Sequence[str],
        load: Mapping[str, Any],
        *,
        start_s: float = 120.0,
        step_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start it and wait until it is ready. `start_s` and `step_s` are the deadlines of the greeting and of every
        later message. Raises EngineFailed with the worker's own last words."""
        self._command, self._load = list(command), dict(load)
        self._start_s, self._step_s, self._clock = start_s, step_s, clock
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._words: deque[str] = deque(maxlen=12)
        self._started: deque[float] = deque(maxlen=STARTS)
        self._serial = 0
        self._closed = False
        self.starts = 0
        self.ready: dict[str, Any] = {}
        with self._lock:
            self._ensure()

    def ask(self, request: Mapping[str, Any]) -> Iterator[Message]:
        """Send a request and yield its audio messages. Closing the iterator early stops the work. Raises EngineFailed
        when the worker reports an error, dies or overruns its deadline."""
        with self._lock:
            self._ensure()
            self._serial += 1
            number, finished = self._serial, False
            try:
                self._send({**request, "op": "speak", "id": number})
                while True:
                    header, payload = self._receive(self._step_s)
                    if header.get("id") != number:
                        continue
                    if header["op"] == "done":
                        finished = True
                        return
                    if header["op"] == "error":
                        finished = True
                        raise EngineFailed(f"the voice process could not say it: {header.get('message')}")
                    yield header, payload
                    if self._closed:
                        # What the process wrote before it was ended may still lie in the pipe.
                        raise EngineFailed("the voice was closed while it spoke")
            finally:
                if self._closed:
                    self._kill()
                elif not finished and self._process is not None:
                    self._abandon(number)

    def close(self) -> None:
        """End the process for good. A clause that runs fails at once; one that its reader has left standing is not
        waited for longer than for a message."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()
        if self._lock.acquire(timeout=self._step_s):
            try:
                self._kill()
            finally:
                self._lock.release()

    def _abandon(self, number: int) -> None:
        """The reader went away: tell the worker and read on until it has stopped, or end it."""
        try:
            self._send({"op": "stop", "id": number})
            while True:
                header, _ = self._receive(self._step_s)
                if header.get("id") == number and header["op"] in ("done", "error"):
                    return
        except EngineFailed:
            self._kill()

    def _ensure(self) -> None:
        if self._closed:
            raise EngineFailed("the voice is closed")
        if self._process is not None and self._process.poll() is None:
            return
        now = self._clock()
        if len(self._started) == STARTS and now - self._started[0] < WINDOW_S:
            raise EngineFailed(
                f"the voice process ended {STARTS} times within {WINDOW_S:.0f} s, so it is left alone: {self._last()}"
            )
        if self.starts:
            log.warning("voice process is started again", extra={"starts": self.starts + 1, "last_words": self._last()})
        self._kill()
        self._started.append(now)
        self.starts += 1
        self._words.clear()
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise EngineFailed(f"the voice process {self._command[0]} cannot be started: {error}") from error
        threading.Thread(target=self._drain, args=(self._process,), name="voice-stderr", daemon=True).start()
        self._send({**self._load, "op": "load"})
        header, _ = self._receive(self._start_s)
        if header["op"] != "ready":
            self._kill()
            raise EngineFailed(f"the voice process could not load its model: {header.get('message', header)}")
        self.ready = header

    def _drain(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self._words.append(line.decode(errors="replace").rstrip())
        process.stderr.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        body = json.dumps(message).encode()
        try:
            self._process.stdin.write(_LENGTH.pack(len(body)) + body)
            self._process.stdin.flush()
        except OSError as error:
            self._fail(f"does not listen: {error}")

    def _receive(self, seconds: float) -> Message:
        until = self._clock() + seconds
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, until))
        if length > _MAX_PAYLOAD:
            self._fail("sent something that is no message (does its package print to stdout?)")
        try:
            header = json.loads(self._read(length, until))
            size = int(header.get("bytes", 0))
            header["op"]
        except (ValueError, KeyError, AttributeError):
            self._fail("sent something that is no message")
        if size > _MAX_PAYLOAD:
            self._fail(f"announced {size} bytes at once")
        return header, self._read(size, until)

    def _read(self, size: int, until: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        parts: list[bytes] = []
        while size > 0:
            left = until - self._clock()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                self._fail("did not answer in time")
            part = os.read(pipe, min(size, 1 << 16))
            if not part:
                self._fail("ended")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _fail(self, what: str) -> Any:
        """Kill the process and raise EngineFailed with its last words."""
        process = self._process
        if process is not None and what == "ended":
            what = f"ended with status {_status(process)}"
        self._kill()
        raise EngineFailed(f"the voice process {what}: {self._last()}")

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait(10.0)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    # What was left in the buffer could not be written: nobody is there to read it.
                    pass

    def _last(self) -> str:
        return " / ".join(list(self._words)[-3:]) or "it said nothing"


def _status(process: subprocess.Popen[bytes]) -> int | str:
    try:
        return process.wait(2.0)
    except subprocess.TimeoutExpired:
        return "unknown"
