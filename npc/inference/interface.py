"""What a language model promises. It knows no characters, emotions or actions: tokens in, tokens out.

Implementations: `native` (our own core), `transformers` (a local directory), `openai_compatible` (any
`/v1/chat/completions` server).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable


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
    """A piece of text as it appears; `logprob` where the engine gives one. `finish` is set on the last piece only."""

    text: str
    logprob: float | None = None
    finish: Literal["stop", "length", "cancelled"] | None = None


class ModelError(RuntimeError):
    """The model could not answer: not found, out of memory, server gone. The message says what to do."""


@runtime_checkable
class LanguageModel(Protocol):
    """A loaded or reachable model. `stream` never blocks the event loop; closing the iterator frees its work."""

    name: str
    context_tokens: int

    def stream(self, prompt: tuple[Message, ...], sampling: Sampling = Sampling()) -> AsyncIterator[Token]:
        """Generate. Raises ModelError before the first token or in the middle."""

    async def close(self) -> None:
        """Release weights, caches and connections."""
