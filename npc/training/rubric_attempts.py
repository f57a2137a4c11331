"""Written attempts: whole conversations labelled turn by turn, for training what judges a rubric.

    == workplace                      # one file a workplace, in data/rubric
    @ id kind | description           items, as in rubric_contrasts.txt: e example · p phrase, phrase · f the fact
    * strong                          an attempt begins: strong, middling or poor
    C what the character says => id   the fact that this turn states
    T what the trainee says => id, -id    what this turn does; -id looks as if it did and does not
    ? id, id                          what could not be observed in this attempt

Labels are exhaustive: a turn of the trainee does the items after its arrow and no other one.
`python -m npc.training.rubric_attempts` counts them and names every line that breaks the form.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any

from npc.simulation.rubric.model import Item, Turn
from npc.simulation.rubric.saying import SPOKEN

#: Speaking rate for the times of written turns, words a second, and the gap between them, seconds.
_RATE, _GAP = 2.6, 0.7
QUALITIES = ("strong", "middling", "poor")


class FormError(ValueError):
    """A line that breaks the form; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Written:
    """One attempt. `does` and `traps` hold item ids by turn number; `unobserved` those whose occasion never came."""

    workplace: str
    number: int
    quality: str
    items: tuple[Item, ...]
    turns: tuple[Turn, ...] = ()
    does: Mapping[int, frozenset[str]] = field(default_factory=dict)
    traps: Mapping[int, frozenset[str]] = field(default_factory=dict)
    unobserved: frozenset[str] = frozenset()

    def met(self, item: Item) -> bool | None:
        """The verdict that people would give."""
        if item.id in self.unobserved:
            return None
        done = any(item.id in ids for ids in self.does.values())
        return not done if item.kind == "must_not_say" else done


def read(text: str, name: str = "attempts") -> list[Written]:
    """The attempts of one file. Raises FormError."""
    workplace, items, found = "", list[Item](), list[Written]()
    for number, raw in enumerate(text.splitlines(), 1):
        mark, _, rest = raw.strip().partition(" ")
        if not mark or mark.startswith("#"):
            continue
        try:
            match mark:
                case "==":
                    workplace, items = rest, []
                case "@":
                    items.append(_item(rest))
                case "e" | "p" | "f":
                    items[-1] = _with(items[-1], mark, rest)
                case "*":
                    found.append(_begun(workplace, len(found) + 1, rest, tuple(items)))
                case "C" | "T":
                    found[-1] = _turn(found[-1], mark, rest)
                case "?":
                    found[-1] = replace(found[-1], unobserved=_ids(found[-1], rest.split(",")))
                case _:
                    raise FormError(f"unknown mark {mark!r}")
        except (FormError, IndexError, ValueError) as error:
            raise FormError(f"{name}, line {number}: {error}") from error
    return found


def _item(rest: str) -> Item:
    head, _, description = rest.partition("|")
    name, kind = head.split()
    if kind not in SPOKEN or not description.strip():
        raise FormError(f"an item is `id kind | description`, its kind one of {', '.join(SPOKEN)}")
    return Item(name, kind, description.strip(), {})  # type: ignore[arg-type]


def _with(item: Item, mark: str, rest: str) -> Item:
    params: dict[str, Any] = dict(item.params)
    if mark == "e":
        params["examples"] = [*params.get("examples", []), rest]
    elif mark == "p":
        params["phrases"] = [part.strip() for part in rest.split(",")]
    else:
        params["fact"] = rest
    return replace(item, params=params)


def _begun(workplace: str, number: int, rest: str, items: tuple[Item, ...]) -> Written:
    quality = rest.split()[0]
    if quality not in QUALITIES:
        raise FormError(f"an attempt is one of {', '.join(QUALITIES)}")
    return Written(workplace, number, quality, items)


def _turn(attempt: Written, mark: str, rest: str) -> Written:
    text, _, labels = (part.strip() for part in rest.partition("=>"))
    n = len(attempt.turns) + 1
    start = attempt.turns[-1].end_s + _GAP if attempt.turns else 0.3
    turn = Turn(n, "trainee" if mark == "T" else "character", text, start, start + len(text.split()) / _RATE)
    parts = [part for part in labels.replace(",", " ").split() if part]
    does = _ids(attempt, [part for part in parts if not part.startswith("-")])
    traps = _ids(attempt, [part[1:] for part in parts if part.startswith("-")])
    for item in attempt.items:
        if item.id in does and (item.kind == "fact_elicited") != (mark == "C"):
            raise FormError(f"{item.id} is {item.kind}: not done by this speaker")
    return replace(
        attempt,
        turns=(*attempt.turns, turn),
        does={**attempt.does, n: does},
        traps={**attempt.traps, n: traps - does},
    )


def _ids(attempt: Written, names: list[str]) -> frozenset[str]:
    known = {item.id for item in attempt.items}
    ids = frozenset(name.strip() for name in names if name.strip())
    if strange := ids - known:
        raise FormError(f"no item {', '.join(sorted(strange))}")
    return ids


def written_attempts() -> Iterator[Written]:
    """Every attempt of the package's data, file by file in the order of their names."""
    for place in sorted((files("npc.training") / "data" / "rubric").iterdir(), key=lambda one: one.name):
        if place.name.endswith(".txt"):
            yield from read(place.read_text(encoding="utf-8"), place.name)


def main() -> int:
    problems = 0
    counts: Counter[str] = Counter()
    for place in sorted((files("npc.training") / "data" / "rubric").iterdir(), key=lambda one: one.name):
        try:
            for one in read(place.read_text(encoding="utf-8"), place.name):
                counts["attempts"] += 1
                counts["turns of trainees"] += sum(turn.speaker == "trainee" for turn in one.turns)
                counts["done"] += sum(len(ids) for ids in one.does.values())
                counts["traps"] += sum(len(ids) for ids in one.traps.values())
        except FormError as error:
            problems += 1
            print(error, file=sys.stderr)
    print(", ".join(f"{name} {count}" for name, count in counts.items()))
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
