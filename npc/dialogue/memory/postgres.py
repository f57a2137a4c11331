"""The memory store on PostgreSQL: the same contract and the same statements, chosen by a `postgresql://` address.

Needs the `postgres` extra (psycopg 3). What a server keeps beyond our reach (write-ahead log, replicas, backups) is its
administrator's to expire: `erase` deletes and vacuums, and says in `traces` what tables still hold.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from npc.dialogue.memory.store import SCHEMA, MemoryStore, MemoryStoreError


class PostgresMemoryStore(MemoryStore):
    """All memories in one PostgreSQL schema. One connection, serialised; a session writes once a turn."""

    def __init__(self, address: str) -> None:
        try:
            import psycopg
        except ModuleNotFoundError as error:
            raise MemoryStoreError(
                "memory on PostgreSQL needs psycopg; install it with: pip install 'npc[postgres]'"
            ) from error
        self.path = None
        self._lock = threading.RLock()
        self._error: type[Exception] = psycopg.Error
        try:
            self._db: Any = psycopg.connect(address, autocommit=True, connect_timeout=10)
            with self._db.cursor() as cursor:
                cursor.execute(SCHEMA.replace(" REAL", " DOUBLE PRECISION").replace(" WITHOUT ROWID", ""))
        except psycopg.Error as error:
            raise MemoryStoreError(
                f"memory on PostgreSQL: {error}; check the address and that the server runs"
            ) from error

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self._db.cursor() as cursor:
            cursor.execute(_dialect(sql), tuple(values))
            return [tuple(row) for row in cursor.fetchall()]

    def write(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> None:
        with self._lock, self._db.transaction(), self._db.cursor() as cursor:
            for sql, values in statements:
                cursor.execute(_dialect(sql), tuple(values))

    def compact(self) -> None:
        """Vacuum the four tables."""
        with self._lock, self._db.cursor() as cursor:
            for table in ("memories", "turns", "standing", "slots"):
                cursor.execute(f"VACUUM FULL {table}")

    def traces(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Which of the texts a query still finds in any table."""
        found = []
        for text in texts:
            like = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            rows = self.read(
                "SELECT 1 FROM memories WHERE text LIKE ? UNION SELECT 1 FROM turns WHERE said LIKE ? OR reply LIKE ? "
                "UNION SELECT 1 FROM slots WHERE content LIKE ?",
                (like, like, like, like),
            )
            if rows:
                found.append(text)
        return tuple(found)


def _dialect(sql: str) -> str:
    """Our statements in psycopg's placeholders; they hold no literal percent signs."""
    return sql.replace("?", "%s")


def open_memory(where: Path | str) -> MemoryStore:
    """The store a setting names: a `postgresql://` address, ":memory:", or a SQLite file."""
    if str(where).startswith(("postgresql://", "postgres://")):
        return PostgresMemoryStore(str(where))
    return MemoryStore(where)
