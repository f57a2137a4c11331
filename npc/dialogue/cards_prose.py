"""What a community card says in prose and a character file in fields of its own: pronouns, age, role, where the talk
takes place, lines to say aloud, and examples of talk.

    "Luna is a 24 year old elf ranger …. She …"      pronouns she, age 24, role "elf ranger …"
    "*She steps out.* Halt!"                         greeting "Halt!": stage directions are not spoken
    "{{user}} meets Luna at the edge of the wood."   scene at the edge of the wood
    "{{user}}: Your bow?\\n{{char}}: Whisper."         small talk

Everything here is a reading of free text: what is not plain stays at the default.
"""

from __future__ import annotations

import re
from typing import Any, Literal

_SHE, _HE = re.compile(r"\b(?:she|her|hers|herself)\b", re.I), re.compile(r"\b(?:he|him|his|himself)\b", re.I)
_AGE = re.compile(r"\b(\d{1,4})[- ]years?[- ]old\b[ ,]*", re.I)
_PLACE = re.compile(
    r"\b(?:at|in|on|near|inside|outside|by|aboard) (?P<place>(?:the|an?|his|her|their) [^.,;:!?\n]{2,60}?)"
    r"(?=\s*(?:[.,;:!?\n]|$| at (?:dusk|dawn|night|noon|midnight|sunset|sunrise)\b|"
    r" (?:when|while|after|before|as|where|and|during)\b))"
)
_TIME = re.compile(r"\b(?:at )?(dusk|dawn|night|noon|midnight|sunset|sunrise|evening|morning)\b", re.I)
_STAGE = re.compile(r"\*{1,2}[^*]{0,2000}\*{1,2}|\[[^\]]{0,500}\]")
_QUOTED = re.compile(r"[\"“]([^\"”]{1,2000})[\"”]")
#: Examples of talk taken over at most, and words of a player's line that still is one.
_EXAMPLES, _LINE_WORDS = 40, 30


def pronouns_in(text: str) -> Literal["she", "he", "they"]:
    """Whom a description in the third person speaks of; "they" where it is not plain or speaks as "I"."""
    if re.search(r"\bI\b", text):
        return "they"
    she, he = len(_SHE.findall(text)), len(_HE.findall(text))
    if she >= 2 * he and she:
        return "she"
    return "he" if he >= 2 * she and he else "they"


def age_in(text: str) -> int | None:
    """The first "24 years old" of a description."""
    match = _AGE.search(text)
    return int(match.group(1)) if match else None


def role_in(name: str, text: str) -> str:
    """What "Luna is a …" goes on with, without an age; "" where it does not stand so."""
    match = re.search(rf"{re.escape(name)} is (?:an?|the) ([^.,;\n]{{3,80}})", text)
    return _AGE.sub("", match.group(1)).strip() if match else ""


def scene_in(scenario: str) -> dict[str, str]:
    """Place and time of a scenario's first sentence that names a place; empty where none does."""
    match = _PLACE.search(scenario)
    if match is None:
        return {}
    time = _TIME.search(scenario)
    return {"location": match["place"].strip(), **({"time": time.group(1).lower()} if time else {})}


def spoken(line: str) -> str:
    """What of a line is said aloud: without stage directions, and the quoted parts alone where there are some."""
    rest = " ".join(_STAGE.sub(" ", line).split())
    quoted = _QUOTED.findall(rest)
    return " ".join(part.strip() for part in quoted) if quoted else rest


def examples_in(talk: str, name: str) -> list[dict[str, Any]]:
    """Example talk of a card, placeholders filled in ("You: …", "Luna: …"), as authored small talk."""
    found: dict[str, list[str]] = {}
    asked = ""
    for block in re.split(r"\n(?=[^\n:]{1,40}:)|<START>", talk, flags=re.I):
        who, colon, words = block.strip().partition(":")
        if not colon:
            continue
        said = spoken(words)
        if who.strip() != name:
            asked = said if 0 < len(said.split()) <= _LINE_WORDS else ""
        elif asked and said:
            found.setdefault(asked[:300], []).append(said[:2_000])
            asked = ""
    return [{"when": [asked], "say": lines} for asked, lines in list(found.items())[:_EXAMPLES]]
