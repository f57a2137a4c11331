"""Reading narrative files and finding what their author will regret: dead ends, unreachable sections, broken names.

Every finding has file and line, as an editor wants it. Errors make the file unusable; warnings are printed and lived
with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from npc.config import authored
from npc.config.authored import AuthoredFileError
from npc.dialogue.narrative import Narrative, Section


@dataclass(frozen=True, slots=True)
class Finding:
    """One complaint: `where` is the path in the file, e.g. ("sections", 2, "decisions", 0, "to")."""

    level: Literal["error", "warning"]
    where: tuple[str | int, ...]
    text: str


def load_narrative(path: Path) -> Narrative:
    """Read a narrative. Raises AuthoredFileError with file and line for every error; warnings pass."""
    text = authored.read_text(path)
    story = authored.parse(text, Narrative, str(path))
    errors = [f for f in findings(story) if f.level == "error"]
    if errors:
        raise AuthoredFileError([_spelt(path, text, finding) for finding in errors])
    return story


def check_narrative(path: Path) -> tuple[str, ...]:
    """Every error and warning of a file, one line each, errors first."""
    text = authored.read_text(path)
    try:
        story = authored.parse(text, Narrative, str(path))
    except AuthoredFileError as error:
        return error.problems
    found = sorted(findings(story), key=lambda finding: finding.level)
    return tuple(f"{_spelt(path, text, finding)} ({finding.level})" for finding in found)


def findings(story: Narrative) -> list[Finding]:
    """All complaints about a story whose form is right."""
    found: list[Finding] = []
    names = [section.id for section in story.sections]
    for number, name in enumerate(names):
        if name in names[:number]:
            found.append(Finding("error", ("sections", number, "id"), f"section {name!r} stands twice"))
    if story.start not in names:
        found.append(Finding("error", ("start",), f"start {story.start!r} is not a section"))
    for number, section in enumerate(story.sections):
        for key, target in _exits(section):
            if target not in names:
                where = ("sections", number, *key)
                found.append(Finding("error", where, f"there is no section {target!r}"))
    found += _twice(story)
    found += _reachability(story, names)
    found += _variables(story)
    return found


def _twice(story: Narrative) -> list[Finding]:
    """Ids of which only the first would count: a timed event of its section, an objective of the whole story."""
    found: list[Finding] = []
    met: dict[str, str] = {}
    for number, section in enumerate(story.sections):
        timed: set[str] = set()
        for place, one in enumerate(section.timed):
            if one.id in timed:
                where = ("sections", number, "timed", place, "id")
                found.append(Finding("error", where, f"timed event {one.id!r} stands twice; only one would happen"))
            timed.add(one.id)
        for place, objective in enumerate(section.objectives):
            if objective.id in met:
                where = ("sections", number, "objectives", place, "id")
                also = f"objective {objective.id!r} stands in section {met[objective.id]!r} too"
                # On another branch it may be the same objective on purpose.
                level: Literal["error", "warning"] = "error" if met[objective.id] == section.id else "warning"
                found.append(Finding(level, where, f"{also}; met there, it counts as met here"))
            met.setdefault(objective.id, section.id)
    return found


def _exits(section: Section) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for number, decision in enumerate(section.decisions):
        yield ("decisions", number, "to"), decision.to
    for number, trigger in enumerate(section.triggers):
        if trigger.go is not None:
            yield ("triggers", number, "go"), trigger.go
    for number, timed in enumerate(section.timed):
        if timed.go is not None:
            yield ("timed", number, "go"), timed.go


def _reachability(story: Narrative, names: list[str]) -> list[Finding]:
    found: list[Finding] = []
    exits = {section.id: {target for _, target in _exits(section)} for section in story.sections}
    forward = _closure({story.start} & set(names), exits)
    backward: dict[str, set[str]] = {name: set() for name in names}
    for name, targets in exits.items():
        for target in targets & set(names):
            backward[target].add(name)
    ends = {section.id for section in story.sections if section.end}
    finishing = _closure(ends, backward)
    for number, section in enumerate(story.sections):
        where = ("sections", number, "id")
        if section.id not in forward:
            found.append(Finding("error", where, f"section {section.id!r} cannot be reached from {story.start!r}"))
        if not section.end and not exits[section.id]:
            found.append(
                Finding("error", where, f"section {section.id!r} is a dead end: give it a decision, or end: true")
            )
        elif ends and section.id not in finishing:
            found.append(Finding("error", where, f"no end can be reached from section {section.id!r}"))
        if section.end and exits[section.id]:
            found.append(
                Finding("warning", where, f"section {section.id!r} ends the story; its ways out are never taken")
            )
        for earlier, decision in enumerate(section.decisions[:-1]):
            if decision.when is None:
                at = ("sections", number, "decisions", earlier, "id")
                later = f"decision {decision.id!r} always holds, so those after it are never taken"
                found.append(Finding("warning", at, later))
    if not ends:
        found.append(Finding("warning", ("sections",), "no section has end: true; the story never ends"))
    return found


def _closure(start: set[str], edges: dict[str, set[str]]) -> set[str]:
    seen, waiting = set(start), list(start)
    while waiting:
        for target in edges.get(waiting.pop(), set()) - seen:
            seen.add(target)
            waiting.append(target)
    return seen


def _variables(story: Narrative) -> list[Finding]:
    """Variables that are asked for but never set."""
    known = {*story.variables, *(name for dial in story.dial.values() for name in dial.set)}
    known |= {"difficulty"} if story.dial else set()
    for section in story.sections:
        for effect in (section.enter, *section.triggers, *section.timed, *section.decisions):
            known |= set(effect.set) | set(effect.add)
    found: list[Finding] = []
    for number, section in enumerate(story.sections):
        for kind in ("objectives", "triggers", "timed", "decisions"):
            for place, item in enumerate(getattr(section, kind)):
                for name in _asked(item.when):
                    if name not in known:
                        where = ("sections", number, kind, place, "when")
                        text = f"variable {name!r} is never set here; only the game could"
                        found.append(Finding("warning", where, text))
    return found


def _asked(condition: Any) -> Iterator[str]:
    if isinstance(condition, str):
        match = re.match(r"^(?:not )?var:\s*(\w+)", condition)
        if match:
            yield match.group(1)
    elif isinstance(condition, dict):
        for value in condition.values():
            yield from _asked(value)
    elif isinstance(condition, list | tuple):
        for value in condition:
            yield from _asked(value)


def _spelt(path: Path, text: str, finding: Finding) -> str:
    field = ".".join(map(str, finding.where))
    return f"{path}:{authored.line_of(text, finding.where)}: {field}: {finding.text}"
