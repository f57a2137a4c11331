"""The scenarios of one server: found, cast, and begun or gone on with. Implements `Companions` of the conversation.

session.update {npc: {scenario, rehearsal}} ─▶ join ─▶ package ─▶ cast (worker thread) ─▶ RunningScenario
                                                 └ rehearsal.attempt: the attempt's logs are read and gone on from
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from npc.config.authored import AuthoredFileError
from npc.config.paths import state_dir
from npc.conversation.companion import CannotJoin, Companion, Wish
from npc.conversation.people import PlayerRef
from npc.conversation.reply import Speaker
from npc.dialogue import mind_open
from npc.dialogue.character import Character
from npc.inference.encoder import EncoderError, SentenceEncoder, load_encoder
from npc.inference.interface import LanguageModel
from npc.simulation.attempt import Attempt, AttemptError, Audio, Consent, ScenarioRef, load, log_files
from npc.simulation.casting import Cast, ScenarioMind, cast
from npc.simulation.package import Package, PackageError, ScenarioNotFound, installed_scenario, list_scenarios
from npc.simulation.recording import AttemptWriter
from npc.simulation.rubric import RubricEngine
from npc.simulation.running import Play, RunningScenario, StoryClock
from npc.simulation.timeline import Timeline
from npc.store import LogError, read_lines

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")

Responders = Callable[[PlayerRef], "mind_open.ResponderFactory | None"]


def attempts_dir() -> Path:
    """Where attempts are kept, unless the caller says otherwise."""
    return state_dir() / "attempts"


class Scenarios:
    """One per server. Blocking work runs on worker threads."""

    def __init__(
        self,
        folders: Sequence[Path] = (),
        attempts: Path | None = None,
        *,
        responders: Responders = lambda _: None,
        speaker: Callable[[Character], Speaker | None] = lambda _: None,
        model: Callable[[PlayerRef], LanguageModel | None] = lambda _: None,
        seed: int = 0,
        wall: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: f"att_{secrets.token_hex(8)}",
    ) -> None:
        self.folders = tuple(folders)
        self.attempts = attempts if attempts is not None else attempts_dir()
        self._responders, self._seed, self._wall, self._new_id = responders, seed, wall, new_id
        self._speaker, self._model = speaker, model
        self._casts: dict[tuple[str, str], Cast] = {}
        self._engine: RubricEngine | None = None
        self._encoder: SentenceEncoder | None = None
        self._loading = asyncio.Lock()
        self._running: set[str] = set()

    # -- what there is -------------------------------------------------------------------------------------------------

    def packages(self) -> tuple[Package, ...]:
        """Usable scenarios by id."""
        return list_scenarios(self.folders)[0]

    def listing(self) -> list[Mapping[str, Any]]:
        """Public summaries, for choosing one. Nothing that only the character knows is in them."""
        return [summary(package) for package in self.packages()]

    def character(self, character_id: str) -> tuple[Path, Any] | None:
        """The file and character of that id in some scenario."""
        for package in self.packages():
            if character_id in package.characters:
                return package.paths[character_id], package.characters[character_id]
        return None

    # -- Companions ----------------------------------------------------------------------------------------------------

    async def join(self, wish: Wish) -> Companion:
        try:
            name = _identifier(wish.scenario, "scenario")
            package = await asyncio.to_thread(installed_scenario, name, self.folders)
        except (ScenarioNotFound, PackageError) as error:
            raise CannotJoin(str(error.args[0]), "scenario") from None
        if wish.character_id != package.main.id:
            raise CannotJoin(
                f"scenario {package.scenario.id!r} is played by {package.main.id!r}: connect with character="
                f"{package.main.id}, not {wish.character_id}",
                "scenario",
            )
        earlier = wish.rehearsal.attempt
        if earlier is None:
            return await self._begin(wish, package, Timeline(_actions(package)), None, 1)
        # Taken before anything is awaited: of two sessions that ask at once, one gets it.
        free = earlier not in self._running
        self._running.add(earlier)
        try:
            timeline = Timeline(_actions(package))
            attempt, number = await asyncio.to_thread(self._earlier, wish, package, timeline, free)
            return await self._begin(wish, package, timeline, attempt, number)
        except BaseException:
            if free:
                self._running.discard(earlier)
            raise

    async def _begin(
        self, wish: Wish, package: Package, timeline: Timeline, attempt: Attempt | None, number: int
    ) -> Companion:
        """A run whose log is the attempt's `number`th; `attempt` is the one gone on with."""
        level_name = attempt.level if attempt is not None else wish.rehearsal.level or package.scenario.default_level
        if package.scenario.level(level_name) is None:
            known = ", ".join(level.name for level in package.scenario.levels)
            raise CannotJoin(f"there is no level {level_name!r}; the scenario has {known}", "rehearsal.level")
        resumed = attempt is not None
        attempt = attempt or self._new_attempt(wish, package, level_name)
        state = timeline.state or {}
        clock = StoryClock(asyncio.get_running_loop().time, float(state.get("clock", 0.0)))
        mind = await self._mind(package, level_name, clock, wish.player)
        if "mind" in state:
            mind.restore(state["mind"])

        async def recast(level: str, clock: Callable[[], float]) -> ScenarioMind:
            return await self._mind(package, level, clock, wish.player)

        engine = await self._rubric()
        speakers = await asyncio.to_thread(self._speakers, package)
        # Behind the last await: a session that ends while it waits leaves no writer behind.
        writer = AttemptWriter(self.attempts / attempt.id, number)
        play = Play(
            package, attempt, writer, timeline, engine, recast, self._wall, resumed, self._model(wish.player), speakers
        )
        self._running.add(attempt.id)
        return RunningScenario(play, mind, clock, lambda: self._running.discard(attempt.id))

    def _speakers(self, package: Package) -> dict[str, Speaker]:
        """Voices of the further characters, loaded where they were not yet."""
        others = (package.characters[role.id] for role in package.scenario.characters[1:])
        found = {one.id: self._speaker(one) for one in others}
        return {name: speaker for name, speaker in found.items() if speaker is not None}

    def _new_attempt(self, wish: Wish, package: Package, level: str) -> Attempt:
        scenario = package.scenario
        asked = wish.rehearsal.consent.audio and scenario.privacy.audio == "consent"
        now = self._wall()
        return Attempt(
            id=self._new_id(),
            scenario=reference(package),
            level=level,
            trainee=wish.player.player_id,
            began=now,
            pass_mark=scenario.rubric.pass_mark,
            consent=Consent(asked, now if asked else None),
            audio=Audio(),
            debrief=scenario.debrief,
            retention_days=scenario.privacy.retention_days,
            emotion_allowed=scenario.infers_emotion,
        )

    def _earlier(self, wish: Wish, package: Package, timeline: Timeline, free: bool) -> tuple[Attempt, int]:
        """The attempt to go on with, folded into `timeline`, and the number of its next log. `free`: no session has
        it."""
        name = _identifier(wish.rehearsal.attempt or "", "rehearsal.attempt")
        folder = self.attempts / name
        where = "rehearsal.attempt"
        try:
            attempt = load(folder)
        except AttemptError:
            raise CannotJoin(f"there is no attempt {name!r}", where) from None
        if attempt.trainee != wish.player.player_id or attempt.scenario.id != package.scenario.id:
            # The same answer as for one that does not exist: whose it is, is nobody else's business.
            raise CannotJoin(f"there is no attempt {name!r}", where)
        if attempt.outcome != "running":
            # Whatever its end was, it has been judged and told.
            raise CannotJoin(f"attempt {name!r} is over ({attempt.outcome}); begin another one", where)
        if not free:
            raise CannotJoin(f"attempt {name!r} is running in another session", where)
        if attempt.scenario.digest != reference(package).digest:
            raise CannotJoin(f"attempt {name!r} was begun with another version of the scenario", where)
        logs = log_files(folder)
        try:
            for path in logs:
                # A session that died before its first record leaves an empty one.
                for record in read_lines(path) if path.stat().st_size else ():
                    timeline.apply(record)
        except LogError as error:
            raise CannotJoin(f"attempt {name!r} cannot be gone on with: {error}", where) from None
        return attempt, len(logs) + 1

    # -- models --------------------------------------------------------------------------------------------------------

    async def _mind(self, package: Package, level: str, clock: Callable[[], float], player: PlayerRef) -> ScenarioMind:
        engine = await self._rubric()
        key = (package.digest, level)
        async with self._loading:
            if key not in self._casts:
                position = package.scenario.level(level)
                assert position is not None, "levels were checked"
                try:
                    self._casts[key] = await asyncio.to_thread(cast, package, position, engine, self._encoder)
                except (AuthoredFileError, ValueError, OSError) as error:
                    raise CannotJoin(f"the scenario's character cannot be prepared: {error}", "scenario") from error
        return self._casts[key].mind(player, clock, self._seed, self._responders(player))

    async def _rubric(self) -> RubricEngine:
        async with self._loading:
            if self._engine is not None:
                return self._engine
            engine, encoder = await asyncio.to_thread(_load)
            self._engine, self._encoder = engine, encoder
            return engine


