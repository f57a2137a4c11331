"""The engine: many sequences on one model, a step at a time.

              submit                 prompt computed                stop, length
    (caller) ───────> waiting ─────> prefilling ─────> decoding ──────────────> finished
                         ^               │  pages ran out  │
                         └───────────────┴──── preempted ──┘        cancel, fail: from anywhere, at once

`step()` builds one batch: a row for each decoding sequence (more with speculation) and a chunk of prompts, runs it, and
returns what came of it. Order is priority, then arrival: the focus character before ambient ones, replies before
speculation. A prompt is cut so that it does not hold up others' tokens; a lower priority waits while a higher one is
still reading its prompt; speculation runs only when nothing else does.

A step of ambient sequences alone is given up when `hurry` says that the focus waits: nothing of it is kept, its rows
are computed again later, and of two such steps that follow each other one is always finished.

The engine has no threads and no clock. It is driven by one thread (`npc.inference.native`); others call `hurry` alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from npc.inference.adapters import Adapter
from npc.inference.cache import OutOfPages, PagePool, PageTable, PrefixTree, Table
from npc.inference.grammar import Grammar
from npc.inference.interface import ModelError, Priority, Sampling
from npc.inference.kernels import PAGE, Floats
from npc.inference.listening import Listening
from npc.inference.request import Event, Finish, Request
from npc.inference.sampler import adjust, check, choose, log_probability, uniform
from npc.inference.speculate import Drafter
from npc.inference.states import StateTable, StateTree
from npc.inference.step import Batch, GivenUp, Result, Step
from npc.inference.textstream import TextStream

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of an engine, in sequences and rows.

    `chunk_rows` is the piece of a prompt computed beside decoding sequences: 64 rows cost about three single-token
    steps at 0.5 B. `step_rows` is that piece where nobody decodes: 512 take 7 % less time than twice 256, for the
    weights are read once; about 150 ms at 0.5 B. `draft_tokens` is the longest guess checked at once: up to eight rows
    cost little more than one.
    """

    waiting: int = 64
    running: int = 32
    step_rows: int = 512
    chunk_rows: int = 64
    speculation_rows: int = 32
    draft_tokens: int = 4


GREEDY: Final = Sampling()
LIMITS: Final = Limits()


class EngineFull(ModelError):
    """Too many requests are waiting: try again later."""


class ContextOverflow(ModelError):
    """The prompt does not fit the context window."""


