"""What the recognition benchmark says: player utterances, the invented names among them, and decoy names.

Written for this project; any use.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from npc.bench.harness import BadInput

NAMES: Final[tuple[str, ...]] = (
    "Tamsorel", "Brugann", "Ilvette", "Corraline", "Ushkel", "Wenderlyn", "Drazhim", "Aldowen", "Hollowmere",
    "Pettrigar", "Nimbelby", "Skarvane", "Elisquine", "Ombrizel", "Varrimond",
)  # fmt: skip
SENTENCES: Final[tuple[str, ...]] = (
    "Where does Tamsorel keep the lanterns?", "Tell Brugann that the boat has arrived.",
    "Did Ilvette leave a message for me?", "How much is a ticket to Corraline?", "Is Ushkel still working in the mill?",
    "My sister is called Wenderlyn.", "Take this parcel to Captain Drazhim.", "Aldowen said that you would help us.",
    "Which road goes to Hollowmere?", "Doctor Pettrigar wants to see the results.",
    "Mister Nimbelby is waiting in the hall.", "The people of Skarvane are afraid of the river.",
    "What did Lady Elisquine say about the letter?", "Give the keys to Ombrizel when you see her.",
    "I was born near the Varrimond hills.", "Could you tell me the way to the harbour?", "I would like a bowl of soup.",
    "What is behind that door?", "Put the ladder against the wall.", "How long does the journey take?",
    "I have been waiting for an hour.", "Who is the man with the grey beard?", "Do not touch that machine.",
    "Where did you learn to play the piano?", "My head hurts when I lie down.", "Can I have a glass of water, please?",
    "We need more time to finish this.", "Why did the king send his soldiers north?", "That is not what I asked for.",
    "Is there a train after midnight?", "Please turn the light on.", "How many children do you have?",
    "I think we are lost.", "Show me the oldest painting in this room.", "He did not come home last night.",
    "What happens if I press the red button?", "I cannot pay that much.", "Could we meet again tomorrow afternoon?",
    "The engine makes a strange noise.", "Let me speak to the manager.", "When will the next ship arrive?",
    "Have you heard the news about the bridge?", "I do not remember his name.", "She told me to come back on Friday.",
    "Keep walking until you see a church.", "Is it safe to drink from this well?", "I will take two of the small ones.",
    "What would you do in my place?", "Please write your name on this paper.", "The window was open when I came in.",
    "Do you sell bread and cheese?", "My father used to work here.", "Who else knows about this?",
    "It is too cold to sleep outside.", "Are you sure that this is the right key?", "I want to go home now.",
    "Where can I leave my bag?", "Bring me a clean towel.", "What time do you close in the evening?",
    "Thank you, you have been very kind.",
)  # fmt: skip

_FIRST: Final = (
    "Bel", "Dor", "Kar", "Mor", "Thal", "Van", "Zan", "Quin", "Fen", "Lor", "Hask", "Ryl", "Sor", "Tam", "Ull", "Vesh",
    "Wyn", "Yar", "Cal", "Drae",
)  # fmt: skip
_MIDDLE: Final = ("an", "a", "or", "el", "i", "o", "ar", "in", "u", "en")
_LAST: Final = (
    "dra", "wick", "mere", "loth", "nell", "dane", "vorn", "shara", "tine", "bri", "rick", "gan", "mar", "thas",
)  # fmt: skip


def decoys(count: int, avoid: frozenset[str]) -> tuple[str, ...]:
    """`count` invented names made like ours; none of `avoid` (lower case)."""
    made: dict[str, None] = {}
    number = 0
    while len(made) < count:
        # Steps coprime to the table sizes visit all combinations in a scattered order.
        name = _FIRST[number * 7 % 20] + _MIDDLE[number * 3 // 20 % 10] + _LAST[number * 5 % 14]
        if name.lower() not in avoid:
            made[name] = None
        number += 1
    return tuple(made)


def read_sentences(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(sentences, names) of a text file: one sentence a line; a comment "# names: A, B" lists the invented names."""
    lines = path.read_text(encoding="utf-8").splitlines()
    names = [name.strip() for line in lines if line.startswith("# names:") for name in line[8:].split(",")]
    sentences = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not sentences:
        raise BadInput(f"{path}: no sentences")
    return sentences, tuple(names)


def words_of(text: str) -> list[str]:
    """Words for scoring: lower case, no punctuation, hyphens as spaces."""
    return re.findall(r"[a-z']+", text.lower().replace("’", "'").replace("-", " "))
