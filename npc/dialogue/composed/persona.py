"""The first things anybody asks: who are you, what do you do, where are we, how are you, what do you sell.

Answered from the card and the scene, before any search. A question that asks for more than that ("who are you to
judge?", "what do you do when it leaks?") is left to the search.
"""

from __future__ import annotations

import random
import re

from npc.dialogue.character import Character
from npc.dialogue.composed import phrases
from npc.dialogue.composed.reply import Reply, cite_all
from npc.dialogue.composed.speech import Speaker, in_first_person, shortened, with_article
from npc.dialogue.composed.wanted import fits
from npc.dialogue.context import Context
from npc.dialogue.knowledge.facts import Fact
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.knowledge.words import content, stem, tokens

_END = r"(?: (?:then|exactly|please|again|anyway|here|sir|madam|friend|today|now|in this place|around here))*\W*$"
_OPEN = r"^(?:\W*(?:and|so|but|well|now|ok|okay|hello|hi|hey|good \w+|excuse me|tell me|say|sorry|please|may i ask)[, .!]+)*"  # noqa: E501

_ASKS: tuple[tuple[str, str], ...] = (
    ("name", r"(?:what (?:is|was) your (?:full |first )?name|who are you|who am i (?:talking|speaking) (?:to|with)|"
             r"(?:what|how) (?:do|should|may|can|shall) (?:they|people|i|we) call you|your name|do you have a name|"
             r"whom do i have the pleasure|and you are|introduce yourself|tell me your name)"),
    ("work", r"(?:what do you do(?: (?:for a living|for work|all day))?|what (?:is|was) your (?:job|work|trade|profession|role|"  # noqa: E501
             r"position|occupation)|what are you|what do you work as|what is it you do|what brings you|what are you doing)"),  # noqa: E501
    ("age", r"(?:how old are you|what is your age|what age are you|when were you born)"),
    ("self", r"(?:(?:tell me |say something |talk )(?:a (?:bit|little) |something |more )?about yourself|what is your story|"  # noqa: E501
             r"what should i know about you|describe yourself)"),
    ("where", r"(?:where are we|where am i|what (?:is this place|place is this)|what is this|where is this|"
              r"what do you call this place)"),
    ("around", r"(?:what (?:do|can) (?:you|we|i) see|what is (?:around|in|there)(?: us| you| this room| the room| this place)?|"  # noqa: E501
               r"describe (?:this place|the room|your surroundings)|what have we got|look around|what is to be seen|"
               r"what can you see)"),
    ("time", r"(?:what time is it|what is the time|have you got the time|what day is it|do you have the time|"
             r"what time of (?:day|year) is it)"),
    ("mood", r"(?:how are you(?: (?:doing|feeling|keeping|getting on))?|how do you do|how is it going|how are things|"
             r"how have you been|are you (?:all right|okay|ok|well)|did you sleep well|how was your (?:day|night|morning)|"  # noqa: E501
             r"you all right|what is up|how do you feel)"),
    ("wares", r"(?:what (?:do|can) you (?:sell|offer|have for sale|trade|stock)|what (?:is|have you got|do you have) for sale|"  # noqa: E501
              r"what are you selling|what can i buy|show me your wares|what goods (?:do you have|have you got)|"
              r"what have you got to sell|what are your prices|what does it all cost)"),
)  # fmt: skip
#: Prices from which goods asked for by their noun are listed; of fewer the search finds the one.
_SOME = 2
_BEFORE_PRICE = re.compile(r"\b(?:costs?|is|are|goes? for|sells? for|comes? to)\b", re.I)
_COMPILED = tuple((kind, re.compile(_OPEN + pattern + _END, re.I)) for kind, pattern in _ASKS)


_GOODS = re.compile(
    _OPEN + r"(?:(?:what|which)(?: (?:other|different))?(?: (?:kinds?|sorts?|types?) of)? (?P<what>[\w' -]{3,24}?) "
    r"(?:do|can|have) you (?:have|got|sell|stock|offer|carry|make|keep)(?: for sale| to sell| in stock)?"
    r"|(?:show me|tell me about|let me see) (?:all )?(?:your|the) (?P<shown>[\w'-]{3,24}))" + _END,
    re.I,
)  # fmt: skip


def goods_asked(text: str) -> str:
    """The goods asked for by their noun: "lamps" in "What kinds of lamps do you have?"; "" for any other turn."""
    match = _GOODS.match(re.sub(r"[?!.]+$", "", text.strip().replace("’", "'")).lower())
    return (match["what"] or match["shown"] or "").strip() if match is not None else ""


def prices_of(goods: str, priced: str) -> bool:
    """Whether a price is of the goods named: "A flask of lamp oil costs two copper" is of oil and of no lamp. Where
    none are named (""), it is."""
    wanted, thing = content(goods), content(_BEFORE_PRICE.split(priced, maxsplit=1)[0])
    return not wanted or (set(wanted) <= set(thing) and stem(thing[-1]) == stem(wanted[-1]))


