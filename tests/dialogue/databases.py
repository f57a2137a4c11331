"""Where the same tests run: SQLite always, PostgreSQL where NPC_TEST_POSTGRES names a server that may be written to."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

BOTH = ("sqlite", "postgresql")


def server_address() -> str:
    """The server's address; skips the test by name where there is none."""
    address = os.environ.get("NPC_TEST_POSTGRES")
    if not address:
        pytest.skip("NPC_TEST_POSTGRES names no PostgreSQL server")
    return address


@contextmanager
def empty_schema() -> Iterator[str]:
    """An address on that server whose tables go into a schema of their own, which is dropped at the end."""
    address, name = server_address(), f"test_{uuid.uuid4().hex}"
    psycopg = pytest.importorskip("psycopg", reason="needs the extra npc[postgres]")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        try:
            yield f"{address}{'&' if '?' in address else '?'}options=-csearch_path%3D{name}"
        finally:
            connection.execute(f"DROP SCHEMA {name} CASCADE")
