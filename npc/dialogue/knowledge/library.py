"""A character's documents: indexed once, re-indexed by what changed, searched by words and meaning.

    Documents ── index(folder, sources)   what changed, by SHA-256        ┌ DocumentLibrary    one SQLite file (here)
              └─ search · guarded · fact  what may be told now            └ PostgresLibrary    library_postgres.py

Hybrid search: BM25 and cosine of sentence vectors, joined by reciprocal rank. The gate is inside both queries: facts of
locked documents are not among the candidates. Of two sentences that contradict each other the newer file wins.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from npc.dialogue.character import KnowledgeSource
from npc.dialogue.knowledge.facts import Fact, known_to
from npc.dialogue.knowledge.ingest import DocumentError, read_document
from npc.dialogue.knowledge.sources import digest_of, named
from npc.dialogue.knowledge.words import STOPWORDS, tokens
from npc.dialogue.memory.extract import contradicts
from npc.dialogue.memory.store import word_likeness
from npc.inference.encoder import SentenceEncoder, Vectors

log = logging.getLogger(__name__)

#: The files are a cache: one of another version, or a damaged one, is emptied and indexed again.
_VERSION = 3
_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (path TEXT PRIMARY KEY, digest TEXT NOT NULL, changed REAL NOT NULL,
  title TEXT NOT NULL, encoder TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (id TEXT PRIMARY KEY, path TEXT NOT NULL, text TEXT NOT NULL, topic TEXT NOT NULL,
  source TEXT NOT NULL, page INTEGER, line INTEGER, holder TEXT, time TEXT, confidence REAL NOT NULL,
  guarded INTEGER NOT NULL, tell_to TEXT, vector BLOB);
CREATE INDEX IF NOT EXISTS facts_path ON facts (path);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (id UNINDEXED, body, tokenize = 'porter unicode61');
"""
#: Of guarded facts only those whose condition is met now; its one value is their ids as JSON.
_GATE = "(facts.guarded = 0 OR facts.id IN (SELECT value FROM json_each(?)))"
#: Columns of a fact, in the order `fact_of` reads them.
COLUMNS = "id, text, source, page, line, holder, time, confidence, guarded, tell_to, topic"
#: Guarded facts that the gate judges before a turn, at most.
GUARDED_LIMIT = 5_000
#: Sentences that get vectors at indexing (about 5 ms each); beyond it a library is searched by words alone.
DENSE_LIMIT = 4_000
#: Constant of reciprocal rank fusion (Cormack et al. 2009 use 60).
_RRF = 60.0

#: Told how far indexing is: file name, files done, files in all.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Indexed:
    """What one run of indexing did; `problems` are sentences to show the author, one a file at most for errors."""

    added: int
    unchanged: int
    removed: int
    facts: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A file as it goes into a library. `changed` is its time of modification, seconds since the epoch."""

    path: str
    digest: str
    changed: float
    title: str
    encoder: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact of a document: what is told, what is searched, and its unit vector where it has one (D)."""

    fact: Fact
    body: str
    vector: Vectors | None


