"""The player's words and a chosen fact, as the model reads them: what is spoken of becomes a reference.

    "How much is the rope?" with "Forty feet of rope costs six silver"   ->   how much is<e><#0>
    "My dog ran away"                                                    ->   <n><#4> ran away      <n><#4> = your dog

Rules only. What is not linked stays the player's words; the model never has to spell it.
"""

from __future__ import annotations

import re

from npc.dialogue.knowledge.words import content, stem
from npc.dialogue.realiser.contract import plain, reference
from npc.dialogue.realiser.render import lowered

_PRICE = r"costs?|sells? for|goes for|comes to"
_OPEN = r"opens?|begins|starts"
_SHUT = r"closes?|shuts|ends"
_BE = r"is|are|was|were"
_FRAME = re.compile(rf"(?P<e>[^,;:.?!]{{2,48}}?) (?P<w>{_PRICE}|{_OPEN}|{_SHUT}|{_BE}) (?P<v>[^,;:.?!]{{2,80}})\.?")
_NO_THING = re.compile(
    r"^(?:i|you|he|she|it|they|we|there|this|that|these|those|what|who|here|nobody|nothing|if|when)\b|"
    r"\b(?:who|which|that|and|but|or|if|when|because|while|not|is|are|was|were)\b",
    re.I,
)
_PLACE = re.compile(r"(?:in|on|at|under|behind|near|by|beside|inside|above|below|over|between|next to|north|south|east|"
                    r"west|upstairs|downstairs|outside|down|up|across|opposite)\b")  # fmt: skip
_SOMEBODY = re.compile(r"(?:my|the|a|an|our|his|her)\b")
_OF_PLAYER = re.compile(
    r"\bmy ((?:(?:old|little|older|younger|elder|big|dear|late|best|new) )?([a-z]{3,14}))\b(?!')", re.I
)
_NOT_NOUNS = (
    "own name way turn time god mind life word words help thanks apologies pleasure opinion view part mistake fault "
    "bad best first last next dear lord goodness self back head day night question point business"
)
_NO_NOUN = frozenset(_NOT_NOUNS.split())


def parse(clause: str, question: str) -> tuple[str, str, str] | None:
    """(thing, verb, value) of a one-sentence fact, where thing and value answer the question between them; None for
    all else, which is then said whole."""
    match = _FRAME.fullmatch(clause.strip())
    if match is None:
        return None
    thing, verb, value = match["e"].strip(), match["w"], match["v"].strip()
    asked = question.lower()
    if (
        len(thing.split()) > 6
        or len(value.split()) > 11
        or _NO_THING.search(thing)
        or re.search(r"\bI\b|\bmy\b", thing)
    ):
        return None
    if re.fullmatch(_BE, verb):
        where = re.search(r"\bwhere\b", asked) and _PLACE.match(value)
        who = re.search(r"\bwho\b", asked) and _SOMEBODY.match(value) and not re.search(r"\bby\b", value)
        if not (where or who):
            return None
    elif re.fullmatch(_PRICE, verb):
        if not re.search(r"\bhow much|price|cost|pay|charge|for how|what do you want\b", asked):
            return None
    elif not re.search(r"\b(?:when|what time|how late|how early|hour)", asked) or not re.match(
        r"(?:at|on|in|from|before|after|until|by|with)\b", value
    ):
        return None
    return lowered(thing), verb, value


def link(text: str, thing: str, index: int, keep: frozenset[str]) -> str:
    """The player's words, plain, with the thing's mention as <e><#index>."""
    said = plain(text, keep)
    wanted = {stem(word) for word in content(thing)}
    if not wanted:
        return said
    words = said.split(" ")
    hits = [i for i, word in enumerate(words) if stem(word) in wanted]
    if not hits:
        return said
    first, last = hits[0], hits[0]
    for hit in hits[1:]:
        if hit - last > 2:
            break
        last = hit
    if first and words[first - 1] in ("the", "a", "an", "your", "that", "this", "some"):
        first -= 1
    before, after = " ".join(words[:first]), " ".join(words[last + 1 :])
    return f"{before}{reference('e', index)}{' ' + after if after else ''}"


def nouns(text: str, first: int) -> tuple[str, dict[int, str]]:
    """The text with "my dog" as <n><#first>, and what each index is when the character says it: "your dog"."""
    found: dict[int, str] = {}

    def swap(match: re.Match[str]) -> str:
        if match.group(2).lower() in _NO_NOUN or len(found) >= 2:
            return match.group()
        index = first + len(found)
        found[index] = f"your {match.group(1).lower()}"
        return reference("n", index)

    return _OF_PLAYER.sub(swap, text), found
