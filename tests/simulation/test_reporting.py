"""From the end of an attempt to the learning systems that are to know."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from npc.config.authored import AuthoredFileError
from npc.simulation.standards.cmi5 import Launch, LaunchedUnit
from npc.simulation.standards.lrs import Lrs, LrsAccount
from npc.simulation.standards.outbox import Outbox
from npc.simulation.standards.reporting import AT_ONCE, Reporting, pseudonym
from npc.simulation.standards.settings import TrainingSettings, XapiPart, load_training
from tests.simulation.attempts import make
from tests.simulation.lrs_server import FakeLrs

LEARNER = {"account": {"homePage": "https://lms.example.org", "name": "s-17"}}


def unit(lrs: FakeLrs) -> LaunchedUnit:
    return LaunchedUnit(Launch(lrs.url, lrs.url + "/fetch", LEARNER, "reg", "https://npc/x"), "token", {})


def test_a_finished_attempt_reaches_the_store_and_the_lms_it_was_launched_from(tmp_path: Path) -> None:
    lrs = FakeLrs()
    settings = TrainingSettings(xapi=XapiPart(endpoint=lrs.url, user="u", password="p"))
    attempt = make()

    async def run() -> None:
        reporting = Reporting(tmp_path, settings)
        reporting.remember("cmi5", attempt.trainee, attempt.scenario.id, unit(lrs).to_json())
        reporting.remember("cmi5", "somebody else", attempt.scenario.id, unit(lrs).to_json())
        running = asyncio.create_task(reporting.run())
        await asyncio.sleep(0)
        put = await asyncio.to_thread(reporting.finished, attempt)
        assert await asyncio.to_thread(reporting.finished, attempt) == 0, "once is enough"
        async with asyncio.timeout(10):
            while len(reporting.outbox):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert len(lrs.statements) == put == 21 + 21
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await reporting.close()

    # The launch is remembered as of now, the attempt as of long ago: it must not lie before the launch.
    object.__setattr__(attempt, "began", 4_000_000_000.0)
    try:
        asyncio.run(run())
    finally:
        lrs.close()


def test_statements_go_to_the_file_that_the_settings_name(tmp_path: Path) -> None:
    async def run() -> None:
        reporting = Reporting(tmp_path, TrainingSettings(xapi=XapiPart(file=Path("s.jsonl"), transcript=False)))
        reporting.finished(make())
        target = reporting.target("lrs")
        assert target is not None
        await reporting.delivery("lrs", target).run()
        await reporting.close()

    asyncio.run(run())
    lines = (tmp_path / "s.jsonl").read_text().splitlines()
    assert len(lines) == 1 + 9 + 2 + 7 + 2
    assert "frustrating" not in "".join(lines)


def test_erasing_a_trainee_leaves_nothing_of_them_and_everything_of_others(tmp_path: Path) -> None:
    lrs = FakeLrs()

    async def run() -> None:
        reporting = Reporting(tmp_path, TrainingSettings(xapi=XapiPart(file=Path("s.jsonl"))))
        reporting.remember("cmi5", "t-canary", "angry-customer", unit(lrs).to_json())
        reporting.finished(make(trainee="t-canary"))
        reporting.finished(make(trainee="t-other", id="att_2"))
        assert reporting.erase("t-canary") == 1 + 21
        assert {one.person for one in reporting.outbox.waiting("lrs", 1000)} == {"t-other"}
        await reporting.close()

    asyncio.run(run())
    lrs.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(b"t-canary" in path.read_bytes() for path in files)


def test_pseudonyms_are_stable_and_tell_nothing() -> None:
    first = pseudonym("https://lms.example.org", "Ng, Anna")
    assert first == pseudonym("https://lms.example.org", "Ng, Anna")
    assert first != pseudonym("https://other.example.org", "Ng, Anna")
    assert "Anna" not in first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("xapi: {endpoint: 'https://x', user: u}", "training.yaml:1: xapi: .*password"),
        ("lms_origins: [https://lms.example.org/path]", "without a path"),
        ("scorm: {angry-customer: short}", "scorm.angry-customer"),
        ("service: here", "service"),
        ("lti: [{issuer: 'https://x'}]", "lti.0.client_id"),
    ],
)
def test_wrong_settings_name_file_line_and_field(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "training.yaml").write_text(text)
    with pytest.raises(AuthoredFileError, match=message):
        load_training(tmp_path)


def test_without_settings_nothing_is_sent(tmp_path: Path) -> None:
    async def run() -> None:
        async with httpx.AsyncClient() as client:
            reporting = Reporting(tmp_path, load_training(tmp_path), client=client)
            assert reporting.finished(make()) == 0
            reporting.outbox.close()

    asyncio.run(run())


def test_an_lti_launch_gets_its_grade(tmp_path: Path) -> None:
    pytest.importorskip("jwt", reason="PyJWT is not installed (extra rehearsal)")
    pytest.importorskip("cryptography", reason="cryptography is not installed (extra rehearsal)")
    lms = "https://lms.example.org"
    registered = {"issuer": lms, "client_id": "npc-1", "authorisation_url": lms + "/auth",
                  "token_url": lms + "/token", "keys_url": lms + "/keys", "deployments": ("1",)}  # fmt: skip
    told: list[dict[str, object]] = []

    def platform(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(200, json={"access_token": "t"})
        told.append(json.loads(request.content))
        return httpx.Response(200)

    async def run() -> None:
        client = httpx.AsyncClient(transport=httpx.MockTransport(platform))
        settings = TrainingSettings.model_validate({"lti": [registered]})
        reporting = Reporting(tmp_path, settings, client=client, now=lambda: 1_772_349_000.0)
        data = {"issuer": lms, "client_id": "npc-1", "user": "17", "line_item": lms + "/items/1", "line_items": None}
        launched = reporting.remember("lti", "t-4f1a", "angry-customer", data)
        assert reporting.finished(make()) == 1
        target = reporting.target(f"lti:{launched.id}")
        assert target is not None
        await reporting.delivery(f"lti:{launched.id}", target).run()
        await reporting.close()

    asyncio.run(run())
    assert [(one["userId"], one["scoreGiven"]) for one in told] == [("17", 69.23)]
    assert (tmp_path / "lti_key.pem").stat().st_mode & 0o077 == 0


def test_a_system_that_is_away_holds_up_no_other_one_and_a_forgotten_launch_is_set_aside(tmp_path: Path) -> None:
    lrs, dead = FakeLrs(), FakeLrs(lambda: 503)
    settings = TrainingSettings(xapi=XapiPart(endpoint=lrs.url, user="u", password="p"))

    async def run() -> None:
        reporting = Reporting(tmp_path, settings)
        for number in range(AT_ONCE + 4):
            launched = reporting.remember("cmi5", f"t{number}", "angry-customer", unit(dead).to_json())
            reporting.outbox.put(f"cmi5:{launched.id}", f"t{number}", [("k", {"id": f"s{number}"})])
        reporting.outbox.put("cmi5:gone", "t", [("k", {"id": "gone"})])
        reporting.outbox.put("lrs", "t", [("k", {"id": "arrives"})])
        running = asyncio.create_task(reporting.run())
        async with asyncio.timeout(20):
            while len(reporting.outbox) > AT_ONCE + 4 + 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert list(lrs.statements) == ["arrives"]
        assert "nobody can be told" in str(reporting.outbox.refused()[0].refused)
        assert len(reporting.outbox) == AT_ONCE + 4 + 1, "the dead ones still wait"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await reporting.close()

    try:
        asyncio.run(run())
    finally:
        lrs.close()
        dead.close()


def test_a_cmi5_session_ends_once_however_many_attempts_follow(tmp_path: Path) -> None:
    lrs = FakeLrs()

    async def run() -> None:
        reporting = Reporting(tmp_path, TrainingSettings(), now=lambda: 1_772_349_000.0)
        launched = reporting.remember("cmi5", "t-4f1a", "angry-customer", unit(lrs).to_json())
        assert reporting.finished(make()) == 21
        assert reporting.finished(make(id="att_second")) == 0
        assert reporting.finished(make()) == 0, "nothing new"
        assert {one.target for one in reporting.outbox.waiting(f"cmi5:{launched.id}", 100)} == {f"cmi5:{launched.id}"}
        assert reporting.erase("t-4f1a") == 22
        assert not list((tmp_path / "launches").iterdir())
        await reporting.close()

    asyncio.run(run())
    lrs.close()


def test_a_platform_that_left_the_settings_is_given_up_and_holds_up_nobody(tmp_path: Path) -> None:
    """Its waiting grade once ended the task that delivers for everybody."""
    lrs = FakeLrs()
    settings = TrainingSettings(xapi=XapiPart(endpoint=lrs.url, user="u", password="p"))

    async def run() -> None:
        reporting = Reporting(tmp_path, settings)
        data = {"issuer": "https://gone.example", "client_id": "npc-1", "user": "17", "line_item": None}
        launched = reporting.remember("lti", "t-4f1a", "angry-customer", data)
        assert reporting.target(f"lti:{launched.id}") is None
        reporting.outbox.put(f"lti:{launched.id}", "t-4f1a", [("k", {"id": "grade"})])
        reporting.outbox.put("lrs", "t", [("k", {"id": "arrives"})])
        running = asyncio.create_task(reporting.run())
        async with asyncio.timeout(10):
            while not reporting.outbox.refused() or not lrs.statements:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await reporting.close()

    try:
        asyncio.run(run())
    finally:
        lrs.close()


def test_a_line_that_a_crash_cut_off_does_not_stand_in_the_way_of_an_erasure(tmp_path: Path) -> None:
    async def run() -> None:
        reporting = Reporting(tmp_path, TrainingSettings(xapi=XapiPart(file=Path("s.jsonl"))))
        for attempt in (make(trainee="t-canary"), make(trainee="t-other", id="att_2")):
            reporting.finished(attempt)
        target = reporting.target("lrs")
        assert target is not None
        await reporting.delivery("lrs", target).run()
        path = tmp_path / "s.jsonl"
        whole = path.read_text()
        others = [line for line in whole.splitlines() if "t-canary" not in line]
        canary = next(line for line in whole.splitlines() if "t-canary" in line)
        path.write_text(whole + canary[: canary.index("t-canary") + 20] + "\n" + others[0][:50])
        assert reporting.erase("t-canary") == 22
        assert path.read_text().splitlines() == [*others, others[0][:50]]
        await reporting.close()

    asyncio.run(run())


def test_an_address_that_is_none_is_an_answer_and_no_error(tmp_path: Path) -> None:
    """A delivery must not end by it: `Target.send` raises nothing."""

    async def run() -> None:
        outbox = Outbox(tmp_path / "outbox.sqlite")
        lrs = Lrs(LrsAccount("https://lms.example.org\n/x", "Basic x"), outbox)
        answer = await lrs.send([])
        assert (answer.status, "InvalidURL" in answer.message) == (0, True)
        await lrs.close()
        outbox.close()

    asyncio.run(run())
