"""Sentence ends for recognised speech, which has none: where an English speaker begins a new sentence. Pure.

    that is a serious loss what would put this right for you
    that is a serious loss. what would put this right for you

Only full stops are added, each to the word before the new sentence, so that word numbers stay what they were. A new
sentence begins at a question's inversion ("can you", "what would") and at a subject with its verb ("I am", "thank
you") that no connecting word leads up to. Text that has marks of its own is left alone.
"""

from __future__ import annotations

import re

_WH_WORDS = "what which who whose when where why how"
_AUXILIARIES = """is are was were am do does did have has had can could would will shall should may might isn't aren't
    don't doesn't didn't can't couldn't won't"""
_SUBJECTS = "i you he she it we they your his her there that this the anybody anyone somebody anything"
_VERBS = """am are was were have will would want understand apologise apologize know see hear believe promise need think
    can could should booked ask"""
_CONTRACTED = "i'm i've i'll i'd we're we've we'll let's"
_LEADING = """and or but so because that if when while before after until as than then who which what where why how
    whether although since to for with of from know sure think hope see say says said believe hear understand afraid
    sorry well now yes no okay oh mean tell like everything all"""
_WH, _AUX, _SUBJECT = (frozenset(words.split()) for words in (_WH_WORDS, _AUXILIARIES, _SUBJECTS))
_VERB, _SHORT = frozenset(_VERBS.split()), frozenset(_CONTRACTED.split())
_PERSON = frozenset(("i", "we"))
#: After these a clause goes on: "because I am", "that you have", "and I will".
_LEADS = frozenset(_LEADING.split())
_OPENINGS = (("thank", "you"), ("good", "morning"), ("good", "afternoon"), ("first", "put"), ("put", "the"),
             ("stop", "the"), ("please", "do"), ("tell", "me"), ("let", "me"), ("do", "not"))  # fmt: skip


def punctuated(text: str) -> str:
    """The text with full stops where sentences seem to end. Word count is unchanged."""
    if re.search(r"[.!?]", text):
        return text
    words = text.split()
    bare = [re.sub(r"[^a-z']", "", word.lower()) for word in words]
    ends = {n for n in range(1, len(words)) if _begins(bare, n)}
    return " ".join(word + "." if n + 1 in ends else word for n, word in enumerate(words))


def _begins(words: list[str], n: int) -> bool:
    """Whether a sentence begins with word `n`."""
    before, word = words[n - 1], words[n]
    after = words[n + 1] if n + 1 < len(words) else ""
    later = words[n + 2] if n + 2 < len(words) else ""
    if (word, after) in _OPENINGS:
        return before not in _LEADS and before not in _AUX and before not in _SUBJECT
    if word in _WH:
        asks = after in _AUX or (later in _AUX and after not in _SUBJECT)
        return asks and (before not in _LEADS or before in ("you", "all", "sorry", "okay"))
    if word in _AUX:
        # "what medicines do you take": the question has begun already.
        asked = before in _WH or (n > 1 and words[n - 2] in _WH)
        return after in _SUBJECT and not asked and before not in _LEADS and before not in _SUBJECT
    if word in _SHORT or (word in _PERSON and after in _VERB):
        return before not in _LEADS and before not in _AUX and before not in _WH
    return False
