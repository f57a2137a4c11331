"""The small condition language of authored files: `preconditions`, narrative triggers, plain forms of `tell_to`.

    relationship:trusted          the stored or game-set relationship is at least that close (never the player's claim)
    flag:met_the_guild            a flag of the game or the narrative is true
    var:gold>=5                   a narrative or game variable; = != < <= > >=
    scene:ward-door.open=true     a state of a scene entity; scene:lamp means "lamp is visible"
    holds:sword                   the player holds the entity
    said:'nine toes'              the player has said these words in this conversation
    memory:promise                a memory of the player mentions the word
    asked:fact-id / told:fact-id  the fact was cited to the player
    time:night                    the scene's time mentions the word
    turns>=3                      number of the player's turns
    elapsed>=60                   seconds in this section
    not <condition>               and, combined in files as {all: [...]}, {any: [...]}, {not: ...}

Anything else is a sentence; `is_sentence` says so and the knowledge gate judges it by meaning. Pure and total: an
unknown name is false whatever it is compared with, never an error, because a condition that cannot be judged must not
open anything.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from npc.dialogue.character import RELATIONSHIPS
from npc.dialogue.scene import SceneState

_KINDS = ("relationship", "flag", "var", "scene", "holds", "said", "memory", "asked", "told", "time")
_ATOM = re.compile(rf"^(?P<kind>{'|'.join(_KINDS)}):\s*(?P<rest>.+)$", re.IGNORECASE)
_COUNT = re.compile(r"^(?P<kind>turns|elapsed)\s*(?P<op>>=|<=|!=|=|<|>)\s*(?P<value>\d+(?:\.\d+)?)$", re.IGNORECASE)
_COMPARE = re.compile(r"^(?P<name>[^<>=!]+?)\s*(?P<op>>=|<=|!=|=|<|>)\s*(?P<value>.+)$")
_OPS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

#: A condition as it stands in a file.
Condition = str | Mapping[str, Any] | Sequence[Any] | None


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a condition may ask about."""

    relationship: str = "stranger"
    flags: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    scene: SceneState = field(default_factory=SceneState)
    said: str = ""
    """The player's words of this conversation, joined by newlines."""
    memories: str = ""
    told: frozenset[str] = frozenset()
    turns: int = 0
    elapsed: float = 0.0


def holds(condition: Condition, now: Situation) -> bool:
    """Whether the condition is true. None and the empty list are true; a sentence is false (see the module)."""
    if condition is None:
        return True
    if isinstance(condition, str):
        return _atom(condition.strip(), now)
    if isinstance(condition, Mapping):
        checks = []
        for key, value in condition.items():
            if key == "all":
                checks.append(all(holds(part, now) for part in _parts(value)))
            elif key == "any":
                checks.append(any(holds(part, now) for part in _parts(value)))
            elif key == "not":
                checks.append(not holds(value, now))
            else:
                checks.append(False)
        return all(checks)
    return isinstance(condition, list | tuple) and all(holds(part, now) for part in condition)


def _parts(value: Any) -> Sequence[Any]:
    """The conditions under `all` or `any`; one alone needs no list."""
    return value if isinstance(value, list | tuple) else [value]


def problem_of(condition: Condition) -> str | None:
    """What is wrong with the form of a condition, for checkers; None when it can be judged. Sentences are a problem."""
    if condition is None:
        return None
    if isinstance(condition, str):
        text = condition.strip()
        text = text[4:].strip() if text.lower().startswith("not ") else text
        if _COUNT.match(text):
            return None
        atom = _ATOM.match(text)
        if atom is None:
            return f"{text!r} is no condition; use one of {', '.join(kind + ':' for kind in _KINDS)} turns>= elapsed>="
        if atom["kind"].lower() == "relationship" and atom["rest"].strip() not in RELATIONSHIPS:
            return f"relationship {atom['rest'].strip()!r} is not one of {', '.join(RELATIONSHIPS)}"
        compared = _COMPARE.match(atom["rest"])
        if atom["kind"].lower() == "var" and compared is None:
            return f"{text!r} compares nothing; write var:name>=value"
        if atom["kind"].lower() in ("var", "scene") and compared is not None and compared["value"][0] in "=<>!":
            return f"{text!r}: {compared['op'] + compared['value'][0]!r} compares nothing; use = != < <= > or >="
        return None
    if isinstance(condition, Mapping):
        for key, value in condition.items():
            if key not in ("all", "any", "not"):
                return f"{key!r} is not one of all, any, not"
            for part in _parts(value):
                problem = problem_of(part)
                if problem:
                    return problem
        return None
    if not isinstance(condition, list | tuple):
        return f"{condition!r} is no condition; leave it out where something always holds"
    return next((problem for part in condition if (problem := problem_of(part))), None)


