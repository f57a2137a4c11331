"""What the rubric's judges learn from: turns with the items they do, from contrasts, written attempts, labelled sets.

data/rubric_contrasts.txt   single lines, hard on purpose: what does an item, what only looks like it
data/rubric/*.txt           whole conversations, labelled turn by turn (`rubric_attempts`)
a labelled set (jsonl)      attempts with an odd number alone; the others are kept for judging and never read
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from npc.inference.encoder import SentenceEncoder
from npc.simulation.rubric.lines import Line, lines
from npc.simulation.rubric.model import Item, Turn
from npc.simulation.rubric.saying import SPOKEN
from npc.training.rubric_attempts import Written, written_attempts

#: Id of the item that holds the lines against all items.
TALK = "small talk"


@dataclass(frozen=True, slots=True)
class Example:
    """One turn for one item of its workplace: whether the turn does it, or only looks as if (`trap`).

    `attempt` is empty for contrasts; `met` is what people say of the item in the whole attempt.
    """

    workplace: str
    attempt: str
    item: Item
    turn: int
    lines: tuple[Line, ...]
    done: bool
    trap: bool
    rivals: tuple[Item, ...]
    met: bool | None = None


@dataclass(slots=True)
class Contrast:
    """One item of the contrasts with its lines: (text, whether it does it)."""

    item: Item
    lines: list[tuple[str, bool]] = field(default_factory=list)
    friends: frozenset[str] = frozenset()


def examples(labelled: Path | None, encoder: SentenceEncoder | None) -> Iterator[Example]:
    """Everything there is to learn from."""
    yield from contrasts(encoder)
    yield from attempts(encoder)
    if labelled is not None:
        yield from labelled_attempts(labelled, encoder)


# -- attempts ----------------------------------------------------------------------------------------------------------


def attempts(encoder: SentenceEncoder | None) -> Iterator[Example]:
    """The written attempts."""
    for one in written_attempts():
        met = {item.id: one.met(item) for item in one.items}
        yield from _of_turns(one.workplace, _name(one), one.items, one.turns, one.does, one.traps, met, encoder)


def _name(one: Written) -> str:
    return f"{one.workplace} {one.number}"


def labelled_attempts(path: Path, encoder: SentenceEncoder | None) -> Iterator[Example]:
    """Attempts with an odd number of a labelled set (the form of `npc bench rubric --set`)."""
    for raw in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(raw)
        if int(record["attempt"].rsplit("-", 1)[1]) % 2 == 0:
            continue
        turns = [Turn(t["n"], t["speaker"], t["text"], t["start_s"], t["end_s"]) for t in record["turns"]]
        items = [Item(i["id"], i["kind"], i["description"], i["params"]) for i in record["rubric"]]
        does: dict[int, set[str]] = {}
        for name, label in record["labels"].items():
            for number in label["evidence_turns"]:
                does.setdefault(number, set()).add(name)
        met = {name: label["met"] for name, label in record["labels"].items()}
        yield from _of_turns(record["scenario"], record["attempt"], items, turns, does, {}, met, encoder)


def _of_turns(
    workplace: str,
    attempt: str,
    items: Sequence[Item],
    turns: Sequence[Turn],
    does: Mapping[int, frozenset[str] | set[str]],
    traps: Mapping[int, frozenset[str]],
    met: Mapping[str, bool | None],
    encoder: SentenceEncoder | None,
) -> Iterator[Example]:
    said = lines(turns, encoder)
    spoken = [item for item in items if item.kind in SPOKEN]
    for item in spoken:
        fact = item.kind == "fact_elicited"
        rivals = tuple(one for one in spoken if one is not item and (one.kind == "fact_elicited") == fact)
        for turn in turns:
            own = tuple(line for line in said if line.turn is turn)
            if own and turn.speaker == ("character" if fact else "trainee"):
                done, trap = item.id in does.get(turn.n, ()), item.id in traps.get(turn.n, ())
                yield Example(workplace, attempt, item, turn.n, own, done, trap, rivals, met[item.id])


# -- contrasts ---------------------------------------------------------------------------------------------------------


def read_contrasts(text: str) -> dict[str, list[Contrast]]:
    """The contrasts by workplace. Raises ValueError naming the line."""
    found: dict[str, list[Contrast]] = {}
    group = ""
    for number, raw in enumerate(text.splitlines(), 1):
        mark, _, rest = raw.strip().partition(" ")
        if not mark or mark.startswith("#"):
            continue
        if mark == "==":
            group, found[rest] = rest, []
        elif mark == "@":
            name, kind, description = rest.replace(" |", "", 1).split(" ", 2)
            found[group].append(Contrast(Item(name, kind, description, {})))  # type: ignore[arg-type]
        elif mark == "0":
            if not found[group]:
                found[group].append(Contrast(Item(TALK, "must_say", TALK)))
            found[group][-1].lines.append((rest, False))
        elif mark in {"e", "p", "f", "~", "+", "-"}:
            _add(found[group][-1], mark, rest)
        else:
            raise ValueError(f"line {number}: unknown mark {mark!r}")
    return found


def _add(contrast: Contrast, mark: str, rest: str) -> None:
    params: dict[str, Any] = dict(contrast.item.params)
    if mark == "e":
        params["examples"] = [*params.get("examples", []), rest]
    elif mark == "p":
        params["phrases"] = [part.strip() for part in rest.split(",")]
    elif mark == "f":
        params["fact"] = rest
    elif mark == "~":
        contrast.friends = frozenset(part.strip() for part in rest.split(","))
    else:
        contrast.lines.append((rest, mark == "+"))
    contrast.item = Item(contrast.item.id, contrast.item.kind, contrast.item.description, params)


def turns_of(text: str) -> list[Turn]:
    """A line as turns: what the trainee says, or with "//" what the trainee and then the character says."""
    if "//" not in text:
        return [Turn(1, "trainee", text, 0.0, 1.0)]
    asked, answer = (part.strip() for part in text.split("//"))
    return [Turn(1, "trainee", asked, 0.0, 1.0), Turn(2, "character", answer, 1.0, 2.0)]


def contrasts(encoder: SentenceEncoder | None) -> Iterator[Example]:
    """An item's own lines; as turns that do not do it those of its neighbours, and small talk."""
    groups = read_contrasts((files("npc.training") / "data" / "rubric_contrasts.txt").read_text(encoding="utf-8"))
    heard = Heard(encoder)
    talk = [text for group in groups.values() for one in group for text, _ in one.lines if one.item.id == TALK]
    for group, found in groups.items():
        items = [one for one in found if one.item.id != TALK]
        for one in items:
            alike = [other for other in items if is_fact(other) == is_fact(one) and other is not one]
            rivals = tuple(other.item for other in alike)
            cases = [(text, does, not does) for text, does in one.lines]
            cases += [
                (text, False, False) for other in alike if other.item.id not in one.friends for text, _ in other.lines
            ]
            cases += [(text, False, False) for text in talk if ("//" in text) == is_fact(one)]
            for text, does, trap in cases:
                if said := heard(text):
                    yield Example(group, "", one.item, 0, tuple(said), does, trap, rivals)


def is_fact(contrast: Contrast) -> bool:
    """Whether the character, not the trainee, does it."""
    return contrast.item.kind == "fact_elicited"


class Heard:
    """The sentences of a written line's last turn; each line is encoded once."""

    def __init__(self, encoder: SentenceEncoder | None) -> None:
        self._encoder = encoder
        self._known: dict[str, list[Line]] = {}

    def __call__(self, text: str) -> list[Line]:
        if text not in self._known:
            turns = turns_of(text)
            self._known[text] = [said for said in lines(turns, self._encoder) if said.turn is turns[-1]]
        return self._known[text]
