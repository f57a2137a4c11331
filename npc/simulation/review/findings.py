"""What an attempt shows, computed once for the report: who talked, how answers came, what to keep and what to change.

Pure arithmetic on attempts. Nothing about the trainee's emotions enters where they may not be inferred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from npc.simulation.attempt import Attempt, Judged, Turn
from npc.simulation.standards.outcome import reportable

#: Others whose results are shown beside one's own, at the least: with fewer, somebody could be recognised.
FEWEST_OTHERS = 5
#: Items named in the summary of what went well and what to change.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Balance:
    """Seconds of speaking of either side, of both at once, and of neither."""

    trainee: float
    character: float
    overlap: float
    silence: float

    @property
    def share(self) -> float:
        """The trainee's share of the speaking, 0-1."""
        total = self.trainee + self.character
        return self.trainee / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A measurement of one turn of the trainee."""

    turn: int
    at_s: float
    value: float


@dataclass(frozen=True, slots=True)
class Others:
    """Latest attempts of other trainees at the same scenario and level: their scores, and how many met each item."""

    scores: tuple[float, ...]
    met: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything the report draws."""

    attempt: Attempt
    items: tuple[Judged, ...]
    balance: Balance
    delays: tuple[Measured, ...]
    rates: tuple[Measured, ...]
    loudness: tuple[Measured, ...]
    pitch: tuple[Measured, ...]
    kept: tuple[Judged, ...]
    to_change: tuple[Judged, ...]
    earlier: tuple[Attempt, ...]
    others: Others | None

    def number(self, item: str) -> int:
        """The number that stands for an item everywhere in the report, from 1."""
        return next(n for n, one in enumerate(self.items, 1) if one.item == item)


def find(attempt: Attempt, everybody: Sequence[Attempt] = ()) -> Findings:
    """Findings on `attempt`; `everybody` holds attempts to compare with, of this trainee and of others."""
    items = reportable(attempt)
    same = [one for one in everybody if one.scenario.id == attempt.scenario.id and one.id != attempt.id]
    own = [one for one in same if one.trainee == attempt.trainee and one.began < attempt.began]
    met = sorted((one for one in items if one.state == "met"), key=lambda one: (-one.critical, -one.weight))
    missed = sorted((one for one in items if one.state == "not_met"), key=lambda one: (-one.critical, -one.weight))
    spoken = [turn for turn in attempt.turns if turn.speaker == "trainee" and turn.spoken]
    return Findings(
        attempt=attempt,
        items=items,
        balance=balance(attempt.turns),
        delays=delays(attempt.turns),
        rates=tuple(Measured(t.n, t.start_s, words_per_minute(t)) for t in spoken if t.end_s > t.start_s),
        loudness=_delivered(spoken, "energy_db"),
        pitch=_delivered(spoken, "pitch_hz"),
        kept=tuple(met[:NAMED]),
        to_change=tuple(missed[:NAMED]),
        earlier=tuple(sorted((one for one in own if one.score is not None), key=lambda one: one.began)),
        others=others(attempt, same),
    )


def words_per_minute(turn: Turn) -> float:
    """Speaking rate of a turn that has a length."""
    return len(turn.text.split()) * 60 / (turn.end_s - turn.start_s)


def delays(turns: Sequence[Turn]) -> tuple[Measured, ...]:
    """Seconds from the end of a character's turn to the trainee's answer, for each answer; 0 where it came early."""
    return tuple(
        Measured(after.n, after.start_s, max(0.0, after.start_s - before.end_s))
        for before, after in pairwise(turns)
        if before.speaker == "character" and after.speaker == "trainee"
    )


def balance(turns: Sequence[Turn]) -> Balance:
    """Who spoke for how long, on the attempt's clock."""
    edges = sorted({edge for turn in turns for edge in (turn.start_s, turn.end_s)})
    spent = {"trainee": 0.0, "character": 0.0, "overlap": 0.0, "silence": 0.0}
    for start, end in pairwise(edges):
        sides = {turn.speaker for turn in turns if turn.start_s <= start and turn.end_s >= end}
        name = "silence" if not sides else "overlap" if len(sides) == 2 else next(iter(sides))
        spent[name] += end - start
    overlap = spent["overlap"]
    return Balance(spent["trainee"] + overlap, spent["character"] + overlap, overlap, spent["silence"])


def others(attempt: Attempt, same: Sequence[Attempt]) -> Others | None:
    """The other trainees' latest attempts at the same level, or None where they are too few to stay unknown."""
    latest: dict[str, Attempt] = {}
    for one in sorted(same, key=lambda each: each.began):
        if one.trainee != attempt.trainee and one.level == attempt.level and one.score is not None:
            latest[one.trainee] = one
    if len(latest) < FEWEST_OTHERS:
        return None
    met: dict[str, float] = {}
    for item in reportable(attempt):
        states = [v.state for one in latest.values() for v in one.verdicts if v.item == item.item]
        seen = [state for state in states if state != "not_observed"]
        if len(seen) >= FEWEST_OTHERS:
            met[item.item] = sum(state == "met" for state in seen) / len(seen)
    return Others(tuple(sorted(one.score for one in latest.values() if one.score is not None)), met)


def typical(measured: Sequence[Measured]) -> float | None:
    """The median, which one long pause does not move."""
    return median(one.value for one in measured) if measured else None


def _delivered(turns: Sequence[Turn], name: str) -> tuple[Measured, ...]:
    return tuple(Measured(turn.n, turn.start_s, turn.delivery[name]) for turn in turns if name in turn.delivery)
