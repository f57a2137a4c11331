"""A character's documents in one SQLite file: indexed once, re-indexed by what changed, searched by words and meaning.

Hybrid search: BM25 (FTS5) and cosine of sentence vectors, joined by reciprocal rank. The gate is inside the query: facts
of locked documents are not among the candidates. Of two sentences that contradict each other the newer file wins.
"""  # noqa: E501

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from npc.dialogue.character import KnowledgeSource
from npc.dialogue.knowledge.facts import Fact
from npc.dialogue.knowledge.ingest import DocumentError, read_document
from npc.dialogue.knowledge.words import STOPWORDS, tokens
from npc.dialogue.memory.extract import contradicts
from npc.dialogue.memory.store import word_likeness
from npc.inference.encoder import SentenceEncoder

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (path TEXT PRIMARY KEY, digest TEXT NOT NULL, changed REAL NOT NULL,
  title TEXT NOT NULL, tell_to TEXT, secret INTEGER NOT NULL, encoder TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (id TEXT PRIMARY KEY, path TEXT NOT NULL, text TEXT NOT NULL, topic TEXT NOT NULL,
  source TEXT NOT NULL, page INTEGER, line INTEGER, holder TEXT, time TEXT, confidence REAL NOT NULL,
  guarded INTEGER NOT NULL, tell_to TEXT, vector BLOB);
CREATE INDEX IF NOT EXISTS facts_path ON facts (path);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (id UNINDEXED, body, tokenize = 'porter unicode61');
"""
_COLUMNS = "id, text, source, page, line, holder, time, confidence, guarded, tell_to, topic"
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


class DocumentLibrary:
    """Documents of one character. Thread-safe; `path` None keeps it in memory."""

    def __init__(self, path: Path | None, encoder: SentenceEncoder | None = None) -> None:
        self._encoder = encoder
        self._lock = threading.RLock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(str(path) if path else ":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def index(self, folder: Path, sources: Sequence[KnowledgeSource], progress: Progress | None = None) -> Indexed:
        """Bring the library up to date with the sources' files under `folder`.

        Files that cannot be read are reported and skipped; what did not change (by SHA-256) is not read again.
        Raises DocumentError when a source names nothing that exists or lies outside `folder`.
        """
        wanted: dict[str, tuple[Path, KnowledgeSource]] = {}
        for source in sources:
            for file in _files(folder, source):
                wanted[str(file)] = (file, source)
        with self._lock:
            known = {
                row[0]: (row[1], row[2]) for row in self._db.execute("SELECT path, digest, encoder FROM documents")
            }
            removed = [path for path in known if path not in wanted]
            for path in removed:
                self._drop(path)
            added = unchanged = 0
            problems: list[str] = []
            stamp = self._encoder.id if self._encoder else ""
            for number, (path, (file, source)) in enumerate(wanted.items()):
                if progress is not None:
                    progress(file.name, number, len(wanted))
                digest = _digest(file, source)
                if known.get(path) == (digest, stamp):
                    unchanged += 1
                    continue
                self._drop(path)
                try:
                    problems += self._add(file, source, digest, stamp)
                    added += 1
                except DocumentError as error:
                    problems.append(str(error))
            if progress is not None:
                progress("", len(wanted), len(wanted))
            total = self._db.execute("SELECT COUNT(*) FROM facts").fetchone()[0]
        return Indexed(added, unchanged, len(removed), total, tuple(problems))

    def guarded(self) -> Sequence[Fact]:
        """Facts with a condition, for the gate; one a document where the whole document is guarded."""
        with self._lock:
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM facts WHERE guarded = 1 LIMIT 5000").fetchall()
        return [_fact(row) for row in rows]

    def fact(self, fact_id: str) -> Fact | None:
        with self._lock:
            row = self._db.execute(f"SELECT {_COLUMNS} FROM facts WHERE id = ?", (fact_id,)).fetchone()
        return _fact(row) if row else None

    def search(self, query: str, *, allowed: frozenset[str] | None = None, limit: int = 16) -> Sequence[Fact]:
        """The best facts for a query. Guarded facts come only when their id is in `allowed`."""
        ranks: dict[str, float] = {}
        for found in (self._by_words(query, limit * 3, allowed), self._by_meaning(query, limit * 3, allowed)):
            for rank, fact_id in enumerate(found):
                ranks[fact_id] = ranks.get(fact_id, 0.0) + 1.0 / (_RRF + rank)
        best = sorted(ranks, key=lambda fact_id: -ranks[fact_id])[: limit * 2]
        return self._agreeing(best)[:limit]

    def _by_words(self, query: str, limit: int, allowed: frozenset[str] | None) -> list[str]:
        words = [w for w in dict.fromkeys(tokens(query)) if w not in STOPWORDS][:24]
        if not words:
            return []
        match = " OR ".join(f'"{word}"' for word in words)
        with self._lock:
            rows = self._db.execute(
                "SELECT words.id, facts.guarded FROM words JOIN facts ON facts.id = words.id "
                "WHERE words MATCH ? ORDER BY bm25(words) LIMIT ?",
                (match, limit * 2),
            ).fetchall()
        return [row[0] for row in rows if not row[1] or (allowed is not None and row[0] in allowed)][:limit]

    def _by_meaning(self, query: str, limit: int, allowed: frozenset[str] | None) -> list[str]:
        if self._encoder is None:
            return []
        with self._lock:
            rows = self._db.execute("SELECT id, guarded, vector FROM facts WHERE vector IS NOT NULL").fetchall()
        rows = [row for row in rows if not row[1] or (allowed is not None and row[0] in allowed)]
        if not rows:
            return []
        matrix = np.frombuffer(b"".join(row[2] for row in rows), dtype=np.float16).reshape(len(rows), -1)
        scores = matrix.astype(np.float32) @ self._encoder.encode([query])[0]
        return [rows[i][0] for i in np.argsort(-scores)[:limit]]

    def _agreeing(self, ids: Sequence[str]) -> list[Fact]:
        """Facts in order, without those that a newer file contradicts."""
        with self._lock:
            rows = {
                row[0]: row
                for row in self._db.execute(
                    f"SELECT {', '.join('facts.' + c.strip() for c in _COLUMNS.split(','))}, documents.changed FROM facts "  # noqa: E501
                    f"JOIN documents ON documents.path = facts.path WHERE facts.id IN ({','.join('?' * len(ids))})",
                    list(ids),
                )
            }
        kept: list[tuple[Fact, float]] = []
        for fact_id in ids:
            fact, changed = _fact(rows[fact_id][:-1]), float(rows[fact_id][-1])
            rival = next((i for i, (other, _) in enumerate(kept) if _disagree(other, fact)), None)
            if rival is None:
                kept.append((fact, changed))
            elif changed > kept[rival][1]:
                kept[rival] = (fact, changed)
        return [fact for fact, _ in kept]

    def _add(self, file: Path, source: KnowledgeSource, digest: str, stamp: str) -> tuple[str, ...]:
        read = read_document(file)
        name = source.citation or read.title
        key = hashlib.sha1(str(file).encode(), usedforsecurity=False).hexdigest()[:8]
        count = self._db.execute("SELECT COUNT(*) FROM facts").fetchone()[0]
        dense = self._encoder is not None and count + len(read.passages) <= DENSE_LIMIT
        vectors = (
            self._encoder.encode([f"{p.topic}. {p.text}" if p.topic else p.text for p in read.passages]).astype(
                np.float16
            )
            if dense and self._encoder is not None
            else None
        )
        guarded = source.secret or source.tell_to is not None
        self._db.execute("BEGIN")
        for number, p in enumerate(read.passages):
            fact_id = f"{file.stem}-{key}:{number + 1}"
            hidden = guarded or p.secret or p.tell_to is not None
            self._db.execute(
                "INSERT INTO facts VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (fact_id, str(file), p.text, p.topic, p.source or name, p.page, p.line, p.holder, p.time, p.confidence,
                 int(hidden), p.tell_to or source.tell_to, vectors[number].tobytes() if vectors is not None else None),
            )  # fmt: skip
            self._db.execute("INSERT INTO words VALUES (?,?)", (fact_id, f"{p.topic} {p.text}"))
        self._db.execute(
            "INSERT INTO documents VALUES (?,?,?,?,?,?,?)",
            (str(file), digest, file.stat().st_mtime, name, source.tell_to, int(source.secret), stamp),
        )
        self._db.execute("COMMIT")
        return read.notes

    def _drop(self, path: str) -> None:
        self._db.execute("DELETE FROM words WHERE id IN (SELECT id FROM facts WHERE path = ?)", (path,))
        self._db.execute("DELETE FROM facts WHERE path = ?", (path,))
        self._db.execute("DELETE FROM documents WHERE path = ?", (path,))


def _files(folder: Path, source: KnowledgeSource) -> list[Path]:
    root = folder.resolve()
    place = (folder / source.path).resolve()
    if not place.is_relative_to(root):
        raise DocumentError(
            f"knowledge path {source.path!r} leads out of {folder}; keep documents beside the character"
        )
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DocumentError(f"knowledge path {source.path!r} does not exist in {folder}")
    found = {file for pattern in source.include for file in place.glob(pattern) if file.is_file()}
    return sorted(file for file in found if file.resolve().is_relative_to(root))


def _digest(file: Path, source: KnowledgeSource) -> str:
    with file.open("rb") as handle:
        content = hashlib.file_digest(handle, "sha256").hexdigest()
    return f"{content}/{source.secret}/{source.tell_to}/{source.citation}"


def _fact(row: Sequence[object]) -> Fact:
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
