"""The story around a talk: a graph of sections that steers while the model speaks. Files, state and steps; all pure.

    section "arrival" ──decision: paid──> "inside" ──decision──> "done" (end: true)
        │ objectives: name_given (when said:'…' / flag / memory …)
        │ triggers:   event name or condition ─> say a line, set variables, go on
        │ timed:      so many seconds into the section ─> the same, or something the character notices
        └ lines:      verbatim, or an intent that the Responder puts into words

`step(state, happening, situation) -> (state', effects)` takes everything as an argument, time included, so scenarios of
`npc.simulation` and the tests drive it without a mind. A step follows at most MAX_HOPS decisions, so a loop of
always-true decisions ends. The checker is in `narrative_check.py`.

A story may have a dial of difficulty: each level sets variables and stretches the times of timed events. The level's
name is the variable `difficulty`, so that conditions may ask for it; turning the dial in mid-story is a step too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from npc.dialogue.conditions import Situation, holds, problem_of

#: Sections one step may pass through.
MAX_HOPS = 8

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]
Value = str | int | float | bool


class _Authored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Conditional(_Authored):
    when: Any = None
    """A condition (see `conditions.py`), or {all: […]}, {any: […]}, {not: …}; none: always true."""

    @field_validator("when")
    @classmethod
    def _judgeable(cls, value: Any) -> Any:
        problem = problem_of(value)
        if problem is not None:
            raise ValueError(problem)
        return value


class Effect(_Authored):
    """What a line, trigger or decision does: words and variables."""

    say: tuple[Words, ...] = ()
    """Authored lines, spoken word for word, in order."""
    intent: Words | None = None
    """What the character wants to bring across, in plain words; the Responder finds its own."""
    instead: bool = False
    """The lines are said instead of an answer of the character's own, not after it."""
    notice: Words | None = None
    """Something that happens around the character, in plain words; it may react."""
    set: dict[Name, Value] = Field(default_factory=dict)
    add: dict[Name, int | float] = Field(default_factory=dict)

    @field_validator("say", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class Objective(_Conditional):
    """Something to be reached in a section; once met it stays met."""

    id: Name
    text: Words
    required: bool = True


class Trigger(_Conditional, Effect):
    """Fires once (or each time with `repeat`) when its event comes and its condition holds."""

    event: Name | None = None
    """Name of an `npc.event` trigger; None: looked at after every turn."""
    repeat: bool = False
    go: Name | None = None


class Timed(_Conditional, Effect):
    """Happens once, as soon as `after` seconds (times the level's pace) have passed and `when` holds."""

    id: Name
    after: Annotated[float, Field(gt=0, le=3600)]
    of: Literal["section", "silence"] = "section"
    """Seconds since the section was entered, or since anybody last said something in it."""
    go: Name | None = None


class Decision(_Conditional, Effect):
    """A way out of a section; the first whose condition holds is taken."""

    id: Name
    to: Name


class Section(_Authored):
    """A stretch of the story."""

    id: Name
    title: str = ""
    enter: Effect = Effect()
    objectives: tuple[Objective, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    timed: tuple[Timed, ...] = ()
    decisions: tuple[Decision, ...] = ()
    end: bool = False
    """The story is over here."""
    outcome: Literal["completed", "failed"] = "completed"
    """What it means that the story ended here; read by training scenarios."""


class Dial(_Authored):
    """One level of difficulty: variables it sets, and how fast the story's clock is (2.0: twice as long to react)."""

    pace: Annotated[float, Field(ge=0.1, le=10.0)] = 1.0
    set: dict[Name, Value] = Field(default_factory=dict)


class Narrative(_Authored):
    """A narrative file."""

    schema_version: Literal[1] = 1
    id: Name
    title: str = ""
    start: Name
    variables: dict[Name, Value] = Field(default_factory=dict)
    dial: dict[Name, Dial] = Field(default_factory=dict)
    """Levels of difficulty by name; empty: the story has one."""
    sections: Annotated[tuple[Section, ...], Field(min_length=1)]

    def section(self, name: str) -> Section | None:
        return next((section for section in self.sections if section.id == name), None)


@dataclass(frozen=True, slots=True)
class Happening:
    """Why a step is taken: the story begins, the player took a turn, a named event came, time passed, or a reply was
    heard (which meets objectives and takes no decision)."""

    kind: Literal["begin", "turn", "event", "time", "heard"]
    event: str = ""


@dataclass(frozen=True, slots=True)
class StoryState:
    """Where the story stands. `entered` is the time in seconds when the section began."""

    section: str
    variables: Mapping[str, Value]
    met: frozenset[str] = frozenset()
    fired: frozenset[str] = frozenset()
    entered: float = 0.0
    turns: int = 0
    ended: bool = False
    pace: float = 1.0
    spoke: float = 0.0
    """When something was last said, or the section was entered."""


@dataclass(frozen=True, slots=True)
class StoryEffects:
    """What a step asks for: lines to say (`instead` of an answer), an intent to follow, things to notice, and
    `npc.narrative` payloads."""

    say: tuple[str, ...] = ()
    intents: tuple[str, ...] = ()
    events: tuple[Mapping[str, Any], ...] = field(default=())
    notices: tuple[str, ...] = ()
    instead: bool = False

    def joined(self, other: StoryEffects) -> StoryEffects:
        return StoryEffects(
            (*self.say, *other.say),
            (*self.intents, *other.intents),
            (*self.events, *other.events),
            (*self.notices, *other.notices),
            self.instead or other.instead,
        )


def begin(
    story: Narrative, now: float, situation: Situation, level: str | None = None
) -> tuple[StoryState, StoryEffects]:
    """Enter the start section, with the dial at `level`. Raises KeyError for a level that the story does not have."""
    blank = StoryState(story.start, dict(story.variables), entered=now)
    if level is not None and story.dial:
        blank = _dialled(story, blank, level)
    state, effects = _enter(story, blank, story.start, now)
    return _settle(story, state, effects, Happening("begin"), now, situation)


def turn_dial(story: Narrative, state: StoryState, level: str) -> tuple[StoryState, StoryEffects]:
    """Another level from now on. Raises KeyError for one that the story does not have."""
    state = _dialled(story, state, level)
    return state, StoryEffects(events=(_payload("level_changed", level, section=state.section),))


def due(story: Narrative, state: StoryState, now: float) -> float | None:
    """The next time after `now` at which a `Happening("time")` may change something; None: time alone does nothing."""
    section = story.section(state.section)
    if section is None or state.ended:
        return None
    waiting = [one for one in section.timed if _key(section, one) not in state.fired]
    moments = [_begun(one, state) + one.after * state.pace for one in waiting]
    return min((moment for moment in moments if moment > now), default=None)


def step(
    story: Narrative, state: StoryState, happening: Happening, now: float, situation: Situation
) -> tuple[StoryState, StoryEffects]:
    """The state after a happening. Nothing happens once the story has ended."""
    if state.ended:
        return state, StoryEffects()
    if happening.kind == "turn":
        state = replace(state, turns=state.turns + 1, spoke=now)
    elif happening.kind == "heard":
        state = replace(state, spoke=now)
    return _settle(story, state, StoryEffects(), happening, now, situation)


def _settle(
    story: Narrative, state: StoryState, effects: StoryEffects, happening: Happening, now: float, situation: Situation
) -> tuple[StoryState, StoryEffects]:
    for _ in range(MAX_HOPS):
        section = story.section(state.section)
        if section is None or state.ended:
            break
        state, more = _objectives(section, state, now, situation)
        effects = effects.joined(more)
        if happening.kind == "heard":
            break
        state, more, jumped = _timed(story, section, state, now, situation)
        effects = effects.joined(more)
        if jumped:
            continue
        state, more, jumped = _triggers(story, section, state, happening, now, situation)
        effects = effects.joined(more)
        if jumped:
            # An event is used up by the section that answered it.
            happening = Happening("turn")
            continue
        chosen = next((d for d in section.decisions if _true(d.when, state, now, situation)), None)
        if chosen is None or happening.kind == "begin":
            break
        state, more = _apply(chosen, state)
        taken = _payload("decision_taken", chosen.id, section=section.id, to=chosen.to)
        effects = effects.joined(more).joined(StoryEffects(events=(taken,)))
        state, more = _enter(story, state, chosen.to, now)
        effects = effects.joined(more)
    return state, effects


def _enter(story: Narrative, state: StoryState, name: str, now: float) -> tuple[StoryState, StoryEffects]:
    section = story.section(name)
    if section is None:
        return state, StoryEffects()
    state = replace(state, section=name, entered=now, spoke=now, turns=0, ended=section.end)
    state, effects = _apply(section.enter, state)
    entered = _payload("section_entered", name, title=section.title, end=section.end, outcome=section.outcome)
    return state, effects.joined(StoryEffects(events=(entered,)))


def _objectives(
    section: Section, state: StoryState, now: float, situation: Situation
) -> tuple[StoryState, StoryEffects]:
    events = []
    for objective in section.objectives:
        if objective.id not in state.met and _true(objective.when, state, now, situation):
            state = replace(state, met=state.met | {objective.id})
            events.append(_payload("objective_met", objective.id, section=section.id, text=objective.text))
    return state, StoryEffects(events=tuple(events))


def _timed(
    story: Narrative, section: Section, state: StoryState, now: float, situation: Situation
) -> tuple[StoryState, StoryEffects, bool]:
    effects = StoryEffects()
    for one in sorted(section.timed, key=lambda timed: timed.after):
        key = _key(section, one)
        # To the microsecond, as clocks are kept: a timer set for the moment must find it come.
        late = round(now - _begun(one, state), 6) >= round(one.after * state.pace, 6)
        if key in state.fired or not late or not _true(one.when, state, now, situation):
            continue
        state, more = _apply(one, replace(state, fired=state.fired | {key}))
        effects = effects.joined(more).joined(StoryEffects(events=(_payload("timed", one.id, section=section.id),)))
        if one.go is not None:
            state, more = _enter(story, state, one.go, now)
            return state, effects.joined(more), True
    return state, effects, False


def _begun(timed: Timed, state: StoryState) -> float:
    """From when its seconds count."""
    return state.entered if timed.of == "section" else max(state.entered, state.spoke)


def _key(section: Section, timed: Timed) -> str:
    return f"{section.id}/@{timed.id}"


def _dialled(story: Narrative, state: StoryState, level: str) -> StoryState:
    dial = story.dial[level]
    return replace(state, variables={**state.variables, "difficulty": level, **dial.set}, pace=dial.pace)


def _triggers(
    story: Narrative, section: Section, state: StoryState, happening: Happening, now: float, situation: Situation
) -> tuple[StoryState, StoryEffects, bool]:
    effects = StoryEffects()
    for number, trigger in enumerate(section.triggers):
        key = f"{section.id}/{number}"
        asked = trigger.event == happening.event if trigger.event else happening.kind == "turn"
        if not asked or (key in state.fired and not trigger.repeat) or not _true(trigger.when, state, now, situation):
            continue
        state, more = _apply(trigger, replace(state, fired=state.fired | {key}))
        effects = effects.joined(more)
        if trigger.go is not None:
            state, more = _enter(story, state, trigger.go, now)
            return state, effects.joined(more), True
    return state, effects, False


def _apply(effect: Effect, state: StoryState) -> tuple[StoryState, StoryEffects]:
    variables = {**state.variables, **effect.set}
    for name, amount in effect.add.items():
        before = variables.get(name, 0)
        variables[name] = (before if isinstance(before, int | float) else 0) + amount
    intents = (effect.intent,) if effect.intent else ()
    notices = (effect.notice,) if effect.notice else ()
    return replace(state, variables=variables), StoryEffects(
        effect.say, intents, notices=notices, instead=effect.instead and bool(effect.say)
    )


def _payload(kind: str, name: str, **detail: Any) -> dict[str, Any]:
    """As `npc.narrative` carries it."""
    return {"kind": kind, "name": name, "detail": detail}


def _true(condition: Any, state: StoryState, now: float, situation: Situation) -> bool:
    here = replace(
        situation,
        variables={**situation.variables, **state.variables},
        flags={**situation.flags, **state.variables, **dict.fromkeys(state.met, True)},
        turns=state.turns,
        elapsed=now - state.entered,
    )
    return holds(condition, here)
