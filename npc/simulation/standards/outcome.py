"""What an attempt comes to, in the words the learning standards share: completion, success, score, and each item."""

from __future__ import annotations

import re
from typing import Any, Literal

from npc.simulation.attempt import Attempt, Intervention, Judged
from npc.simulation.rubric.model import Evidence
from npc.simulation.standards.course import RESULT, RESULT_VERSION
from npc.simulation.standards.lrs import stamp

_NEGATIVE = re.compile(r"(?:does|do|did|is|must|should) ?n[o']t\b|never\b|no\b|avoid|without\b|refrain", re.I)

Success = Literal["passed", "failed", "unknown"]


def completed(attempt: Attempt) -> bool:
    """Whether the trainee went through it; an abandoned attempt is neither completed nor failed."""
    return attempt.outcome in ("completed", "failed", "timeout", "ended_by_instructor")


def success(attempt: Attempt) -> Success:
    """Passed or failed, once it is over and something could be judged."""
    if attempt.passed is None or not completed(attempt):
        return "unknown"
    return "passed" if attempt.passed else "failed"


def reportable(attempt: Attempt) -> tuple[Judged, ...]:
    """Verdicts that may leave the attempt: none on the trainee's emotions where those may not be inferred."""
    return tuple(one for one in attempt.verdicts if one.kind != "emotion" or attempt.emotion_allowed)


def interventions(attempt: Attempt) -> tuple[Intervention, ...]:
    """What an instructor did, without the mere looking on."""
    return tuple(one for one in attempt.interventions if one.action not in ("observe", "release"))


def title(item: Judged) -> str:
    """The item as a wish: what must not be said may be authored as what breaks it ("Blames the guest")."""
    if item.kind != "must_not_say" or _NEGATIVE.match(item.description):
        return item.description
    return f"Never {item.description[0].lower()}{item.description[1:]}"


def telling(item: Judged) -> tuple[Evidence, ...]:
    """Evidence that shows the thing itself, as opposed to the turns in which it was looked for and not found."""
    if item.kind in ("order", "timing", "delivery"):
        return item.evidence if len(item.evidence) <= 3 else ()
    present = (item.state == "met") != (item.kind == "must_not_say")
    return item.evidence if present and item.state != "not_observed" else ()


def result_message(attempt: Attempt) -> dict[str, Any]:
    """The message by which our page tells a launching page what came of the attempt (see `packages`)."""
    return {
        "type": RESULT,
        "version": RESULT_VERSION,
        "attempt": attempt.id,
        "scenario": attempt.scenario.id,
        "began": stamp(attempt.began),
        "seconds": round(attempt.duration_s, 3),
        "status": "completed" if completed(attempt) else "incomplete",
        "success": success(attempt),
        "score": score(attempt),
        "items": [
            {
                "id": one.item,
                "description": title(one),
                "met": {"met": True, "not_met": False, "not_observed": None}[one.state],
                "weight": one.weight,
                "quote": cited[0].quote if cited else "",
                "at_s": cited[0].start_s if cited else None,
                "reason": one.reason,
            }
            for one in reportable(attempt)
            for cited in (telling(one),)
        ],
    }


def score(attempt: Attempt) -> dict[str, float] | None:
    """scaled (0-1), raw, min and max as xAPI, SCORM 2004 and cmi5 define them; None when nothing could be judged."""
    if attempt.score is None:
        return None
    raw = round(attempt.score, 2)
    return {"scaled": round(attempt.score / 100, 4), "raw": raw, "min": 0, "max": 100}
