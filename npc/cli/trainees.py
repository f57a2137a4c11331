"""`npc trainees`: what is kept of trainees, and deleting it.

npc trainees list                 who has attempts here, how many, and when the last of them goes away
npc trainees erase t-4f1a         delete everything of one trainee, everywhere in the state folder
npc trainees sweep                delete attempts whose time has come (a running server does so by itself)
npc trainees report               send what waits in the outbox once, and say what was refused

Memories on a PostgreSQL server (store.memory) are erased there: name the server's settings by --settings or NPC_*.
Stop the server first, or use DELETE /v1/trainees/{id}: a session that is going on would write again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from npc.config.authored import AuthoredFileError
from npc.config.settings import SettingsError, load_settings
from npc.dialogue.memory.postgres import open_memory
from npc.dialogue.memory.store import MemoryStoreError
from npc.simulation import privacy
from npc.simulation.attempt import Attempt, list_attempts
from npc.simulation.standards.reporting import Reporting
from npc.simulation.standards.settings import load_training
from npc.store import LogStore


def main(argv: list[str]) -> int:
    """Exit status 0 when done, 1 when something could not be, 2 for a wrong request."""
    parser = argparse.ArgumentParser(
        prog="npc trainees", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("list", "erase", "sweep", "report"))
    parser.add_argument("trainee", nargs="?", help="the trainee's id, as `npc trainees list` shows it (erase)")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="the service's folder (default: as set, store.folder)"
    )
    parser.add_argument("--settings", type=Path, metavar="FILE", help="the service's YAML file of settings")
    given = parser.parse_args(argv)
    try:
        settings = load_settings(file=given.settings)
    except SettingsError as error:
        parser.error(str(error))
    folder = given.folder or settings.folder
    if (given.what == "erase") != (given.trainee is not None):
        parser.error("erase needs a trainee; the others take none")
    if not folder.is_dir():
        parser.error(f"--folder {folder}: there is no such folder")
    try:
        if given.what == "list":
            return _list(list_attempts(folder / "attempts"))
        if given.what == "erase":
            return _erase(given.trainee, folder, settings.store.memory)
        if given.what == "sweep":
            gone = privacy.sweep(folder / "attempts", time.time())
            print(f"{len(gone)} attempts deleted" + "".join(f"\n  {name}" for name in gone))
            return 0
        return asyncio.run(_report(folder))
    except (AuthoredFileError, MemoryStoreError) as error:
        print(f"npc trainees: {error}", file=sys.stderr)
        return 2


def _list(found: Sequence[tuple[Path, Attempt]]) -> int:
    by_trainee: dict[str, list[tuple[Path, Attempt]]] = {}
    for folder, attempt in found:
        by_trainee.setdefault(attempt.trainee, []).append((folder, attempt))
    for trainee, mine in sorted(by_trainee.items()):
        last = max(privacy.expires(attempt, folder) for folder, attempt in mine)
        sound = sum(attempt.audio.trainee is not None for _, attempt in mine)
        kept = f"{len(mine)} attempts, {sound} with sound" if len(mine) > 1 else f"1 attempt, {sound} with sound"
        print(f"{trainee}  {kept}, the last until {datetime.fromtimestamp(last):%Y-%m-%d}")
    if not by_trainee:
        print("nobody")
    return 0


class _Memory:
    def __init__(self, where: Path | str) -> None:
        self._store = open_memory(where)
        self.left = 0

    def erase(self, trainee: str) -> int:
        self.left = len(self._store.erase(player=trainee))
        return 0 if self.left else 1

    def close(self) -> None:
        self._store.close()


def _erase(trainee: str, folder: Path, server: str) -> int:
    memories = [_Memory(server)] if server else []
    reporting = Reporting(folder, load_training(folder))
    logs = LogStore(folder / "sessions.sqlite") if (folder / "sessions.sqlite").is_file() else None
    memories += [_Memory(folder / "memory.sqlite")] if (folder / "memory.sqlite").is_file() else []
    places: list[tuple[str, privacy.Erasable]] = [("reports", reporting)]
    places += [("session logs", logs)] if logs is not None else []
    places += [("memory", memory) for memory in memories]
    try:
        erased = privacy.erase(trainee, folder / "attempts", places, reporting.told_elsewhere())
    finally:
        asyncio.run(reporting.close())
        if logs is not None:
            logs.close()
        for memory in memories:
            memory.close()
    print(f"erased: {erased.attempts} attempts" + "".join(f", {name} {count}" for name, count in erased.others))
    if erased.elsewhere:
        print("these were told and must be asked themselves:" + "".join(f"\n  {one}" for one in erased.elsewhere))
    left = privacy.traces(trainee, folder)
    if left or any(memory.left for memory in memories):
        places_left = [str(path) for path in left] + ["memory"] * any(memory.left for memory in memories)
        print("the id still stands in:" + "".join(f"\n  {place}" for place in places_left), file=sys.stderr)
        return 1
    return 0


async def _report(folder: Path) -> int:
    reporting = Reporting(folder, load_training(folder))
    try:
        reporting.sweep(folder / "attempts")
        waiting = False
        for name in reporting.outbox.targets():
            target = reporting.target(name)
            delivery = reporting.delivery(name, target) if target is not None else None
            late = await delivery.once() if delivery is not None else None
            sent = delivery.progress.delivered if delivery is not None else 0
            waiting = waiting or late is not None or target is None
            problem = f"; the rest waits: {late.status} {late.message}" if late is not None else ""
            print(f"{name}: {sent} sent{problem}" if target is not None else f"{name}: nobody to tell any more")
        for entry in reporting.outbox.refused():
            print(f"refused by {entry.target}: {entry.key}: {entry.refused}", file=sys.stderr)
        return 1 if waiting or reporting.outbox.refused() else 0
    finally:
        await reporting.close()
