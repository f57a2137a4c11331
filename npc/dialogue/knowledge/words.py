"""Words as retrieval sees them: tokens, stems, numbers, likeness of misheard or mistyped words. English, pure.

Nothing here knows a character. The lists are closed classes of English (function words, number words, units of time),
not topics.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_WORD = re.compile(r"[a-z0-9]+(?:[.:][0-9]+)?(?:'[a-z]+)?", re.IGNORECASE)

#: Function words: they carry no topic.
_FUNCTION_WORDS = """
a an the this that these those i me my mine myself we us our ours you your yours yourself he him his she her hers it
its they them their theirs one ones am is are was were be been being do does did doing done have has had having will
would shall should can could may might must ought im ive id ill youre youve youd youll hes shes theyre weve were
thats whats whos wheres hows whens lets dont doesnt didnt isnt arent wasnt werent cant couldnt shouldnt hasnt havent
hadnt wont wouldnt to of for and or but if then than so as at by with from about into onto in on up down out off
over again just now please some any there here what which who whom whose when where why how much many very too also
well oh ah hey hi hello ok okay right yes no not sure really actually maybe quite still even yet only ever bit lot
get got getting go goes going gone come comes coming say says said tell tells told know knows knew known think
thought like want wants wanted need needs let make makes made take takes took give gives gave put puts thing things
something anything anyone someone somebody anybody everyone else way kind sort mind happen happens happened time
times day days call called calls name names named
"""
STOPWORDS = frozenset(_FUNCTION_WORDS.split())
#: Stopwords that still matter as the new content of an elliptical question ("and days?", "what time").
TOPICAL = frozenset({"day", "days", "time", "name", "out", "down", "up", "off", "over", "take", "give"})

_NUMBER_WORDS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen"""
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_UNITS = {word: value for value, word in enumerate(_NUMBER_WORDS.split())}
_TENS = {word: 10 * value for value, word in enumerate(_TENS_WORDS.split(), start=2)}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16,
    "seventeenth": 17, "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30,
}  # fmt: skip

_IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "people": "person", "feet": "foot", "teeth": "tooth",
    "mice": "mouse", "geese": "goose", "knives": "knife", "lives": "life", "wives": "wife", "leaves": "leaf",
    "loaves": "loaf", "thieves": "thief", "shelves": "shelf", "left": "left", "kept": "keep", "paid": "pay",
    "sold": "sell", "bought": "buy", "built": "build", "flew": "fly", "flown": "fly", "ran": "run", "sent": "send",
    "taught": "teach", "met": "meet", "lost": "lose", "found": "find", "grew": "grow", "grown": "grow", "fell": "fall",
    "fallen": "fall", "born": "birth", "ate": "eat", "eaten": "eat", "drank": "drink", "drunk": "drink",
    "wrote": "write",
    "written": "write", "broke": "break", "broken": "break", "stole": "steal", "stolen": "steal", "hid": "hide",
    "hidden": "hide", "died": "die", "dying": "die", "lit": "light", "shut": "shut", "held": "hold", "worn": "wear",
    "wore": "wear", "drove": "drive", "driven": "drive", "swam": "swim", "felt": "feel", "spoke": "speak",
    "spoken": "speak", "began": "begin", "begun": "begin", "rung": "ring", "rang": "ring", "lay": "lie", "lain": "lie",
    "news": "news", "his": "his", "us": "us", "bus": "bus", "gas": "gas", "always": "always", "fone": "phone",
    "sang": "sing", "sung": "sing",
}  # fmt: skip


def tokens(text: str) -> list[str]:
    """Lower-case words and numbers in order; hyphens split, possessive 's dropped, other apostrophes kept out."""
    return list(_tokens(text))


@lru_cache(maxsize=8192)
def _tokens(text: str) -> tuple[str, ...]:
    straight = text.replace("’", "'").replace("‘", "'")
    found = []
    for word in _WORD.findall(straight):
        lower = word.lower()
        lower = lower[:-2] if lower.endswith("'s") else lower.replace("'", "")
        if lower:
            found.append(lower)
    return tuple(found)


