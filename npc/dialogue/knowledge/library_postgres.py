"""A character's documents on a PostgreSQL server with pgvector: the contract of `library.py`, a schema a character.

    words       tsvector of English stems behind a GIN index, ranked by BM25 as SQLite's FTS5 does (ts_rank_cd does not
                know how rare a word is): k1 = 1.2, b = 0.75, idf = ln((N - n + 0.5) / (n + 0.5))
    vector      pgvector, inner product of unit vectors, every one compared: exact, with the gate as a plain condition

What is locked is in neither query, nor in the counts that weigh words.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from npc.dialogue.knowledge.facts import Fact
from npc.dialogue.knowledge.library import (
    COLUMNS,
    GUARDED_LIMIT,
    Document,
    DocumentLibrary,
    Documents,
    Entry,
    fact_of,
    row_of,
)
from npc.dialogue.knowledge.words import tokens
from npc.dialogue.postgres import Postgres, PostgresError
from npc.inference.encoder import SentenceEncoder, Vectors

_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS {s};
CREATE TABLE IF NOT EXISTS {s}.documents (path TEXT PRIMARY KEY, digest TEXT NOT NULL,
  changed DOUBLE PRECISION NOT NULL, title TEXT NOT NULL, encoder TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS {s}.facts (id TEXT PRIMARY KEY, path TEXT NOT NULL, text TEXT NOT NULL, topic TEXT NOT NULL,
  source TEXT NOT NULL, page INTEGER, line INTEGER, holder TEXT, time TEXT, confidence DOUBLE PRECISION NOT NULL,
  guarded INTEGER NOT NULL, tell_to TEXT, vector vector, words tsvector NOT NULL, length INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS facts_path ON {s}.facts (path);
CREATE INDEX IF NOT EXISTS facts_words ON {s}.facts USING gin (words);
"""
#: How long one may wait for another that writes a large document.
_WRITE_SECONDS = 120
#: The facts that may be told now.
_GATE = "(guarded = 0 OR id = ANY(%s))"
_BM25 = f"""
WITH told AS NOT MATERIALIZED (SELECT id, words, length FROM {{s}}.facts WHERE {_GATE}),
  bulk AS (SELECT COUNT(*)::float8 AS n, AVG(length)::float8 AS length FROM told),
  asked AS (SELECT lexeme FROM unnest(to_tsvector('english', %s))),
  hits AS (
    SELECT told.id, told.length, word.lexeme, cardinality(word.positions)::float8 AS tf
    FROM told, unnest(told.words) AS word JOIN asked USING (lexeme)
    WHERE told.words @@ (SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery FROM asked)),
  rare AS (SELECT lexeme, COUNT(*)::float8 AS n FROM hits GROUP BY lexeme),
  idf AS (SELECT lexeme, GREATEST(ln((bulk.n - rare.n + 0.5) / (rare.n + 0.5)), 1e-6) AS weight FROM rare, bulk)
SELECT id FROM hits JOIN idf USING (lexeme), bulk GROUP BY id
ORDER BY SUM(weight * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * hits.length / GREATEST(bulk.length, 1)))) DESC, id LIMIT %s
"""
_NO_VECTORS = (
    "PostgreSQL needs the extension pgvector for them: install it on the server (Debian, Ubuntu: "
    "postgresql-16-pgvector or that of your version), then run CREATE EXTENSION vector in this database as its "
    "administrator, or leave store.documents empty for SQLite"
)


def connect(address: str) -> Postgres:
    """The server that a setting names, with pgvector ready. Raises PostgresError: away, refusing, without pgvector."""
    try:
        return Postgres(address, _register)
    except PostgresError as error:
        raise PostgresError(f"documents: {error}") from error


def _register(connection: Any) -> None:
    try:
        from pgvector.psycopg import register_vector
    except ModuleNotFoundError as error:
        raise PostgresError(
            "PostgreSQL needs the Python package pgvector for them; install it with: pip install 'npc[postgres]'"
        ) from error
    found = connection.execute(
        "SELECT name, installed_version FROM pg_available_extensions WHERE name = 'vector'"
    ).fetchone()
    if found is None:
        raise PostgresError(_NO_VECTORS)
    if found[1] is None:
        import psycopg

        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except psycopg.errors.InsufficientPrivilege:
            raise PostgresError(_NO_VECTORS) from None
    # The extension may stand in a schema that this user's search path leaves out.
    connection.execute(
        "SELECT set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''), "
        "quote_ident(nspname)), false) FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace "
        "WHERE extname = 'vector'"
    )
    register_vector(connection)


