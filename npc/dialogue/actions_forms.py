"""What the form of a turn says of whether it asks for a deed, whichever deed that is: features of `ActionSelector`."""

from __future__ import annotations

import re

from npc.dialogue.actions_request import FOR_WORDS, ORDER

ASKS = re.compile(
    r"^\W*(?:and |so |but |well |then )?(?:who|what|when|where|why|how|which|is|are|was|do|does|did)\b", re.I
)
#: Ways of wanting something that are no order.
_PLEASE = re.compile(r"\b(?:please|pls|would you|could you|can you|will you|won't you|do me a favou?r|go on)\b", re.I)
_WISH = re.compile(
    r"\b(?:i want|i'd like|id like|i would like|i'?ll have|i'?ll take|i need|i'm to have|let's|we'?ll have|we'?ll take"
    r"|for me|time to|time you|how about|get me|have him|have her|have them)\b",
    re.I,
)
_MAY_I = re.compile(r"\b(?:may|might|can|could|shall) (?:i|we)\b|\bmind if\b", re.I)


#: What the player is going to do: "I'll fetch it myself", "let me get my case". Taking and having are wishes.
OWN_DEED = re.compile(
    r"\b(?:i|we)(?:'ll| will| can| could| shall| must| should| might|'d better|'m going to| am going to| was going to)"
    r"(?: just| better| also| always| only)?"
    r" (?!have\b|take\b|buy\b|try\b|like\b|need\b|want\b|get (?:one|two|some)\b|pay\b)\w+"
    r"|\blet me (?!in\b|into|out\b|through|past|pass\b|off\b|on\b|have\b|see\b|hold\b|borrow|look|take\b|try\b)\w+"
    r"|\bmyself\b",
    re.I,
)
#: A whole turn about what the player does or has done, and not the character: "I'll phone them myself tonight." "I've
#: rung the caretaker already." Of 94 such turns of the written talks one asked for a deed.
OWN_ALONE = re.compile(
    r"^\W*(?:(?:and|but|so|no|yes|well|oh|ok|okay|thanks|then|never mind|don't worry),? )*"
    r"(?!(?:i|we)(?:'ll|'d| will)?(?: just)? (?:take|need|want|would like)\b)"
    r"(?:i|we)(?:'ll|'ve|'d| will| have| had)?\b"
    r"(?=[^.?!;]*\b(?:myself|ourselves|already|before)\b)[^.?!;]*[.!;]?\W*$",
    re.I,
)
#: "And the silver one?"
AND_THE = re.compile(
    r"^\W*(?:and|or|but|what about|how about)\s+(?:the|that|this|those)\s+[\w'-]+(?:\s+[\w'-]+)?\W*$", re.I
)
#: "And on wine?" "For a goat now." "The other sort, then?": behind something told it asks on, and orders nothing.
FRAGMENT = re.compile(
    r"^\W*(?:(?:and|or|but|so)\s+(?:an?|on|in|at|for|with|my|if|by|what|when|how|where|who|is|are|does|do)\b"
    r"|(?:for|on|in|at|with) an?\b|the [\w-]+ (?:sort|kind|one|ones)\b)(?!.*\b(?:please|me|us)\b)"
    r"(?:[\s,]+[\w'-]+){0,5}\W*$",
    re.I,
)
#: Says what one thinks of something.
_REMARK = re.compile(
    r"^\W*(?:(?:oh|ah|well|hm+|wow|so|but|and|honestly|really),? )*"
    r"(?:i (?:think|like|love|hate|find|believe|suppose|see|saw|heard)\b"
    r"|(?:it|that|this|he|she)(?:'s| is| was| looks| sounds| seems)\b|(?:they|those|these)(?:'re| are| were| look)\b"
    r"|what an?\b|you(?:'ve| have| are|'re)\b|your\b)",
    re.I,
)
#: "I won't be needing the axe till Friday."
_DENIED = re.compile(
    r"\b(?:i|we) (?:won't|don't|do not|will not|shan't|didn't|haven't|never|can't|cannot)\b|\bno need\b|\bnot yet\b",
    re.I,
)
#: "Don't unlock the front yet." "No songs just now, please."
FORBIDS = re.compile(
    r"(?:^|[.,;!?] )\W*(?:(?:please|so|but|and|no|oh|now)\b,? )*(?:don'?t|do not|never)\b"
    r" (?!you\b|i\b|we\b|they\b|forget)"
    r"|\bno \w+ (?:just )?(?:now|yet|today)\b",
    re.I,
)
#: Asks what others can do: "can robots spin".
_OF_OTHERS = re.compile(
    r"^\W*(?:and |so |but )?(?:can|could|do|does|did|will|would) (?!you\b|ya\b|u\b|i\b|we\b)\w+", re.I
)
#: "No, hang on, make that three." "I miscounted. Nine." "It's not forty, it's sixty."
SETS_RIGHT = re.compile(
    r"\bmake (?:that|it)\b|\bi (?:meant|mean|miscounted|was wrong)\b|\bnot \w+(?: \w+)?,? (?:but|it's|its)\b"
    r"|\bor rather\b"
    r"|^\W*(?:no,? )?(?:wait|hang on|hold on|sorry|actually|my mistake|correction)\b",
    re.I,
)
#: What was not meant: "not forty".
SETS_RIGHT_NOT = re.compile(r"\bnot (?:the |a )?\w+\b", re.I)
#: Not now, or only in some case.
_LATER = re.compile(
    r"\b(?:later|first|another time|not (?:now|yet)|in a (?:minute|moment|bit|while)|tomorrow|if you (?:ever )?need"
    r"|next time|some day|one day)\b",
    re.I,
)

