"""Turns that keep a talk going and need no fact: being asked to say it again, whether one is sure, what else there is,
what one is good for, whether anybody is there ("grounding" and "repair" in conversation analysis).

    "Sorry, what was that?"   repeat     the last reply once more, with what it cited
    "What do you mean?"       meaning    the same, put as an explanation
    "Really?"                 sure       that it is so
    "Go on."                  more       something near to what was told last, not told yet
    "Tell me something."      anything   something not told yet
    "Can you help me?"        help       what this character can do for the player
    "What did I just say?"    echo       the player's last words
    "Is anybody there?"       presence   a greeting
    "Tell me a secret."       secret     a deflection
    "Do you speak Spanish?"   language   the languages of the card
    "What would you do?"      advice     that this is the player's own to choose

Only a turn that is nothing else is one of these: "what was that noise?" and "tell me more about the bridge" are left to
the search. They are never requests for a deed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from npc.dialogue.character import ActionSpec, Character
from npc.dialogue.composed import phrases
from npc.dialogue.composed.features import Candidate
from npc.dialogue.composed.speech import with_article
from npc.dialogue.context import Context
from npc.dialogue.knowledge.words import STOPWORDS, content, stem

Move = Literal[
    "repeat", "meaning", "sure", "more", "anything", "help", "echo", "presence", "secret", "language", "advice"
]

REPEATED = ("I said: {text}", "Once more, then. {text}", "As I said: {text}")
MEANT = ("Just that: {text}", "What I said: {text}")
NOTHING_SAID = ("I hadn't said a thing yet.", "I've said nothing so far{you}.")
SURE = ("As sure as I'm standing here.", "Quite sure{you}.", "That's how I know it.", "Yes, or I'd not say it.")
NO_DOUBT = ("I mean what I say{you}.", "I'd tell you if it were otherwise.")
NO_MORE = (
    "That's about all there is to it.",
    "That's all I can tell you of that.",
    "There's no more to it that I know.",
)
ECHOED = ('You said: "{text}"', 'Your words were: "{text}"')
NOTHING_HEARD = ("You hadn't said anything yet.", "Not a word so far{you}.")
PRESENT = ("I'm here{you}.", "Right here{you}. What is it?", "Yes, I hear you.")
NO_SECRETS = ("I've none worth the telling.", "Ask what you like, I've nothing to hide.")
ADVICE = (
    "That's yours to decide{you}. Ask me what I know, and choose by that.", "In your place? I'd sleep on it first.",
    "I can tell you what I know{you}. What to do with it is up to you.", "I'd not rush it, that's all I'd say.",
    "Hard to say from where I stand. What does your own head tell you?",
)  # fmt: skip
PLEASED = ("Pleased to meet you, {name}.", "Good to meet you, {name}.", "{name}, is it? Welcome.")
COMFORT = (
    "I'm sorry to hear that{you}.", "That's hard. I'm sorry.", "I'm sorry. Do you want to talk about it?",
    "That must weigh on you.", "Oh, I'm sorry{you}. Take your time.", "I wish I could make that lighter.",
)  # fmt: skip

_LEAD = r"(?:(?:oh|ah|um|hm|well|so|okay|ok|and|but|wait|hey|please|sorry|excuse me|hello|hi|now|then|yes|no)\W+)*"
_TAIL = r"(?:\W+(?:please|then|now|again|sir|madam|friend|to me|for me|once more|here|today|though))*\W*"
_IT = "(?:that|it|this|what you said|you)"
_ME = "(?: (?:me|us))?"
_TONGUES = "english spanish german french italian portuguese dutch polish russian arabic turkish hindi chinese japanese"
#: Whole turns by move, alternatives parted by " / ".
_TURNS: dict[Move, str] = {
    "repeat": f"""what / huh / eh / pardon(?: me)? / come again / say {_IT} / repeat {_IT}(?: again)? / you what /
        (?:can|could|would|will) you (?:say|repeat) {_IT} / what (?:did|was it) you (?:just )?(?:say|said) /
        what was that / one more time / i missed that / (?:can you )?speak up /
        i (?:didn't|did not|couldn't|could not|can't) (?:quite )?(?:catch|hear|get) {_IT}""",
    "meaning": """what do you mean(?: by that)? / what does that mean / what is that supposed to mean /
        how do you mean / i (?:don't|do not) (?:understand|get it|follow)(?: that| you)?""",
    "sure": """really / seriously / honestly / truly / for real / no way / is that (?:so|true|right|a fact) /
        are you (?:really |quite |absolutely )?(?:sure|certain|serious)(?: about (?:that|it)| of (?:that|it))? /
        you(?:'re| are) (?:sure|certain) / you must be joking""",
    "more": f"""(?:can you |could you )?tell{_ME} (?:some)?(?:more|the rest)(?: (?:about|of) (?:it|that|this|them))? /
        more / go on / carry on / continue / keep (?:going|talking) / and then(?: what)? / anything (?:else|more) /
        what (?:else|more)(?: is there| do you know| can you tell{_ME})? /
        is there (?:anything|any) (?:else|more) / is there more""",
    "anything": f"""tell{_ME} (?:something|anything)(?: (?:interesting|new|funny|good|about th(?:is|e) place))? /
        say something / surprise me / (?:is there |have you )?(?:any|got any) (?:news|gossip|rumou?rs) /
        what(?:'s| is) (?:new|the news|the gossip) / tell{_ME} a story / what do you know /
        what can you tell{_ME}(?: about th(?:is|e) place)?""",
    "help": f"""(?:can|could|will|would) you help{_ME}(?: out)? / i need (?:some |your )?help / help me(?: out)? /
        how can you help{_ME} / what can (?:i|we|one) (?:do|get|ask(?: you)?)(?: for)? / what is there to do /
        what (?:can|could) you do(?: for (?:me|us))? / what (?:should|could|shall) i ask(?: you)? /
        what (?:can|could|should) we (?:talk about|do) / what are my options / what are you (?:here|good) for""",
    "echo": """what (?:did|have) i (?:just )?(?:say|said|tell you|told you|ask(?:ed)?(?: you)?) / where were we /
        what was (?:my question|i saying) / what (?:were|are) we (?:just )?talking about""",
    "presence": """(?:is )?(?:anybody|anyone|somebody|someone) (?:there|here|in|home) / (?:can|do|did) you hear me /
        are you (?:still )?(?:there|here|listening|awake)""",
    "secret": f"""(?:tell|share|give){_ME} (?:a|your|one|some|any|one of your|another)(?: \\w+)? secrets? /
        what(?:'s| is| are) your (?:\\w+ )?secrets? / what are you hiding(?: from (?:me|us))? /
        (?:do you have|have you(?: got)?|got) (?:any |a |some )?secrets? / are you hiding (?:something|anything)""",
    "language": f"""(?:do|can) you (?:speak|know|understand) (?:{_TONGUES.replace(" ", "|")}) / what do you speak /
        (?:which|what) languages? (?:do|can) you (?:speak|know)""",
    "advice": """(?:what|how) would you do(?: (?:it|that))?(?: (?:if you were me|in my (?:place|shoes|position)))? /
        what (?:should|shall|do|would) (?:i|we) (?:do|say)(?: now| next| about (?:it|that|this))? /
        what (?:do|would) you (?:advise|suggest|recommend)(?: (?:i|we) do)?(?: me)? /
        what do you think (?:i|we) should do(?: now| next| about (?:it|that|this))? /
        (?:do you have|have you(?: got)?|got|any) (?:any |some )?advice(?: for (?:me|us))?""",
}


