"""Between knowing and not knowing: the nearest thing known, told as no more than that.

                   margin: log-odds of the best statement over "nothing known answers this"
     not knowing      │      told, with doubt     │      told
    ──────────────────┼───────────────────────────┼────────────────>
                    NEAR                         SURE

"I'm not sure that's what you're asking, but the ferry leaves at six." "I couldn't say what it costs. All I know is
this: it burned in '82." Both are true whether the statement answers or is only near, which is what the character
cannot tell. Doubt at every turn would be worth nothing: it is for questions alone, of facts not twice running, and
where something guarded is as near, nothing is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from npc.dialogue.composed.question import Wanted
from npc.dialogue.composed.speech import decapitalised
from npc.dialogue.context import Exchange
from npc.dialogue.knowledge.words import STOPWORDS, stem, tokens

#: Margins between which the best statement is told with doubt. Cross-validated on 61 worlds that neither encoder nor
#: selector saw, 0.07 of the questions lie between; 0.2 higher admits 0.03 more of what is not known and tells 0.01 of
#: the facts less.
NEAR, SURE = -0.9, 0.0

#: `{fact}` is a sentence, `{clause}` the same behind other words.
PERHAPS = (
    "I'm not sure that's what you're asking, but {clause}.",
    "{fact} If that's not what you meant, I don't know.",
    "{fact} More than that I couldn't say{you}.",
    "I'm not certain that's what you're after{you}, but {clause}.",
    "{fact} Whether that answers you, I'm not sure.",
    "If I take you right, {clause}. I'm not certain that I do.",
    "The nearest I know, and I'm not sure it's what you want: {clause}.",
    "{fact} That's the nearest I know; I'm not sure it's what you asked.",
)
PERHAPS_CURT = (
    "Not sure that's what you mean. {fact}",
    "{fact} More I couldn't say.",
    "{fact} If you meant something else, I don't know.",
    "Nearest I know, and I'm not certain you want it: {clause}.",
)
#: `{what}` is what the statement plainly does not hold: who, when, how many.
LACKING = (
    "I couldn't say {what}. All I know is this: {clause}.",
    "I don't know {what}{you}, only this: {clause}.",
    "I'm not sure {what}. What I do know: {clause}.",
    "I can't say {what}, but {clause}.",
)
LACKING_CURT = ("Don't know {what}. {fact}", "Not sure {what}. {fact}", "Couldn't say {what}. {fact}")
#: For what the player told, `{text}` in the second person.
RECALLED = (
    "I'm not sure I have it right, but you told me {text}.",
    "You said {text}, if that's what you mean; I'm not certain.",
    "I remember this much, and I'm not sure it's what you want: {text}.",
)

#: For what the character itself only half believes (`Fact.confidence`).
HEARSAY = (
    "I wouldn't swear to it, but {clause}.",
    "So they say, at least: {clause}.",
    "{fact} Mind, I can't vouch for that.",
    "If what I heard is true, {clause}.",
)

_WHAT: dict[Wanted, str] = {
    "who": "who", "whose": "whose", "when": "when exactly", "price": "what it costs", "count": "how many",
    "howlong": "how long", "howoften": "how often", "measure": "the exact figure", "colour": "what colour",
}  # fmt: skip


def between(margin: float, near: float = NEAR) -> bool:
    """Whether a margin lies where doubt is."""
    return near <= margin < SURE


def may_doubt(
    margin: float, guarded: float | None, origin: str, history: Sequence[Exchange], near: float = NEAR
) -> bool:
    """Whether the best statement is told with doubt: `margin` is its own, `guarded` that of the nearest guarded fact,
    `near` from where on. Things in view are named or not, without doubt."""
    if not between(margin, near) or origin not in ("fact", "self", "said"):
        return False
    if guarded is not None and guarded >= NEAR:
        return False
    # What the player said themselves is theirs to judge: told with doubt twice running, it tires nobody.
    return origin == "said" or not (history and doubted(history[-1].read))


#: A greeting and whom it is for, in front of a question: "Hello, Manager, where …".
_ADDRESS = re.compile(
    r"^\W*(?:(?:[Hh]ello|[Hh]i|[Hh]ey|[Ee]xcuse me|[Ss]orry|[Pp]lease|[Ss]o|[Aa]nd|[Ww]ell|[Nn]ow|[Gg]ood \w+)\b[, ]+)*"
    r"(?:[A-Z][\w'-]+(?: [A-Z][\w'-]+)?, )?"
)


def says_so(asking: str, statement: str) -> bool:
    """Whether every word of a question that carries a topic stands in the statement: then it is told without doubt."""
    asked = {stem(word) for word in tokens(_ADDRESS.sub("", asking, count=1)) if word not in STOPWORDS}
    return bool(asked) and asked <= {stem(word) for word in tokens(statement)}


def lines(wanted: Wanted, *, misfit: bool, curt: bool) -> tuple[str, ...]:
    """Ways of telling a statement with doubt. `misfit`: it plainly does not hold the kind of answer wanted."""
    if misfit and wanted in _WHAT:
        return tuple(line.replace("{what}", _WHAT[wanted]) for line in (LACKING_CURT if curt else LACKING))
    return PERHAPS_CURT if curt else PERHAPS


def worded(line: str, statement: str) -> str:
    """A line with the statement in its place."""
    return line.replace("{fact}", _sentence(statement)).replace("{clause}", inside("{clause}", statement))


def inside(line: str, statement: str) -> str:
    """The statement as it stands in the line."""
    sentence = _sentence(statement)
    return sentence if "{fact}" in line else decapitalised(sentence).rstrip(".!?")


def _sentence(statement: str) -> str:
    fact = statement.strip()
    return fact if fact.endswith((".", "!", "?")) else f"{fact}."


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], ...]:
    lacking = [line.replace("{what}", what) for line in (*LACKING, *LACKING_CURT) for what in _WHAT.values()]
    return tuple(_pattern(line) for line in (*PERHAPS, *PERHAPS_CURT, *RECALLED, *lacking))


def _pattern(line: str) -> re.Pattern[str]:
    fixed = [re.escape(part) for part in re.split(r"\{fact\}|\{clause\}|\{text\}", line)]
    return re.compile(".+".join(fixed).replace(r"\{you\}", r"(?:, [\w' -]+)?"), re.S)


def doubted(reply: str) -> bool:
    """Whether a reply was told with doubt."""
    return any(pattern.fullmatch(reply) for pattern in _patterns())
