"""Where memories live: one SQLite file, a row a memory, written only from what was said and heard.

    MemoryStore(path) ── player(character, player) ──> PlayerMemory
                                                        commit(…)   after a turn was heard
                                                        recall(…)   relevance + recency + salience
                                                        save / load a slot, export, forget

Erasure is real: `secure_delete` overwrites freed pages, and `erase` vacuums the file, empties the write-ahead log and
proves by reading the bytes of every file that the erased texts are gone.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from npc.dialogue.knowledge.words import content, numbers_in
from npc.dialogue.memory.amend import amendment
from npc.dialogue.memory.extract import Noted, contradicts, extract
from npc.dialogue.memory.records import Memory, Recalled, Spoken, recency

SCHEMA = """
CREATE TABLE IF NOT EXISTS memories (
  character TEXT NOT NULL, player TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
  created REAL NOT NULL, subject TEXT NOT NULL, value TEXT NOT NULL, speaker TEXT NOT NULL, turn_id TEXT NOT NULL,
  salience REAL NOT NULL, confidence REAL NOT NULL, consent TEXT NOT NULL, told_by TEXT, superseded_by TEXT,
  PRIMARY KEY (character, player, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turns (
  character TEXT NOT NULL, player TEXT NOT NULL, n INTEGER NOT NULL, turn_id TEXT NOT NULL, said TEXT NOT NULL,
  reply TEXT NOT NULL, created REAL NOT NULL, interrupted INTEGER NOT NULL, fact_ids TEXT NOT NULL, session TEXT NOT NULL,
  PRIMARY KEY (character, player, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS standing (
  character TEXT NOT NULL, player TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (character, player, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS slots (
  character TEXT NOT NULL, player TEXT NOT NULL, slot TEXT NOT NULL, created REAL NOT NULL, content TEXT NOT NULL,
  PRIMARY KEY (character, player, slot)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS talks (
  character TEXT NOT NULL, player TEXT NOT NULL, slot TEXT NOT NULL, created REAL NOT NULL, content TEXT NOT NULL,
  PRIMARY KEY (character, player, slot)) WITHOUT ROWID;
"""  # noqa: E501
#: All tables; `talks` are the conversations of save slots, which the session writes (`npc.conversation.slots`).
TABLES = ("memories", "turns", "standing", "slots", "talks")
_FIELDS = (
    "id", "kind", "text", "created", "subject", "value", "speaker", "turn_id", "salience", "confidence", "consent",
    "told_by", "superseded_by",
)  # fmt: skip
#: Turns kept word for word; older ones are folded into one summary record (see `PlayerMemory.commit`).
KEEP_TURNS = 200
#: Weights of relevance, recency and salience in recall.
RECALL_WEIGHTS = (0.6, 0.15, 0.25)

#: Likeness of a question and memory texts, in [0, 1] each; injected so that the store needs no encoder.
Likeness = Callable[[str, Sequence[str]], Sequence[float]]


class MemoryStoreError(RuntimeError):
    """The memory file could not be opened or read; the message names it and says what to do."""


class MemoryStore:
    """All memories of one installation. Thread-safe; every write is one transaction in WAL mode."""

    def __init__(self, path: Path | str = ":memory:") -> None:
        self.path = Path(path) if str(path) != ":memory:" else None
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None, timeout=10.0)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA secure_delete=ON")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise MemoryStoreError(f"{path}: is no memory database ({error}); move it away to start afresh") from error

    def player(self, character: str, player: str, *, likeness: Likeness | None = None) -> PlayerMemory:
        """What `character` remembers of `player`. Cheap; open one per session."""
        return PlayerMemory(self, character, player, likeness or word_likeness)

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        with self._lock:
            if self.path is not None:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.close()

    def players(self) -> list[tuple[str, str]]:
        """Every (character, player) pair with anything stored."""
        return [
            (row[0], row[1])
            for row in self.read("SELECT character, player FROM memories UNION SELECT character, player FROM turns")
        ]

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return cast(list[tuple[Any, ...]], self._db.execute(sql, tuple(values)).fetchall())

    def write(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> None:
        """Run all statements in one transaction, or none."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for sql, values in statements:
                    self._db.execute(sql, tuple(values))
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def erase(self, character: str | None = None, player: str | None = None) -> tuple[str, ...]:
        """Delete everything of a player (with one character, or all), slots included, and leave no byte of it.

        Returns the erased texts that could still be found in the files: always empty, or the erasure failed and the
        caller must say so. Texts that somebody else's memories also contain are not looked for.
        """
        where, values = _where(character, player)
        texts = {str(row[0]) for row in self.read(f"SELECT text FROM memories{where}", values)}
        texts |= {str(t) for row in self.read(f"SELECT said, reply FROM turns{where}", values) for t in row}
        self.write((f"DELETE FROM {table}{where}", values) for table in TABLES)
        self.compact()
        kept = {str(row[0]) for row in self.read("SELECT text FROM memories")}
        kept |= {str(t) for row in self.read("SELECT said, reply FROM turns") for t in row}
        gone = [text for text in texts if len(text) >= 8 and not any(text in other for other in kept)]
        return self.traces(gone)

    def compact(self) -> None:
        """Rewrite the file without free pages and empty the write-ahead log."""
        with self._lock:
            if self.path is not None:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.execute("VACUUM")
            if self.path is not None:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def traces(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Which of the texts still stand, byte for byte, in the database, its log or its index."""
        if self.path is None:
            return ()
        found = []
        contents = [
            file.read_bytes()
            for end in ("", "-wal", "-shm", "-journal")
            if (file := Path(f"{self.path}{end}")).exists()
        ]
        for text in texts:
            needles = {
                text.encode(),
                json.dumps(text)[1:-1].encode(),
                json.dumps(text, ensure_ascii=False)[1:-1].encode(),
            }
            if any(needle in content for needle in needles for content in contents):
                found.append(text)
        return tuple(found)


def _where(character: str | None, player: str | None) -> tuple[str, tuple[str, ...]]:
    parts = [(name, value) for name, value in (("character", character), ("player", player)) if value is not None]
    sql = " WHERE " + " AND ".join(f"{name} = ?" for name, _ in parts) if parts else ""
    return sql, tuple(value for _, value in parts)


class PlayerMemory:
    """What one character remembers of one player."""

    def __init__(self, store: MemoryStore, character: str, player: str, likeness: Likeness) -> None:
        self._store, self._who, self._likeness = store, (character, player), likeness
        self.character, self.player = character, player

    def commit(
        self,
        said: str,
        heard: str,
        *,
        now: float,
        turn_id: str,
        interrupted: bool = False,
        fact_ids: Sequence[str] = (),
        session: str = "",
        consent: bool = True,
        known: frozenset[str] = frozenset(),
    ) -> tuple[Memory, ...]:
        """Write one turn: what the player said, the words of the reply that were heard, and what is learnt from it.

        Repeating a turn id changes nothing. Without `consent` the learnt things last for the session only
        (`end_session` drops them). `known` are names of others, which are never taken for the player's.
        """
        if self._rows("SELECT 1 FROM turns WHERE character=? AND player=? AND turn_id=? LIMIT 1", turn_id):
            return ()
        last = self.turns(limit=1)
        noted = extract(said, known=known, asked=last[-1].reply if last else "")
        existing = self.all()
        told = [old.text for old in existing if old.kind in ("fact", "promise", "event")]
        amended = amendment(said, told, last[-1].player if last else "")
        if amended is not None:
            was = next(old for old in existing if old.text == amended[0])
            noted = (*noted, Noted(was.kind, amended[1], salience=was.salience, replaces=was.text))
        statements: list[tuple[str, Sequence[Any]]] = []
        fresh: list[Memory] = []
        for number, note in enumerate(noted):
            memory = Memory(
                id=f"{turn_id}/{number}", kind=note.kind, text=note.text, created=now, subject=note.subject,
                value=note.value, turn_id=turn_id, salience=note.salience,
                consent="lasting" if consent else "session",
            )  # fmt: skip
            same = next((old for old in existing if _same(old, note)), None)
            if same is not None:
                statements.append(self._update(same.id, "salience", min(1.0, same.salience + 0.1)))
                continue
            statements += [self._update(old.id, "superseded_by", memory.id) for old in self._outdated(existing, note)]
            statements.append(self._insert(memory))
            fresh.append(memory)
        n = self._rows("SELECT COALESCE(MAX(n), 0) FROM turns WHERE character=? AND player=?")[0][0] + 1
        statements.append(
            (
                "INSERT INTO turns VALUES (?,?,?,?,?,?,?,?,?,?)",
                (*self._who, n, turn_id, said, heard, now, int(interrupted), json.dumps(list(fact_ids)), session),
            )
        )
        statements += self._summarise(n, now)
        self._store.write(statements)
        return tuple(fresh)

    def remember(self, memory: Memory) -> None:
        """Write a record that does not come from talk: an event, a change of relationship, gossip, a summary."""
        self._store.write([self._insert(memory)])

    def all(self, *, superseded: bool = False) -> list[Memory]:
        """Every record in the order of writing; those replaced by newer ones only on request."""
        rows = self._rows(
            f"SELECT {','.join(_FIELDS)} FROM memories WHERE character=? AND player=? ORDER BY created, id"
        )
        found = [Memory(**dict(zip(_FIELDS, row, strict=True))) for row in rows]
        return found if superseded else [memory for memory in found if memory.superseded_by is None]

    def slot(self, subject: str) -> Memory | None:
        """The current value of a slot such as "name"."""
        return next((memory for memory in reversed(self.all()) if memory.subject == subject), None)

    def turns(self, *, limit: int = 20) -> list[Spoken]:
        """The last turns, oldest first."""
        rows = self._rows(
            "SELECT turn_id, said, reply, created, interrupted, fact_ids, session FROM turns "
            f"WHERE character=? AND player=? ORDER BY n DESC LIMIT {int(limit)}"
        )
        return [Spoken(r[0], r[1], r[2], r[3], bool(r[4]), tuple(json.loads(r[5])), r[6]) for r in reversed(rows)]

    def recall(self, query: str, *, now: float, limit: int = 5) -> list[Recalled]:
        """Records for a question, best first, by relevance, recency and salience."""
        memories = [memory for memory in self.all() if memory.kind != "summary"]
        likeness = self._likeness(query, [memory.text for memory in memories])
        found = []
        for memory, relevance in zip(memories, likeness, strict=True):
            fresh = recency(memory, now)
            parts = (float(relevance), fresh, memory.salience)
            score = sum(w * p for w, p in zip(RECALL_WEIGHTS, parts, strict=True)) * memory.confidence
            found.append(Recalled(memory, score, *parts[:2]))
        found.sort(key=lambda item: (-item.score, -item.memory.created))
        return found[:limit]

    def standing(self) -> dict[str, str]:
        """Stored relationship and flags, set by the game or earned: never by a claim."""
        rows = self._rows("SELECT key, value FROM standing WHERE character=? AND player=?")
        return {row[0]: row[1] for row in rows}

    def set_standing(self, key: str, value: str, *, now: float, why: str = "") -> None:
        """Set a relationship or flag; a change of relationship leaves an event behind."""
        before = self.standing().get(key)
        statements: list[tuple[str, Sequence[Any]]] = [
            (
                "INSERT INTO standing VALUES (?,?,?,?) ON CONFLICT (character, player, key) DO UPDATE "
                "SET value = excluded.value",
                (*self._who, key, value),
            )
        ]
        if before != value:
            text = f"{key}: {before or 'none'} -> {value}" + (f" ({why})" if why else "")
            statements.append(
                self._insert(Memory(f"standing/{key}/{now}", "relationship", text, now, speaker="game", salience=0.8))
            )
        self._store.write(statements)

    def end_session(self) -> None:
        """Drop what the player did not agree to have remembered."""
        self._store.write([("DELETE FROM memories WHERE character=? AND player=? AND consent='session'", self._who)])

    def save(self, slot: str, *, now: float, mind: Mapping[str, Any] | None = None) -> None:
        """Keep the present state under a slot name, replacing what was there; `mind` is kept with it (JSON data)."""
        content = json.dumps({**self.export(), "mind": mind or {}})
        sql = (
            "INSERT INTO slots VALUES (?,?,?,?,?) ON CONFLICT (character, player, slot) DO UPDATE "
            "SET created = excluded.created, content = excluded.content"
        )
        self._store.write([(sql, (*self._who, slot, now, content))])

    def load(self, slot: str) -> Mapping[str, Any]:
        """Go back to a saved state; what came after is gone unless it was saved too. Returns the `mind` that was kept
        with it. Raises KeyError."""
        rows = self._rows("SELECT content FROM slots WHERE character=? AND player=? AND slot=?", slot)
        if not rows:
            raise KeyError(
                f"no save slot {slot!r} for player {self.player!r}; there are: {', '.join(self.slots()) or 'none'}"
            )
        content = json.loads(rows[0][0])
        self._replace(content)
        return cast(Mapping[str, Any], content.get("mind", {}))

    def slots(self) -> tuple[str, ...]:
        rows = self._rows("SELECT slot FROM slots WHERE character=? AND player=? ORDER BY created")
        return tuple(row[0] for row in rows)

    def fork(self, player: str) -> PlayerMemory:
        """Copy everything to another player id (a branch of the story); the two then live apart."""
        other = PlayerMemory(self._store, self.character, player, self._likeness)
        other._replace(self.export())
        return other

    def export(self) -> dict[str, Any]:
        """Everything stored, as plain JSON data."""
        rows = self._rows(
            "SELECT n, turn_id, said, reply, created, interrupted, fact_ids, session FROM turns "
            "WHERE character=? AND player=? ORDER BY n"
        )
        return {
            "character": self.character,
            "player": self.player,
            "memories": [asdict(memory) for memory in self.all(superseded=True)],
            "turns": [list(row) for row in rows],
            "standing": self.standing(),
        }

    def forget(self, memory_id: str) -> tuple[str, ...]:
        """Erase one record and the words it came from; returns traces still found (always empty, see `erase`)."""
        rows = self._rows("SELECT text, turn_id FROM memories WHERE character=? AND player=? AND id=?", memory_id)
        if not rows:
            raise KeyError(f"no memory {memory_id!r} of player {self.player!r}")
        text, turn_id = rows[0]
        said = self._rows("SELECT said FROM turns WHERE character=? AND player=? AND turn_id=?", turn_id)
        self._store.write(
            [
                ("DELETE FROM memories WHERE character=? AND player=? AND (id=? OR turn_id=? AND turn_id<>'')", (*self._who, memory_id, turn_id)),  # noqa: E501
                ("UPDATE turns SET said='' WHERE character=? AND player=? AND turn_id=?", (*self._who, turn_id)),
                ("DELETE FROM slots WHERE character=? AND player=?", self._who),
                ("DELETE FROM talks WHERE character=? AND player=?", self._who),
            ]
        )  # fmt: skip
        self._store.compact()
        return self._store.traces([text, *(row[0] for row in said)])

    def share(self, other_character: str, *, now: float, limit: int = 5) -> int:
        """Pass lasting, salient facts about this player on to another character (gossip); returns how many.

        Off unless called: the game decides that two characters talk. What was passed on loses a fifth of its confidence.
        """  # noqa: E501
        other = PlayerMemory(self._store, other_character, self.player, self._likeness)
        known = {memory.text for memory in other.all(superseded=True)}
        chosen = [
            memory
            for memory in sorted(self.all(), key=lambda m: -m.salience)
            if memory.kind in ("name", "fact") and memory.consent == "lasting" and memory.text not in known
        ][:limit]
        for memory in chosen:
            other.remember(
                replace(memory, id=f"{self.character}/{memory.id}", told_by=self.character, created=now,
                        confidence=memory.confidence * 0.8)
            )  # fmt: skip
        return len(chosen)

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._store.read(sql, (*self._who, *values))

    def _insert(self, memory: Memory) -> tuple[str, Sequence[Any]]:
        marks = ",".join("?" * (len(_FIELDS) + 2))
        columns = ",".join(("character", "player", *_FIELDS))
        values = (*self._who, *(getattr(memory, name) for name in _FIELDS))
        fresh = ", ".join(f"{name} = excluded.{name}" for name in _FIELDS if name != "id")
        return (
            f"INSERT INTO memories ({columns}) VALUES ({marks}) "
            f"ON CONFLICT (character, player, id) DO UPDATE SET {fresh}",
            values,
        )

    def _update(self, memory_id: str, column: str, value: Any) -> tuple[str, Sequence[Any]]:
        return f"UPDATE memories SET {column}=? WHERE character=? AND player=? AND id=?", (value, *self._who, memory_id)

    def _outdated(self, existing: Sequence[Memory], note: Noted) -> list[Memory]:
        if note.subject:
            return [old for old in existing if old.subject == note.subject and old.value != note.value]
        if note.replaces:
            return [old for old in existing if old.text == note.replaces]
        texts = [old.text for old in existing if old.kind == note.kind and not old.subject]
        likeness = self._likeness(_without_numbers(note.text), [_without_numbers(text) for text in texts])
        near = dict(zip(texts, likeness, strict=True))
        return [old for old in existing if old.text in near and contradicts(old.text, note.text, near[old.text])]

    def _summarise(self, n: int, now: float) -> list[tuple[str, Sequence[Any]]]:
        """Fold the turns beyond `KEEP_TURNS` into one summary record of how long and how often they talked."""
        if n <= KEEP_TURNS:
            return []
        rows = self._rows("SELECT COUNT(*), MIN(created) FROM turns WHERE character=? AND player=?")
        first = rows[0][1]
        summary = Memory("summary", "summary", f"{n} turns of talk since the first", now, value=str(first), salience=0.3,  # noqa: E501
                         speaker="game")  # fmt: skip
        return [
            self._insert(summary),
            ("DELETE FROM turns WHERE character=? AND player=? AND n<=?", (*self._who, n - KEEP_TURNS)),
        ]

    def _replace(self, content: dict[str, Any]) -> None:
        statements: list[tuple[str, Sequence[Any]]] = [
            (f"DELETE FROM {table} WHERE character=? AND player=?", self._who)
            for table in ("memories", "turns", "standing")
        ]
        statements += [self._insert(Memory(**memory)) for memory in content["memories"]]
        statements += [
            ("INSERT INTO turns VALUES (?,?,?,?,?,?,?,?,?,?)", (*self._who, *row)) for row in content["turns"]
        ]
        statements += [
            ("INSERT INTO standing VALUES (?,?,?,?)", (*self._who, key, value))
            for key, value in content["standing"].items()
        ]
        self._store.write(statements)


def _without_numbers(text: str) -> str:
    """A saying without its numbers, so that "six goats" and "sixteen goats" are the same thing said."""
    return " ".join(word for word in text.split() if not numbers_in(word))


def _same(old: Memory, note: Noted) -> bool:
    if note.subject:
        return old.subject == note.subject and old.value == note.value
    return old.kind == note.kind and old.text.lower() == note.text.lower()


def word_likeness(query: str, texts: Sequence[str]) -> list[float]:
    """Share of the query's topical stems found in each text: the likeness used when no encoder is at hand."""
    wanted = set(content(query))
    return [len(wanted & set(content(text))) / len(wanted) if wanted else 0.0 for text in texts]
