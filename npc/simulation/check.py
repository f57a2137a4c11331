"""What the author of a scenario will regret, found before a trainee does. Pure; every finding has file and line.

    story      unreachable sections, dead ends, cycles without an end (narrative_check), conditions that can never hold
    facts      nobody can tell them: withheld at every level, or locked by a condition that nothing makes true
    rubric     items that name unknown facts, objectives, actions, metrics or items, or that no path can meet

Conditions are judged over what the story can reach: every variable and flag has the set of values that some effect,
dial, rubric item or game event may give it. That is an over-approximation, so what is called impossible is impossible.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from npc.config import authored
from npc.dialogue.conditions import is_sentence
from npc.dialogue.narrative import Narrative, Section
from npc.dialogue.narrative_check import findings as story_findings
from npc.simulation.judging import DELIVERY
from npc.simulation.package import MANIFEST, Package
from npc.simulation.rubric.timing import METRICS

_SPOKEN = ("must_say", "must_ask", "must_not_say")
#: Kinds that are done at a moment, so that one can come before another.
_MOMENTARY = (*_SPOKEN, "fact_elicited", "action")
_NUMBER = re.compile(r"^(?P<name>[^<>=!]+?)\s*(?P<op>>=|<=|!=|=|<|>)\s*(?P<value>.+)$")


@dataclass(frozen=True, slots=True)
class Finding:
    """One complaint; `place` is file:line and `text` begins with the field."""

    level: Literal["error", "warning"]
    place: str
    text: str


class _Sources:
    """Lines of the package's files."""

    def __init__(self, package: Package) -> None:
        self.manifest = package.folder / MANIFEST
        self.story = package.folder / package.scenario.story
        self._text: dict[Path, str] = {}

    def finding(
        self, level: Literal["error", "warning"], path: Path, where: tuple[str | int, ...], text: str
    ) -> Finding:
        if path not in self._text:
            self._text[path] = authored.read_text(path)
        line = authored.line_of(self._text[path], where)
        return Finding(level, f"{path}:{line}", f"{'.'.join(map(str, where))}: {text}")


def check(package: Package) -> list[Finding]:
    """Everything, errors first, in the order of the files."""
    sources = _Sources(package)
    found = [
        sources.finding(one.level, sources.story, one.where, one.text)
        for one in story_findings(package.story)
        if not _made_elsewhere(one.text, package)
    ]
    values = _values(package)
    found += _conditions(package, sources, values)
    found += _flags(package, sources, values)
    found += _timed(package, sources)
    found += _facts(package, sources, values)
    found += _rubric(package, sources, values)
    found += _levels(package, sources)
    return sorted(found, key=lambda one: one.level)


def _made_elsewhere(text: str, package: Package) -> bool:
    """Warnings of the story's own checker about variables that the scenario sets."""
    return any(repr(name) in text for name in _rubric_flags(package))


# -- what can be true --------------------------------------------------------------------------------------------------


def _rubric_flags(package: Package) -> set[str]:
    """Flags that the trainee's words set (see `casting.Meanings`)."""
    names = set()
    for item in package.scenario.rubric.items:
        if item.kind in _SPOKEN:
            prefixes = ("breaks", "broke") if item.kind == "must_not_say" else ("does", "did")
            names |= {f"{prefix}_{item.id}" for prefix in prefixes}
    return names


def _effects(section: Section) -> Iterator[Any]:
    yield section.enter
    yield from section.triggers
    yield from section.timed
    yield from section.decisions


#: A variable that some effect adds to may take any number.
_ANY = object()