def _whole(turns: str) -> re.Pattern[str]:
    alternatives = "|".join(re.split(r"\s+/\s+", turns.strip()))
    return re.compile(f"{_LEAD}(?:{alternatives}){_TAIL}", re.I)


_MOVES = tuple((move, _whole(turns)) for move, turns in _TURNS.items())

#: ISO 639-1 codes as a character would name them.
LANGUAGES = {
    "en": "English", "de": "German", "es": "Spanish", "fr": "French", "it": "Italian", "pt": "Portuguese",
    "nl": "Dutch", "pl": "Polish", "ru": "Russian", "ar": "Arabic", "tr": "Turkish", "hi": "Hindi",
    "zh": "Chinese", "ja": "Japanese", "ko": "Korean", "el": "Greek", "sv": "Swedish",
}  # fmt: skip
_REPEATING = re.compile(r"^(?:I said|Once more, then|As I said|Just that|What I said)[:.] ")
_PLAYER = re.compile(
    r"\b(?:the|a) (?:player|visitor|customer|caller|guest|patient|user|traveller)\b(?=\W*$|,|"
    r" (?:to|for|from|with|across|in|into|on|at|by|of|over|through|a|an|the|something|what|where)\b)",
    re.I,
)
#: What a plain fact is about: "The storm lamp costs …", "A ticket costs …", "Rope is …".
_SUBJECT = re.compile(
    r"(?P<article>(?:The|A|An) |)(?P<thing>(?:(?!is |are )[A-Za-z][\w'-]* ){1,3}?)(?P<verb>costs?|is|are|opens?|"
    r"closes?|holds?|stands?|begins?|starts?|lasts?|leaves?|lives?|belongs?|comes?|burns?|sells?)\b"
)
#: Words that only say yes, and ask for a deed where one was offered.
_ASSENT = re.compile(
    r"(?:(?:yes|yeah|yep|aye|ok|okay|sure|fine|all right|alright|please|good|right|do|very well|of course|"
    r"no|nope|thanks|thank you|no thank you)\W*)+",
    re.I,
)
_OFFERED = re.compile(r"\?|\b(?:shall|could|can|would|want|if you like)\b", re.I)
#: Offers named at most: more is a menu, not an answer.
_OFFERS = 3

