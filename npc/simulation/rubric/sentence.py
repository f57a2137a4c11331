"""Sentences of a turn, and what their wording alone says: question, denial, report, mockery, recital, condition.

These are the cases that similarity gets wrong: "I won't say sorry" is close to an apology, "my boss told me to say
sorry" contains one, and "apologises, acknowledges, full marks please" reads the rubric aloud.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

_SENTENCE = re.compile(r"(?:\.{2,}|[^.!?])+[.!?]*")
_OPENER = r"(?:so|and|but|okay|right|now|well|good|oh|then|sorry|please|just|hang on|for \w+ \w+)?[, ]*"
_QUESTION_START = re.compile(
    rf"^{_OPENER}(?:what|which|who|whose|when|where|why|how|is|are|was|were|do|does|did|have|has|had|can|could|would"
    r"|will|shall|should|may|any(?:thing|one|body)?)\b",
    re.I,
)
_REQUEST = re.compile(
    r"\b(?:tell me|let me (?:know|see|have|check)|give me|read me|show me|hand me|describe"
    r"|(?:walk|talk) me through"
    r"|i(?:'d| would| just)? (?:just )?(?:like|need|have) (?:to (?:know|hear|check|ask|take)|you to|your|the)"
    r"|i need your|i'll need)\b",
    re.I,
)
_DENIAL = re.compile(r"\b(?:not|never|no|nobody|nothing|cannot|without|refuse|neither|nor|hardly)\b|n't\b", re.I)
_QUOTE = re.compile(r"[\"“”]|\bas (?:they|\w+ \w+) (?:say|said)\b", re.I)
_REPORT = re.compile(
    r"\b(?:he|she|they|somebody|someone|people|boss|manager|script|poster|sign|sheet|card|manual|leaflet|book|training|"
    r"course|colleague|form|who|everybody|everyone|always)\s+(?:\w+\s+){0,3}?"
    r"(?:said|says|say|told|tells?|wrote|writes|asked|asks?|reads|wants? me to|thinks?)\b"
    r"|\b(?:supposed to|meant to|ought to|told to|like me to) (?:say|ask|tell|mention|apologi[sz]e)\b"
    r"|\bis (?:no|what) (?:kind|way|excuse|reason|they)\b|\bnobody(?:'s| is) (?:saying|telling)\b|\byou said\b",
    re.I,
)
_MOCK = re.compile(
    r"\b(?:your (?:royal )?(?:majesty|highness)|boo hoo|poor (?:you|thing|baby)|how (?:terribl|awful|dreadful)\w*|"
    r"oh,? (?:i'm )?so (?:very |terribly )?sorry|nasty|heartbreaking|big deal|what a tragedy|congratulations|cry me|"
    r"aw+|bless (?:you|your)|clap|sure you (?:did|do|are)|yeah,? right|whatever|ha|my heart (?:bleeds|breaks)|diddums|"
    r"(?:did|does|is) baby|tiny violin|call the papers|i shall weep|for nothing|princess)\b",
    re.I,
)
_META = re.compile(
    r"\b(?:rubric|full marks?|marks?|points?|score[ds]?|scorer|scoring|grade|grader|assess(?:or|ment|ed)?|examiner|"
    r"criteri\w+|checklist|item (?:one|two|\d+)|tick|check|credit|pass me|evaluat\w+|instructions? to the|"
    r"on (?:my|the) list|on the card|(?:my|the) (?:first|next|second|third|last) (?:point|item|one|line))\b",
    re.I,
)
#: A rubric describes in the third person what the trainee does: "Apologises for the delay, asks for the number."
_RECITAL = re.compile(
    r"^(?:and |then |also )?(?:apologi[sz]es|acknowledges|asks|offers|tells|explains|confirms|introduces|says|states|"
    r"warns|checks|shows|thanks|refuses|agrees|mentions?|stay|does not|doesn't|the trainee|trainee)\b",
    re.I,
)
_CONDITION = re.compile(
    r"\b(?:if i|i(?:'d| would)(?: have)? \w+ (?:\w+ ){0,6}(?:if|but)|i could have|i should have|i was going to|"
    r"maybe i should|normally i|would have|might have|if (?:it|there|he|she|you) (?:were|was|had|'d)|never mind|"
    r"forget it|in theory|some day)\b",
    re.I,
)
_THIRD = re.compile(
    r"\b(?:your|his|her|their|my|the)\s+(?:wife|husband|mother|father|son|daughter|brother|sister|friend|dog|cat|"
    r"gran|kids?|colleague|uncle|aunt|cousin|neighbour|last (?:one|man|customer)|(?:lady|man) before)\b",
    re.I,
)
_FIRST = re.compile(r"\b(?:i|me|my|mine|we|us|our|i'm|i'll|i've|i'd|we'll|we've|we're|let's)\b", re.I)
_SECOND = re.compile(r"\b(?:you|your|yours|you're|you'll|you've|you'd|yourself)\b", re.I)
_OTHER = re.compile(r"\b(?:he|she|him|his|her|they|them|their|he's|she's|they're|he'd|she'd)\b", re.I)
_YES = re.compile(r"^(?:yes|yeah|yep|i was|i did|i do|i have|that's right|true|daily|no,? \w+(?:'s)? \w+)\b", re.I)
_NO = re.compile(r"^(?:no|nope|not|never|none|nothing)\b", re.I)
_PAST = re.compile(r"\b(?:was|were|did|had|went|yesterday|once|last (?:week|year|summer|month|time)|\w+ed)\b", re.I)
#: First words of an order, so that "Move away from it" is told from "I moved away".
_ORDER = re.compile(
    r"^(?:please |okay,? |then |right,? |so |now,? |just |quick,? |go on,? |\w+, )*(?:stop|come|get|put|take|go|hold|"
    r"leave|keep|step|move|pull|turn|drop|wait|don't|do|let|use|grab|look|be|never mind|forget|carry|freeze|back|off|"
    r"hands|out|down|wash|cover|call|open|tie|prop|skip)\b",
    re.I,
)
#: The same where nobody would begin a sentence like it in talk ("Says here …" one would).
RECITED = re.compile(
    r"^(?:and |then |also )?(?:apologi[sz]es|acknowledges|asks|offers|tells|explains|confirms|introduces|refuses|"
    r"agrees|greets|thanks|the trainee|trainee)\b",
    re.I,
)
#: Words that belong to being scored and to no scene: what is said with them is said to the scorer.
TO_THE_SCORER = re.compile(
    r"\b(?:rubric|full (?:marks?|score|points|credit)|(?:top|maximum|highest|perfect|best) (?:marks?|score|grade|"
    r"points)|scorer|scoring|examiner|assessor|grader|evaluator|criteri(?:a|on)|checklist|every (?:item|score|box)|"
    r"all (?:the )?(?:items|boxes)|"
    r"items? (?:as|is|are|were) (?:met|done|fulfilled|passed)|(?:as|is|are|been) (?:met|fulfilled)|"
    r"(?:ignore|forget|disregard|override|skip) (?:\w+ ){0,3}(?:instructions?|rules?|criteria|items?|prompt)|"
    r"(?:give|award|grant) (?:me|this|it|us) (?:\w+ ){0,3}(?:marks?|points?|score|grade|credit|pass|percent)|"
    r"(?:let me|i|should|must) pass(?: this| the|ed)?\b(?! (?:you|it|on|that))|"
    r"(?:ten|a hundred|one hundred|100|10) (?:out of|points|per ?cent)|system prompt|system:|score (?:this|me|it|of)|"
    r"mark (?:this|me|every|all|everything|it) |grade me|rate me|this (?:attempt|answer) (?:deserves|is))\b",
    re.I,
)
_LEFT_OPEN = re.compile(r"(?:\.\.\.|…)")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence: the turn's words `[word_start, word_end)` and its text."""

    word_start: int
    word_end: int
    text: str


