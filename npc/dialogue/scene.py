"""What the character sees: a typed scene that changes by deltas, and what words in it point at.

    state --apply(delta)--> state'   (pure; the old state stays as it was, problems are listed, never raised)

`refer` finds the things a phrase means: by name, kind, description, colour ("the blue one"), by attention ("that one",
"the thing you're looking at"), among what is visible. Words are indexed, so ten thousand entities cost what they match.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from npc.dialogue.character import Entity, Scene

#: A scene larger than this is refused entity by entity: a character cannot look at more.
MAX_ENTITIES = 20_000
#: Text of one field; longer text is cut, since it may be spoken or sent to a model.
MAX_TEXT = 400

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_POINTING = frozenset({"it", "that", "this", "them", "those", "these", "one", "thing"})
_GAZE = re.compile(
    r"\b(?:you(?:'re| are|'ve got your eye on| have your eye on)?\s*(?:looking at|staring at|watching|eyeing|facing)"
    r"|your eye(?:s)? (?:is |are )?on|in front of you|before you|by your (?:elbow|hand|side)|near you|next to you)"
)
_SMALL_WORDS = """a an the of in on at to with and or by for from is are was i you we he she it my your this that me us
    there here please now just some any s"""
_SMALL = frozenset(_SMALL_WORDS.split())

_NUMBER_NAMES = "one two three four five six seven eight nine ten eleven twelve twenty"
_NUMBER_WORDS = frozenset(_NUMBER_NAMES.split())


@dataclass(frozen=True, slots=True)
class Referent:
    """An entity that a phrase may mean, and how well: 1.0 is a full name, 0.3 mere attention."""

    entity: Entity
    score: float
    by: str
    """"name", "kind", "description" or "attention"."""


@dataclass(frozen=True)
class SceneState:
    """The scene at a moment. `everything` holds hidden things too; the character knows of `entities` only."""

    location: str = ""
    time: str = ""
    everything: Mapping[str, Entity] = field(default_factory=dict)
    attention: str | None = None
    player: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, scene: Scene) -> SceneState:
        return cls(
            location=scene.location,
            time=scene.time,
            everything={entity.id: entity for entity in scene.entities},
            attention=scene.attention,
        )

    @cached_property
    def entities(self) -> tuple[Entity, ...]:
        """What can be seen, in the order it came."""
        return tuple(entity for entity in self.everything.values() if entity.visible)

    def visible(self, name: str) -> Entity | None:
        entity = self.everything.get(name)
        return entity if entity is not None and entity.visible else None

    def apply(self, delta: Mapping[str, Any]) -> tuple[SceneState, tuple[str, ...]]:
        """The scene after a delta, and a complaint for each part that was left out.

        An entity is changed field by field when its id is known, added when it has a name, removed by
        `{"id": …, "removed": true}`. `attention: null` (given, not missing) means that nothing is attended to.
        """
        problems: list[str] = []
        entities = dict(self.everything)
        listed = delta.get("entities") or ()
        if not isinstance(listed, list | tuple):
            problems.append("scene.entities: must be a list")
            listed = ()
        for number, given in enumerate(listed):
            complaint = _merge(entities, given)
            if complaint:
                problems.append(f"scene.entities[{number}]: {complaint}")
        texts = {name: delta[name] for name in ("location", "time") if delta.get(name) is not None}
        maps = {name: delta[name] for name in ("player", "state") if delta.get(name) is not None}
        problems += [f"scene.{name}: must be text" for name, value in texts.items() if not isinstance(value, str)]
        problems += [
            f"scene.{name}: must be an object" for name, value in maps.items() if not isinstance(value, Mapping)
        ]
        location, time = texts.get("location"), texts.get("time")
        player, flags = maps.get("player"), maps.get("state")
        state = replace(
            self,
            everything=entities,
            location=location[:MAX_TEXT] if isinstance(location, str) else self.location,
            time=time[:MAX_TEXT] if isinstance(time, str) else self.time,
            player={**self.player, **player} if isinstance(player, Mapping) else self.player,
            flags={**self.flags, **flags} if isinstance(flags, Mapping) else self.flags,
        )
        if "attention" in delta:
            wanted = delta["attention"]
            if wanted is None or (isinstance(wanted, str) and wanted in entities):
                state = replace(state, attention=wanted)
            else:
                problems.append(f"scene.attention: there is no entity {wanted!r}")
        elif state.attention not in entities:
            state = replace(state, attention=None)
        return state, tuple(problems)

    def since(self, before: SceneState) -> dict[str, Any]:
        """The delta that makes this scene of `before`, but for what is the player's: `player` and `state`."""
        gone = [{"id": name, "removed": True} for name in before.everything if name not in self.everything]
        changed = [
            entity.model_dump(mode="json")
            for name, entity in self.everything.items()
            if before.everything.get(name) != entity
        ]
        delta: dict[str, Any] = {"entities": [*gone, *changed]} if gone or changed else {}
        for name in ("location", "time", "attention"):
            if getattr(self, name) != getattr(before, name):
                delta[name] = getattr(self, name)
        return delta

    def refer(self, phrase: str, limit: int = 5) -> tuple[Referent, ...]:
        """Visible things the phrase may mean, best first. Ties keep the order of the scene."""
        words = _words(phrase)
        content = [word for word in words if word not in _SMALL]
        found: dict[str, Referent] = {}
        for name in self._candidates(content):
            referent = self._match(self.everything[name], content)
            if referent is not None:
                found[name] = referent
        attended = self.visible(self.attention) if self.attention else None
        if attended is not None and (_GAZE.search(phrase.lower()) or (_POINTING & set(words) and not found)):
            known = found.get(attended.id)
            boost = 0.4 if _GAZE.search(phrase.lower()) else 0.3
            score = min(1.0, (known.score if known else 0.0) + boost)
            found[attended.id] = Referent(attended, score, known.by if known else "attention")
        ranked = sorted(found.values(), key=lambda referent: -referent.score)
        return tuple(ranked[:limit])

    @cached_property
    def _index(self) -> dict[str, tuple[str, ...]]:
        index: dict[str, list[str]] = {}
        for entity in self.entities:
            text = " ".join((entity.id, entity.kind, entity.name, entity.description, *entity.aliases))
            for word in set(_words(text)):
                index.setdefault(word, []).append(entity.id)
        return {word: tuple(names) for word, names in index.items()}

    def _candidates(self, content: Iterable[str]) -> list[str]:
        seen: dict[str, None] = {}
        for word in content:
            for name in self._index.get(word, ()):
                seen[name] = None
        return list(seen)

    def _match(self, entity: Entity, content: list[str]) -> Referent | None:
        """Share of the entity's own words that were said, weighted: head of the name, rest of the name, looks."""
        said = set(content)
        best: Referent | None = None
        for label in (entity.name, *entity.aliases, entity.id):
            # "door_b": a letter or number that tells ids apart is no word anybody says.
            label_words = [
                word for word in _words(label) if word not in _SMALL and (len(word) > 1 or label is not entity.id)
            ]
            hits = [word for word in label_words if word in said]
            if not hits:
                continue
            # "locker four": the head is the noun, not its number.
            nouns = [word for word in label_words if not word.isdigit() and word not in _NUMBER_WORDS] or label_words
            head = nouns[-1] in said
            if not head and set(hits) <= _NUMBER_WORDS:
                continue
            score = 0.55 * len(hits) / len(label_words) + (0.35 if head else 0.0)
            score *= 0.8 if label is entity.id else 1.0
            if best is None or score > best.score:
                best = Referent(entity, score, "name")
        looks = [word for word in _words(entity.description) if word not in _SMALL | _NUMBER_WORDS]
        shared = len(said & set(looks))
        if best is not None:
            return Referent(entity, min(1.0, best.score + 0.08 * shared), "name")
        if set(_words(entity.kind)) & said:
            return Referent(entity, min(0.8, 0.5 + 0.08 * shared), "kind")
        if shared:
            return Referent(entity, min(0.7, 0.2 + 0.15 * shared), "description")
        return None


