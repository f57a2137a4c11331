"""What a player's words do, as the conditions of secrets ask for it: say, show, promise, introduce, ask kindly.

Doubt means no: a sentence that denies, imagines, asks, or speaks of somebody else does nothing for the player.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from npc.dialogue.knowledge.grammar import verb_at
from npc.dialogue.knowledge.words import STOPWORDS, alike, stem, tokens
from npc.inference.encoder import SentenceEncoder

_ACTS = {
    "said": "say says claim claims state states mention mentions admit admits declare declares tell tells is are",
    "asked": "ask asks asked enquires inquires",
    "shown": """show shows name names give gives offer offers present presents produce produces carry carries bring
        brings prove proves""",
    "frame": """knows know password passphrase codeword code word phrase they them their she he him her that who has
        have had been being about how what work works kindly politely gently nicely after sincerely properly first already player visitor from with
        for out aloud clearly truthfully honestly something someone whether own of""",  # noqa: E501
}
_ASKED = frozenset(_ACTS["asked"].split())
_KINDLY = frozenset(("kindly", "politely", "gently", "nicely"))
#: Words of a condition that frame it; the others are what must be talked about.
_FRAME = frozenset(word for words in _ACTS.values() for word in words.split())
_DENIED = re.compile(
    r"\b(not|n't|never|no longer|isn't|wasn't|aren't|dont|cannot|pretend|pretending|lie|lying)\b", re.I
)
_IMAGINED = re.compile(
    r"\b(if (i|you|we|somebody|someone)|suppose|supposing|imagine|pretend|hypothetically|what if|would you|wish i|"
    r"let's say|say i|as if|act as|wanted to be|used to be|want to be|were i)\b",
    re.I,
)
_OTHERS = re.compile(r"\b(my|his|her|their|a|the|your) (\w+ )?(\w+) (is|was|says|said|told|has|knows|works)\b", re.I)
_CUE = re.compile(
    r"\b(pass ?word|passphrase|code ?word|the word|code|phrase|say|said|told|whisper\w*|it's|secret)\b", re.I
)
_KIND = re.compile(
    r"\b(sorry|please|worry|worried|care|dear|love|kind\w*|gentl\w+|if you don't mind|not prying|no rush|"
    r"take your time|hope|feeling|feel|concerned|understand|may i|could i|would you mind|thank\w*|if i may|poor|nicely"
    r"|i'd like to (?:know|hear|help)|i(?:'m| am) (?:only|just)|would you (?:like|care) to|would you tell me"
    r"|i have time"
    r"|(?:just|only) (?:want|wanted) to|(?:don't|do not) (?:wish|want|mean) (?:him|her|you|them) (?:any|harm)"
    r"|not here to (?:blame|judge|scold)|i (?:won't|will not|shan't) (?:blame|judge|scold|tell|be angry)|let me"
    r"|you look (?:so |very |a bit |rather )?(?:\w+ )?(?:sad|worn|tired|pale|unhappy|down|low|troubled|worried)"
    r"|you sigh|in yourself)\b",
    re.I,
)
#: What a condition may call being troubled, and how one asks after it: "What is weighing on you?"
_TROUBLES = re.compile(
    r"\b(?:troubl\w+|wrong|matter|worr\w+|bother\w*|upset\w*|sad\w*|sorrows?|weigh\w*|cop(?:es?|ing))\b"
)
_AFTER_TROUBLES = re.compile(
    r"\bwhat(?:'s| is) (?:the matter|wrong|it\b|up\b|troubling|weighing|worrying|bothering|upsetting)|\bwhat troubles\b"
    r"|\bhow are you (?:coping|holding|managing|really|in yourself)"
    r"|\bare you (?:all right|alright|ok|okay|sad|unhappy)\b"
    r"|\byou look\b.*\bwhy\b|\bwhy (?:so|are you so|do you look so) \w+|\bwhat happened to you\b"
    r"|\bdo you want to talk\b|\bis (?:something|anything) (?:wrong|troubling|the matter)\b",
    re.I | re.S,
)
_RUDE = re.compile(
    r"\b(stupid|idiot|old (bat|fool|hag)|shut up|hand over|give me|or else|now!|damn|stashed|hiding|hidden)\b", re.I
)
_HELD_OUT = re.compile(
    r"\b(?:look here|look at (?:this|these)|look what|see (?:this|here|for yourself)|i(?:'ve)? brought|since you insist"
    r"|(?<=, )(?:see|look|there)\b(?=\W*$|[,.!?;])|look(?=[,:])"
    r"|here(?:'s| is| are| you are| you go)?\b"
    r"|there(?:'?s)? (?:my|your)|this is|this was|these are"
    r"|i(?:'ve| have)(?: got)? (?:it|them|one) (?:here|with me|on me)"
    r"|i(?:'ve| have)(?: got)? (?:a|an|the|this|his|her) (?:\w+ )?(?:letter|message|note|order|writ|pass|permit)"
    r"|you (?:know|recogni[sz]e) th(?:is|ese)|i carry|i show|i bring|take a look|behold|my)\b",
    re.I,
)
#: A sentence that asks, whatever its mark.
_ASKING = re.compile(
    r"^\W*(?:and |so |but |then |now )*(?:what|who|whom|whose|when|where|why|how|which|is|are|was|were|do|does|did"
    r"|can|could|will|would|have you|has|tell|show)\b",
    re.I,
)
#: What is held out without saying whose or what kind: "Here's the badge.", "Sergeant Naidoo, my badge."
_NAMED_SHORT = re.compile(
    r"\b(?:here(?:'?s| is| are)|look(?: at)?|see|this is|these are|there(?:'?s| is)?|take a look at)[,:]? "
    r"(?:the|my|your|this) (?:other )?(\w+)\b(?! (?:of|for)\b)|, my (\w+)[.!]?(?:$|(?= [A-Z]))",
    re.I,
)
#: Spoken of because one does not have it.
_MISSING = re.compile(r"\b(?:lost|lose|missing|stolen|need|want|looking for)\b", re.I)
#: "I work here too", "I'm on the day shift here": one of the house.
_COLLEAGUE = re.compile(
    r"\b(?:i|we)(?:'ve| have| also| just| already| do| actually)* work(?:ed)?\b[^.?!]{0,20}\bhere\b"
    r"|\bi'?m (?:the )?new here\b|\bi(?:'m| am) (?:on the staff|one of the (?:staff|crew|team)|staff)\b",
    re.I,
)
_WORKS_HERE = re.compile(r"\bworks? (?:here|there)\b", re.I)
#: Somebody close, of whom a condition may speak without naming them.
_CLOSE = re.compile(
    r"\bmy (?:\w+ )?(?:dad|father|mum|mom|mother|son|daughter|wife|husband|brother|sister|friend|boy|girl|child|baby|"
    r"uncle|aunt|cousin|nan|gran|grandad|grandma|grandpa|grandmother|grandfather|partner|nephew|niece|fianc\w+|twin)\b",
    re.I,
)
_OF_CLOSE = re.compile(
    r"\b(?:somebody|someone) close(?: to them)?\b|\b(?:a )?(?:relative|family member|loved one)\b", re.I
)
#: Conditions that say something of somebody else than the player: "says a child is sick".
_OF_A_THIRD = re.compile(
    r"\s*(?!(?:is|are|was|has|have)\b)\w+ (?:that )?(?:(?:an?|some|the|their|her|his|somebody|someone)\b|[A-Z])"
)
#: What the character itself may or is to do: "says she may keep half of it".
_OF_CHARACTER = re.compile(r"\s*says? (?:that )?(?:he|she) (?:may|can|must|need|needs|shall|should)\b")
_NONE = re.compile(r"\b(?:no|not|never|without|none|nothing|cannot)\b(?!,)|n't\b", re.I)
_NOT_DENIED = re.compile(r"\b(?:believe it or not|or not|why not|not only|never mind)\b", re.I)
_PROMISED = re.compile(
    r"\b(?:i|we)(?:'ll| will)? (?:\w+ )?(?:promise|swear|vow|give you my word)\b|\bmy word\b|\bi won'?t tell\b"
    r"|\b(?:on|you have|you've(?: got)?) my (?:oath|honou?r|life|promise)\b"
    r"|\bi(?:'ll| will) (?:keep (?:it|this|that) (?:to myself|secret|quiet)|not tell|tell (?:nobody|no ?one))\b"
    r"|\bpromised?$",
    re.I,
)
#: Gives no word: "I can't promise". Denied in front of it is what the word is given for: "Not a word, I promise."
_UNPROMISED = re.compile(r"\b(?:i|we)(?: \w+n'?t| (?:cannot|never|will not|do not|would not|did not))\b[^,.;:]*$", re.I)
#: What is promised where nothing is named: to say nothing.
_SILENCE = re.compile(
    r"\b(?:tell|say|telling|a word|silent|silence|quiet|secret|nobody|no ?one|anyone|anybody|soul|keep|kept|lips|mum|"
    r"between us|repeat|pass it on|hear|learn)\b",
    re.I,
)
#: Conditions that are promises in other words: "says they will keep it to themselves".
_KEEPS = re.compile(
    r"\bwill (?:keep (?:it|this|that) (?:to themselves|secret|quiet)|not tell|tell (?:nobody|no one)|stay silent)", re.I
)
_PROMISE_STEMS = frozenset(
    stem(word)
    for word in (
        "promises",
        "swears",
        "vows",
        "tell",
        "keep",
        "silent",
        "quiet",
        "say",
        "anyone",
        "nobody",
        "one",
        "word",
        "themselves",
        "secret",
        "neither",
        "either",
        "hold",
        "tongue",
        "never",
    )
)
#: Somebody else is spoken of.
_TALKED_OF = re.compile(r"\b(?:he|she|they|him|her|them|somebody|someone|people|about)\b", re.I)


#: A question hung on to a statement: "I'm on the committee, so what's the matter?"
_TAIL = re.compile(
    r",\s+(?=(?:so |and |now |but |then )?"
    r"(?:what|who|where|when|why|how|which|is|are|did|do|does|can|could|will|would)\b)",
    re.I,
)


def sentences(text: str) -> list[str]:
    """Sentences; a question that hangs on to a statement is one of its own."""
    found: list[str] = []
    for piece in re.split(r"(?<=[.!?;])\s+", text):
        tail = _TAIL.search(piece) if piece.rstrip().endswith("?") and not _ASKING.match(piece) else None
        parts = [piece] if tail is None else [piece[: tail.start()], piece[tail.end() :]]
        found += [part.strip() for part in parts if part.strip()]
    return found


def _plain(text: str) -> str:
    return " ".join(tokens(text))


def says(line: str, phrase: str, in_view: frozenset[str]) -> bool:
    """Whether the phrase was said, and not only as the name of a thing in view or to ask what the password is."""
    wanted = _plain(phrase)
    for sentence in sentences(line):
        plain = _plain(sentence)
        if not re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", plain):
            continue
        if re.search(r"\b(what|which)\b.*\b(password|word|phrase|code)\b.*\?", sentence, re.I):
            continue
        viewed = any(wanted == name or wanted in name.split() for name in in_view)
        if not viewed or plain == wanted or _CUE.search(sentence):
            return True
    return False


def _topics(condition: str) -> list[str]:
    """Stems of what a condition is about, without the words that frame it."""
    return [stem(word) for word in tokens(condition) if word not in _FRAME and word not in STOPWORDS]


def _covered(wanted: Sequence[str], text: str) -> float:
    said = [stem(word) for word in tokens(text)]
    return sum(any(_same(want, have) for have in said) for want in wanted) / len(wanted)


def _same(want: str, have: str) -> bool:
    """Equal, or misheard: a short word misheard is mostly another ("back" is no "bank"), and so is a common root."""
    return want == have or (min(len(want), len(have)) > 4 and alike(want, have) >= 0.9)


def shows(line: str, condition: str) -> bool:
    """Whether the player holds the thing out ("Look here. The bailiff's own seal."), and does not ask for it."""
    wanted = _topics(condition)
    told = [sentence for sentence in sentences(line) if not _ASKING.match(sentence)]
    held = " ".join(told)
    if (
        not wanted
        or _IMAGINED.search(held)
        or _MISSING.search(held)
        or any(_DENIED.search(s) and _covered(wanted, s) for s in told)
    ):
        return False
    if not _HELD_OUT.search(held):
        return False
    if _covered(wanted, held) >= (0.99 if len(wanted) < 3 else 0.6):
        return True
    # "Here's the badge": the one that is asked for. "Here's a scout badge" is another.
    head = re.search(r"(\w+)\W*$", re.split(r"\b(?:of|from|with|for)\b", condition)[0])
    named = [word for words in _NAMED_SHORT.findall(held) for word in words if word]
    return head is not None and any(_same(stem(head[1].lower()), stem(word.lower())) for word in named)


def does(sentence: str, line: str, condition: str, encoder: SentenceEncoder | None) -> bool:
    """Whether the player's sentence (its tone judged in the whole line) does what the condition says of them."""
    condition = re.sub(r" and says so$", "", condition)
    if re.search(r"\b(?:his|her|their|your)\b", sentence, re.I):
        condition = re.sub(r"\b(?:the )?\w+['’]s ", "", condition)
    words, wanted = tokens(condition), _topics(condition)
    if _WORKS_HERE.search(condition) and not re.search(r"\bused to\b", condition):
        return bool(_COLLEAGUE.search(sentence)) and not (
            _DENIED.search(sentence) or _IMAGINED.search(sentence) or sentence.rstrip().endswith("?")
        )
    if _OF_CLOSE.search(condition):
        wanted = _topics(_OF_CLOSE.sub("", condition))
        if not _CLOSE.search(sentence):
            return False
    asked = any(word in _ASKED for word in words[:2])
    if asked and not wanted and _KINDLY & set(words) and len(words) <= 3:
        return bool(_KIND.search(line)) and not _RUDE.search(line)
    if asked and not wanted:
        wanted = [stem(word) for word in words if word not in _FRAME and word != "she"]
        wanted = wanted if len(wanted) > 1 else []
    if not wanted:
        return False
    covered = _covered(wanted, sentence)
    if asked:
        kind = not _KINDLY & set(words) or bool(_KIND.search(line))
        about = covered >= 0.75 or (_KINDLY & set(words) and _covered(wanted, line) >= 0.75)
        after = _TROUBLES.search(condition) is not None and _AFTER_TROUBLES.search(line) is not None
        asking = "?" in line or re.search(r"\bplease\b", line, re.I) is not None
        return bool(about or after) and kind and asking and not _RUDE.search(line)
    if re.search(r"\btold (them|him|her)\b", condition):
        told = re.search(r"^(.*?)\btold (?:me|us)\b", sentence, re.I)
        return told is not None and covered >= 0.99 and not _DENIED.search(told.group(1)) and "?" not in sentence
    if words[0] in ("promises", "swears", "vows") or _KEEPS.search(condition):
        return _promises(sentence, line, [want for want in wanted if want not in _PROMISE_STEMS])
    spoken = " ".join(part for part in sentence.split(", ") if _covered(wanted, part) > 0) or sentence
    if _DENIED.search(_NOT_DENIED.sub("", spoken)) and not _NONE.search(condition):
        return False
    if _IMAGINED.search(sentence) or sentence.rstrip().endswith("?"):
        return False
    if _NONE.search(condition) and not _NONE.search(sentence):
        return False
    member = bool(
        re.match(
            r"\s*(?:\w+ (?:that )?(?:they|she|he) )?(?:are|is|works?|belongs?|comes?) "
            r"(?:from|for|of|on|with|at|to|an?)\b",
            condition,
        )
    )
    if member and covered >= 0.99 and _introduces(sentence, wanted):
        return True
    if _OF_CHARACTER.match(condition):
        return covered >= 0.99 and re.search(r"\byou\b", sentence, re.I) is not None
    third = _OF_A_THIRD.match(condition) is not None
    first = re.search(
        r"\b(i|i'm|im|i've|ive|i'd|my|me|we|we're|we've|our|here|this is|it's me|name's)\b", sentence, re.I
    )
    of_others = not third and _OTHERS.search(sentence) and not re.search(r"\bi('m| am|'ve| have|'d)?\b", sentence, re.I)
    if (not first and not third) or of_others or _of_mine(sentence, condition):
        return False
    if covered >= 0.99:
        return True
    if encoder is None or covered < 0.5:
        return False
    pair = encoder.encode([_first_person(condition), sentence])
    return float(pair[0] @ pair[1]) >= 0.62


