"""What the player said of themselves, cut so that each piece can answer a later question.

"I left my scarf on here on Monday, where do I go for it?"   ->   I left my scarf on here on Monday
"Two of us, I'm Kit, and this is Waffles. How much?"         ->   Two of us · I'm Kit · this is Waffles
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from npc.dialogue.composed.question import is_asking
from npc.dialogue.knowledge.words import STOPWORDS, tokens
from npc.dialogue.memory.extract import clauses

#: A new statement begins here: ", and I …", ", my …", "; we …".
_JOINTS = re.compile(
    r"(?:,? and|,? but|,? so|,|;|:| -)\s+(?=(?:i|i'm|i'd|i've|im|ive|we|we're|we've|my|our|this is|that's|he's|she's|"
    r"they|it's|where|when|what|who|how|which|can|could|do|does|is|are|will|would|any|tell)\b)",
    re.I,
)
#: Sayings kept: the last ones of the talk.
MOST = 60


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
    parts = [part.strip(" ,.!?;") for part in _JOINTS.split(clause)]
    telling = [part for part in parts if part and not is_asking(part) and _tells(part)]
    if len(telling) < len(parts):
        return telling
    # A comma may part one saying ("In Lyon, my sister plays"): whole unless every piece stands by itself.
    return telling if all(len(tokens(part)) >= 3 for part in telling) else [clause.strip(" ,.!?;")]


def _tells(text: str) -> bool:
    words = tokens(text)
    return len(words) >= 2 and any(word not in STOPWORDS for word in words)
