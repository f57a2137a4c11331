"""A word of something told is set right without saying the rest again: "No wait, the tenth, not the ninth". Pure.

told       We're off to Norway on the ninth, if the weather holds
amended    We're off to Norway on the tenth, if the weather holds
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from npc.dialogue.composed.question import is_asking, understand
from npc.dialogue.composed.sayings import MOST, clauses, ordered, pieces
from npc.dialogue.knowledge.words import numbers_in

#: "Make that six", "six, I mean": another number for the only one of what was told last.
_OTHER_NUMBER = re.compile(
    r"^\W*(?:(?:no|sorry|wait|actually|oh)\W+)*(?:make (?:that|it)|i meant?|rather)\W+(?P<new>[\w-]+)\W*$"
    r"|^\W*(?:(?:no|sorry|wait|actually|oh)\W+)+(?P<alone>[\w-]+)\W*(?:i meant?|rather)?\W*$",
    re.I,
)
_PREFIX = re.compile(r"^(?:the|a|an|on|at|in|it's|its|that's)\s+", re.I)
#: What the player meant when they asked: all of the turn that asked is looked at then.
_MEANT = re.compile(r"\bi mean(?:t)?\b", re.I)
#: Words of a correction at most: "Thom" and "the tenth of May", no whole sentence.
_MOST = 4


def amendment(text: str, told: Sequence[str], last: str = "") -> tuple[str, str] | None:
    """(what was told, as it is now), `told` being the player's sayings, oldest first; None for any other turn. What
    sets the question of the `last` turn right ("I meant the eye test, not the X-ray") amends nothing."""
    if is_asking(text):
        return None
    found = understand(text).corrected
    if found is not None and found[1]:
        new, old = (_PREFIX.sub("", part.strip(" .,!")) for part in found)
        if not new or not old or max(len(new.split()), len(old.split())) > _MOST:
            return None
        asked = understand(last).asking
        if asked and _MEANT.search(text):
            asked = last
        if re.search(rf"(?<!\w){re.escape(old)}(?!\w)", asked, re.I):
            return None
        for saying in reversed(told):
            pattern = re.compile(rf"(?<!\w){re.escape(old)}(?!\w)", re.I)
            if pattern.search(saying) and not ordered(saying):
                return saying, pattern.sub(new, saying, count=1)
        return None
    match = _OTHER_NUMBER.match(text)
    given = (match.group("new") or match.group("alone")) if match is not None else ""
    last = told[-1] if told else ""
    words = re.findall(r"[\w-]+", last)
    numbers = [word for word in words if numbers_in(word)]
    if not given or not numbers_in(given) or len(numbers) != 1 or ordered(last):
        return None
    return last, re.sub(rf"(?<!\w){re.escape(numbers[0])}(?!\w)", given, last, count=1)


#: Where a sentence sets right what its first half said: "at six, no, seven".
_TURNS = re.compile(
    r"(?:[,;]| -|—)\s+(?=(?:no|nope|sorry|wait|actually|i meant?|make (?:that|it)|or rather|rather)\b)", re.I
)
_SET_RIGHT = re.compile(
    r"^\W*(?:(?:no|nope|sorry|wait|actually|oh|i meant?|or rather|rather)\b\W*)+(?P<new>.+?)\W*$", re.I
)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "yesterday", "today", "tomorrow")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip


def settled(turns: Sequence[str]) -> list[str]:
    """Sayings of the turns, oldest first and without doubles, each as it stood at the end of its own turn."""
    found: dict[str, None] = {}
    for turn in turns:
        told: list[str] = []
        for clause in clauses(turn):
            for number, part in enumerate(_TURNS.split(clause)):
                amended = (amendment(part, told[-3:]) or _replaced(part, told)) if told else None
                if amended is not None:
                    told[told.index(amended[0])] = amended[1]
                elif number == 0 or not _SET_RIGHT.match(part):
                    told += pieces(part)
                else:
                    told += pieces(_SET_RIGHT.sub(r"\g<new>", part))
        found.update(dict.fromkeys(told))
    return list(found)[-MOST:]


def _replaced(text: str, told: Sequence[str]) -> tuple[str, str] | None:
    """ "My stop's Linden Square. Sorry, Linden Street.": a few words of the same kind as some of what was told last."""
    match = _SET_RIGHT.match(text)
    new = _PREFIX.sub("", match["new"]) if match is not None else ""
    if not new or len(new.split()) > _MOST or ordered(told[-1]):
        return None
    for words in (_DAYS, _MONTHS):
        old = [word for word in re.findall(r"\w+", told[-1]) if word.lower() in words]
        if new.lower() in words and len(old) == 1:
            return told[-1], told[-1].replace(old[0], new)
    if not all(word[:1].isupper() for word in new.split()):
        return None
    named = [m.group() for m in re.finditer(r"(?<=\w )[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)*", told[-1])]
    named = [name for name in named if not name.startswith(("I'", "I’")) and name != "I"]
    same = [name for name in named if set(name.split()) & set(new.split())] or named
    return (told[-1], told[-1].replace(same[0], new)) if len(same) == 1 else None
