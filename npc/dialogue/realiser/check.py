"""Whether what the model wrote may be said. The grammar has seen to references and form; this looks at the sense.

A refusal names its reason, so that the share of each can be counted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from npc.dialogue.realiser.render import Rendered

NOT_KNOWING = re.compile(
    r"\b(?:don't know|do not know|not sure|no idea|couldn't say|could not say|can't say|can't tell|wouldn't know|"
    r"never heard|haven't heard|never told|nobody told|beyond me|no notion|don't recall|can't recall|don't remember|"
    r"don't have|not certain|who knows|no record|not able to say)\b", re.I)  # fmt: skip
_YES = re.compile(
    r"^(?:oh,? )?(?:yes|indeed|that's right|true|so it is|quite so|you have it right|it's true|aye)\b", re.I
)
_NO = re.compile(r"^(?:oh,? )?(?:no\b(?! (?:mystery|harm|trouble))|not (?:quite|so|at all)|on the contrary|"
                 r"that's not it|you've heard wrong)", re.I)  # fmt: skip
#: Claims about the speaker that need a fact behind them: who asks the price, whose the thing is.
_CLAIMS = re.compile(r"\b(?:i ask|is yours|you'll pay)\b", re.I)
#: Somebody of the player's, taken up as a thing: "Your dad? When did you see it last?"
_SOMEBODY_AS_IT = re.compile(
    r"\byour (?:\w+ )?(?:dad|father|mum|mom|mother|son|daughter|wife|husband|brother|sister|friend|boy|girl|child|"
    r"baby|uncle|aunt|cousin|gran|grandad|grandma|grandpa|grandmother|grandfather|partner|boss|neighbour|nephew|niece)\b"
    r".*\bit\b", re.I)  # fmt: skip
#: A value that goes on with a verb of its own, in a frame that goes on behind it: "Come at dusk and closes at two,
#: that's when the stall opens."
_TWO_IN_ONE = re.compile(
    r"^(?:come|for|from|at)\b[^.?!]* and (?!always\b)(?:[a-z]+ly )?[a-z]+s [^.?!]*, (?:that's|then|and)\b", re.I
)
#: Asks who the player is.
_ASKS_WHO = re.compile(r"\bwho might you be\b|\bwho are you\b|\bwhat's your name\b|\band you are\b", re.I)
#: Lines taken out of the phrasings after the shipped weights had learnt them.
_WITHDRAWN = re.compile(r"\bkiss the whole world\b", re.I)
#: Intents whose reply tells something that must not be taken back by its own frame.
TELLING = frozenset(("fact", "self", "scene", "name", "told", "hand", "point", "refused_why"))
MOST_WORDS = 25


def objection(
    written: Rendered,
    intent: str,
    polarity: str,
    *,
    words: Collection[str],
    said: Sequence[str],
    own_price: bool = True,
    named: bool = False,
) -> str:
    """Why the reply may not be said, in a word or two; "" when it may.

    `words`: every word the model was trained to say; `said`: the character's last replies; `named`: the player gave
    a name.
    """
    text, own = written.text, written.own
    if not text.strip(" .,!?"):
        return "empty"
    if len(text.split()) > MOST_WORDS and len(own.replace("…", "").split()) > 3:
        return "too long"
    if any(word not in words for word in re.findall(r"[a-z']+", own.lower()) if word.strip("'")):
        return "not a word"
    if intent in ("unknown", "forgotten"):
        if not NOT_KNOWING.search(text):
            return "does not admit not knowing"
    elif intent in TELLING and NOT_KNOWING.search(own):
        return "takes the answer back"
    if polarity == "yes" and not _YES.search(own):
        return "no yes"
    if polarity == "no" and not _NO.search(own):
        return "no no"
    if intent in ("fact", "self") and polarity not in ("yes", "no") and (_YES.search(own) or _NO.search(own)):
        return "yes or no unasked"
    if _SOMEBODY_AS_IT.search(text):
        return "somebody is no it"
    if named and _ASKS_WHO.search(own):
        return "asks for a known name"
    if _WITHDRAWN.search(own):
        return "withdrawn"
    if _TWO_IN_ONE.search(text):
        return "two statements in one frame"
    if not own_price and _CLAIMS.search(own):
        return "claims the sale"
    if _bare(text) in {_bare(earlier) for earlier in said}:
        return "said before"
    spoken = [_bare(part) for part in re.split(r"(?<=[.!?])\s+", own) if "…" not in part and len(part.split()) > 2]
    if any(part in _bare(earlier) for part in spoken for earlier in said[-6:]):
        return "said before"
    return ""


def _bare(text: str) -> str:
    return re.sub(r"[^a-z' ]", "", text.lower()).strip()
