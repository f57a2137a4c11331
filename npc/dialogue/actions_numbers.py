"""Numbers of a request: digits read out, spans, hours, dozens, "me and my five nephews"; and which parameter each is
for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from npc.dialogue.actions_choice import ANAPHORA, Surroundings
from npc.dialogue.knowledge.words import numbers_in, stem, tokens

_NOT_A_NUMBER = re.compile(
    r"\b(that|this|the|which|another|other|any|no|every|each|red|blue|green|black|white|big|small|long|old|new) one\b"
    r"|\b(?:the|a|that|this|my|your) (?!\w*number)[a-z-]+ one\b(?! (?:hundred|thousand))"
    r"|\bone (?:of|more thing|thing|moment|second|day|time)\b|\bat once\b",
    re.IGNORECASE,
)
_HALF_DOZEN = re.compile(r"\bhalf(?: a|-a)?[ -]dozen\b", re.I)
_DOZENS = re.compile(r"\b(two|three|four|five|six|seven|eight|nine|ten|\d{1,2}) dozen\b", re.I)
#: One thing though it is a pair: "a new pair, please".
_ONE_PAIR = re.compile(r"\b(?:new|old|other|another|clean|dry|fresh|first|second) pair\b(?! of (?:us|them))", re.I)
_WORD_NUMBERS = {
    "once": 1, "twice": 2, "thrice": 3, "couple": 2, "pair": 2, "both": 2, "dozen": 12, "single": 1,
}  # fmt: skip
_COUNT_NAMES = frozenset(
    {"quantity", "count", "number", "amount", "times", "turns", "pieces", "units", "copies", "visitors"}
)
#: "four seven one": digits read out one by one.
_DIGIT = "(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)"
_SPELT = re.compile(rf"\b(?:{_DIGIT}[ -]){{2,}}{_DIGIT}\b", re.I)
_DIGITS = {"zero": "0", "oh": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
           "seven": "7", "eight": "8", "nine": "9"}  # fmt: skip
#: Spans by what they are counted in: "a fortnight" is fourteen nights, "a whole year" twelve months.
_DAYS = ((r"a fortnight", 14), (r"a week(?!end)", 7), (r"the weekend|a weekend", 2), (r"a month", 30))
_SPANS = {
    stem("nights"): _DAYS,
    stem("days"): _DAYS,
    stem("weeks"): ((r"a fortnight", 2), (r"a month", 4), (r"a week(?!end)", 1)),
    stem("months"): (
        (r"half a year", 6), (r"a quarter of a year", 3), (r"a (?:whole |full )?year", 12), (r"a month", 1),
    ),
    stem("hours"): ((r"half a day", 12), (r"the (?:whole )?day", 24), (r"an hour", 1)),
    stem("minutes"): (
        (r"three quarters of an hour", 45), (r"half an hour", 30), (r"(?:a )?quarter of an hour", 15), (r"an hour", 60),
    ),
}  # fmt: skip
#: "One for me and one for the missus."
_ONE_EACH = re.compile(
    r"\b(?:one|another(?: one)?|an? [\w-]+) for (?:me|my|us|him|her|them|our|his|the (?!price|sake)\w+|[A-Z]\w+)\b",
    re.I,
)
#: Parameters that count in dozens and the like: "four hundred" is four hundreds.
_MULTIPLES = {stem("dozens"): 12.0, stem("hundreds"): 100.0, stem("thousands"): 1_000.0, stem("scores"): 20.0}
#: Parameters that count people, of whom the player is one: "me and my five nephews".
_COMPANY = frozenset(
    stem(word)
    for word in ("people", "persons", "visitors", "guests", "seats", "tickets", "places", "riders", "passengers")
)
_ME_AND = re.compile(r"\b(?:me|myself) and ((?:my |the |those |these )?[\w-]+(?: [a-z-]+)?)(?! (?:are|is)\b)", re.I)
#: "Two grown-ups and three children."
_WHO = (
    r"(?:grown-?ups?|adults?|children|child|kids?|boys?|girls?|men|man|women|woman|ladies|pensioners?|students?|babies)"
)
_GROUPS = re.compile(rf"\b[\w-]+ {_WHO}(?:,| and| plus)(?: [\w-]+)? {_WHO}\b", re.I)
#: "I'll take one of those." "And now mine."
_SINGLE = re.compile(r"\b(?:one of (?:those|these|them|your|the)|another(?: one)?|mine)\b", re.I)
_CLOCKED = frozenset(
    stem(word) for word in ("minutes", "hour", "time", "room", "berth", "lane", "gate", "number", "run")
)
_AFTERNOON = re.compile(r"\b(?:in the (?:afternoon|evening)|p\.?m\b|at night|tonight|this (?:afternoon|evening))", re.I)


def _said_numbers(name: str, schema: Mapping[str, Any], text: str, taken: Sequence[float]) -> list[float]:
    """Numbers that the parameter's name lets one read out of words: spans in minutes, hours of the evening, "twice",
    "all the way up". `taken`: numbers of the text that other parameters took."""
    low, high = schema.get("minimum"), schema.get("maximum")
    kind = kind_of(name)
    spans = [float(value) for pattern, value in _SPANS.get(kind, ()) if re.search(rf"\b{pattern}\b", text, re.I)]
    if spans and kind != stem("hours"):
        return spans[:1]
    if low == 0 and re.search(rf"\bno (?:\w+ )?{re.escape(name)}\b", text, re.I):
        return [0.0]
    if len(each := _ONE_EACH.findall(text)) > 1 and (kind not in _CLOCKED or name == "number"):
        return [float(len(each))]
    if kind in (stem("hour"), stem("time")) and name != "times" and high is not None:
        if re.search(r"\b(?:noon|midday)\b", text, re.I):
            return [12.0]
        # "At two", where the day begins at nine, is in the afternoon.
        late = _AFTERNOON.search(text) is not None
        said = left_of(numbers_of(text), taken) or numbers_of(text)
        if not said:
            return spans[:1]
        if not late and any((low or 0) <= value <= high for value in said):
            return []
        return [value + 12 for value in said if value < (12 if late else low or 0) and value + 12 <= high]
    if kind in _MULTIPLES:
        return [v / _MULTIPLES[kind] for v in numbers_of(text) if v >= _MULTIPLES[kind] and not v % _MULTIPLES[kind]]
    if kind in _COMPANY and re.search(r"\b(?:just|only) (?:me|myself)\b|\bby myself\b", text, re.I):
        return [1.0]
    if kind in _COMPANY and (match := _ME_AND.search(text)) is not None:
        others = numbers_of(match.group(1))
        return [others[0] + 1 if others else 2.0] if len(others) < 2 else []
    if name == "times":
        return [float(_WORD_NUMBERS[word]) for word in tokens(text) if word in ("once", "twice", "thrice")][:1]
    if low is not None and high is not None and high - low >= 50:
        if re.search(r"\ball the way (?:up|open)\b|\bfull(?:y| up| on)?\b|\bto the (?:top|maximum)\b", text, re.I):
            return [float(high)]
        if re.search(r"\ball the way (?:down|shut|off)\b|\bto nothing\b", text, re.I):
            return [float(low)]
        if re.search(r"\bhalf(?:way)?\b(?! past| an hour| a)", text, re.I):
            return [float(low + (high - low) // 2)]
    return []


def kind_of(name: str) -> str:
    """What a parameter counts: the stem of its name's last word."""
    return stem(name.split("_")[-1])


