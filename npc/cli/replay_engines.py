"""Minds and voices for `npc replay --recompute` and `--branch`: those that a log was recorded with, or another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from npc.conversation.people import PlayerRef
from npc.conversation.reply import Speaker
from npc.dialogue import mind_open
from npc.dialogue.character import Character
from npc.dialogue.character_library import CharacterNotFound, find_character
from npc.dialogue.fingerprint import fingerprints
from npc.dialogue.interface import Mind
from npc.simulation.casting import cast
from npc.simulation.package import Package, find_scenario
from npc.simulation.scenarios import load_engine
from npc.store import LogError, Record
from npc.tts import EngineUnavailable, VoiceNotFound, choose, list_cards
from npc.tts import load as load_voice


@dataclass
class HandClock:
    """A mind's clock, set to the times of a log."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a log says it was made with."""

    character: str
    seed: int
    scenario: str | None
    level: str | None
    player: PlayerRef
    hashes: Mapping[str, str]

    def changed(self, character: Character) -> list[str]:
        """What replies rest on and is another now than when the log was made; nothing for logs that do not say."""
        now = fingerprints(character)
        return [name for name, logged in self.hashes.items() if now.get(name, logged) != logged]


def recorded(records: Sequence[Record]) -> Recorded:
    """Read it from the log's first records. Raises LogError when they are missing."""
    opened = next((record.data for record in records if record.kind == "session.opened"), None)
    if opened is None:
        raise LogError("the log does not begin with session.opened: its beginning is missing")
    began = next((record.data for record in records if record.kind == "rehearsal.began"), None)
    return Recorded(
        opened["character"],
        opened["seed"],
        began["scenario"]["id"] if began else None,
        began["level"] if began else None,
        PlayerRef(**opened["player"]),
        opened.get("hashes", {}),
    )


def open_recorded(made: Recorded, clock: HandClock, other: str | None = None) -> tuple[Mind, Character]:
    """The mind of a log, fresh, or `other`: a character (id or file) or, for an attempt, a scenario package.

    Raises CharacterNotFound, ScenarioNotFound, AuthoredFileError.
    """
    package = _package(made, other)
    if package is not None:
        level = package.scenario.level(made.level or "") or package.scenario.levels[0]
        played = cast(package, level, load_engine())
        if other is not None and _is_character(other):
            changed = find_character(other).character
            played = replace(played, shared=replace(mind_open.prepare(changed), story=package.story))
        return played.mind(made.player, clock, made.seed), played.shared.character
    installed = find_character(other or made.character)
    shared = mind_open.prepare(installed.character, installed.path.parent)
    return mind_open.open_mind(shared, clock=clock, seed=made.seed, consent=False), installed.character


def _is_character(name: str) -> bool:
    path = Path(name)
    if path.suffix in (".yaml", ".yml", ".json"):
        return path.name != "scenario.yaml"
    if path.is_dir():
        return not (path / "scenario.yaml").is_file()
    try:
        find_character(name)
    except CharacterNotFound:
        return False
    return True


def _package(made: Recorded, other: str | None) -> Package | None:
    if made.scenario is None:
        return None
    return find_scenario(made.scenario if other is None or _is_character(other) else other)


def open_voice(character: Character) -> Speaker | None:
    """The character's voice, or the nearest to it; None where none can be loaded."""
    cards, _ = list_cards()
    own = next((installed for installed in cards if installed.card.id == character.voice.card), None)
    try:
        voice = own or choose(
            cards, gender=character.voice.gender, age=character.voice.age, language=character.languages[0]
        )
        # Marks are put into sound, not into its times: without them it is faster.
        synthesizer = load_voice(voice, watermark=False)
    except (EngineUnavailable, VoiceNotFound):
        return None
    return Speaker(synthesizer, tuple(character.lexicon.items()), character.languages[0])
