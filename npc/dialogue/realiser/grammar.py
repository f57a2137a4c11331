"""What the model may write next: no name, number or tag of its own, and every reference that the reply needs.

Holds a sequence to this, token by token:

    text of plain letters and punctuation ── references that are open, in order of their frames, each once
    <end> only after a full stop, when all that is needed was said, and not before `least` words
    past `most` words nothing but what is still needed, punctuation and <end>

So a malformed reference, a tag that leaks, a forgotten fact and an endless reply cannot happen; what is left to check
afterwards is sense (see `check.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from npc.dialogue.realiser.contract import INDICES, PARTS, SPECIAL, Frame
from npc.inference.kernels import Floats

_PLAIN = re.compile(r"[A-Za-z' ,.!?:;-]+")
_NEVER = np.float32(-np.inf)


class Vocabulary:
    """The tokenizer's tokens sorted by what they may do. Made once a model."""

    def __init__(self, tokenizer: Tokenizer, size: int) -> None:
        self.size = size
        self.text = [tokenizer.decode([i], skip_special_tokens=False) for i in range(tokenizer.get_vocab_size())]
        ids: dict[str, int | None] = {name: tokenizer.token_to_id(name) for name in SPECIAL}
        missing = [name for name, found in ids.items() if found is None]
        if missing:
            raise ValueError(f"the tokenizer lacks {', '.join(missing[:5])}: it belongs to another model")
        self.id: dict[str, int] = {name: found for name, found in ids.items() if found is not None}
        special = set(self.id.values())
        usable = [i for i, text in enumerate(self.text) if i not in special and _PLAIN.fullmatch(text)]
        self.plain = np.full(size, _NEVER, np.float32)
        self.plain[usable] = 0
        #: a capital opens a sentence or is "I"; anywhere else it would be a name
        self.names = np.array([i for i in usable if re.match(r" ?[A-Z]", self.text[i])
                               and not re.match(r" I(?![a-z])", self.text[i])], np.int64)  # fmt: skip
        self.letters = np.array([i for i in usable if self.text[i][:1].isalpha()], np.int64)
        self.marks = np.array([i for i in usable if re.match(r"[,.!?:;]", self.text[i])], np.int64)
        self.stops = np.array([i for i in usable if re.fullmatch(r"[.!?]", self.text[i])], np.int64)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Words of a reply, references included."""

    least: int = 1
    most: int = 25


class ReferenceGrammar:
    """Implements `npc.inference.grammar.Grammar` for one reply."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        frames: Sequence[Frame],
        words: Mapping[tuple[str, int], int],
        *,
        nouns: Sequence[int] = (),
        address: bool = False,
        standing: Collection[int] = (),
        bare: float = 0.0,
        bounds: Bounds = Bounds(),
    ) -> None:
        """`words`: how many words each reference (part, index) stands for; `nouns`: indices the player spoke of;
        `standing`: frames whose clause may only open a sentence (it begins with what may be a name); `bare`: what is
        added to the logit of beginning with the clause itself."""
        self._vocabulary, self._frames, self._words = vocabulary, tuple(frames), words
        self._standing, self._bare = frozenset(standing), np.float32(bare)
        self._nouns, self._address, self._bounds = set(nouns), address, bounds
        self._used: dict[int, set[str]] = {frame.index: set() for frame in frames}
        self._part = ""
        self._after_clause = False
        self._count = 0
        self._text = ""

    # --- Grammar -----------------------------------------------------------------------------------------------

    def mask(self) -> Floats:
        """0 for tokens allowed next, -inf for others."""
        vocabulary = self._vocabulary
        if self._part:
            return self._only([f"<#{k}>" for k in self._indices(self._part)])
        full = self._count >= self._bounds.most
        if self._after_clause or (full and self._text[-1:].isalpha()):
            allowed = np.full(vocabulary.size, _NEVER, np.float32)
            allowed[vocabulary.stops if full else vocabulary.marks] = 0
            if self._address and not full:
                allowed[vocabulary.id["<you>"]] = 0
            return allowed
        if full:
            allowed = np.full(vocabulary.size, _NEVER, np.float32)
        else:
            allowed = vocabulary.plain.copy()
            if not self._at_start:
                allowed[vocabulary.names] = _NEVER
                if re.search(r"[^.!?] I$", self._text):  # "I", not the beginning of a name
                    allowed[vocabulary.letters] = _NEVER
            if self._text[-1:] in ",:;" or not self._text:
                allowed[vocabulary.marks] = _NEVER
            if self._address and self._text[-1:].isalpha():
                allowed[vocabulary.id["<you>"]] = 0
        for part in PARTS:
            indices = self._indices(part)
            if part == "c" and indices and indices[0] in self._standing and not self._at_start:
                continue
            if indices and (not full or part != "n"):
                allowed[vocabulary.id[f"<{part}>"]] = self._bare if part == "c" and not self._text else 0
        if self._complete:
            allowed[vocabulary.id["<end>"]] = 0
        if not np.isfinite(allowed).any():
            allowed[vocabulary.stops] = 0
        return allowed

    def push(self, token: int) -> bool:
        """Advance by a token; True when the reply is complete."""
        text = self._vocabulary.text[token]
        if token == self._vocabulary.id["<end>"]:
            return True
        if self._part:
            index = int(text[2:-1])
            if self._part == "n":
                self._nouns.discard(index)
            else:
                self._used[index].add(self._part)
            self._count += self._words[self._part, index]
            self._after_clause = self._part == "c"
            self._part, self._text = "", self._text + "x"
        elif text == "<you>":
            self._address, self._after_clause = False, False
            self._count += 1
            self._text += "x"
        elif text[:1] == "<" and text[1:-1] in PARTS:
            self._part = text[1:-1]
        else:
            self._after_clause = False
            self._count += len(re.findall(r"(?:^| )(?=[A-Za-z])", text)) if self._text else len(text.split())
            self._text += text
        return False

    # --- state -------------------------------------------------------------------------------------------------

    @property
    def _at_start(self) -> bool:
        return not self._text or self._text[-1] in ".!?"

    @property
    def _complete(self) -> bool:
        ended = bool(self._text) and self._text[-1] in ".!?"
        return ended and self._count >= self._bounds.least and all(self._said(frame) for frame in self._frames)

    def _said(self, frame: Frame) -> bool:
        return not _open(frame, self._used[frame.index])

    def _indices(self, part: str) -> list[int]:
        """Frames whose `part` may come now: the first that is not said yet."""
        if part == "n":
            return sorted(self._nouns)
        for frame in self._frames:
            rest = _open(frame, self._used[frame.index])
            if rest:
                return [frame.index] if part in rest else []
        return []

    def _only(self, tokens: Sequence[str]) -> Floats:
        allowed = np.full(self._vocabulary.size, _NEVER, np.float32)
        allowed[[self._vocabulary.id[token] for token in tokens]] = 0
        return allowed


def _open(frame: Frame, used: set[str]) -> set[str]:
    """Parts of a frame that may still come: the clause alone, or thing, verb and value together; none once said."""
    parts: set[str] = set(frame.parts)
    if "c" in used:
        return set()
    if used:
        return parts - {"c"} - used
    if parts == {"e", "c"}:  # the thing is known only so that the question can be read
        return {"c"}
    return parts


assert INDICES <= 10, "an index is one digit"
