"""What a player's turn asks: the asking clause, the kind of answer wanted, and how it leans on earlier turns.

Pure and English. Works on recogniser output too: without punctuation or capitals, with misheard words.

    "I'm a cooper and I hate being late. It's Fogday tomorrow, if I'm here at eight will you let me through?"
     └ told ─────────────────────────────┘ └ asking ─────────────────────────────────────────────────────┘
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from npc.dialogue.knowledge.grammar import verb_at
from npc.dialogue.knowledge.words import STOPWORDS, TOPICAL, stem, tokens

Wanted = Literal[
    "who", "where", "when", "price", "count", "howlong", "howoften", "measure", "why", "colour", "which", "whose",
    "how", "what", "yesno", "none",
]  # fmt: skip

_WH = r"(?:what|which|who|whom|whose|when|where|why|how)"
#: Contracted and run-together question words of typed and recognised speech.
_FUSED = (
    (r"\b(what|who|where|when|how|why)s\b", r"\1 is"),
    (r"\b(what|who|where|when|how|why)'s\b", r"\1 is"),
    (r"\b(what|who|where|when|how|why)'re\b", r"\1 are"),
    (r"\b(what|where|when|how)'d\b", r"\1 did"),
    (r"\b(what|who|where|when|how)'ll\b", r"\1 will"),
    (r"\b(what|who|where|how)'ve\b", r"\1 have"),
    (r"\bsposed\b", "supposed"),
    (r"\b(wanna)\b", "want to"),
    (r"\b(gonna)\b", "going to"),
    (r"\ban what\b", "and what"),
)  # fmt: skip
_AUX = (
    r"(?:is|are|was|were|am|do|does|did|can|could|will|would|shall|should|may|might|must|have|has|had|"
    r"isn't|aren't|don't|doesn't|can't|won't)"
)

_PATTERNS: tuple[tuple[Wanted, str], ...] = (
    ("price", r"\bhow (much|dear|expensive|cheap)\b(?! (has|have|had|did|taller|bigger|older|time|longer|further|sleep|water|of that goes)\b)"),  # noqa: E501
    ("price", r"\b(price|cost|fare|fee|toll|charge|charges|charging|rent|wage|salary|bill)\b|\b(what|how much) .*\b(owe|paying|pay|paid|worth|sell for|going for|set me back)\b"),  # noqa: E501
    ("count", r"\bhow many\b|\bnumber of\b"),
    ("howoften", r"\bhow (often|frequently|regularly)\b|\bhow many times\b"),
    ("howlong", r"\bhow long\b|\bhow much (time|longer)\b"),
    ("when", r"\bhow (late|early|soon)\b|\bwhen\b|\bwhat (time|day|date|hour|year|month|season)\b|\bwhich (day|days|evening|morning)\b|\bby when\b|\buntil when\b"),  # noqa: E501
    ("measure", r"\bhow much (has|have|had|did|taller|bigger|older)\b|\bhow (far|deep|high|tall|wide|big|large|heavy|fast|quick|old|strong|hot|cold|thick|hard|warm|small)\b|\bhow (quickly|close|near)\b|\bwhat (height|depth|length|weight|speed|age|size|distance|temperature)\b"),  # noqa: E501
    ("colour", r"\b(what|which) colou?r\b"),
    ("whose", r"\bwhose\b"),
    ("where", r"\bwhere\b|\bwhich (way|street|room|floor|level|aisle|drawer|shelf|door|corridor|side)\b|\bwhat (street|room|floor|level|place|address)\b"),  # noqa: E501
    ("who", r"\bwho\b|\bwhom\b|\bwhich (man|woman|person|one of you)\b|\bwhat('s| is) the name of the \w+(man|er|or|ess|ist)\b"),  # noqa: E501
    ("why", r"\bwhy\b|\bhow come\b|\bfor what reason\b|\bany reason\b|\bwhat for\b"),
    ("which", r"\bwhich\b"),
    ("how", r"\bhow\b"),
    ("what", r"\bwhat\b"),
)  # fmt: skip

#: A question word with its verb turned round: "where do I go", not "where the river bends".
INVERTED = re.compile(
    rf"^(?:and |so |but |then )*{_WH}(?: (?!(?:i|we|you|he|she|they|it)\b)[\w'-]+){{0,3}}? {_AUX}\b", re.I
)

_ELLIPSIS = re.compile(
    r"^(ouch|ok|okay|right|hm+|ah|oh|thanks|good|fine|lovely)?[,.! ]*"
    r"(and|what about|how about|what of|or|but|then|so what about|the other|and the|same for|also)\b",
    re.I,
)
_ANAPHOR = re.compile(
    r"\b(it|its|that|this|those|these|them|they|their|there|one|ones|he|him|his|she|her|hers|then|the other( one)?|same)\b",  # noqa: E501
    re.I,
)
_CORRECTION = (
    re.compile(r"\b(?:i meant|i mean|i said|i asked (?:about|for)|rather|i was asking about)\s+(?:the\s+)?(?P<yes>.+?)(?:,?\s+(?:and\s+)?not\s+(?:the\s+)?(?P<no>[^,.!?]+))?[.!?]*$", re.I),  # noqa: E501
    re.compile(r"^(?:no|nope|sorry|wait|actually)\b.*?\bnot\s+(?:the\s+)?(?P<no>[\w' -]+?)[,;.]\s*(?:the\s+)?(?P<yes>[\w' -]+?)[.!?]*$", re.I),  # noqa: E501
    re.compile(r"^(?:no|nope|sorry|wait|actually)\b[, ]+(?:(?:no|wait|sorry|actually|i meant?)[, ]+)*(?:the\s+)?(?P<yes>[\w' -]+?),?\s+not\s+(?:the\s+)?(?P<no>[\w' -]+?)[.!?]*$", re.I),  # noqa: E501
)  # fmt: skip
_REQUEST = re.compile(
    r"\b(tell me|remind me|explain|describe|i'd like to know|i want to know|i wonder|do you know|any idea|say again|"
    r"would you happen to know|i need to know|let me know|quick test|give me the)\b"
    # "Bet you've forgotten where I have to be." "You'll not remember my name." "State the name of the new hire."
    r"|\byou(?:'ve| have| must have|'ll have| will have|'d)?(?: surely| already| probably| all)? "
    r"(?:forgotten|forgot|forget) (?!it|that\b|about it)"
    r"|\byou(?:'ll| will| do|'ve| can)?(?: never|n't| not| don't| won't| can't) (?:remember|recall)\b"
    r"|\b(?:state|spell|repeat|read)(?: me| us)?(?: back| out)? (?:me )?(?:the|my)"
    r" (?:name|order|number|address|time|date)\b|\bread (?:\w+ ){1,3}back\b"
    r"|\b(?:somebody|someone|anybody|they|people)(?:'s| is| are|'re)? (?:asking|asks?|wants? to know|wondering)"
    r" (?:where|what|who|when|which|how|if)\b",
    re.I,
)


#: "I don't know why I told you that": of oneself, and nothing is asked.
_NOT_KNOWING = re.compile(
    r"^(?:(?:sorry|oh|well|honestly|no),? )*i (?:don't|dont|do not) (?:really )?know (?:why|what|how) "
    r"(?:i|i'm|i'd|i've) (?:ever |even |just )?(?!can\b|could\b|should\b|get\b|do\b|to\b|need\b)\w+[^?]*$"
)
#: "My sister's name, please, for the list.": a thing to be told, named and no more.
_NAMED_THING = re.compile(
    r"^(?:and |so |now |then )*(?:my|our|your|his|her|their|the) (?:[\w'’-]+ ){0,3}"
    r"(?:name|surname|number|age|address|rank|trade|birthday|date)(?: again)?,? (?:please|again|for (?:the|your|my)\b)"
)


@dataclass(frozen=True, slots=True)
class Question:
    """A player turn, understood as far as words go. `asking` is "" when nothing is asked.

    `elliptical`: it leans on what was asked before ("and in winter?"). `corrected`: (meant, not meant) when the player
    sets a misunderstanding right; the second may be "".
    """

    text: str
    asking: str
    told: str
    wanted: Wanted
    elliptical: bool = False
    corrected: tuple[str, str] | None = None

    @property
    def content(self) -> tuple[str, ...]:
        """Stems of the topical words of the asking clause; for elliptical ones also time words and directions."""
        keep = TOPICAL if self.elliptical else frozenset()
        return tuple(stem(w) for w in tokens(self.asking) if (w not in STOPWORDS or w in keep) and len(w) > 1)


def expand(text: str) -> str:
    """Undo contractions that hide a question word: "whens the shuttle" -> "when is the shuttle"."""
    straight = text.replace("’", "'").replace("‘", "'")
    for pattern, replacement in _FUSED:
        straight = re.sub(pattern, replacement, straight, flags=re.I)
    return straight


def sentences(text: str) -> list[str]:
    """Sentences by end punctuation and semicolons; the punctuation stays."""
    return [
        piece.strip() for piece in re.split(r"(?<=[.!?;])(?<!\bMr\.)(?<!\bDr\.)(?<!\bMrs\.)\s+", text) if piece.strip()
    ]


def is_asking(sentence: str) -> bool:
    """Whether a sentence asks: by its mark, its first words, a request for an answer, or, where it has no mark at all,
    a question word anywhere."""
    plain = sentence.strip().lower()
    if _NOT_KNOWING.match(plain):
        return False
    return opens_asking(plain) or (not re.search(r"[.!]$", plain) and bool(re.search(rf"\b{_WH}\b", plain)))


#: What may stand before a question: "good day, is that …", "and since when …".
_OPENING = (
    r"(?:(?:and|so|but|then|now|ok|okay|oh|ah|well|right|hey|hi|hello|yes|no|please|sorry|excuse me|good (?:day|morning"
    r"|evening|afternoon)|morning|evening|afternoon)\b[, ]*)*"
)


def opens_asking(plain: str) -> bool:
    """Whether the form of a sentence, lower case, asks, be it marked or not."""
    if plain.endswith("?") or _REQUEST.search(plain) or re.match(r"^(?:\w+,? )?mind if (?:i|we)\b", plain):
        return True
    if re.match(
        rf"^{_OPENING}(?:(?:since|until|till|by|from|at|to|for|with|about|in|on|of) (?:what|which(?! case)|when|whom|where|how)\b|{_WH}|{_AUX} (?:i|you|he|she|it|we|they|the|there|that|this|my|your|a|an|any|any\w+)|what about|how about)\b",  # noqa: E501
        plain,
    ):
        return True
    if _NAMED_THING.match(plain):
        return True
    # "And if it goes red": 54 of 55 such turns of the written talks ask.
    if re.match(r"^(?:and|but|or|so) (?:if|supposing|suppose|in case)\b[^,]*$", plain):
        return True
    if re.match(
        r"^(?:so |and |now |please |then |just |come on, )*"
        r"(?:name(?!'s| is)|list|describe|explain|spell|remind|recall)\b",
        plain,
    ):
        return True
    return bool(re.search(rf", (?:and |so |but |then )?{_AUX} (?:i|you|we)\b(?!,| believe\b)", plain)) or bool(
        # "That ladder you've got there, is it safe": but "it's quiet, isn't it" is only a tag.
        re.search(
            r", (?:is|are|was|were|does|do|did|can|will|would|could|should|has|have) "
            r"(?:it|he|she|they|that|this|those|there)\b .",
            plain,
        )
    )


def wanted_of(asking: str) -> Wanted:
    """The kind of answer an asking clause wants."""
    plain = asking.lower()
    for wanted, pattern in _PATTERNS:
        if re.search(pattern, plain):
            if wanted == "price" and re.search(r"\b(who|where|when|why|whom) .*\b(pay|charge|bill)\b", plain):
                continue
            if wanted == "when" and re.match(r"^\W*(when|if)\b.*,", plain):
                continue
            return wanted
    return "yesno" if asking else "none"


def understand(text: str) -> Question:
    """Read one player turn."""
    whole = expand(" ".join(text.split()))
    pieces = [part for piece in sentences(whole) for part in unmarked(piece)]
    asking = [piece for piece in pieces if is_asking(piece)]
    told = " ".join(piece for piece in pieces if piece not in asking)
    corrected = _corrected(whole)
    last = asking[-1] if asking else ""
    if len(asking) > 1 and (len(tokens(last)) < 3 or _ANAPHOR.search(last)):
        last = " ".join(asking[-2:])
    if not last and len(pieces) == 1 and _ELLIPSIS.match(whole) and _short(whole):
        last = whole
    elliptical = bool(last) and (
        bool(_ELLIPSIS.match(last) or _ELLIPSIS.match(whole))
        or (_topics(told) <= 1 and (_topics(last) == 0 or (_topics(last) == 1 and bool(_ANAPHOR.search(last)))))
    )
    return Question(
        text=whole,
        asking=last,
        told=told,
        wanted=wanted_of(last) if last else "none",
        elliptical=elliptical,
        corrected=corrected,
    )


_GUESS = re.compile(r",\s*(?!please|then|now|sir|madam)[\w' -]{2,40}\?*\s*$")


def without_guess(asking: str) -> str:
    """Drop a guess at the answer, as in "who is the warden, Marisa?": it must not count as what is asked about."""
    if not re.match(r"^\W*(?:and |so |but )?(?:who|what|which|where|when)\b", asking, re.I):
        return asking
    match = _GUESS.search(asking)
    if match is None or len(tokens(match.group(0))) > 3 or len(tokens(asking[: match.start()])) < 3:
        return asking
    return asking[: match.start()] + "?"


def located(asking: str, place: str) -> str:
    """Say which one "this dome" is, when the place's description names it: "Pump room of the Fourth Dome"."""

    def name(match: re.Match[str]) -> str:
        noun = match.group(2)
        found = re.search(rf"((?:[A-Z][\w'-]+ )+)(?i:{noun})\b", place)
        return f"the {found.group(0)}" if found else match.group(0)

    return re.sub(r"\b(this|our) (\w+)\b", name, asking, flags=re.I)