_KIN = (
    "kids|children|pets?|family|brothers?|sisters?|siblings|wife|husband|girlfriend|boyfriend|partner|hobby|hobbies|"
    "parents"
)
#: Asks the character about its own person and life, and not for what it knows, sells or does here.
_PERSONAL = re.compile(
    r"\b(?:are|were|aren't|weren't) you (?:ever |really |still |even )?(?:married|single|divorced|lonely|happy|sad|"
    r"rich|poor|religious|in love|scared|afraid|born|engaged|an? (?:only child|father|mother|parent))\b"
    r"|\bhow old are you\b|\b(?:where|when|how) (?:did|were) you (?:grow up|born|meet|learn|marry|fall)\b"
    rf"|\byour (?:own )?(?:{_KIN}|favou?rite|birthday|age|mother|father|mum|mom|dad|son|daughter|childhood|surname|"
    r"last name|middle name|star sign|dreams?|weekend)\b"
    r"|\b(?:do|did|don't) you (?:ever |really |still )?(?:like|love|hate|miss|dream|believe in|drink|smoke|sing|dance|"
    rf"cook|pray|cry|have (?:any )?(?:an? )?(?:{_KIN}))\b"
    rf"|\bhave you (?:ever been|ever had|ever killed|got (?:any )?(?:an? )?(?:{_KIN}))\b"
    r"|\bwhat did you (?:have for|eat|dream|want to be)\b",
    re.I,
)


def is_personal(text: str) -> bool:
    """Whether it asks the character about its own person, which nobody simply does not know."""
    return _PERSONAL.search(text.replace("’", "'")) is not None


def asked_of_self(text: str) -> str | None:
    """Which of the first questions a clause is, or None."""
    plain = re.sub(r"[?!.]+$", "", text.strip().replace("’", "'")).lower()
    return next((kind for kind, pattern in _COMPILED if pattern.match(plain)), None)


def first_answer(
    asked: str, character: Character, knowledge: Knowledge, context: Context, chance: random.Random
) -> Reply | None:
    """The answer to one of the first questions, its prices cited; None for any other turn, and where neither card nor
    scene nor facts say."""
    goods = goods_asked(asked)
    kind = "wares" if goods else asked_of_self(asked)
    if kind is None:
        return None
    prices = _prices(goods, character, knowledge, context) if kind == "wares" else []
    if goods and len(prices) < _SOME:
        return None
    words = introduce(kind, character, knowledge.speaker, context, [price for price, _ in prices], chance)
    return cite_all(Reply(words, "self"), prices) if words else None


def _prices(goods: str, character: Character, knowledge: Knowledge, context: Context) -> list[tuple[str, Fact]]:
    """What the character charges, as it would say it, and the fact; for the goods named alone, and nobody else's."""
    index = knowledge.index(context.scene)
    others = {stem(word) for tie in character.relationships for word in tokens(tie.name)}
    found = []
    for candidate in index.candidates:
        fact = knowledge.fact(candidate.fact_id or "") if candidate.origin == "fact" else None
        if fact is None or fact.guarded or fits("price", candidate.text, "", index.meaning.likeness) <= 0:
            continue
        if prices_of(goods, candidate.text) and not others & set(content(candidate.text)):
            found.append((in_first_person(candidate.text, knowledge.speaker), fact))
    return found


def introduce(kind: str, character: Character, speaker: Speaker, context: Context, prices: list[str],
              chance: random.Random) -> str:  # fmt: skip
    """The answer to one of the first questions; "" when the card or scene does not say."""
    role = with_article(character.role)
    if kind == "name":
        return chance.choice((f"I'm {character.name}, {role}.", f"My name is {character.name}. I'm {role}."))
    if kind == "work":
        return f"I'm {role}."
    if kind == "age":
        return f"I'm {character.age}, if you must know." if character.age is not None else ""
    if kind == "self":
        told = set(content(character.role))
        lines = re.split(r"(?<=[.!?])\s+", character.biography)
        first = next((line for line in lines if not told or not told <= set(content(line))), "")
        return (
            f"I'm {character.name}, {role}. {shortened(in_first_person(first, speaker, about_self=True), 16)}".strip()
        )
    scene = context.scene
    if kind == "where":
        place = scene.location if scene is not None else ""
        return f"This is {_lower_article(place)}." if place else ""
    if kind == "around":
        names = [entity.name for entity in scene.entities[:4]] if scene is not None else []
        listed = [name if name[:1].isupper() else f"the {name}" for name in names]
        return f"I see {', '.join(listed[:-1])} and {listed[-1]}." if len(listed) > 1 else ""
    if kind == "time":
        return f"It's {_lower_article(scene.time)}." if scene is not None and scene.time else ""
    if kind == "mood":
        low = context.affect.valence < -0.15 or character.baseline_emotion.valence < -0.05
        return chance.choice(phrases.LOW if low else phrases.FINE).replace("{you}", "")
    if kind == "wares" and prices:
        return shortened(" ".join(prices[:3]), 28)
    return ""


def _lower_article(text: str) -> str:
    return re.sub(r"^(The|A|An|In|On|At|Early|Late|Morning|Evening|Noon)\b", lambda m: m.group(0).lower(), text).rstrip(
        "."
    )
