"""Cutting a reply into clauses that can be spoken one by one, the first as early as it can be. Pure.

    "Rope costs $2.50 a foot. Mr. Pell sells it cheaper, but his leaks." ->
    ["Rope costs $2.50 a foot.", "Mr. Pell sells it cheaper,", "but his leaks."]

A cut falls after sentence ends, and after commas, semicolons, colons and dashes where enough words stand on both sides.
Never inside a number ("$29.", "3.5", "9:30"), after an abbreviation, or between a number and its unit. `ClauseSplitter`
takes text as it streams; what it yields, joined by single spaces, is the text with its white space made single.
"""

from __future__ import annotations

import re

#: Words before a comma for a cut there: two in the first clause, since it decides when speech starts; five later,
#: because short clauses sound chopped.
FIRST_WORDS, LATER_WORDS = 2, 5
#: A clause without any punctuation is cut at a word boundary here; a voice takes 2,000 characters at most.
MAX_CHARS = 240

_ABBREVIATIONS = frozenset(
    {"mr", "mrs", "ms", "dr", "st", "prof", "sr", "jr", "vs", "etc", "e.g", "i.e", "no", "approx", "dept", "fig", "lt"}
    | {"capt", "sgt", "col", "gen", "rev", "mt", "ave", "inc", "ltd", "co", "p", "pp", "cf", "a.m", "p.m"}
)
#: "No." and "J." may go on ("No. 5", "J. Harrison"): the first letter of the next word decides.
_UNDECIDED = re.compile(r"(?:^|[\s(\"'“‘])(?:no|[A-Z])\.$", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)")
_SOFT_END = re.compile(r"[,;:][\"'”’)]*(?=\s)|\s[-–—](?=\s)|—(?=\w)")


class ClauseSplitter:
    """Feed text, take clauses. `feed` returns those that are surely over, `finish` the rest."""

    def __init__(self) -> None:
        self._text = ""
        self._given = 0

    def feed(self, text: str) -> list[str]:
        self._text += text
        found: list[str] = []
        while True:
            cut = self._cut()
            if cut is None:
                return found
            clause, self._text = " ".join(self._text[:cut].split()), self._text[cut:].lstrip()
            if clause:
                found.append(clause)
                self._given += 1

    def finish(self) -> list[str]:
        found = self.feed(" ")
        rest = " ".join(self._text.split())
        self._text = ""
        if rest:
            self._given += 1
            found.append(rest)
        return found

    def _cut(self) -> int | None:
        """Where the first clause surely ends; None while more text could change it."""
        text = self._text
        cut = self._soft_cut(text)
        for match in _SENTENCE_END.finditer(text):
            # The next word decides whether a full stop ends the sentence, so at the end of the text we wait.
            if match.end() == len(text) or (not text[match.end() :].strip() and _UNDECIDED.search(text[: match.end()])):
                break
            if not _inside_word(text, match):
                soft = self._soft_cut(text[: match.end()])
                cut = soft if soft is not None else match.end()
                break
        if cut is not None and cut <= MAX_CHARS:
            return cut
        # The margin lets a comma just before the limit show the words it needs behind it.
        if len(text) > MAX_CHARS + 60:
            space = text.rfind(" ", 0, MAX_CHARS)
            return space if space > 0 else MAX_CHARS
        return None

    def _soft_cut(self, text: str) -> int | None:
        needed = FIRST_WORDS if self._given == 0 else LATER_WORDS
        for match in _SOFT_END.finditer(text):
            before, after = text[: match.end()], text[match.end() :]
            if len(before.split()) >= needed and len(after.split()) >= 2:
                if re.search(r"\d[,:]$", before.rstrip()) and re.match(r"\s*\d", after):
                    continue
                return match.end()
        return None


def split_clauses(text: str) -> list[str]:
    """All clauses of a finished text."""
    splitter = ClauseSplitter()
    return [*splitter.feed(text), *splitter.finish()]


def split_sentences(text: str) -> list[str]:
    """Sentences of a finished text, by the same rules."""
    found: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if not _inside_word(text, match):
            found.append(text[start : match.end()].strip())
            start = match.end()
    return [sentence for sentence in [*found, text[start:].strip()] if sentence]


def _inside_word(text: str, end: re.Match[str]) -> bool:
    """Whether a full stop belongs to an abbreviation, an initial or a number that goes on."""
    if end.group()[0] != "." or len(end.group().rstrip("\"'”’)]")) > 1:
        return False
    words = text[: end.start()].split()
    last = words[-1].lower().lstrip("(\"'“‘") if words else ""
    if last in _ABBREVIATIONS and last not in ("no", "p"):
        return True
    following = text[end.end() :].lstrip()
    if last == "no":
        return following[:1].isdigit()
    # "J. Harrison": one capital letter, but not "I." at the end of "so am I."
    initial = len(last) == 1 and last.isalpha() and words[-1].isupper() and last != "i" and following[:1].isupper()
    # "$29. 50" does not occur; "2. the" as a list number does: a bare number that begins the text.
    listed = last.isdigit() and len(words) == 1
    return initial or listed
