"""Everything a character knows, behind the gate: card facts, biography, what it sees, and its documents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from npc.config.paths import cache_dir
from npc.dialogue.character import Character
from npc.dialogue.composed.features import Candidate, Index, stated
from npc.dialogue.composed.likeness import Asked, load_likeness
from npc.dialogue.composed.speech import Speaker, mentions, names_others, with_article
from npc.dialogue.context import SceneView, in_focus
from npc.dialogue.knowledge.facts import Fact, facts_of, statements
from npc.dialogue.knowledge.gate import Ground, Standing, open_facts
from npc.dialogue.knowledge.words import STOPWORDS, tokens
from npc.dialogue.scene import SceneState
from npc.inference.encoder import SentenceEncoder


class Library(Protocol):
    """Documents, searched: see `knowledge/library.py`."""

    def search(self, query: str, *, allowed: frozenset[str] | None = None, limit: int = 16) -> Sequence[Fact]: ...

    def guarded(self) -> Sequence[Fact]: ...

    def fact(self, fact_id: str) -> Fact | None: ...


class Knowledge:
    """What one character knows. Shared by its sessions; asking changes nothing but caches."""

    def __init__(
        self,
        character: Character,
        *,
        facts: Sequence[Fact] | None = None,
        encoder: SentenceEncoder | None = None,
        library: Library | None = None,
    ) -> None:
        self.character = character
        self.encoder = encoder
        self.library = library
        self.facts = tuple(facts if facts is not None else facts_of(character))
        self.by_id = {fact.id: fact for fact in self.facts}
        self.speaker = Speaker(character.name, _pronoun(character))
        self._own = tuple(_card_candidates(self.facts, self.speaker) + _about(character))
        self._indexes: dict[str, Index] = {}
        if encoder is not None and hasattr(encoder, "warm"):
            authored = [*self._own, *_scene_candidates(character.scene)]
            wholes = [f"{c.text} {c.context} {c.source}" for c in authored]
            words = [word for whole in wholes for word in tokens(whole) if word not in STOPWORDS]
            encoder.warm([*(c.text for c in authored), *words], cache_dir() / "sentence-vectors.sqlite")
        self.likeness = load_likeness(encoder)
        self.index(character.scene)

    def index(self, scene: SceneView | None) -> Index:
        """Candidates from card, biography and the present scene; the last few scenes are kept."""
        seen = _scene_candidates(scene)
        key = "\n".join(candidate.text for candidate in seen)
        if key not in self._indexes:
            while len(self._indexes) >= 8:
                self._indexes.pop(next(iter(self._indexes)))
            self._indexes[key] = Index([*self._own, *seen], self.encoder, likeness=self.likeness)
        return self._indexes[key]

    def open(
        self,
        said: Sequence[str],
        standing: Mapping[str, str],
        scene: SceneView | None = None,
        told: frozenset[str] | None = None,
    ) -> frozenset[str]:
        """Ids of the facts this player may be told now. `said`: everything the player said in this talk; `told`: the
        facts cited in it, where that is known."""
        names = frozenset(entity.name.lower() for entity in scene.entities) if scene else frozenset()
        state = scene if isinstance(scene, SceneState) else SceneState()
        ground = Ground(Standing(standing.get("relationship", "stranger"), dict(standing)), said, names, state, told)
        guarded = [*self.facts, *(self.library.guarded() if self.library else ())]
        return open_facts(guarded, ground, self.encoder)

    def index_for(
        self, query: str, scene: SceneView | None, allowed: frozenset[str], told: Sequence[str] = ()
    ) -> Index:
        """The candidates of `index`, what the player told of themselves, and, where there are documents, the statements
        nearest to the query; the gate stands inside the document search."""
        base = self.index(scene)
        found = [Candidate(f"said/{i}", text, "said") for i, text in enumerate(told)]
        if self.library is not None:
            found += _card_candidates(self.library.search(query, allowed=allowed, limit=12), self.speaker)
        if not found:
            return base
        return Index([*base.candidates, *found], self.encoder, base.meaning, self.likeness)

    def best_statement(self, asked: Asked) -> float:
        """The trained score of what answers a turn best, whoever may hear it: does it ask rather than request? Things
        in view do not count: they are named by both."""
        if self.likeness is None:
            return 0.0
        scores = self.likeness.compare(asked, stated(self._own))
        return float(scores[:, 2].max(initial=0.0))

    def fact(self, fact_id: str) -> Fact | None:
        """A fact by its id, from the card or the documents."""
        if fact_id in self.by_id:
            return self.by_id[fact_id]
        return self.library.fact(fact_id) if self.library else None


def _pronoun(character: Character) -> str:
    if character.pronouns != "they":
        return character.pronouns
    return {"female": "she", "male": "he"}.get(character.voice.gender or "", "they")


def _card_candidates(facts: Sequence[Fact], speaker: Speaker) -> list[Candidate]:
    return [
        Candidate(
            s.key, s.text, "fact", s.fact.id, f"{s.fact.text} {' '.join(s.fact.topics)}", s.fact.source, s.part, s.of,
            about_self=mentions(s.text, speaker), names_others=names_others(s.text, speaker),
        )
        for s in statements(facts)
    ]  # fmt: skip


def authored_candidates(character: Character) -> tuple[Candidate, ...]:
    """Everything a card by itself gives to choose from: facts, guarded ones too, the speaker's life, things in view."""
    speaker = Speaker(character.name, _pronoun(character))
    own = _card_candidates(facts_of(character), speaker) + _about(character)
    return (*own, *_scene_candidates(character.scene))


