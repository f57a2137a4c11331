"""Whether the player asks for their own name: "who am I?", "which name goes on the list?", "who are you lending it to?"

Anything else about the player is found among their sayings like any other answer; the name is asked for so often, and
in words so far from "My name is …", that it has examples of its own.
"""

from __future__ import annotations

import re

import numpy as np

from npc.dialogue.composed.question import Question
from npc.dialogue.knowledge.words import tokens
from npc.inference.encoder import SentenceEncoder

_ABOUT_NAME = re.compile(
    r"\b(my (own |first |last |full )?name|do i go by|have (me )?down (as|for)|who is (speaking|talking) to you|"
    r"who is asking|who wants to know|name of the new|"
    r"who (am i|i am)(?! \w+ing\b)|i'?m called|am i called|call me|remember me|recall me|recogni[sz]e me|"
    r"who (are|were) you (talking|speaking|lending|giving|selling)|(what|which|whose) name (will|shall|should|do|would)|"  # noqa: E501
    r"under (what|which|whose) name|the pleasure of (serving|meeting|speaking|talking|addressing)|"
    r"name (you'?ll|will you|shall you|you) (put|write|enter|note)|who shall (i|you) (put|write|say))\b",
    re.I,
)
#: "You've an ear for names. What's mine?"
_MINE = re.compile(r"^\W*(?:so |and |now )?(?:what(?: is| was|'s)|do you (?:know|remember)) mine\b", re.I)
_NAME_EXEMPLARS = (
    "What was my name again?", "Do you remember what I'm called?", "Who am I?", "What do you call me?",
    "What name will you write down for me?", "Which name goes on the list?", "Who are you lending it to?",
    "Under whose name is this booked?", "Who should the receipt be made out to?", "Do you recall who I am?",
    "Have you forgotten who I am already?", "How will you announce me?", "What's the name of the person you're talking to?",  # noqa: E501
)  # fmt: skip
_WHO_OF_OTHERS = re.compile(
    r"\bmy (brother|sister|dog|cat|horse|mother|father|wife|husband|son|daughter|friend|ship|boat|uncle|aunt|\w+)('s)?\b",  # noqa: E501
    re.I,
)

_NAME_OF_OTHERS = re.compile(
    r"\b(his|her|their|its|whose|\w+'s) (first |last |full |own )?name\b|\bname of\b|"
    r"\bwho (is|was|are|were) (he|she|they|that|this)\b|"
    r"\bwho (am i|i am|i'm|was i|i was) \w+ing (for|after)\b|\b(he|she|it|they) (is|was|are|were)? ?called\b",
    re.I,
)


def of_another(question: Question) -> bool:
    """Whether the asking clause is about somebody else's name or person: the player's own name is no answer."""
    return _NAME_OF_OTHERS.search(question.asking.replace("’", "'")) is not None


def wants_name(question: Question, encoder: SentenceEncoder | None) -> bool:
    """Whether the asking clause is about the player's own name, and not about somebody of theirs."""
    if not question.asking or of_another(question):
        return False
    others = _WHO_OF_OTHERS.search(question.asking)
    if others is not None and others.group(1).lower() not in ("name", "first", "last", "own", "full"):
        return False
    if _MINE.search(question.asking) and re.search(r"\bnames?\b", question.told, re.I):
        return True
    if _ABOUT_NAME.search(question.asking):
        return True
    if (
        encoder is None
        or len(tokens(question.asking)) > 14
        or re.search(r"\b(your|his|her|their|its)\b", question.asking, re.I)
    ):
        return False
    if not re.search(r"\b(name|who|whom|whose|call|called|address|introduce|announce|sign)\b", question.asking, re.I):
        return False
    vectors = encoder.encode([question.asking, *_NAME_EXEMPLARS])
    return float(np.max(vectors[1:] @ vectors[0])) >= 0.58
