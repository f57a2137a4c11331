"""When can an item be observed at all? "If the guest asks for a key, …" counts only once the guest did.

The condition is rewritten as what the speaker would then say ("asks for a key" as "I want a key.", "asks to leave" as
"Can I leave?"), each of its alternatives by itself, and looked for among the character's sentences.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from npc.inference.encoder import SentenceEncoder
from npc.simulation.rubric.lines import Line
from npc.simulation.rubric.model import Item
from npc.simulation.rubric.saying import subject_words

_CONDITION = re.compile(r"^\s*(?:if|when|once|after|should)\s+([^,]+?),", re.I)
_WHO = re.compile(
    r"^(?:(?:the|a|an) )?\w+(?: \w+)? (?=asks?|wants?|demands?|requests?|insists?|offers?|says?|mentions?)", re.I
)
_ASKS = re.compile(r"^(?:asks?|wants?|demands?|requests?|insists?)\b(?: on)?(?: (for|to|whether|if|about))?\s*", re.I)
_SAYS = re.compile(r"^(?:offers?|says?|mentions?)\b(?: (?:that|to))?\s*", re.I)
#: The part of a condition that says when, not what: "before the machine is locked out".
_LATER = re.compile(r"\s+(?:before|after|until|while|because|although)\b.*$", re.I)
#: Share of the condition's words, and cosines to what is asked or said and to a condition that only describes ("The
#: guest blames herself"), from which a sentence counts; chosen on the conditional items of 96 written attempts.
_WORDS, _NEAR, _NEAR_DESCRIBED = 0.99, 0.45, 0.3


class Occasion:
    """The condition of an item, or none."""

    def __init__(self, item: Item, encoder: SentenceEncoder | None) -> None:
        match = _CONDITION.match(item.description)
        self._texts = sentences(match.group(1)) if match else []
        self._near = _NEAR_DESCRIBED if match and self._texts == [match.group(1)] else _NEAR
        self._words = [subject_words(text) - {"want"} for text in self._texts]
        self._vectors = encoder.encode(self._texts) if encoder is not None and self._texts else None

    def first(self, said: Sequence[Line]) -> int | None:
        """Turn of the character's first sentence that is the occasion; 0 without a condition, None if it never came."""
        if not self._texts:
            return 0
        return next((line.turn.n for line in said if self._is(line)), None)

    def _is(self, line: Line) -> bool:
        words = subject_words(line.text)
        if any(own and len(words & own) / len(own) >= _WORDS for own in self._words):
            return True
        return self.nearness(line) >= self._near

    def nearness(self, line: Line) -> float:
        """Greatest cosine of a clause of the sentence to the condition; 0 without an encoder."""
        if self._vectors is None or line.vectors is None:
            return 0.0
        return float((self._vectors @ line.vectors.T).max())


def sentences(condition: str) -> list[str]:
    """What a person says for whom the condition holds; several ways, the condition itself last."""
    what = _WHO.sub("", condition)
    found: list[str] = []
    asks = _ASKS.match(what)
    if asks:
        core = _LATER.sub("", what[asks.end() :])
        for part in re.split(r" or (?:to |for )?", core):
            if asks.group(1) == "to":
                found += [f"Can I {part} now?", f"I want to {part}."]
            elif asks.group(1) in ("whether", "if", "about"):
                found += [f"What about {part}?"]
            else:
                found += [f"I want {part}.", f"Get me {part}."]
    elif says := _SAYS.match(what):
        found += [f"{part}." for part in re.split(r" or ", _LATER.sub("", what[says.end() :]))]
    return found or [condition]
