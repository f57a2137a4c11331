"""Yes or no: what a rule or a limit means for the case the player describes. Says nothing when in doubt."""

from __future__ import annotations

import re

from npc.dialogue.composed.question import Question
from npc.dialogue.knowledge.words import content, numbers_in

_PERMISSION = re.compile(
    r"^\W*(and |so |but |then )?(may|can|could|is it (ok|okay|all right|fine|allowed)|am i|are we|do you allow|mind if|would it be)\b",  # noqa: E501
    re.I,
)
_FORBIDS = re.compile(
    r"\b(no|never|nobody|not|forbidden|prohibited|banned|out of use|out of order|closed|flooded|may not|must not)\b",
    re.I,
)
_ALLOWS = re.compile(
    r"\b(may|allowed|welcome|permitted|takes? (carts|visitors|guests|passengers)|is firm|is safe|open to)\b", re.I
)
_MOST = re.compile(r"\b(at most|no more than|only|limit|maximum|up to|takes only|lifts at most)\b", re.I)


def verdict(question: Question, asking: str, statement: str) -> str:
    """ "No.", "Yes." or "" for a yes/no question answered by a statement."""
    if question.wanted != "yesno" or question.corrected is not None:
        return ""
    asked = [value for value, _ in numbers_in(question.text)]
    limits = [value for value, _ in numbers_in(statement)]
    if _MOST.search(statement) and asked and limits and max(asked) > limits[0]:
        return "No."
    denied = re.search(r"\bnot (?:to |in |on |for |at )?(?:the )?([\w ]+)", statement)
    if denied and set(content(denied.group(1))) & set(content(asking)):
        return "No."
    if not _PERMISSION.search(asking):
        return ""
    if _FORBIDS.search(statement) and not re.search(r"\bbut\b", statement):
        return "No."
    # "Only guide dogs are allowed": whether yours is one is not known.
    doubtful = _FORBIDS.search(statement) or re.search(r"\bonly\b", statement, re.I)
    return "Yes." if _ALLOWS.search(statement) and not doubtful else ""
