"""What is kept of a trainee, for how long, and how all of it goes away.

    kept                                     by consent   for                        erased by
    attempts/<id>: record, log               taking part  retention_days (scenario)  sweep, erase
    attempts/<id>: sound                     audio        the same                   sweep, erase
    session log (store.retain)               operator     days of the setting        expire, erase
    memory of the character                  player       until forgotten            erase
    outbox, launches, file of statements     operator     until delivered, 30 days   erase

Erasing leaves no byte in any file of the service; `traces` looks for some, and the tests do so with a canary. What a
record store or an LMS was told before is theirs: `Erased.elsewhere` names them.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from npc.simulation.attempt import Attempt, list_attempts

log = logging.getLogger(__name__)

_DAY_S = 86_400.0
#: An attempt that was never ended is over for retention when nothing was written to it for this long.
_LEFT_S = _DAY_S
#: What cannot be read says no retention of its own: it is kept as long as a scenario keeps by default.
_UNREADABLE_S = 90 * _DAY_S


class Erasable(Protocol):
    """Something else that holds data of trainees."""

    def erase(self, trainee: str) -> int:
        """Delete all of a trainee; how many things. Blocking."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, by the name of the place; and the systems that were told and must be asked themselves."""

    attempts: int
    others: tuple[tuple[str, int], ...] = ()
    elsewhere: tuple[str, ...] = ()


def expires(attempt: Attempt, folder: Path) -> float:
    """When an attempt must be gone, in seconds since the epoch."""
    if attempt.ended is not None:
        over = attempt.ended
    else:
        over = max((_written(path) for path in folder.iterdir()), default=attempt.began) + _LEFT_S
    return over + attempt.retention_days * _DAY_S


def _written(path: Path) -> float:
    """When, in seconds since the epoch; 0 for a file that was taken away in the meantime."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def sweep(attempts: Path, now: float) -> list[str]:
    """Delete every attempt whose time has come; their ids. A folder that cannot be deleted is tried again next time."""
    gone = []
    for folder, attempt in list_attempts(attempts):
        if expires(attempt, folder) <= now and _delete(folder):
            gone.append(attempt.id)
    for folder in _unreadable(attempts):
        written = max((_written(path) for path in folder.iterdir()), default=_written(folder))
        if written + _UNREADABLE_S <= now and _delete(folder):
            gone.append(folder.name)
    return gone


def erase(
    trainee: str, attempts: Path, others: Iterable[tuple[str, Erasable]] = (), elsewhere: Iterable[str] = ()
) -> Erased:
    """Erase a trainee from the attempts and from every other place. Close the trainee's sessions first."""
    mine = [folder for folder, attempt in list_attempts(attempts) if attempt.trainee == trainee]
    mine += [folder for folder in _unreadable(attempts) if traces(trainee, folder)]
    count = sum(_delete(folder) for folder in mine)
    counted = tuple((name, place.erase(trainee)) for name, place in others)
    return Erased(count, counted, tuple(elsewhere))


def _unreadable(attempts: Path) -> list[Path]:
    """Folders whose record is damaged, of a newer version, or was never written because the server died first."""
    known = {folder for folder, _ in list_attempts(attempts)}
    return [path for path in sorted(attempts.glob("*/")) if path not in known]


def traces(text: str, folder: Path) -> list[Path]:
    """Files under `folder` that hold these bytes in UTF-8 (databases and their write-ahead logs included)."""
    wanted = text.encode()
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and wanted in path.read_bytes()]


def _delete(folder: Path) -> bool:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        log.error("an attempt could not be deleted", extra={"folder": folder.name, "error": str(error)})
        return False
    return True