def _values(package: Package) -> dict[str, set[Any]]:
    """Every value that a variable or flag may have in reachable sections."""
    story = package.story
    values: dict[str, set[Any]] = {name: {value} for name, value in story.variables.items()}
    for name, dial in story.dial.items():
        values.setdefault("difficulty", set()).add(name)
        for variable, value in dial.set.items():
            values.setdefault(variable, set()).add(value)
    reachable = _reachable(story)
    for section in story.sections:
        if section.id not in reachable:
            continue
        for effect in _effects(section):
            for variable, value in effect.set.items():
                values.setdefault(variable, set()).add(value)
            for variable in effect.add:
                values.setdefault(variable, set()).add(_ANY)
        for objective in section.objectives:
            values.setdefault(objective.id, set()).add(True)
    for flag in _rubric_flags(package):
        values.setdefault(flag, set()).add(True)
    return values


def _reachable(story: Narrative) -> set[str]:
    seen, waiting = {story.start}, [story.start]
    while waiting:
        section = story.section(waiting.pop())
        if section is None or section.end:
            continue
        targets = [d.to for d in section.decisions]
        targets += [one.go for one in section.triggers if one.go is not None]
        targets += [one.go for one in section.timed if one.go is not None]
        for target in targets:
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


def possible(condition: Any, values: Mapping[str, set[Any]], facts: Iterable[str]) -> bool:
    """Whether some reachable state may make the condition true. Sound for "no": False is certain."""
    known = set(facts)
    if condition is None:
        return True
    if isinstance(condition, str):
        return _atom_possible(condition.strip(), values, known)
    if isinstance(condition, Mapping):
        return all(_part_possible(key, value, values, known) for key, value in condition.items())
    return all(possible(part, values, known) for part in condition)


def _part_possible(key: str, value: Any, values: Mapping[str, set[Any]], facts: set[str]) -> bool:
    parts = value if isinstance(value, list | tuple) else [value]
    if key == "all":
        return all(possible(part, values, facts) for part in parts) and not _contradict(parts)
    if key == "any":
        return any(possible(part, values, facts) for part in parts)
    # What is not always true can be false: only constants are always true.
    return not (len(parts) == 1 and parts[0] is None)


def _contradict(parts: Iterable[Any]) -> bool:
    """A thing and its opposite, or two counts that exclude each other, asked for at once."""
    atoms = [part.strip() for part in parts if isinstance(part, str)]
    if any(f"not {atom}" in atoms for atom in atoms):
        return True
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    for atom in atoms:
        match = _NUMBER.match(atom.removeprefix("var:"))
        if match is None:
            continue
        try:
            value = float(match["value"])
        except ValueError:
            continue
        name, op = match["name"].strip(), match["op"]
        if op in (">", ">=", "="):
            low[name] = max(low.get(name, value), value + (1e-9 if op == ">" else 0.0))
        if op in ("<", "<=", "="):
            high[name] = min(high.get(name, value), value - (1e-9 if op == "<" else 0.0))
    return any(low[name] > high[name] for name in low.keys() & high.keys())


def _atom_possible(text: str, values: Mapping[str, set[Any]], facts: set[str]) -> bool:
    if text.lower().startswith("not "):
        return True
    kind, _, rest = text.partition(":")
    rest = rest.strip()
    match kind.strip().lower():
        case "flag":
            return any(value is _ANY or _truthy(value) for value in values.get(rest, ()))
        case "var":
            compared = _NUMBER.match(rest)
            if compared is None:
                return False
            return any(
                value is _ANY or _compares(value, compared["op"], compared["value"])
                for value in values.get(compared["name"].strip(), ())
            )
        case "told" | "asked":
            return rest in facts
    return True


def _truthy(value: Any) -> bool:
    return str(value).strip().lower() not in ("", "none", "false", "0", "no", "off")


def _compares(have: Any, op: str, want: str) -> bool:
    want = want.strip().strip("'\"")
    if isinstance(have, bool) or want.lower() in ("true", "false"):
        return (op == "=") == (bool(have) == (want.lower() == "true"))
    try:
        left, right = float(have), float(want)
    except (TypeError, ValueError):
        return (op == "=") == (str(have).lower() == want.lower())
    return {
        "=": left == right, "!=": left != right, "<": left < right, "<=": left <= right, ">": left > right,
        ">=": left >= right,
    }[op]  # fmt: skip


