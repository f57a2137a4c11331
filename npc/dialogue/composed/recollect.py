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
    r"|\bremind me\b.*\b(i|my)\b|\bis it (that )?i\b|\bafter what i\b|\bi'?m called\b|\bdid you catch (it|my|that|the name)\b|\bwhere am i from\b|\bwhat do i do\b",  # noqa: E501
    re.I,
)
_ABOUT_NAME = re.compile(
    r"\b(my (own |first |last |full )?name|do i go by|have (me )?down (as|for)|who is (speaking|talking) to you|"
    r"who (am i|i am)|i'?m called|am i called|call me|remember me|recall me|recogni[sz]e me|"
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


_RECALL_EXEMPLARS = (
    "What did I say I do for a living?", "What line of work am I in?", "Where did I say I come from?", "Where am I from?",  # noqa: E501
    "What's my dog called?", "Who did I say was waiting for me?", "What can't I eat?", "What am I allergic to?",
    "What was it I wanted again?", "How many children did I say I have?", "Which side did I say hurts?",
    "What do you know about me?", "What have I told you so far?", "What did I tell you about my brother?",
    "Remind me what I ordered.", "What did I promise you?", "What was I afraid of?", "What did I say I never drink?",
    "Which one did I tell you I like best?", "What am I looking for?", "When did I say I would be back?",
    "Can you remember what I told you earlier?", "What is my trade?", "What did I ask you to keep in mind?",
    "Whom did I come here with?", "How did I say I got here?", "What's wrong with me, do you remember?",
)  # fmt: skip
_OF_ONESELF = re.compile(r"\b(i|i'm|i've|i'd|me|my|mine|we|our|us)\b", re.I)
_WANTS_DEED = re.compile(
    r"\b(can|could|may|might|should|shall|must|do|would|will) (i|we)\b(?! (say|tell|mention|call))|\b(tell|show|give|get|sell|"  # noqa: E501
    r"bring|help|take|let|lend|hand|pass|send|find|charge|cost|do i owe) (me|us)\b|\bfor me\b|\bdo i (owe|need|have to|get|go to|go from|"  # noqa: E501
    r"find|pay)\b",
    re.I,
)


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
    cued = asks_of_player(question) or _sounds_like_recall(question, encoder)
    wants_name = _wants_name(question, encoder)
    of_oneself = bool(_OF_ONESELF.search(question.asking)) and not _WANTS_DEED.search(question.asking)
    if not cued and not wants_name and not of_oneself:
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
        return Recollection(None, "") if cued else None
    scores = _scores(question, [piece for _, piece in told], meaning, encoder)
    best = int(np.argmax(scores))
    if scores[best] < (0.15 if cued else 0.42):
        return Recollection(None, "") if cued else None
    memory, piece = told[best]
    return Recollection(memory, in_second_person(piece).strip(" .,!"))


def _sounds_like_recall(question: Question, encoder: SentenceEncoder | None) -> bool:
    """Whether a question of the player about themselves means what other such questions mean."""
    if encoder is None or not _OF_ONESELF.search(question.asking) or _WANTS_DEED.search(question.asking):
        return False
    vectors = encoder.encode([question.asking, *_RECALL_EXEMPLARS])
    return float(np.max(vectors[1:] @ vectors[0])) >= 0.55


def _wants_name(question: Question, encoder: SentenceEncoder | None) -> bool:
    if _ABOUT_NAME.search(question.asking):
        return True
    if (
        encoder is None
        or len(tokens(question.asking)) > 14
        or re.search(r"\b(your|his|her|their|its)\b", question.asking, re.I)
    ):
        return False
    if not re.search(r"\b(name|who|whom|whose|call|called|address|introduce|announce|sign)\b", question.asking, re.I):
        return False
    vectors = encoder.encode([question.asking, *_NAME_EXEMPLARS])
    return float(np.max(vectors[1:] @ vectors[0])) >= 0.58


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
    asking = re.sub(r",\s*[\w'-]+(?: [\w'-]+)?\?*\s*$", "?", question.asking)
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
