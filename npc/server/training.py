"""Training behind the server: what is done with attempts once they are over, and who may see them.

    every `LOOK_S`  attempts that are over ─▶ Reporting.sweep ─▶ record stores, LMSs
    every `TIDY_S`  attempts whose time has come ─▶ privacy.sweep ─▶ gone
    /v1/attempts…   list, record, report (HTML, PDF), result for the launching page
    /v1/trainees/…  erase one of them everywhere

A trainee's ticket reaches that trainee's attempts; a key or the instructor scope reaches all of them.

No postponed annotations here: FastAPI must see the dependencies that live inside `routes`.
"""

import asyncio
import contextlib
import logging
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol, runtime_checkable
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from npc.server.auth import INSTRUCTOR, Gate, Identity, Refused, Ticket, bearer
from npc.server.hub import Hub
from npc.simulation import privacy
from npc.simulation.attempt import Attempt, AttemptError, list_attempts, load
from npc.simulation.review import NoBrowser, report_page
from npc.simulation.review.pdf import print_pdf
from npc.simulation.standards.outcome import reportable, result_message, title
from npc.simulation.standards.reporting import Reporting
from npc.simulation.standards.settings import load_training

log = logging.getLogger(__name__)

#: How often attempts that are over are looked for, and those whose time has come, seconds. Retention counts in days.
LOOK_S, TIDY_S = 5.0, 3600.0
#: A link to a report works for this long, seconds: enough to open it and to print it.
LINK_S = 900
#: A ticket for this "character" opens no session and no memory: addresses are kept in histories, so theirs do little.
_REPORT_OF = "report:"
_ID = re.compile(r"^[A-Za-z0-9_.-]{1,100}$")


@runtime_checkable
class HoldsPlayers(Protocol):
    """A service that keeps things of players beside their attempts."""

    async def erase_player(self, player_id: str) -> Mapping[str, int]:
        """Delete everything of a player; how many things, by the name of the place."""


class Training:
    """The attempts in a service's folder. Raises AuthoredFileError for a wrong training.yaml."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.settings = load_training(folder)
        self.attempts = folder / "attempts"
        self.reporting = Reporting(folder, self.settings)

    async def run(self) -> None:
        """Report and tidy until cancelled. What goes wrong is logged and tried again."""
        loop = asyncio.get_running_loop()
        delivering = loop.create_task(self.reporting.run())
        tidied = float("-inf")
        try:
            while True:
                if delivering.done():
                    log.error("reports could not be delivered", exc_info=delivering.exception())
                    delivering = loop.create_task(self.reporting.run())
                try:
                    if time.monotonic() - tidied >= TIDY_S:
                        tidied = time.monotonic()
                        await self._tidy()
                    await asyncio.to_thread(self.reporting.sweep, self.attempts)
                except Exception:
                    log.exception("attempts could not be looked through")
                await asyncio.sleep(LOOK_S)
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)

    async def _tidy(self) -> None:
        gone = await asyncio.to_thread(privacy.sweep, self.attempts, time.time())
        if gone:
            log.info("attempts were deleted as their scenarios say", extra={"attempts": len(gone)})

    async def close(self) -> None:
        await self.reporting.close()

    def find(self, attempt_id: str) -> tuple[Path, Attempt]:
        """The attempt and its folder. Raises Refused (404)."""
        if not _ID.match(attempt_id) or attempt_id.startswith("."):
            raise Refused(404, "unknown_attempt", "there is no such attempt")
        try:
            return self.attempts / attempt_id, load(self.attempts / attempt_id)
        except AttemptError:
            raise Refused(404, "unknown_attempt", "there is no such attempt") from None

    async def erase(self, trainee: str, hub: Hub) -> privacy.Erased:
        """End the trainee's sessions and delete everything of them."""
        for live in hub.sessions():
            player = getattr(getattr(live.conversation, "player", None), "player_id", live.identity.player)
            if player == trainee:
                await asyncio.wait([live.end("the player is erased")], timeout=15.0)
        erased = await asyncio.to_thread(
            privacy.erase,
            trainee,
            self.attempts,
            [("reports", self.reporting)],
            self.reporting.told_elsewhere(),
        )
        held = await hub.service.erase_player(trainee) if isinstance(hub.service, HoldsPlayers) else {}
        return privacy.Erased(erased.attempts, (*erased.others, *held.items()), erased.elsewhere)


def summary(attempt: Attempt) -> dict[str, Any]:
    """One line of a list of attempts."""
    return {
        "id": attempt.id,
        "scenario": attempt.scenario.id,
        "title": attempt.scenario.title,
        "trainee": attempt.trainee,
        "level": attempt.level,
        "began": attempt.began,
        "seconds": attempt.duration_s,
        "outcome": attempt.outcome,
        "score": attempt.score,
        "pass_mark": attempt.pass_mark,
        "passed": attempt.passed,
        "items": [{"id": one.item, "description": title(one), "state": one.state} for one in reportable(attempt)],
    }


