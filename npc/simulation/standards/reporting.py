"""When an attempt is over: everybody who is to know gets an entry in the outbox, and the outbox is emptied.

    launch (LTI, cmi5, SCORM) ─▶ remember: launches/<id>.json
    attempt over ─▶ finished ─┬─▶ "lrs"        statements, when training.yaml names a store or a file
                              ├─▶ "cmi5:<id>"  the rest of the session, with the launch's own token
                              └─▶ "lti:<id>"   the grade
    run ─▶ one delivery a target; a system that is away holds up no other one

A SCORM launch is told by the review page in the trainee's browser: the LMS's API lives there and nowhere else.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx

from npc.simulation.attempt import FILE_NAME, Attempt, AttemptError, load
from npc.simulation.standards.cmi5 import LaunchedUnit, session_statements
from npc.simulation.standards.delivery import Answer, Backoff, Delivery, Target
from npc.simulation.standards.lrs import DEADLINE, Lrs, StatementFile
from npc.simulation.standards.outbox import Entry, Outbox, OutboxFull
from npc.simulation.standards.settings import TrainingSettings
from npc.simulation.standards.xapi import statements

log = logging.getLogger(__name__)

Kind = Literal["scorm", "cmi5", "lti"]
#: Name of the empty file by which an attempt's folder says that it was reported.
REPORTED = "reported"
#: Sendings under way at once, to whomever; a system that does not answer holds its place for one deadline only.
AT_ONCE = 8
#: Systems that are tried side by side. Each costs a sleeping task; the others wait until one of these is through.
MOST_TARGETS = 1000
#: How often it looks for what another process has put into the outbox, seconds.
LOOK_S = 30.0
#: A launch is forgotten after this time: its tokens are long dead. Seconds.
KEEP_S = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Launched:
    """A trainee who came from a learning system. `data` is what reporting back needs."""

    id: str
    kind: Kind
    trainee: str
    scenario: str
    began: float
    data: Mapping[str, Any] = field(repr=False)


def pseudonym(source: str, learner: str) -> str:
    """The trainee id of a learner of a learning system: the same each time, and no name (96 bits of a SHA-256)."""
    return "t-" + hashlib.sha256(f"{source}\n{learner}".encode()).hexdigest()[:24]


class _Limited:
    """A target that sends only when there is room."""

    def __init__(self, target: Target, room: asyncio.Semaphore) -> None:
        self._target, self._room = target, room

    async def send(self, entries: Sequence[Entry]) -> Answer:
        async with self._room:
            return await self._target.send(entries)


class Reporting:
    """Launches, outbox and deliveries of one service. `finished` may be called from any thread."""

    def __init__(
        self,
        folder: Path,
        settings: TrainingSettings,
        *,
        client: httpx.AsyncClient | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        backoff: Backoff | None = None,
    ) -> None:
        self.settings, self._folder = settings, folder
        self.now, self._sleep, self._backoff = now, sleep, backoff
        self._launches = folder / "launches"
        self._launches.mkdir(parents=True, exist_ok=True)
        self.outbox = Outbox(folder / "outbox.sqlite")
        self._client = client
        self._deliveries: dict[str, asyncio.Task[Any]] = {}
        self._sending = asyncio.Semaphore(AT_ONCE)
        self._looked: dict[str, int] = {}
        """When the records of attempts that are still running were last written, by folder."""
        self._wake: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    @property
    def client(self) -> httpx.AsyncClient:
        """Made on first use: most services never call a learning system."""
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=DEADLINE)
        return self._client

    # -- launches ------------------------------------------------------------------------------------------------------

    def remember(self, kind: Kind, trainee: str, scenario: str, data: Mapping[str, Any]) -> Launched:
        """Keep a launch, for the end of its attempt."""
        made = Launched(secrets.token_hex(8), kind, trainee, scenario, self.now(), data)
        path = self._launches / f"{made.id}.json"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            json.dump(asdict(made), out)
        return made

    def launches(self, trainee: str | None = None) -> list[Launched]:
        """Launches that are remembered, newest first; those too old are deleted."""
        found = []
        for path in self._launches.glob("*.json"):
            try:
                one = Launched(**json.loads(path.read_text()))
            except (OSError, ValueError, TypeError):
                log.warning("a launch cannot be read", extra={"file": path.name})
                continue
            if self.now() - one.began > KEEP_S:
                self._forget(one)
            elif trainee is None or one.trainee == trainee:
                found.append(one)
        return sorted(found, key=lambda one: -one.began)

    def _forget(self, launched: Launched) -> None:
        for ending in ("json", "attempt"):
            (self._launches / f"{launched.id}.{ending}").unlink(missing_ok=True)

    # -- the end of an attempt -----------------------------------------------------------------------------------------

    def finished(self, attempt: Attempt) -> int:
        """Put what is to be told of an attempt into the outbox; how many entries. Repeating it changes nothing.

        Raises OutboxFull.
        """
        put = 0
        if self.settings.xapi is not None:
            told = statements(attempt, self.settings.service, transcript=self.settings.xapi.transcript)
            put += self.outbox.put("lrs", attempt.trainee, [(one["id"], one) for one in told])
        launched = next((one for one in self.launches(attempt.trainee) if self._begun_by(attempt, one)), None)
        if launched is not None and launched.kind == "cmi5" and self._first(launched, attempt):
            unit = LaunchedUnit.from_json(launched.data)
            told = session_statements(attempt, unit)
            put += self.outbox.put(f"cmi5:{launched.id}", attempt.trainee, [(one["id"], one) for one in told])
        elif launched is not None and launched.kind == "lti":
            put += self._grade(attempt, launched)
        if put and self._wake is not None:
            loop, event = self._wake
            loop.call_soon_threadsafe(event.set)
        return put

    def _begun_by(self, attempt: Attempt, launched: Launched) -> bool:
        return launched.scenario == attempt.scenario.id and launched.began <= attempt.began + 60

    def _first(self, launched: Launched, attempt: Attempt) -> bool:
        """Whether the launch is for this attempt: a cmi5 session ends once, with the first attempt that is over."""
        mark = self._launches / f"{launched.id}.attempt"
        try:
            with mark.open("x", encoding="utf-8") as out:
                out.write(attempt.id)
        except FileExistsError:
            return mark.read_text(encoding="utf-8") == attempt.id
        return True

    def _grade(self, attempt: Attempt, launched: Launched) -> int:
        from npc.simulation.standards.grades import grade

        body = {
            "line_item": launched.data["line_item"],
            "line_items": launched.data["line_items"],
            "resource": attempt.scenario.id,
            "label": attempt.scenario.title,
            "grade": grade(attempt, launched.data["user"]),
        }
        return self.outbox.put(f"lti:{launched.id}", attempt.trainee, [(attempt.id, body)])

    def sweep(self, attempts: Path) -> int:
        """Report every attempt under `attempts` that is over and was not reported yet; how many.

        A mark in the attempt's folder says that its entries are on disk, so a server that died in between loses none.
        """
        count = 0
        for path in sorted(attempts.glob(f"*/{FILE_NAME}")):
            mark = path.parent / REPORTED
            # Looked at every few seconds: what was reported, or has not changed since, is not read again.
            if mark.is_file() or self._looked.get(path.parent.name) == path.stat().st_mtime_ns:
                continue
            self._looked[path.parent.name] = path.stat().st_mtime_ns
            try:
                attempt = load(path.parent)
            except AttemptError as error:
                log.warning("an attempt cannot be read", extra={"error": str(error)})
                continue
            if attempt.outcome == "running":
                continue
            try:
                self.finished(attempt)
            except OutboxFull as full:
                # The attempt keeps; it is reported once there is room.
                log.error("an attempt waits to be reported", extra={"attempt": attempt.id, "error": str(full)})
                del self._looked[path.parent.name]
                break
            mark.touch()
            del self._looked[path.parent.name]
            count += 1
        return count

    # -- delivery ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver until cancelled."""
        event = asyncio.Event()
        self._wake = (asyncio.get_running_loop(), event)
        try:
            while True:
                event.clear()
                await self._begin_deliveries()
                try:
                    await asyncio.wait_for(event.wait(), LOOK_S)
                except TimeoutError:
                    pass
        finally:
            self._wake = None
            for task in self._deliveries.values():
                task.cancel()
            await asyncio.gather(*self._deliveries.values(), return_exceptions=True)

    async def _begin_deliveries(self) -> None:
        self._deliveries = {name: task for name, task in self._deliveries.items() if not task.done()}
        for name in await asyncio.to_thread(self.outbox.targets):
            if name in self._deliveries or len(self._deliveries) >= MOST_TARGETS:
                continue
            target = await asyncio.to_thread(self.target, name)
            if target is None:
                await asyncio.to_thread(self._give_up, name)
            else:
                delivery = self.delivery(name, _Limited(target, self._sending))
                self._deliveries[name] = asyncio.get_running_loop().create_task(delivery.run())

    def _give_up(self, name: str) -> None:
        """Set aside what waits for somebody who is not there any more."""
        while waiting := self.outbox.waiting(name, 500):
            for entry in waiting:
                self.outbox.refuse(entry, "its launch is forgotten or its settings are gone: nobody can be told")

    def delivery(self, name: str, target: Target) -> Delivery:
        """How one target's entries are sent."""
        return Delivery(
            self.outbox,
            name,
            target,
            backoff=self._backoff,
            sleep=self._sleep,
            batch=1 if name.startswith("lti:") else 50,
        )

    def target(self, name: str) -> Target | None:
        """Where entries of that name go; None when the settings or the launch are gone."""
        kind, _, launch_id = name.partition(":")
        if kind == "lrs" and self.settings.xapi is not None:
            if self.settings.xapi.file is not None:
                return StatementFile(self._folder / self.settings.xapi.file)
            account = self.settings.xapi.account
            assert account is not None, "settings have a file or an endpoint"
            return Lrs(account, self.outbox, self.client, now=self.now)
        launched = next((one for one in self.launches() if one.id == launch_id), None)
        if launched is None:
            log.error("nobody can be told", extra={"target": name})
            return None
        if kind == "cmi5":
            return Lrs(LaunchedUnit.from_json(launched.data).account, self.outbox, self.client, now=self.now)
        from npc.simulation.standards.grades import GradeBook

        try:
            platform = self.platform(launched.data["issuer"], launched.data["client_id"])
        except LookupError as error:
            log.error("nobody can be told", extra={"target": name, "error": str(error)})
            return None
        return GradeBook(platform, self.tool_key(), self.client, now=self.now)

    # -- LTI -----------------------------------------------------------------------------------------------------------

    def platform(self, issuer: str, client_id: str) -> Any:
        """The registered platform. Raises LookupError."""
        from npc.simulation.standards.lti import Platform

        for one in self.settings.lti:
            if (one.issuer, one.client_id) == (issuer, client_id):
                return Platform(**one.model_dump(exclude={"instructors"}))
        raise LookupError(f"no platform {issuer!r} with client {client_id!r} in training.yaml")

    def tool_key(self) -> Any:
        """The key of this service, made on first use."""
        from npc.simulation.standards.grades import ToolKey

        path = self._folder / "lti_key.pem"
        if not path.is_file():
            made = ToolKey.make()
            try:
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                    out.write(made.pem)
            except FileExistsError:
                # Another process was faster; its key counts.
                pass
        return ToolKey.load(path.read_bytes())

    # -- privacy -------------------------------------------------------------------------------------------------------

    def erase(self, trainee: str) -> int:
        """Forget everything about a trainee here; how many entries and launches. What was delivered is not here."""
        mine = self.launches(trainee)
        for one in mine:
            self._forget(one)
        return len(mine) + self.outbox.erase(trainee) + self._erase_from_file(trainee)

    def _erase_from_file(self, trainee: str) -> int:
        """Take the trainee's lines out of the file of statements."""
        if self.settings.xapi is None or self.settings.xapi.file is None:
            return 0
        path = self._folder / self.settings.xapi.file
        if not path.is_file():
            return 0
        whole = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in whole if not _tells_of(line, trainee)]
        if len(kept) < len(whole):
            waiting = path.with_name(path.name + ".new")
            waiting.write_text("".join(kept), encoding="utf-8")
            waiting.replace(path)
        return len(whole) - len(kept)

    def told_elsewhere(self) -> list[str]:
        """Systems that were given data about trainees, which only they can erase (xAPI 1.0.3 has no deletion)."""
        stores = [self.settings.xapi.endpoint] if self.settings.xapi and self.settings.xapi.endpoint else []
        return [*stores, *(one.issuer for one in self.settings.lti), *self.settings.lms_origins]

    async def close(self) -> None:
        """Close client and outbox; what was not sent stays."""
        if self._client is not None:
            await self._client.aclose()
        self.outbox.close()


def _tells_of(line: str, trainee: str) -> bool:
    """Whether a line of the file of statements is about a trainee; one that a crash cut off, when it names them."""
    try:
        return bool(json.loads(line)["actor"]["account"]["name"] == trainee)
    except (ValueError, KeyError, TypeError):
        return trainee in line
