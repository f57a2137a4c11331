"""A recorded session through its engines again: the same words? Or, from some turn on, another character's.

    log ─▶ steps: observed events, asked turns, what was heard of each answer
             │
             ├─ recompute: mind.respond on every turn ═?═ the reply in the log;  voice on every clause ═?═ its samples
             └─ branch at N: turns before N are committed as they were; from N on another mind answers the same turns

What the player heard is taken from the log and committed, so that one difference does not become all of them. With the
same build, models, CPU features and seeds nothing differs; otherwise what differs is listed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from npc.animation.interface import Affect
from npc.conversation.outcome import answer_in
from npc.conversation.replay import Difference
from npc.conversation.reply import Speaker, again
from npc.dialogue.interface import Clause, HeardReply, Mind, PlayerTurn, WorldEvent
from npc.store import Record


class Clock(Protocol):
    """The clock that the mind was opened with, set by hand."""

    now: float


@dataclass(frozen=True, slots=True)
class Observed:
    """Something that the mind was told."""

    seq: int
    at: float
    event: WorldEvent


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply as the log has it; `turn` None is the greeting. `clauses`: (text, affect, samples, words) as spoken."""

    seq: int
    at: float
    ended: float
    turn: PlayerTurn | None
    text: str
    heard: HeardReply
    clauses: tuple[tuple[str, Affect, int, tuple[tuple[int, int, int, int], ...]], ...] = ()
    rate: int = 0


Step = Observed | Answered


@dataclass
class Recomputed:
    """What came out otherwise."""

    replies: int = 0
    clauses: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        return not self.differences


@dataclass(frozen=True, slots=True)
class Branched:
    """A turn in both versions; `turn` counts the player's turns from 1."""

    turn: int
    player: str
    logged: str
    answered: str


def steps(records: Iterable[Record]) -> list[Step]:
    """The log as what its mind saw, in the order in which it answered."""
    found: list[Step] = []
    begun: dict[str, tuple[Record, bool]] = {}
    spoken: dict[str, list[Any]] = {}
    taken_over = greeted = False
    for record in records:
        data = record.data
        match record.kind:
            case "observed":
                found.append(Observed(record.seq, record.at, WorldEvent(data["kind"], dict(data["data"]))))
            case "instructed":
                taken_over = taken_over or data["action"] == "take_over"
            case "response.begun":
                greeting = data["turn"] is None and not greeted and not taken_over
                greeted = greeted or greeting
                own, taken_over = data["turn"] is not None or greeting, False
                begun[data["response_id"]] = (record, own)
            case "score" if data["response_id"] in begun:
                _spoken(spoken.setdefault(data["response_id"], []), data)
            case "response.ended":
                start, own = begun.pop(data["response_id"], (None, False))
                if start is not None and own:
                    found.append(_answered(start, record, spoken.pop(data["response_id"], [])))
    return found


def _spoken(clauses: list[Any], data: Mapping[str, Any]) -> None:
    if data["operation"] == "begin":
        clauses.append([Clause(data["text"], Affect(**data["affect"]), filler=data.get("filler", False)), 0, []])
    elif data["operation"] == "push" and clauses:
        clauses[-1][1] += data["samples"]
        clauses[-1][2] += [
            (w["text_start"], w["text_end"], w["span"]["start"], w["span"]["end"]) for w in data["words"]
        ]


def _answered(begun: Record, ended: Record, clauses: list[Any]) -> Answered:
    data = ended.data
    turn = None if begun.data["turn"] is None else PlayerTurn(**begun.data["turn"])
    made = [clause for clause, *_ in clauses]
    whole = " ".join(clause.text for clause in made if not clause.filler)
    whole = whole if made else data["text"]
    cut = data["status"] == "cancelled" or data["heard"] != data["text"]
    heard = HeardReply(turn.turn_id if turn else "", data["response_id"], answer_in(data["heard"], made), cut)
    told = tuple((clause.text, clause.affect, samples, tuple(words)) for clause, samples, words in clauses)
    return Answered(begun.seq, begun.at, ended.at, turn, whole, heard, told, begun.data["rate"])


async def recompute(records: Iterable[Record], mind: Mind, clock: Clock, speaker: Speaker | None = None) -> Recomputed:
    """Answer every turn of a log again and compare. `mind` is fresh and reads `clock`; `speaker` None: text alone."""
    result = Recomputed()
    for step in steps(records):
        clock.now = step.at
        if isinstance(step, Observed):
            await mind.observe(step.event)
            continue
        clauses = await _clauses(mind, step.turn)
        result.replies += 1
        text = " ".join(clause.text for clause in clauses)
        # A reply that was cut short was not made to its end: what there is must be its beginning.
        same = text == step.text or (step.heard.interrupted and text.startswith(step.text))
        if not same:
            result.differences.append(Difference(step.seq, "reply", step.text, text))
        if speaker is not None:
            for logged_text, affect, samples, words in step.clauses:
                result.clauses += 1
                made = again(speaker, Clause(logged_text, affect), step.rate)
                if made != (samples, words):
                    told = {"samples": samples, "words": words}
                    now = {"samples": made[0], "words": made[1]}
                    result.differences.append(Difference(step.seq, f"sound of {logged_text!r}", told, now))
        await _commit(mind, clock, step)
    await mind.close()
    return result


async def branch(records: Iterable[Record], at_turn: int, other: Mind, clock: Clock) -> list[Branched]:
    """Both versions turn by turn: before the player's turn `at_turn` as logged, from it on as `other` answers.

    `other` is given what was heard before turn `at_turn` as its own past. Raises ValueError when the log has fewer
    turns.
    """
    found: list[Branched] = []
    number = 0
    for step in steps(records):
        clock.now = step.at
        if isinstance(step, Observed):
            await other.observe(step.event)
            continue
        if step.turn is None or not step.turn.text:
            await _clauses(other, step.turn)
            await _commit(other, clock, step)
            continue
        number += 1
        clauses = await _clauses(other, step.turn)
        text = " ".join(clause.text for clause in clauses)
        if number < at_turn:
            found.append(Branched(number, step.turn.text, step.text, step.text))
            await _commit(other, clock, step)
        else:
            found.append(Branched(number, step.turn.text, step.text, text))
            clock.now = step.ended
            await other.commit(step.turn, HeardReply(step.turn.turn_id, step.heard.response_id, text, False))
    if number < at_turn:
        raise ValueError(f"the log has {number} turns of the player; it cannot branch at turn {at_turn}")
    await other.close()
    return found


async def _clauses(mind: Mind, turn: PlayerTurn | None) -> list[Clause]:
    stream: AsyncIterator[Clause] = mind.greet() if turn is None else mind.respond(turn)
    return [clause async for clause in stream]


async def _commit(mind: Mind, clock: Clock, step: Answered) -> None:
    clock.now = step.ended
    if step.heard.interrupted and not step.heard.text:
        # Nothing was heard: the session put the turn in front of the next one and told the mind nothing.
        return
    await mind.commit(step.turn, step.heard)
