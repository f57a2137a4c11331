"""Written text to spoken words: numbers, times, money, units, abbreviations, letters.

    "Dr. Kell arrives at 7:30 with 3 gp."  →  Doctor Kell arrives at seven thirty with three gold pieces

Each spoken token remembers the characters it was written with, so that word times can be shown on the original text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip

#: Written form to spoken words; with a full stop unless listed without one too.
ABBREVIATIONS = {
    "dr.": "doctor", "mr.": "mister", "mrs.": "missus", "ms.": "miz", "prof.": "professor", "capt.": "captain",
    "lt.": "lieutenant", "sgt.": "sergeant", "gen.": "general", "col.": "colonel", "rev.": "reverend",
    "jr.": "junior", "sr.": "senior", "etc.": "et cetera", "e.g.": "for example", "i.e.": "that is", "vs.": "versus",
    "approx.": "approximately", "dept.": "department", "ave.": "avenue", "blvd.": "boulevard", "rd.": "road",
    "a.m.": "a m", "p.m.": "p m", "ok": "okay", "dr": "doctor", "mr": "mister", "mrs": "missus", "vs": "versus",
    "etc": "et cetera",
}  # fmt: skip
#: Short words that are abbreviations only before a figure or a name: "no. 3", "St. Anne", "Mt. Kell".
_BEFORE = {"no.": ("number", re.compile(r"\s?\d")), "st.": ("saint", re.compile(r"\s[A-Z]")),
    "mt.": ("mount", re.compile(r"\s[A-Z]"))}  # fmt: skip

#: Units after a number: (one, many).
UNITS = {
    "gp": ("gold piece", "gold pieces"), "sp": ("silver piece", "silver pieces"),
    "cp": ("copper piece", "copper pieces"), "hp": ("hit point", "hit points"),
    "xp": ("experience point", "experience points"),
    "km": ("kilometre", "kilometres"), "m": ("metre", "metres"), "cm": ("centimetre", "centimetres"),
    "mm": ("millimetre", "millimetres"), "mi": ("mile", "miles"), "ft": ("foot", "feet"), "in": ("inch", "inches"),
    "yd": ("yard", "yards"), "kg": ("kilogram", "kilograms"), "g": ("gram", "grams"), "mg": ("milligram", "milligrams"),
    "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"), "oz": ("ounce", "ounces"), "l": ("litre", "litres"),
    "ml": ("millilitre", "millilitres"), "mph": ("mile per hour", "miles per hour"),
    "km/h": ("kilometre per hour", "kilometres per hour"), "s": ("second", "seconds"), "sec": ("second", "seconds"),
    "min": ("minute", "minutes"), "mins": ("minute", "minutes"), "h": ("hour", "hours"), "hr": ("hour", "hours"),
    "hrs": ("hour", "hours"), "ms": ("millisecond", "milliseconds"), "kb": ("kilobyte", "kilobytes"),
    "mb": ("megabyte", "megabytes"), "gb": ("gigabyte", "gigabytes"), "hz": ("hertz", "hertz"),
    "khz": ("kilohertz", "kilohertz"), "w": ("watt", "watts"), "kw": ("kilowatt", "kilowatts"), "v": ("volt", "volts"),
    "%": ("percent", "percent"), "°c": ("degree celsius", "degrees celsius"),
    "°f": ("degree fahrenheit", "degrees fahrenheit"), "°": ("degree", "degrees"),
}  # fmt: skip

#: Currency sign: (one, many, one hundredth, hundredths).
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"), "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"), "¥": ("yen", "yen", "sen", "sen"),
}  # fmt: skip

_SIGNS = {
    "&": "and",
    "+": "plus",
    "=": "equals",
    "@": "at",
    "#": "number",
    "/": "slash",
    "<": "less than",
    ">": "more than",
}

_TOKEN = re.compile(
    r"""
    (?P<money>[$€£¥]\s?\d(?:[\d,]*\d)?(?:\.\d+)?(?:\s?(?:thousand|million|billion|k|m|bn)\b)?)
  | (?P<clock>\b(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:\s?[ap]\.?m\b\.?)?)
  | (?P<hour>\b(?:1[0-2]|[1-9])\s?[ap]\.?m\b\.?)
  | (?P<fraction>\b\d+/\d+\b)
  | (?P<ordinal>\b\d(?:[\d,]*\d)?(?:st|nd|rd|th)\b)
  | (?P<decade>\b\d{3}0s\b)
  | (?P<quantity>-?\d(?:[\d,]*\d)?(?:\.\d+)?\s?(?:km/h|°[cf]|°|%|[a-z]+\b))
  | (?P<number>-?\d(?:[\d,]*\d)?(?:\.\d+)?)
  | (?P<initials>\b(?:[A-Z]\.){2,})
  | (?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*\.?)
  | (?P<sign>[&+=@\#/<>])
    """,
    re.VERBOSE | re.IGNORECASE,
)


#: A number of more figures than this is said figure by figure, without its unit: nobody could take it in.
_FIGURES = 15


@dataclass(frozen=True, slots=True)
class Spoken:
    """The spoken words of the characters `[start, end)` of the written text."""

    start: int
    end: int
    words: tuple[str, ...]


def cardinal(number: int) -> str:
    """42 → "forty two"; every integer below 10¹⁵, larger ones digit by digit."""
    if number < 0:
        return "minus " + cardinal(-number)
    if number >= 10**_FIGURES:
        return digits(str(number))
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10] + ("" if number % 10 == 0 else " " + _ONES[number % 10])
    if number < 1000:
        rest = "" if number % 100 == 0 else " " + cardinal(number % 100)
        return f"{_ONES[number // 100]} hundred{rest}"
    value, name = next(scale for scale in _SCALES if number >= scale[0])
    rest = "" if number % value == 0 else " " + cardinal(number % value)
    return f"{cardinal(number // value)} {name}{rest}"


def ordinal(number: int) -> str:
    """3 → "third", 42 → "forty second"."""
    *front, last = cardinal(number).split()
    regular = (last[:-1] + "ie" if last.endswith("y") else last) + "th"
    return " ".join([*front, _ORDINALS.get(last, regular)])


def year(number: int) -> str:
    """1987 → "nineteen eighty seven", 1905 → "nineteen oh five", 2005 → "two thousand five"."""
    high, low = divmod(number, 100)
    if not 1000 <= number <= 2099 or 2000 <= number <= 2009 or (high % 10 == 0 and low == 0):
        return cardinal(number)
    if low == 0:
        return f"{cardinal(high)} hundred"
    return f"{cardinal(high)} {'oh ' + _ONES[low] if low < 10 else cardinal(low)}"


def digits(text: str) -> str:
    """ "007" → "zero zero seven"."""
    return " ".join(_ONES[int(figure)] for figure in text if figure.isdigit())


def number(text: str) -> str:
    """A written number as spoken: "1,250", "3.14", "-4", "007"; 1100 to 2099 without a comma as a year."""
    if text.startswith("-"):
        return "minus " + number(text[1:])
    whole, _, decimals = text.partition(".")
    plain = whole.replace(",", "")
    if decimals:
        return f"{cardinal(int(plain))} point {digits(decimals)}"
    if len(plain) > 1 and plain.startswith("0"):
        return digits(plain)
    if len(whole) == 4 and 1100 <= int(plain) <= 2099:
        return year(int(plain))
    return cardinal(int(plain))


def spoken(text: str) -> list[Spoken]:
    """The text as spoken tokens in order; punctuation and symbols without sound are left out."""
    found = []
    for match in _TOKEN.finditer(text):
        meaning, follows = _BEFORE.get(match.group().lower(), ("", None))
        if follows is not None and follows.match(text, match.end()):
            said = meaning
        elif sum(map(str.isdecimal, match.group().partition(".")[0])) > _FIGURES:
            said = digits(match.group())
        else:
            said = _READERS[match.lastgroup or "word"](match.group())
        if said:
            found.append(Spoken(match.start(), match.end(), tuple(said.split())))
    return found


def spoken_words(text: str) -> list[str]:
    """Just the words: spoken_words("2 gp for Dr. Kell") → two gold pieces for doctor Kell."""
    return [word for token in spoken(text) for word in token.words]


def _money(text: str) -> str:
    one, many, cent, cents = CURRENCIES[text[0]]
    match = re.match(r"[\d,]+(?:\.\d+)?", text[1:].strip())
    assert match is not None
    amount = match.group()
    scale = text[1:].strip()[len(amount) :].strip().lower()
    if scale:
        scale = {"k": "thousand", "m": "million", "bn": "billion"}.get(scale, scale)
        return f"{number(amount)} {scale} {many}"
    whole, _, part = amount.partition(".")
    units = int(whole.replace(",", ""))
    hundredths = int((part + "0")[:2]) if part else 0
    said = [f"{cardinal(units)} {one if units == 1 else many}"] if units or not hundredths else []
    if hundredths:
        said.append(f"{cardinal(hundredths)} {cent if hundredths == 1 else cents}")
    return " and ".join(said)


def _clock(text: str) -> str:
    match = re.match(r"(\d+):(\d+)(?::(\d+))?\s?([ap]?)", text, re.IGNORECASE)
    assert match is not None
    hours, minutes, seconds, half = int(match[1]), int(match[2]), match[3], match[4].lower()
    if minutes == 0:
        minute_words = "" if half else "o'clock" if 1 <= hours <= 12 else "hundred hours"
    else:
        minute_words = f"oh {_ONES[minutes]}" if minutes < 10 else cardinal(minutes)
    tail = f" and {cardinal(int(seconds))} seconds" if seconds and int(seconds) else ""
    return f"{cardinal(hours)} {minute_words}{tail} {half + ' m' if half else ''}"


def _hour(text: str) -> str:
    match = re.match(r"(\d+)\s?([ap])", text, re.IGNORECASE)
    assert match is not None
    return f"{cardinal(int(match[1]))} {match[2].lower()} m"


def _fraction(text: str) -> str:
    over, under = (int(part) for part in text.split("/"))
    if under == 2:
        return "a half" if over == 1 else f"{cardinal(over)} halves"
    if under == 4:
        return f"{cardinal(over)} quarter{'' if over == 1 else 's'}"
    if under == 0 or under > 20:
        return f"{cardinal(over)} over {cardinal(under)}"
    return f"{cardinal(over)} {ordinal(under)}{'' if over == 1 else 's'}"


def _ordinal(text: str) -> str:
    return ordinal(int(re.sub(r"\D", "", text)))


def _decade(text: str) -> str:
    *front, last = year(int(text[:-1])).split()
    return " ".join([*front, last[:-1] + "ies" if last.endswith("y") else last + "s"])


def _quantity(text: str) -> str:
    match = re.match(r"(-?[\d,]+(?:\.\d+)?)(\s?)(.*)", text)
    assert match is not None
    amount, gap, unit = match[1], match[2], match[3]
    if unit.lower() not in UNITS or (gap and unit.lower() in ("in", "s", "m", "h", "w", "v", "g", "l")):
        # "2 in the morning", "3 s": after a gap, letters that are words are words.
        return f"{number(amount)} {_word(unit) if gap or len(unit) > 3 else ' '.join(unit)}"
    one, many = UNITS[unit.lower()]
    plain = amount.replace(",", "")
    said = cardinal(int(plain)) if re.fullmatch(r"-?\d+", plain) else number(amount)
    return f"{said} {one if plain == '1' else many}"


def _initials(text: str) -> str:
    return ABBREVIATIONS.get(text.lower()) or " ".join(text.replace(".", "")).lower()


def _word(text: str) -> str:
    text = text.replace("’", "'")
    if text.lower() in ABBREVIATIONS:
        return ABBREVIATIONS[text.lower()]
    bare = text.rstrip(".")
    # Letters without a vowel in capitals are spelled out: "HTTP", "TV"; "NASA" is a word.
    if 1 < len(bare) <= 5 and bare.isupper() and not set(bare) & set("AEIOUY"):
        return " ".join(bare.lower())
    return bare


def _sign(text: str) -> str:
    return _SIGNS[text]


_READERS: dict[str, Callable[[str], str]] = {
    "money": _money, "clock": _clock, "hour": _hour, "fraction": _fraction, "ordinal": _ordinal, "decade": _decade,
    "quantity": _quantity, "number": number, "initials": _initials, "word": _word, "sign": _sign,
}  # fmt: skip