_LEAVING = re.compile(
    r"\b(?:goodbye|bye|farewell|see you|good night|so long|i must go|i'm off now)\b|"
    r"\b(?:i (?:should|must|had better|better|have to|need to|ought to)|i'd better|i've got to|i gotta) "
    r"(?:go|leave|run|be (?:going|off|on my way)|get going|head (?:off|back|home))(?: now| then| home)?(?=[.,;!]|$)|"
    r"\bi(?:'m| am) (?:leaving|going now|heading (?:off|home|back)|on my way)(?: now| then)?(?=[.,;!]|$)",
    re.I,
)


def takes_leave(text: str) -> bool:
    """Whether somebody says goodbye, or that they have to go."""
    return _LEAVING.search(text.replace("’", "'")) is not None


def move_of(text: str) -> Move | None:
    """Which of these a whole turn is, or None."""
    said = re.sub(r"\s+", " ", text.replace("’", "'")).strip()
    if not said or len(said.split()) > 12:
        return None
    return next((move for move, pattern in _MOVES if pattern.fullmatch(said)), None)


@dataclass(frozen=True, slots=True)
class Ground:
    """How such a turn is answered: one of `lines` with `values` filled in and `fact_ids` cited, or `tell` told."""

    lines: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    fact_ids: tuple[str, ...] = ()
    tell: Candidate | None = None