def in_digits(text: str) -> str:
    """ "Room three oh seven" is room 307."""
    return _SPELT.sub(lambda m: "".join(_DIGITS[word] for word in re.split(r"[ -]", m.group(0).lower())), text)


def numbers_of(text: str) -> list[float]:
    text = re.sub(r"\b([a-z]+)['’](?:ll|d)\b", r"\1", text, flags=re.I)
    masked = _ONE_PAIR.sub(" ", _NOT_A_NUMBER.sub(" ", _DOZENS.sub(_in_ones, _HALF_DOZEN.sub("6", text))))
    masked = in_digits(masked)
    found = [value for value, _ in numbers_in(masked)]
    found += [value for word in re.findall(r"\b(\w{3,})pence\b", masked.lower()) for value, _ in numbers_in(word)]
    found += [float(_WORD_NUMBERS[word]) for word in tokens(masked) if word in _WORD_NUMBERS]
    # "Get me one for five people": beside another number, a bare "one" is most often a thing.
    loose = re.search(r"\b[Oo]ne\b(?! hundred| thousand)", masked) is not None
    return sorted(found, key=lambda value: value == 1.0) if loose else found


def _in_ones(match: re.Match[str]) -> str:
    """ "Two dozen" is 24."""
    value = numbers_in(match.group(1))
    return str(int(value[0][0] * 12)) if value else match.group(0)


