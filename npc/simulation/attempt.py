"""One trainee's run of a scenario: what was said and done, how it was judged, and where it lies on disk.

    attempts/<attempt id>/
      attempt.json       this record, rewritten whole after every finished turn (and at the end)
      log.jsonl          the session's log, replayable by `npc replay`; log.2.jsonl, … after each resume
      trainee.wav        sound of either side on the attempt's clock (sample 0 is second 0), only with consent
      character.wav

Times are seconds of the attempt: of its first session, and on from where the last one stopped after a resume. The
record says everything a review needs, so that it outlives the package it was made with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from npc.config.authored import published
from npc.simulation.rubric.model import Evidence, Speaker
from npc.simulation.rubric.model import Turn as RubricTurn

FORMAT = 1
FILE_NAME = "attempt.json"

State = Literal["met", "not_met", "not_observed"]
Outcome = Literal["running", "completed", "failed", "timeout", "abandoned", "ended_by_instructor"]


class AttemptError(ValueError):
    """An attempt cannot be read; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a turn and when it sounded."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """An action: of the trainee (by the page or a tool) or of the character."""

    name: str
    arguments: Mapping[str, Any]
    at_s: float


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn. `n` counts from 1 over both sides in order of their beginning; `words` joined by spaces are `text`.

    `delivery` holds measurements of the trainee's voice by name (`pitch_hz`, `energy_db`, `rate_wps`, `pause_ratio`).
    """

    n: int
    speaker: Speaker
    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...] = ()
    actions: tuple[Done, ...] = ()
    spoken: bool = True
    """False: typed, so that its times are those of the text and nothing sounds."""
    interrupted: bool = False
    by_instructor: bool = False
    """The words are an instructor's who had taken the character's voice."""
    section: str = ""
    """Section of the story in which it began."""
    item_id: str = ""
    character: str = ""
    delivery: Mapping[str, float] = field(default_factory=dict)

    def judged(self) -> RubricTurn:
        """As the rubric engine takes it."""
        actions = tuple({"name": one.name, "arguments": dict(one.arguments)} for one in self.actions)
        return RubricTurn(self.n, self.speaker, self.text, self.start_s, self.end_s, actions)


@dataclass(frozen=True, slots=True)
class StoryEvent:
    """A step of the story. `kind`: section_entered, objective_met, decision_taken, timed, level_changed, ended."""

    at_s: float
    kind: str
    name: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intervention:
    """Something an instructor did. `action` as in `npc.instructor`; `by` is the instructor's name, if they gave one."""

    at_s: float
    action: str
    text: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A rubric item with its verdict. `points` of `weight` are given, None when it could not be observed."""

    item: str
    kind: str
    description: str
    weight: float
    critical: bool
    state: State
    points: float | None
    confidence: float
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    model_answer: str = ""


@dataclass(frozen=True, slots=True)
class ScenarioRef:
    """Which scenario, as it stood. `digest` is the package's (sha256 over its files); `signer` a key's fingerprint."""

    id: str
    version: str
    title: str
    language: str
    sector: str
    digest: str = ""
    signer: str = ""


@dataclass(frozen=True, slots=True)
class Consent:
    """What the trainee agreed to in the session."""

    audio: bool = False
    given_at: float | None = None
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Audio:
    """Files of either side inside the attempt's folder, PCM16 mono, sample 0 at second 0; None without consent."""

    trainee: str | None = None
    character: str | None = None
    rate: int = 16_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run of a scenario. `trainee` is a pseudonym; `began` and `ended` are seconds since the epoch.

    `score` is 0-100, of the points that could be observed; None until something was. `passed` None: not over yet.
    """

    id: str
    scenario: ScenarioRef
    level: str
    trainee: str
    began: float
    sessions: tuple[str, ...] = ()
    ended: float | None = None
    outcome: Outcome = "running"
    duration_s: float = 0.0
    turns: tuple[Turn, ...] = ()
    events: tuple[StoryEvent, ...] = ()
    interventions: tuple[Intervention, ...] = ()
    verdicts: tuple[Judged, ...] = ()
    score: float | None = None
    pass_mark: float = 60.0
    passed: bool | None = None
    consent: Consent = Consent()
    audio: Audio = Audio()
    debrief: tuple[str, ...] = ()
    retention_days: int = 90
    emotion_allowed: bool = False
    """Whether the trainee's inferred emotions may be read, shown or kept (see `scenario.Privacy`)."""
    format: int = FORMAT

    @property
    def path(self) -> tuple[str, ...]:
        """Sections of the story in the order they were entered."""
        return tuple(event.name for event in self.events if event.kind == "section_entered")

    def judged_turns(self) -> tuple[RubricTurn, ...]:
        """The turns as the rubric engine takes them."""
        return tuple(turn.judged() for turn in self.turns)

    def turn(self, n: int) -> Turn:
        """Turn number `n`; raises KeyError."""
        for turn in self.turns:
            if turn.n == n:
                return turn
        raise KeyError(n)


