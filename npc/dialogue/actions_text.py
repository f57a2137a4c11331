"""Free text of a request: what a note says, whose name is meant."""

from __future__ import annotations

import re

from npc.dialogue.actions_choice import Surroundings
from npc.dialogue.knowledge.words import content, stem
from npc.dialogue.memory.extract import name_in

#: Points back to what was said in front of the request: "Get the chopper to him."
_POINTS_BACK = re.compile(r"\b(?:it|there|him|her|them|some in|that|this)\b", re.I)
#: What is asked for has a name of its own: "grant me a padded saddle for my back".
_OBJECT = re.compile(r"\b(?:me|us) (?=(?:an?|some|the) \w)(.{3,120}?),? (?:for|then|please)\b", re.I)


def free_text(name: str, text: str, turn: str = "") -> str:
    """What a free-text parameter is about: quoted words, else what follows a marker, else, where the request only
    points back, what the turn says in front of it, else the whole request."""
    quoted = re.search(r"[\"“]([^\"”]{2,200})[\"”]|(?<!\w)'([^']{2,200})'(?!\w)", text)
    if quoted:
        return (quoted.group(1) or quoted.group(2)).strip()
    marked = re.search(r":\s+(.{3,300})$", text) or re.search(
        r"\b(?:because|that|saying|reads?|about|for)\s+(?!(?:in|on|down|to|for|me)\b)(.{3,300})$", text, re.IGNORECASE
    )
    if marked is not None and marked.group(0).lower().startswith("for") and (thing := _OBJECT.search(text)) is not None:
        return thing.group(1).strip(" .!?\"'")[:300]
    found = marked.group(1) if marked and content(marked.group(1)) else text
    before = turn[: turn.find(text)] if text and text in turn else ""
    if found is text and content(before) and _POINTS_BACK.search(text):
        # "There's a second man at Otter Rock. Get the chopper to him."
        found = before
    return found.strip(" .!?\"'")[:300] or name


#: Free text that is somebody's name.
PEOPLE = frozenset(stem(word) for word in ("name", "who", "whom", "person", "guest", "passenger", "player", "patient"))
_NAMED = re.compile(
    r"\b(?:[Nn]ame(?:'s| is|:| of)?|called|for|[Ii]t's|I'm|I am|under|down as|[Pp]ut|it is)\s+((?:[A-Z][\w'’-]+\s?)+)"
)

_NAMED_SMALL = re.compile(
    r"\b(?:name(?:'s| is| of)?|called|under|down as|for)\s+((?!(?:me|my|us|our|him|his|her|them|their|it|the|an?"
    r"|this|that|one|two|three|today|tonight|tomorrow|now|once)\b)[a-z][\w'’-]+(?: [a-z][\w'’-]+)?)"
    r"(?=[.,!?]|$| please\b)"
)


#: Somebody else's name, told before: "my son is called Timo", "her name's Agatha Fenn".
_OF_ANOTHER = re.compile(
    r"\b(?:(?:he|she|it|they)(?:'s|'re| is| are)?|is|are|my \w+(?:'s)?|\w+(?:'s)?) ?(?:called|named)"
    r" (?P<called>[A-Za-z][\w'’-]+(?: [A-Z][\w'’-]+)*)"
    r"|\b(?:his|her|its|their) (?:\w+ )?names?(?:'s| is| are) (?P<named>[A-Za-z][\w'’-]+(?: [A-Z][\w'’-]+)*)"
)
#: Somebody known by what they are: "ring the magistrate", "send word to the cardinal's steward".
_LEAVES = "and|before|over|for|that|to|on|at|about|in|called|up"
_BY_ROLE = re.compile(
    r"\b(?i:for|ring|call|phone|page|telephone|fetch|bring(?: up)?|warn|tell|ask|have|(?:word|line|note|message) to)"
    r" ((?:the|my|our) (?!same|other|one|lot|list)[a-z][\w'’-]*"
    rf"(?: (?!(?:{_LEAVES})\b)[a-z][\w'’-]*){{0,2}})(?= (?:{_LEAVES})\b|[,.!?]|$)"
)
_DAYS = frozenset(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))
_HIM = re.compile(r"\b(?:he|him|his|she|her|it|them|they)\b", re.I)


def _capitals(turn: str) -> list[str]:
    """Names by their capitals inside the turn: "Roland Pike", "the Colonel"."""
    return [
        m.group(0)
        for m in re.finditer(r"(?<=[a-z,:] )(?!I\b|I['’])(?:(?<=[a-z] )the )?[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*", turn)
    ]


def person(around: Surroundings, kind: str = "name") -> str:
    """The name given in the turn ("Put him on the list. Ruprecht Vane."), else the player's own name, or for "sign him
    up" the name of another that was told before. `kind`: the parameter's last word; one that is no "name" may be filled
    with what somebody is."""
    turn = around.turn
    marked = list(_NAMED.finditer(turn))
    alone = [m.group(0) for m in re.finditer(r"(?<=[.!?,:] )(?!I\b)(?:[A-Z][\w'’-]+ ?){1,4}(?=[.!?]|$)", turn)]
    found = [*(m.group(1) for m in marked), *alone]
    found = [name for name in found if name.strip().lower() not in _DAYS]
    found = found or [name for name in _capitals(turn) if name.lower() not in _DAYS]
    if not found and turn == turn.lower():
        # A recogniser's words have no capitals: "put it under petra lund, please".
        found = [m.group(1) for m in _NAMED_SMALL.finditer(turn)]
    if not found and (first := re.match(r"\W*((?:[A-Z][\w'’-]+ )[A-Z][\w'’-]+), ", turn)):
        found = [first.group(1)]
    if not found and _HIM.search(turn) and (others := list(_OF_ANOTHER.finditer(around.player_words))):
        found = [others[-1]["called"] or others[-1]["named"]]
    placed = len(found) == 1 and re.search(rf"\b(?:in|at|from) {re.escape(found[0])}", turn) is not None
    if (not found or placed) and kind != "name" and (role := _BY_ROLE.search(turn)) is not None:
        found = [role.group(1)]
    own = name_in(around.player_words) or name_in(turn) if re.search(r"\b(me|my|i'm|i am)\b", turn, re.I) else None
    return (found[-1].strip() if found else own or "").strip()
