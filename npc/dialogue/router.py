"""Small first: which Responder answers a turn, and what happens when the larger one is slow or dies.

    context ─ need? ─no──> small ───────────────────────────────────────────────> clauses
                └─yes─> large ─ first clause within its budget? ─yes─> clauses ─ dies ─┐
                          └─ no, or dead before a word ──────────> small              │
                                            small goes on after the last word spoken <─┘

A word that was spoken is never repeated and none that came is lost: the large Responder yields every whole word before
it raises, and what the small one says is joined behind it without the overlap (`joined`). A remote model is only
considered when the session opted in, gets only the allowed fields, and every call to it is recorded.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from npc.dialogue.context import Context
from npc.dialogue.interface import Clause, Responder, ThinksAhead
from npc.inference.interface import LanguageModel, Message, ModelError, Sampling, Token

log = logging.getLogger(__name__)

#: Choices and remote calls kept for the inspector.
KEPT = 200
#: What the ledger says of a reply that nobody waited for to its end.
CUT_SHORT = "cut short"
_PLAIN = Sampling()

_OPEN_QUESTION = re.compile(
    r"\b(?:why|how come|explain|describe|what do you think|what would you|how do you feel"
    r"|tell me (?:more|a story|about your)"
    r"|what is it like|what's it like|imagine|suppose|in your (?:own )?(?:words|opinion)|compare|advise|should i)\b",
    re.IGNORECASE,
)
_ASKED_FOR = re.compile(r"\b(?:think (?:hard|about it|carefully|it over)|take your time|in detail|long answer)\b", re.I)


@dataclass(frozen=True, slots=True)
class Budget:
    """In seconds. Past `first_clause` the pause is felt (the whole way may take 0.8 s), so the small one answers."""

    first_clause: float = 0.9
    between_clauses: float = 4.0

    def __post_init__(self) -> None:
        for name in ("first_clause", "between_clauses"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0 s, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Need:
    """Whether a turn needs the larger model: `score` in [0, 1] and the reasons in words."""

    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of the ledger."""

    turn_id: str
    chosen: Literal["small", "large"]
    reasons: tuple[str, ...]
    first_clause_s: float | None = None
    fallback: str = ""
    words_large: int = 0
    words_small: int = 0


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """What left this machine: when, to which model, which kinds of message, how many characters."""

    at: float
    model: str
    roles: tuple[str, ...]
    characters: int


def measure_need(context: Context, confidence: float) -> Need:
    """Retrieval confidence, kind of question, the player's wish. Only open turns can need more than the small one."""
    if context.act != "open" or not context.turn.text:
        return Need(0.0, ("not an open turn",))
    reasons: list[str] = []
    text, score = context.turn.text, 0.0
    if _ASKED_FOR.search(text):
        score, reasons = score + 0.6, [*reasons, "the player asked for thought"]
    if _OPEN_QUESTION.search(text):
        score, reasons = score + 0.5, [*reasons, "open question"]
    if len(text.split()) > 25:
        score, reasons = score + 0.2, [*reasons, "long turn"]
    if confidence < 0.5:
        score, reasons = score + 0.6 * (0.5 - confidence) / 0.5, [*reasons, f"retrieval confidence {confidence:.2f}"]
    else:
        # A fact on the topic does not answer a "why do you think", so there it counts for less.
        score, reasons = score - (0.1 if score >= 0.5 else 0.3), [*reasons, f"retrieval confidence {confidence:.2f}"]
    return Need(round(max(0.0, min(1.0, score)), 3), tuple(reasons))