@lru_cache(maxsize=16384)
def stem(word: str) -> str:
    """A light stem: plural, -ing, -ed, irregular forms. Keeps at least three letters."""
    word = _IRREGULAR.get(word, word)
    if len(word) <= 3 or word.isdigit():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for suffix in ("ing", "ed"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            base = word[: -len(suffix)]
            if not re.search(r"[aeiouy]", base):
                return word
            if base[-1] == base[-2] and base[-1] not in "lsz":
                return base[:-1]
            return base[:-1] if base.endswith("e") else base
    return word[:-1] if word.endswith("e") and len(word) > 4 else word


def content(text: str) -> list[str]:
    """Stems of the words that carry a topic, in order, duplicates kept."""
    return [stem(word) for word in tokens(text) if (word not in STOPWORDS and len(word) > 1) or word.isdigit()]


def names_in(text: str) -> list[str]:
    """Capitalised words that do not merely begin a sentence, lower-cased: likely proper names."""
    found = []
    for match in re.finditer(r"(?<![.!?:\"'“]\s)(?<!^)\b([A-Z][a-zA-Z'’\-]+)", text):
        word = match.group(1)
        if word in ("I", "I'm", "I'd", "I'll", "I've") or text[: match.start()].rstrip().endswith((".", "!", "?", ":")):
            continue
        found += tokens(word)
    return found


def numbers_in(text: str) -> list[tuple[float, int]]:
    """Every number with the index of its last token in `tokens(text)`: "two hundred", "1,500", "9:30", "third".

    "half past six" is 6.5 and "a quarter past seven" 7.25; commas and full stops separate numbers.
    """
    return list(_numbers_in(text))


@lru_cache(maxsize=8192)
def _numbers_in(text: str) -> tuple[tuple[float, int], ...]:
    joined = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    found: list[tuple[float, int]] = []
    offset = 0
    for piece in re.split(r"[,;!?]|\.(?!\d)", joined):
        words = tokens(piece)
        found += [(value, offset + index) for value, index in _numbers(words)]
        offset += len(words)
    return tuple(found)


def _numbers(words: list[str]) -> list[tuple[float, int]]:
    found: list[tuple[float, int]] = []
    total, current, last = 0.0, None, -1
    for index, word in enumerate([*words, ""]):
        part = _UNITS.get(word, _TENS.get(word))
        if part is not None and (
            current is None or (part < 10 and current % 100 >= 20) or (part < 100 and current % 100 == 0)
        ):
            current, last = (current or 0.0) + part, index
            continue
        if word in _SCALES and (current is not None or total == 0):
            current = (current or 1.0) * _SCALES[word]
            if _SCALES[word] >= 1_000:
                total, current = total + current, 0.0
            last = index
            continue
        if (
            word == "and"
            and current is not None
            and current >= 100
            and index + 1 < len(words)
            and (words[index + 1] in _UNITS or words[index + 1] in _TENS)
        ):
            continue
        if current is not None:
            before = words[max(0, index - 4) : index]
            past = (
                {"half": 0.5, "quarter": 0.25}.get(before[-3], 0.0) if len(before) > 2 and before[-2] == "past" else 0.0
            )
            to = 0.25 if len(before) > 2 and before[-3:-1] == ["quarter", "to"] else 0.0
            found.append((total + current + past - to, last))
            total, current = 0.0, None
            if part is not None:
                current, last = float(part), index
                continue
        if re.fullmatch(r"\d+(?:[.:]\d+)?", word):
            found.append((_clock(word), index))
        elif word in _ORDINALS:
            found.append((float(_ORDINALS[word]), index))
    return found


def _clock(word: str) -> float:
    if ":" in word:
        hours, minutes = word.split(":")
        return float(hours) + float(minutes) / 60.0
    return float(word)


@lru_cache(maxsize=65536)
def alike(a: str, b: str) -> float:
    """How alike two stems are spelt, in [0, 1]: 1 equal, 0.9 a likely misspelling, 0.8 a common root, else 0."""
    if a == b:
        return 1.0
    if min(len(a), len(b)) < 4 or a.isdigit() or b.isdigit():
        return 0.0
    shorter, longer = sorted((len(a), len(b)))
    prefix = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), shorter)
    if prefix >= 4 and prefix >= shorter - 1 and longer - shorter <= 4:
        return 0.85
    allowed = 1 if shorter < 7 else 2
    if a[0] == b[0] and longer - shorter <= allowed and edit_distance(a, b, allowed) <= allowed:
        return 0.9
    return 0.75 if prefix >= 6 else 0.0


def edit_distance(a: str, b: str, limit: int) -> int:
    """Damerau-Levenshtein distance (neighbouring letters may swap); stops early and returns limit + 1 beyond it."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        before, last = last, row
    return last[-1]


def repair(word: str, vocabulary: Iterable[str], known: frozenset[str] = frozenset()) -> str:
    """The vocabulary word a misspelt or misheard `word` most likely stands for, else the word itself.

    Words in `known` (ordinary English) are never repaired: "Haldor" must not become "Halda".
    """
    if len(word) < 4 or word in known or word.isdigit():
        return word
    best, best_score = word, 0.0
    for candidate in vocabulary:
        if candidate == word:
            return word
        if len(candidate) < 4 or candidate[0] != word[0]:
            continue
        allowed = 1 if min(len(word), len(candidate)) < 7 else 2
        distance = edit_distance(word, candidate, allowed)
        if distance <= allowed:
            score = 1.0 - distance / (len(word) + 1)
            if score > best_score:
                best, best_score = candidate, score
    return best