#: Speaks of harm or of what is forbidden anywhere.
DANGEROUS = re.compile(
    r"\b(?:kill|murder|poison|strangle|burn(?!t|ed)|bomb|explode|(?<!don't )drown(?!ing|ed)|maim|stab|shoot|weapon"
    r"|pistol|gun(?!ner)|rifle|explosive"
    r"|smuggle|steal|forge(?!t)|bypass|disable|overdose|set fire|set \w+ on fire)\w*\b"
    r"|\b(?<!that )(?<!the )(?<!your )(?<!a )(?:torch|tape) (?:the|it|them|his|her|this|that)\b",
    re.IGNORECASE,
)

#: Speaks of asking and asks for nothing: "Nobody wants you to open it", "I'd ring it myself if I could reach".
_NOT_ASKING = re.compile(
    r"\b(?:nobody|no one)(?:'s| is)? (?:wants?|asks?|asked|asking|told) you\b"
    r"|\bi(?:'m| am|'ve| have)? (?:not|never) ask|\bi (?:didn't|don't|never) (?:ask|want|need)|\bwould you like me to\b"
    r"|\bshall i\b|\bif i(?:'d| had|'ve)\b"
    r"|\byou(?:'ll| will|'d)? have \w+(?:ed|en)\b|\bthat'll do\b|\bi'd \w+ (?:it|that|them) myself\b",
    re.I,
)
#: Asks whether there is something to be had: "Have you got anything to measure a door with?"
_IS_THERE = re.compile(
    r"\b(?:have you|haven't you|do you have|you got|you have|is there|there isn't|any chance of|anything|something)\b",
    re.I,
)
#: Says what would be welcome: "a tissue wouldn't go amiss", "the shirts want doing".
_WELCOME = re.compile(
    r"\b(?:wouldn't go amiss|(?:could|can) do with|could (?:murder|use)|i fancy|(?:wants?|needs?) (?:\w+ing|the|their"
    r"|his|her|some|a)\b|(?:it|that|they|these|those) (?:wants?|needs?)|would be (?:lovely|nice|good|grand)|it'd be)\b",
    re.I,
)

#: Tells what was done already: "I stopped the payment myself", "she's already called my wife".
_PAST = re.compile(
    r"^\W*(?:(?:and|but|so|no|yes|well|oh),? )*(?:i|we|he|she|they|you|somebody|someone|my \w+)"
    r"(?:'ve|'s|'d| have| has| had)? (?:already |just |never |once |only )?(?:\w{2,}ed|told|sent|got|bought|paid"
    r"|brought|took|gave|went|saw|said|had|came|found|lost|left|made|put|rang|did|been|done|sold|wrote|broke|was|were"
    r"|met|heard|thought)\b"
    r"|\balready (?:\w{2,}ed|told|sent|got|paid|done|rang|called)\b",
    re.I,
)
_THEN = re.compile(r"^\W*(?:(?:and|ok|okay|right|so|well|then|yes|now|fine|just|actually)\b,? )*", re.I)


def forms(text: str) -> dict[str, float]:
    """Features of a turn's form, 0 or 1 each."""
    pieces = re.split(r"(?<=[.!?;])\s+", text)
    found = {
        "question": text.rstrip().endswith("?"),
        "wh": ASKS.match(pieces[-1]),
        "please": _PLEASE.search(text),
        "wish": _WISH.search(text),
        "permission": _MAY_I.search(text),
        "own_deed": OWN_DEED.search(text),
        "later": _LATER.search(text),
        "denied": _DENIED.search(text),
        "forbids": FORBIDS.search(text),
        "others": _OF_OTHERS.match(text),
        "remark": _REMARK.match(text),
        "for_words": FOR_WORDS.search(text),
        "order": any(ORDER.match(_THEN.sub("", piece)) for piece in pieces),
        "past": _PAST.search(text),
        "not_asking": _NOT_ASKING.search(text),
        "is_there": _IS_THERE.search(text),
        "welcome": _WELCOME.search(text),
    }
    return {name: float(bool(value)) for name, value in found.items()}
