"""The outbox and its delivery: nothing is lost while the other side is away, and nothing of an erased person stays."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.simulation.standards.delivery import Backoff, Delivery
from npc.simulation.standards.lrs import CORRECTED, Lrs, LrsAccount, StatementFile, stamp
from npc.simulation.standards.outbox import Outbox, OutboxFull
from tests.simulation.lrs_server import FakeLrs

NOON = 1_750_000_000.0


class VirtualTime:
    """A clock that only sleeping moves."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def statement(number: int, at: float = NOON) -> dict[str, Any]:
    return {"id": f"00000000-0000-4000-8000-{number:012d}", "timestamp": stamp(at), "verb": {"id": "x:did"}}


def fill(outbox: Outbox, count: int, person: str = "anna") -> None:
    outbox.put("lrs", person, [(one["id"], one) for one in map(statement, range(count))])


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    made = Outbox(tmp_path / "outbox.sqlite")
    yield made
    made.close()


def deliver(outbox: Outbox, lrs: FakeLrs, clock: VirtualTime) -> Delivery:
    async def run() -> Delivery:
        account = LrsAccount.basic(lrs.url, "key", "secret")
        async with httpx.AsyncClient(timeout=5) as client:
            target = Lrs(account, outbox, client, now=clock)
            backoff = Backoff(draw=random.Random(3).uniform)
            delivery = Delivery(outbox, "lrs", target, backoff=backoff, sleep=clock.sleep)
            await delivery.run()
            return delivery

    return asyncio.run(run())


@pytest.mark.parametrize("broken", [500, 503, 0, 429, 404])
def test_ten_minutes_without_the_store_lose_no_statement(outbox: Outbox, broken: int) -> None:
    clock = VirtualTime()
    lrs = FakeLrs(lambda: broken if clock.now < NOON + 600 else 200, clock)
    try:
        fill(outbox, 120)
        delivery = deliver(outbox, lrs, clock)
    finally:
        lrs.close()
    assert len(lrs.statements) == 120
    assert len(outbox) == 0
    assert delivery.progress.failures >= 10
    assert clock.now < NOON + 600 + 60, "after the outage everything is there within a minute"
    assert max(clock.slept) <= 60


def test_an_outage_in_the_middle_repeats_nothing_and_loses_nothing(outbox: Outbox) -> None:
    clock = VirtualTime()
    answers = iter([200, 200, 500, 500, 0])
    lrs = FakeLrs(lambda: next(answers, 200), clock)
    try:
        fill(outbox, 120)
        deliver(outbox, lrs, clock)
    finally:
        lrs.close()
    assert len(lrs.statements) == 120
    assert len(outbox) == 0


def test_one_bad_statement_is_set_aside_with_its_reason_and_the_others_arrive(outbox: Outbox) -> None:
    clock = VirtualTime()
    lrs = FakeLrs(clock=clock)
    lrs.refuse = lambda one: one["id"].endswith("007")
    try:
        fill(outbox, 60)
        delivery = deliver(outbox, lrs, clock)
        assert len(lrs.statements) == 59
        assert [(one.key[-3:], one.refused) for one in outbox.refused()] == [
            ("007", '400: {"message": "malformed statement"}')
        ]
        assert delivery.progress.refused == 1
        lrs.refuse = lambda _: False
        assert outbox.retry_refused() == 1
        deliver(outbox, lrs, clock)
        assert len(lrs.statements) == 60
    finally:
        lrs.close()


def test_a_statement_that_was_stored_before_counts_as_delivered(outbox: Outbox) -> None:
    clock = VirtualTime()
    lrs = FakeLrs(clock=clock)
    lrs.statements[statement(3)["id"]] = {"id": statement(3)["id"], "stored": "by an earlier run, a little different"}
    try:
        fill(outbox, 8)
        deliver(outbox, lrs, clock)
    finally:
        lrs.close()
    assert len(lrs.statements) == 8
    assert len(outbox) == 0


@pytest.mark.parametrize(("ahead", "shifted"), [(3600.0, True), (-86400.0, True), (1.5, False)])
def test_a_wrong_clock_is_corrected_by_the_stores_and_said_so(outbox: Outbox, ahead: float, shifted: bool) -> None:
    clock = VirtualTime()
    lrs = FakeLrs(clock=lambda: clock.now - ahead)
    try:
        fill(outbox, 2)
        deliver(outbox, lrs, clock)
    finally:
        lrs.close()
    for one in lrs.statements.values():
        told = datetime.fromisoformat(one["timestamp"]).timestamp()
        assert abs(told - (NOON - ahead if shifted else NOON)) < 2
        assert (CORRECTED in one.get("context", {}).get("extensions", {})) == shifted


def test_a_full_outbox_keeps_what_waits_and_takes_all_or_none(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "small.sqlite", most=10)
    fill(outbox, 8)
    with pytest.raises(OutboxFull, match="8 of 10"):
        outbox.put("lrs", "ben", [(f"n{i}", {"n": i}) for i in range(3)])
    assert len(outbox) == 8
    outbox.close()


def test_what_waits_survives_the_process(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "o.sqlite")
    fill(first, 3)
    # No close: the process was killed.
    second = Outbox(tmp_path / "o.sqlite")
    assert [one.body for one in second.waiting("lrs", 10)] == [statement(i) for i in range(3)]
    assert second.put("lrs", "anna", [(statement(1)["id"], statement(1))]) == 0, "the same key is one entry"
    first.close()
    second.close()


def test_no_byte_of_an_erased_person_is_left_in_the_files(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.sqlite")
    fill(outbox, 50, "ben")
    body = {"text": "canary-7f3a " * 400}
    outbox.put("lrs", "anna", [(f"a{i}", body) for i in range(20)])
    outbox.refuse(outbox.waiting("lrs", 100)[-1], "400: because of canary-7f3a")
    assert any(b"canary-7f3a" in file.read_bytes() for file in tmp_path.iterdir())
    assert outbox.erase("anna") == 20
    assert not any(b"canary-7f3a" in file.read_bytes() for file in tmp_path.iterdir())
    assert len(outbox) == 50
    outbox.close()


def test_statements_go_to_a_file_line_by_line(outbox: Outbox, tmp_path: Path) -> None:
    fill(outbox, 3)
    path = tmp_path / "statements.jsonl"
    asyncio.run(Delivery(outbox, "lrs", StatementFile(path)).run())
    assert [json.loads(line) for line in path.read_text().splitlines()] == [statement(i) for i in range(3)]
    answer = asyncio.run(StatementFile(tmp_path / "no" / "such").send([]))
    assert answer.status == 0
    assert "no/such" in answer.message


@given(st.integers(1, 10_000), st.integers(0, 2**32))
def test_a_pause_is_never_longer_than_a_minute_nor_shorter_than_half_a_second(failures: int, seed: int) -> None:
    assert 0.5 <= Backoff(draw=random.Random(seed).uniform).wait(failures) <= 60