class PostgresLibrary(Documents):
    """Documents of one character in a schema of their own. `server` (see `connect`) is shared and not closed here."""

    def __init__(self, server: Postgres, name: str, encoder: SentenceEncoder | None = None) -> None:
        super().__init__(encoder)
        self._server = server
        digest = hashlib.sha256(name.encode()).hexdigest()
        #: A name of 63 bytes at most: readable, and unlike every other one by its digest.
        self.schema = f"npc_{re.sub('[^a-z0-9]+', '_', name.lower())[:40]}_{digest[:12]}"
        self._turn = int(digest[:8], 16)
        self._write((_SCHEMA, ()))

    def close(self) -> None:
        """Nothing: the connection belongs to whoever made it."""

    def guarded(self) -> Sequence[Fact]:
        rows = self._rows(f"SELECT {COLUMNS} FROM {{s}}.facts WHERE guarded = 1 ORDER BY id LIMIT {GUARDED_LIMIT}")
        return [fact_of(row) for row in rows]

    def fact(self, fact_id: str) -> Fact | None:
        rows = self._rows(f"SELECT {COLUMNS} FROM {{s}}.facts WHERE id = %s", fact_id)
        return fact_of(rows[0]) if rows else None

    def _known(self) -> Mapping[str, tuple[str, str]]:
        return {row[0]: (row[1], row[2]) for row in self._rows("SELECT path, digest, encoder FROM {s}.documents")}

    def _count(self, path: str | None = None) -> int:
        return int(self._rows("SELECT COUNT(*) FROM {s}.facts WHERE path = coalesce(%s, path)", path)[0][0])

    def _exchange(self, path: str, document: Document | None = None, entries: Sequence[Entry] = ()) -> None:
        statements: list[tuple[str, Sequence[Any]]] = [
            ("DELETE FROM {s}.facts WHERE path = %s", (path,)),
            ("DELETE FROM {s}.documents WHERE path = %s", (path,)),
        ]
        if document is not None:
            row = (document.path, document.digest, document.changed, document.title, document.encoder)
            statements.append(("INSERT INTO {s}.documents VALUES (%s,%s,%s,%s,%s)", row))
            marks = ",".join(["%s"] * 14)
            insert = (
                f"INSERT INTO {{s}}.facts ({COLUMNS}, path, vector, length, words) "
                f"VALUES ({marks}, to_tsvector('english', %s))"
            )
            statements += [
                (insert, (*row_of(one.fact), document.path, one.vector, len(tokens(one.body)), one.body))
                for one in entries
            ]
        self._write(*statements)

    def _by_words(self, words: Sequence[str], opened: Sequence[str], limit: int) -> list[str]:
        return [row[0] for row in self._rows(_BM25, list(opened), " ".join(words), limit)]

    def _by_meaning(self, vector: Vectors, opened: Sequence[str], limit: int) -> list[str]:
        rows = self._rows(
            f"SELECT id FROM {{s}}.facts WHERE vector_dims(vector) = %s AND {_GATE} "
            "ORDER BY vector <#> %s, id LIMIT %s",
            len(vector), list(opened), vector, limit,
        )  # fmt: skip
        return [row[0] for row in rows]

    def _dated(self, ids: Sequence[str]) -> Mapping[str, tuple[Fact, float]]:
        columns = ", ".join(f"facts.{name.strip()}" for name in COLUMNS.split(","))
        rows = self._rows(
            f"SELECT {columns}, changed FROM {{s}}.facts JOIN {{s}}.documents USING (path) WHERE facts.id = ANY(%s)",
            list(ids),
        )
        return {row[0]: (fact_of(row[:-1]), float(row[-1])) for row in rows}

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._server.read(sql.replace("{s}", self.schema), values)

    def _write(self, *statements: tuple[str, Sequence[Any]]) -> None:
        """One transaction; services that index the same character wait for one another."""
        mine = [(sql.replace("{s}", self.schema), values) for sql, values in statements]
        patient: Sequence[tuple[str, Sequence[Any]]] = (
            (f"SET LOCAL statement_timeout = '{_WRITE_SECONDS}s'", ()),
            ("SELECT pg_advisory_xact_lock(%s::bigint)", (self._turn,)),
        )
        self._server.write([*patient, *mine])


def open_library(where: Path | Postgres, name: str, encoder: SentenceEncoder | None) -> Documents:
    """The library called `name`: a SQLite file in a folder, or a schema on a server."""
    if isinstance(where, Postgres):
        return PostgresLibrary(where, name, encoder)
    return DocumentLibrary(where / f"{name}.sqlite", encoder)