class RouterResponder:
    """A Responder over two. `confidence(context)` in [0, 1] says how sure retrieval is; it runs on a worker thread."""

    name = "router"

    def __init__(
        self,
        small: Responder,
        large: Responder | None,
        *,
        confidence: Callable[[Context], float],
        clock: Callable[[], float],
        remote: bool = False,
        remote_allowed: bool = False,
        threshold: float = 0.4,
        budget: Budget | None = None,
        calls: Sequence[RemoteCall] = (),
    ) -> None:
        """`calls`: what a remote model was sent so far, for `notes`."""
        self._small, self._calls = small, calls
        # Without the opt-in a remote model does not exist for this session.
        self._large = large if remote_allowed or not remote else None
        self._confidence, self._clock = confidence, clock
        self._threshold, self._budget = threshold, budget or Budget()
        self.ledger: deque[Choice] = deque(maxlen=KEPT)
        self.route, self.plain = small.name, ""

    async def respond(self, context: Context) -> AsyncIterator[Clause]:
        need = measure_need(context, await asyncio.to_thread(self._confidence, context))
        if self._large is None or need.score < self._threshold:
            choice = Choice(context.turn.turn_id, "small", need.reasons)
            async with aclosing(self._answer_small(context, choice)) as answer:
                async for clause in answer:
                    yield clause
            return
        choice = Choice(context.turn.turn_id, "large", need.reasons)
        self.plain = ""
        self.route = getattr(self._large, "route", self._large.name)
        said: list[str] = []
        start = self._clock()
        stream = aiter(self._large.respond(context))
        failure, whole = "", False
        try:
            while True:
                limit = self._budget.between_clauses if said else self._budget.first_clause
                try:
                    clause = await asyncio.wait_for(anext(stream), limit)
                except StopAsyncIteration:
                    whole = True
                    break
                except TimeoutError:
                    failure = f"no clause within {limit:g} s"
                    break
                except ModelError as error:
                    failure = str(error)
                    break
                if not said:
                    choice = replace(choice, first_clause_s=round(self._clock() - start, 4))
                said.append(clause.text)
                yield clause
        finally:
            await _closed(stream)
            words = " ".join(said)
            choice = replace(choice, words_large=len(words.split()), fallback=failure)
            if not whole and not failure:
                self.ledger.append(replace(choice, fallback=CUT_SHORT))
        if not failure or (said and _ended(words)):
            self.ledger.append(choice)
            return
        self.route = f"{self._small.name} after {self.route}"
        async with aclosing(self._answer_small(replace(context, said=words), choice)) as answer:
            async for clause in answer:
                yield clause

    async def anticipate(self, context: Context) -> None:
        """Let whoever would answer the turn as it stands begin; see ThinksAhead."""
        need = measure_need(context, await asyncio.to_thread(self._confidence, context))
        chosen = self._small if self._large is None or need.score < self._threshold else self._large
        if isinstance(chosen, ThinksAhead):
            await chosen.anticipate(context)

    def _ahead(self) -> list[ThinksAhead]:
        everyone: list[object] = [self._small, self._large]
        return [one for one in everyone if isinstance(one, ThinksAhead)]

    def decided(self) -> None:
        """See ThinksAhead."""
        for responder in self._ahead():
            responder.decided()

    def speculation(self) -> dict[str, float]:
        """See ThinksAhead."""
        return {name: value for responder in self._ahead() for name, value in responder.speculation().items()}

    async def close(self) -> None:
        """The session is over."""
        for responder in (self._small, self._large):
            close = getattr(responder, "close", None)
            if close is not None:
                await close()

    def notes(self) -> dict[str, Any]:
        """The last choice and the last remote call, for the inspector."""
        found: dict[str, Any] = {"router": asdict(self.ledger[-1])} if self.ledger else {}
        if self._calls:
            found["remote"] = {"calls": len(self._calls), "last": asdict(self._calls[-1])}
        return found

    async def _answer_small(self, context: Context, choice: Choice) -> AsyncGenerator[Clause, None]:
        count, start = 0, self._clock()
        join = Joiner(context.said)
        if not context.said:
            self.route = getattr(self._small, "route", "") or self._small.name
        stream = self._small.respond(context)
        try:
            async for clause in stream:
                new = join.take(clause)
                if new is None:
                    continue
                self.plain = "" if context.said else getattr(self._small, "plain", "")
                if count == 0 and choice.first_clause_s is None:
                    choice = replace(choice, first_clause_s=round(self._clock() - start, 4))
                count += len(new.text.split())
                yield new
            if not context.said:
                self.route = getattr(self._small, "route", "") or self._small.name
        finally:
            self.ledger.append(replace(choice, words_small=count))
            await _closed(stream)


async def _closed(stream: AsyncIterator[Clause]) -> None:
    """Close a generator now and not when it is collected, so that a stalled request does not outlive its turn."""
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()


class Joiner:
    """Drops from a second reply the words that the first one already said. Pure; fed clause by clause.

    "Rope costs six" + "Rope costs six silver." -> "silver."      "Well, the rope" + "It costs six." -> "It costs six."
    """

    def __init__(self, said: str) -> None:
        self._said = _plain(said)
        self._open = bool(self._said)

    def take(self, clause: Clause) -> Clause | None:
        """The clause without what was said, or None when nothing new is in it."""
        if not self._open:
            return clause
        words = clause.text.split()
        plain = [_plain(word) for word in words]
        flat = [part for parts in plain for part in parts]
        overlap = _overlap(self._said, flat)
        self._said = [*self._said, *flat[overlap:]]
        if overlap == 0:
            self._open = False
            return clause
        dropped, kept_from = 0, 0
        for index, parts in enumerate(plain):
            if dropped >= overlap:
                break
            dropped += len(parts)
            kept_from = index + 1
        rest = words[kept_from:]
        if not rest:
            return None
        self._open = False
        citations = tuple(
            replace(c, word_start=max(0, c.word_start - kept_from), word_end=c.word_end - kept_from)
            for c in clause.citations
            if c.word_end > kept_from
        )
        actions = tuple(replace(a, at_word=max(0, a.at_word - kept_from)) for a in clause.actions)
        return replace(clause, text=" ".join(rest), citations=citations, actions=actions)


def _overlap(said: list[str], new: list[str]) -> int:
    """Length of the longest beginning of `new` that ends `said`, or that stands anywhere in it as a whole."""
    for size in range(min(len(said), len(new)), 0, -1):
        if said[-size:] == new[:size]:
            return size
    # A clause that was said word for word before, though not last, is not said again.
    if len(new) >= 3 and any(said[at : at + len(new)] == new for at in range(len(said) - len(new) + 1)):
        return len(new)
    return 0


def _plain(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower().replace("’", "'"))


def _ended(text: str) -> bool:
    return text.rstrip("\"'”’) ").endswith((".", "!", "?"))


class RecordedModel:
    """A remote LanguageModel whose every call is written to a list and to the log before the first byte leaves: which
    model, which kinds of message, how many characters, and not what they say."""

    def __init__(self, model: LanguageModel, calls: deque[RemoteCall], clock: Callable[[], float]) -> None:
        self.name, self.context_tokens = model.name, model.context_tokens
        self.calls = calls
        self._model, self._clock = model, clock

    def stream(self, prompt: tuple[Message, ...], sampling: Sampling = _PLAIN) -> AsyncIterator[Token]:
        roles = tuple(message.role for message in prompt)
        size = sum(len(message.content) for message in prompt)
        self.calls.append(RemoteCall(self._clock(), self.name, roles, size))
        log.info("text goes to a remote model", extra={"model": self.name, "messages": len(roles), "characters": size})
        return self._model.stream(prompt, sampling)

    async def close(self) -> None:
        await self._model.close()