def routes(training: Training, hub: Hub, gate: Gate) -> APIRouter:
    """Attempts, reports and erasure."""
    router = APIRouter()

    def identity(request: Request, ticket: Annotated[str | None, Query()] = None) -> Identity:
        headers = {name.lower(): value for name, value in request.headers.items()}
        return gate.identify(bearer(headers) or ticket, headers.get("origin"), time.time())

    def whole(who: Annotated[Identity, Depends(identity)]) -> Identity:
        if (who.character or "").startswith(_REPORT_OF):
            raise Refused(403, "report_only", "this link opens one report and nothing else")
        return who

    anybody = Annotated[Identity, Depends(identity)]
    known = Annotated[Identity, Depends(whole)]

    async def mine(attempt_id: str, who: anybody) -> tuple[Path, Attempt]:
        folder, attempt = await asyncio.to_thread(training.find, attempt_id)
        bound = (who.character or "").startswith(_REPORT_OF) and who.character != _REPORT_OF + attempt_id
        if bound or not _may_see(who, attempt.trainee):
            # As if it did not exist: whose it is, is nobody else's business.
            raise Refused(404, "unknown_attempt", "there is no such attempt")
        return folder, attempt

    found = Annotated[tuple[Path, Attempt], Depends(mine)]

    @router.get("/v1/attempts")
    async def attempts(who: known, scenario: str | None = None, trainee: str | None = None) -> dict[str, Any]:
        """Attempts, newest first: all of them for an instructor, else one's own."""
        every = await asyncio.to_thread(list_attempts, training.attempts)
        seen = [
            summary(one)
            for _, one in reversed(every)
            if _may_see(who, one.trainee) and scenario in (None, one.scenario.id) and trainee in (None, one.trainee)
        ]
        return {"object": "list", "data": seen}

    @router.get("/v1/attempts/{attempt_id}/result")
    async def result(one: found, origin: str | None = None) -> dict[str, Any]:
        """The outcome for the page of a learning system at `origin`, and a link to the report."""
        if origin is not None and origin not in training.settings.lms_origins:
            raise Refused(403, "origin_not_allowed", f"{origin[:100]!r} is not one of lms_origins in training.yaml")
        _, attempt = one
        return {**result_message(attempt), "report": _link(gate, attempt)}

    @router.get("/v1/attempts/{attempt_id}/report")
    async def report(one: found) -> HTMLResponse:
        folder, _ = one
        _, page = await asyncio.to_thread(report_page, folder, training.attempts)
        return HTMLResponse(page, headers=_HEADERS)

    @router.get("/v1/attempts/{attempt_id}/report.pdf")
    async def pdf(one: found) -> Response:
        folder, attempt = one
        try:
            made = await asyncio.to_thread(_pdf, folder, training.attempts)
        except NoBrowser as error:
            raise Refused(501, "no_browser", str(error)) from None
        except RuntimeError as error:
            raise Refused(502, "browser_failed", str(error)) from None
        name = f'attachment; filename="{attempt.id}.pdf"'
        return Response(made, media_type="application/pdf", headers={**_HEADERS, "Content-Disposition": name})

    @router.delete("/v1/trainees/{trainee}")
    async def erase(trainee: str, who: known) -> dict[str, Any]:
        """Delete everything of a trainee: by a key, or by the trainee."""
        if not (who.by_key or who.player == trainee):
            raise Refused(403, "not_yours", "this ticket does not reach that trainee")
        erased = await training.erase(trainee, hub)
        return {
            "trainee": trainee,
            "attempts": erased.attempts,
            "other": dict(erased.others),
            "ask_also": list(erased.elsewhere),
        }

    return router


_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


def _may_see(who: Identity, trainee: str) -> bool:
    return who.by_key or INSTRUCTOR in who.scopes or who.player == trainee


def _link(gate: Gate, attempt: Attempt) -> str:
    """Path of the report, with a short-lived ticket: a browser that follows a link sends no header."""
    expires, bound = int(time.time()) + LINK_S, _REPORT_OF + attempt.id
    ticket = gate.mint(Ticket(expires, attempt.id[-12:], player=attempt.trainee, character=bound))
    return f"v1/attempts/{attempt.id}/report?{urlencode({'ticket': ticket})}"


def _pdf(folder: Path, attempts: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="npc-report-") as place:
        page = Path(place) / "report.html"
        page.write_text(report_page(folder, attempts, sound=False)[1], encoding="utf-8")
        return print_pdf(page, Path(place) / "report.pdf").read_bytes()


async def stop(task: asyncio.Task[None], training: Training) -> None:
    """End `run` and close; for the application's lifespan."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await training.close()