def left_of(numbers: Sequence[float], taken: Sequence[float]) -> list[float]:
    """The numbers that no parameter took, each as often as it was said: "both trunks, and it's platform two"."""
    left = list(numbers)
    for value in taken:
        if value in left:
            left.remove(value)
    return left


def number_for(
    name: str,
    schema: Mapping[str, Any],
    text: str,
    numbers: Sequence[float],
    taken: Sequence[float],
    rivals: int,
    around: Surroundings,
) -> tuple[float | None, bool, str]:
    low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
    free = [value for value in left_of(numbers, taken) if (schema["type"] == "number" or value.is_integer())]
    for value in _said_numbers(name, schema, text, taken):
        if low <= value <= high:
            return value, True, ""
    if kind_of(name) in _COMPANY and (both := _GROUPS.search(text)) is not None:
        together = sum(numbers_of(both.group()))
        if together and low <= together <= high:
            return together, True, ""
    # "Seven of us, so twenty-eight litres": the number beside the parameter's name.
    near = beside(name, text, free) if rivals > 1 or len(set(free)) > 1 else None
    for value in [near] if near is not None else free:
        if low <= value <= high:
            return value, True, ""
    if free and rivals == 1:
        return None, True, f"{_plain(free[0])} is not between {_plain(low)} and {_plain(high)}"
    words = set(tokens(text))
    if kind_of(name) in _COMPANY and words & {"me", "i", "i'm", "i'll"} and not words & {"us", "we", "our", "my"}:
        return (1.0, False, "") if low <= 1 <= high else (None, False, "")
    if {"us", "we", "my", "our"} & words and (
        match := re.search(r"\b(?:the )?(\w+) of us\b", around.player_words, re.I)
    ):
        told = numbers_of(match.group(1))
        if told and low <= told[0] <= high:
            return told[0], True, ""
    counted = name.endswith("s") and (stem(name) in {stem(word) for word in tokens(text)} or _SINGLE.search(text))
    if counted or name in _COUNT_NAMES or stem(name) in {stem(count) for count in _COUNT_NAMES}:
        # "a lamp", "the lamp", "one": a count nobody said is one.
        return (1.0, False, "") if low <= 1 <= high else (None, False, "")
    if ANAPHORA.search(text) or not free:
        for source in (around.last_reply, *around.facts[:2]):
            # A bare number of a fact counts only beside the parameter's name or its like.
            found = beside(name, source, [v for v in numbers_of(source) if low <= v <= high])
            if found is not None:
                return found, False, ""
        candidates = [v for v in numbers_of(around.last_reply) if low <= v <= high]
        if len(set(candidates)) == 1 and ANAPHORA.search(text):
            return candidates[0], False, ""
    return None, False, ""


def beside(name: str, text: str, values: Sequence[float]) -> float | None:
    """The value that stands next to the parameter's name ("berth nine", "three divers")."""
    words = tokens(text)
    marks = {stem(part) for part in name.split("_")}
    places = [index for index, word in enumerate(words) if stem(word) in marks]
    best: float | None = None
    distance = 4
    for value, index in numbers_in(_NOT_A_NUMBER.sub(lambda m: " ".join("x" * len(tokens(m.group()))), text)):
        if value in values:
            for place in places:
                if abs(place - index) < distance:
                    best, distance = value, abs(place - index)
    return best


def _plain(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)
