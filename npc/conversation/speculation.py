"""Thinking before the turn is over: drafts of a reply, and the ledger of what they won and wasted.

    player     ▇▇▇▅▇▂▁_ _ _ _ _ _│ turn over
    draft              ├ mind ├ voice ┤ first clause ready, muted behind its gate
    commit                       └▶ sounds at once                       won: the work that lay before the decision
    discard    player goes on, or the text turned out different          wasted: all of it

At most one draft lives at a time. A draft is an answer to a text; it is committed only for a turn whose words are the
same, whatever their case and punctuation (LiveKit reuses on the same rule, conversation.md §2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from npc.conversation.reply import Reply

#: Drafts for one turn: a better text replaces one as often as a pause does. LiveKit stops at three; with four, turns
#: with two pauses had none left for their end, and were answered 200 ms later (docs/log.md).
MOST_DRAFTS = 8

_WORD = re.compile(r"[\w']+")


def words_of(text: str) -> tuple[str, ...]:
    """The words alone, lower case: what makes two transcripts the same turn."""
    return tuple(_WORD.findall(text.lower()))


@dataclass
class Draft:
    """A reply being made for `text` before the turn is over. `began` is session time in seconds."""

    text: str
    reply: Reply
    began: float

    def answers(self, text: str) -> bool:
        return words_of(self.text) == words_of(text)

    def worked(self, now: float) -> float:
        """Seconds from its start until its first clause was ready, or until now where it is not."""
        return max(0.0, min(now, self.reply.marks.at.get("first_audio", now)) - self.began)


@dataclass
class SpeculationLedger:
    """Of one turn. Milliseconds are of work done before the decision, not of waiting."""

    drafts: int = 0
    discarded: int = 0
    won_ms: float = 0.0
    wasted_ms: float = 0.0
    wasted_audio_ms: float = 0.0

    def commit(self, draft: Draft, now: float) -> None:
        self.won_ms += 1000 * draft.worked(now)

    def discard(self, draft: Draft, now: float) -> None:
        self.discarded += 1
        self.wasted_ms += 1000 * draft.worked(now)
        self.wasted_audio_ms += 1000 * draft.reply.score.length / draft.reply.score.rate

    def figures(self) -> dict[str, float]:
        """As `npc.metrics` carries it."""
        return {
            "drafts": float(self.drafts),
            "discarded": float(self.discarded),
            "won_ms": round(self.won_ms, 1),
            "wasted_ms": round(self.wasted_ms, 1),
            "wasted_audio_ms": round(self.wasted_audio_ms, 1),
        }


def waterfall(
    voice_ended: float | None, decided: float, marks: dict[str, float], transcribed: float
) -> dict[str, float]:
    """Milliseconds from the last voiced sample (for a typed turn: from the request) to each stage of a response.

    Stages that were reached before the voice ended do not exist; anchors that contradict each other (a stage before
    its turn by more than a minute) are left out rather than reported: see "nonsense metrics" in conversation.md §5.
    """
    zero = decided if voice_ended is None else voice_ended
    reached = {"decided": decided, "transcribed": transcribed, **marks}
    stages: dict[str, float] = {}
    for name, at in reached.items():
        value = 1000 * (at - zero)
        if -60_000 < value < 60_000:
            stages[name] = round(max(0.0, value), 2)
    if "first_sent" in marks:
        stages["after_decision"] = round(max(0.0, 1000 * (marks["first_sent"] - decided)), 2)
    return stages
