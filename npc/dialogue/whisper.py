"""What an instructor whispers, as far as a character without a language model can follow it. Pure.

    "be angrier, and bring up the day off"  ─read─▶  Direction(moods=((anger, 0.8),), topic="the day off")

    say: WORDS · say "WORDS" · say that you …      the next reply is these words
    bring up X · mention X · tell them about X     the next reply adds what the character knows of X and may tell
    be angrier · calm down · cheer up · sound worried …   felt at once, and it fades like any feeling
    go along with it · agree · give in             the next reply agrees
    don't agree · refuse · push back               the next reply does not
    ask about X · ask whether X                    the next reply asks it

One whisper may hold several, joined by "and", "then", commas or full stops. A language model reads the hint itself
(`prompt.py`); this is what `composed` heeds. Anything else is not understood, and `Direction.understood` says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Stance = Literal["", "agree", "refuse"]

#: How strong a feeling is that an instructor calls for: it must show over what the talk itself moves.
_STRENGTH = 0.8
_QUOTED = re.compile(r"[\"“”](?P<words>[^\"“”]{2,400})[\"“”]")
_SAY = re.compile(
    r"^(?:now )?(?:say|ask|tell (?:him|her|them|the trainee))(?: this| something like)?\s*[:,]\s*(.+)$", re.I
)
_SAY_THAT = re.compile(
    r"^(?:now )?(?:say|tell (?:him|her|them|the trainee)|let (?:him|her|them) know|admit|insist|complain|claim|confess)"
    r" that (.+)$",
    re.I,
)
_SAY_QUOTED = re.compile(r"^(?:now )?(?:say|answer|reply|shout|ask|tell (?:him|her|them|the trainee))\b", re.I)
_TOPIC = re.compile(
    r"^(?:now )?(?:bring up|mention|raise|talk about|speak about|come back to|reveal|"
    r"tell (?:him|her|them|the trainee) (?:about|of))\s+(.+)$",
    re.I,
)
_ASK = re.compile(
    r"^(?:now )?ask (?:him |her |them |the trainee )?(about|for|whether|if|what|when|where|why|how|who)\s+(.+)$", re.I
)
_WITH = r"(?:it|this|that|him|her|them|the offer)"
_AGREE = re.compile(
    rf"^(?:just |please )?(?:go along(?: with {_WITH})?|agree(?: (?:with|to) {_WITH})?|accept(?: {_WITH})?|"
    r"give in|say yes|let (?:him|her|them) have it their way|play along|back down)$",
    re.I,
)
_REFUSE = re.compile(
    rf"^(?:just |please )?(?:(?:do not|don't) (?:agree|accept|give in|go along)(?: .*)?|refuse(?: {_WITH})?|"
    rf"say no|push back|stand firm|stay firm|reject {_WITH})$",
    re.I,
)
_MOODS: tuple[tuple[str, str], ...] = (
    (r"ang(?:ry|rier)|cross(?:er)?|mad(?:der)?|furious|annoyed|irritated|impatient|ruder?|harsher?", "anger"),
    (r"sad(?:der)?|unhappy|tearful|upset|cry", "sadness"),
    (r"afraid|scared|anxious|frightened|nervous|panic", "fear"),
    (r"worried|concerned", "concern"),
    (r"happy|happier|cheerful|glad|cheer up|joyful", "joy"),
    (r"friendl(?:y|ier)|warm(?:er)?|trusting|nice(?:r)?|kind(?:er)?|polite(?:r)?|soften|open up", "trust"),
    (r"calm(?:er)?|calm down|relax|cool off|relieved|quieten down|settle down", "relief"),
    (r"surprised|astonished|shocked", "surprise"),
    (r"ashamed|embarrassed|sheepish|guilty", "shame"),
    (r"suspicious|disgusted|contemptuous|cold(?:er)?", "disgust"),
    (r"curious|interested", "curiosity"),
    (r"amused|laugh", "amusement"),
    (r"proud(?:er)?", "pride"),
)  # fmt: skip
_BE = r"(?:be|get|become|sound|act|seem|look|grow|stay|feel|show (?:him|her|them) you(?:'re| are))"
_HOW = r"(?:(?:much|a lot|a bit|a little|more|very|really|rather|quite|less) )*"
_FEEL = tuple(
    (re.compile(rf"^(?:{_BE} {_HOW})?(?:{words})(?: .{{0,40}})?$", re.I), emotion) for words, emotion in _MOODS
)
_LESS = re.compile(
    rf"^(?:{_BE} )?(?:less|not so|don't be so|stop being) "
    r"(?:angry|cross|mad|annoyed|rude|impatient|upset|afraid|nervous)\b",
    re.I,
)
_BETWEEN = re.compile(r"\s*(?:[.;!]\s+|,\s*(?:and |then |and then )?|\band then\b|\band\b|\bthen\b)\s*", re.I)
_YOU = (
    (r"\byou are\b", "I am"), (r"\byou're\b", "I'm"), (r"\byou have\b", "I have"), (r"\byou've\b", "I've"),
    (r"\byou'll\b", "I'll"), (r"\byou'd\b", "I'd"), (r"\byou were\b", "I was"), (r"\byourself\b", "myself"),
    (r"\byours\b", "mine"), (r"\byour\b", "my"),
    (r"\b(to|for|at|with|from|of|told|gave|give|tell|call|called|help|helped|let|owe|owes) you\b", r"\1 me"),
    (r"\byou\b", "I"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Direction:
    """What is to be done: words to say, a topic to bring up, a question, a stance, feelings as (emotion, strength)."""

    say: str = ""
    topic: str = ""
    stance: Stance = ""
    moods: tuple[tuple[str, float], ...] = ()

    @property
    def speaks(self) -> bool:
        """Whether the next reply is to change."""
        return bool(self.say or self.topic or self.stance)

    @property
    def understood(self) -> bool:
        """Whether anything of the whisper will be followed."""
        return self.speaks or bool(self.moods)


def read(hint: str) -> Direction:
    """The directions in a hint, the last one of a kind counting; an empty one where nothing was understood."""
    found = Direction()
    for piece in _pieces(hint.strip()):
        found = _joined(found, _one(piece.strip(" .,!")))
    return found


def _pieces(hint: str) -> list[str]:
    """Directions of a hint. What is to be said word for word is never cut."""
    if _QUOTED.search(hint) or _SAY.match(hint) or _SAY_THAT.match(hint):
        return [hint]
    return [piece for piece in _BETWEEN.split(hint) if piece.strip()]


def _one(piece: str) -> Direction:
    quoted = _QUOTED.search(piece)
    if quoted and _SAY_QUOTED.match(piece):
        return Direction(say=_sentence(quoted["words"]))
    if match := _SAY.match(piece):
        return Direction(say=_sentence(match.group(1)))
    if match := _SAY_THAT.match(piece):
        return Direction(say=_sentence(own_words(match.group(1))))
    if _REFUSE.match(piece):
        return Direction(stance="refuse")
    if _AGREE.match(piece):
        return Direction(stance="agree")
    if match := _ASK.match(piece):
        return Direction(say=_question(match.group(1).lower(), match.group(2)))
    if match := _TOPIC.match(piece):
        return Direction(topic=match.group(1))
    if _LESS.match(piece):
        return Direction(moods=(("relief", _STRENGTH),))
    for pattern, emotion in _FEEL:
        if pattern.match(piece):
            return Direction(moods=((emotion, _STRENGTH),))
    return Direction()


def _joined(one: Direction, more: Direction) -> Direction:
    say = " ".join(filter(None, (one.say, more.say)))
    return Direction(say, more.topic or one.topic, more.stance or one.stance, (*one.moods, *more.moods))


def own_words(text: str) -> str:
    """What is said of "you", in the first person."""
    for pattern, mine in _YOU:
        text = re.sub(pattern, mine, text, flags=re.I)
    return text


def _question(word: str, rest: str) -> str:
    rest = own_words(rest)
    if word == "about":
        return _sentence(f"what about {rest}", "?")
    if word == "for":
        return _sentence(f"can I have {rest}", "?")
    if word in ("whether", "if"):
        return _sentence(f"tell me, {rest}", "?")
    return _sentence(f"tell me {word} {rest}")


def _sentence(text: str, end: str = ".") -> str:
    text = text.strip().strip('"“”').strip()
    text = text if text[-1:] in ".!?…" else text.rstrip(" ,;:.") + end
    return text[:1].upper() + text[1:]