# -- the story ---------------------------------------------------------------------------------------------------------


def _conditional(story: Narrative) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every condition of the story and where it stands."""
    for number, section in enumerate(story.sections):
        for kind in ("objectives", "triggers", "timed", "decisions"):
            for place, item in enumerate(getattr(section, kind)):
                if item.when is not None:
                    yield ("sections", number, kind, place, "when"), item.when


def _conditions(package: Package, sources: _Sources, values: Mapping[str, set[Any]]) -> Iterator[Finding]:
    for where, condition in _conditional(package.story):
        if not possible(condition, values, package.facts):
            text = f"{condition!r} can never hold: nothing in the scenario makes it true"
            yield sources.finding("error", sources.story, where, text)


def _atoms(condition: Any) -> Iterator[str]:
    if isinstance(condition, str):
        yield condition.strip().removeprefix("not ").strip()
    elif isinstance(condition, Mapping):
        for value in condition.values():
            yield from _atoms(value)
    elif isinstance(condition, list | tuple):
        for part in condition:
            yield from _atoms(part)


def _flags(package: Package, sources: _Sources, values: Mapping[str, set[Any]]) -> Iterator[Finding]:
    """Flags of the rubric that no rubric item sets, also where an `any` hides them."""
    flags = _rubric_flags(package)
    for where, condition in _conditional(package.story):
        for atom in _atoms(condition):
            name = atom.removeprefix("flag:")
            if atom.startswith("flag:") and name not in flags and name not in values:
                text = f"flag {name!r} is set by nothing in the story and by no rubric item"
                yield sources.finding("error", sources.story, where, text)


def _timed(package: Package, sources: _Sources) -> Iterator[Finding]:
    """Timed events that come after the scenario's time is up."""
    slowest = max((dial.pace for dial in package.story.dial.values()), default=1.0)
    for number, section in enumerate(package.story.sections):
        for place, timed in enumerate(section.timed):
            if timed.after * slowest > package.scenario.minutes * 60:
                where = ("sections", number, "timed", place, "after")
                text = f"{timed.after:g} s never come: the scenario ends after {package.scenario.minutes:g} minutes"
                yield sources.finding("warning", sources.story, where, text)


# -- facts -------------------------------------------------------------------------------------------------------------


def _facts(package: Package, sources: _Sources, values: Mapping[str, set[Any]]) -> Iterator[Finding]:
    untold = dict(_untellable(package, values))
    for role in package.scenario.characters:
        path = package.paths[role.id]
        for number, fact in enumerate(package.characters[role.id].facts):
            if fact.id in untold:
                yield sources.finding("warning", path, ("facts", number, "id"), untold[fact.id])


def _untellable(package: Package, values: Mapping[str, set[Any]]) -> Iterator[tuple[str, str]]:
    """Facts that nobody can tell, and why."""
    everywhere = [set(level.character.withheld) for level in package.scenario.levels]
    withheld = set.intersection(*everywhere) if everywhere else set()
    for role in package.scenario.characters:
        for fact in package.characters[role.id].facts:
            if role.knows is not None and fact.id not in role.knows:
                yield fact.id, f"fact {fact.id!r} is told by nobody: {role.id} does not know it in this scenario"
            elif fact.id in withheld:
                yield fact.id, f"fact {fact.id!r} is told by nobody: it is withheld at every level"
            elif fact.secret and fact.tell_to is None:
                yield fact.id, f"fact {fact.id!r} is told by nobody: it is secret and has no tell_to"
            elif fact.tell_to and not is_sentence(fact.tell_to) and not possible(fact.tell_to, values, package.facts):
                yield fact.id, f"fact {fact.id!r} is told by nobody: nothing makes {fact.tell_to!r} true"


# -- the rubric --------------------------------------------------------------------------------------------------------


