"""The assignable unit's side of cmi5 ("Quartz", 1st edition): launch, session, and the statements that end it.

LMS ─▶ launch URL ?endpoint&fetch&actor&registration&activityId
         │ POST fetch ──▶ authorisation token (once)
         │ GET  activities/state LMS.LaunchData ──▶ context template, mode, mastery score, return URL
         │ GET  agents/profile cmi5LearnerPreferences
         ▼ initialized ─▶ … what xAPI says of turns and items ("allowed" statements) …
           ─▶ passed | failed ─▶ completed ─▶ terminated           (abandoned, browse, review: terminated alone)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from npc.simulation.attempt import Attempt
from npc.simulation.standards.lrs import DEADLINE, VERSION, Lrs, LrsAccount, stamp
from npc.simulation.standards.outbox import Outbox
from npc.simulation.standards.outcome import completed, score, success
from npc.simulation.standards.xapi import EVIDENCE, VERBS, duration, statement_id, statements

CATEGORY = "https://w3id.org/xapi/cmi5/context/categories/cmi5"
MOVE_ON = "https://w3id.org/xapi/cmi5/context/categories/moveon"
MASTERY = "https://w3id.org/xapi/cmi5/context/extensions/masteryscore"
_PARAMETERS = ("endpoint", "fetch", "actor", "registration", "activityId")


class LaunchError(ValueError):
    """A launch cannot be followed; the message says which part of it and what to do."""


def _is_url(text: str) -> bool:
    """Whether requests can be made to it; `urlsplit` alone overlooks line breaks."""
    try:
        return text.isprintable() and urlsplit(text).scheme in ("http", "https")
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Launch:
    """What the LMS put into the launch URL."""

    endpoint: str
    fetch: str
    actor: Mapping[str, Any]
    registration: str
    activity: str

    @staticmethod
    def parse(query: Mapping[str, str]) -> Launch:
        """Raises LaunchError that names the parameter."""
        missing = [name for name in _PARAMETERS if not query.get(name)]
        if missing:
            raise LaunchError(f"this is no cmi5 launch: {', '.join(missing)} missing; open it from the LMS")
        for name in ("endpoint", "fetch"):
            if not _is_url(query[name]):
                raise LaunchError(f"{name} must be an http(s) URL")
        try:
            actor = json.loads(query["actor"])
            account = actor["account"]
            if not (isinstance(account["homePage"], str) and isinstance(account["name"], str)):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            raise LaunchError("actor must be a JSON agent with an account (cmi5 specification, 8.1.3)") from None
        return Launch(query["endpoint"], query["fetch"], actor, query["registration"], query["activityId"])

    @property
    def origins(self) -> tuple[str, str]:
        """Origins of the two URLs that the launch makes us call."""
        first, second = urlsplit(self.endpoint), urlsplit(self.fetch)
        return f"{first.scheme}://{first.netloc}", f"{second.scheme}://{second.netloc}"


@dataclass(frozen=True, slots=True)
class LaunchedUnit:
    """A launch that was followed: everything needed to report on it later, also from another process."""

    launch: Launch
    token: str = field(repr=False)
    template: Mapping[str, Any]
    mode: str = "Normal"
    mastery: float | None = None
    return_url: str = ""
    language: str = ""

    @property
    def account(self) -> LrsAccount:
        return LrsAccount(self.launch.endpoint, f"Basic {self.token}")

    def to_json(self) -> dict[str, Any]:
        launch = self.launch
        return {
            "launch": {
                "endpoint": launch.endpoint,
                "fetch": launch.fetch,
                "actor": dict(launch.actor),
                "registration": launch.registration,
                "activity": launch.activity,
            },
            "token": self.token,
            "template": dict(self.template),
            "mode": self.mode,
            "mastery": self.mastery,
            "return_url": self.return_url,
            "language": self.language,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> LaunchedUnit:
        return LaunchedUnit(**{**data, "launch": Launch(**data["launch"])})


async def follow(launch: Launch, outbox: Outbox, now: float, client: httpx.AsyncClient) -> LaunchedUnit:
    """Fetch the token and the launch data, and say `initialized`. Raises LaunchError."""
    token = await _token(launch, client)
    lrs = Lrs(LrsAccount(launch.endpoint, f"Basic {token}"), outbox, client)
    agent = json.dumps(launch.actor)
    try:
        data = await lrs.document(
            "activities/state",
            {
                "activityId": launch.activity,
                "agent": agent,
                "registration": launch.registration,
                "stateId": "LMS.LaunchData",
            },
        )
        likes = await lrs.document("agents/profile", {"agent": agent, "profileId": "cmi5LearnerPreferences"})
    except ConnectionError as error:
        raise LaunchError(f"the LMS's record store does not answer: {error}; launch it again") from None
    if not isinstance(data, dict) or "contextTemplate" not in data:
        raise LaunchError("the LMS left no LMS.LaunchData with a contextTemplate: it is no cmi5 launch")
    unit = LaunchedUnit(
        launch=launch,
        token=token,
        template=data["contextTemplate"],
        mode=data.get("launchMode", "Normal"),
        mastery=data.get("masteryScore"),
        return_url=data.get("returnURL", ""),
        language=str((likes or {}).get("languagePreference", "")).split(",")[0],
    )
    answer = await lrs.request("POST", "statements", json=[initialized(unit, now)])
    if not answer.taken:
        raise LaunchError(f"the LMS did not take the first statement: {answer.status} {answer.message}")
    return unit


async def _token(launch: Launch, client: httpx.AsyncClient) -> str:
    try:
        response = await client.post(launch.fetch, timeout=DEADLINE)
        told = response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise LaunchError(f"the LMS's fetch URL gave no token: {error}; launch it again") from None
    token = told.get("auth-token") if isinstance(told, dict) else None
    if not token:
        reason = told.get("error-text", "no auth-token") if isinstance(told, dict) else "no auth-token"
        raise LaunchError(f"the LMS gave no token ({reason}): a launch works once; launch it again")
    return str(token)


def initialized(unit: LaunchedUnit, now: float) -> dict[str, Any]:
    """The first statement of the session."""
    return _defined(unit, "initialized", f"{unit.launch.registration}/{unit.token}", now, {}, move_on=False)


def session_statements(attempt: Attempt, unit: LaunchedUnit) -> list[dict[str, Any]]:
    """Everything after `initialized`, in order. The pass mark is the LMS's where it set one."""
    ended = attempt.began + attempt.duration_s
    told: list[dict[str, Any]] = []
    if unit.mode == "Normal":
        told += [_allowed(unit, one) for one in statements(attempt, unit.launch.origins[0]) if _is_detail(one)]
        told += _judgement(attempt, unit, ended)
    spent = {"duration": duration(attempt.duration_s)}
    return [*told, _defined(unit, "terminated", attempt.id, ended, spent, move_on=False)]


