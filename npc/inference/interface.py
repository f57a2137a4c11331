"""What a language model promises. It knows no characters, emotions or actions: tokens in, tokens out.

Implementations: `native` (our own core), `transformers` (a local directory), `openai_compatible` (any
`/v1/chat/completions` server).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Protocol, runtime_checkable


class Priority(IntEnum):
    """Who goes first on a shared model."""

    FOCUS = 0
    AMBIENT = 1
    SPECULATION = 2


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat prompt."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose tokens. `temperature` 0 is greedy; `seed` makes sampling repeatable where the engine can."""

    max_tokens: int = 160
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    json_schema: str | None = None
    """Constrain the output to this JSON Schema (text of the schema), where the engine can."""
    grammar: str | None = None
    """Constrain the output to this grammar (llguidance's Lark), for engines whose `takes_grammar` is true."""
    steering: tuple[tuple[str, float], ...] = ()
    """(direction name, strength in [-1, 1]) pairs, for engines that have such vectors."""
    adapter: str | None = None
    """LoRA adapter by name, for engines that have adapters."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token id, addition to its logit) pairs, for engines that share token ids with the caller."""
    logprobs: bool = False
    """Ask for `Token.logprob`."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text as it appears; `finish` is set on the last piece only. `logprob`, where the engine gives one, is
    that of all tokens since the piece before: some show no text of their own (half a character, a possible stop)."""

    text: str
    logprob: float | None = None
    finish: Literal["stop", "length", "cancelled"] | None = None


class ModelError(RuntimeError):
    """The model could not answer: not found, out of memory, server gone. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Speculation:
    """What thinking ahead gave one turn. `rows_kept` tokens were computed early and used, `rows_wasted` thrown away;
    `tokens_drafted` of the reply were there when the turn ended; `won_s` is the computing time of the kept ones, which
    the player did not wait for."""

    rows_kept: int
    rows_wasted: int
    tokens_drafted: int
    won_s: float


@runtime_checkable
class LanguageModel(Protocol):
    """A loaded or reachable model. `stream` never blocks the event loop; closing the iterator frees its work."""

    name: str
    context_tokens: int

    def stream(self, prompt: tuple[Message, ...], sampling: Sampling = Sampling()) -> AsyncIterator[Token]:
        """Generate. Raises ModelError before the first token or in the middle."""

    async def close(self) -> None:
        """Release weights, caches and connections."""


@runtime_checkable
class Anticipating(Protocol):
    """A LanguageModel that can work for a listening session before its prompt is final.

    anticipate ... anticipate, reply(tentative) ── taken back ── anticipate ..., reply(tentative) ── decided
                                                                          or  reply, of another prompt
    """

    def anticipate(self, prompt: tuple[Message, ...], sampling: Sampling, session: str) -> None:
        """Prefill and draft at the lowest priority; replaces what was anticipated for the session. Returns at once."""

    def reply(
        self, prompt: tuple[Message, ...], sampling: Sampling, session: str, *, tentative: bool = False
    ) -> AsyncIterator[Token]:
        """As `stream`, going on from the session's draft where the prompt is the same. A `tentative` reply stays at
        the lowest priority, and rests after its first tokens, until `decided`; closing it gives the draft up."""

    def decided(self, session: str) -> None:
        """The turn ended and the tentative reply is the answer: it is committed work from now on."""

    def speculation(self, session: str) -> Speculation | None:
        """The ledger of the session's last turn, once."""

    def forget(self, session: str) -> None:
        """Stop anticipating for the session."""