class Documents(ABC):
    """Documents of one character, wherever they are kept. Thread-safe."""

    def __init__(self, encoder: SentenceEncoder | None) -> None:
        self._encoder = encoder
        self._indexing = threading.Lock()

    def index(
        self,
        folder: Path,
        sources: Sequence[KnowledgeSource],
        progress: Progress | None = None,
        holders: frozenset[str] | None = None,
    ) -> Indexed:
        """Bring the library up to date with the sources' files under `folder`.

        Files that cannot be read are reported and skipped; what did not change (by SHA-256) is not read again. A file
        is exchanged in one transaction. Where two sources name a file, the one that tells less counts. Facts that
        somebody else holds are left out (`facts.holders`; None: nobody is somebody else). Raises DocumentError when a
        source names nothing that exists or lies outside `folder`.
        """
        wanted = {str(file): (file, source) for file, source in named(folder, sources)}
        with self._indexing:
            known = self._known()
            removed = [path for path in known if path not in wanted]
            for path in removed:
                self._exchange(path)
            added = unchanged = 0
            problems: list[str] = []
            stamp = self._encoder.id if self._encoder else ""
            for number, (path, (file, source)) in enumerate(wanted.items()):
                if progress is not None:
                    progress(file.name, number, len(wanted))
                try:
                    digest = digest_of(file, source, holders)
                    if known.get(path) == (digest, stamp):
                        unchanged += 1
                        continue
                    document, entries, notes = self._read(file, source, digest, stamp, holders)
                except DocumentError as error:
                    self._exchange(path)
                    problems.append(str(error))
                    continue
                self._exchange(path, document, entries)
                problems += notes
                added += 1
            if progress is not None:
                progress("", len(wanted), len(wanted))
            total = self._count()
        return Indexed(added, unchanged, len(removed), total, tuple(problems))

    def search(self, query: str, *, allowed: frozenset[str] | None = None, limit: int = 16) -> Sequence[Fact]:
        """The best facts for a query. Guarded facts come only when their id is in `allowed`."""
        words = [word for word in dict.fromkeys(tokens(query)) if word not in STOPWORDS][:24]
        opened = sorted(allowed or ())
        by_words = self._by_words(words, opened, limit * 3) if words else []
        by_meaning = (
            self._by_meaning(self._encoder.encode([query])[0], opened, limit * 3) if self._encoder is not None else []
        )
        ranks: dict[str, float] = {}
        for found in (by_words, by_meaning):
            for rank, fact_id in enumerate(found):
                ranks[fact_id] = ranks.get(fact_id, 0.0) + 1.0 / (_RRF + rank)
        best = sorted(ranks, key=lambda fact_id: -ranks[fact_id])[: limit * 2]
        return self._agreeing(best)[:limit]

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def guarded(self) -> Sequence[Fact]:
        """Facts with a condition, for the gate; at most `GUARDED_LIMIT`."""

    @abstractmethod
    def fact(self, fact_id: str) -> Fact | None: ...

    @abstractmethod
    def _known(self) -> Mapping[str, tuple[str, str]]:
        """Digest and encoder of every document, by path."""

    @abstractmethod
    def _count(self, path: str | None = None) -> int:
        """How many facts there are, or come from one document."""

    @abstractmethod
    def _exchange(self, path: str, document: Document | None = None, entries: Sequence[Entry] = ()) -> None:
        """Put a document in the place of what was known of its path, all of it or nothing; None: only take that out."""

    @abstractmethod
    def _by_words(self, words: Sequence[str], opened: Sequence[str], limit: int) -> list[str]:
        """Ids by BM25 of any of the words, best first; of guarded facts those in `opened`."""

    @abstractmethod
    def _by_meaning(self, vector: Vectors, opened: Sequence[str], limit: int) -> list[str]:
        """Ids by cosine with a unit vector (D), best first; of guarded facts those in `opened`."""

    @abstractmethod
    def _dated(self, ids: Sequence[str]) -> Mapping[str, tuple[Fact, float]]:
        """Facts by id, each with when its document changed."""

    def _agreeing(self, ids: Sequence[str]) -> list[Fact]:
        """Facts in order, without those that a newer file contradicts."""
        dated = self._dated(ids)
        kept: list[tuple[Fact, float]] = []
        for fact, changed in (dated[fact_id] for fact_id in ids if fact_id in dated):
            rival = next((i for i, (other, _) in enumerate(kept) if _disagree(other, fact)), None)
            if rival is None:
                kept.append((fact, changed))
            elif changed > kept[rival][1]:
                kept[rival] = (fact, changed)
        return [fact for fact, _ in kept]

    def _read(
        self, file: Path, source: KnowledgeSource, digest: str, stamp: str, holders: frozenset[str] | None
    ) -> tuple[Document, list[Entry], tuple[str, ...]]:
        read = read_document(file)
        name = source.citation or read.title
        key = hashlib.sha1(str(file).encode(), usedforsecurity=False).hexdigest()[:8]
        # A file's name may hold what no citation mark can; its digest keeps two of them apart.
        stem = re.sub(r"[^A-Za-z0-9]+", "-", file.stem).strip("-")[:40] or "document"
        passages = [p for p in read.passages if holders is None or known_to(p.holder, holders)]
        vectors: Vectors | None = None
        others = self._count() - self._count(str(file))
        if self._encoder is not None and others + len(passages) <= DENSE_LIMIT:
            vectors = self._encoder.encode([f"{p.topic}. {p.text}" if p.topic else p.text for p in passages])
        guarded = source.secret or source.tell_to is not None
        entries = [
            Entry(
                Fact(
                    id=f"{stem}-{key}:{number + 1}", text=p.text, source=p.source or name, page=p.page,
                    line=p.line, holder=p.holder, time=p.time, confidence=p.confidence,
                    secret=guarded or p.secret or p.tell_to is not None, tell_to=p.tell_to or source.tell_to,
                    topics=(p.topic,) if p.topic else (),
                ),
                f"{p.topic} {p.text}",
                None if vectors is None else vectors[number],
            )
            for number, p in enumerate(passages)
        ]  # fmt: skip
        return Document(str(file), digest, file.stat().st_mtime, name, stamp), entries, read.notes


