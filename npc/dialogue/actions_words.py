"""What an action speaks of, and what a request speaks of beside it: verbs and words of an action, things named that are
none of them."""

from __future__ import annotations

import re

from npc.dialogue.actions import names_entity, takes_text
from npc.dialogue.actions_choice import Surroundings
from npc.dialogue.actions_request import Request
from npc.dialogue.actions_slots import Filled
from npc.dialogue.character import ActionSpec
from npc.dialogue.knowledge.words import STOPWORDS, content, stem, tokens

#: A thing is named, so asking "which one?" would be odd: it is not here.
_NAMED_THING = re.compile(r"\b(?:an?|some|the|my|your|her|his|their) (?!one\b|thing\b)(\w{3,})", re.IGNORECASE)
#: What is asked for by name: "(give me) a sandwich", "(lend us) the big axe". What is pointed at ("that", "those") may
#: be anything in view.
_FIRST_THING = re.compile(
    r"^(?:(?:me|us|him|her|them|out|up|over) )*(?:an?|some|any|another|the|your|his|her)"
    r" ((?:(?!with|of|that|who|which|to|for|in|on|at|from|and|or)[\w'-]+ ?){1,3})",
    re.I,
)
#: "(a ticket) to the moon".
_GOAL = re.compile(r"\bto the (\w{3,})\b", re.I)
_NO_THING = frozenset({"thing", "things", "one", "ones", "bit", "stuff", "something", "lot", "pair", "kind", "sort"})


def names_something_else(
    spec: ActionSpec, own: frozenset[str], name: str, request: Request, around: Surroundings
) -> bool:
    """A thing or choice is named that is not there ("a sandwich"), so asking "which one?" would be odd.
    "Those mitts" and "the thing with the pen" describe what may well be there."""
    schema = spec.parameters.get("properties", {}).get(name, {})
    match = _FIRST_THING.match(request.rest)
    if "enum" in schema and (goal := _GOAL.search(request.rest)) is not None and stem(goal.group(1).lower()) not in own:
        return True
    if not (names_entity(schema) or "enum" in schema) or match is None:
        return False
    seen = (f"{e.name} {e.description} {e.kind}" for e in around.scene.entities)
    known = own | {word for text in seen for word in content(text)}
    named = [word for word in tokens(match.group(1)) if word not in STOPWORDS and word not in _NO_THING]
    return bool(named) and not any(stem(word) in known for word in named)


def covered(own: frozenset[str], filled: Filled, text: str, around: Surroundings) -> float:
    """Share of what the turn speaks of that the action, its choices and its arguments speak of, too."""
    about = set(content(text))
    values = [value for value in filled.arguments.values() if isinstance(value, str)]
    things = (around.scene.everything.get(value) for value in values)
    seen = {word for e in things if e is not None for word in content(f"{e.name} {e.description} {e.kind}")}
    return len(about & (own | seen)) / len(about) if about else 0.0


def foreign(spec: ActionSpec, own: frozenset[str], request: Request, around: Surroundings) -> bool:
    """Whether the request names a thing that the action does not speak of and that is not there: "call me a taxi"
    where a nurse can be called."""
    if any(takes_text(schema) for schema in spec.parameters.get("properties", {}).values()):
        return False
    there = [f"{entity.name} {entity.description} {entity.kind}" for entity in around.scene.entities]
    known = own | frozenset(stem(word) for text in there for word in tokens(text))
    return any(stem(match.group(1).lower()) not in known for match in _NAMED_THING.finditer(request.text))


_SPECIFIC_NOT = frozenset(
    {"item", "thing", "tool", "object", "goods", "stuff", "something", "up", "down", "out", "over"}
)


def specific(spec: ActionSpec) -> bool:
    """Whether the name says what the action is about: give_map does, give_item does not."""
    return any(part not in _SPECIFIC_NOT for part in spec.name.split("_")[1:])


def own_verbs(spec: ActionSpec) -> frozenset[str]:
    """Verbs of an action: first word (and particle) of its name and of its description and phrases."""
    name = spec.name.split("_")
    described = tokens(spec.description)
    verbs = {name[0], *described[:1], " ".join(name[:2]), " ".join(described[:2])}
    return frozenset(verb for verb in verbs if verb)


def own_words(spec: ActionSpec) -> frozenset[str]:
    choices = [
        str(c).replace("_", " ") for p in spec.parameters.get("properties", {}).values() for c in p.get("enum", ())
    ]
    names = " ".join(spec.parameters.get("properties", {})).replace("_", " ")
    return frozenset(content(" ".join((spec.name.replace("_", " "), spec.description, names, *spec.phrases, *choices))))


def sentence(spec: ActionSpec) -> str:
    return f"{spec.name.replace('_', ' ')}: {spec.description}"
