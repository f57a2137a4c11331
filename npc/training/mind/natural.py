"""Openly licensed talk as small-talk turns: something said, and a short reaction that claims nothing.

Replies in such corpora are full of invented biography ("I'm a nurse in Ohio"), which a character must not say. Kept is
the first sentence or two of a reply when it is short, names nobody, has no number and says nothing of the speaker but
what anybody may say ("I'm sorry", "I see", "I hope so").
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from npc.dialogue.realiser.contract import Prompt, plain
from npc.training.mind.phrasings import sections

#: Licences that allow shipped weights; see DATA_LICENSES.md beside the weights.
FILES = ("synthetic_persona_chat_valid_test", "self_dialogue", "personality_chat")
_MANNER = {"professional": "formal", "friendly": "warm", "humorous": "dry", "witty": "dry", "caring": "warm",
           "enthusiastic": "eager"}  # fmt: skip
_CLAIMS = re.compile(r"\b(i|i'm|im|i've|i'd|i'll|my|mine|me|we|we're|our|us|myself)\b", re.I)
_HARMLESS = re.compile(
    r"\bi(?:'m| am) (?:so |very |really )?(?:sorry|glad|happy for you|sure|afraid|not sure)\b|"
    r"\bi (?:see|hope|agree|understand|think so|bet|know|can imagine|believe you|wonder|suppose so|will|would too|"
    r"don't know|guess so)\b",
    re.I,
)
_TOO_NEW = re.compile(
    r"\b(bot|ai|cool|awesome|wow|lol|yeah|yep|omg|dude|haha\w*|movie|film|song|album|band|team|game|season|player|show|"
    r"tv|netflix|episode|internet|online|phone|user|guys?|chat|virtual|robot|programmed|digital|app|google|kids?|nba|nfl|"
    r"football|baseball|actor|actress|character|rap|concert|siri|cortana|google|alexa|ok|okay|gonna|wanna|gotta|super|"
    r"sexy?|sexual|god|jesus|damn|hell|crap|suck\w*|ass)\b", re.I)  # fmt: skip
_MOST_WORDS, _MOST_PLAYER_WORDS = 12, 18


@dataclass(frozen=True, slots=True)
class Pair:
    """Something said, plain, and a reply to it."""

    player: str
    reply: str
    intent: str
    manner: str = "plain"


@dataclass(frozen=True, slots=True)
class Turn:
    """One block: the prompt, the reply after it, and the section it was drawn from (for the evaluation)."""

    prompt: Prompt
    reply: str
    section: str


@dataclass(frozen=True, slots=True)
class Texts:
    """What episodes draw on beside the written phrasings: talk of people, and a teacher's replies (see distil.py)."""

    pairs: Sequence[Pair] = ()
    turns: Sequence[Turn] = ()


NOTHING: Final = Texts()


def read_pairs(folder: Path | None) -> tuple[Pair, ...]:
    """All usable pairs of the corpora in a folder, none when it is not given. Raises FileNotFoundError naming a
    corpus that is missing."""
    if folder is None:
        return ()
    found: dict[Pair, None] = {}
    for name in FILES:
        path = folder / f"{name}.jsonl.gz"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: corpus not found; see npc/training/mind/natural.py for what is needed")
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                for pair in _pairs(json.loads(line)):
                    found.setdefault(pair)
    return tuple(found)


def _pairs(talk: dict[str, Any]) -> Iterator[Pair]:
    turns = [str(turn[1]) for turn in talk["turns"]]
    manner = _MANNER.get(str(talk.get("style", "")), "plain")
    for said, answered in itertools.pairwise(turns):
        player, reply = plain(said), reaction(answered)
        if reply and player and len(player.split()) <= _MOST_PLAYER_WORDS:
            asked = said.rstrip().endswith("?")
            if asked and not talk.get("style"):
                continue  # answers between strangers are biography or trivia
            if _generic(reply, player):
                yield Pair(player, reply, "chat" if asked else "heard", manner)


@lru_cache(maxsize=1)
def _own_words() -> frozenset[str]:
    """Every word of the written replies."""
    lines = [line.text for name in ("colour", "intents", "talk") for section in sections(name).values()
             for line in section.replies]  # fmt: skip
    return frozenset(re.findall(r"[a-z']+", " ".join(lines).lower()))


def _generic(reply: str, player: str) -> bool:
    """Whether a reply speaks of nothing that the player did not bring up: every word is the player's or in our own."""
    return set(re.findall(r"[a-z']+", reply.lower())) <= _own_words() | set(player.split())


def reaction(text: str) -> str:
    """The part of a reply that anybody could say, or nothing."""
    text = re.sub(r"\s+", " ", text.replace("’", "'")).strip()
    kept: list[str] = []
    for sentence in re.findall(r"[^.!?]+[.!?]", text):
        sentence = sentence.strip()
        if not _usable(sentence) or len(" ".join([*kept, sentence]).split()) > _MOST_WORDS:
            break
        kept.append(sentence)
    reply = " ".join(kept)
    return reply if len(reply.split()) >= 2 else ""


def _usable(sentence: str) -> bool:
    words = sentence.split()
    if len(words) < 1 or not re.fullmatch(r"[A-Za-z' ,.!?;:-]+", sentence) or not sentence[0].isupper():
        return False
    if any(word[0].isupper() and not re.match(r"I\b", word) for word in words[1:]):
        return False
    return not _TOO_NEW.search(sentence) and not _CLAIMS.search(_HARMLESS.sub("", sentence))