def ground(move: Move, character: Character, context: Context, open_candidates: Sequence[Candidate],
           chance: random.Random) -> Ground:  # fmt: skip
    """The answer to such a turn. `open_candidates`: what may be told this player now, facts and the
    speaker's life; for "secret" the secrets that are open."""
    before = [exchange for exchange in context.history if exchange.reply or exchange.player]
    last = next((exchange for exchange in reversed(before) if exchange.reply), None)
    match move:
        case "repeat" | "meaning":
            if last is None:
                return Ground(NOTHING_SAID)
            text = _REPEATING.sub("", last.reply)
            return Ground(REPEATED if move == "repeat" else MEANT, {"text": text}, last.fact_ids)
        case "sure":
            return Ground(SURE if last is not None and last.fact_ids else NO_DOUBT)
        case "echo":
            words = next((exchange.player for exchange in reversed(before) if exchange.player), "")
            return Ground(ECHOED, {"text": words.strip()}) if words else Ground(NOTHING_HEARD)
        case "presence":
            return Ground(PRESENT)
        case "secret":
            told = {fact for exchange in before for fact in exchange.fact_ids}
            if opened := [c for c in open_candidates if c.fact_id not in told and c.part == 0]:
                return Ground(tell=opened[0])
            return Ground(phrases.LOCKED if any(fact.is_secret for fact in character.facts) else NO_SECRETS)
        case "advice":
            return Ground(ADVICE)
        case "language":
            return Ground((spoken_languages(character),))
        case "help" if all(offer(character) not in exchange.reply for exchange in before):
            return Ground((offer(character),))
    told = {fact for exchange in before for fact in exchange.fact_ids}
    said = " ".join(exchange.read for exchange in before)
    left = [c for c in open_candidates if c.fact_id not in told and c.text not in said and c.part == 0]
    about = next((exchange.read for exchange in reversed(before) if exchange.fact_ids), "") if move == "more" else ""
    if about:
        near = nearest(about, [c.text for c in left])
        return Ground(tell=left[near]) if near is not None else Ground(NO_MORE)
    facts = [c for c in left if c.fact_id is not None] or left
    return Ground(tell=chance.choice(facts)) if facts else Ground(NO_MORE)


def is_empty_assent(text: str, before: str) -> bool:
    """Whether a turn only says yes or no to something, and `before`, the reply it follows, offered nothing."""
    return _ASSENT.fullmatch(text.strip()) is not None and _OFFERED.search(before) is None


def offer(character: Character) -> str:
    """What this character can do for the player, and what it can be asked about."""
    undoing = {spec.compensate for spec in character.actions}
    specs = [spec for spec in character.actions if spec.name not in undoing and spec.permission == "anyone"]
    deeds = [offered(spec) for spec in specs if 2 <= len(offered(spec).split()) <= 10][:_OFFERS]
    able = f"I can {_listed(deeds)}." if deeds else f"I'm {with_article(character.role)}."
    return f"{able} {ask_about(character)}".strip()


def ask_about(character: Character) -> str:
    """An invitation to ask about what the first open facts are about; "" where none says so plainly."""
    named: dict[str, str] = {}
    written = " ".join((character.biography, *(fact.text for fact in character.facts)))
    for fact in character.facts:
        match = None if fact.is_secret else _SUBJECT.match(fact.text)
        if match is not None and len(named) < _OFFERS:
            thing = f"{match['article']}{match['thing'].strip()}"
            first = thing.split()[0]
            common = match["article"] or match["verb"] == "are" or re.search(rf"\b{first.lower()}\b", written)
            if thing.split()[-1].lower() in STOPWORDS:
                continue
            named.setdefault(stem(thing.split()[-1].lower()), thing[:1].lower() + thing[1:] if common else thing)
    return f"Ask me about {_listed(list(named.values()))}." if named else ""


def _listed(words: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def offered(spec: ActionSpec) -> str:
    """An action's description as something offered: "Sell goods to the player." -> "sell goods to you"."""
    first = re.split(r"[.;(:]", spec.description.strip(), maxsplit=1)[0].strip()
    return _PLAYER.sub("you", first[:1].lower() + first[1:])


def spoken_languages(character: Character) -> str:
    """ "I speak English and German." """
    names = [LANGUAGES.get(code.split("-")[0].lower(), code) for code in character.languages]
    return f"I speak {' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))}."


def nearest(told: str, others: Sequence[str]) -> int | None:
    """Index of the text that shares most content words with what was told; None where none shares any."""
    about = {stem(word) for word in content(told)}
    shared = [len(about & {stem(word) for word in content(text)}) for text in others]
    best = max(range(len(others)), key=lambda i: shared[i], default=None)
    return best if best is not None and shared[best] else None
