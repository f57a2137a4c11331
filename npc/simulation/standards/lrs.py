"""A learning record store: the xAPI 1.0.3 statements resource over HTTP, and a file that takes statements instead.

Clock skew: a store may refuse what is stamped later than its own clock, and a wrong clock falsifies a record of
learning. So before the first sending the store's clock is read (the `Date` of `GET about`, halfway through the round
trip); where ours is off by more than `TOLERATED_SKEW`, the statements are shifted and say so in an extension. The
shifted form is kept in the outbox, so that a repeated sending is the same to the byte.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from npc.simulation.standards.delivery import Answer
from npc.simulation.standards.outbox import Entry, Outbox

VERSION = "1.0.3"
#: An HTTP date has whole seconds, and a round trip may take some.
TOLERATED_SKEW = 5.0
#: Longest wait for one answer of the store, seconds.
DEADLINE = 20.0
#: Extension on statements whose time was corrected: seconds added to what our clock said.
CORRECTED = "https://w3id.org/npc/xapi/extensions/clock-correction-s"


@dataclass(frozen=True, slots=True)
class LrsAccount:
    """Endpoint of the store (the part before `statements`) and the value of its Authorization header."""

    endpoint: str
    authorization: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.endpoint.startswith(("http://", "https://")):
            raise ValueError(f"LRS endpoint {self.endpoint!r} must be an http(s) URL")

    def url(self, resource: str) -> str:
        return f"{self.endpoint.rstrip('/')}/{resource}"

    @staticmethod
    def basic(endpoint: str, user: str, password: str) -> LrsAccount:
        """With HTTP Basic credentials."""
        request = httpx.Request("GET", "http://x")
        authorised = next(httpx.BasicAuth(user, password).auth_flow(request))
        return LrsAccount(endpoint, authorised.headers["Authorization"])


class Lrs:
    """Implements `delivery.Target`. One per store; call from one event loop."""

    def __init__(
        self,
        account: LrsAccount,
        outbox: Outbox,
        client: httpx.AsyncClient | None = None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._account, self._outbox, self._now = account, outbox, now
        self._client = client or httpx.AsyncClient(timeout=DEADLINE)
        self.skew: float | None = None
        """Seconds the store's clock is ahead of ours; None before it was asked."""

    async def send(self, entries: Sequence[Entry]) -> Answer:
        if self.skew is None:
            answer = await self._read_clock()
            if answer is not None:
                return answer
        entries = await asyncio.to_thread(self._corrected, entries)
        return await self.request("POST", "statements", json=[dict(one.body) for one in entries])

    async def request(self, method: str, resource: str, **given: Any) -> Answer:
        """One request with the xAPI headers; every failure is an Answer with status 0."""
        response = await self._try(method, resource, **given)
        return response if isinstance(response, Answer) else _answer(response)

    async def document(self, resource: str, params: Mapping[str, str]) -> Any | None:
        """A JSON document (state, agent profile), or None when there is none. Raises ConnectionError."""
        response = await self._try("GET", resource, params=params)
        if isinstance(response, Answer):
            raise ConnectionError(response.message)
        if response.status_code == 404:
            return None
        if response.status_code != 200:
            raise ConnectionError(f"{resource}: the store answered {response.status_code}")
        return response.json()

    async def close(self) -> None:
        await self._client.aclose()

    async def _try(self, method: str, resource: str, **given: Any) -> httpx.Response | Answer:
        headers = {"X-Experience-API-Version": VERSION, "Authorization": self._account.authorization}
        try:
            return await self._client.request(method, self._account.url(resource), headers=headers, **given)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answer(0, f"{type(error).__name__}: {error}")

    async def _read_clock(self) -> Answer | None:
        asked = self._now()
        response = await self._try("GET", "about")
        if isinstance(response, Answer):
            return response
        if response.status_code >= 500:
            return _answer(response)
        told = response.headers.get("Date")
        try:
            there = parsedate_to_datetime(told).timestamp() if told else None
        except ValueError:
            there = None
        # A date of whole seconds lies half a second back on average.
        self.skew = 0.0 if there is None else there + 0.5 - (asked + self._now()) / 2
        return None

    def _corrected(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        if self.skew is None or abs(self.skew) <= TOLERATED_SKEW:
            return entries
        shifted = [_shift(one, round(self.skew, 1)) for one in entries]
        changed = [new for new, old in zip(shifted, entries, strict=True) if new is not old]
        if changed:
            self._outbox.rewrite(changed)
        return shifted


class StatementFile:
    """Implements `delivery.Target`: appends statements to a file, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, entries: Sequence[Entry]) -> Answer:
        try:
            await asyncio.to_thread(self._append, entries)
        except OSError as error:
            return Answer(0, f"{self._path}: {error.strerror or error}")
        return Answer(200)

    def _append(self, entries: Sequence[Entry]) -> None:
        with self._path.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(one.body, ensure_ascii=False, sort_keys=True) + "\n" for one in entries)


def _shift(entry: Entry, seconds: float) -> Entry:
    """The statement with its time on the store's clock; unchanged when that was done before."""
    statement = dict(entry.body)
    context = dict(statement.get("context") or {})
    extensions = dict(context.get("extensions") or {})
    if CORRECTED in extensions or "timestamp" not in statement:
        return entry
    moment = datetime.fromisoformat(str(statement["timestamp"]).replace("Z", "+00:00"))
    statement["timestamp"] = stamp(moment.timestamp() + seconds)
    statement["context"] = {**context, "extensions": {**extensions, CORRECTED: seconds}}
    return replace(entry, body=statement)


def stamp(moment: float) -> str:
    """Seconds since the epoch as an ISO 8601 time in UTC, to the millisecond."""
    exact = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=round(moment * 1000))
    return exact.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _answer(response: httpx.Response) -> Answer:
    wait = response.headers.get("Retry-After", "")
    return Answer(response.status_code, response.text[:300], float(wait) if wait.isdigit() else None)
