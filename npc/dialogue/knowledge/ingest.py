"""Documents into facts: one sentence a fact, with the page or line it stands on.

    .md .txt    paragraphs; Markdown headings become the topic of what follows
    .html       text without scripts and styles, headings as topics
    .pdf        page by page
    .csv        a row a fact: "For Tram 4, the fare is 2 euros and the interval is 10 minutes."
    .json       a list of sentences or of {text, source?, secret?, tell_to?, time?, confidence?, holder?} objects

What a document says is only ever text to be found and quoted. Sentences that speak to a language model ("ignore your
instructions") are left out and reported.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from npc.dialogue.conditions import is_true

#: Larger files are refused: a character's knowledge is read by people too.
MAX_BYTES = 64 * 2**20
#: Facts taken from one file; a 50 MB text has more sentences than anybody asks about, the rest is reported as left out.
MAX_FACTS = 20_000
#: Words a fact may have; longer sentences are cut at commas and semicolons.
MAX_WORDS = 60
#: Characters of a fact, as in a character file: 60 words that are longer are no sentence but a table or a code.
MAX_CHARACTERS = 2_000
_TOPIC = 300

SUFFIXES = (".md", ".markdown", ".txt", ".text", ".html", ".htm", ".pdf", ".csv", ".tsv", ".json")

_ORDERS = re.compile(
    r"\b(ignore|disregard|forget|override) (all |any |the |your )*(previous|prior|above|earlier|former)? ?(instructions|rules|prompts?|orders)"  # noqa: E501
    r"|\byou are (now|no longer) (an?|the) |\b(system|developer) prompt\b|^\s*(system|assistant|developer)\s*:|<\|?\w+\|?>"  # noqa: E501
    r"|\b(reveal|print|repeat|output) (your|the) (hidden|secret|system|instructions|configuration)",
    re.I,
)


#: A line of a table or under a heading that says nothing.
_RULE = re.compile(r"\s*[-=|:+_*~ ]{3,}\s*")


class DocumentError(ValueError):
    """A document cannot be read; the message names the file, what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A sentence of a document with where it stands (from 1), and what the document says about it."""

    text: str
    topic: str = ""
    page: int | None = None
    line: int | None = None
    source: str | None = None
    secret: bool = False
    tell_to: str | None = None
    holder: str | None = None
    time: str | None = None
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Read:
    """A document read: its passages, and what was left out, in plain words."""

    title: str
    passages: tuple[Passage, ...]
    notes: tuple[str, ...] = ()


def read_document(path: Path) -> Read:
    """Read one file. Raises DocumentError for anything that is no readable document of a known kind."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DocumentError(f"{path.name}: kind {suffix or '(none)'} is not read; use one of {', '.join(SUFFIXES)}")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DocumentError(
                f"{path.name}: {size / 2**20:.0f} MB is over the limit of {MAX_BYTES >> 20} MB; split it"
            )
        data = path.read_bytes()
    except OSError as error:
        raise DocumentError(f"{path.name}: cannot be read ({error.strerror})") from error
    if not data.strip():
        raise DocumentError(f"{path.name}: is empty; write something into it or remove it")
    if suffix == ".pdf":
        found = _pdf(path, data)
    else:
        text = _decoded(path, data)
        readers = {".html": _html, ".htm": _html, ".csv": _csv, ".tsv": _csv, ".json": _json}
        found = readers.get(suffix, _prose)(path, text)
    return _checked(path, found)


def _decoded(path: Path, data: bytes) -> str:
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DocumentError(f"{path.name}: holds binary data, not text; remove it or give it its right ending")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"{path.name}: is not UTF-8 text (byte {error.start}: 0x{data[error.start]:02x}); "
            f"convert it, for example: iconv -f latin1 -t utf-8 {path.name}"
        ) from error


def _checked(path: Path, passages: Iterator[Passage]) -> Read:
    kept: list[Passage] = []
    orders = more = long = 0
    title = ""
    for passage in passages:
        if _ORDERS.search(passage.topic):
            passage = replace(passage, topic="")
        if len(passage.text) > MAX_CHARACTERS:
            long += 1
        elif _ORDERS.search(passage.text):
            orders += 1
        elif len(kept) >= MAX_FACTS:
            more += 1
        else:
            title = title or passage.topic
            kept.append(passage)
    notes = []
    if orders:
        notes.append(f"{path.name}: {orders} sentence(s) that speak to a language model were left out")
    if long:
        notes.append(f"{path.name}: {long} passage(s) of more than {MAX_CHARACTERS} characters were left out")
    if more:
        notes.append(f"{path.name}: only the first {MAX_FACTS} sentences were taken, {more} left out; split the file")
    if not kept:
        scan = "; pages that are pictures need text recognition first" if path.suffix.lower() == ".pdf" else ""
        raise DocumentError(f"{path.name}: holds no sentences that could be known{scan}")
    return Read(title or path.stem.replace("-", " ").replace("_", " "), tuple(kept), tuple(notes))


