"""A character in one conversation: perceive, feel, decide, answer, and remember only what was heard.

    listen(partial) ─> draft ─> Responder.anticipate                               nothing but what is ready early
    respond(turn) ─> draft (mind_draft) ─> Responder ─> review ─> clauses          nothing is written
    commit(turn, reply) ─> history, memory, emotion, habit, narrative              the only writer
    observe(event) ─> scene, results, feelings; True: "I want to say something"

Everything the mind decides with, time, randomness and ids included, is given to it; `mind_open.open_mind` builds one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

from npc.animation.interface import Affect
from npc.dialogue.actions import Decision, compensation
from npc.dialogue.ahead import Ahead
from npc.dialogue.character import RELATIONSHIPS, ActionSpec, Character
from npc.dialogue.clauses import split_clauses
from npc.dialogue.conditions import Situation
from npc.dialogue.context import Context, Exchange
from npc.dialogue.emotion import Baseline, EmotionState, Impulse
from npc.dialogue.emotion_appraisal import Happening, appraise
from npc.dialogue.emotion_reading import PlayerReader
from npc.dialogue.interface import (
    Action,
    Clause,
    HeardReply,
    MindState,
    PlayerTurn,
    Responder,
    ThinksAhead,
    WorldEvent,
)
from npc.dialogue.memory.store import PlayerMemory
from npc.dialogue.mind_draft import Draft, Drafter, Moment
from npc.dialogue.mind_snapshot import Held, dump, load, stored
from npc.dialogue.mind_words import bias_words
from npc.dialogue.narrative import Happening as StoryHappening
from npc.dialogue.narrative import Narrative
from npc.dialogue.protest import Protest
from npc.dialogue.safety import Moderator, clean
from npc.dialogue.scene import SceneState
from npc.dialogue.storyteller import Meaning, StoryTeller, Told
from npc.dialogue.tools import Equipment
from npc.dialogue.whisper import read

#: Exchanges kept in the context; older talk lives in memory.
MAX_HISTORY = 40
#: Drafts kept for a turn that was answered but not committed yet (speculation makes several, the last one counts).
MAX_DRAFTS = 8
#: Replies of which it is kept what was done in them, for "and another one".
MAX_LATELY = 4
#: An event this salient makes the character want to speak even when the game does not ask for it.
SALIENT = 0.8
MAX_EVENTS = 4


class CharacterMind:
    """Implements `interface.Mind` over a Responder."""

    def __init__(
        self,
        character: Character,
        responder: Responder,
        drafter: Drafter,
        reader: PlayerReader,
        moderator: Moderator,
        *,
        memory: PlayerMemory | None,
        consent: bool = True,
        clock: Callable[[], float],
        seed: int = 0,
        story: Narrative | None = None,
        level: str | None = None,
        meaning: Meaning | None = None,
    ) -> None:
        self.character_id = character.id
        self.character = character
        self._responder = responder
        self._drafter = drafter
        self._reader = reader
        self._moderator = moderator
        self._memory = memory
        self._consent = consent
        self._clock = clock
        self._seed = seed
        self._held = Held(
            scene=SceneState.of(character.scene),
            emotion=EmotionState.rest(Baseline.of(character), clock()),
            relationship=character.player_relationship,
        )
        self._slots: dict[str, Held] = {}
        self._drafts: dict[str, Draft] = {}
        self._cited: dict[str, tuple[str, ...]] = {}
        self._plain: dict[str, str] = {}
        self._events: list[str] = []
        self._teller = StoryTeller(story, level, meaning)
        self._undo: tuple[ActionSpec, Action] | None = None
        self._equipment = Equipment()
        self._protest = Protest(character.protest if character.interruption == "protest" else ())
        self._whisper = ""
        self._notes: dict[str, Any] = {}
        self._heard_memory, self._memories = False, ""
        self._ahead = Ahead(self._think_ahead)
        self._names = frozenset(word.lower() for word in bias_words(character, self._held.scene))

    # -- the loop's side ------------------------------------------------------------------------------------------

    def bias_words(self) -> tuple[str, ...]:
        return bias_words(self.character, self._held.scene)

    def place(self) -> Mapping[str, Any]:
        """See `interface.Placed`."""
        return self._held.scene.since(SceneState.of(self.character.scene))

    def equip(self, equipment: Equipment) -> None:
        """See `tools.Equippable`."""
        self._equipment = equipment.beside(self.character.actions)
        self._drafter.equip(self._equipment.actions)

    async def greet(self) -> AsyncIterator[Clause]:
        await self._wake()
        self._tell(StoryHappening("begin"))
        lines = self.character.greeting
        if lines:
            line = lines[(self._seed + self._held.turns) % len(lines)]
            for clause in self._spoken(line, self._held.emotion.affect()):
                yield clause

    def listen(self, partial: str) -> None:
        if partial and isinstance(self._responder, ThinksAhead):
            self._ahead.listen(partial)

    async def _think_ahead(self, partial: str) -> None:
        """The turn as it stands, as far as `respond` would go before the first word."""
        assert isinstance(self._responder, ThinksAhead)
        await self._wake()
        turn = PlayerTurn("", partial, True, tentative=True)
        draft = await asyncio.to_thread(self._drafter.draft, turn, self._moment())
        if not draft.fixed:
            await self._responder.anticipate(self._whispered(draft).context)

    def _whispered(self, draft: Draft) -> Draft:
        hint = " ".join(filter(None, (self._whisper, self._teller.hint)))
        return replace(draft, context=replace(draft.context, whisper=hint)) if hint else draft

    def decided(self) -> None:
        """The turn that was answered tentatively is over, and that is the answer."""
        if isinstance(self._responder, ThinksAhead):
            self._responder.decided()

    def speculation(self) -> Mapping[str, float]:
        """See ThinksAhead; empty where the Responder does not."""
        return self._responder.speculation() if isinstance(self._responder, ThinksAhead) else {}

    async def respond(self, turn: PlayerTurn) -> AsyncIterator[Clause]:
        if not turn.tentative:
            self._ahead.over()
        await self._wake()
        moment = self._moment()
        draft, told = await asyncio.to_thread(self._drafted, turn, moment)
        draft = self._whispered(draft)
        if self._undo is not None and not turn.text:
            spec, action = self._undo
            decision = Decision("call", action, spec)
            line = spec.say[0] if spec.say else "Let me put that right."
            draft = replace(draft, decision=decision, action=action, fixed=line)
        lines = (*self._teller.lines, *(told.effects.say if told is not None else ()))
        if lines:
            # Authored lines come after an answer, or instead of it where the story says so; a remark of one's own
            # they replace.
            instead = not turn.text or (told is not None and told.effects.instead and draft.verdict.kind == "ok")
            draft = replace(draft, lines=lines, fixed=draft.fixed or (lines[0] if instead else ""))
        self._remember_draft(turn.turn_id, draft)
        self._notes |= draft.notes()
        clauses = self._said(draft)
        placed = draft.action is None
        if turn.text and self._protest.line and draft.verdict.kind == "ok":
            yield Clause(self._protest.line, draft.context.affect)
        async for clause in clauses:
            if clause.affect == Affect():
                clause = replace(clause, affect=draft.context.affect)
            if not placed and draft.action is not None:
                if not any(action.call_id == draft.action.call_id for action in clause.actions):
                    at = 0 if draft.urgent else len(clause.text.split())
                    action = replace(draft.action, at_word=at)
                    clause = replace(clause, actions=(*clause.actions, action))
                placed = True
            known = self._cited.get(turn.turn_id, ())
            self._cited[turn.turn_id] = (*known, *(c.fact_id for c in clause.citations if c.fact_id not in known))
            yield self._equipment.as_called(clause)

    async def observe(self, event: WorldEvent) -> bool:
        await self._wake()
        data = event.data
        match event.kind:
            case "scene":
                scene, problems = self._held.scene.apply(data)
                self._held = replace(self._held, scene=scene)
                await self._game_state(data)
                if problems:
                    self._notes["scene_problems"] = list(problems)
            case "event":
                if data.get("trigger") == "interrupted":
                    self._protest.interrupted()
                return self._happened(data)
            case "action_result":
                calls, outcome = self._held.calls.result(
                    str(data.get("call_id", "")), bool(data.get("ok", True)), data.get("output")
                )
                self._held = replace(self._held, calls=calls)
                if outcome.undo is not None:
                    self._undo = compensation(self.character.actions, outcome.undo)
                    return self._undo is not None
                if outcome.failed:
                    self._feel(Happening("bad_news", 0.3, "what I tried did not work"))
                if outcome.news:
                    self._want_to_say(clean(outcome.text, 400))
                return outcome.news
            case "save":
                slot = str(data["slot"])
                self._slots[slot] = self._held
                if self._memory is not None:
                    mind = stored(self._held)
                    await asyncio.to_thread(self._memory.save, slot, now=self._clock(), mind=mind)
            case "load":
                slot = str(data["slot"])
                kept: Mapping[str, Any] = {}
                if self._memory is not None:
                    kept = await asyncio.to_thread(self._memory.load, slot)
                if slot in self._slots:
                    self._held = self._slots[slot]
                elif kept:
                    # Saved by an earlier process: feelings go on from the moment of saving, as they do within one.
                    self._held = load(kept)
                self._drafts.clear()
            case "tick":
                return self._tell(StoryHappening("time"))
            case "level":
                story = self._teller.turn_dial(self._held.story, str(data.get("level", "")))
                self._held = replace(self._held, story=story)
            case "whisper":
                self._whisper = clean(str(data.get("text", "")), 400)
                impulses = [Impulse(name, strength, "my own mind") for name, strength in read(self._whisper).moods]
                self._held = replace(self._held, emotion=self._held.emotion.feel(impulses, self._clock()))
        return False

    async def commit(self, turn: PlayerTurn | None, reply: HeardReply | None) -> None:
        turn_id = turn.turn_id if turn is not None else reply.turn_id if reply is not None else ""
        draft, told = self._drafts.pop(turn_id, None), self._teller.pending(turn_id)
        cited = self._cited.pop(turn_id, ()) if reply is not None and reply.text else ()
        plain = self._plain.pop(turn_id, "") if reply is not None and reply.text else ""
        player = clean(turn.text) if turn is not None else ""
        heard = reply.text if reply is not None else ""
        now = self._clock()
        held = self._held
        if player:
            self._protest.answered(heard, whole=reply is not None and not reply.interrupted)
        if player or heard:
            whole = reply is not None and not reply.interrupted
            exchange = Exchange(player, heard, cited, plain if whole else "")
            held = replace(held, history=(*held.history, exchange)[-MAX_HISTORY:])
        if turn is not None:
            held = replace(held, turns=held.turns + 1, habit=held.habit.heard(turn.delivery))
        if draft is not None:
            emotion = draft.emotion if draft.emotion.at >= held.emotion.at else held.emotion
            held = replace(held, emotion=emotion.fade(now), player_affect=draft.reading.affect)
            held = self._settle(held, draft, reply, now)
            if reply is not None and reply.text:
                del self._teller.lines[: len(draft.lines)]
        self._held = held
        if draft is None or not draft.fixed:
            # What was said word for word did not follow the whisper: it waits for the next reply.
            self._whisper = self._teller.hint = ""
        if told is not None:
            self._held = replace(held, flags={**held.flags, **told.flags})
            said = reply is not None and bool(reply.text)
            self._held = replace(self._held, story=self._teller.heard(told, said, now, self._situation()))
        elif turn is not None:
            self._tell(StoryHappening("turn"))
        if self._memory is not None and (player or heard):
            await asyncio.to_thread(
                self._memory.commit,
                player,
                heard,
                now=now,
                turn_id=turn_id,
                interrupted=reply is not None and reply.interrupted,
                fact_ids=cited,
                consent=self._consent,
                known=self._names,
            )
            self._memories = await asyncio.to_thread(_texts, self._memory)

    def state(self) -> MindState:
        emotion = self._held.emotion.fade(self._clock())
        why = [{"emotion": f.emotion, "strength": round(f.strength, 3), "cause": f.cause} for f in emotion.why()]
        notes = {**self._notes, "why": why, "relationship": self._held.relationship}
        notes["route"] = getattr(self._responder, "route", None) or self._responder.name
        more = getattr(self._responder, "notes", None)
        if callable(more):
            notes |= more()
        return MindState(emotion.affect(), self._held.player_affect, notes, self._teller.events())

    @property
    def player_affect(self) -> Affect:
        """What was read in the player's last turn."""
        return self._held.player_affect

    def snapshot(self) -> dict[str, Any]:
        """What is held between turns, as JSON values (see `mind_snapshot.py`)."""
        return dump(self._held)

    def restore(self, data: Mapping[str, Any]) -> None:
        """Go on from a snapshot. Raises ValueError for what is none."""
        self._held = load(data)

    async def close(self) -> None:
        await self._ahead.stop()
        if self._memory is not None and not self._consent:
            await asyncio.to_thread(self._memory.end_session)
        close = getattr(self._responder, "close", None)
        if close is not None:
            await close()

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _wake(self) -> None:
        """Once per session: what memory says of the relationship."""
        if self._heard_memory or self._memory is None:
            return
        self._heard_memory = True
        stored = await asyncio.to_thread(self._memory.standing)
        known = stored.pop("relationship", None)
        if known in RELATIONSHIPS:
            self._held = replace(self._held, relationship=str(known))
        self._held = replace(self._held, flags={**stored, **self._held.flags})
        self._memories = await asyncio.to_thread(_texts, self._memory)

    def _situation(self) -> Situation:
        held = self._held
        variables = held.story.variables if held.story is not None else {}
        flags = {**held.scene.flags, **held.flags, **variables}
        return Situation(
            relationship=held.relationship,
            flags=flags,
            variables=flags,
            scene=held.scene,
            said="\n".join(exchange.player for exchange in held.history),
            told=frozenset(fact for exchange in held.history for fact in exchange.fact_ids),
            turns=held.turns,
            memories=self._memories,
        )

    def _moment(self) -> Moment:
        held, now, situation = self._held, self._clock(), self._situation()
        flags = situation.flags
        return Moment(
            scene=held.scene,
            emotion=held.emotion.fade(now),
            situation=situation,
            history=held.history,
            habit=held.habit,
            pending=held.pending,
            lately=held.lately,
            event=self._events[0] if self._events else "",
            standing={"relationship": held.relationship, **{name: str(value) for name, value in flags.items()}},
            variables={name: str(value) for name, value in flags.items()},
            seed=self._seed + held.turns,
            now=now,
        )

    def _drafted(self, turn: PlayerTurn, moment: Moment) -> tuple[Draft, Told | None]:
        """On a worker thread: the draft, and what the story makes of the turn."""
        draft = self._drafter.draft(turn, moment)
        before = moment.history[-1].reply if moment.history else ""
        text = draft.context.turn.text
        told = self._teller.ahead(turn.turn_id, before, text, self._held.story, moment.now, moment.situation)
        return draft, told

    async def _said(self, draft: Draft) -> AsyncIterator[Clause]:
        """The reply, and behind it the authored lines that the story has waiting."""
        if draft.fixed:
            for clause in self._spoken(draft.fixed, draft.context.affect):
                yield clause
        else:
            async for clause in self._composed(draft):
                yield clause
        for line in draft.lines:
            if line != draft.fixed:
                for clause in self._spoken(line, draft.context.affect):
                    yield clause

    def _spoken(self, line: str, affect: Affect) -> list[Clause]:
        return [Clause(text, affect) for text in split_clauses(line)]

    async def _composed(self, draft: Draft) -> AsyncIterator[Clause]:
        context: Context = draft.context
        async for clause in self._responder.respond(context):
            # With authored lines behind it, what was heard is more than the composer's reply.
            self._plain[context.turn.turn_id] = "" if draft.lines else getattr(self._responder, "plain", "")
            text = self._moderator.review(clause.text)
            if not text:
                continue
            if text != clause.text:
                # Word spans point into the old text; a rewritten clause supports nothing.
                clause = replace(clause, text=text, citations=())
            yield clause

    def _remember_draft(self, turn_id: str, draft: Draft) -> None:
        self._drafts.pop(turn_id, None)
        while len(self._drafts) >= MAX_DRAFTS:
            self._drafts.pop(next(iter(self._drafts)))
        self._drafts[turn_id] = draft
        self._cited[turn_id], self._plain[turn_id] = (), ""
        for old in [key for key in self._cited if key not in self._drafts]:
            del self._cited[old]
        for old in [key for key in self._plain if key not in self._drafts]:
            del self._plain[old]

    def _settle(self, held: Held, draft: Draft, reply: HeardReply | None, now: float) -> Held:
        """Actions and questions of a heard reply: what was announced, begun, cancelled, and what waits for a yes."""
        decision = draft.decision
        heard = reply.text if reply is not None else ""
        offered = decision.kind == "offer" and draft.context.offer in heard
        asked = offered or (decision.kind == "confirm" and bool(heard))
        pending = replace(decision, kind="confirm") if asked else Decision()
        if decision.kind == "ask" and heard:
            pending = decision
        calls, done = held.calls, None
        if draft.action is not None and reply is not None:
            calls = calls.announce(draft.action, now)
            done = None if draft.action.call_id in reply.actions_cancelled else draft.action
            if done is None:
                calls = calls.cancelled(draft.action.call_id)
            elif draft.action.call_id in reply.actions_done:
                calls = calls.begun(draft.action.call_id)
        if self._undo is not None and decision.action is self._undo[1] and reply is not None and reply.text:
            self._undo = None
        if draft.context.event and self._events and self._events[0] == draft.context.event:
            self._events.pop(0)
        return replace(held, pending=pending, calls=calls, lately=(*held.lately, done)[-MAX_LATELY:])

    def _tell(self, happening: StoryHappening) -> bool:
        """Take a step of the story; true when it wants something said."""
        state, effects = self._teller.happen(happening, self._held.story, self._clock(), self._situation())
        self._held = replace(self._held, story=state)
        for notice in effects.notices:
            self._want_to_say(notice)
        return bool(effects.say or effects.notices)

    def story_due(self) -> float | None:
        """When, by the mind's clock, the story wants an event of kind "tick"; None: it waits for nothing."""
        return self._teller.due(self._held.story, self._clock())

    def _happened(self, data: Mapping[str, Any]) -> bool:
        wants_line = bool(data.get("trigger")) and self._tell(StoryHappening("event", str(data["trigger"])))
        text = clean(str(data.get("text") or ""), 400)
        salience = float(data.get("salience", 0.5))
        reading = self._reader.read(text)
        if reading.reaction != "none":
            self._feel(Happening(reading.reaction, min(1.0, reading.strength * (0.5 + salience)), text))
        elif text:
            self._feel(Happening("alarm", 0.5 * salience, text) if salience >= SALIENT else Happening("none", 0.0))
        if text and (data.get("react") or salience >= SALIENT):
            self._want_to_say(text)
            return True
        return wants_line

    async def _game_state(self, data: Mapping[str, Any]) -> None:
        """Relationship and flags are the game's to set, in `player` and `state` of a scene delta; they are stored."""
        player, state = data.get("player"), data.get("state")
        given: dict[str, Any] = {}
        if isinstance(player, Mapping) and player.get("relationship") in RELATIONSHIPS:
            given["relationship"] = str(player["relationship"])
            self._held = replace(self._held, relationship=given["relationship"])
        if isinstance(state, Mapping):
            flags = {str(k): v for k, v in state.items() if isinstance(v, str | int | float | bool)}
            self._held = replace(self._held, flags={**self._held.flags, **flags})
            given |= flags
        if self._memory is not None:
            for name, value in given.items():
                text = str(value).lower() if isinstance(value, bool) else str(value)
                await asyncio.to_thread(self._memory.set_standing, name, text, now=self._clock())

    def _feel(self, happening: Happening) -> None:
        now = self._clock()
        dominance = self._held.emotion.affect().dominance
        impulses = appraise(happening, self.character, dominance, self._held.relationship)
        self._held = replace(self._held, emotion=self._held.emotion.feel(impulses, now))

    def _want_to_say(self, text: str) -> None:
        self._events = [*self._events, re.sub(r"\s+", " ", text)][-MAX_EVENTS:]


def _texts(memory: PlayerMemory) -> str:
    """What is remembered of the player, for conditions on it, one record a line."""
    return "\n".join(record.text for record in memory.all())