_ADAPTER: TypeAdapter[Attempt] = TypeAdapter(Attempt)


def to_json(attempt: Attempt) -> str:
    """As written to `attempt.json`; the same attempt gives the same text."""
    return _ADAPTER.dump_json(attempt, indent=1).decode() + "\n"


def from_json(text: str, name: str = "<text>") -> Attempt:
    """The attempt in `text`. Raises AttemptError that names the field."""
    try:
        attempt = _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "(file)"
        raise AttemptError(f"{name}: {where}: {first['msg']}") from None
    if attempt.format > FORMAT:
        raise AttemptError(f"{name}: format {attempt.format} is newer than this version reads ({FORMAT}): update npc")
    return attempt


def save(attempt: Attempt, folder: Path) -> Path:
    """Write `attempt.json` whole or not at all; returns its path."""
    path = folder / FILE_NAME
    waiting = folder / (FILE_NAME + ".new")
    with waiting.open("w", encoding="utf-8") as out:
        out.write(to_json(attempt))
        out.flush()
        os.fsync(out.fileno())
    waiting.replace(path)
    return path


def load(folder: Path) -> Attempt:
    """The attempt in a folder (or of an `attempt.json`). Raises AttemptError."""
    path = folder / FILE_NAME if folder.is_dir() else folder
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise AttemptError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise AttemptError(f"{path}: this is not UTF-8 text: {error}") from None
    attempt = from_json(text, str(path))
    here = path.parent
    audio = attempt.audio
    trainee = audio.trainee if audio.trainee and (here / audio.trainee).is_file() else None
    character = audio.character if audio.character and (here / audio.character).is_file() else None
    return replace(attempt, audio=replace(audio, trainee=trainee, character=character))


def list_attempts(folder: Path) -> list[tuple[Path, Attempt]]:
    """Every readable attempt under `folder`, oldest first."""
    found = []
    for path in sorted(folder.glob(f"*/{FILE_NAME}")) if folder.is_dir() else []:
        try:
            found.append((path.parent, load(path)))
        except AttemptError:
            continue
    return sorted(found, key=lambda pair: (pair[1].began, pair[1].id))


def log_files(folder: Path) -> list[Path]:
    """The attempt's logs in the order they were written: log.jsonl, log.2.jsonl, …; also compressed (.gz)."""

    def number(path: Path) -> int:
        parts = path.name.split(".")
        return int(parts[1]) if parts[1].isdigit() else 1

    return sorted((path for path in folder.glob("log*.jsonl*") if not path.name.endswith(".new")), key=number)


def attempt_schema() -> str:
    """The published JSON Schema of `attempt.json`, as committed in `docs/schemas/attempt.schema.json`."""
    schema = published(_ADAPTER.json_schema(mode="serialization"), "attempt.schema.json")
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
