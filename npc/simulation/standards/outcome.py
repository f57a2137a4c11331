"""What an attempt comes to, in the words the learning standards share: completion, success, score, and each item."""

from __future__ import annotations

from typing import Any, Literal

from npc.simulation.attempt import Attempt, Judged
from npc.simulation.standards.course import RESULT, RESULT_VERSION
from npc.simulation.standards.lrs import stamp

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
                "description": one.description,
                "met": {"met": True, "not_met": False, "not_observed": None}[one.state],
                "weight": one.weight,
                "quote": one.evidence[0].quote if one.evidence else "",
                "at_s": one.evidence[0].start_s if one.evidence else None,
                "reason": one.reason,
            }
            for one in reportable(attempt)
        ],
    }


def score(attempt: Attempt) -> dict[str, float] | None:
    """scaled (0-1), raw, min and max as xAPI, SCORM 2004 and cmi5 define them; None when nothing could be judged."""
    if attempt.score is None:
        return None
    raw = round(attempt.score, 2)
    return {"scaled": round(attempt.score / 100, 4), "raw": raw, "min": 0, "max": 100}
