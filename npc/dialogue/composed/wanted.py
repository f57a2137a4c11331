"""Whether a sentence holds the kind of answer a question wants, and for which season, shift or day it holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from npc.dialogue.composed.question import Wanted
from npc.dialogue.knowledge.grammar import verb_at
from npc.dialogue.knowledge.words import STOPWORDS, names_in, numbers_in, stem, tokens


def _any(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(words.split())})\b", re.I)


#: A preposition of place that is not followed by a time: "in the shed", but not "from six" or "on Mondays".
_NO_PLACE = (
    "\\d|half|quarter|a quarter|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|noon|midnight|dawn|dusk|"
    "sunrise|sunset|spring|summer|autumn|winter|\\w+days?\\b|the (?:morning|afternoon|evening|night|spring|summer|autumn|"  # noqa: E501
    "winter|end of the shift)|weekdays?|weekends?|(?:january|february|march|april|may|june|july|august|september|october|"  # noqa: E501
    "november|december)\\b|once|least|most|all|no\\b"
)
_PLACED = re.compile(
    r"\b(?:in|on|at|behind|under|near|beside|between|above|below|inside|outside|over|opposite|into|to|up|down|past|through|"
    rf"along|across|east|west|north|south|from)\s+(?!{_NO_PLACE})\w|\b(?:upstairs|downstairs|abroad|everywhere|nowhere)\b",
    re.I,
)
_PRICE = _any(
    "cost costs pay pays paid price prices priced fee fees charge charges free fare toll tolls fine fined worth sell sells "  # noqa: E501
    "coin coins copper coppers silver gold crowns? credits? tokens? penny pence pounds? shillings? dollars? euros? cents? "  # noqa: E501
    "groats? marks? wages? salary rent bits?"
)
_MONEY_SIGN = re.compile(r"[€$£]")
_TIME = _any(
    "morning noon midday midnight afternoon evening night nights dawn dusk sunrise sunset monday tuesday wednesday thursday "  # noqa: E501
    "friday saturday sunday mondays tuesdays wednesdays thursdays fridays saturdays sundays january february march april may "  # noqa: E501
    "june july august september october november december spring summer autumn winter harvest o'clock hour hours minute "  # noqa: E501
    "minutes second seconds day days daily week weeks weekday weekdays weekend weekends month months year years season tide "  # noqa: E501
    "today tomorrow yesterday tonight since until till twice once \\w+day always vespers prime"
)
#: A time that something takes or lasts: "ninety hours", "two and a half days", "since June", "until Friday".
_SPAN = re.compile(
    r"\b(?:seconds?|minutes?|hours?|days?|nights?|weeks?|fortnights?|months?|years?|seasons?|overnight|since|until|till"
    r"|for ever|forever|always|never|lifetime|from .+ to|quarter of an hour|moment|while)\b",
    re.I,
)
#: Asks what somebody or something is called.
_NAME_ASKED = re.compile(
    r"\b(?:what|which)(?:'s| is| was| were| are)? .*\b(?:names?|called|surname)\b|\bname of\b"
    r"|\bwhat (?:do|did) .* call (?:him|her|it|them)\b",
    re.I,
)
_CLOCK = re.compile(
    r"\b\d{4}\b|\b\d{1,2}[.:]\d\d\b|\b(?:at|from|by|before|after|to) (?:half|quarter|a quarter|one|two|three|four|five|six|"  # noqa: E501
    r"seven|eight|nine|ten|eleven|twelve|\d+|\w+teen hundred)\b",
    re.I,
)
_WHY = re.compile(
    r"\b(because|since|so that|due to|reason|after|for fear|flood\w*|danger\w*|forbidden|never|broke|robbed|on account|out of)\b",  # noqa: E501
    re.I,
)
_PERSON = re.compile(r"\b(Mr|Mrs|Ms|Dr|Captain|Sister|Brother|Father|Mother)\b|\b(called|named|run by|only|by the)\b")
_COLOUR = _any(
    "red blue green yellow black white grey gray brown orange purple violet amber golden gold silver pink tabby bright dark "  # noqa: E501
    "pale brass copper colou?r striped"
)
_MEASURE = _any(
    "kilomet\\w+ miles? knots metres? meters? feet foot leagues? fathoms? inches kilos? tons? tonnes? pounds stone degrees bar "  # noqa: E501
    "minutes hours days years limit deep tall high wide heavy old aged far fast long millimetres? centimetres? force"
)


def fits(wanted: Wanted, text: str, asking: str, likeness: Callable[[str, str], float]) -> int:
    """1 when the text holds the kind of answer wanted, -1 when it plainly does not, 0 when that cannot be told."""
    number = bool(numbers_in(text))
    verdict: bool | None = None
    if wanted == "price":
        price = _PRICE.search(text) or _MONEY_SIGN.search(text)
        verdict = bool(price) and (number or bool(re.search(r"\b(free|nothing|half|a|quarter)\b", text)))
    elif wanted == "count":
        verdict = counts(text, asking, likeness)
    elif wanted == "howlong":
        verdict = bool(_SPAN.search(text))
    elif _NAME_ASKED.search(asking):
        verdict = _somebody(text) > 0
    elif wanted in ("when", "howoften"):
        verdict = bool(_TIME.search(text) or _CLOCK.search(text))
    elif wanted == "measure":
        verdict = number or bool(_MEASURE.search(text))
    elif wanted == "where":
        return 1 if _PLACED.search(text) else 0
    elif wanted == "colour":
        verdict = bool(_COLOUR.search(text))
    elif wanted in ("who", "whose"):
        return _somebody(text)
    elif wanted == "why":
        return 1 if _WHY.search(text) else 0
    return 0 if verdict is None else 1 if verdict else -1


#: Capitalised words that name nobody: times, and what stands behind a preposition of place.
_NOBODY = re.compile(
    r"\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b|\b(?:January|February|March|April|May|June|July|August|September"
    r"|October|November|December|Christmas|Easter)\b|\b(?:at|in|near|on|off|towards|beyond)(?: the)? [A-Z][\w'’-]+"
)


def _somebody(text: str) -> int:
    """Whether a text names somebody: 1, or 0 where only its first word may be a name ("Luca cooks"), or
    nothing has a capital, else -1."""
    if _PERSON.search(text) or names_in(_NOBODY.sub("x", text)):
        return 1
    if text[:1].islower():
        # What a player said as a recogniser writes it: "my daughter lena is seven".
        return 0
    words = tokens(text)
    verb = verb_at(words)
    return 0 if verb is not None and verb[0] == 1 and words[0] not in STOPWORDS else -1


def counts(text: str, asking: str, likeness: Callable[[str, str], float]) -> bool:
    """Whether the text counts the noun of "how many NOUN": a number with such a noun in the next three words."""
    match = re.search(r"how (?:many|big)(?: of)? ([\w' -]+)|number of ([\w' -]+)", asking, re.I)
    nouns = [w for w in tokens((match.group(1) or match.group(2)) if match else "")[:3] if w not in STOPWORDS]
    found = numbers_in(text)
    if not nouns:
        return bool(found)
    words = tokens(text)
    return any(likeness(noun, word) >= 0.6 for _, at in found for noun in nouns for word in words[at + 1 : at + 4])


_SCOPES: Mapping[str, Mapping[str, str]] = {
    "season": {"winter": "winter", "midwinter": "winter", "summer": "summer", "midsummer": "summer", "spring": "spring",
               "autumn": "autumn", "december": "winter", "january": "winter", "february": "winter", "june": "summer",
               "july": "summer", "august": "summer"},
    "shift": {"night": "night", "nights": "night", "overnight": "night", "day": "day", "days": "day"},
    "week": {"weekend": "weekend", "weekends": "weekend", "saturday": "weekend", "saturdays": "weekend",
             "sunday": "weekend", "sundays": "weekend", "weekday": "weekday", "weekdays": "weekday"},
}  # fmt: skip
_BY_DAY = re.compile(
    r"\b(on|a|per|every|each|the|these|of|all|\w+ing|ninety|\d+|two|three|ten|few|some|many) days?\b", re.I
)


@lru_cache(maxsize=4096)
def scope(text: str) -> Mapping[str, str]:
    """Season, shift and part of the week a sentence is limited to. A season counts where the sentence opens or
    "in winter", not in "since the spring" or "last autumn"."""
    plain = text.lower()
    found: dict[str, str] = {}
    words = tokens(plain)
    for index, word in enumerate(words):
        before = words[max(0, index - 3) : index]
        if word in _SCOPES["season"] and not {"since", "last", "ago", "the", "of"} & set(before):
            found.setdefault("season", "open" if "to" in words[index : index + 2] else _SCOPES["season"][word])
        if word in _SCOPES["shift"]:
            after = words[index + 1] if index + 1 < len(words) else ""
            shift_like = after in ("shift", "first", "manager", "crew", "nurse", "porter", "clerk") or before[-1:] in (
                ["on"], ["at"], ["about"], ["and"],
            )  # fmt: skip
            if shift_like and not (before[-2:-1] == ["a"] or before[-1:] == ["a"]):
                found.setdefault("shift", _SCOPES["shift"][word])
        if word in _SCOPES["week"]:
            found.setdefault("week", _SCOPES["week"][word])
    if found.get("season") == "open":
        found["season"] = "summer"
    return found


def same_stem(a: str, b: str) -> float:
    """Likeness by stem alone, for where no vectors are at hand."""
    return 1.0 if stem(a) == stem(b) else 0.0


_LATE = re.compile(
    r"\b(how late|until (when|what)|till when|latest|last|close|closes|closing|shut|shuts|end|ends)\b", re.I
)
_EARLY = re.compile(
    r"\b(how (early|soon)|from when|earliest|first|open|opens|opening|start|starts|begin|begins)\b", re.I
)
_ENDS = re.compile(r"\b(close|closes|closed|until|till|ends?|shuts?|last|latest|runs? from|are from|open from)\b", re.I)
_BEGINS = re.compile(r"\b(open|opens|opened|starts?|begins?|first|earliest|from)\b", re.I)


def edge(text: str, asking: str) -> float:
    """1 when the question is after an end or a beginning and the text tells of one, -1 when it tells of the other."""
    late, early = bool(_LATE.search(asking)), bool(_EARLY.search(asking))
    if late == early:
        return 0.0
    ends, begins = bool(_ENDS.search(text)), bool(_BEGINS.search(text))
    if late:
        return 1.0 if ends else -1.0 if begins else 0.0
    return 1.0 if begins else -1.0 if ends else 0.0
