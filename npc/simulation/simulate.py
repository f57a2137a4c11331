"""Plays trainees against a scenario in simulated time, without sound: score distributions and coverage of the graph.

    trainee's step ─▶ mind (its own clock, turned by hand) ─▶ records as a session would write them ─▶ timeline ─▶ judge

The mind, the story and the judge are those of a real run; only ears, voice and the wire are left out, so a run of
five minutes takes a second. Speaking takes time by its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from npc.conversation.people import PlayerRef
from npc.dialogue.interface import Clause, HeardReply, PlayerTurn, WorldEvent
from npc.simulation.attempt import Judged, Turn
from npc.simulation.casting import Cast, ScenarioMind
from npc.simulation.judging import judge, passed, score
from npc.simulation.timeline import Timeline
from npc.simulation.trainees import Step, Trainee
from npc.store import Record

#: Words a second of everybody who speaks: conversational English, 150-180 a minute (Tauroza and Allison, 1990).
WORDS_A_SECOND = 2.7
#: The gap before a trainee's and before the character's turn, seconds.
TRAINEE_GAP, CHARACTER_GAP = 0.8, 0.5
#: After its last step a trainee waits for the end of the story at most so long, seconds.
LAST_CHANCE = 120.0
_RATE = 1000


@dataclass(frozen=True, slots=True)
class Run:
    """One simulated attempt."""

    trainee: str
    level: str
    seed: int
    outcome: str
    score: float | None
    passed: bool
    turns: tuple[Turn, ...]
    judged: tuple[Judged, ...]
    sections: tuple[str, ...]
    decisions: tuple[str, ...]
    objectives: tuple[str, ...]


@dataclass
class _Stage:
    """The clock, and the records so far."""

    timeline: Timeline
    now: float = 0.0
    seq: int = 0
    number: int = 0
    records: list[Record] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def record(self, kind: str, data: dict[str, Any]) -> None:
        record = Record(self.seq, round(self.now, 3), kind, data)
        self.seq += 1
        self.records.append(record)
        self.timeline.apply(record)


async def simulate(cast: Cast, trainee: Trainee, seed: int = 0) -> Run:
    """Play one trainee to the end of the story, of its steps or of the scenario's time."""
    stage = _Stage(Timeline(action.name for action in cast.package.scenario.actions))
    mind = cast.mind(PlayerRef(trainee.name), stage.clock, seed)
    stage.record("session.opened", {"session": {"id": f"sim_{trainee.name}_{seed}"}, "character": mind.character_id})
    try:
        outcome = await _play(stage, mind, cast, trainee.steps)
    finally:
        await mind.close()
    turns, events = stage.timeline.turns(), stage.timeline.events
    judged = judge(cast.package, cast.engine, turns, events, over=True)
    ok = passed(judged, cast.package.scenario.rubric.pass_mark) and outcome == "completed"
    return Run(
        trainee.name,
        cast.level.name,
        seed,
        outcome,
        score(judged),
        ok,
        turns,
        judged,
        tuple(event.name for event in events if event.kind == "section_entered"),
        tuple(f"{event.detail.get('section')}/{event.name}" for event in events if event.kind == "decision_taken"),
        tuple(event.name for event in events if event.kind == "objective_met"),
    )


async def _play(stage: _Stage, mind: ScenarioMind, cast: Cast, steps: Sequence[Step]) -> str:
    limit = cast.package.scenario.minutes * 60
    await _speak(stage, mind, None, [clause async for clause in mind.greet()])
    for step in steps:
        if _ended(stage) or stage.now > limit:
            break
        if step.wait is not None:
            await _wait(stage, mind, stage.now + step.wait)
        elif step.do is not None:
            data = {"trigger": step.do, "data": dict(step.arguments), "salience": 0.5, "react": False}
            await _observe(stage, mind, WorldEvent("event", data))
        elif step.say is not None:
            await _wait(stage, mind, stage.now + TRAINEE_GAP)
            if _ended(stage):
                break
            await _turn(stage, mind, step.say)
    await _wait(stage, mind, min(stage.now + LAST_CHANCE, limit))
    if not _ended(stage):
        return "timeout" if stage.now >= limit else "abandoned"
    return next(
        (
            str(event.detail.get("outcome", "completed"))
            for event in stage.timeline.events
            if event.kind == "section_entered" and event.detail.get("end")
        ),
        "completed",
    )


def _ended(stage: _Stage) -> bool:
    return any(event.kind == "section_entered" and event.detail.get("end") for event in stage.timeline.events)


