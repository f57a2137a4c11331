"""Session logs: order, retention, erasure, a cut last line, a queue that never blocks."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from npc.store import LogError, LogStore, Record, parse_retention, read_lines
from npc.store import log as log_module


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LogStore]:
    made = LogStore(tmp_path / "sessions.sqlite")
    yield made
    made.close()


def test_records_come_back_equal_and_in_order(store: LogStore) -> None:
    session = store.open("s1", "mira", "p1", 30)
    for number in range(500):
        session.record("turn", {"number": number, "at": 0.1 + number}, number / 10)
    store.flush()
    records = list(store.read("s1"))
    assert [record.seq for record in records] == list(range(500))
    assert records[7] == Record(7, 0.7, "turn", {"number": 7, "at": 7.1})


def test_two_sessions_do_not_mix(store: LogStore) -> None:
    one, two = store.open("s1", "mira", "p1", 30), store.open("s2", "mira", "p2", 30)
    for number in range(50):
        one.record("a", {"n": number}, 0.0)
        two.record("b", {"n": number}, 0.0)
    store.flush()
    assert {record.kind for record in store.read("s1")} == {"a"}
    assert {record.kind for record in store.read("s2")} == {"b"}


def test_what_was_flushed_survives_without_a_close(tmp_path: Path) -> None:
    path = tmp_path / "sessions.sqlite"
    first = LogStore(path)
    first.open("s1", "mira", "p1", 30).record("turn", {}, 0.0)
    first.flush()
    second = LogStore(path)
    assert len(list(second.read("s1"))) == 1
    second.close()
    first.close()


def test_a_session_kept_for_the_session_only_is_gone_when_it_ends(store: LogStore) -> None:
    session = store.open("s1", "mira", "p1", 0)
    session.record("turn", {}, 0.0)
    asyncio.run(session.end())
    with pytest.raises(KeyError):
        list(store.read("s1"))


def test_days_are_counted_from_the_end(store: LogStore) -> None:
    session = store.open("s1", "mira", "p1", 30)
    session.record("turn", {}, 0.0)
    asyncio.run(session.end())
    assert store.expire(time.time() + 29 * 86_400) == 0
    assert store.expire(time.time() + 31 * 86_400) == 1
    assert store.sessions() == []


@pytest.mark.parametrize(("asked", "kept"), [(3, 3), (90, 30)])
def test_a_player_may_ask_for_fewer_days_and_not_for_more(store: LogStore, asked: int, kept: int) -> None:
    session = store.open("s1", "mira", "p1", 30)
    session.record("turn", {}, 0.0)
    session.keep(asked)
    asyncio.run(session.end())
    assert store.expire(time.time() + (kept - 1) * 86_400) == 0
    assert store.expire(time.time() + (kept + 1) * 86_400) == 1


def test_erasing_a_player_leaves_the_others(store: LogStore) -> None:
    for name, character, player in (("s1", "mira", "p1"), ("s2", "mira", "p2"), ("s3", "roe", "p1")):
        store.open(name, character, player, 30).record("turn", {}, 0.0)
    assert store.erase("p1", "mira") == 1
    assert {row[0] for row in store.sessions()} == {"s2", "s3"}
    assert store.erase("p1") == 1


def test_a_discarded_session_records_nothing_more(store: LogStore) -> None:
    session = store.open("s1", "mira", "p1", 30)
    session.record("turn", {}, 0.0)
    asyncio.run(session.discard())
    session.record("turn", {}, 1.0)
    store.flush()
    assert store.sessions() == []


def test_beyond_its_bound_the_queue_drops_the_oldest_and_counts(
    store: LogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "BOUND", 10)
    monkeypatch.setattr(log_module, "BATCH_SECONDS", 0.5)
    session = store.open("s1", "mira", "p1", 30)
    began = time.monotonic()
    for number in range(1000):
        session.record("turn", {"n": number}, 0.0)
    assert time.monotonic() - began < 0.4, "recording never waits for the disk"
    store.flush()
    kept = [record.data["n"] for record in store.read("s1")]
    assert kept[-1] == 999
    assert store.dropped == 1000 - len(kept) > 0


def test_an_exported_log_reads_back_and_a_cut_last_line_is_left_out(store: LogStore, tmp_path: Path) -> None:
    session = store.open("s1", "mira", "p1", 30)
    for number in range(20):
        session.record("turn", {"n": number, "text": "ünï"}, number * 0.1)
    store.flush()
    path = tmp_path / "log.jsonl"
    assert store.export("s1", path) == 20
    whole = read_lines(path)
    assert whole == list(store.read("s1"))
    text = path.read_bytes()
    for cut in range(1, 40):
        path.write_bytes(text[:-cut])
        assert read_lines(path) in (whole, whole[:-1])


def test_a_flaw_in_the_middle_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(Record(0, 0.0, "a", {}).line() + "\nnonsense\n" + Record(1, 0.0, "a", {}).line() + "\n")
    with pytest.raises(LogError, match=r"log\.jsonl:2: not a log record"):
        read_lines(path)
    path.write_text(Record(0, 0.0, "a", {}).line() + "\n" + Record(2, 0.0, "a", {}).line() + "\n")
    with pytest.raises(LogError, match="records are missing"):
        read_lines(path)
    with pytest.raises(LogError, match="cannot be read"):
        read_lines(tmp_path / "none.jsonl")


@pytest.mark.parametrize(("text", "days"), [("session", 0), ("none", None), ("days:30", 30)])
def test_retention(text: str, days: int | None) -> None:
    assert parse_retention(text) == days


@pytest.mark.parametrize("text", ["", "days:0", "days:-1", "days:x", "weeks:2"])
def test_retention_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected session, none or days:N"):
        parse_retention(text)


def test_a_record_that_is_not_json_is_lost_alone(store: LogStore) -> None:
    """It once ended the writer thread, and every later flush waited for ever."""
    session = store.open("s1", "mira", "p1", 30)
    session.record("odd", {"what": object()}, 0.0)
    session.record("turn", {"n": 1}, 1.0)
    store.flush()
    assert [(record.seq, record.kind) for record in store.read("s1")] == [(1, "turn")]
    assert store.dropped == 1


def test_a_disk_that_refuses_costs_the_batch_and_not_the_log(store: LogStore, tmp_path: Path) -> None:
    """A locked or full disk once ended the writer thread too."""
    store._connection.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(tmp_path / "sessions.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    session = store.open("s1", "mira", "p1", 30)
    session.record("turn", {"n": 0}, 0.0)
    store.flush()
    asyncio.run(session.end())
    other.execute("ROLLBACK")
    other.close()
    session.record("turn", {"n": 1}, 1.0)
    store.flush()
    assert [record.seq for record in store.read("s1")] == [1]
    assert store.dropped == 1


def test_opening_a_log_does_not_wait_for_the_disk(store: LogStore) -> None:
    """Sessions open on the event loop, and an erasure may hold the disk for seconds."""
    with store._disk:
        began = time.monotonic()
        store.open("s1", "mira", "p1", 30)
        assert time.monotonic() - began < 0.2
    store.flush()
    assert [row[0] for row in store.sessions()] == ["s1"]


def test_flush_waits_for_what_was_put_before_it_and_for_nothing_else(
    store: LogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy server the queue is never empty: flush once waited until it was."""
    session = store.open("s1", "mira", "p1", 30)
    write = store._write_batch

    def meanwhile_more(*batch: Any) -> int:
        session.record("turn", {}, 1.0)
        return write(*batch)

    monkeypatch.setattr(store, "_write_batch", meanwhile_more)
    session.record("turn", {}, 0.0)
    flushing = threading.Thread(target=store.flush, daemon=True)
    flushing.start()
    flushing.join(5.0)
    monkeypatch.undo()
    assert not flushing.is_alive()


