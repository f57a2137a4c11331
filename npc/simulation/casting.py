"""The character as it plays in a scenario at one level of difficulty, and its mind with the scenario's story. Blocking.

character file ─ knows, withheld ─▶ facts · behaviour ─▶ personality, mood · scene of the scenario ─▶ Shared ─▶ mind
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from npc.conversation.people import PlayerRef
from npc.dialogue import mind_open
from npc.dialogue.character import Character
from npc.dialogue.mind import CharacterMind
from npc.inference.encoder import SentenceEncoder
from npc.simulation.ensemble import Ensemble, names_of
from npc.simulation.package import Package
from npc.simulation.punctuation import punctuated
from npc.simulation.rubric import RubricEngine
from npc.simulation.rubric.model import Turn
from npc.simulation.scenario import Behaviour, CharacterRole, Level
from npc.simulation.unread import SpeechActs

#: What plays in a scenario: one mind, or several of which one is spoken to.
ScenarioMind = CharacterMind | Ensemble
#: Who answers in a session; None: the embedded composer (see `mind_open.open_mind`).
Responders = Callable[[PlayerRef], "mind_open.ResponderFactory | None"]


def character_at(package: Package, level: Level) -> Character:
    """The first character of the scenario as the level makes it."""
    character, role, how = package.main, package.scenario.characters[0], level.character
    return _in_scene(package, role, character, how)


def others_of(package: Package) -> list[Character]:
    """The further characters of the scenario, as their files and roles have them; levels change the first alone."""
    roles = package.scenario.characters[1:]
    return [_in_scene(package, role, package.characters[role.id], Behaviour()) for role in roles]


def _in_scene(package: Package, role: CharacterRole, character: Character, how: Behaviour) -> Character:
    known = set(role.knows) if role.knows is not None else None
    facts = tuple(
        fact.model_copy(update={"secret": True, "tell_to": None}) if fact.id in how.withheld else fact
        for fact in character.facts
        if known is None or fact.id in known
    )
    traits = {"agreeableness": how.agreeableness, "neuroticism": how.neuroticism}
    mood = {"label": how.mood, "valence": how.valence, "arousal": how.arousal}
    changed: dict[str, Any] = {
        "facts": facts,
        "personality": character.personality.model_copy(update={k: v for k, v in traits.items() if v is not None}),
        "baseline_emotion": character.baseline_emotion.model_copy(
            update={k: v for k, v in mood.items() if v is not None}
        ),
        "interruption": how.interruption or character.interruption,
        "player_relationship": how.relationship or character.player_relationship,
        # The story of a scenario is the scenario's.
        "narrative": None,
    }
    if package.scenario.scene.location or package.scenario.scene.entities:
        changed["scene"] = package.scenario.scene
    return character.model_copy(update=changed)


class Meanings:
    """What a turn of the trainee means to the story, as flags by rubric item.

    `does_<item>` and `breaks_<item>` hold for the turn, `did_<item>` and `broke_<item>` from then on.

    So the story can turn on an apology however it is worded: it asks the same engine, on the same examples, that
    judges the attempt. Thread-safe; a few milliseconds, since the examples' vectors are kept.
    """

    _KINDS = ("must_say", "must_ask", "must_not_say")

    def __init__(self, package: Package, engine: RubricEngine) -> None:
        self._items = [item for item in package.items() if item.kind in self._KINDS]
        self._engine = engine

    def __call__(self, before: str, text: str) -> tuple[Mapping[str, bool], Mapping[str, bool]]:
        if not self._items or not text.strip():
            return {}, {}
        turns = [Turn(1, "character", before, 0.0, 1.0)] if before else []
        turns.append(Turn(len(turns) + 1, "trainee", punctuated(text), 1.0, 2.0))
        passing, lasting = {}, {}
        for item, verdict in zip(self._items, self._engine.judge(self._items, turns), strict=True):
            broken = item.kind == "must_not_say"
            holds = verdict.met is (not broken)
            passing[f"{'breaks' if broken else 'does'}_{item.id}"] = holds
            lasting[f"{'broke' if broken else 'did'}_{item.id}"] = holds
        return passing, lasting


@dataclass(frozen=True, slots=True)
class Cast:
    """What minds of one scenario and level share."""

    package: Package
    level: Level
    shared: mind_open.Shared
    engine: RubricEngine
    others: Mapping[str, mind_open.Shared] = field(default_factory=dict)
    """Of the further characters, by id."""

    def mind(
        self,
        player: PlayerRef,
        clock: Callable[[], float],
        seed: int = 0,
        responder: mind_open.ResponderFactory | None = None,
    ) -> ScenarioMind:
        """A mind that remembers nothing of earlier attempts and leaves nothing behind but the attempt; of all
        characters together where there are several."""
        members = {one.character.id: one for one in (self.shared, *self.others.values())}
        minds = {name: self._one(shared, player, clock, seed, responder) for name, shared in members.items()}
        if len(minds) == 1:
            return next(iter(minds.values()))
        spoken = {role.id: role.addressed_as for role in self.package.scenario.characters}
        return Ensemble(minds, {name: names_of(one.character, spoken[name]) for name, one in members.items()})

    def _one(
        self,
        shared: mind_open.Shared,
        player: PlayerRef,
        clock: Callable[[], float],
        seed: int,
        responder: mind_open.ResponderFactory | None,
    ) -> CharacterMind:
        return mind_open.open_mind(
            shared,
            player_id=player.player_id,
            responder=responder,
            clock=clock,
            seed=seed,
            consent=False,
            level=self.level.name,
            meaning=Meanings(self.package, self.engine),
        )


def cast(package: Package, level: Level, engine: RubricEngine, encoder: SentenceEncoder | None = None) -> Cast:
    """Prepare the scenario's characters (0.2-0.5 s each). Raises AuthoredFileError, DocumentError."""
    character = character_at(package, level)
    others = {one.id: _prepared(package, one, encoder) for one in others_of(package)}
    return Cast(package, level, _prepared(package, character, encoder), engine, others)


def _prepared(package: Package, character: Character, encoder: SentenceEncoder | None) -> mind_open.Shared:
    shared = mind_open.prepare(character, package.paths[character.id].parent, encoder)
    reader = shared.reader if package.scenario.infers_emotion else SpeechActs(shared.encoder)
    return replace(shared, story=package.story, reader=reader)
