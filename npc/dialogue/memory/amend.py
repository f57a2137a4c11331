"""A word of something told is set right without saying the rest again: "No wait, the tenth, not the ninth". Pure.

told       We're off to Norway on the ninth, if the weather holds
amended    We're off to Norway on the tenth, if the weather holds
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from npc.dialogue.composed.question import is_asking, understand
from npc.dialogue.composed.sayings import ordered
from npc.dialogue.knowledge.words import numbers_in

#: "Make that six", "six, I mean": another number for the only one of what was told last.
_OTHER_NUMBER = re.compile(
    r"^\W*(?:(?:no|sorry|wait|actually|oh)\W+)*(?:make (?:that|it)|i meant?|rather)\W+(?P<new>[\w-]+)\W*$"
    r"|^\W*(?:(?:no|sorry|wait|actually|oh)\W+)+(?P<alone>[\w-]+)\W*(?:i meant?|rather)?\W*$",
    re.I,
)
_PREFIX = re.compile(r"^(?:the|a|an|on|at|in|it's|its|that's)\s+", re.I)
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
        if re.search(rf"(?<!\w){re.escape(old)}(?!\w)", understand(last).asking, re.I):
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