async def _turn(stage: _Stage, mind: ScenarioMind, text: str) -> None:
    stage.number += 1
    item_id, start = f"item_{stage.number}", stage.now
    stage.now += len(text.split()) / WORDS_A_SECOND
    samples = round((stage.now - start) * 16_000)
    # As the turn core would end it, so that the timeline times it as spoken.
    ended = {"start": 0, "end": samples, "respond": True}
    stage.record("turn", {"heard": samples, "event": "Judged", "fields": {}, "effects": [["EndTurn", ended]]})
    stage.record("asr.final", {"item_id": item_id, "text": text})
    turn = PlayerTurn(f"turn_{stage.number}", text, spoken=True)
    await _speak(stage, mind, turn, [clause async for clause in mind.respond(turn)])


async def _speak(stage: _Stage, mind: ScenarioMind, turn: PlayerTurn | None, clauses: list[Clause]) -> None:
    stage.now += CHARACTER_GAP
    stage.number += 1
    response = f"resp_{stage.number}"
    text = " ".join(clause.text for clause in clauses)
    stage.record("response.begun", {"response_id": response, "item_id": response, "rate": _RATE, "turn": None})
    step = round(_RATE / WORDS_A_SECOND)
    words = [[word, n * step, (n + 1) * step] for n, word in enumerate(text.split())]
    actions = [[one.call_id, one.name, 0] for clause in clauses for one in clause.actions]
    stage.now += len(words) * step / _RATE
    played = len(words) * step
    ended = {"text": text, "heard": text, "played": played, "sent": max(1, played), "text_only": False}
    stage.record("response.ended", {"response_id": response, "words": words, "actions": actions, **ended})
    done = tuple(one.call_id for clause in clauses for one in clause.actions)
    await mind.commit(turn, HeardReply(turn.turn_id if turn else "", response, text, False, done))
    _tell(stage, mind)


async def _observe(stage: _Stage, mind: ScenarioMind, event: WorldEvent) -> None:
    stage.record("observed", {"kind": event.kind, "data": dict(event.data)})
    wants = await mind.observe(event)
    _tell(stage, mind)
    if wants:
        stage.number += 1
        turn = PlayerTurn(f"turn_{stage.number}", "", spoken=False)
        await _speak(stage, mind, turn, [clause async for clause in mind.respond(turn)])


async def _wait(stage: _Stage, mind: ScenarioMind, until: float) -> None:
    """Let time pass, with the story's timed events in it."""
    while not _ended(stage):
        due = mind.story_due()
        if due is None or due > until:
            break
        stage.now = max(stage.now, due)
        await _observe(stage, mind, WorldEvent("tick", {}))
    if not _ended(stage):
        stage.now = max(stage.now, until)


def _tell(stage: _Stage, mind: ScenarioMind) -> None:
    for event in mind.state().narrative:
        stage.record("story", dict(event))


# -- what many runs say ------------------------------------------------------------------------------------------------


def report(cast: Cast, runs: Sequence[Run]) -> dict[str, Any]:
    """Scores by trainee and level, items by how often they were met, and the parts of the graph nobody came to."""
    story = cast.package.story
    by_trainee: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(run.trainee for run in runs):
        own = [run for run in runs if run.trainee == name]
        scores = sorted(run.score for run in own if run.score is not None)
        by_trainee[name] = {
            "runs": len(own),
            "scores": scores,
            "median": scores[len(scores) // 2] if scores else None,
            "passed": sum(run.passed for run in own),
            "outcomes": {o: sum(run.outcome == o for run in own) for o in sorted({run.outcome for run in own})},
        }
    sections = {section.id for section in story.sections}
    decisions = {f"{section.id}/{decision.id}" for section in story.sections for decision in section.decisions}
    objectives = {objective.id for section in story.sections for objective in section.objectives}
    reached = {
        "sections": (sections, {name for run in runs for name in run.sections}),
        "decisions": (decisions, {name for run in runs for name in run.decisions}),
        "objectives": (objectives, {name for run in runs for name in run.objectives}),
    }
    items = {
        one.item: {
            state: sum(other.state == state for run in runs for other in run.judged if other.item == one.item)
            for state in ("met", "not_met", "not_observed")
        }
        for one in (runs[0].judged if runs else ())
    }
    return {
        "scenario": cast.package.scenario.id,
        "trainees": by_trainee,
        "items": items,
        "coverage": {
            what: {"of": len(every), "reached": len(every & seen), "missed": sorted(every - seen)}
            for what, (every, seen) in reached.items()
        },
    }