def _of_mine(sentence: str, condition: str) -> bool:
    """ "My sister has spoken to him" does not say "they are her sister"."""
    kin = re.search(r"\bthey are (?:his|her|their) (\w+)$", condition, re.I)
    return kin is not None and re.search(rf"\b(?:my|our) (?:\w+ )?{kin[1]}\b", sentence, re.I) is not None


def _promises(sentence: str, line: str, about: Sequence[str]) -> bool:
    """Whether it gives one's word: of what is named, or where nothing is, to say nothing ("On my word, we'll pay you"
    is another promise)."""
    given = _PROMISED.search(sentence)
    if given is None or sentence.rstrip().endswith("?"):
        return False
    if _DENIED.search(given.group()) and not given.group().lower().startswith("i won"):
        return False
    if _UNPROMISED.search(sentence[: given.start()]) or _IMAGINED.search(sentence[: given.end()]):
        return False
    if about:
        return _covered(about, line) >= 0.5
    left = [word for word in tokens(_PROMISED.sub(" ", sentence)) if word not in STOPWORDS]
    return len(left) <= 1 or bool(_SILENCE.search(sentence))


def _introduces(sentence: str, wanted: Sequence[str]) -> bool:
    """Whether it says who speaks without a verb: "Mossie from the board.", "Union. Frank Abela.", "Inspector Gall, from
    the guild." A thing merely named ("The union.") introduces nobody."""
    plain = [re.sub(r"[^\w'-]", "", word).lower() for word in sentence.split()]
    if (
        verb_at(plain) is not None
        or _TALKED_OF.search(sentence)
        or sentence.rstrip().endswith(("...", "…"))
        or re.match(r"\W*(?:the|a|an|your|their|his)\b", sentence, re.I)
    ):
        return False
    return (
        bool(re.search(r"\bfrom\b", sentence, re.I)) or len([w for w in plain if w not in STOPWORDS]) <= len(wanted) + 2
    )


def _first_person(condition: str) -> str:
    """ "says they are from the works council" -> "I am from the works council", to compare meanings."""
    text = re.sub(r"^\s*\w+s?\s+(that\s+)?(they|she|he)\s+(are|is)\b", "I am", condition)
    text = re.sub(r"^\s*\w+s?\s+(that\s+)?(they|she|he)\s+(have|has)\b", "I have", text)
    text = re.sub(r"^\s*(is|are)\b", "I am", text)
    text = re.sub(r"^\s*(has|have)\b", "I have", text)
    text = re.sub(r"\b(their|his|her)\b", "my", text)
    return re.sub(r"^\s*(\w+?)s\b", r"I \1", text) if not text.startswith("I ") else text
