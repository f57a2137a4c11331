"""Facts into the character's own mouth: the third person becomes "I", a full sentence becomes an answer.

    Odrin's sister Wenna keeps the eel smokery.      ->  My sister Wenna keeps the eel smokery.
    She took the desk nobody wanted. (biography)     ->  I took the desk nobody wanted.
    A near miss must be reported to Raf.             ->  A near miss must be reported to me.
    The player owes Raf two coins.                   ->  You owe me two coins.
    I'm a cooper by trade. (said by the player)      ->  You're a cooper by trade.

Rules only; a name that is not the character's is never touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from npc.dialogue.knowledge.grammar import AUXILIARIES, BASES, PAST_FORMS, PREPOSITIONS, THIRD_TO_BASE
from npc.dialogue.knowledge.words import names_in, tokens

_PRONOUNS = {
    "she": ("she", "her", "her", "hers", "herself"),
    "he": ("he", "him", "his", "his", "himself"),
    "they": ("they", "them", "their", "theirs", "themself"),
    "it": ("it", "it", "its", "its", "itself"),
}
_TO_FIRST = {
    "is": "am",
    "was": "was",
    "has": "have",
    "does": "do",
    "isn't": "am not",
    "doesn't": "don't",
    "hasn't": "haven't",
}
_TITLE_WORDS = (
    "mr mrs ms miss dr doctor sister brother father mother captain sergeant nurse old young lady lord sir unit"
)
_TITLES = frozenset(_TITLE_WORDS.split())
#: Other people of the same gender as the speaker: then "she" may be one of them.
_FEMALE = re.compile(
    r"\b(mother|mum|sister|wife|daughter|aunt|niece|grandmother|woman|girl|lady|queen|widow|cook|captain)\b", re.I
)
_MALE = re.compile(
    r"\b(father|dad|brother|husband|son|uncle|nephew|grandfather|man|boy|lord|king|cook|captain)\b", re.I
)


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks: full name, and the pronoun others use ("she", "he", "they", "it")."""

    name: str
    pronoun: str = "they"

    @property
    def names(self) -> tuple[str, ...]:
        """The full name and each part of it that is no title, longest first."""
        words = [part.strip(",;") for part in self.name.split()]
        parts = [part for part in words if part.lower().strip(".") not in _TITLES and len(part) > 2]
        whole = [self.name] if len(self.name.split()) > 1 else []
        return tuple(dict.fromkeys([*whole, *parts]))


def mentions(text: str, speaker: Speaker) -> bool:
    """Whether the text names the speaker."""
    return any(re.search(rf"\b{re.escape(name)}\b", text) for name in speaker.names)


def names_others(text: str, speaker: Speaker) -> bool:
    """Whether a sentence that names the speaker names somebody or something else as well; true for all others."""
    own = {word for name in speaker.names for word in tokens(name)}
    return not mentions(text, speaker) or bool(set(names_in(text)) - own)


