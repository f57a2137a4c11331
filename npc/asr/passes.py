"""Which of two passes over the same sound is believed.

The second pass is better at a voice that the session does not know yet, since its means are those of the whole
utterance; the first one, with the means that the session has learnt and a search over the whole lattice at the end,
hears a known voice as well or better, names above all. Each says how sure it is of its words.
"""

from __future__ import annotations

from npc.asr.interface import Hypothesis

#: Confidence of a first pass below which the second is taken, however sure it is itself.
LOW = 0.5


def believed(first: Hypothesis, second: Hypothesis) -> Hypothesis:
    """The second pass where the first heard nothing, is unsure, or is less sure than the second."""
    if not first.text or first.confidence < LOW or second.confidence > first.confidence:
        return second
    return first