def _rubric(package: Package, sources: _Sources, values: Mapping[str, set[Any]]) -> Iterator[Finding]:
    items = package.scenario.rubric.items
    kinds = {item.id: item.kind for item in items}
    untold = {fact for fact, _ in _untellable(package, values)}
    actions = {action.name for action in package.scenario.actions}
    actions |= {action.name for character in package.characters.values() for action in character.actions}
    reachable = _reachable(package.story)
    objectives = {
        objective.id: section.id in reachable and possible(objective.when, values, package.facts)
        for section in package.story.sections
        for objective in section.objectives
    }
    for number, item in enumerate(items):
        field, problem = "", ""
        match item.kind:
            case "fact_elicited" if item.fact not in package.facts:
                field, problem = "fact", f"there is no fact {item.fact!r} in any character of the scenario"
            case "fact_elicited" if item.fact in untold:
                field, problem = "fact", f"no path can meet it: fact {item.fact!r} is told by nobody"
            case "objective" if item.objective not in objectives:
                field, problem = "objective", f"the story has no objective {item.objective!r}"
            case "objective" if not objectives[item.objective or ""]:
                field, problem = "objective", f"no path can meet it: objective {item.objective!r} cannot be reached"
            case "action" if item.action not in actions:
                field, problem = "action", f"nobody can do {item.action!r} in this scenario"
            case "order":
                missing = [name for name in (item.before, item.after) if name not in kinds]
                if missing:
                    field, problem = "before", f"the rubric has no item {', '.join(map(repr, missing))}"
                elif item.before == item.after:
                    field, problem = "after", "it asks for something before itself"
                elif timeless := sorted({kinds[str(name)] for name in (item.before, item.after)} - set(_MOMENTARY)):
                    field, problem = "before", f"items of kind {', '.join(timeless)} have no moment to be ordered by"
            case "timing" if item.metric not in METRICS:
                field, problem = "metric", f"there is no metric {item.metric!r}; there are {', '.join(METRICS)}"
            case "delivery" if item.metric not in DELIVERY:
                field, problem = "metric", f"there is no metric {item.metric!r}; there are {', '.join(DELIVERY)}"
        if problem:
            where = ("rubric", "items", number, field)
            yield sources.finding("error", sources.manifest, where, f"{item.id}: {problem}")
    for first, second in _circles([(item.before or "", item.after or "") for item in items if item.kind == "order"]):
        number = next(n for n, item in enumerate(items) if item.kind == "order" and item.before == first)
        text = f"{first} before {second} and {second} before {first}: no path can meet both"
        yield sources.finding("error", sources.manifest, ("rubric", "items", number, "before"), text)


def _circles(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs that are asked for in both orders, directly or by way of others; each once."""
    after: dict[str, set[str]] = {}
    for first, second in pairs:
        after.setdefault(first, set()).add(second)

    def leads(start: str, goal: str) -> bool:
        seen, waiting = {start}, [start]
        while waiting:
            for target in after.get(waiting.pop(), set()):
                if target == goal:
                    return True
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return False

    return [(first, second) for first, second in pairs if first < second and leads(second, first)]


def _levels(package: Package, sources: _Sources) -> Iterator[Finding]:
    dials, names = package.story.dial, [level.name for level in package.scenario.levels]
    for number, level in enumerate(package.scenario.levels):
        where: tuple[str | int, ...] = ("levels", number, "name")
        if dials and level.name not in dials:
            text = f"level {level.name!r} has no position on the story's dial"
            yield sources.finding("error", sources.manifest, where, text)
        for fact in level.character.withheld:
            if fact not in package.facts:
                at = ("levels", number, "character", "withheld")
                yield sources.finding("error", sources.manifest, at, f"there is no fact {fact!r}")
    for name in dials:
        if name not in names:
            yield sources.finding("warning", sources.story, ("dial", name), f"no level of the scenario is {name!r}")
