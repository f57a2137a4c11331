"""What a larger model is given to know for one turn: gated facts and documents, the most relevant ones in the order of
the card (so that a transcript that grows by a word changes the prompt little), and memories."""

from __future__ import annotations

import numpy as np

from npc.dialogue.context import Context
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.knowledge.words import content
from npc.dialogue.memory.store import PlayerMemory
from npc.dialogue.prompt import Evidence

#: A few thousand characters of facts: enough for follow-ups, small enough for a 4 k context.
MAX_FACTS, MAX_MEMORIES = 12, 6


def gather(knowledge: Knowledge, memory: PlayerMemory | None, context: Context, now: float) -> Evidence:
    """Evidence for a turn. The gate is applied first; a locked secret is never ranked."""
    said = [*(exchange.player for exchange in context.history), context.turn.text]
    allowed = knowledge.open(said, context.standing, context.scene, context.told)
    query = " ".join([*(exchange.player for exchange in context.history[-1:]), context.turn.text, context.event])
    wanted = set(content(query))
    facts = [fact for fact in knowledge.facts if fact.id in allowed]
    scores = [
        float(len(wanted & set(content(" ".join((fact.text, *fact.topics)))))) / max(1, len(wanted)) for fact in facts
    ]
    if knowledge.encoder is not None and facts:
        vectors = knowledge.encoder.encode([query, *(fact.text for fact in facts)])
        near = vectors[1:] @ vectors[0]
        scores = [score + float(likeness) for score, likeness in zip(scores, near, strict=True)]
    order = np.argsort([-score for score in scores], kind="stable")[:MAX_FACTS]
    found = [(facts[i].id, facts[i].text, facts[i].source) for i in sorted(order)]
    known = {name for name, _, _ in found}
    for fact in knowledge.library.search(query, allowed=allowed, limit=MAX_FACTS) if knowledge.library else ():
        if fact.id not in known:
            known.add(fact.id)
            found.append((fact.id, fact.text, fact.source))
    memories = [item.memory.text for item in memory.recall(query, now=now, limit=MAX_MEMORIES)] if memory else []
    return Evidence(tuple(found), tuple(memories))
