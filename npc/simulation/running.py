"""A scenario while it runs: the companion of one session (see `npc.conversation.companion`).

    records ──▶ timeline ──▶ judge (worker thread) ──▶ npc.assessment, npc.rehearsal ──▶ trainee, instructor
       │           │ story ended, time is up, instructor: end ─▶ finish(outcome)
       └▶ writer   └▶ attempt.json after every finished turn
    story's clock: stands still while paused; a timer wakes the story for its timed events

Everything runs on the event loop but judging and writing. What an attempt is, is computed from its log alone; this file
decides when.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.conversation.companion import CannotJoin, Stage
from npc.conversation.people import Temperament
from npc.conversation.port import AudioOut
from npc.conversation.recorder import Recorder
from npc.conversation.reply import Speaker
from npc.dialogue.interface import WorldEvent
from npc.inference.interface import LanguageModel
from npc.protocol import NpcInstructor
from npc.protocol.npc_server import NpcAssessment, NpcRehearsal
from npc.simulation import free
from npc.simulation.attempt import Attempt, Audio, Judged, Outcome, to_json
from npc.simulation.casting import ScenarioMind
from npc.simulation.ensemble import Ensemble
from npc.simulation.judging import free_items, judge, passed, score
from npc.simulation.package import Package
from npc.simulation.recording import AttemptWriter
from npc.simulation.rubric import RubricEngine
from npc.simulation.sound import Ears, Mouth
from npc.simulation.timeline import Timeline
from npc.store import Record

log = logging.getLogger(__name__)

#: A story that ended without another word being said is over after this time, seconds.
LAST_WORDS = 4.0
#: The trainee's own way out: `npc.event` with this trigger ends the attempt.
LEAVE = "end_attempt"
#: Judging may take this long before the attempt goes on without it, seconds.
JUDGE_DEADLINE = 20.0
#: A session that ends waits so long for the language model's opinion, seconds.
OPINION_AT_CLOSE = 5.0


class StoryClock:
    """Seconds of the scenario: of the session, less its pauses, on from where an earlier session stopped."""

    def __init__(self, now: Callable[[], float], start: float = 0.0) -> None:
        self._now, self._shift = now, start - now()
        self._paused: float | None = None

    def __call__(self) -> float:
        return round((self._now() if self._paused is None else self._paused) + self._shift, 6)

    def pause(self, paused: bool) -> None:
        if paused and self._paused is None:
            self._paused = self._now()
        elif not paused and self._paused is not None:
            self._shift -= self._now() - self._paused
            self._paused = None


@dataclass(frozen=True, slots=True)
class Play:
    """What a run is made of."""

    package: Package
    attempt: Attempt
    """As it stood when this session began."""
    writer: AttemptWriter
    timeline: Timeline
    engine: RubricEngine
    recast: Callable[[str, Callable[[], float]], Awaitable[ScenarioMind]]
    """A mind at another level of difficulty."""
    wall: Callable[[], float]
    """Seconds since the epoch."""
    resumed: bool = False
    model: LanguageModel | None = None
    """Judges items of kind "free"; None where none is configured or the trainee's words may not leave this machine."""
    speakers: Mapping[str, Speaker] = field(default_factory=dict)
    """Voices of the further characters by id."""