def in_first_person(text: str, speaker: Speaker, *, about_self: bool = False) -> str:
    """Let the speaker say a sentence about themselves. `about_self`: a bare pronoun at the start means the speaker too
    (a biography). Sentences already in the first person, or about others, come back unchanged but for "the player",
    who is the one spoken to."""
    text = _addressed(text)
    if re.search(r"\b(I|I'm|I've|I'd|my|My)\b", text):
        return text
    shielded = _titled(text, speaker)
    if _SHIELD in shielded and _SHIELD not in text:
        return in_first_person(shielded, speaker, about_self=about_self).replace(_SHIELD, "")
    text = shielded
    named = mentions(text, speaker)
    if not named and not about_self:
        return text
    result = text
    first_named = next((name for name in speaker.names if re.search(rf"\b{re.escape(name)}\b", result)), None)
    subject = (
        first_named is not None
        and re.match(rf"^(?:[A-Z][\w, ]*?,? )?{re.escape(first_named)}\b(?!'s)", result) is not None
    )
    for name in speaker.names:
        result = re.sub(rf"\b{re.escape(name)}'s\b", "my", result)
    for name in speaker.names:
        result = _swap_name(result, name, speaker)
    nominative, accusative, possessive, _, reflexive = _PRONOUNS.get(speaker.pronoun, _PRONOUNS["they"])
    others = _FEMALE if nominative == "she" else _MALE
    shared = nominative in ("she", "he") and others.search(text) is not None and not subject
    opens = re.match(rf"^(?:[^,.;]*, )?{nominative}\b", result, re.I) is not None
    if (subject or about_self) and (not shared or opens or subject) and nominative in ("she", "he"):
        result = re.sub(rf"\b{nominative}\b(?: ({'|'.join(_ADVERBS)}))? (\w+(?:'t)?)", _first_verb, result, flags=re.I)
        result = re.sub(rf"\b{reflexive}\b", "myself", result, flags=re.I)
        if nominative == "she":
            result = re.sub(
                r"\bher\b(?= (?:\w+ )?\w+)(?! (?:was|is|had|and|in|on|by|to|that|before|after|when|about|who|the|a|an)\b)",  # noqa: E501
                "my",
                result,
                flags=re.I,
            )
            result = re.sub(r"\bher\b", "me", result, flags=re.I)
        else:
            result = re.sub(r"\bhis\b", "my", result, flags=re.I)
            result = re.sub(rf"\b{accusative}\b", "me", result, flags=re.I)
        if re.match(r"^(?:[^,.;]{0,60}, )?I\b", result):
            result = re.sub(_COORDINATED, lambda m: f"{m.group(1)}{m.group(2) or ''}{_agree(m.group(3))}", result)
            result = re.sub(r"\b(and|but) (is|has)\b", lambda m: f"{m.group(1)} {_agree(m.group(2))}", result)
    if about_self and nominative in ("she", "he"):
        result = re.sub(rf"^(?:{possessive if nominative == 'he' else 'her'})\b", "My", result, flags=re.I)
    result = re.sub(rf"\bI ({'|'.join(_ADVERBS)}) (\w+)", lambda m: f"I {m.group(1)} {_agree(m.group(2))}", result)
    return _capital(re.sub(r"\bi\b", "I", result))


_ADVERBS = (
    "never",
    "always",
    "also",
    "still",
    "often",
    "once",
    "only",
    "now",
    "secretly",
    "then",
    "just",
    "has",
    "had",
)

#: A further verb of the same subject: "..., names them" and "... and is the only person".
_COORDINATED = re.compile(
    rf"((?:,|\band|\bbut) )((?:{'|'.join(_ADVERBS)}|\w+ly) )?({'|'.join(sorted(THIRD_TO_BASE))}|is|has)"
    r"(?= (?:the|a|an|my|them|him|it|me|you|her|his|no|only|up|down|every|seen|been|worked|never|\w+ing)\b)"
)


_TO_SECOND = {"is": "are", "isn't": "aren't", "was": "were", "wasn't": "weren't"}


def _addressed(text: str) -> str:
    """ "The player owes Brann money" -> "You owe Brann money"."""

    def swap(match: re.Match[str]) -> str:
        verb = match.group("verb") or ""
        said = f"you {_TO_SECOND.get(verb) or _agree(verb, sure=len(verb) > 3)}".strip()
        return "your" if match.group("own") else said

    found = re.sub(r"\bthe player(?:(?P<own>'s)|(?: (?P<verb>[a-z]+(?:'t)?))?)(?![\w'])", swap, text, flags=re.I)
    return text if found == text else re.sub(r"(?:^|(?<=[.!?] ))[a-z]", lambda m: m.group().upper(), found)


def _first_verb(match: re.Match[str]) -> str:
    adverb, verb = match.group(1), match.group(2)
    if adverb in ("has",):
        return f"I have {verb}"
    return " ".join(part for part in ("I", adverb, _agree(verb, sure=True)) if part)


