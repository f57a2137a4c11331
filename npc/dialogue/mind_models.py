"""Putting a language model behind a mind: `composed` first, the larger model where a turn needs it.

responder=with_model(model, remote=True, remote_allowed=player.remote_llm, …)   for `mind_open.open_mind`
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from npc.dialogue.character import Character
from npc.dialogue.context import Context
from npc.dialogue.interface import Responder
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.knowledge.words import content
from npc.dialogue.llm import LlmResponder
from npc.dialogue.memory.store import PlayerMemory
from npc.dialogue.prompt import EVERYTHING, THIS_SESSION, Allowed
from npc.dialogue.realiser.open import Composer, composed
from npc.dialogue.router import KEPT, Budget, RecordedModel, RemoteCall, RouterResponder
from npc.inference.interface import LanguageModel


class ResponderFactory(Protocol):
    def __call__(self, character: Character, knowledge: Knowledge, memory: PlayerMemory) -> Responder: ...


def with_model(
    model: LanguageModel,
    *,
    remote: bool = False,
    remote_allowed: bool = False,
    allowed: Allowed = THIS_SESSION,
    calls: deque[RemoteCall] | None = None,
    always: bool = False,
    budget: Budget | None = None,
    clock: Callable[[], float] = time.time,
    composed: Composer = composed,
) -> ResponderFactory:
    """A factory of Responders over `model`.

    `always` leaves the router out for a large local model that should answer every turn. `remote` says that the model
    is not on this machine: then it is used only with `remote_allowed`, sees only `allowed`, and each call goes to
    `calls`.
    """

    def make(character: Character, knowledge: Knowledge, memory: PlayerMemory) -> Responder:
        numbers = itertools.count(1)
        recorded = RecordedModel(model, calls if calls is not None else deque(maxlen=KEPT), clock)
        large = LlmResponder(
            character,
            knowledge,
            memory,
            recorded if remote else model,
            new_id=lambda: f"llm_{next(numbers)}",
            clock=clock,
            allowed=allowed if remote else EVERYTHING,
        )
        if always and not remote:
            return large
        return RouterResponder(
            composed(character, knowledge, memory),
            large,
            confidence=lambda context: retrieval_confidence(knowledge, context),
            # Latency is measured, so a monotonic clock, whatever the mind's own one is.
            clock=time.monotonic,
            remote=remote,
            remote_allowed=remote_allowed,
            budget=budget,
            calls=recorded.calls,
        )

    return make


def retrieval_confidence(knowledge: Knowledge, context: Context) -> float:
    """How well the best open fact, of the card or of a document, covers the question, in [0, 1]: by shared words or
    nearness of meaning."""
    said = [*(exchange.player for exchange in context.history), context.turn.text]
    allowed = knowledge.open(said, context.standing, context.scene, context.told)
    texts = [fact.text for fact in knowledge.facts if fact.id in allowed]
    if knowledge.library is not None:
        texts += [fact.text for fact in knowledge.library.search(context.turn.text, allowed=allowed, limit=4)]
    wanted = set(content(context.turn.text))
    if not texts or not wanted:
        return 0.0
    shared = max(len(wanted & set(content(text))) / len(wanted) for text in texts)
    near = 0.0
    if knowledge.encoder is not None:
        vectors = knowledge.encoder.encode([context.turn.text, *texts])
        near = float((vectors[1:] @ vectors[0]).max())
    return max(0.0, min(1.0, max(shared, near)))
