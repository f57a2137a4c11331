"""What is still to be sent, on disk, until the other side has taken it.

    put ──▶ waiting ──delivered──▶ gone
               │ refused for good (400, 413, 422)
               └──▶ refused: kept with the reason, for a person to look at; `retry_refused` puts it back

Bound: `most` entries. Policy when full: `put` raises `OutboxFull` and keeps what waits. A statement can be made again
from its attempt, which stays in its own store, so refusing a new one loses nothing; dropping the oldest would.

Putting the same key twice is one entry: keys are made from the attempt, so an export that was cut off and repeated
sends nothing twice. Erasure overwrites the bytes (SQLite's `secure_delete`) and truncates the write-ahead log.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Entries kept: a thousand attempts of a hundred statements, some 200 MB.
MOST = 100_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, key TEXT NOT NULL, person TEXT NOT NULL,
    body TEXT NOT NULL, refused TEXT, UNIQUE (target, key)
);
CREATE INDEX IF NOT EXISTS entry_person ON entry (person);
"""


class OutboxFull(Exception):
    """The outbox holds its bound; what was to be put was not. Send or `erase` first, then export the attempt again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to send to `target` (the name of an LRS or of a grade book) about `person`."""

    seq: int
    target: str
    key: str
    person: str
    body: Mapping[str, Any]
    refused: str | None = None


class Outbox:
    """Entries of one service, in one SQLite file. Thread-safe; every call is on disk when it returns."""

    def __init__(self, path: Path, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        # FULL: an acknowledged statement survives a power cut as well.
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA secure_delete = ON")
        self._connection.executescript(_SCHEMA)
        self._connection.commit()

    def put(self, target: str, person: str, bodies: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
        """Add (key, body) pairs, all or none; how many were new. Raises OutboxFull."""
        rows = [(target, key, person, json.dumps(body, ensure_ascii=False)) for key, body in bodies]
        with self._lock, self._connection:
            before = self._count()
            self._connection.executemany(
                "INSERT OR IGNORE INTO entry (target, key, person, body) VALUES (?, ?, ?, ?)", rows
            )
            after = self._count()
            if after > self._most:
                raise OutboxFull(f"the outbox holds {before} of {self._most} entries; {len(rows)} more do not fit")
        return after - before

    def waiting(self, target: str, most: int) -> list[Entry]:
        """The oldest entries for `target` that were not refused."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT seq, target, key, person, body, refused FROM entry "
                "WHERE target = ? AND refused IS NULL ORDER BY seq LIMIT ?",
                (target, most),
            ).fetchall()
        return [_entry(row) for row in rows]

    def targets(self) -> list[str]:
        """Names of those for whom something waits."""
        with self._lock:
            rows = self._connection.execute("SELECT DISTINCT target FROM entry WHERE refused IS NULL").fetchall()
        return [row[0] for row in rows]

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Keep changed bodies, so that a repeated sending sends the same bytes."""
        rows = [(json.dumps(one.body, ensure_ascii=False), one.seq) for one in entries]
        with self._lock, self._connection:
            self._connection.executemany("UPDATE entry SET body = ? WHERE seq = ?", rows)

    def delivered(self, entries: Iterable[Entry]) -> None:
        """They have arrived: forget them."""
        with self._lock, self._connection:
            self._connection.executemany("DELETE FROM entry WHERE seq = ?", [(one.seq,) for one in entries])

    def refuse(self, entry: Entry, reason: str) -> None:
        """The other side will never take it as it is; keep it aside."""
        with self._lock, self._connection:
            self._connection.execute("UPDATE entry SET refused = ? WHERE seq = ?", (reason, entry.seq))

    def refused(self) -> list[Entry]:
        """Entries set aside, with their reasons."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT seq, target, key, person, body, refused FROM entry WHERE refused IS NOT NULL ORDER BY seq"
            ).fetchall()
        return [_entry(row) for row in rows]

    def retry_refused(self) -> int:
        """Put everything that was set aside back into the queue; how many."""
        with self._lock, self._connection:
            return self._connection.execute("UPDATE entry SET refused = NULL WHERE refused IS NOT NULL").rowcount

    def erase(self, person: str) -> int:
        """Delete everything about a person so that no byte of it is left in the files; how many entries."""
        with self._lock:
            with self._connection:
                count = self._connection.execute("DELETE FROM entry WHERE person = ?", (person,)).rowcount
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    def __len__(self) -> int:
        with self._lock:
            return self._count()

    def _count(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM entry").fetchone()[0])

    def close(self) -> None:
        """Close the file. What waits, waits."""
        self._connection.close()


def _entry(row: tuple[Any, ...]) -> Entry:
    seq, target, key, person, body, refused = row
    return Entry(seq, target, key, person, json.loads(body), refused)
