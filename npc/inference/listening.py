"""Think while the player speaks: prefill the growing transcript, take back what changed, draft the reply.

    partial 1   [prompt ... hello]            prefilled, first tokens of a reply
    partial 2   [prompt ... hello there]      rolled back to the changed token, prefilled anew
    a pause     [prompt ... hello there]      tentative reply: drafted to its first clause, which can be spoken
    reply       [prompt ... hello there]      the same prompt: the draft becomes the reply, its tokens are there at once
                [prompt ... hello bear]       another prompt: only the common beginning is used
    decided     the reply is committed work; the ledger of the turn is closed

Rolling back is the prefix tree's work: a dropped draft leaves its pages there, and the next one shares them up to the
first token that differs. Until the turn is decided everything runs at the lowest priority, so committed work never
waits for it longer than a step, and rests after a few tokens, which bounds what a wrong guess wastes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from npc.inference.interface import Priority, Sampling, Speculation
from npc.inference.request import Event

#: A submission with everything a request needs beside prompt, sampling, priority and pause.
Submit = Callable[..., int]


class Drafts(Protocol):
    """What a listener asks of the engine, about requests it submitted."""

    def rest_after(self, number: int, tokens: int) -> None: ...
    def promote(self, number: int, priority: Priority) -> bool: ...
    def cancel(self, number: int) -> None: ...
    def statistics(self, number: int) -> tuple[int, int]: ...


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    for n, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return n
    return min(len(a), len(b))


class Listening:
    """One session's draft. Drive it from the engine's thread; tell it `saw` for the draft's events and `spent` for the
    time of each speculative step. The session's requests are its own: nobody else's prompt can take them."""

    def __init__(self, engine: Drafts, draft_tokens: int = 32, early_tokens: int = 4) -> None:
        """`draft_tokens` of a tentative reply: a mark of emotion and about one clause of speech; `early_tokens` for
        each partial: the prompt is what takes long, and most partials are overtaken by the next."""
        self._engine, self._draft_tokens, self._early_tokens = engine, draft_tokens, early_tokens
        self.number: int | None = None
        self.events: list[Event] = []
        """What the draft gave so far, for who takes it over."""
        self._prompt: list[int] = []
        self._sampling = Sampling()
        self._cached_before: int | None = None
        self._rows = 0
        self._seconds = 0.0

    def update(self, prompt: Sequence[int], sampling: Sampling, submit: Submit, tentative: bool = False) -> int | None:
        """The prompt as it would be now. Starts a draft unless this very prompt has one; the number of the draft that
        was given up for it, if any."""
        tokens = self._draft_tokens if tentative else self._early_tokens
        if self.exactly(prompt, sampling) and self.number is not None:
            self._engine.rest_after(self.number, tokens)
            return None
        given_up = self.number
        self._drop()
        self._prompt, self._sampling = list(prompt), sampling
        self.number = submit(prompt, sampling, priority=Priority.SPECULATION, pause=tokens)
        return given_up

    def exactly(self, prompt: Sequence[int], sampling: Sampling) -> bool:
        """Whether the draft answers this very prompt."""
        return self.number is not None and list(prompt) == self._prompt and sampling == self._sampling

    def saw(self, event: Event) -> None:
        """An event of the draft."""
        self.events.append(event)

    def spent(self, rows: int, seconds: float) -> None:
        """Speculative rows computed for this session, and how long that took."""
        self._rows += rows
        self._seconds += seconds
        if self._cached_before is None and self.number is not None:
            self._cached_before = self._engine.statistics(self.number)[0]

    def give_up(self, number: int) -> None:
        """The tentative reply `number` was closed before its turn ended. Its work stays in the tree and the ledger."""
        if number == self.number:
            self._drop()

    def decide(self, prompt: Sequence[int] | None = None, sampling: Sampling | None = None) -> Speculation:
        """The turn ended: with this prompt, or (None) with the draft as it is. The draft is promoted where it is the
        answer and dropped where not; the ledger of the turn. The listener is fresh afterwards."""
        answers = self.number is not None if prompt is None else self.exactly(prompt, sampling or Sampling())
        same = len(self._prompt) if prompt is None else _common(self._prompt, prompt)
        drafted = sum(event.token is not None for event in self.events) if answers else 0
        if answers and self.number is not None:
            self._engine.promote(self.number, Priority.FOCUS)
            self.number = None
        kept = min(self._rows, max(0, same + drafted - (self._cached_before or 0)))
        ledger = Speculation(
            rows_kept=kept,
            rows_wasted=self._rows - kept,
            tokens_drafted=drafted,
            won_s=self._seconds * kept / self._rows if self._rows else 0.0,
        )
        self.discard()
        return ledger

    def discard(self) -> None:
        """Forget the draft and the ledger."""
        self._drop()
        self._prompt, self._cached_before, self._rows, self._seconds = [], None, 0, 0.0

    def _drop(self) -> None:
        if self.number is not None:
            self._engine.cancel(self.number)
            self.number = None
        self.events = []
