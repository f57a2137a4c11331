"""What the dialogue model reads and writes: one block of tokens a turn, shared by training and by the running mind.

    [joy](warm)@fact<you> <f><e><#2> costs<v><#2><c><#2> <q>how much is<e><#2>then<r>Ah.<v><#2> for<e><#2><you>.<end>
    mood manner intent     the facts that may be told       the player's words       the reply

Names, prices, times and whole facts are references: a type and an index. The model chooses and places them; the words
behind them never pass through it, so they cannot come out changed, and what is not referred to cannot be told. A turn's
blocks follow one another, oldest first.

    <c><#k>  a whole fact as a clause      <e> <w> <v>  the thing, the verb and the value of a fact that parses
    <n><#k>  somebody or something of the player's ("my dog")       <you>  ", traveller"
    <x>      a name that is not known      <d>  a number            <long> the clause before is long
    <yes> <no> <fix>   the reply must affirm, deny, or take back a misunderstanding
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from npc.protocol.names import EMOTIONS

MANNERS: Final = ("plain", "warm", "dry", "curt", "formal", "eager")
INTENTS: Final = (
    "fact", "self", "unknown", "locked", "injection", "refused", "refused_why", "do", "hand", "point", "scene", "name",
    "told", "forgotten", "hello", "thanks", "goodbye", "insult", "praise", "apology", "threat", "sympathy", "bad_news",
    "good_news", "feel", "protest", "heard", "chat",
)  # fmt: skip
Part = Literal["c", "e", "w", "v", "n"]
PARTS: Final[tuple[Part, ...]] = ("c", "e", "w", "v", "n")
INDICES: Final = 8
POLARITIES: Final = ("yes", "no", "fix")

SPECIAL: Final = (
    "<pad>", "<end>", "<q>", "<r>", "<f>", *(f"<{part}>" for part in PARTS), "<you>", "<x>", "<d>", "<long>",
    *(f"<{word}>" for word in POLARITIES), *(f"<#{i}>" for i in range(INDICES)),
    *(f"[{mood}]" for mood in EMOTIONS), *(f"({manner})" for manner in MANNERS), *(f"@{intent}" for intent in INTENTS),
)  # fmt: skip

#: Clauses of more words than this carry <long>: room for little beside them in a reply of 25 words.
LONG_CLAUSE: Final = 13
#: Words of the player that are read; the end of a long turn says what is wanted.
MAX_PLAYER_WORDS: Final = 24

_WORD = re.compile(r"<[ewvcn]><#\d>|<[xd]>|[A-Za-z]+(?:['’][A-Za-z]+)*|\d[\d.,:]*")


@dataclass(frozen=True, slots=True)
class Frame:
    """One thing that may be referred to. `parts` says how; `verb` is spelt out where the model knows such verbs."""

    index: int
    parts: tuple[Part, ...]
    verb: str = ""
    long: bool = False

    def text(self) -> str:
        """The frame as the model reads it."""
        pieces = ["<f>"]
        for part in self.parts:
            if part == "v" and self.verb:
                pieces.append(f" {self.verb}")
            pieces.append(reference(part, self.index))
        return "".join(pieces) + ("<long>" if self.long else "")


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything the model is told about one turn. `player` is already plain (see `plain`)."""

    mood: str
    manner: str
    intent: str
    player: str = ""
    frames: tuple[Frame, ...] = ()
    polarity: str = ""
    address: bool = False
    nouns: tuple[int, ...] = field(default=())
    """Indices that stand in `player` as <n>."""

    def text(self) -> str:
        """The block up to where the reply begins."""
        flags = ("<you>" if self.address else "") + (f"<{self.polarity}>" if self.polarity else "")
        head = f"[{self.mood}]({self.manner})@{self.intent}{flags}"
        return head + "".join(frame.text() for frame in self.frames) + f"<q>{self.player}<r>"


def reference(part: str, index: int) -> str:
    """`<c><#2>`."""
    return f"<{part}><#{index}>"


def plain(text: str, keep: frozenset[str] = frozenset()) -> str:
    """The player's words as a recogniser would give them: lower case, no punctuation, numbers as <d>, names as <x>.

    A capitalised word inside a sentence is a name unless its lower-case form is in `keep`; references stay.
    """
    found: list[str] = []
    for match in _WORD.finditer(text.replace("’", "'")):
        word = match.group()
        if word.startswith("<"):
            found.append(word)
        elif word[0].isdigit():
            found.append("<d>")
        elif word[0].isupper() and not _starts_sentence(text, match.start()) and not _ordinary(word, keep):
            found.append("<x>")
        else:
            found.append(word.lower())
    joined = " ".join(found[-MAX_PLAYER_WORDS:])
    return re.sub(r" ?(<[ewvcnxd]>(?:<#\d>)?)", r"\1", re.sub(r"<x>(?: <x>)+", "<x>", joined))


def _ordinary(word: str, keep: frozenset[str]) -> bool:
    return word in ("I", "I'm", "I'd", "I've", "I'll", "O", "OK") or word.lower() in keep


def _starts_sentence(text: str, at: int) -> bool:
    before = text[:at].rstrip(" \"'“‘(")
    return not before or before[-1] in ".!?"