def _agree(verb: str, *, sure: bool = False) -> str:
    """The first-person form of a verb in the third person: "keeps" -> "keep", "is" -> "am"; others unchanged. `sure`:
    it stands where a verb must, so one that is not listed is changed too ("waltzes" -> "waltz")."""
    lower = verb.lower()
    if lower in _TO_FIRST:
        return _TO_FIRST[lower]
    if lower in AUXILIARIES:
        return verb
    if sure and lower not in THIRD_TO_BASE and lower not in _NO_VERBS and re.search(r"[^\Wsui]s$", lower):
        if re.search(r"(?:[sx]|z|ch|sh|o)es$", lower):
            return verb[:-2]
        return f"{verb[:-3]}y" if re.search(r"[^aeiou]ies$", lower) else verb[:-1]
    return THIRD_TO_BASE.get(lower, verb)


#: Words in -s that stand between a pronoun and its verb.
_NO_VERBS = frozenset({"always", "sometimes", "perhaps", "besides", "afterwards", "nevertheless"})


def _swap_name(text: str, name: str, speaker: Speaker) -> str:
    """Replace the speaker's name by I (with its verb) or me, by where it stands. A surname behind another's first name
    stays ("Pauline Roe")."""
    surname = name != speaker.name and speaker.name.endswith(f" {name}")

    def swap(match: re.Match[str]) -> str:
        front = text[: match.start()]
        if surname and (given := re.search(r"\b([A-Z][a-z]+) $", front)) and given[1].lower() not in _TITLES:
            return match.group()
        before = re.findall(r"[\w']+", front.lower())
        last = before[-1] if before else ""
        opens = not last or front.rstrip().endswith(",")
        following = match.group(1) or ""
        if following and last not in PREPOSITIONS and last not in ("and", "or", "not", "than", "like"):
            lower = following.lower()
            if (
                lower in _TO_FIRST
                or lower in AUXILIARIES
                or lower in THIRD_TO_BASE
                or lower.endswith("ed")
                or opens
                or _adverb(lower)
            ):
                return f"I {_agree(following, sure=opens and not _adverb(lower))}"
        return "me" + (f" {following}" if following else "")

    return re.sub(rf"\b{re.escape(name)}\b(?: (\w+(?:'t)?))?", swap, text)


#: Titles of one gender only, by the pronoun of those who bear them.
_OF_GENDER = {"she": "mrs ms miss madam lady sister mother", "he": "mr sir lord brother father"}
#: A letter that keeps a name from being found.
_SHIELD = "\u02b9"


def _titled(text: str, speaker: Speaker) -> str:
    """ "Mrs Stoakes heard it" -> "Stoakes heard it", of a speaker called she; "Mr Stoakes" is somebody else's name, and
    is shielded."""
    gendered = speaker.pronoun in _OF_GENDER
    others = {
        word
        for pronoun, words in _OF_GENDER.items()
        for word in words.split()
        if gendered and pronoun != speaker.pronoun
    }
    own = {part.lower().strip(".") for part in speaker.name.split()}

    def swap(match: re.Match[str]) -> str:
        title = match.group(1).lower()
        foreign = title in others and title not in own
        return f"{match.group(1)} {_SHIELD}" if foreign else ""

    last = speaker.names[-1] if speaker.names else ""
    titles = "|".join(word.capitalize() for words in _OF_GENDER.values() for word in words.split())
    return re.sub(rf"\b({titles})\.? (?={re.escape(last)}\b)", swap, text) if last and last != speaker.name else text


def _adverb(word: str) -> bool:
    return word in _ADVERBS or word.endswith("ly")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_SECOND = (
    (r"\b[Ii] am\b", "you are"), (r"\b[Ii]'m\b", "you're"), (r"\b[Ii]m\b", "you're"), (r"\b[Ii] was\b", "you were"),
    (r"\b[Ii]'?ve\b", "you've"), (r"\b[Ii]'d\b", "you'd"), (r"\b[Ii]'ll\b", "you'll"), (r"\bmyself\b", "yourself"),
    (r"\bmine\b", "yours"), (r"\b[Mm]y\b", "your"), (r"\bme\b", "you"), (r"\b[Ii]\b", "you"),
    (r"\bwe're\b", "you're"), (r"\bwe've\b", "you've"), (r"\bwe\b", "you"), (r"\bWe\b", "you"), (r"\bour\b", "your"),
    (r"\bus\b", "you"),
)  # fmt: skip


