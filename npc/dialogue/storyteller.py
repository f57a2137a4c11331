"""The story of one session, as its mind tells it: what is to be said next, and what has become due.

    respond(turn) ─▶ ahead(turn) ─▶ Told: lines said in this very reply, the state the story will then be in
    commit(turn) ──▶ heard(told) ─▶ the story is there; a reply nobody heard leaves its lines for the next one
    observe(event, tick, level) ─▶ happen ─▶ now

`ahead` changes nothing, so drafts that are thrown away leave no trace. `meaning` says what a turn means to the story
as flags (a training scenario asks its rubric); it runs with the draft, on a worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from npc.dialogue.conditions import Situation
from npc.dialogue.narrative import Happening, Narrative, StoryEffects, StoryState, begin, due, step, turn_dial

#: What the player's turn means: (what was said before it, its words) -> flags of this turn, and flags that it leaves.
Meaning = Callable[[str, str], tuple[Mapping[str, bool], Mapping[str, bool]]]
#: Turns told ahead and not committed: as many as there are drafts.
MAX_AHEAD = 8


@dataclass(frozen=True, slots=True)
class Told:
    """The story as it will stand once a turn is answered."""

    state: StoryState
    effects: StoryEffects = StoryEffects()
    flags: Mapping[str, bool] = field(default_factory=dict)


class StoryTeller:
    """Owned by a mind; the state itself is the mind's, so that save slots hold it."""

    def __init__(self, story: Narrative | None, level: str | None = None, meaning: Meaning | None = None) -> None:
        self._story, self._level, self._meaning = story, level, meaning
        self.lines: list[str] = []
        """Authored lines that wait to be said."""
        self.hint = ""
        """What the character wants to bring across in its next reply."""
        self._events: list[Mapping[str, Any]] = []
        self._ahead: dict[str, Told] = {}

    def ahead(
        self, turn_id: str, before: str, text: str, state: StoryState | None, now: float, situation: Situation
    ) -> Told | None:
        """What the story makes of a turn with these words, before it is answered; None where there is no story."""
        if self._story is None or not text:
            return None
        now_true, lasting = self._meaning(before, text) if self._meaning is not None else ({}, {})
        flags = {**situation.flags, **_true(lasting), **_true(now_true)}
        situation = replace(situation, said=f"{situation.said}\n{text}".strip(), flags=flags)
        effects = StoryEffects()
        if state is None:
            state, effects = begin(self._story, now, situation, self._level)
        state, more = step(self._story, state, Happening("turn"), now, situation)
        told = Told(state, effects.joined(more), _true(lasting))
        self._ahead.pop(turn_id, None)
        while len(self._ahead) >= MAX_AHEAD:
            self._ahead.pop(next(iter(self._ahead)))
        self._ahead[turn_id] = told
        return told

    def pending(self, turn_id: str) -> Told | None:
        """What was told ahead of a turn, taken out."""
        return self._ahead.pop(turn_id, None)

    def heard(self, told: Told, lines_said: bool, now: float, situation: Situation) -> StoryState:
        """The turn was answered: its state, with the objectives that the reply met. Unsaid lines wait."""
        assert self._story is not None, "only a story tells ahead"
        state, more = step(self._story, told.state, Happening("heard"), now, situation)
        self._events += [*told.effects.events, *more.events]
        self.hint = " ".join(told.effects.intents) or self.hint
        if not lines_said:
            self.lines += told.effects.say
        return state

    def happen(
        self, happening: Happening, state: StoryState | None, now: float, situation: Situation
    ) -> tuple[StoryState | None, StoryEffects]:
        """A step outside of a turn: the beginning, an event, time that passed."""
        if self._story is None:
            return None, StoryEffects()
        effects = StoryEffects()
        if state is None:
            state, effects = begin(self._story, now, situation, self._level)
        if happening.kind != "begin":
            state, more = step(self._story, state, happening, now, situation)
            effects = effects.joined(more)
        self._take(effects)
        return state, effects

    def turn_dial(self, state: StoryState | None, level: str) -> StoryState | None:
        """Another level of difficulty; a level that the story does not have changes nothing."""
        if self._story is None or level not in self._story.dial:
            return state
        self._level = level
        if state is None:
            return None
        state, effects = turn_dial(self._story, state, level)
        self._take(effects)
        return state

    def due(self, state: StoryState | None, now: float) -> float | None:
        """When the story wants to be told that time has passed."""
        return None if self._story is None or state is None else due(self._story, state, now)

    def events(self) -> tuple[Mapping[str, Any], ...]:
        """`npc.narrative` payloads since the last call."""
        events, self._events = tuple(self._events), []
        return events

    def _take(self, effects: StoryEffects) -> None:
        self.lines += effects.say
        self._events += effects.events
        if effects.intents:
            self.hint = " ".join(effects.intents)


def _true(flags: Mapping[str, bool]) -> dict[str, bool]:
    return {name: True for name, value in flags.items() if value}
