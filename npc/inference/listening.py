"""Think while the player speaks: prefill the growing transcript, take back what changed, draft the reply.

    partial 1   [prompt ... hello]            prefilled, first words of a reply drafted
    partial 2   [prompt ... hello there]      rolled back to the changed token, prefilled and drafted anew
    commit      [prompt ... hello there]      the same prompt: the draft becomes the reply, its tokens are there at once
                [prompt ... hello bear]       another prompt: only the common beginning is used

Rolling back is the prefix tree's work: a dropped draft leaves its pages there, and the next one shares them up to the
first token that differs. Drafts have the lowest priority, so committed work never waits for one longer than a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from npc.inference.engine import Engine, Priority
from npc.inference.interface import Sampling


@dataclass(frozen=True, slots=True)
class Speculation:
    """The ledger of one turn. `rows_kept` were computed early and used; `rows_wasted` were thrown away; `won_s` is the
    computing time of the kept ones, which the player did not wait for."""

    rows_kept: int
    rows_wasted: int
    tokens_drafted: int
    won_s: float


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    for n, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return n
    return min(len(a), len(b))


class Listening:
    """One listener's draft. Drive it from the engine's thread; `spent` is told the time of each speculative step."""

    def __init__(self, engine: Engine, draft_tokens: int = 24) -> None:
        """`draft_tokens`: about one clause of speech."""
        self._engine, self._draft_tokens = engine, draft_tokens
        self.number: int | None = None
        self._prompt: list[int] = []
        self._sampling = Sampling()
        self._cached_before: int | None = None
        self._rows = 0
        self._seconds = 0.0

    def update(self, prompt: Sequence[int], sampling: Sampling, submit: Callable[..., int]) -> bool:
        """The prompt as it would be now. Starts a draft unless this very prompt has one; True when it did. `submit`
        is the engine's, with what the request needs besides (end tokens, text, adapter)."""
        if self.exactly(prompt, sampling):
            return False
        self._drop()
        self._prompt, self._sampling = list(prompt), sampling
        self.number = submit(prompt, sampling, priority=Priority.SPECULATION, pause=self._draft_tokens)
        return True

    def wants(self, prompt: Sequence[int], sampling: Sampling) -> bool:
        """Whether this listener anticipated the turn that now came: same sampling, at least half of the prompt."""
        if sampling != self._sampling or not self._prompt:
            return False
        return 2 * _common(self._prompt, prompt) >= len(prompt)

    def exactly(self, prompt: Sequence[int], sampling: Sampling) -> bool:
        """Whether the draft answers this very prompt."""
        return self.number is not None and list(prompt) == self._prompt and sampling == self._sampling

    def spent(self, rows: int, seconds: float) -> None:
        """Speculative rows computed for this listener, and how long that took."""
        self._rows += rows
        self._seconds += seconds
        if self._cached_before is None and self.number is not None:
            self._cached_before = self._engine.statistics(self.number)[0]

    def commit(self, prompt: Sequence[int], sampling: Sampling) -> tuple[int | None, Speculation]:
        """The turn ended with this prompt: the draft's number when it is the reply (now of focus priority), else None;
        and the ledger. The listener is fresh afterwards."""
        before = self._cached_before or 0
        same = _common(self._prompt, prompt)
        number: int | None = None
        drafted = 0
        if self.number is not None and self.exactly(prompt, sampling):
            tokens = self._engine.tokens(self.number)
            if self._engine.promote(self.number, Priority.FOCUS):
                number, drafted = self.number, len(tokens) - len(self._prompt)
                self.number = None
        kept = min(self._rows, max(0, same + drafted - before))
        ledger = Speculation(
            rows_kept=kept,
            rows_wasted=self._rows - kept,
            tokens_drafted=drafted,
            won_s=self._seconds * kept / self._rows if self._rows else 0.0,
        )
        self.discard()
        return number, ledger

    def discard(self) -> None:
        """Forget the draft and the ledger: the player did not end a turn after all."""
        self._drop()
        self._prompt, self._cached_before, self._rows, self._seconds = [], None, 0, 0.0

    def _drop(self) -> None:
        if self.number is not None:
            self._engine.cancel(self.number)
            self.number = None
