"""An attempt as xAPI 1.0.3 statements: one when it began, one a turn, one a rubric item, and how it ended.

    initialized ─ experienced (a turn of the character) ─ responded (a turn of the trainee) ─ … ─ scored (an item) ─ …
                ─ passed | failed ─ completed          (abandoned: terminated)

Ids are made from the attempt (UUID version 5), so sending an attempt twice stores it once. Times are the attempt's one
wall-clock anchor plus its own clock in seconds, so that a clock that jumps in the middle changes no order.

What is never in a statement: sound, the trainee's name, and what was inferred about the trainee's emotions where
that is not allowed (`outcome.reportable`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from npc.simulation.attempt import Attempt, Intervention, Judged, Turn
from npc.simulation.rubric.model import Evidence
from npc.simulation.standards.course import VOCABULARY, identifier
from npc.simulation.standards.lrs import VERSION, stamp
from npc.simulation.standards.outcome import completed, interventions, reportable, score, success, title

#: Verbs of the ADL vocabulary (https://w3id.org/xapi/adl/verbs).
_ADL = "http://adlnet.gov/expapi/verbs"
VERBS: Mapping[str, tuple[str, str]] = {
    "initialized": (f"{_ADL}/initialized", "initialized"),
    "experienced": (f"{_ADL}/experienced", "experienced"),
    "responded": (f"{_ADL}/responded", "responded"),
    "scored": (f"{_ADL}/scored", "scored"),
    "completed": (f"{_ADL}/completed", "completed"),
    "passed": (f"{_ADL}/passed", "passed"),
    "failed": (f"{_ADL}/failed", "failed"),
    "terminated": (f"{_ADL}/terminated", "terminated"),
    "interacted": (f"{_ADL}/interacted", "interacted"),
}
_SIMULATION = "http://adlnet.gov/expapi/activities/simulation"
_ASSESSMENT = "http://adlnet.gov/expapi/activities/objective"
_UTTERANCE = f"{VOCABULARY}/activity-types/utterance"
_INTERVENTION = f"{VOCABULARY}/activity-types/intervention"
#: Extensions: what an item rests on, and what an utterance was.
EVIDENCE = f"{VOCABULARY}/extensions/evidence"
CONFIDENCE = f"{VOCABULARY}/extensions/confidence"
OBSERVED = f"{VOCABULARY}/extensions/observed"
REASON = f"{VOCABULARY}/extensions/reason"
SPAN = f"{VOCABULARY}/extensions/audio-span"
SPOKEN = f"{VOCABULARY}/extensions/spoken"
LEVEL = f"{VOCABULARY}/extensions/difficulty"
SECTION = f"{VOCABULARY}/extensions/section"
DIGEST = f"{VOCABULARY}/extensions/package-digest"
ACTIONS = f"{VOCABULARY}/extensions/actions"

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, VOCABULARY)


def statement_id(attempt_id: str, what: str) -> str:
    """The id of a statement about `what` in an attempt: the same whenever it is made."""
    return str(uuid.uuid5(_NAMESPACE, f"{attempt_id}/{what}"))


def registration(attempt_id: str) -> str:
    """The registration that groups the statements of an attempt."""
    return statement_id(attempt_id, "registration")


def agent(trainee: str, home_page: str) -> dict[str, Any]:
    """The trainee as an xAPI agent: the pseudonym, at the service's account space. Never a name or an address."""
    return {"objectType": "Agent", "account": {"homePage": home_page, "name": trainee}}


def statements(attempt: Attempt, home_page: str, *, transcript: bool = True) -> list[dict[str, Any]]:
    """Every statement of the attempt, in order of time. `transcript` False leaves out what was said, not the verdicts.

    `home_page` names the service whose pseudonym the trainee has (an absolute URL).
    """
    return list(_Writer(attempt, home_page, transcript).all())


