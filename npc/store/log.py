"""The session log: an append-only record of everything that happened, in one SQLite file.

    session ──record()──▶ queue (bounded) ──▶ writer thread ──batches──▶ log.sqlite (WAL)
                                                                            │ read(), export()
                                              fold, replay, assessment ◀────┘

A record never blocks its session: past the bound the oldest waiting records are dropped, counted, and the gap is
recorded. A crash loses at most the last batch (`BATCH_SECONDS`) and never the file: SQLite rolls a torn write back.
Retention: `session` deletes a log when its session ends, `days:N` after that time, `none` never writes it.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Records that may wait for the disk: half a minute of the busiest session times ten.
BOUND = 20_000
#: A batch is written after this time at the latest.
BATCH_SECONDS = 0.25
#: Version of the record format; a reader refuses newer ones.
FORMAT = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS session (
    id TEXT PRIMARY KEY, character TEXT NOT NULL, player TEXT NOT NULL,
    began REAL NOT NULL, ended REAL, keep_days INTEGER, format INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS record (
    session TEXT NOT NULL, seq INTEGER NOT NULL, at REAL NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (session, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_player ON session (player, character);
"""


@dataclass(frozen=True, slots=True)
class Record:
    """One event of a session: `seq` from 0 without gaps, `at` in seconds of the session, `data` JSON values only."""

    seq: int
    at: float
    kind: str
    data: Mapping[str, Any]

    def line(self) -> str:
        """One line of an exported log; reading it back gives an equal record."""
        return json.dumps({"seq": self.seq, "at": self.at, "kind": self.kind, "data": self.data}, sort_keys=True)


class LogError(ValueError):
    """A log cannot be read; the message names the file and line."""


def parse_retention(text: str) -> int | None:
    """Days to keep: `session` 0, `none` None, `days:N` N. Raises ValueError."""
    if text == "session":
        return 0
    if text == "none":
        return None
    days = text.removeprefix("days:")
    if text.startswith("days:") and days.isdigit() and int(days) > 0:
        return int(days)
    raise ValueError(f"retention {text!r}: expected session, none or days:N")


class SessionLog:
    """The log of one live session. Implements the conversation's `Recorder`."""

    def __init__(self, store: LogStore, session_id: str) -> None:
        self._store, self._session_id = store, session_id
        self._next = 0
        self._discarded = False

    def record(self, kind: str, data: Mapping[str, Any], at: float) -> None:
        if self._discarded:
            return
        self._store.put(self._session_id, Record(self._next, at, kind, data))
        self._next += 1

    async def flush(self) -> None:
        await asyncio.to_thread(self._store.flush)

    async def discard(self) -> None:
        """The player does not want to be kept: delete what was recorded, and record nothing more."""
        self._discarded = True
        await asyncio.to_thread(self._store.discard, self._session_id)

    async def end(self) -> None:
        """The session is over: its log begins to age."""
        if not self._discarded:
            await asyncio.to_thread(self._store.end, self._session_id)


