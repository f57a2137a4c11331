"""The memory store on PostgreSQL: the same contract and the same statements, chosen by a `postgresql://` address.

What a server keeps beyond our reach (write-ahead log, replicas, backups) is its administrator's to expire: `erase`
deletes and vacuums, and says in `traces` what tables still hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from npc.dialogue.memory.store import SCHEMA, TABLES, MemoryStore, MemoryStoreError
from npc.dialogue.postgres import Postgres, PostgresError, is_address

#: Two servers that start at once make the tables one after the other (an advisory lock's number, ours alone).
_MAKING = 0x6E7063


class PostgresMemoryStore(MemoryStore):
    """All memories in one PostgreSQL database. One connection, serialised; a session writes once a turn."""

    def __init__(self, address: str) -> None:
        self.path = None
        try:
            self._server = Postgres(address)
        except PostgresError as error:
            raise MemoryStoreError(f"memory: {error}") from error
        tables = SCHEMA.replace(" REAL", " DOUBLE PRECISION").replace(" WITHOUT ROWID", "")
        self.write([("SELECT pg_advisory_xact_lock(?)", (_MAKING,)), (tables, ())])

    def close(self) -> None:
        self._server.close()

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._server.read(_dialect(sql), values)
        except PostgresError as error:
            raise MemoryStoreError(f"memory: {error}") from error

    def write(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> None:
        try:
            self._server.write((_dialect(sql), values) for sql, values in statements)
        except PostgresError as error:
            raise MemoryStoreError(f"memory: {error}") from error

    def compact(self) -> None:
        """Rewrite the tables without what was deleted."""
        with self._server.unhurried():
            for table in TABLES:
                self.read(f"VACUUM FULL {table}")

    def traces(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Which of the texts a query still finds in any table; save slots hold them as JSON."""
        found = []
        for text in texts:
            plain, stored = _like(text), _like(json.dumps(text)[1:-1])
            rows = self.read(
                "SELECT 1 FROM memories WHERE text LIKE ? UNION SELECT 1 FROM turns WHERE said LIKE ? OR reply LIKE ? "
                "UNION SELECT 1 FROM slots WHERE content LIKE ? UNION SELECT 1 FROM talks WHERE content LIKE ?",
                (plain, plain, plain, stored, stored),
            )
            if rows:
                found.append(text)
        return tuple(found)


def _like(text: str) -> str:
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def _dialect(sql: str) -> str:
    """Our statements in psycopg's placeholders; they hold no literal percent signs."""
    return sql.replace("?", "%s")


def open_memory(where: Path | str) -> MemoryStore:
    """The store a setting names: a `postgresql://` address, ":memory:", or a SQLite file. Raises MemoryStoreError."""
    return PostgresMemoryStore(str(where)) if is_address(where) else MemoryStore(where)