def _judgement(attempt: Attempt, unit: LaunchedUnit, ended: float) -> list[dict[str, Any]]:
    if not completed(attempt):
        return []
    told = []
    points, outcome = score(attempt), success(attempt)
    reached = points is not None and unit.mastery is not None and points["scaled"] >= unit.mastery
    if points is not None and unit.mastery is not None:
        critical = any(one.critical and one.state == "not_met" for one in attempt.verdicts)
        outcome = "passed" if reached and not critical else "failed"
    spent = {"duration": duration(attempt.duration_s)}
    if outcome != "unknown" and points is not None:
        result: dict[str, Any] = {"success": outcome == "passed", "score": points, **spent}
        if outcome == "failed" and reached:
            # Failed for a critical item alone: the score of a `failed` must lie below the mastery score (9.5.1).
            del result["score"]
        told.append(_defined(unit, outcome, attempt.id, ended, result, move_on=True))
    told.append(_defined(unit, "completed", attempt.id, ended, {"completion": True, **spent}, move_on=True))
    return told


def _is_detail(statement: Mapping[str, Any]) -> bool:
    """Statements of turns, items and interventions; the others are cmi5's own here."""
    return "parent" in statement["context"]["contextActivities"]


def _allowed(unit: LaunchedUnit, statement: Mapping[str, Any]) -> dict[str, Any]:
    """An xAPI statement inside the session: the LMS's actor and context, and no cmi5 category (section 9.3 there).

    It has an id of its own, for the same attempt may be told to the same store in plain xAPI as well.
    """
    made = {
        **statement,
        "id": _own_id(statement["id"]),
        "actor": dict(unit.launch.actor),
        "context": _merged(unit, statement["context"]),
    }
    extensions = (statement.get("result") or {}).get("extensions") or {}
    if EVIDENCE in extensions:
        cited = [{**one, "statement": _own_id(one["statement"])} for one in extensions[EVIDENCE]]
        made["result"] = {**statement["result"], "extensions": {**extensions, EVIDENCE: cited}}
    return made


def _own_id(statement: str) -> str:
    return statement_id(statement, "cmi5")


def _defined(
    unit: LaunchedUnit, verb: str, about: str, at: float, result: dict[str, Any], *, move_on: bool
) -> dict[str, Any]:
    categories = [{"objectType": "Activity", "id": CATEGORY}]
    if move_on:
        categories.append({"objectType": "Activity", "id": MOVE_ON})
    context: dict[str, Any] = {"contextActivities": {"category": categories}}
    if verb in ("passed", "failed") and unit.mastery is not None:
        context["extensions"] = {MASTERY: unit.mastery}
    identity, shown = VERBS[verb]
    made: dict[str, Any] = {
        "id": statement_id(about, f"cmi5/{verb}"),
        "version": VERSION,
        "actor": dict(unit.launch.actor),
        "verb": {"id": identity, "display": {"en": shown}},
        "object": {"objectType": "Activity", "id": unit.launch.activity},
        "timestamp": stamp(at),
        "context": _merged(unit, context),
    }
    if result:
        made["result"] = result
    return made


def _merged(unit: LaunchedUnit, context: Mapping[str, Any]) -> dict[str, Any]:
    """The LMS's context template with ours laid over it; lists of activities are joined, the template's first."""
    template = unit.template
    merged = {**template, **context, "registration": unit.launch.registration}
    activities: dict[str, list[Any]] = {}
    for source in (template.get("contextActivities") or {}, context.get("contextActivities") or {}):
        for name, listed in source.items():
            known = activities.setdefault(name, [])
            new = listed if isinstance(listed, list) else [listed]
            known += [one for one in new if one["id"] not in {other["id"] for other in known}]
    merged["contextActivities"] = activities
    merged["extensions"] = {**(template.get("extensions") or {}), **(context.get("extensions") or {})}
    return merged
