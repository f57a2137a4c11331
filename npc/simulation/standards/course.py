"""A scenario as a learning system sees it: a course of one unit, and the outcome of one attempt at it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

#: Activity ids and extensions of ours begin so; w3id.org is where the xAPI vocabularies live.
VOCABULARY = "https://w3id.org/npc/xapi"
#: Type and version of the message by which our page tells the launching page the outcome.
RESULT = "npc.result"
RESULT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Course:
    """What an export needs to know. `mastery` is the pass mark as a share, `service` the base URL of the server.

    `secret` lets the package's launch page ask the service for a ticket; it is in the package, so whoever may read the
    package may start an attempt, and nothing else.
    """

    id: str
    title: str
    description: str
    language: str
    version: str
    mastery: float
    minutes: float
    service: str
    secret: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.service)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
            raise ValueError(f"service {self.service!r} must be the server's base URL, like https://npc.example.org/")
        if not 0 <= self.mastery <= 1:
            raise ValueError(f"mastery {self.mastery} must be a share between 0 and 1")

    @property
    def activity(self) -> str:
        """The scenario's activity id, the same in xAPI, cmi5 and LTI."""
        return f"{VOCABULARY}/scenarios/{self.id}"

    @property
    def base(self) -> str:
        return self.service.rstrip("/")

    @property
    def origin(self) -> str:
        parts = urlsplit(self.service)
        return f"{parts.scheme}://{parts.netloc}"


def course_of(scenario: Any, service: str, secret: str = "") -> Course:
    """The course of a `npc.simulation.scenario.Scenario`. Raises ValueError for a service that is no base URL."""
    return Course(
        id=scenario.id,
        title=scenario.title,
        description=scenario.summary,
        language=scenario.languages[0],
        version=scenario.version,
        mastery=round(scenario.rubric.pass_mark / 100, 4),
        minutes=scenario.minutes,
        service=service,
        secret=secret,
    )


def identifier(text: str) -> str:
    """`text` as the strictest of the standards takes an identifier (SCORM 1.2 CMIIdentifier: no spaces, 255 signs)."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-")[:255] or "item"


def is_result(message: Mapping[str, Any]) -> bool:
    """Whether a message is an outcome of a version that is known here."""
    return message.get("type") == RESULT and message.get("version") == RESULT_VERSION
