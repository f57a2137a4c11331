"""Measurements of a conversation's timing, by the names a rubric uses. Pure arithmetic on turns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from npc.simulation.rubric.model import Turn

_FILLERS = re.compile(r"\b(?:um+|uh+|erm*|hmm+|you know|i mean|sort of|kind of)\b", re.I)


def response_delay_s(turns: Sequence[Turn]) -> float | None:
    """Mean gap from the end of a character's turn to the next turn, where that is the trainee's; overlap is 0."""
    gaps = [
        max(0.0, after.start_s - before.end_s)
        for before, after in pairwise(turns)
        if before.speaker == "character" and after.speaker == "trainee"
    ]
    return sum(gaps) / len(gaps) if gaps else None


def talk_ratio(turns: Sequence[Turn]) -> float | None:
    """Trainee's speaking time over all speaking time."""
    total = sum(turn.end_s - turn.start_s for turn in turns)
    return _spoken(turns) / total if total > 0 else None


def longest_monologue_s(turns: Sequence[Turn]) -> float | None:
    """The trainee's longest single turn."""
    return max((turn.end_s - turn.start_s for turn in _trainee(turns)), default=None)


def speaking_rate_wpm(turns: Sequence[Turn]) -> float | None:
    """The trainee's words per minute of speaking."""
    seconds = _spoken(turns)
    return sum(len(turn.text.split()) for turn in _trainee(turns)) * 60 / seconds if seconds > 0 else None


def filler_ratio(turns: Sequence[Turn]) -> float | None:
    """Filler words over all words of the trainee."""
    words = sum(len(turn.text.split()) for turn in _trainee(turns))
    return sum(len(_FILLERS.findall(turn.text)) for turn in _trainee(turns)) / words if words else None


def interruptions(turns: Sequence[Turn]) -> float | None:
    """How often the trainee began while the character was speaking."""
    pairs = pairwise(turns)
    return float(sum(b.speaker == "trainee" and a.speaker == "character" and b.start_s < a.end_s for a, b in pairs))


def silence_s(turns: Sequence[Turn]) -> float | None:
    """The longest gap between two turns."""
    gaps = [b.start_s - a.end_s for a, b in pairwise(turns)]
    return max(gaps, default=None)


METRICS: dict[str, Callable[[Sequence[Turn]], float | None]] = {
    metric.__name__: metric
    for metric in (
        response_delay_s,
        talk_ratio,
        longest_monologue_s,
        speaking_rate_wpm,
        filler_ratio,
        interruptions,
        silence_s,
    )
}


def cited(metric: str, turns: Sequence[Turn]) -> list[Turn]:
    """The turns a measurement rests on: the longest one for a monologue, else every turn of the trainee."""
    own = _trainee(turns)
    if metric == "longest_monologue_s" and own:
        return [max(own, key=lambda turn: turn.end_s - turn.start_s)]
    return own


def _trainee(turns: Sequence[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn.speaker == "trainee"]


def _spoken(turns: Sequence[Turn]) -> float:
    return sum(turn.end_s - turn.start_s for turn in _trainee(turns))
