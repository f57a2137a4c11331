"""Word classes of English: closed classes by list, open ones by ending. Coarse on purpose, and fast.

Used where the question is what may follow a word ("to", "the", "my" leave a phrase open; "please", "today" close one).
"""

from __future__ import annotations

from typing import Final

_LISTS: Final = {
    "article": "the a an",
    "possessive": "my your his its our their whose",
    "quantifier": "some any every each another all both many few several most more less much other such",
    "demonstrative": "this that these those",
    "preposition": (
        "of in on at for with from by about into onto over under after before between through during without near "
        "behind beside across around against among toward towards upon within above below beyond like per"
    ),
    "to": "to",
    "coordinator": "and but or nor yet",
    "so": "so",
    "subordinator": (
        "if because while although though unless until till since whether as than whereas once except provided"
    ),
    "wh": "what who where when why how which whom",
    "subject": "i he she we they i'm he's she's we're they're i've we've they've i'll he'll she'll we'll they'll i'd "
    "we'd they'd he'd she'd you're you've you'll you'd",
    "you": "you",
    "it": "it it's that's there's here's what's who's where's how's let's",
    "object": "me him us them mine yours ours theirs myself yourself himself herself itself ourselves themselves",
    "her": "her",
    "there": "there here",
    "be": "am is are was were be been being isn't aren't wasn't weren't ain't",
    "modal": (
        "will would can could shall should may might must won't wouldn't can't cannot couldn't shouldn't mustn't gonna "
        "gotta wanna"
    ),
    "do": "do does did don't doesn't didn't",
    "have": "have has had haven't hasn't hadn't having",
    "negation": "not never",
    "filler": "um uh er erm uhm hmm mm mhm well anyway actually basically ah oh eh",
    "yesno": "yes no yeah yep nope okay ok sure right alright hello hi hey goodbye bye",
    "degree": "very too quite really rather pretty extremely just only even also still almost nearly",
    "polite": "please thanks thank sorry",
    "time": "now today tomorrow yesterday tonight again ago later soon then already yet ever always often sometimes "
    "morning evening night afternoon noon week month year monday tuesday wednesday thursday friday saturday sunday",
    "number": (
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million first second "
        "third half"
    ),
    "say": (
        "say says said tell tells told think thinks thought know knows knew hear heard believe guess hope wonder "
        "suppose mean means meant read feel feels felt wish remember forgot understand ask asked promise promised"
    ),
    "transitive": (
        "want wants wanted need needs needed like likes liked love get gets got give gives gave take takes took make "
        "makes made put bring brings brought show shows find found see saw seen buy bought use used keep kept let send "
        "sent hold try tried looking look going go come came have"
    ),
    "indefinite": (
        "something anything nothing everything somebody anybody nobody everybody someone anyone everyone somewhere "
        "anywhere nowhere everywhere"
    ),
}  # fmt: skip

_CLASS: Final = {word: name for name, words in reversed(_LISTS.items()) for word in words.split()}

#: (ending, class) of open-class words, longest first.
_ENDINGS: Final = (("ingly", "adverb"), ("ly", "adverb"), ("ing", "ing"), ("ed", "ed"), ("ous", "adjective"),
    ("ful", "adjective"), ("ive", "adjective"), ("able", "adjective"), ("less", "adjective"), ("est", "adjective"),
    ("'s", "genitive"), ("s", "plural"))  # fmt: skip

#: Classes after which a phrase in English cannot end.
OPEN: Final = frozenset({"article", "possessive", "coordinator", "degree", "filler"})


def word_class(word: str) -> str:
    """Class of one lower-case word; "noun" stands for every open-class word that no ending betrays.

    >>> [word_class(w) for w in "where can i find the old lanterns".split()]
    ['wh', 'modal', 'subject', 'transitive', 'article', 'noun', 'plural']
    """
    known = _CLASS.get(word)
    if known is not None:
        return known
    for ending, name in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 2:
            return name
    return "noun"


def known_words() -> frozenset[str]:
    """Every word that is in a closed class."""
    return frozenset(_CLASS)
