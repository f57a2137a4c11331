"""What the player said of themselves, cut so that each piece can answer a later question.

"I left my scarf on here on Monday, where do I go for it?"   ->   I left my scarf on here on Monday
"Two of us, I'm Kit, and this is Waffles. How much?"         ->   Two of us · I'm Kit · this is Waffles
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from npc.dialogue.composed.question import INVERTED, expand, opens_asking, unmarked
from npc.dialogue.knowledge.grammar import BASES
from npc.dialogue.knowledge.words import STOPWORDS, names_in, numbers_in, tokens

#: A new statement begins here: ", and I …", ", my …", "; we …".
_JOINTS = re.compile(
    r"(?:,? and|,? but|,? so|,|;|:| -)\s+(?=(?:i|i'm|i'd|i've|im|ive|we|we're|we've|my|our|this is|that's|he's|she's|"
    r"they|it's|where|when|what|who|how|which|can|could|do|does|is|are|will|would|any|tell)\b)",
    re.I,
)
#: Sayings kept: the last ones of the talk.
MOST = 60


#: What opens a turn and tells nothing: "Hi, um, your grandad's ship …".
_FILLERS = """
hi hello hey hiya um umm uh er oh ah ooh well so ok okay right yes yeah no nope aye please sorry look listen and but
"""
_OPENING = re.compile(
    rf"^(?:(?:{'|'.join(_FILLERS.split())}|good (?:morning|day|evening|afternoon)|morning|evening|excuse me|thanks"
    r"|thank you|by the way|oi|psst)\b[,.! -]*)+",
    re.I,
)
#: A question put as a statement about the character: "You grew up on Earth too?"
_OF_YOU = re.compile(r"^\W*(?:(?:so|and|but|oh|well|then),? )*you(?:r|'re|'ve|'d|'ll)?\b", re.I)
_POLITE = frozenset({"then", "so", "please", "ah", "now", "and", "just", "good", "all", "right"})
_FEELINGS = frozenset({"work", "love", "hate", "hope", "like", "need", "want", "live"})


def clauses(text: str) -> list[str]:
    """Sentences without their end marks; commas stay, since a clause may need its first half."""
    found = [part for piece in re.split(r"(?<=[.!?;])\s+", text) for part in unmarked(piece)]
    return [piece.strip(" .!;") for piece in found if piece.strip(" .!;")]


def ordered(clause: str) -> bool:
    """Whether a clause is an order ("Hold out your arm"): it opens with a bare verb."""
    words = [word for word in tokens(clause) if word not in _POLITE]
    titled = re.match(r"\W*(?:Miss|Mark|Will|Bill|Grant|Rose)\b", clause) is not None
    return bool(words) and words[0] in BASES and words[0] not in _FEELINGS and not titled


def sayings(turns: Sequence[str]) -> list[str]:
    """Pieces of the player's turns that tell something, oldest first, without doubles."""
    found: dict[str, None] = {}
    for turn in turns:
        for clause in clauses(turn):
            for piece in pieces(clause):
                found.setdefault(piece)
    return list(found)[-MOST:]


def pieces(clause: str) -> list[str]:
    """The telling pieces of one clause; a clause that tells one thing comes back whole."""
    if clause.endswith("?") and _OF_YOU.match(clause):
        return []
    rest = _OPENING.sub("", clause)
    clause = rest if len(tokens(rest)) > 1 else clause
    parts = [part.strip(" ,.!?;") for part in _JOINTS.split(clause)]
    telling = [part for part in parts if part and not _asks(part) and _tells(part)]
    if len(telling) < len(parts):
        return telling
    # A comma may part one saying ("In Lyon, my sister plays"): whole unless every piece stands by itself.
    return telling if all(len(tokens(part)) >= 3 for part in telling) else [clause.strip(" ,.!?;")]


#: A piece loses its question mark: "Does changing cost me anything tonight", "is either of them honest". What has no
#: subject in front ("was a baker once") tells.
_ASKS = re.compile(
    r"^(?:does|did|are|can|could|would|should|whats|wheres|whos|hows|whens|whys"
    r"|(?:is|was|were)(?! (?:a|an|born|from|in|at|on|my|not|never|once|too|very|going|always)\b)) \w",
    re.I,
)


def _asks(text: str) -> bool:
    """ "Where do I go for it" asks; "I fell when I was six" and "where the river bends" do not."""
    plain = expand(text).lower()
    if _ASKS.match(text) or INVERTED.match(plain) or plain.endswith("?"):
        return True
    return opens_asking(plain) and not _SUBORDINATE.match(plain)


#: A clause of time or place: "when I was six".
_SUBORDINATE = re.compile(
    r"^(?:and |but )?(?:when|where|while|who|which|what|how) (?:i|we|he|she|it|they|my|our|the)\b"
)


#: Says that something is so, and nothing of what.
_POINTS = re.compile(
    r"^(?:that's|that is|this is|it's|it is) (?:a |the |my )?(?:promise|fact|truth|word|all|it|true|so)$", re.I
)


#: Says that something was said, and nothing of what.
_SAID_SO = re.compile(r"^(?:as )?(?:i|we)(?:'ve| have)?(?: just| already)? (?:told|said|asked|mentioned)\b", re.I)


def _tells(text: str) -> bool:
    words = tokens(text)
    if _POINTS.match(text) or (_SAID_SO.match(text) and len(words) <= 6 and not (numbers_in(text) or names_in(text))):
        return False
    if ordered(text) and not (numbers_in(text) or names_in(text) or {"my", "our"} & set(words)):
        return False
    return len(words) >= 2 and (any(word not in STOPWORDS for word in words) or bool(numbers_in(text)))