class RunningScenario:
    """Implements `Companion` and its `Recorder`."""

    def __init__(
        self, play: Play, mind: ScenarioMind, clock: StoryClock, closed: Callable[[], None] = lambda: None
    ) -> None:
        self.mind = self._listening_to(mind)
        self.speakers = play.speakers
        self._play, self._clock = play, clock
        self._closed = closed
        self._attempt = play.attempt
        self._timeline = play.timeline
        self._level = play.attempt.level
        self._writer = play.writer
        self.greets = not play.resumed
        self.reads_emotion = play.attempt.emotion_allowed
        self.temperament: Temperament = _TEMPERAMENT[mind.character.interruption]
        self._stage: Stage | None = None
        self._seq = 0
        self._state: str = "running"
        self._ending: Outcome | None = None
        self._turns_saved = 0
        self._told: dict[str, Judged] = {}
        self._judging = asyncio.Lock()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._asking: asyncio.Task[str] | None = None
        keeps = play.attempt.consent.audio
        self._ears = Ears(self._anchor, play.writer if keeps else None)
        self._mouth = Mouth(self._anchor, play.writer if keeps else None)
        self.recorder: Recorder = self

    def _listening_to(self, mind: ScenarioMind) -> ScenarioMind:
        """Of several characters, the client is told who is spoken to."""
        if isinstance(mind, Ensemble):
            mind.changed = lambda _: self._tell()
        return mind

    # -- Recorder ------------------------------------------------------------------------------------------------------

    def record(self, kind: str, data: Mapping[str, Any], at: float) -> None:
        """One record of the session."""
        if self._state == "finished" and kind != "rehearsal.opinion":
            return
        if kind == "session.opened":
            offset = self._timeline.duration - at
            self._ears.offset = self._mouth.offset = offset
        self._mouth.follow(kind, data, at)
        self._timeline.apply(Record(self._seq, at, kind, data))
        self._seq += 1
        self._writer.line(kind, data, at)
        if kind == "observed" and data["kind"] == "event" and data["data"].get("trigger") == LEAVE:
            self._loop.call_soon(self._finish, "abandoned")
        if kind == "story" and data["kind"] == "section_entered" and (data.get("detail") or {}).get("end"):
            failed = data["detail"].get("outcome") == "failed"
            self._end_soon("failed" if failed else "completed")

    async def end(self) -> None:
        """The session's own recorder ends elsewhere; the attempt ends in `close`."""

    def keep(self, days: int) -> None:
        """As `discard`: the attempt has its own retention."""

    async def discard(self) -> None:
        """What the player wished of the session's log does not reach the attempt, which has its own retention."""

    # -- Companion -----------------------------------------------------------------------------------------------------

    def begin(self, stage: Stage) -> None:
        self._stage = stage
        attempt = self._attempt
        stage.record(
            "rehearsal.began",
            {
                "attempt": attempt.id,
                "scenario": asdict(attempt.scenario),
                "level": self._level,
                "resumed": self._play.resumed,
                "consent": asdict(attempt.consent),
            },
        )
        self._limit()
        self._save()
        self._tell()
        self._arm()

    def heard(self, pcm: NDArray[np.int16], rate: int, at: float, before: int) -> None:
        if self._state != "finished":
            self._ears.heard(pcm, rate, at, before)

    def sounded(self, audio: AudioOut, rate: int, at: float) -> None:
        if self._state != "finished":
            self._mouth.sounded(audio, rate, at)

    def committed(self) -> None:
        if self._state == "finished" or self._stage is None:
            return
        self._read_emotion()
        spoken_to = {"character": self.mind.active} if isinstance(self.mind, Ensemble) else {}
        self._stage.record("rehearsal.state", {"mind": self.mind.snapshot(), "clock": self._clock(), **spoken_to})
        if self._ending is not None:
            self._finish(self._ending)
            return
        self._save()
        self._arm()
        self._stage.spawn(self._assess(over=False))

    def instruct(self, event: NpcInstructor, by: str) -> Mapping[str, Any] | None:
        stage = self._stage
        if stage is None or self._state == "finished":
            raise CannotJoin("the scenario is over", "action")
        match event.action:
            case "inject":
                stage.observe(WorldEvent("event", {"trigger": event.trigger, "salience": 0.5, "react": False}))
            case "difficulty":
                level = event.level or event.text or ""
                if self._play.package.scenario.level(level) is None:
                    known = ", ".join(one.name for one in self._play.package.scenario.levels)
                    raise CannotJoin(f"there is no level {level!r}; the scenario has {known}", "level")
                stage.spawn(self._set_level(level))
                return {"level": level}
            case "pause" | "resume":
                self._pause(event.action == "pause")
            case "end":
                self._finish("ended_by_instructor")
        return {"state": self._state}

    def snapshot(self) -> Mapping[str, Any]:
        return {"attempt": json.loads(to_json(self._now()))}

    async def close(self, reason: str) -> None:
        if self._state != "finished":
            # Cut off, not ended: the attempt stays "running" on disk and may be gone on with.
            self._save(cut_off=reason)
            self._state = "finished"
        else:
            try:
                await asyncio.wait_for(self._over.wait(), OPINION_AT_CLOSE)
            except TimeoutError:
                # A server that stops cannot wait for a language model: its items are "not observed".
                if self._asking is not None:
                    self._asking.cancel()
                await self._over.wait()
        for timer in self._timers.values():
            timer.cancel()
        await asyncio.to_thread(self._writer.close)
        self._closed()

    # -- the story's time ----------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Wake the story for its next timed event."""
        timer = self._timers.pop("story", None)
        if timer is not None:
            timer.cancel()
        due = self.mind.story_due()
        if due is not None and self._state == "running":
            self._timers["story"] = self._loop.call_later(max(0.01, due - self._clock()), self._tick)

    def _limit(self) -> None:
        """Wake when the scenario's minutes are over; like the story, they stand still during a pause."""
        timer = self._timers.pop("minutes", None)
        if timer is not None:
            timer.cancel()
        if self._state == "running":
            left = self._play.package.scenario.minutes * 60.0 - self._clock()
            self._timers["minutes"] = self._loop.call_later(max(0.1, left), self._finish, "timeout")

    def _tick(self) -> None:
        if self._stage is not None and self._state == "running":
            self._stage.observe(WorldEvent("tick", {}))
            # The mind has taken the step once the observation is through; then its next event is known.
            self._timers["story"] = self._loop.call_later(0.25, self._arm)

    def _pause(self, paused: bool) -> None:
        if self._stage is None or self._state == ("paused" if paused else "running"):
            return
        self._clock.pause(paused)
        self._stage.pause(paused)
        self._state = "paused" if paused else "running"
        self._stage.record("rehearsal.paused" if paused else "rehearsal.resumed", {})
        self._arm()
        self._limit()
        self._tell()

    async def _set_level(self, level: str) -> None:
        mind = await self._play.recast(level, self._clock)
        mind.restore(self.mind.snapshot())
        self.mind, self._level = self._listening_to(mind), level
        stage = self._stage
        assert stage is not None, "a level is set while it runs"
        stage.swap_mind(mind, _TEMPERAMENT[mind.character.interruption])
        stage.observe(WorldEvent("level", {"level": level}))
        stage.record("rehearsal.level", {"level": level})
        self._attempt = replace(self._attempt, level=level)
        self._save()
        self._tell()

    # -- the end -------------------------------------------------------------------------------------------------------

    def _end_soon(self, outcome: Outcome) -> None:
        """The story is over once what is being said has been heard."""
        if self._ending is None:
            self._ending = outcome
            self._timers["last"] = self._loop.call_later(LAST_WORDS, self._finish, outcome)

    def _finish(self, outcome: Outcome) -> None:
        if self._state == "finished" or self._stage is None:
            return
        self._stage.record("rehearsal.ended", {"outcome": outcome})
        self._state = "finished"
        self._stage.pause(False)
        for timer in self._timers.values():
            timer.cancel()
        self._stage.spawn(self._conclude())

    async def _conclude(self) -> None:
        try:
            await self._assess(over=True)
        finally:
            self._mouth.close()
            self._save()
            self._tell()
            self._over.set()

    # -- judging, telling, saving --------------------------------------------------------------------------------------

    async def _assess(self, over: bool) -> None:
        """Judge what was said so far and tell what changed."""
        async with self._judging:
            package, turns, events = self._play.package, self._timeline.turns(), tuple(self._timeline.events)
            emotions = self._timeline.emotions()
            opinion = await self._opinion() if over else None
            work = asyncio.to_thread(
                judge, package, self._play.engine, turns, events, over=over, emotions=emotions, opinion=opinion
            )
            try:
                judged = await asyncio.wait_for(work, JUDGE_DEADLINE)
            except Exception:
                log.exception("an attempt was not judged", extra={"attempt": self._attempt.id})
                return
            self._attempt = replace(self._attempt, verdicts=judged, score=score(judged))
            if over:
                done = self._timeline.outcome == "completed"
                ok = passed(judged, package.scenario.rubric.pass_mark) and self._timeline.outcome != "failed"
                self._attempt = replace(self._attempt, passed=ok and (done or self._timeline.outcome != "abandoned"))
        for one in judged:
            if self._told.get(one.item) != one and self._stage is not None:
                self._told[one.item] = one
                self._stage.send(
                    NpcAssessment(
                        character=self.mind.character_id,
                        rubric_item=one.item,
                        score=one.points or 0.0,
                        state=one.state,
                        confidence=one.confidence,
                        reason=one.reason,
                        evidence=[asdict(evidence) for evidence in one.evidence],
                    )
                )
        self._save()

    async def _opinion(self) -> str | None:
        """What the language model says about the items of kind "free"; kept in the log, so that judging again needs no
        model. None without such items, without a model, or when it did not answer."""
        model, items = self._play.model, free_items(self._play.package)
        if model is None or not items or self._timeline.opinion is not None:
            return self._timeline.opinion
        turns = [turn.judged() for turn in self._timeline.turns()]
        self._asking = self._loop.create_task(free.answer(model, items, turns))
        try:
            await asyncio.wait({self._asking})
            if self._asking.cancelled():
                raise free.NotAnswered("the session ended before the language model had answered")
            answer = self._asking.result()
        except free.NotAnswered as error:
            log.warning("free items were not judged: %s", error, extra={"attempt": self._attempt.id})
            return None
        finally:
            self._asking.cancel()
        assert self._stage is not None, "an attempt is judged while it runs"
        self._stage.record("rehearsal.opinion", {"model": model.name, "answer": answer})
        return answer

    def _read_emotion(self) -> None:
        """What was read in the trainee's turn, where the package may read it and an item asks for it."""
        asked = any(item.kind == "emotion" for item in self._play.package.scenario.rubric.items)
        if self._stage is not None and asked and self.reads_emotion and self.mind.player_affect.label != "neutral":
            self._stage.record("rehearsal.emotion", {"label": self.mind.player_affect.label})

    def _now(self) -> Attempt:
        """The attempt as it stands."""
        outcome: Outcome = self._timeline.outcome or "running"
        audio = Audio()
        if self._attempt.consent.audio:
            audio = Audio("trainee.wav", "character.wav")
        return replace(
            self._attempt,
            sessions=tuple(self._timeline.sessions),
            ended=self._play.wall() if self._timeline.outcome else None,
            outcome=outcome,
            duration_s=round(self._timeline.duration, 3),
            turns=self._timeline.turns(),
            events=tuple(self._timeline.events),
            interventions=tuple(self._timeline.interventions),
            audio=audio,
        )

    def _save(self, cut_off: str | None = None) -> None:
        if cut_off is not None:
            log.info("an attempt was cut off", extra={"attempt": self._attempt.id, "reason": cut_off})
        attempt = self._now()

        def written() -> None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._saved, len(attempt.turns))

        self._writer.save(attempt, None if cut_off is not None else written)

    def _saved(self, turns: int) -> None:
        self._turns_saved = turns
        self._tell()

    def _tell(self) -> None:
        if self._stage is None:
            return
        attempt, package = self._attempt, self._play.package
        warnings = list(package.warnings)
        if self._writer.error is not None:
            warnings.append(self._writer.error)
        state = "finished" if self._state == "finished" else "paused" if self._state == "paused" else "running"
        self._stage.send(
            NpcRehearsal(
                character=self.mind.character.id,
                attempt=attempt.id,
                scenario=package.scenario.id,
                version=package.scenario.version,
                level=self._level,
                state=state,  # type: ignore[arg-type]
                outcome=self._timeline.outcome or "running",
                section=self._timeline.section,
                elapsed_s=max(0.0, round(self._clock(), 2)),
                turns_saved=self._turns_saved,
                score=attempt.score,
                pass_mark=package.scenario.rubric.pass_mark,
                passed=attempt.passed,
                audio_kept=attempt.consent.audio,
                warnings=warnings,
            )
        )

    def _anchor(self, kind: str, data: Mapping[str, Any], at: float) -> None:
        """The clocks of samples and seconds meet here."""
        self.record(kind, data, at)


_TEMPERAMENT: Mapping[str, Temperament] = {"yield": "yield", "finish_clause": "finish", "protest": "protest"}
