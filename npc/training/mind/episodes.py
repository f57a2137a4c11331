"""Synthetic episodes: a fact sheet in reference frames, questions about it, and replies that point at values.

The model never sees a name, a price or a place: entities and values are references, one shared index a fact, and the
runtime puts the words in. What is learnt is which index answers and how to say it in a mood.

    <f><e><#2>costs<v><#2> <f><e><#0>opens at<v><#0> [joy] <q>how much is<e><#2>then?<r>that's<v><#2>for<e><#2>, friend.<end>

Question wordings are opener x body x closer per attribute: more than forty each. The last fifth of the bodies of every
attribute is held out of training and measures unseen phrasings.
"""  # noqa: E501

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

INDICES = 12
MOODS = ("neutral", "joy", "trust", "anger", "sadness", "fear", "concern", "amusement")
SPECIAL = (
    "<pad>", "<end>", "<f>", "<q>", "<r>", "<e>", "<v>", "<none>",
    *(f"<#{i}>" for i in range(INDICES)),
    *(f"[{mood}]" for mood in MOODS),
)  # fmt: skip

_OPENERS = (
    "",
    "",
    "and ",
    "so ",
    "tell me, ",
    "please, ",
    "sorry, ",
    "excuse me, ",
    "hey, ",
    "well then, ",
    "quick question, ",
)
_CLOSERS = ("?", "?", " then?", " these days?", " please?", " do you know?", " now?", "", " friend?", " exactly?")