class Engine:
    """See the module. All calls from one thread."""

    def __init__(
        self,
        model: Step,
        *,
        limits: Limits = LIMITS,
        drafter: Drafter | None = None,
        seeds: Callable[[], int] = lambda: 0,
    ) -> None:
        """`seeds` gives a seed to requests that name none."""
        self.model, self.limits = model, limits
        self.pool = PagePool(model.pages)
        self.tree: PrefixTree | StateTree = StateTree(self.pool) if model.recurrent else PrefixTree(self.pool)
        # a guess that fails must be taken back, which a state cannot
        self._drafter, self._seeds = None if model.recurrent else drafter, seeds
        self._sequences: dict[int, Request] = {}
        self._next = 0
        self.listeners: dict[str, Listening] = {}
        self.speculative_rows = 0
        self._gave_up = False

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return any(not s.paused for s in self._sequences.values())

    def submit(
        self,
        tokens: Sequence[int],
        sampling: Sampling = GREEDY,
        *,
        priority: Priority = Priority.FOCUS,
        end_tokens: frozenset[int] = frozenset(),
        text: TextStream | None = None,
        grammar: Grammar | None = None,
        adapter: Adapter | None = None,
        steering: Floats | None = None,
        steering_decay: float = 1.0,
        pause: int | None = None,
    ) -> int:
        """Queue a request and return its number. `steering` is layers x hidden, added from the last prompt token on,
        its strength multiplied by `steering_decay` per token. With `pause` the request rests after that many tokens
        until it is promoted. Raises EngineFull, ContextOverflow, ModelError."""
        if not tokens:
            raise ModelError("the prompt is empty")
        if min(tokens) < 0 or max(tokens) >= self.model.config.vocab:
            raise ModelError(f"the prompt holds a token outside the vocabulary of {self.model.config.vocab}")
        check(sampling, self.model.config.vocab)
        if steering is not None and steering.shape != (self.model.config.layers, self.model.config.hidden):
            raise ModelError(
                f"steering has shape {steering.shape}, the model"
                f" {self.model.config.layers} layers of {self.model.config.hidden}"
            )
        most = self._longest
        if len(tokens) >= most:
            raise ContextOverflow(f"the prompt has {len(tokens)} tokens, the context window {most}: shorten the prompt")
        if sum(not s.running for s in self._sequences.values()) >= self.limits.waiting:
            raise EngineFull(f"{self.limits.waiting} requests are waiting already")
        seed = self._seeds() if sampling.seed is None else sampling.seed
        number, self._next = self._next, self._next + 1
        self._sequences[number] = Request(
            number,
            list(tokens),
            len(tokens),
            sampling,
            seed,
            priority,
            self._table(),
            text,
            grammar,
            adapter,
            steering,
            steering_decay,
            end_tokens,
            pause,
        )
        return number

    def _table(self) -> Table:
        if isinstance(self.tree, StateTree):
            return StateTable(self.pool, self.tree, self.model.copy_page)
        return PageTable(self.pool, self.tree, self.model.copy_page)

    def fork(self, number: int, sampling: Sampling = GREEDY, **more: Any) -> int:
        """A new request that continues a live one from where it is, sharing its pages (copied when written). `more` is
        as for `submit`. Raises ModelError when the request is gone, and what `submit` raises."""
        source = self._sequences.get(number)
        if source is None:
            raise ModelError(f"request {number} is gone: there is nothing to fork")
        new = self._sequences[self.submit(source.tokens, sampling, **more)]
        # steered keys and values, and those of another adapter, are of no use to a child with its own settings
        if source.running and source.steering is None and source.root == new.root:
            new.table.adopt(source.table.fork())
            new.held = new.reused = min(source.held, len(new.tokens) - 1)
            if self.model.recurrent and new.held != source.held:
                new.held = new.reused = 0
            new.table.truncate(new.held)
            new.running = True
        return new.id

    def listen(self, session: str, draft_tokens: int = 32) -> Listening:
        """What thinks ahead for a session: made at the first call. As many sessions are kept as may run; of more, the
        one that was silent longest is forgotten."""
        found = self.listeners.pop(session, None) or Listening(self, draft_tokens)
        self.listeners[session] = found
        if len(self.listeners) > self.limits.running:
            self.unlisten(next(iter(self.listeners)))
        return found

    def unlisten(self, session: str) -> None:
        """The session is over: its draft is dropped."""
        if (found := self.listeners.pop(session, None)) is not None:
            found.discard()

    def tokens(self, number: int) -> list[int]:
        """Tokens of a live request, prompt included; empty when it is gone."""
        found = self._sequences.get(number)
        return list(found.tokens) if found else []

    def rest_after(self, number: int, tokens: int) -> None:
        """Let a resting request go on until it has that many tokens; one that has them, or does not rest, stays."""
        found = self._sequences.get(number)
        if found is not None and found.pause is not None:
            found.pause = max(found.pause, tokens)

    def promote(self, number: int, priority: Priority) -> bool:
        """Change the priority of a live request and end its pause: a draft becomes the reply. False when it is gone."""
        found = self._sequences.get(number)
        if found is not None:
            found.priority, found.pause = priority, None
        return found is not None

    def statistics(self, number: int) -> tuple[int, int]:
        """(prompt tokens found computed, rows computed) of a live request; zeros when it is gone."""
        found = self._sequences.get(number)
        return (found.reused, found.rows) if found else (0, 0)

    def cancel(self, number: int) -> None:
        """Drop a request now, whatever its state; what it computed stays in the tree. Unknown numbers are fine."""
        if found := self._sequences.pop(number, None):
            self._retire(found)

    def abort(self, reason: str) -> list[Event]:
        """Drop every request with an error; for a caller that lost trust in the engine's state."""
        events = [self._fail(s, RuntimeError(reason)) for s in list(self._sequences.values())]
        self.tree.clear()
        return events

    def close(self) -> None:
        """Drop everything and free the model."""
        self.listeners.clear()
        for number in list(self._sequences):
            self.cancel(number)
        self.tree.clear()
        assert self.pool.free == self.pool.count, "a cache page leaked"
        self.model.close()
        if self._drafter is not None:
            self._drafter.close()

    def hurry(self, wanted: bool) -> None:
        """From any thread: somebody of focus priority waits, so that ambient work should not go on. Whoever drives the
        engine takes it back before looking for new requests."""
        self.model.hurry(wanted)

    # One step

    def step(self) -> list[Event]:
        """Run one batch. Never raises for a request's sake: a failing sequence gets an `error` event, others go on."""
        plan = self._plan()
        if not plan:
            return []
        ambient = all(s.priority is Priority.AMBIENT for s, _ in plan)
        try:
            result = self._forward(plan, yields=ambient and not (self._gave_up or self.model.recurrent))
        except GivenUp:
            self._gave_up = True
            return []
        except Exception as error:
            if len(plan) == 1:
                return [self._fail(plan[0][0], error)]
            return [event for part in plan for event in self._alone(part)]
        self._gave_up = self._gave_up and not ambient
        return self._collect(plan, result)

    def _alone(self, part: tuple[Request, int]) -> list[Event]:
        try:
            result = self._forward([part])
        except Exception as error:
            return [self._fail(part[0], error)]
        return self._collect([part], result)

    def _plan(self) -> list[tuple[Request, int]]:
        """Sequences with the rows each gets (beyond its draft), pages reserved."""
        everyone = sorted((s for s in self._sequences.values() if not s.paused), key=lambda s: (s.priority, s.id))
        committed = [s for s in everyone if s.priority < Priority.SPECULATION]
        candidates = committed or everyone
        room = self.limits.running - sum(s.running for s in everyone)
        for s in candidates:
            if not s.running and room <= 0:
                # the last of those behind it makes room: else a full house of drafts would keep a reply out for ever
                behind = [o for o in everyone if o.running and o.priority > s.priority]
                if behind:
                    self._preempt(behind[-1])
                    room += 1
            if not s.running and room > 0:
                s.running, room = True, room - 1
                pages, s.held = self.tree.match(s.tokens[:-1], s.root)
                s.reused, s.shared = s.held, s.held // PAGE * PAGE
                s.table.adopt(pages)
        running = [s for s in candidates if s.running]
        reading = [s for s in running if len(s.tokens) - s.held > 1]
        first = min((s.priority for s in reading), default=Priority.SPECULATION)
        running = [s for s in running if s.priority <= first]
        decoding = [s for s in running if len(s.tokens) - s.held == 1]
        left = self.limits.step_rows
        plan: list[tuple[Request, int]] = []
        guesses = self.limits.draft_tokens if len(decoding) <= 2 else 1 if len(decoding) <= 4 else 0
        for s in decoding[:left]:
            s.draft = self._guess(s, guesses)
            if self._reserve(s, 1 + len(s.draft), plan):
                plan.append((s, 1))
                left -= 1 + len(s.draft)
        # an ambient prompt is cut too: the focus may speak at any moment and waits for the step that runs
        most = self.limits.chunk_rows if plan or first > Priority.FOCUS else left
        if not committed:
            most = min(most, self.limits.speculation_rows)
        if self.model.recurrent:  # pieces end where a snapshot can be taken for who shares the beginning
            most = min(most, self.limits.chunk_rows)
        for s in reading:
            count = min(len(s.tokens) - s.held, most, left)
            if s.priority <= first and s.running and count > 0 and self._reserve(s, count, plan):
                s.draft = []
                plan.append((s, count))
                most, left = most - count, left - count
        return [(s, n) for s, n in plan if s.running]

    def _guess(self, s: Request, count: int) -> list[int]:
        left = min(s.sampling.max_tokens - (len(s.tokens) - s.prompt) - 1, self.model.positions - len(s.tokens) - 1)
        count = min(count, left)
        if self._drafter is None or count <= 0:
            return []
        try:
            return self._drafter.propose(
                s.id, s.tokens, count, lambda logits, at: choose(logits, s.sampling, lambda: uniform(s.seed, at))
            )
        except Exception:  # replies do not need guesses: one that fails must cost no sequence its reply
            log.exception("the drafter failed: going on without it")
            self._drafter.close()
            self._drafter = None
            return []

    def _reserve(self, s: Request, rows: int, plan: list[tuple[Request, int]]) -> bool:
        """Pages for the next rows; sends the last of the lowest priority back to waiting where there are none left."""
        while s.running:
            try:
                s.table.reserve(s.held, s.held + rows)
                return True
            except OutOfPages:
                others = [o for o in self._sequences.values() if o.running and o is not s and o.priority >= s.priority]
                victim = max(others, key=lambda o: (o.priority, o.id), default=None)
                if victim is None or (victim.priority == s.priority and victim.id < s.id):
                    if not others and all(o is s or not o.running for o in self._sequences.values()):
                        return True  # nobody to send away: the batch check reports it
                    self._preempt(s)
                    return False
                self._preempt(victim)
        return False

    def _preempt(self, s: Request) -> None:
        self._share(s)
        s.table.truncate(0)
        s.held = s.shared = 0
        s.running = False

    def _forward(self, plan: Sequence[tuple[Request, int]], yields: bool = False) -> Result:
        tokens: list[int] = []
        positions: list[int] = []
        outputs: list[int] = []
        steering: list[tuple[Floats, float] | None] = []
        tables = np.full((len(plan), max(1, max(len(s.table.pages) for s, _ in plan))), -1, np.int32)
        for i, (s, count) in enumerate(plan):
            rows = s.tokens[s.held : s.held + count] + s.draft
            if s.held + count == len(s.tokens):
                outputs.extend(range(len(tokens) + count - 1, len(tokens) + len(rows)))
            tokens.extend(rows)
            positions.extend(range(s.held, s.held + len(rows)))
            tables[i, : len(s.table.pages)] = s.table.pages
            for at in range(s.held, s.held + len(rows)):
                past = at - (s.prompt - 1)
                steered = s.steering is not None and past >= 0
                steering.append((s.steering, s.steering_decay**past) if steered and s.steering is not None else None)
        counts = [count + len(s.draft) for s, count in plan]
        batch = Batch(
            np.asarray(tokens, np.int32),
            np.asarray(positions, np.int32),
            np.repeat(np.arange(len(plan), dtype=np.int32), counts),
            tables,
            np.asarray(outputs, np.int32),
            steering if any(s.steering is not None for s, _ in plan) else None,
            [s.adapter for (s, _), n in zip(plan, counts, strict=True) for _ in range(n)]
            if any(s.adapter for s, _ in plan)
            else None,
            yields=yields,
        )
        return self.model.forward(batch)

    def _collect(self, plan: Sequence[tuple[Request, int]], result: Result) -> list[Event]:
        events: list[Event] = []
        at = 0
        for s, count in plan:
            draft, s.draft = s.draft, []
            s.rows += count + len(draft)
            if s.priority is Priority.SPECULATION:
                self.speculative_rows += count + len(draft)
            s.held += count
            if s.held < len(s.tokens):
                self._share(s, whole=True)
                continue
            assert result.logits is not None
            rows = result.logits[at : at + 1 + len(draft)]
            at += 1 + len(draft)
            try:
                events.extend(self._accept(s, rows, draft))
            except Exception as error:
                events.append(self._fail(s, error))
        return events

    def _accept(self, s: Request, rows: Floats, draft: list[int]) -> list[Event]:
        """Choose tokens row by row while the draft agrees with the choice."""
        events: list[Event] = []
        for i, logits in enumerate(rows):
            if not np.isfinite(logits[int(logits.argmax())]):
                raise ModelError(
                    "the model gave no finite logits for this sequence: its weights or adapter are damaged"
                )
            adjusted = adjust(logits, s.tokens, s.sampling, s.grammar.mask() if s.grammar else None)
            token = choose(adjusted, s.sampling, lambda: uniform(s.seed, len(s.tokens)))
            logprob = log_probability(logits, token) if s.sampling.logprobs else None
            s.tokens.append(token)
            if i < len(draft) and token == draft[i]:
                s.held += 1
            events.append(self._emit(s, token, logprob))
            if events[-1].finish:
                break
            if i >= len(draft) or token != draft[i]:
                break
        if s.id in self._sequences:
            self._share(s, whole=True)
        return events

    def _emit(self, s: Request, token: int, logprob: float | None) -> Event:
        finish: Finish | None = None
        text = ""
        if token in s.end_tokens:
            finish = "stop"
        elif s.text is not None:
            piece = s.text.push(token)
            text, finish = piece.text, "stop" if piece.stopped else None
        if s.grammar is not None and finish is None and s.grammar.push(token):
            finish = "stop"
        made = len(s.tokens) - s.prompt
        if finish is None and (made >= s.sampling.max_tokens or len(s.tokens) >= self._longest):
            finish = "length"
        if finish is not None:
            if s.text is not None and not (token not in s.end_tokens and finish == "stop" and s.grammar is None):
                text += s.text.finish()
            del self._sequences[s.id]
            self._retire(s)
        return Event(s.id, token, text, logprob, finish)

    @property
    def _longest(self) -> int:
        return self.model.positions if self.model.recurrent else min(self.model.positions, self.model.pages * PAGE)

    def _fail(self, s: Request, error: Exception) -> Event:
        """Drop a sequence whose step failed. Its pages are not shared: nobody knows what is in them."""
        self._sequences.pop(s.id, None)
        s.table.truncate(0)
        if self._drafter is not None:
            self._drafter.forget(s.id)
        return Event(s.id, error=f"{type(error).__name__}: {error}")

    def _retire(self, s: Request) -> None:
        self._share(s)
        s.table.truncate(0)
        if self._drafter is not None:
            self._drafter.forget(s.id)

    def _share(self, s: Request, whole: bool = False) -> None:
        """Give computed pages to the tree; `whole`: full pages only (the last one is still being written)."""
        count = s.shareable // PAGE * PAGE if whole else s.shareable
        if self.model.recurrent and count != s.held:
            return  # the state has gone on from there
        if count > s.shared:
            self.tree.add(s.tokens[:count], s.table.pages, s.root)
            s.shared = count