#: Words after which a question word belongs to the same clause: "tell me where", "to what", "and how".
_JOINED = "know knows tell me wonder ask say see remember show sure idea of and or about to on for from in at by with that is or so"  # noqa: E501
_JOINS = frozenset(_JOINED.split())


#: A question without a question word where nothing parts it from what was told: "… on the early train do you know it".
_TURNED = re.compile(
    r"(?:do|does|did|can|could|will|would|have|has|are) (?:i|we|you|they|he|she|it|there)"
    r"|is (?:he|she|it|there|that|this)",
    re.I,
)
#: Words that are the subject of the verb behind them, and verbs that a recogniser writes as one with theirs.
_SUBJECTS = frozenset(("i", "we", "you", "he", "she", "it", "they", "that", "this", "there", "who", "which", "what"))
_RUN_TOGETHER = frozenset(("im", "ive", "id", "ill", "hes", "shes", "its", "weve", "were", "theyre", "youre"))


def unmarked(sentence: str) -> list[str]:
    """Part what is told from what is asked where a recogniser gave no marks: "first day here | where do i walk"."""
    if re.search(r"[.!?,;:]", sentence):
        return [sentence]
    words = sentence.split()
    for at in range(3, len(words) - 2):
        opens = re.fullmatch(_WH, words[at], re.I) or (
            _TURNED.fullmatch(f"{words[at]} {words[at + 1]}")
            and words[at - 1].lower() not in _SUBJECTS
            and (verb_at(words[:at]) is not None or _RUN_TOGETHER & {word.lower() for word in words[:at]})
        )
        if opens and words[at - 1].lower() not in _JOINS and not is_asking(" ".join(words[:at])):
            return [" ".join(words[:at]) + ".", " ".join(words[at:])]
    return [sentence]


def _short(text: str) -> bool:
    """Few words, or some more without a verb: "and for the scrape and polish"."""
    words = tokens(text)
    return len(words) <= 4 or (len(words) <= 8 and verb_at(words) is None)


def _topics(text: str) -> int:
    return sum(word not in STOPWORDS for word in tokens(text))


def leans(question: Question) -> bool:
    """Whether the asking clause has a word that points back ("it", "there", "that one")."""
    return bool(_ANAPHOR.search(question.asking))


def _corrected(text: str) -> tuple[str, str] | None:
    if not re.search(r"\b(no|sorry|not|meant|mean|wait|actually)\b", text, re.I) or len(tokens(text)) > 24:
        return None
    for pattern in _CORRECTION:
        match = pattern.search(text)
        if match is None:
            continue
        yes, no = (match.group("yes") or "").strip(), (match.groupdict().get("no") or "").strip()
        starts = re.match(r"^(no|nope|sorry|wait|actually|oh)\b", text, re.I)
        if yes and (no or starts) and len(tokens(yes)) <= 8:
            return yes, no
    return None