def _load() -> tuple[RubricEngine, SentenceEncoder | None]:
    encoder: SentenceEncoder | None
    try:
        encoder = load_encoder()
    except EncoderError:
        encoder = None
    return RubricEngine(encoder), encoder


def load_engine() -> RubricEngine:
    """The rubric engine with the sentence encoder where it is installed. Blocking."""
    return _load()[0]


def _actions(package: Package) -> list[str]:
    return [one.name for one in package.scenario.actions]


def _identifier(name: str, where: str) -> str:
    """Ids only: a path here would let a client name files of this machine."""
    if not _ID.fullmatch(name):
        raise CannotJoin(f"{name[:80]!r} is no id", where)
    return name


def reference(package: Package) -> ScenarioRef:
    """How an attempt names its scenario."""
    scenario = package.scenario
    return ScenarioRef(
        scenario.id,
        scenario.version,
        scenario.title,
        scenario.languages[0],
        scenario.sector,
        package.digest,
        package.signer or "",
    )


def summary(package: Package) -> dict[str, Any]:
    """What a trainee is told before the scenario begins."""
    scenario = package.scenario
    return {
        "id": scenario.id,
        "version": scenario.version,
        "title": scenario.title,
        "summary": scenario.summary,
        "sector": scenario.sector,
        "languages": list(scenario.languages),
        "minutes": scenario.minutes,
        "character": {"id": package.main.id, "name": package.main.name, "role": package.main.role},
        "trainee": scenario.trainee.model_dump(mode="json"),
        "scene": scenario.scene.model_dump(mode="json"),
        "objectives": list(scenario.objectives),
        "actions": [action.model_dump(mode="json", exclude={"notice"}) for action in scenario.actions],
        "levels": [{"name": level.name, "label": level.label} for level in scenario.levels],
        "default_level": scenario.default_level,
        "rubric": {
            "pass_mark": scenario.rubric.pass_mark,
            "items": [
                {"id": item.id, "kind": item.kind, "description": item.description, "weight": item.weight}
                for item in scenario.rubric.items
            ],
        },
        "privacy": {
            "retention_days": scenario.privacy.retention_days,
            "audio": scenario.privacy.audio,
            "emotion": scenario.infers_emotion,
        },
        "signed_by": package.signer,
        "warnings": list(package.warnings),
    }
