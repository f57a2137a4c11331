"""What the player told, as it stands to be told back: pieces of their turns, set right, and the turn a piece is from.

"I saw a light over the weir last night. Green, it was."      two pieces of one turn: told back together
"My flight's at six. Sorry, I mean seven."                    one piece, as it was set right
"Can my friend Ada sit here?"                                 a question: quoted, where its words are asked for
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from npc.dialogue.composed.features import OWN_LIFE, RECALLS
from npc.dialogue.composed.question import Question, sentences
from npc.dialogue.composed.recollect import of_another
from npc.dialogue.composed.speech import decapitalised, in_second_person
from npc.dialogue.knowledge.words import STOPWORDS, content, names_in, numbers_in
from npc.dialogue.memory.amend import settled
from npc.dialogue.memory.extract import name_in, only_names
from npc.dialogue.memory.store import PlayerMemory

#: Memories that stand to choose from in one turn: those of some salience first, then the newest.
_TOLD, _LASTING = 150, 0.4
#: Words of one turn that are told back together at most.
_TOGETHER = 24
#: Questions of the player's kept as sayings, the last ones, and words of one at most.
_QUESTIONS, _LONG = 8, 24
_ADDRESS = re.compile(
    r"^(?:(?-i:[A-Z])[\w'’-]+,(?! (?:it|he|she|they|i|we|you|was|is|were|are|not|and)\b)|(?:oh |ah )?"
    r"(?:good (?:morning|day|evening|afternoon)|hello|hi|hey|back again|me again|listen|look|please)\b)",
    re.I,
)
_OWN_THING = re.compile(r"\b(?:my|our|me|i'm|i am|i've|we're|we are)\b", re.I)


def told(turns: Sequence[str], memory: PlayerMemory | None, question: Question) -> list[str]:
    """What the player told of themselves, oldest first: what is remembered, and what was said in this talk; where the
    question is about them, what they asked that tells something, too."""
    noted = memory.all(superseded=True) if memory is not None else []
    useful = [m for m in noted if m.kind in ("fact", "promise", "event", "name")]
    current = [m for m in useful if m.superseded_by is None]
    first = sorted(range(len(current)), key=lambda i: (current[i].salience < _LASTING, -i))[:_TOLD]
    kept = [current[i].text for i in sorted(first)]
    outdated = {m.text.lower() for m in useful if m.superseded_by is not None}
    valid = [text for text in settled(turns) if not any(text.lower() in old for old in outdated)]
    found = dict.fromkeys([*kept, *valid])
    if of_another(question):
        found = {text: None for text in found if not is_name(text)}
    if OWN_LIFE.search(question.asking) and (question.wanted != "yesno" or RECALLS.search(question.text)):
        found |= dict.fromkeys(_asked(turns, question.asking, found))
    return list(found)


def is_name(piece: str) -> bool:
    """Whether a piece says the player's name and nothing else: "I'm Aldric, from the fens" tells more."""
    name = name_in(piece)
    return name is not None and only_names(piece, name)


def _asked(turns: Sequence[str], asking: str, already: Sequence[str] | dict[str, None]) -> list[str]:
    """Earlier questions that tell of something the player has, and are not the present one again."""
    now = set(content(asking))
    found = []
    for turn in turns:
        for sentence in sentences(turn):
            about = set(content(sentence))
            telling = bool(names_in(sentence[1:]) or numbers_in(sentence) or len(about - now) >= 2)
            if not sentence.endswith("?") or not _OWN_THING.search(sentence) or not telling:
                continue
            again = len(now & about) >= 0.6 * max(1, len(now)) and len(now) > 1
            if not again and len(sentence.split()) <= _LONG and sentence not in already:
                found.append(sentence)
    return found[-_QUESTIONS:]


def whole(piece: str, turns: Sequence[str], memory: PlayerMemory | None) -> list[str]:
    """The piece with what else the same turn told, in order, where all of it is short; the piece alone otherwise."""
    parts = next((parts for turn in reversed(turns) if piece in (parts := settled([turn]))), None)
    if parts is None and memory is not None:
        noted = [m for m in memory.all() if m.speaker == "player" and m.kind in ("fact", "promise", "event")]
        turn_id = next((m.turn_id for m in reversed(noted) if m.text == piece), "")
        parts = [m.text for m in noted if turn_id and m.turn_id == turn_id]
    if not parts or piece not in parts:
        return [piece]
    kept = [part for part in parts if part == piece or _goes_with(part)]
    return kept if together(kept) else [piece]


def together(pieces: Sequence[str]) -> bool:
    """Whether pieces are short enough to be told back in one breath."""
    return sum(len(piece.split()) for piece in pieces) <= _TOGETHER


def _goes_with(part: str) -> bool:
    """Whether a piece is told back beside another of its turn: no greeting, no name, nobody addressed."""
    return not (_ADDRESS.match(part) or is_name(part))


def quoted(piece: str) -> bool:
    """Whether a piece is a question of the player's, which is told back word for word."""
    return piece.endswith("?")


def in_your_words(pieces: Sequence[str]) -> str:
    """Pieces as they are told back: "your brother works in shaft one; he's the one with the beard"."""
    parts = [decapitalised(in_second_person(piece).strip(" .,!")) for piece in pieces]
    return "; ".join(_joined(part) if number else part for number, part in enumerate(filter(None, parts)))


def _joined(part: str) -> str:
    """A piece behind a semicolon: "He's tall" goes on in lower case, a name does not."""
    first = part.split()[0].replace("’", "'").partition("'")[0].lower()
    return part[0].lower() + part[1:] if first in STOPWORDS and first != "i" else part
