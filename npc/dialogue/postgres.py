"""A PostgreSQL server that memory or documents are kept on: one connection, with deadlines, made again when it broke.

    store.memory: postgresql://npc@db.example/npc        password: PGPASSWORD, ~/.pgpass, or in the address

Needs the `postgres` extra (psycopg 3). Messages name user, host, port and database, never the password.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

SCHEMES = ("postgresql://", "postgres://")
#: Seconds until a server that does not answer counts as away, and until a statement is given up.
CONNECT_SECONDS, STATEMENT_SECONDS = 5, 10
_T = TypeVar("_T")


class PostgresError(RuntimeError):
    """The server cannot be used; the message says which one and what to do."""


class Postgres:
    """One connection to one server. Thread-safe: calls wait for one another, none longer than the deadlines.

    `prepare` runs on every new connection (types to register). A connection that broke is made again at the next call;
    a read or a write that met the break is tried once more, a commit is not.
    """

    def __init__(self, address: str, prepare: Callable[[Any], None] | None = None) -> None:
        try:
            import psycopg
            from psycopg.conninfo import conninfo_to_dict
        except ModuleNotFoundError as error:
            raise PostgresError(
                "PostgreSQL needs psycopg; install it with: pip install 'npc[postgres]', or leave store.memory and "
                "store.documents empty for SQLite"
            ) from error
        self._psycopg = psycopg
        self._lock = threading.RLock()
        self._prepare = prepare
        try:
            # libpq quotes a whole address that it cannot read, password included: its words are not passed on.
            self._given = conninfo_to_dict(address)
        except psycopg.Error:
            raise PostgresError(
                "the PostgreSQL address cannot be read: expected postgresql://USER@HOST:PORT/DATABASE, with %XX for "
                "special characters"
            ) from None
        named = {key: self._given.get(key) for key in ("user", "host", "port", "dbname")}
        self.name = (
            f"{named['user'] or 'the default user'} at {named['host'] or 'the local socket'}:{named['port'] or 5432}, "
            f"database {named['dbname'] or named['user'] or 'of the same name'}"
        )
        self._db: Any = self._connect()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        def run() -> list[tuple[Any, ...]]:
            with self._db.cursor() as cursor:
                cursor.execute(sql, _clean(values) or None)
                return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

        return self._retried(run)

    def write(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> None:
        """Run all statements in one transaction, or none."""
        listed = [(sql, _clean(values) or None) for sql, values in statements]

        def begun() -> None:
            with self._db.cursor() as cursor:
                cursor.execute("BEGIN")
                for sql, values in listed:
                    cursor.execute(sql, values)

        with self._lock:
            try:
                self._retried(begun)
                self._named(lambda: self._db.execute("COMMIT"))
            except BaseException:
                if not self._db.closed:
                    self._named(lambda: self._db.execute("ROLLBACK"))
                raise

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """Statements that may take their time (VACUUM), one caller at a time."""
        with self._lock:
            self.read("SET statement_timeout = 0")
            try:
                yield
            finally:
                self.read(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")

    def _connect(self) -> Any:
        limits: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS, "keepalives_idle": 30, "tcp_user_timeout": 1000 * STATEMENT_SECONDS,
            "application_name": "npc",
        }  # fmt: skip
        db: Any = None
        try:
            db = self._psycopg.connect(autocommit=True, **{**limits, **self._given})
            db.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
            db.execute("SET client_min_messages = 'warning'")
            if self._prepare is not None:
                self._prepare(db)
        except (self._psycopg.Error, PostgresError) as error:
            if db is not None:
                db.close()
            if isinstance(error, PostgresError):
                raise
            raise PostgresError(
                f"PostgreSQL ({self.name}) cannot be used: {_line(error)}. Check the address, that the server runs and "
                "lets this user in (password: PGPASSWORD or ~/.pgpass), or leave the setting empty for SQLite"
            ) from None
        return db

    def _retried(self, run: Callable[[], _T]) -> _T:
        with self._lock:
            if self._db.closed:
                self._db = self._connect()
            try:
                return run()
            except self._psycopg.OperationalError as error:
                if not self._db.closed:
                    raise PostgresError(f"PostgreSQL ({self.name}): {_line(error)}") from error
            except self._psycopg.Error as error:
                raise PostgresError(f"PostgreSQL ({self.name}): {_line(error)}") from error
            self._db = self._connect()
            return self._named(run)

    def _named(self, run: Callable[[], _T]) -> _T:
        try:
            return run()
        except self._psycopg.Error as error:
            raise PostgresError(f"PostgreSQL ({self.name}): {_line(error)}") from error


def is_address(where: object) -> bool:
    """Whether a setting names a PostgreSQL server."""
    return str(where).startswith(SCHEMES)


def _clean(values: Sequence[Any]) -> tuple[Any, ...]:
    """PostgreSQL's text holds no NUL character, SQLite's does: it is left out."""
    return tuple(value.replace("\0", "") if isinstance(value, str) else value for value in values)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".?") or type(error).__name__
