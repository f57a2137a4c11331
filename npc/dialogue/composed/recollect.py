"""Questions about the player: "what was my name again?", "which tug did I say I came in on?"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from npc.dialogue.composed.question import Question
from npc.dialogue.composed.speech import in_second_person
from npc.dialogue.knowledge.meaning import WordMeaning
from npc.dialogue.knowledge.words import STOPWORDS, tokens
from npc.dialogue.memory.records import Memory
from npc.inference.encoder import SentenceEncoder

_ABOUT_PLAYER = re.compile(
    r"\b(did|have|had|was it) i (say|said|tell|told|mention|mentioned|call|give|gave|ask|promise|bring|come|came|order|follow)\b"  # noqa: E501
    r"|\b(that |what |which |where |who |as )?i (said|told you|mentioned|gave you|promised|asked you)\b"
    r"|\b(remember|recall|recognise|recognize|forgotten|forget|know) (me|my|what i|what my|who i|where i|which|that i|how i|i)\b"  # noqa: E501
    r"|\bwho am i\b|\bwhat am i called\b|\bmy (own )?name\b|\bwhat i'?m called\b|\bwhat (do|did|will|would|should|shall) you call me\b"  # noqa: E501
    r"|\bafter what i\b|\bi'?m called\b|\bdid you catch (it|my|that|the name)\b|\bwhere am i from\b|\bwhat do i do\b",
    re.I,
)
_ABOUT_NAME = re.compile(
    r"\b(my (own |first |last |full )?name|who (am i|i am)|i'?m called|am i called|call me|remember me|recall me|recogni[sz]e me|"  # noqa: E501
    r"who (are|were) you (talking|speaking|lending|giving|selling)|(what|which|whose) name (will|shall|should|do|would)|"  # noqa: E501
    r"name (you'?ll|will you|shall you|you) (put|write|enter|note)|who shall (i|you) (put|write|say))\b",
    re.I,
)
_NAME_EXEMPLARS = (
    "What was my name again?", "Do you remember what I'm called?", "Who am I?", "What do you call me?",
    "What name will you write down for me?", "Which name goes on the list?", "Who are you lending it to?",
    "Under whose name is this booked?", "Who should the receipt be made out to?", "Do you recall who I am?",
    "Have you forgotten who I am already?", "How will you announce me?", "What's the name of the person you're talking to?",  # noqa: E501
)  # fmt: skip
_WHO_OF_OTHERS = re.compile(
    r"\bmy (brother|sister|dog|cat|horse|mother|father|wife|husband|son|daughter|friend|ship|boat|uncle|aunt|\w+)('s)?\b",  # noqa: E501
    re.I,
)


#: Words that only say that something is to be remembered.
_CUES = frozenset("remember recall forget forgotten mention mentioned again earlier before ago catch caught".split())  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Recollection:
    """What is remembered in answer: the memory and the words to say back, or neither when it was never told."""

    memory: Memory | None
    words: str
    is_name: bool = False


def asks_of_player(question: Question) -> bool:
    """Whether the turn asks what the character remembers of the player."""
    return bool(question.asking and _ABOUT_PLAYER.search(question.text if question.told else question.asking))


def recollect(
    question: Question,
    memories: Sequence[Memory],
    meaning: WordMeaning,
    encoder: SentenceEncoder | None,
) -> Recollection | None:
    """The best memory for a question about the player; None when the question is not about the player."""
    if not question.asking:
        return None
    cued = asks_of_player(question)
    wants_name = _wants_name(question, encoder)
    if not cued and not wants_name:
        return None
    others = _WHO_OF_OTHERS.search(question.asking)
    of_other = others is not None and others.group(1).lower() not in ("name", "first", "last", "own", "full")
    if wants_name and not of_other:
        name = next((memory for memory in reversed(memories) if memory.subject == "name"), None)
        return Recollection(name, name.value if name else "", is_name=True)
    told = [
        (memory, piece)
        for memory in memories
        if memory.kind in ("fact", "promise", "event")
        for piece in _pieces(memory)
    ]
    if not told:
        return Recollection(None, "")
    scores = _scores(question, [piece for _, piece in told], meaning, encoder)
    best = int(np.argmax(scores))
    if scores[best] < (0.22 if cued else 0.6):
        return Recollection(None, "")
    memory, piece = told[best]
    return Recollection(memory, in_second_person(piece).strip(" .,!"))


def _wants_name(question: Question, encoder: SentenceEncoder | None) -> bool:
    if _ABOUT_NAME.search(question.asking):
        return True
    if (
        encoder is None
        or len(tokens(question.asking)) > 14
        or re.search(r"\b(your|his|her|their|its)\b", question.asking, re.I)
    ):
        return False
    if not re.search(r"\b(name|who|whom|whose|call|called)\b", question.asking, re.I):
        return False
    vectors = encoder.encode([question.asking, *_NAME_EXEMPLARS])
    return float(np.max(vectors[1:] @ vectors[0])) >= 0.62


def _pieces(memory: Memory) -> list[str]:
    """A saying whole, and its clauses that stand alone: "I'm Corwen, new in the rings, and I only take the slow lift"."""  # noqa: E501
    text = memory.text.strip(" .!")
    parts = [
        part.strip()
        for part in re.split(
            r",? and (?=i\b|i'|my\b|with my\b|we\b)|, (?=i\b|i'|my\b|with my\b|we\b)|; ", text, flags=re.I
        )
    ]
    useful = [
        part for part in parts if re.search(r"\b(i|i'\w+|my|we|me|our|im|ive)\b", part, re.I) and len(tokens(part)) >= 3
    ]
    return useful or [text]


def _scores(
    question: Question, texts: Sequence[str], meaning: WordMeaning, encoder: SentenceEncoder | None
) -> list[float]:
    """Likeness of the question to each saying: meaning of the sentence, and of the words by the least surprising match."""  # noqa: E501
    asking = re.sub(r",\s*[\w' -]{2,24}\?*\s*$", "?", question.asking)
    asked = [w for w in tokens(asking) if w not in STOPWORDS and w not in _CUES]
    cosines = [0.0] * len(texts)
    if encoder is not None:
        vectors = encoder.encode([asking, *texts])
        cosines = [float(v @ vectors[0]) for v in vectors[1:]]
    found = []
    for text, cosine in zip(texts, cosines, strict=True):
        words = [w for w in tokens(text) if w not in STOPWORDS]
        meaning.learn([*asked, *words])
        hits = [max((meaning.likeness(a, w) for w in words), default=0.0) for a in asked]
        found.append(0.5 * cosine + 0.5 * (sum(hits) / len(hits) if hits else 0.0))
    return found