#: Attribute -> (the verb of its fact, question bodies with E for the entity, replies with E and V).
ATTRIBUTES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "price": (
        "costs",
        ("how much is E", "what does E cost", "what do you want for E", "what's the price of E", "what would E set me back",  # noqa: E501
         "how dear is E", "what do i owe you for E", "what do you charge for E", "E, how much", "is E expensive"),
        ("E costs V", "V for E", "that's V", "E? V", "you'll pay V for E", "V, no more and no less", "the price of E is V"),  # noqa: E501
    ),
    "opens": (
        "opens",
        ("when does E open", "what time does E open", "how early can i get into E", "from when is E open", "E opens when",  # noqa: E501
         "when can i go to E", "at what hour does E open", "is E open early"),
        ("E opens V", "V, that's when E opens", "come V", "E? it opens V", "not before V"),
    ),
    "closes": (
        "closes",
        ("when does E close", "how late is E open", "until when can i stay in E", "what time does E shut", "E closes when",  # noqa: E501
         "when do they shut E", "how long is E open", "when is the last chance for E"),
        ("E closes V", "V, then E shuts", "until V", "be out of E by V", "E? it closes V"),
    ),
    "place": (
        "is",
        ("where is E", "where do i find E", "which way to E", "can you point me to E", "where would E be", "how do i get to E",  # noqa: E501
         "where's E kept", "i'm looking for E", "whereabouts is E"),
        ("E is V", "V", "you'll find E V", "look V", "E? V", "V, that's where E is"),
    ),
    "person": (
        "is",
        ("who is E", "what's the name of E", "who do i see as E", "who would E be", "do you know E by name", "who's E here",  # noqa: E501
         "what do they call E", "who holds the post of E"),
        ("E is V", "V", "that's V", "V is E", "E? that would be V", "ask for V"),
    ),
    "count": (
        "has",
        ("how many does E have", "what does E hold", "how much is in E", "what number has E", "how big is E", "how full is E"),  # noqa: E501
        ("E has V", "V", "V in E", "E? V", "I count V in E"),
    ),
    "rule": (
        "may not",
        ("may E do that", "what must E not do", "is there a rule for E", "what's forbidden for E", "can E do it anyway",
         "what does the law say of E"),
        ("E may not V", "no, E may not V", "the rule is that E may not V", "V is forbidden to E"),
    ),
    "leaves": (
        "leaves",
        ("when does E leave", "what time does E go", "when do we set off with E", "how often does E go", "E leaves when",  # noqa: E501
         "when's the next E", "when does E depart"),
        ("E leaves V", "V", "E goes V", "be there V, that's when E leaves", "E? V"),
    ),
}  # fmt: skip
_ABSENT = ("I don't know", "I couldn't say", "no idea", "that I was never told", "I can't say", "that's beyond me")
_BEFORE: dict[str, tuple[str, ...]] = {
    "neutral": ("", "", "well, "), "joy": ("", "ah, ", "gladly, "), "trust": ("", "between us, ", "for you, "),
    "anger": ("", "listen, ", "once more, "), "sadness": ("", "oh, ", "if it matters, "), "fear": ("", "quickly, ", "please, "),  # noqa: E501
    "concern": ("", "careful, ", "mind you, "), "amusement": ("", "ha, ", "guess what, "),
}  # fmt: skip
_AFTER: dict[str, tuple[str, ...]] = {
    "neutral": (".", "."), "joy": (".", "!", ", friend."), "trust": (".", ", my friend."), "anger": (".", ". got it?"),
    "sadness": (".", ", I suppose."), "fear": (".", ", I think."), "concern": (".", ", so take care."),
    "amusement": (".", ", believe it or not."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """Text with its loss weight: prompts 1, replies 3, references and the end mark 5."""

    text: str
    weight: float


def bodies(attribute: str, held_out: bool) -> tuple[str, ...]:
    """The training wordings of an attribute's question, or the held-out last fifth."""
    every = ATTRIBUTES[attribute][1]
    cut = max(1, len(every) // 5)
    return every[-cut:] if held_out else every[:-cut]


def episode(chance: random.Random, *, turns: int = 6, held_out: bool = False) -> list[Piece]:
    """One fact sheet with `turns` questions, one in six about something absent."""
    count = chance.randint(2, 5)
    indices = chance.sample(range(INDICES), count + 1)
    absent, facts = indices[0], [(i, chance.choice(list(ATTRIBUTES))) for i in indices[1:]]
    sheet = "".join(f"<f><e><#{i}>{ATTRIBUTES[a][0]}<v><#{i}>" for i, a in facts)
    pieces = [Piece(sheet, 1.0)]
    for _ in range(turns):
        mood = chance.choice(MOODS)
        index, attribute = chance.choice(facts)
        known = chance.random() > 1 / 6
        body = chance.choice(bodies(attribute, held_out))
        asked = f"<e><#{index if known else absent}>"
        question = chance.choice(_OPENERS) + body.replace("E", asked) + chance.choice(_CLOSERS)
        pieces.append(Piece(f"[{mood}]<q>{question}<r>", 1.0))
        said = chance.choice(ATTRIBUTES[attribute][2]) if known else chance.choice(_ABSENT)
        reply = chance.choice(_BEFORE[mood]) + said + chance.choice(_AFTER[mood])
        pieces += _weighed(reply, index) if known else [Piece("<none>", 5.0), Piece(reply, 3.0)]
        pieces.append(Piece("<end>", 5.0))
    return pieces


def _weighed(reply: str, index: int) -> Iterator[Piece]:
    """Split at the references; E and V stand alone in the templates."""
    word = ""
    for part in reply.replace("E", "\0e\0").replace("V", "\0v\0").split("\0"):
        if part in ("e", "v"):
            if word:
                yield Piece(word, 3.0)
                word = ""
            yield Piece(f"<{part}><#{index}>", 5.0)
        else:
            word += part
    if word:
        yield Piece(word, 3.0)


def wordings(attribute: str) -> int:
    """How many different questions an attribute has."""
    return len(set(_OPENERS)) * len(ATTRIBUTES[attribute][1]) * len(set(_CLOSERS))


def corpus(chance: random.Random, count: int) -> Iterator[str]:
    """Texts the tokenizer is trained on: episodes as plain strings."""
    for _ in range(count):
        yield "".join(piece.text for piece in episode(chance))