#: The player's "you" is the speaker: a subject before one of these, else an object.
_YOU_FUSED = (
    (r"\byou're\b", "I'm"), (r"\byou've\b", "I've"), (r"\byou'd\b", "I'd"), (r"\byou'll\b", "I'll"),
    (r"\byouve\b", "I've"), (r"\byoure\b", "I'm"), (r"\byou are\b", "I am"), (r"\byou were\b", "I was"),
)  # fmt: skip


def in_second_person(text: str) -> str:
    """Say back to the player what they said of themselves: "My dog is Biscuit" -> "your dog is Biscuit", "you sold me
    a saddle" -> "I sold you a saddle"."""
    # What becomes the speaker's is kept apart by marks until the player's "I" has become "you".
    result = text.replace("’", "'")
    for pattern, words in _YOU_FUSED:
        result = re.sub(pattern, words.replace("I", "\x01", 1), result, flags=re.I)
    result = re.sub(r"\byou\b(?= (\w+))", _you_before, result, flags=re.I)
    marks = {"you": "\x02", "your": "\x03", "yours": "\x04", "yourself": "\x05"}
    result = re.sub(r"\b(you|your|yours|yourself)\b", lambda m: marks[m.group(1).lower()], result, flags=re.I)
    for pattern, replacement in _SECOND:
        result = re.sub(pattern, replacement, result)
    for mark, word in (("\x01", "I"), ("\x02", "me"), ("\x03", "my"), ("\x04", "mine"), ("\x05", "myself")):
        result = result.replace(mark, word)
    return re.sub(r"\byou was\b", "you were", re.sub(r"\byou am\b", "you are", result))


def _you_before(match: re.Match[str]) -> str:
    word, before = match.group(1).lower(), match.string[: match.start()].split()
    opens = not before or before[-1].endswith((",", ";", ":")) or before[-1].lower() in _CLAUSE_OPENERS
    verb = word in AUXILIARIES or word in BASES or word in PAST_FORMS
    return "\x01" if verb and opens else match.group(0)


_OPENERS = """
and but that if when because so as what since think said after before until till unless while where how whether though
once than
"""
_CLAUSE_OPENERS = frozenset(_OPENERS.split())


def decapitalised(text: str) -> str:
    """Lower the first letter unless the first word is a name or "I"."""
    head = text.split(" ", 1)[0]
    if head in (
        "The",
        "A",
        "An",
        "In",
        "On",
        "At",
        "From",
        "No",
        "My",
        "Only",
        "It",
        "There",
        "When",
        "Nobody",
        "Live",
        "Open",
        "You",
        "Your",
        "We",
        "This",
        "That",
        "Every",
        "One",
        "Two",
        "Three",
        "Her",
        "His",
        "She",
        "He",
        "They",
    ):
        return text[:1].lower() + text[1:]
    return text


def shortened(text: str, words: int) -> str:
    """At most `words` words, cut at the last clause end before that, so a long biography sentence stays speakable."""
    if len(text.split()) <= words:
        return text
    cut = " ".join(text.split()[:words])
    end = max(cut.rfind(mark) for mark in (";", ",", ":", " —", " and ", " but ", " because "))
    if end < len(cut) // 3:
        return cut.rstrip(",;:") + "."
    return cut[:end].rstrip(" ,;:") + "."


def with_article(role: str) -> str:
    """ "travelling merchant" -> "a travelling merchant"; roles with "of the" are the only one: "the toll-keeper of …"."""  # noqa: E501
    if re.match(r"(the|a|an|one of|my|our)\b", role, re.I):
        return role
    if re.search(r"\bof (the|this|our)\b", role):
        return f"the {role}"
    first = (tokens(role) or ["x"])[0]
    silent = first in ("heir", "honest", "hour", "honorary") or re.match(r"(?!uni|eu|one|use)[aeiou]", first)
    return f"{'an' if silent else 'a'} {role}"
