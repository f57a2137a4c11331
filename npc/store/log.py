"""The session log: an append-only record of everything that happened, in one SQLite file.

    session ──record()──▶ queue (bounded) ──▶ writer thread ──batches──▶ log.sqlite (WAL)
                                                                            │ read(), export()
                                              fold, replay, assessment ◀────┘

A record never blocks its session: past the bound the oldest waiting records are dropped, and so is a batch that the
disk refuses; what was dropped is counted, and the numbers that are missing in a log show where. A crash loses at most
the last batch (`BATCH_SECONDS`) and never the file: SQLite rolls a torn write back. Retention: `session` deletes a log
when its session ends, `days:N` after that time, `none` never writes it; a log that a crash left open ages from its last
record. A log that was erased takes no more records, also while its session goes on.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import sqlite3
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

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
    """One event of a session: `seq` from 0 (a gap means lost ones), `at` in seconds of it, `data` JSON values only."""

    seq: int
    at: float
    kind: str
    data: Mapping[str, Any]

    def line(self) -> str:
        """One line of an exported log; reading it back gives an equal record."""
        return json.dumps({"seq": self.seq, "at": self.at, "kind": self.kind, "data": self.data}, sort_keys=True)


class LogError(ValueError):
    """A log or a store cannot be read; the message names the file, and the line where there is one."""


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
        self._days: int | None = None

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

    def keep(self, days: int) -> None:
        """The player asks for fewer days than the operator keeps logs; more are not given."""
        self._days = days

    async def end(self) -> None:
        """The session is over: its log begins to age."""
        if not self._discarded:
            await asyncio.to_thread(self._store.end, self._session_id, self._days)


class LogStore:
    """All session logs of one service. Thread-safe; one writer thread. Raises LogError for a file that is no store."""

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)
        self._lock = threading.Condition()
        """Guards the queue alone, and only for moments: `put` is called on event loops."""
        self._disk = threading.Lock()
        self._opened: list[tuple[str, str, str, float, int]] = []
        """Logs to begin, written before any record: one a session, so bounded by the sessions there are."""
        self._unopened: list[tuple[str, str, str, float, int]] = []
        """Those that the disk refused, tried again with the next batch. The writer's own."""
        self._waiting: deque[tuple[str, Record]] = deque()
        self._put = self._done = 0
        """Things handed to the writer, and those of them that are on disk or given up."""
        self._closing = False
        self._hurried = False
        self.dropped = 0
        try:
            self._connection = self._connect()
            self._connection.executescript(_SCHEMA)
            self._connection.commit()
        except sqlite3.Error as error:
            raise LogError(f"{self._path}: cannot be used as a session store: {error}") from None
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
        """Begin a log; never blocks for longer than a moment. `keep_days` 0 deletes it when the session ends."""
        with self._lock:
            self._opened.append((session_id, character, player, time.time(), keep_days))
            self._put += 1
            self._lock.notify_all()
        return SessionLog(self, session_id)

    def put(self, session_id: str, record: Record) -> None:
        """Queue a record; never blocks for longer than a moment."""
        with self._lock:
            if len(self._waiting) >= BOUND:
                self._waiting.popleft()
                self._done += 1
                self.dropped += 1
            self._waiting.append((session_id, record))
            self._put += 1
            self._lock.notify_all()

    def _write(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._opened or self._waiting or self._closing)
                if not self._opened and not self._waiting:
                    return
                self._lock.wait_for(lambda: self._closing or self._hurried, timeout=BATCH_SECONDS)
                opened, batch, fresh = self._unopened + self._opened, list(self._waiting), len(self._opened)
                self._opened = []
                self._waiting.clear()
                self._hurried = False
            lost = self._write_batch(opened, batch)
            with self._lock:
                self._done += fresh + len(batch)
                self.dropped += lost
                self._lock.notify_all()

    def _write_batch(self, opened: list[tuple[str, str, str, float, int]], batch: list[tuple[str, Record]]) -> int:
        """Put a batch on disk; how many records were lost. Never raises: the thread must outlive one bad write."""
        rows = []
        for session, r in batch:
            try:
                rows.append((session, r.seq, r.at, r.kind, json.dumps(r.data, sort_keys=True), session))
            except (TypeError, ValueError, RuntimeError) as error:
                log.error("a record cannot be kept", extra={"session": session, "kind": r.kind, "error": str(error)})
        try:
            with self._disk, self._connection:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, NULL, ?, ?)",
                    [(*one, FORMAT) for one in opened],
                )
                self._connection.executemany(
                    "INSERT OR REPLACE INTO record SELECT ?, ?, ?, ?, ? WHERE EXISTS "
                    "(SELECT 1 FROM session WHERE id = ?)",
                    rows,
                )
        except (sqlite3.Error, ValueError) as error:
            log.error("records were lost", extra={"store": self._path, "count": len(batch), "error": str(error)})
            self._unopened = opened
            return len(batch)
        self._unopened = []
        return len(batch) - len(rows)

    def flush(self) -> None:
        """Return once everything put so far is on disk, or was given up."""
        with self._lock:
            wanted = self._put
            while self._done < wanted and self._writer.is_alive():
                self._hurried = True
                self._lock.notify_all()
                self._lock.wait(timeout=BATCH_SECONDS)

    def end(self, session_id: str, most_days: int | None = None) -> None:
        """The session is over: its log is deleted or begins to age, `most_days` at most. What the disk refuses is
        logged, not raised: a log without an end ages too."""
        self.flush()
        try:
            with self._disk, self._connection:
                self._connection.execute(
                    "UPDATE session SET ended = ?, keep_days = MIN(keep_days, COALESCE(?, keep_days)) WHERE id = ?",
                    (time.time(), most_days, session_id),
                )
            self.expire()
        except sqlite3.Error as error:
            log.error("the end of a log was lost", extra={"session": session_id, "error": str(error)})

    def expire(self, now: float | None = None) -> int:
        """Delete logs past their days; how many. One that never ended counts from its last record, a day at least."""
        moment = time.time() if now is None else now
        with self._disk:
            old = [
                row[0]
                for row in self._connection.execute(
                    "SELECT id FROM session WHERE CASE WHEN ended IS NOT NULL THEN ended + keep_days * 86400 ELSE "
                    "began + COALESCE((SELECT MAX(at) FROM record WHERE session = id), 0) + MAX(keep_days, 1) * 86400 "
                    "END <= ?",
                    (moment,),
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
        """Records in order. Raises KeyError for a session without a log, LogError for one of a newer format."""
        with self._disk:
            found = self._connection.execute("SELECT format FROM session WHERE id = ?", (session_id,)).fetchone()
            if found is None:
                raise KeyError(session_id)
            if found[0] > FORMAT:
                raise LogError(
                    f"{self._path}: {session_id} has record format {found[0]}, known is {FORMAT}: update npc"
                )
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
    """An exported log, also compressed (`.gz`). A last line cut in the middle of writing is left out; any other flaw is
    a LogError."""
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
            record = Record(int(fields["seq"]), float(fields["at"]), str(fields["kind"]), {**fields["data"]})
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