def test_nothing_waits_for_a_store_that_was_closed(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "sessions.sqlite")
    session = store.open("s1", "mira", "p1", 30)
    store.close()
    session.record("turn", {}, 0.0)
    flushing = threading.Thread(target=store.flush, daemon=True)
    flushing.start()
    flushing.join(5.0)
    assert not flushing.is_alive()


def test_a_log_that_was_erased_takes_no_more_of_its_session(store: LogStore) -> None:
    """What a live session wrote after the erasure once stayed for ever: no log, so no age, no player to erase it by."""
    session = store.open("s1", "mira", "p1", 30)
    session.record("turn", {}, 0.0)
    assert store.erase("p1") == 1
    session.record("turn", {"said": "my name again"}, 1.0)
    store.flush()
    assert store._connection.execute("SELECT COUNT(*) FROM record").fetchone() == (0,)


def test_a_log_that_a_crash_left_open_ages_from_its_last_record(tmp_path: Path) -> None:
    path = tmp_path / "sessions.sqlite"
    crashed = LogStore(path)
    crashed.open("s1", "mira", "p1", 30).record("turn", {}, 2 * 86_400.0)
    crashed.close()
    store = LogStore(path)
    assert store.expire(time.time() + 31 * 86_400) == 0
    assert store.expire(time.time() + 33 * 86_400) == 1
    store.close()


def test_a_store_of_a_newer_format_and_a_file_that_is_no_store_are_refused(store: LogStore, tmp_path: Path) -> None:
    store.open("s1", "mira", "p1", 30)
    store.flush()
    store._connection.execute("UPDATE session SET format = 99")
    with pytest.raises(LogError, match=r"sessions\.sqlite: s1 has record format 99"):
        list(store.read("s1"))
    odd = tmp_path / "notes.txt"
    odd.write_text("not a database, but long enough to be looked at as one " * 20)
    with pytest.raises(LogError, match=r"notes\.txt: cannot be used as a session store"):
        LogStore(odd)
