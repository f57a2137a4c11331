"""xAPI statements of an attempt, read by two implementations that are not ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from npc.simulation.standards import xapi
from npc.simulation.standards.xapi import statements
from tests.simulation.attempts import judged, make, quote, turns

HOME = "https://npc.example.org"
#: `npm ci` here fetches the JavaScript implementations that the exports are tested against.
NODE_FOLDER = Path(os.environ.get("NPC_INTEROP", Path(__file__).parent / "interop")) / "node_modules"


def node_package(name: str) -> Path:
    """The folder of an npm package; skips by name without it."""
    if shutil.which("node") is None:
        pytest.skip("no node on this machine")
    folder = NODE_FOLDER / name
    if not folder.is_dir():
        pytest.skip(f"no {name}: run npm ci in tests/simulation/interop")
    return folder


def by_verb(made: list[dict[str, Any]], verb: str) -> list[dict[str, Any]]:
    return [one for one in made if one["verb"]["id"].endswith(f"/{verb}")]


def test_every_turn_and_item_has_its_statement_and_the_items_cite_the_turns() -> None:
    attempt = make()
    made = statements(attempt, HOME)
    assert len(by_verb(made, "responded")) == 4
    assert len(by_verb(made, "experienced")) == 5 + 2, "turns of the character, and interventions"
    assert len(by_verb(made, "scored")) == len(attempt.verdicts)
    assert made[0]["verb"]["id"] == xapi.VERBS["initialized"][0]
    assert made[-1]["result"]["completion"] is True
    assert made[-2]["result"] == {
        "success": True,
        "score": {"scaled": 0.6923, "raw": 69.23, "min": 0, "max": 100},
        "duration": "PT39.40S",
    }
    spoken = {one["id"]: one for one in made}
    for one in by_verb(made, "scored"):
        for cited in one["result"]["extensions"][xapi.EVIDENCE]:
            turn = spoken[cited["statement"]]
            start, end = cited["words"]
            assert " ".join(turn["result"]["response"].split()[start:end]) == cited["quote"]
            begin, stop = turn["result"]["extensions"][xapi.SPAN]
            assert begin <= cited["audio-span"][0] < cited["audio-span"][1] <= stop


def test_what_could_not_be_observed_is_neither_success_nor_failure() -> None:
    missing = next(
        one for one in by_verb(statements(make(), HOME), "scored") if one["object"]["id"].endswith("manager")
    )
    assert "success" not in missing["result"]
    assert "score" not in missing["result"]
    assert missing["result"]["extensions"][xapi.OBSERVED] is False


def test_ids_are_those_of_the_attempt_and_times_never_run_backwards() -> None:
    first, second = statements(make(), HOME), statements(make(), HOME)
    assert [one["id"] for one in first] == [one["id"] for one in second]
    assert len({one["id"] for one in first}) == len(first)
    assert all(uuid.UUID(one["id"]).version == 5 for one in first)
    assert {one["id"] for one in statements(make(id="att_other"), HOME)}.isdisjoint({one["id"] for one in first})
    before_items = [one for one in first if "/turns/" in one["object"]["id"]]
    times = [datetime.fromisoformat(one["timestamp"]) for one in before_items]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("outcome", "passed", "last"),
    [("abandoned", None, "terminated"), ("failed", False, "completed"), ("timeout", False, "completed")],
)
def test_an_attempt_that_was_not_finished_is_not_said_to_be(outcome: Any, passed: bool | None, last: str) -> None:
    made = statements(make(outcome=outcome, passed=passed), HOME)
    assert made[-1]["verb"]["id"].endswith(last)
    assert not by_verb(made, "passed")
    assert bool(by_verb(made, "failed")) == (passed is False)
    assert not by_verb(statements(make(outcome="running", passed=None), HOME), "scored")


def test_emotions_of_the_trainee_leave_no_trace_unless_they_are_allowed() -> None:
    felt = judged("calm", "emotion", "met", "Stays calm", (quote(turns()[1], 0, 3),), reason="read as canary-joy")
    text = json.dumps(statements(make(verdicts=(felt,)), HOME))
    assert "canary-joy" not in text
    assert "items/calm" not in text
    assert "canary-joy" in json.dumps(statements(make(verdicts=(felt,), emotion_allowed=True), HOME))


def test_without_transcript_no_word_leaves() -> None:
    text = json.dumps(statements(make(), HOME, transcript=False))
    assert "frustrating" not in text
    assert "Mention the manager now" not in text
    assert "response_delay_s was 1.63" in text


def test_tincan_reads_them_and_writes_the_same_back() -> None:
    tincan = pytest.importorskip("tincan", reason="the xAPI library tincan is not installed (extra dev)")
    for one in statements(make(), HOME):
        read = tincan.Statement.from_json(json.dumps(one))
        assert read.id == uuid.UUID(one["id"])
        again = json.loads(read.to_json(tincan.Version.latest))
        for part in ("actor", "verb"):
            assert _without_types(again[part]) == _without_types(one[part])
        assert again["object"]["id"] == one["object"]["id"]
        assert again["context"]["extensions"] == one["context"]["extensions"]
        if "result" in one:
            assert again["result"].get("extensions") == one["result"].get("extensions")
            assert again["result"].get("score") == one["result"].get("score")


def _without_types(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != "objectType"}


def test_the_learning_locker_validator_has_nothing_to_say_against_them(tmp_path: Path) -> None:
    package = node_package("@learninglocker/xapi-validation")
    good = statements(make(), HOME) + statements(make(outcome="abandoned", passed=None, score=None), HOME)
    bad = [{**good[0], "actor": {"account": {"name": "x"}}}, {**good[0], "timestamp": "yesterday"}]
    (tmp_path / "statements.json").write_text(json.dumps(good + bad))
    script = (
        f"const check = require({json.dumps(str(package))}).default;"
        "const all = JSON.parse(require('fs').readFileSync(process.argv[1]));"
        "console.log(JSON.stringify(all.map((one) => check(one).map(String))));"
    )
    ran = subprocess.run(
        ["node", "-e", script, str(tmp_path / "statements.json")], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    warnings = json.loads(ran.stdout)
    assert warnings[: len(good)] == [[]] * len(good)
    assert all(warnings[len(good) :]), "it does find what is wrong"