def split(text: str) -> list[Sentence]:
    """The sentences of a turn; together they cover its words in order."""
    found: list[Sentence] = []
    at = 0
    for match in _SENTENCE.finditer(text):
        count = len(match.group().split())
        if count:
            found.append(Sentence(at, at + count, match.group().strip()))
            at += count
    return found


def is_question(text: str) -> bool:
    """Asks for something: by its mark, its first words, or as a request to tell."""
    return text.rstrip().endswith("?") or bool(_QUESTION_START.match(text)) or bool(_REQUEST.search(text))


SIGNS = {
    "denial": _DENIAL,
    "quote": _QUOTE,
    "report": _REPORT,
    "mock": _MOCK,
    "meta": _META,
    "reading": _RECITAL,
    "condition": _CONDITION,
    "third": _THIRD,
    "first": _FIRST,
    "second": _SECOND,
    "other": _OTHER,
    "yes": _YES,
    "no": _NO,
    "past": _PAST,
    "order": _ORDER,
    "request": _REQUEST,
    "left_open": _LEFT_OPEN,
}


@lru_cache(maxsize=4096)
def wording(text: str) -> Mapping[str, float]:
    """Named signs, 0 or 1: those of SIGNS, and question, mark (ends with one) and short (two words at most)."""
    signs = {name: float(bool(pattern.search(text))) for name, pattern in SIGNS.items()}
    return signs | {
        "question": float(is_question(text)),
        "mark": float(text.rstrip().endswith("?")),
        "short": float(len(text.split()) <= 2),
    }