def _merge(entities: dict[str, Entity], given: Any) -> str | None:
    """Change `entities` in place; return a complaint or None."""
    if not isinstance(given, Mapping) or not isinstance(given.get("id"), str):
        return "needs an id"
    name = given["id"]
    known = entities.get(name)
    if given.get("removed"):
        return None if entities.pop(name, None) else f"there is no entity {name!r} to remove"
    if known is None and not given.get("name"):
        return f"there is no entity {name!r}; a new one needs a name"
    if known is None and len(entities) >= MAX_ENTITIES:
        return f"the scene already holds {MAX_ENTITIES} entities"
    fields = {key: value for key, value in given.items() if key in Entity.model_fields and value is not None}
    for key in ("name", "description", "kind"):
        if isinstance(fields.get(key), str):
            fields[key] = fields[key][:MAX_TEXT] if key == "description" else fields[key][:200]
    # `held_by: null` puts a thing down, so here null is a value.
    if "held_by" in given:
        fields["held_by"] = given["held_by"]
    base = known.model_dump() if known is not None else {}
    if "state" in fields and isinstance(fields["state"], Mapping):
        fields["state"] = {**base.get("state", {}), **fields["state"]}
    try:
        entities[name] = Entity.model_validate({**base, **fields})
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return None


def _words(text: str) -> list[str]:
    """Lower-case words, plural -s dropped, possessive dropped."""
    found = []
    for word in _WORD.findall(text.lower().replace("’", "'").replace("_", " ").replace("-", " ")):
        word = word.split("'")[0]
        if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
            word = word[:-1]
        found.append(word)
    return found