class LogStore:
    """All session logs of one service. Thread-safe; one writer thread."""

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)
        self._lock = threading.Condition()
        """Guards the queue alone, and only for moments: `put` is called on event loops."""
        self._disk = threading.Lock()
        self._waiting: deque[tuple[str, Record]] = deque()
        self._gaps: dict[str, int] = {}
        self._closing = False
        self._idle = True
        self._hurried = False
        self.dropped = 0
        self._connection = self._connect()
        self._connection.executescript(_SCHEMA)
        self._connection.commit()
        self._writer = threading.Thread(target=self._write, name="npc-log", daemon=True)
        self._writer.start()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        # With WAL, NORMAL survives a crash of the process; only a power cut may lose the last batch.
        connection.execute("PRAGMA synchronous = NORMAL")
        # What is deleted is overwritten: an erased player's words are not to be found in free pages.
        connection.execute("PRAGMA secure_delete = ON")
        return connection

    # -- writing -------------------------------------------------------------------------------------------------------

    def open(self, session_id: str, character: str, player: str, keep_days: int) -> SessionLog:
        """Begin a log. `keep_days` 0 deletes it when the session ends."""
        with self._disk:
            self._connection.execute(
                "INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, NULL, ?, ?)",
                (session_id, character, player, time.time(), keep_days, FORMAT),
            )
            self._connection.commit()
        return SessionLog(self, session_id)

    def put(self, session_id: str, record: Record) -> None:
        """Queue a record; never blocks for longer than a moment."""
        with self._lock:
            if len(self._waiting) >= BOUND:
                lost, _ = self._waiting.popleft()
                self._gaps[lost] = self._gaps.get(lost, 0) + 1
                self.dropped += 1
            self._waiting.append((session_id, record))
            self._idle = False
            self._lock.notify()

    def _write(self) -> None:
        while True:
            with self._lock:
                while not self._waiting and not self._closing:
                    self._lock.wait()
                if not self._waiting and self._closing:
                    return
                self._lock.wait_for(lambda: self._closing or self._hurried, timeout=BATCH_SECONDS)
                batch = list(self._waiting)
                self._waiting.clear()
            rows = [(session, r.seq, r.at, r.kind, json.dumps(r.data, sort_keys=True)) for session, r in batch]
            with self._disk:
                self._connection.executemany("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?)", rows)
                self._connection.commit()
            with self._lock:
                self._idle = not self._waiting
                self._hurried = self._hurried and not self._idle
                self._lock.notify_all()

    def flush(self) -> None:
        """Return once everything put so far is on disk."""
        with self._lock:
            while not self._idle:
                self._hurried = True
                self._lock.notify_all()
                self._lock.wait(timeout=BATCH_SECONDS)

    def end(self, session_id: str) -> None:
        """The session is over: its log is deleted or begins to age."""
        self.flush()
        with self._disk:
            self._connection.execute("UPDATE session SET ended = ? WHERE id = ?", (time.time(), session_id))
            self._connection.commit()
        self.expire()

    def expire(self, now: float | None = None) -> int:
        """Delete ended logs past their days; how many."""
        moment = time.time() if now is None else now
        with self._disk:
            old = [
                row[0]
                for row in self._connection.execute(
                    "SELECT id FROM session WHERE ended IS NOT NULL AND ended + keep_days * 86400 <= ?", (moment,)
                )
            ]
            for session_id in old:
                self._delete(session_id)
            self._connection.commit()
        return len(old)

    def erase(self, player: str, character: str | None = None) -> int:
        """Delete every log of a player (with one character), and every byte of it in the files; how many.

        Sessions in which a client named the player later, by `session.update`, are the player's too.
        """
        self.flush()
        with self._disk:
            rows = self._connection.execute(
                "SELECT id FROM session WHERE (? IS NULL OR character = ?) AND (player = ? OR id IN (SELECT session "
                "FROM record WHERE kind IN ('session.opened', 'session.updated') "
                "AND json_extract(data, '$.session.npc.player.id') = ?))",
                (character, character, player, player),
            ).fetchall()
            for (session_id,) in rows:
                self._delete(session_id)
            self._connection.commit()
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return len(rows)

    def discard(self, session_id: str) -> None:
        """Delete one log."""
        self.flush()
        with self._disk:
            self._delete(session_id)
            self._connection.commit()

    def _delete(self, session_id: str) -> None:
        self._connection.execute("DELETE FROM record WHERE session = ?", (session_id,))
        self._connection.execute("DELETE FROM session WHERE id = ?", (session_id,))

    def close(self) -> None:
        """Write what waits and stop."""
        with self._lock:
            self._closing = True
            self._lock.notify_all()
        self._writer.join()
        self._connection.close()

    # -- reading -------------------------------------------------------------------------------------------------------

    def sessions(self) -> list[tuple[str, str, str, float]]:
        """(id, character, player, began) of every log, newest first."""
        with self._disk:
            return self._connection.execute(
                "SELECT id, character, player, began FROM session ORDER BY began DESC"
            ).fetchall()

    def read(self, session_id: str) -> Iterator[Record]:
        """Records in order; raises KeyError for a session without a log."""
        with self._disk:
            if not self._connection.execute("SELECT 1 FROM session WHERE id = ?", (session_id,)).fetchone():
                raise KeyError(session_id)
            rows = self._connection.execute(
                "SELECT seq, at, kind, data FROM record WHERE session = ? ORDER BY seq", (session_id,)
            ).fetchall()
        for seq, at, kind, data in rows:
            yield Record(seq, at, kind, json.loads(data))

    def export(self, session_id: str, path: Path) -> int:
        """Write a log as JSON lines; how many records."""
        count = 0
        with path.open("w", encoding="utf-8") as out:
            for record in self.read(session_id):
                out.write(record.line() + "\n")
                count += 1
        return count


def read_lines(path: Path) -> list[Record]:
    """An exported log, also compressed (`.gz`). A last line cut in the middle of writing is left out; any other
    other flaw is a LogError."""
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
        lines = raw.decode("utf-8", errors="replace").split("\n")
    except (OSError, EOFError, zlib.error) as error:
        raise LogError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    records: list[Record] = []
    whole = [line for line in lines if line.strip()]
    for number, line in enumerate(whole, 1):
        try:
            fields = json.loads(line)
            record = Record(int(fields["seq"]), float(fields["at"]), str(fields["kind"]), fields["data"])
        except (ValueError, KeyError, TypeError):
            if number == len(whole) and lines[-1] != "":
                break
            raise LogError(f"{path}:{number}: not a log record") from None
        if records and record.seq != records[-1].seq + 1:
            raise LogError(f"{path}:{number}: record {record.seq} follows {records[-1].seq}: records are missing")
        records.append(record)
    if not records:
        raise LogError(f"{path}: holds no record")
    return records
