"""A cmi5 session against a fake LMS, statement by statement beside another implementation's."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from npc.simulation.standards.cmi5 import (
    CATEGORY,
    MASTERY,
    MOVE_ON,
    Launch,
    LaunchedUnit,
    LaunchError,
    follow,
    session_statements,
)
from npc.simulation.standards.outbox import Outbox
from npc.simulation.standards.xapi import EVIDENCE
from tests.simulation.attempts import make
from tests.simulation.lrs_server import FakeLrs
from tests.simulation.test_xapi import node_package

ACTOR = {"objectType": "Agent", "account": {"homePage": "https://lms.example.org", "name": "s-17"}}
REGISTRATION = "9d3c1f4e-0a52-4d5e-8a0c-0f3b1f6f7a11"
SESSION = "https://w3id.org/xapi/cmi5/context/extensions/sessionid"
DATA = {
    "contextTemplate": {
        "contextActivities": {"grouping": [{"objectType": "Activity", "id": "https://lms.example.org/au/1"}]},
        "extensions": {SESSION: "session-1"},
    },
    "launchMode": "Normal",
    "masteryScore": 0.6,
    "moveOn": "CompletedOrPassed",
    "returnURL": "https://lms.example.org/back",
}


@pytest.fixture
def lms() -> Iterator[FakeLrs]:
    made = FakeLrs()
    made.documents["state:LMS.LaunchData"] = DATA
    made.documents["profile:-"] = {"languagePreference": "de-DE,en-US", "audioPreference": "on"}
    yield made
    made.close()


def query(lms: FakeLrs) -> dict[str, str]:
    return {
        "endpoint": lms.url,
        "fetch": lms.url + "/fetch",
        "actor": json.dumps(ACTOR),
        "registration": REGISTRATION,
        "activityId": "https://npc.example.org/scenarios/angry-customer",
    }


def followed(lms: FakeLrs, tmp_path: Path) -> LaunchedUnit:
    async def run() -> LaunchedUnit:
        outbox = Outbox(tmp_path / "outbox.sqlite")
        async with httpx.AsyncClient(timeout=5) as client:
            unit = await follow(Launch.parse(query(lms)), outbox, 1_772_350_000.0, client)
        outbox.close()
        return unit

    return asyncio.run(run())


def verbs(told: list[dict[str, Any]]) -> list[str]:
    return [one["verb"]["id"].rsplit("/", 1)[1] for one in told if _is_defined(one)]


def _is_defined(one: Mapping[str, Any]) -> bool:
    return CATEGORY in [each["id"] for each in one["context"]["contextActivities"].get("category", [])]


def test_a_launch_fetches_its_token_once_and_says_initialized_first(lms: FakeLrs, tmp_path: Path) -> None:
    unit = followed(lms, tmp_path)
    assert (unit.mode, unit.mastery, unit.return_url) == ("Normal", 0.6, "https://lms.example.org/back")
    assert unit.language == "de-DE"
    assert verbs(list(lms.statements.values())) == ["initialized"]
    authorised = [headers["Authorization"] for method, path, headers in lms.requests if not path.endswith("fetch")]
    assert set(authorised) == {"Basic dG9rZW4="}
    assert LaunchedUnit.from_json(json.loads(json.dumps(unit.to_json()))) == unit
    with pytest.raises(LaunchError, match="used already"):
        followed(lms, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fetch": ""}, "fetch missing"),
        ({"endpoint": "file:///etc/passwd"}, "endpoint must be"),
        ({"endpoint": "https://lms.example.org\n/x"}, "endpoint must be"),
        ({"fetch": "https://[bad"}, "fetch must be"),
        ({"actor": '{"mbox": "mailto:a@b.c"}'}, "agent with an account"),
        ({"actor": "no json"}, "agent with an account"),
    ],
)
def test_a_broken_launch_is_refused_by_the_name_of_its_parameter(
    lms: FakeLrs, change: dict[str, str], message: str
) -> None:
    with pytest.raises(LaunchError, match=message):
        Launch.parse({**query(lms), **change})


def test_the_session_ends_in_the_order_the_standard_asks_for(lms: FakeLrs, tmp_path: Path) -> None:
    unit = followed(lms, tmp_path)
    told = session_statements(make(), unit)
    assert verbs(told) == ["passed", "completed", "terminated"]
    assert all(one["actor"] == ACTOR for one in told)
    assert all(one["context"]["registration"] == REGISTRATION for one in told)
    assert all(one["context"]["extensions"][SESSION] == "session-1" for one in told)
    assert len([one for one in told if not _is_defined(one)]) == 9 + 2 + 7
    known = {one["id"] for one in told}
    cited = [
        each["statement"] for one in told for each in one.get("result", {}).get("extensions", {}).get(EVIDENCE, [])
    ]
    assert cited
    assert set(cited) <= known
    passed, done, ended = told[-3:]
    assert passed["context"]["extensions"][MASTERY] == 0.6
    assert "score" not in done["result"]
    moves = [MOVE_ON in [one["id"] for one in each["context"]["contextActivities"]["category"]] for each in told[-3:]]
    assert moves == [True, True, False]
    assert "duration" in ended["result"]


def test_the_lms_decides_what_passes_and_what_is_asked_for(lms: FakeLrs, tmp_path: Path) -> None:
    lms.documents["state:LMS.LaunchData"] = {**DATA, "masteryScore": 0.9}
    told = session_statements(make(), followed(lms, tmp_path))
    assert verbs(told) == ["failed", "completed", "terminated"]
    assert told[-3]["result"]["score"]["scaled"] < 0.9


def test_a_critical_item_fails_an_attempt_of_any_score_and_then_no_score_is_told(lms: FakeLrs, tmp_path: Path) -> None:
    lost = replace(make().verdicts[2], critical=True)
    told = session_statements(make(verdicts=(lost,), passed=False), followed(lms, tmp_path))
    assert verbs(told) == ["failed", "completed", "terminated"]
    assert "score" not in told[-3]["result"]


@pytest.mark.parametrize("mode", ["Browse", "Review"])
def test_looking_at_it_again_counts_nothing(lms: FakeLrs, tmp_path: Path, mode: str) -> None:
    lms.documents["state:LMS.LaunchData"] = {**DATA, "launchMode": mode}
    assert verbs(session_statements(make(), followed(lms, tmp_path))) == ["terminated"]


def test_an_abandoned_attempt_is_terminated_and_nothing_more(lms: FakeLrs, tmp_path: Path) -> None:
    unit = followed(lms, tmp_path)
    assert verbs(session_statements(make(outcome="abandoned", passed=None), unit)) == ["terminated"]


#: The library's build is for browsers; this much of XMLHttpRequest lets it run in node.
_OTHER = """
globalThis.XMLHttpRequest = class {
  constructor() { this.headers = {}; this.upload = {}; this.onloadend = null; }
  open(method, url) { Object.assign(this, {method, url}); }
  setRequestHeader(name, value) { this.headers[name] = value; }
  getAllResponseHeaders() { return this.told; }
  abort() {}
  async send(body) {
    const answer = await fetch(this.url, {method: this.method, headers: this.headers, body: body ?? undefined});
    this.responseText = this.response = await answer.text();
    this.told = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join('\\r\\n');
    Object.assign(this, {status: answer.status, statusText: answer.statusText, readyState: 4, responseURL: this.url});
    this.onloadend();
  }
};
const loaded = require(process.argv[1]);
const Cmi5 = loaded.default ?? loaded;
const launch = JSON.parse(process.argv[2]);
(async () => {
  const unit = new Cmi5({endpoint: launch.endpoint, fetch: launch.fetch, actor: JSON.parse(launch.actor),
    registration: launch.registration, activityId: launch.activityId});
  await unit.initialize();
  await unit.pass({scaled: 0.6923, raw: 69.23, min: 0, max: 100});
  await unit.complete();
  await unit.terminate();
})().catch((error) => { console.error(error); process.exit(1); });
"""


def test_our_statements_are_those_of_another_cmi5_library(lms: FakeLrs, tmp_path: Path) -> None:
    library = node_package("@xapi/cmi5") / "dist" / "Cmi5.umd.js"
    given = json.dumps(query(lms))
    ran = subprocess.run(["node", "-e", _OTHER, str(library), given], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    theirs = list(lms.statements.values())
    lms.statements.clear()
    lms.token_fetches = 0
    unit = followed(lms, tmp_path)
    ours = list(lms.statements.values()) + [one for one in session_statements(make(), unit) if _is_defined(one)]
    assert verbs(ours) == verbs(theirs) == ["initialized", "passed", "completed", "terminated"]
    for own, other in zip(ours, theirs, strict=True):
        assert own["verb"]["id"] == other["verb"]["id"]
        assert own["object"]["id"] == other["object"]["id"]
        assert own["actor"] == other["actor"]
        mine, yours = own["context"], other["context"]
        assert mine["registration"] == yours["registration"]
        assert {one["id"] for one in mine["contextActivities"]["category"]} == {
            one["id"] for one in yours["contextActivities"]["category"]
        }
        assert [one["id"] for one in mine["contextActivities"]["grouping"]] == [
            one["id"] for one in yours["contextActivities"]["grouping"]
        ]
        assert mine["extensions"][SESSION] == yours["extensions"][SESSION]
        assert mine["extensions"].get(MASTERY) == yours["extensions"].get(MASTERY)
        mine, yours = own.get("result", {}), other.get("result", {})
        for part in ("success", "completion", "score"):
            assert mine.get(part) == yours.get(part)
        assert ("duration" in mine) == ("duration" in yours)