def is_sentence(condition: str) -> bool:
    """True for a `tell_to` that must be judged by meaning."""
    text = condition.strip()
    return not (_ATOM.match(text) or _COUNT.match(text) or text.lower().startswith("not "))


def is_true(value: Any) -> bool:
    """Flags come as JSON from a game or as text from the store: "false", "0" and "no" are not true."""
    return str(value).strip().lower() not in ("", "none", "false", "0", "no", "off")


def _atom(text: str, now: Situation) -> bool:
    if text.lower().startswith("not "):
        inner = text[4:].strip()
        return not is_sentence(inner) and not _atom(inner, now)
    count = _COUNT.match(text)
    if count:
        have = now.turns if count["kind"].lower() == "turns" else now.elapsed
        return _OPS[count["op"]](have, float(count["value"]))
    atom = _ATOM.match(text)
    if atom is None:
        return False
    rest = atom["rest"].strip()
    match atom["kind"].lower():
        case "relationship":
            order: tuple[str, ...] = RELATIONSHIPS
            known = rest in order and now.relationship in order
            return known and order.index(now.relationship) >= order.index(rest)
        case "flag":
            return is_true(now.flags.get(rest))
        case "var":
            return _compare(rest, {**now.flags, **now.variables})
        case "scene":
            return _scene(rest, now.scene)
        case "holds":
            entity = now.scene.everything.get(rest)
            inventory = now.scene.player.get("holds") or ()
            return (entity is not None and entity.held_by == "player") or rest in inventory
        case "said":
            return _whole_words(rest.strip("'\""), now.said)
        case "memory":
            return _whole_words(rest.strip("'\""), now.memories)
        case "asked" | "told":
            return rest in now.told
        case "time":
            return _whole_words(rest, now.scene.time)
    return False


def _scene(rest: str, scene: SceneState) -> bool:
    compared = _COMPARE.match(rest)
    path = compared["name"] if compared else rest
    name, _, key = path.partition(".")
    entity = scene.everything.get(name)
    if entity is None:
        return False
    if not key:
        return entity.visible and compared is None
    value = {"held_by": entity.held_by, "visible": entity.visible, **entity.state}.get(key)
    return _judge(value, compared["op"], compared["value"]) if compared else bool(value)


def _compare(rest: str, values: Mapping[str, Any]) -> bool:
    compared = _COMPARE.match(rest)
    return compared is not None and _judge(values.get(compared["name"].strip()), compared["op"], compared["value"])


def _judge(have: Any, op: str, want: str) -> bool:
    want = want.strip().strip("'\"")
    if have is None:
        return False
    if isinstance(have, bool) or want.lower() in ("true", "false"):
        return _OPS[op](is_true(have), want.lower() == "true") if op in ("=", "!=") else False
    try:
        return _OPS[op](float(have), float(want))
    except (TypeError, ValueError):
        return _OPS[op](str(have).lower(), want.lower()) if op in ("=", "!=") else False


def _whole_words(phrase: str, text: str) -> bool:
    """The words in order, whole, whatever stands between letters: case, punctuation and hyphens do not matter."""
    words = re.findall(r"[a-z0-9]+", phrase.lower().replace("'", ""))
    if not words:
        return False
    return f" {' '.join(words)} " in f" {' '.join(re.findall(r'[a-z0-9]+', text.lower().replace(chr(39), '')))} "
