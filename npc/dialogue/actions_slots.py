"""Filling an action's parameters from what was said, what is in the scene, and what the talk was just about.

Where a value is looked for, in this order, and never past the first source that gives one:

    the request itself  >  (for "that one", or when nothing was said) the last reply  >  facts near the request
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from npc.dialogue.actions import names_entity
from npc.dialogue.actions_choice import ANAPHORA, Option, Surroundings, chosen, weighed
from npc.dialogue.actions_numbers import beside, in_digits, left_of, number_for, numbers_of
from npc.dialogue.actions_text import PEOPLE, free_text, person
from npc.dialogue.character import ActionSpec, Entity
from npc.dialogue.knowledge.words import content, stem, tokens

_THAT_ONE = re.compile(r"\b(?:that|this|the same|the other|the first|the second|such an?) one\b|\bthe same\b", re.I)
#: "Fetch me a sandwich": something new, not what is looked at.
_SOMETHING_ELSE = re.compile(
    r"\b(?:an?|some|any|another) (?!bit|little|moment|second|look|hand|word|favou?r"
    r"|of (?:that|those|these|this|the|your)\b)\w+",
    re.IGNORECASE,
)
_CORRECTION = re.compile(
    r"\b(?:no,|no wait,?|i mean|make (?:that|it)|rather,|sorry,|that makes|that'?s"
    r"|(?:so |and )?(?:all told|altogether|in all))\s",
    re.IGNORECASE,
)
_SUCH_ONE = re.compile(r"\bthe \w+ (?:one|thing|bit|stuff)\b", re.IGNORECASE)
_NEGATION = re.compile(r"\bnot (?:the |a |my )?$|\binstead of (?:the |a )?$|\brather than (?:the |a )?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Filled:
    """Arguments found, names of required ones that were not, values out of range (name -> complaint), and a quality.

    `said` counts parameters whose value the player named; `unused` are numbers said that no parameter took.
    """

    arguments: Mapping[str, Any]
    missing: tuple[str, ...]
    out_of_range: Mapping[str, str]
    said: int
    unused: tuple[float, ...]


#: Without the taught encoder a value nobody named is taken by meaning when it is this near and leads the next one by
#: so much.
_NEAR, _LEAD = 0.3, 0.04
#: Things in view that are looked at for one argument.
_THINGS = 40


def fill(spec: ActionSpec, text: str, around: Surroundings) -> Filled:
    """Fill the parameters of `spec` from `text`."""
    properties: Mapping[str, Any] = spec.parameters.get("properties", {})
    required = set(spec.parameters.get("required", []))
    arguments: dict[str, Any] = {}
    bad: dict[str, str] = {}
    said = 0
    corrected = _CORRECTION.split(around.turn if _CORRECTION.search(around.turn) else text)[-1]
    numbers = numbers_of(corrected) or numbers_of(text) or numbers_of(around.turn)
    integers = [name for name, schema in properties.items() if schema["type"] in ("integer", "number")]
    taken: list[float] = []
    # "The oak, four nights": the number beside one parameter's name is not another's.
    reserved = {name: beside(name, text, numbers) for name in integers} if len(integers) > 1 else {}
    for name, schema in properties.items():
        value: Any = None
        from_player = False
        if "enum" in schema or names_entity(schema):
            value, from_player, options = by_rule(spec, name, text, around)
            if not from_player and around.turn not in ("", text):
                # "A hammock to Port Corrin it is. Sell me one.": what the turn names goes before what the talk gives.
                whole, named, _ = by_rule(spec, name, around.turn, around)
                value, from_player = (whole, True) if named else (value, from_player)
            if not from_player and (name in required or names_entity(schema)):
                value, from_player = _meant(options, text, around, value)
            if from_player and "enum" in schema and len(numbers_of(str(value))) == 1:
                # "Give me the ten" of tickets for one swim and for ten.
                taken.append(numbers_of(str(value))[0])
        elif schema["type"] in ("integer", "number"):
            others = [n for other, n in reserved.items() if other != name and n is not None and n != reserved[name]]
            free = left_of(numbers, [n for n in others if n not in taken])
            value, from_player, complaint = number_for(name, schema, text, free, taken, len(integers), around)
            if complaint:
                bad[name] = complaint
            if value is not None:
                taken.append(float(value))
                value = int(value) if schema["type"] == "integer" else value
        elif schema["type"] == "boolean":
            value = not re.search(r"\b(?:not|don't|without|off|no)\b", text, re.IGNORECASE)
        else:
            named = stem(name.split("_")[-1]) in PEOPLE
            kind = name.split("_")[-1]
            value, from_player = (person(around, kind) or None) if named else free_text(name, text, around.turn), True
        if value is not None:
            arguments[name] = value
            said += from_player
    missing = tuple(name for name in properties if name in required and name not in arguments)
    return Filled(arguments, missing, bad, said, tuple(left_of(numbers, taken)))


def by_rule(spec: ActionSpec, name: str, text: str, around: Surroundings) -> tuple[Any | None, bool, Sequence[Option]]:
    """What rules give for a parameter of choices or things, whether the player named it, and all it could be."""
    schema = spec.parameters["properties"][name]
    if "enum" in schema:
        value, named = _enum(name, schema["enum"], in_digits(text), around, name in spec.parameters.get("required", ()))
        if value is None and _names_a_goal(text):
            return None, False, []
        return value, named, [Option(choice, str(choice).replace("_", " ")) for choice in schema["enum"]]
    entity, named = _entity(spec, text, around)
    return (entity.id if entity is not None else None), named, _things(spec, around)


def _enum(name: str, choices: Sequence[Any], text: str, around: Surroundings, needed: bool) -> tuple[Any | None, bool]:
    found = _choice(choices, text)
    if found is not None:
        return found, True
    if not needed:
        return None, False
    if len(choices) == 1:
        return choices[0], False
    # "Put me in that one" means what was just said; otherwise facts about the thing asked for come before the last
    # reply.
    leans = bool(_THAT_ONE.search(text))
    if _names_a_goal(text):
        # "A ticket to the moon": a value was named that is no choice; none is made up from elsewhere.
        return None, False
    sources = (around.last_reply, *around.facts[:4]) if leans else (*around.facts[:4], around.last_reply)
    for source in sources:
        if source and ((leans and source is around.last_reply) or _shares_topic(name, text, source)):
            named = [choice for choice in choices if _choice([choice], source) is not None]
            # A source that names two of the choices decides nothing.
            if len(named) == 1:
                return named[0], False
    return None, False


def _names_a_goal(text: str) -> bool:
    """ "To the moon", and not "to have"."""
    goal = re.search(r"\bto (?:the )?([a-z]{3,})\b", text, re.IGNORECASE)
    return goal is not None and goal.group(1).lower() not in (
        "get", "have", "see", "buy", "take", "you", "him", "her", "them",
    )  # fmt: skip


def _choice(choices: Sequence[Any], text: str) -> Any | None:
    """The choice whose words stand in the text: all of them, else the one with most; of several the one named first
    ("open the inner one, the outer one's shut"), or last where the player sets it right; a negated one never."""
    last = _CORRECTION.search(text) is not None
    stems = [stem(word) for word in tokens(text)]
    joined = " ".join(tokens(text))
    best, best_score, best_at = None, 0.0, 0
    for choice in choices:
        words = tokens(str(choice).replace("_", " "))
        hits = [word for word in words if stem(word) in stems]
        if not hits:
            continue
        before = joined.split(hits[0])[0] if hits[0] in joined else ""
        if _NEGATION.search(before) or re.search(rf"\bno {re.escape(hits[0])}\b", text, re.IGNORECASE):
            # "No blunt stuff", but "no, the blunt ones".
            continue
        score = len(hits) / len(words) + 0.01 * len(words)
        # A choice that is only half said must not beat silence when it shares a common word.
        at = -stems.index(stem(hits[0])) if not last else stems.index(stem(hits[0]))
        if len(hits) / len(words) >= 0.5 and (score, at) > (best_score, best_at if best is not None else at):
            best, best_score, best_at = choice, score, at
    return best


def _shares_topic(name: str, text: str, source: str) -> bool:
    there = set(content(source))
    return bool(there & set(content(text))) or bool(there & {stem(part) for part in name.split("_")})


def _entity(spec: ActionSpec, text: str, around: Surroundings) -> tuple[Entity | None, bool]:
    referents = list(around.scene.refer(text))
    named = [r for r in referents if r.by != "attention"]
    if not named and around.turn != text:
        earlier_words = [r for r in around.scene.refer(around.turn) if r.by == "name" and r.score >= 0.5]
        referents = earlier_words or referents
    # "close_valve" wants valves: a kind named by the action goes first.
    wanted = _wanted(spec)
    kinds = [r for r in referents if wanted & set(_stems((r.entity.kind, r.entity.name)))]
    if kinds and kinds[0].score >= 0.6 * referents[0].score:
        referents = kinds
    referents = [r for r in referents if not _negated(text, r.entity)] or referents
    if not named and _SOMETHING_ELSE.search(text):
        return None, False
    best = referents[0] if referents else None
    if (best is None or (best.by == "attention" and best.score < 0.4)) and ANAPHORA.search(text):
        # "That one" is what was just spoken of, unless the player says that it is what is looked at.
        spoken = around.scene.refer(around.last_reply)
        if spoken and spoken[0].by == "name" and spoken[0].score >= 0.5:
            return spoken[0].entity, False
    # One word of a description is thin ("half past four", "a half-full jar"), unless the player says "the green one".
    bar = 0.45 if best is not None and best.by == "description" and not _SUCH_ONE.search(text) else 0.3
    if best is not None and best.score >= bar:
        return best.entity, best.by != "attention"
    return None, False


def _things(spec: ActionSpec, around: Surroundings) -> list[Option]:
    """Things in view as choices; those of a kind the action speaks of ("close_valve" wants valves) are marked."""
    wanted = _wanted(spec)
    things = [entity for entity in around.scene.entities if entity.visible][:_THINGS]
    return [
        Option(
            entity.id, entity.name, entity.description,
            wanted=bool(wanted & set(_stems((entity.kind, entity.name)))),
            attended=entity.id == around.scene.attention,
        )
        for entity in things
    ]  # fmt: skip


def _wanted(spec: ActionSpec) -> set[str]:
    return {stem(word) for word in tokens(f"{spec.name.replace('_', ' ')} {spec.description}")}


def _meant(options: Sequence[Option], text: str, around: Surroundings, ruled: Any) -> tuple[Any | None, bool]:
    """The option that is meant though the request does not name it, and whether the player's words say so; `ruled` is
    what the talk before gives by rule."""
    if len(options) < 2 or around.nearness is None:
        return ruled, False
    if around.taught is None:
        at = _nearest(text, [(o.name, o.description) for o in options], around) if ruled is None else None
    else:
        at, _ = chosen(weighed(options, text, around.talk, around.nearness, around.taught, ruled))
        # A thing looked at, or spoken of last, was weighed there; a choice that a fact near the request names stands.
        ruled = None if any(option.description or option.attended for option in options) else ruled
    return (options[at].value, True) if at is not None else (ruled, False)


def _nearest(text: str, others: Sequence[tuple[str, str]], around: Surroundings) -> int | None:
    """Which of the others is nearest in meaning, where one plainly is."""
    if around.nearness is None or len(others) < 2:
        return None
    scores = list(around.nearness(text, others))
    ranked = sorted(range(len(others)), key=lambda i: -scores[i])
    first, second = ranked[:2]
    return first if scores[first] >= _NEAR and scores[first] - scores[second] >= _LEAD else None


def _stems(texts: Iterable[str]) -> list[str]:
    return [stem(word) for text in texts for word in tokens(text)]


def _negated(text: str, entity: Entity) -> bool:
    return any(
        re.search(rf"\bnot (?:the |that |my )?(?:\w+ )?{re.escape(word)}\b", text, re.IGNORECASE)
        for word in tokens(entity.name)
    )