class DocumentLibrary(Documents):
    """Documents of one character in a SQLite file; `path` None keeps them in memory."""

    def __init__(self, path: Path | None, encoder: SentenceEncoder | None = None) -> None:
        super().__init__(encoder)
        self._lock = threading.RLock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _opened(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            if path is None:
                raise
            log.warning("the index of documents was damaged and is made again: %s: %s", path, error)
            for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
                file.unlink(missing_ok=True)
            self._db = _opened(path)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def guarded(self) -> Sequence[Fact]:
        with self._lock:
            rows = self._db.execute(f"SELECT {COLUMNS} FROM facts WHERE guarded = 1 LIMIT {GUARDED_LIMIT}").fetchall()
        return [fact_of(row) for row in rows]

    def fact(self, fact_id: str) -> Fact | None:
        with self._lock:
            row = self._db.execute(f"SELECT {COLUMNS} FROM facts WHERE id = ?", (fact_id,)).fetchone()
        return fact_of(row) if row else None

    def _known(self) -> Mapping[str, tuple[str, str]]:
        with self._lock:
            rows = self._db.execute("SELECT path, digest, encoder FROM documents").fetchall()
        return {row[0]: (row[1], row[2]) for row in rows}

    def _count(self, path: str | None = None) -> int:
        with self._lock:
            found = self._db.execute("SELECT COUNT(*) FROM facts WHERE path = ifnull(?, path)", (path,)).fetchone()
        return int(found[0])

    def _exchange(self, path: str, document: Document | None = None, entries: Sequence[Entry] = ()) -> None:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.execute("DELETE FROM words WHERE id IN (SELECT id FROM facts WHERE path = ?)", (path,))
                self._db.execute("DELETE FROM facts WHERE path = ?", (path,))
                self._db.execute("DELETE FROM documents WHERE path = ?", (path,))
                if document is not None:
                    self._insert(document, entries)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _insert(self, document: Document, entries: Sequence[Entry]) -> None:
        self._db.execute(
            "INSERT INTO documents VALUES (?,?,?,?,?)",
            (document.path, document.digest, document.changed, document.title, document.encoder),
        )
        for one in entries:
            vector = None if one.vector is None else one.vector.astype(np.float16).tobytes()
            self._db.execute(
                f"INSERT INTO facts ({COLUMNS}, path, vector) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (*row_of(one.fact), document.path, vector),
            )
            self._db.execute("INSERT INTO words VALUES (?,?)", (one.fact.id, one.body))

    def _by_words(self, words: Sequence[str], opened: Sequence[str], limit: int) -> list[str]:
        match = " OR ".join(f'"{word}"' for word in words)
        with self._lock:
            rows = self._db.execute(
                "SELECT words.id FROM words JOIN facts ON facts.id = words.id WHERE words MATCH ? "
                f"AND {_GATE} ORDER BY bm25(words), words.id LIMIT ?",
                (match, json.dumps(opened), limit),
            ).fetchall()
        return [row[0] for row in rows]

    def _by_meaning(self, vector: Vectors, opened: Sequence[str], limit: int) -> list[str]:
        with self._lock:
            rows = self._db.execute(
                f"SELECT id, vector FROM facts WHERE vector IS NOT NULL AND {_GATE}", (json.dumps(opened),)
            ).fetchall()
        if not rows:
            return []
        matrix = np.frombuffer(b"".join(row[1] for row in rows), dtype=np.float16).reshape(len(rows), -1)
        return [rows[i][0] for i in np.argsort(-(matrix.astype(np.float32) @ vector))[:limit]]

    def _dated(self, ids: Sequence[str]) -> Mapping[str, tuple[Fact, float]]:
        with self._lock:
            rows = self._db.execute(
                f"SELECT {COLUMNS}, (SELECT changed FROM documents WHERE documents.path = facts.path) FROM facts "
                "WHERE id IN (SELECT value FROM json_each(?))",
                (json.dumps(ids),),
            ).fetchall()
        return {row[0]: (fact_of(row[:-1]), float(row[-1])) for row in rows}


def _opened(path: Path | None) -> sqlite3.Connection:
    db = sqlite3.connect(str(path) if path else ":memory:", check_same_thread=False, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            for table in ("documents", "facts", "words"):
                db.execute(f"DROP TABLE IF EXISTS {table}")
            db.execute(f"PRAGMA user_version = {_VERSION}")
        db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def row_of(fact: Fact) -> tuple[object, ...]:
    """A fact as its `COLUMNS`."""
    return (
        fact.id, fact.text, fact.source, fact.page, fact.line, fact.holder, fact.time, fact.confidence,
        int(fact.secret), fact.tell_to, " ".join(fact.topics),
    )  # fmt: skip


def fact_of(row: Sequence[object]) -> Fact:
    """A fact from its `COLUMNS`."""
    fact_id, text, source, page, line, holder, time, confidence, guarded, tell_to, topic = row
    return Fact(
        id=str(fact_id), text=str(text), source=str(source), page=page, line=line,  # type: ignore[arg-type]
        holder=holder, time=time, confidence=float(confidence), secret=bool(guarded),  # type: ignore[arg-type]
        tell_to=tell_to, topics=(str(topic),) if topic else (),  # type: ignore[arg-type]
    )  # fmt: skip


def _disagree(a: Fact, b: Fact) -> bool:
    if not re.search(r"\d|[A-Z]", a.text + b.text) or a.text == b.text:
        return False
    return contradicts(a.text, b.text, min(word_likeness(a.text, [b.text])[0], 1.0))
