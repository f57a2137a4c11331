"""What a turn tells about the player: names, things said of oneself, promises, corrections. Pure.

    "I'm Tamsin. I'm a cooper by trade."   name = Tamsin; fact "I'm a cooper by trade"
    "No, I said Thom, not Tom."            name = Thom, superseding Tom
    "I'll bring you the herbs tomorrow."   promise

Whatever is told is kept, passing remarks and talk of others with little salience ("she's a welder" may be asked for
later); questions and orders leave nothing, and what the character said of itself is not a memory of the player.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from npc.dialogue.knowledge.words import numbers_in, tokens
from npc.dialogue.memory.amend import settled
from npc.dialogue.memory.records import Kind

_NAME = r"(?P<name>(?:(?:Captain|Doctor|Dr\.?|Sir|Lady|Lord|Brother|Sister|Mister|Mr\.?|Mrs\.?|Ms\.?|Professor|Sergeant) )?[A-Z][\w'’-]+(?: (?:of |von |de |the )?[A-Z][\w'’-]+){0,2})"  # noqa: E501
_INTRODUCTIONS = (
    re.compile(
        rf"\b(?:[Mm]y name(?:'s| is)|[Nn]ame's|[Tt]he name(?:'s| is)|[Cc]all me|[Tt]hey call me|[Pp]eople call me) {_NAME}"  # noqa: E501
    ),
    re.compile(
        rf"\b(?:I'm|I am|Im|[Tt]his is|[Ii]t's) (?:called )?{_NAME}(?=$|[,.!?;]| (?:and|from|by|here|off|the)\b)"
    ),
    re.compile(rf"(?:^|[.!?] ){_NAME} (?:here|at your service)\b"),
    # "Morning, smith. Adela Finch, from the mill."
    re.compile(rf"(?:^|[.!?,] ){_NAME}, (?:from|off) (?:the|a) \w+(?=[.,!?]|$)"),
    re.compile(
        r"(?:^|[.!?,] )(?P<name>(?:Captain|Doctor|Dr\.?|Sir|Lady|Lord|Professor|Sergeant) [A-Z][\w'’-]+)(?=[,.])"
    ),
    # "If anyone asks for Ludo, that's me."
    re.compile(rf"\b[Aa]sk(?:s|ed|ing)? for {_NAME},? that(?:'s| is|'ll be) me\b"),
    re.compile(r"\bmy name is (?P<name>[a-z][\w'-]{2,})\b"),
)
_NEVER = """im ive id ill i sorry sure afraid glad here fine good well not so just looking back new lost from on off in at late early tired
    hungry cold hot only monday tuesday wednesday thursday friday saturday sunday mr mrs captain going done ready
    the a an it this that what very really"""  # noqa: E501
_NOT_NAMES = frozenset(_NEVER.split())
#: Words of a piece that only tells a name.
_NAMING = frozenset(
    ("i", "i'm", "am", "im", "my", "name", "name's", "is", "its", "it's", "this", "call", "me", "they", "people", "the",
     "called", "here")
)  # fmt: skip
_SELF = re.compile(r"\b(i|i'm|im|i've|ive|i'd|i'll|my|mine|me|we|we're|we've|our|us)\b", re.I)
_PROMISE = re.compile(r"\b(i'll|i will|i promise|i shall|we'll|i swear)\b", re.I)
_PASSING = re.compile(
    r"^\W*(i (think|guess|suppose|mean|see|hear|heard|know|don't know|want|need|wonder|wish|hope|said|meant|told|'d like|was thinking)|"  # noqa: E501
    r"let me|thank|thanks|excuse me|forgive me|sell me|give me|tell me|show me|pass me|hand me|bring me|help me|let us|take me|"  # noqa: E501
    r"i'd like|i'll take|may i|can i|could i)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Noted:
    """Something to remember from one turn, before it has an id and a time. `replaces` is the value it corrects."""

    kind: Kind
    text: str
    subject: str = ""
    value: str = ""
    salience: float = 0.5
    replaces: str = ""


def name_in(text: str, known: frozenset[str] = frozenset()) -> str | None:
    """The name the player gives as their own, or None. `known` are names of others, which are never the player's."""
    for pattern in _INTRODUCTIONS:
        for match in pattern.finditer(text):
            name = match.group("name").strip(" .,'’")
            words = tokens(name)
            titled = len(words) > 1 and words[0] in ("captain", "sergeant", "mr", "mrs")
            if not words or (words[0] in _NOT_NAMES and not titled) or any(w in _NOT_NAMES for w in words[1:]):
                continue
            if all(word in known for word in words):
                continue
            return name[:1].upper() + name[1:]
    return None


def extract(text: str, *, known: frozenset[str] = frozenset(), asked: str = "") -> tuple[Noted, ...]:
    """Everything worth remembering in one player turn. `asked` is the character's last line: an answer to "what is
    your name?" may be the bare name."""
    found: list[Noted] = []
    name = name_in(text, known)
    if name is None and re.search(r"\b(your name|who are you|call you)\b.*\?", asked, re.I):
        bare = re.match(rf"^\W*{_NAME}\W*$", text.strip())
        name = bare.group("name") if bare else None
    if name is not None:
        found.append(Noted("name", f"My name is {name}", "name", name, 1.0, _replaced(text, name)))
    for piece in settled([text]):
        own = bool(_SELF.search(piece)) and len(tokens(piece)) >= 3
        if any(note.text == piece for note in found) or (name is not None and only_names(piece, name)):
            continue
        if own and _PROMISE.search(piece) and not re.search(r"\b(i'll|i will) (have|take)\b", piece, re.I):
            found.append(Noted("promise", piece, salience=0.7))
        else:
            found.append(Noted("fact", piece, salience=_salience(piece) if own and not _PASSING.match(piece) else 0.2))
    return tuple(found)


def only_names(piece: str, name: str) -> bool:
    """Whether a piece tells the name and nothing else."""
    return set(tokens(piece)) <= {*tokens(name), *_NAMING}


def _replaced(text: str, name: str) -> str:
    match = re.search(r"\bnot ([A-Z][\w'’-]+)", text)
    return match.group(1) if match and match.group(1) != name else ""


def _salience(clause: str) -> float:
    """Lasting traits weigh more than passing states."""
    plain = clause.lower()
    if re.search(
        r"\b(always|never|only ever|allergic|afraid|born|married|by trade|my (wife|husband|son|daughter|mother|father|brother|sister|dog|cat))\b",  # noqa: E501
        plain,
    ):
        return 0.8
    return (
        0.6 if re.search(r"\b(i'm a|i am a|im a|i work|i live|i come from|i'm from|i hate|i love|my)\b", plain) else 0.4
    )


def contradicts(old: str, new: str, likeness: float) -> bool:
    """Whether two sayings about the same thing disagree: nearly the same words, but another number, name or negation."""  # noqa: E501
    if likeness < 0.75:
        return False
    first, second = tokens(old), tokens(new)
    only_old, only_new = set(first) - set(second), set(second) - set(first)
    negated = bool({"not", "never", "dont", "no", "isnt", "wont"} & (only_old ^ only_new))
    changed = any(_telling(old, word) for word in only_old) and any(_telling(new, word) for word in only_new)
    return negated or changed


def _telling(text: str, word: str) -> bool:
    return bool(numbers_in(word)) or re.search(rf"(?<=\w )\b{word.capitalize()}\b", text) is not None


def self_statements(texts: Sequence[str]) -> list[str]:
    """The player's sayings about themselves among whole turns, newest last."""
    return [noted.text for text in texts for noted in extract(text) if noted.kind in ("fact", "promise", "name")]