class _Writer:
    def __init__(self, attempt: Attempt, home_page: str, transcript: bool) -> None:
        self._attempt, self._transcript = attempt, transcript
        self._actor = agent(attempt.trainee, home_page)
        self._scenario = f"{VOCABULARY}/scenarios/{identifier(attempt.scenario.id)}"
        self._language = attempt.scenario.language

    def all(self) -> Iterator[dict[str, Any]]:
        attempt = self._attempt
        yield self._statement("initialized", "initialized", 0.0, self._scenario_object())
        happened = [(turn.start_s, 0, self._turn(turn)) for turn in attempt.turns]
        happened += [(one.at_s, 1, self._intervention(n, one)) for n, one in enumerate(interventions(attempt))]
        yield from (made for _, _, made in sorted(happened, key=lambda entry: entry[:2]))
        if attempt.outcome == "running":
            return
        for verdict in reportable(attempt):
            yield self._item(verdict)
        if not completed(attempt):
            yield self._ending("terminated", {})
            return
        judged = success(attempt)
        if judged != "unknown":
            yield self._ending(judged, {"success": judged == "passed"})
        yield self._ending("completed", {"completion": True})

    def _ending(self, verb: str, result: dict[str, Any]) -> dict[str, Any]:
        attempt = self._attempt
        points = score(attempt)
        if points is not None and verb != "terminated":
            result["score"] = points
        result["duration"] = duration(attempt.duration_s)
        return self._statement(verb, verb, attempt.duration_s, self._scenario_object(), result)

    def _turn(self, turn: Turn) -> dict[str, Any]:
        own = turn.speaker == "trainee"
        extensions: dict[str, Any] = {SPAN: [turn.start_s, turn.end_s], SPOKEN: turn.spoken}
        if turn.section:
            extensions[SECTION] = turn.section
        if turn.actions:
            extensions[ACTIONS] = [{"name": one.name, "arguments": dict(one.arguments)} for one in turn.actions]
        result: dict[str, Any] = {"duration": duration(turn.end_s - turn.start_s), "extensions": extensions}
        if self._transcript:
            result["response"] = turn.text
        who = "trainee" if own else "instructor" if turn.by_instructor else "character"
        named = f"Turn {turn.n} of the {who}"
        target = self._activity(f"turns/{turn.n}", _UTTERANCE, named)
        return self._statement("responded" if own else "experienced", f"turn/{turn.n}", turn.end_s, target, result)

    def _item(self, verdict: Judged) -> dict[str, Any]:
        extensions: dict[str, Any] = {
            CONFIDENCE: round(verdict.confidence, 4),
            OBSERVED: verdict.state != "not_observed",
            REASON: verdict.reason,
            EVIDENCE: [self._evidence(one) for one in verdict.evidence],
        }
        result: dict[str, Any] = {"extensions": extensions}
        if verdict.state != "not_observed":
            points = verdict.points if verdict.points is not None else 0.0
            result["success"] = verdict.state == "met"
            result["score"] = {
                "scaled": round(points / verdict.weight, 4),
                "raw": points,
                "min": 0,
                "max": verdict.weight,
            }
        target = self._activity(f"items/{identifier(verdict.item)}", _ASSESSMENT, title(verdict))
        return self._statement("scored", f"item/{verdict.item}", self._attempt.duration_s, target, result)

    def _evidence(self, one: Evidence) -> dict[str, Any]:
        told: dict[str, Any] = {
            "turn": one.turn,
            "statement": statement_id(self._attempt.id, f"turn/{one.turn}"),
            "words": [one.word_start, one.word_end],
            "audio-span": [one.start_s, one.end_s],
        }
        if self._transcript:
            told["quote"] = one.quote
        return told

    def _intervention(self, number: int, one: Intervention) -> dict[str, Any]:
        target = self._activity(f"interventions/{identifier(one.action)}", _INTERVENTION, f"Instructor: {one.action}")
        # What an instructor whispers is the instructor's; the trainee's record says that it happened, and when.
        return self._statement("experienced", f"intervention/{number}", one.at_s, target)

    def _scenario_object(self) -> dict[str, Any]:
        made = self._activity("", _SIMULATION, self._attempt.scenario.title)
        return {**made, "id": self._scenario}

    def _activity(self, path: str, kind: str, name: str) -> dict[str, Any]:
        return {
            "objectType": "Activity",
            "id": f"{self._scenario}/{path}",
            "definition": {"type": kind, "name": {self._language: name}},
        }

    def _statement(
        self, verb: str, what: str, at_s: float, target: dict[str, Any], result: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        attempt = self._attempt
        identity, shown = VERBS[verb]
        whole = target["id"] == self._scenario
        grouping = {"objectType": "Activity", "id": f"{self._scenario}/levels/{identifier(attempt.level)}"}
        parents = {} if whole else {"parent": [{"objectType": "Activity", "id": self._scenario}]}
        made: dict[str, Any] = {
            "id": statement_id(attempt.id, what),
            "version": VERSION,
            "actor": self._actor,
            "verb": {"id": identity, "display": {"en": shown}},
            "object": target,
            "timestamp": stamp(attempt.began + at_s),
            "context": {
                "registration": registration(attempt.id),
                "platform": "npc",
                "language": self._language,
                "revision": attempt.scenario.version,
                "contextActivities": {**parents, "grouping": [grouping]},
                "extensions": {LEVEL: attempt.level, DIGEST: attempt.scenario.digest},
            },
        }
        if result:
            made["result"] = result
        return made


def duration(seconds: float) -> str:
    """ISO 8601 duration with hundredths, as xAPI compares them."""
    return f"PT{max(0.0, seconds):.2f}S"
