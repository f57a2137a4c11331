"""Training behind the server goes on whatever lies among the attempts, and never stands in the way of a stop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from npc.server import training as training_module
from npc.server.training import Training
from tests.server.running import running, until
from tests.server.scripted import ScriptedService


def test_a_broken_attempt_does_not_stop_the_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file that was no text ended the task that reports and deletes attempts, and the stop of the server with it:
    the service was never closed."""
    monkeypatch.setattr(training_module, "LOOK_S", 0.02)
    training = Training(tmp_path)
    broken = training.attempts / "att_broken"
    broken.mkdir(parents=True)
    (broken / "attempt.json").write_bytes(b"\xff\xfe not text")
    looked = 0
    sweep, deliver = training.reporting.sweep, training.reporting.run

    def counted(attempts: Path) -> int:
        nonlocal looked
        looked += 1
        if looked == 2:
            raise ValueError("something nobody thought of")
        return sweep(attempts)

    delivered = 0

    async def failing_once() -> None:
        nonlocal delivered
        delivered += 1
        if delivered == 1:
            raise RuntimeError("the outbox is locked")
        await deliver()

    monkeypatch.setattr(training.reporting, "sweep", counted)
    monkeypatch.setattr(training.reporting, "run", failing_once)

    async def main() -> None:
        service = ScriptedService()
        async with running(service, training=training) as server:
            await until(lambda: looked >= 4 and delivered == 2)
            async with httpx.AsyncClient(base_url=server.http, trust_env=False) as client:
                assert (await client.get("/v1/attempts")).json()["data"] == []
        assert service.closed

    asyncio.run(main())