def sentences_of(text: str) -> list[str]:
    """Sentences of a paragraph, long ones cut at semicolons and commas; fragments under three words dropped."""
    found = []
    for piece in re.split(
        r"(?<=[.!?])(?<!\b(?:Mr|Dr|St)\.)(?<!\b(?:Mrs|e\.g|i\.e)\.)\s+(?=[\"'“(A-Z0-9])", " ".join(text.split())
    ):
        words = piece.split()
        start = 0
        while len(words) - start > MAX_WORDS:
            ends = range(start + MAX_WORDS, start + MAX_WORDS // 3, -1)
            end = next((at for at in ends if words[at - 1].endswith((",", ";"))), start + MAX_WORDS)
            found.append(" ".join(words[start:end]).strip(" ,;") + ".")
            start = end
        if len(words) - start >= 3:
            found.append(" ".join(words[start:]))
    return found


def _prose(path: Path, text: str) -> Iterator[Passage]:
    block: list[str] = []
    topic, start = "", 1
    markdown = path.suffix.lower() in (".md", ".markdown")
    matter = re.match(r"---\n(?:.*\n){0,60}?---[ \t]*(?:\n|\Z)", text) if markdown else None
    skipped = matter.group().count("\n") if matter is not None else 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if number <= skipped or _RULE.fullmatch(line):
            line = ""
        heading = re.match(r"^#{1,6}\s+(.*)", line) if markdown else None
        item = re.match(r"^\s*(?:[-*+]|\d+[.)])\s+(.*)", line)
        if not line.strip() or heading or item:
            for sentence in sentences_of(" ".join(block)):
                yield Passage(_plain(sentence), topic, line=start)
            block = []
        if heading:
            topic = _plain(heading.group(1)).strip("# ")[:_TOPIC]
        elif item or line.strip():
            if not block:
                start = number
            block.append(item.group(1) if item else line.strip())


def _plain(text: str) -> str:
    """Markdown marks away: emphasis, code ticks, links (their text stays), table bars."""
    # Twice, for a picture that is a link. Bounded, for what is never closed.
    for _ in range(2):
        text = re.sub(r"!?\[([^\[\]]{0,500})\]\([^()]{0,2000}\)", r"\1", text)
    return " ".join(re.sub(r"[*_`]{1,3}", "", text.replace("|", " ")).split())


_BLOCKS = """p div li br tr section article td th dt dd ul ol dl table blockquote pre hr option figcaption caption label
    header footer main nav aside h1 h2 h3 h4 h5 h6"""


class _Page(HTMLParser):
    """Collects visible text with its line, and headings."""

    _HIDDEN = frozenset(("script", "style", "noscript", "template", "head"))
    _BREAKS = frozenset(_BLOCKS.split())

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[tuple[str, str, int]] = []
        self._hidden, self._heading, self._topic = 0, False, ""
        self._text: list[str] = []
        self._line = 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # The end of <head> need not be written.
        self._hidden = 0 if tag == "body" else self._hidden + (tag in self._HIDDEN)
        if tag in self._BREAKS:
            self.flush()
            self._heading = bool(re.fullmatch(r"h[1-6]", tag))

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in self._HIDDEN and self._hidden > 0
        if tag in self._BREAKS:
            self.flush()

    def handle_data(self, data: str) -> None:
        if not self._hidden and (self._text or data.strip()):
            if not self._text:
                self._line = self.getpos()[0]
            self._text.append(data)

    def flush(self) -> None:
        # As written: "six <b>silver</b>." has no space before its full stop.
        text = " ".join("".join(self._text).split())
        self._text = []
        if text and self._heading:
            self._topic, self._heading = text[:_TOPIC], False
        elif text:
            self.blocks.append((text, self._topic, self._line))


def _html(path: Path, text: str) -> Iterator[Passage]:
    page = _Page()
    # Comments first: the parser takes quadratic time for those that are never closed. Lines keep their numbers.
    plain = re.sub(r"<!--.*?(?:-->|\Z)", lambda comment: "\n" * comment.group().count("\n"), text, flags=re.DOTALL)
    try:
        page.feed(plain)
        page.close()
    except AssertionError as error:  # the parser's own way of refusing a declaration
        raise DocumentError(f"{path.name}: is no readable HTML ({error}); save it again or save it as text") from error
    page.flush()
    for block, topic, line in page.blocks:
        for sentence in sentences_of(block):
            yield Passage(sentence, topic, line=line)


def _pdf(path: Path, data: bytes) -> Iterator[Passage]:
    try:
        from pypdf import PdfReader
    except ModuleNotFoundError as error:
        raise DocumentError(f"{path.name}: reading PDF needs pypdf; install it with: pip install pypdf") from error
    try:
        pages = PdfReader(io.BytesIO(data)).pages
        texts = [page.extract_text() for page in pages]
    except Exception as error:  # of a damaged file pypdf raises whatever it stumbles over
        raise DocumentError(f"{path.name}: is no readable PDF ({error}); export it again or save it as text") from error
    for number, text in enumerate(texts, 1):
        for sentence in sentences_of(text):
            yield Passage(sentence, page=number)


def _csv(path: Path, text: str) -> Iterator[Passage]:
    try:
        dialect: Any = csv.Sniffer().sniff(text[:4096], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = list(csv.reader(io.StringIO(text), dialect))
    except csv.Error as error:
        raise DocumentError(
            f"{path.name}: is no valid table ({error}); look for a quote that is never closed"
        ) from error
    if len(rows) < 2:
        raise DocumentError(f"{path.name}: needs a header line and at least one row")
    header = [cell.strip() for cell in rows[0]]
    if [name.lower() for name in header[:1]] in (["text"], ["fact"]):
        for number, row in enumerate(rows[1:], 2):
            named = dict(zip((name.lower() for name in header), row, strict=False))
            if (named.get("text") or named.get("fact") or "").strip():
                yield _record(path, {**named, "text": named.get("text") or named.get("fact")}, number)
        return
    for number, row in enumerate(rows[1:], 2):
        cells = [cell.strip() for cell in row]
        if len(cells) > 1 and cells[0]:
            pairs = [
                f"the {name.lower()} is {value}" for name, value in zip(header[1:], cells[1:], strict=False) if value
            ]
            if pairs:
                yield Passage(" ".join(f"For {cells[0]}, {' and '.join(pairs)}.".split()), line=number)


def _json(path: Path, text: str) -> Iterator[Passage]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{path.name}: is no valid JSON ({error})") from error
    items = content.get("facts", content) if isinstance(content, dict) else content
    if isinstance(items, dict):
        items = [
            f"The {key.replace('_', ' ')} is {value}."
            for key, value in items.items()
            if isinstance(value, str | int | float)
        ]
    if not isinstance(items, list):
        raise DocumentError(f"{path.name}: expected a list of facts, or an object with a list under 'facts'")
    for number, item in enumerate(items, 1):
        if isinstance(item, str):
            whole = _encodable(item).strip()
            for sentence in sentences_of(whole) or [whole]:
                if sentence:
                    yield Passage(sentence, line=number)
        elif isinstance(item, dict) and isinstance(item.get("text"), str):
            if item["text"].strip():
                yield _record(path, item, number)
        else:
            raise DocumentError(f"{path.name}: item {number} is neither a sentence nor an object with 'text'")


def _record(path: Path, item: dict[str, Any], number: int) -> Passage:
    try:
        confidence = 1.0 if item.get("confidence") in (None, "") else float(item["confidence"])
    except (TypeError, ValueError) as error:
        raise DocumentError(f"{path.name}: item {number}: confidence must be a number from 0 to 1") from error
    if not 0.0 <= confidence <= 1.0:
        raise DocumentError(f"{path.name}: item {number}: confidence {confidence} is outside 0 to 1")

    def named(field: str) -> str | None:
        return _encodable(str(item[field])) if item.get(field) else None

    # Whatever is not plainly false ("TRUE" of a spreadsheet, "Yes", "x") keeps the fact secret.
    secret = is_true(item.get("secret"))
    return Passage(
        " ".join(_encodable(str(item["text"])).split()), line=number, secret=secret, confidence=confidence,
        source=named("source"), tell_to=named("tell_to"), holder=named("holder"), time=named("time"),
    )  # fmt: skip


def _encodable(text: str) -> str:
    """Halves of surrogate pairs, as JSON may spell them, replaced: no database takes them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