#: Sentences of a biography that are searched; a 200 kB one is cut, its first pages say who somebody is.
_BIOGRAPHY_SENTENCES = 200


def _about(character: Character) -> list[Candidate]:
    """Name, role, age and biography."""
    found = [
        Candidate("card/name", f"My name is {character.name}.", "self"),
        Candidate("card/role", f"I am {with_article(character.role)}.", "self"),
    ]
    if character.age is not None:
        found.append(Candidate("card/age", f"I am {character.age} years old.", "self"))
    return found + _ties(character) + _biography(character.biography)


#: Relations that are somebody's: "Wick is her apprentice", but "Hasp is a market warden".
_KIN = """wife husband partner spouse fiance fiancee widow lover son daughter child mother father parent brother sister
    twin uncle aunt cousin nephew niece grandson granddaughter grandmother grandfather godmother godfather friend enemy
    rival foe ally neighbour boss master mistress mentor teacher pupil apprentice student colleague assistant
    servant employer landlord tenant dog cat horse mule ex"""
_THEIRS = frozenset(_KIN.split())


def _ties(character: Character) -> list[Candidate]:
    """Who somebody is to the character, and what the card notes of it."""
    whose = {"she": "her", "he": "his"}.get(_pronoun(character), "their")
    found = []
    for number, tie in enumerate(character.relationships):
        relation = tie.relation.strip().rstrip(".")
        first = tokens(relation)[:3]
        if first and first[0] in ("her", "his", "their", "a", "an", "the"):
            said = relation
        else:
            own = _THEIRS & set(first) and "of" not in first[:2]
            said = f"{whose} {relation}" if own else with_article(relation)
        found.append(Candidate(f"tie/{number}", f"{tie.name} is {said}.", "self"))
        if tie.note:
            found.append(Candidate(f"tie/{number}/note", tie.note, "self", context=f"{tie.name} {relation}"))
    return found


def _biography(text: str) -> list[Candidate]:
    pieces = [piece.strip() for piece in re.split(r"(?<=[.!?])\s+", text[:60_000]) if len(piece.split()) >= 3]
    once = list(dict.fromkeys(pieces))[:_BIOGRAPHY_SENTENCES]
    return [Candidate(f"bio/{i}", piece, "self") for i, piece in enumerate(once)]


#: Things of a scene that become candidates, what is attended to among them; scenes of 10,000 entities stay cheap.
_SCENE_THINGS = 60


def _scene_candidates(scene: SceneView | None) -> list[Candidate]:
    if scene is None:
        return []
    found = []
    if scene.location:
        found.append(Candidate("scene/place", f"We are here: {scene.location}.", "scene"))
    if scene.time:
        found.append(Candidate("scene/time", f"It is now {scene.time}.", "scene"))
    for entity in in_focus(scene, _SCENE_THINGS):
        name = entity.name if entity.name[:1].isupper() else f"the {entity.name}"
        described = f"{name[:1].upper()}{name[1:]}: {entity.description}." if entity.description else f"{name}."
        found.append(Candidate(f"scene/{entity.id}", described, "scene", context=entity.kind))
    return found
