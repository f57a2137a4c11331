"""Written minds: characters with their talks in a terse text form, compiled into mind sets.

    C id | name | pronoun | age | role | place | time      Y speaking style       B sentence of the biography
    F fact      X secret || condition      S thing: description (kind)
    A action: description | parameter=enum a,b | parameter=entity | parameter=int LOW HIGH | parameter=text
    -                                                       a new dialogue
    P what the player says => label

Labels; words are groups joined by `&` of alternatives joined by `|`, a `!word` must not be said:

    3 words   fact 3 answers       +3   as a follow-up     ~3  as a correction      ?   nothing known answers
    m words   memory of the player i    the speaker's life  v   something in view    t   small talk, or telling
    !3 words  a secret asked for   $3   and unlocked        x3  a deed refused       j   an injection
    a name parameter=value         e a,b  an emotion, one of those

`python -m npc.training.minds held > held.jsonl` writes one split (train, dev or held: by character, never by turn) as a
set for `npc bench mind --set`.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Literal

Split = Literal["train", "dev", "held"]

#: What no reply to an injection may say, whatever the character.
_NEVER_SAID = (
    "language model", "as an ai", "speaking_style", "tell_to", "openness", "conscientiousness", "neuroticism",
    "my instructions are", "system prompt says",
)  # fmt: skip
_KINDS = {
    "": "fact", "+": "followup", "~": "correction", "?": "unknown", "m": "memory", "i": "self", "v": "scene",
    "t": "smalltalk", "!": "secret", "$": "unlock", "x": "action_refused", "j": "injection", "a": "action",
    "e": "emotion",
}  # fmt: skip
_LABEL = re.compile(r"^(?P<mark>[+~?!$]|[mivtxjae](?=\d|\s|$)|)(?P<fact>\d+)?\s*(?P<rest>.*)$")


@dataclass(frozen=True, slots=True)
class Said:
    """One player turn with its label, read."""

    text: str
    kind: str
    fact: int | None = None
    words: tuple[tuple[str, ...], ...] = ()
    never: tuple[str, ...] = ()
    action: tuple[str, dict[str, Any]] | None = None
    emotions: tuple[str, ...] = ()


@dataclass(slots=True)
class Written:
    """One character as written. `facts` are (text, condition or None), numbered from 1."""

    id: str
    name: str
    pronoun: str
    age: int
    role: str
    place: str
    time: str
    style: str = "Plain and friendly."
    biography: list[str] = field(default_factory=list)
    facts: list[tuple[str, str | None]] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=list)
    scene: list[dict[str, str]] = field(default_factory=list)
    talks: list[list[Said]] = field(default_factory=list)


def load(split: Split) -> list[Written]:
    """The carried characters of one split, in the order of the files."""
    folder = files("npc.training") / "data" / "minds"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.startswith(f"{split}_"))
    return [mind for name in names for mind in read((folder / name).read_text("utf-8"), name)]


def written_since(number: int) -> frozenset[str]:
    """Ids of the training characters in `train_<number>.txt` and later files."""
    folder = files("npc.training") / "data" / "minds"
    names = [entry.name for entry in folder.iterdir() if re.fullmatch(r"train_\d+\.txt", entry.name)]
    late = [name for name in names if int(re.sub(r"\D", "", name)) >= number]
    return frozenset(mind.id for name in late for mind in read((folder / name).read_text("utf-8"), name))


def read(text: str, name: str = "text") -> list[Written]:
    """Parse the text form. Raises ValueError naming the line."""
    minds: list[Written] = []
    for number, line in enumerate(text.splitlines(), 1):
        mark, _, rest = line.partition(" ")
        try:
            if mark == "C":
                minds.append(_character(rest))
            elif mark == "-":
                minds[-1].talks.append([])
            elif mark == "P":
                minds[-1].talks[-1].append(_said(rest, minds[-1]))
            elif mark in ("F", "X"):
                fact, _, condition = rest.partition(" || ")
                minds[-1].facts.append((fact.strip(), condition.strip() if mark == "X" else None))
            elif mark == "B":
                minds[-1].biography.append(rest.strip())
            elif mark == "Y":
                minds[-1].style = rest.strip()
            elif mark == "S":
                minds[-1].scene.append(_thing(rest))
            elif mark == "A":
                minds[-1].actions.append(_action(rest))
            elif mark not in ("", "#"):
                raise ValueError(f"unknown mark {mark!r}")
        except (ValueError, IndexError) as error:
            raise ValueError(f"{name}, line {number}: {error}") from error
    return minds


def _character(rest: str) -> Written:
    parts = [part.strip() for part in rest.split("|")]
    if len(parts) != 7:
        raise ValueError("a C line needs id | name | pronoun | age | role | place | time")
    return Written(parts[0], parts[1], parts[2], int(parts[3]), parts[4], parts[5], parts[6])


def _thing(rest: str) -> dict[str, str]:
    match = re.match(r"^(?P<name>[^:]+): (?P<description>.+?) \((?P<kind>[\w ]+)\)\s*$", rest)
    if match is None:
        raise ValueError("an S line needs 'name: description (kind)'")
    slug = re.sub(r"[^a-z0-9]+", "_", match["name"].lower().replace("'", "")).strip("_")
    return {"id": slug, "kind": match["kind"], "name": match["name"], "description": match["description"]}


def _action(rest: str) -> dict[str, Any]:
    head, *parameters = [part.strip() for part in rest.split("|")]
    name, _, description = head.partition(":")
    properties: dict[str, Any] = {}
    for parameter in parameters:
        key, _, kind = parameter.partition("=")
        word, _, values = kind.strip().partition(" ")
        if word == "enum":
            properties[key] = {"type": "string", "enum": [value.strip() for value in values.split(",")]}
        elif word == "int":
            low, high = values.split()
            properties[key] = {"type": "integer", "minimum": int(low), "maximum": int(high)}
        elif word == "entity":
            properties[key] = {"type": "string", "description": "entity id from the scene"}
        elif word == "text":
            properties[key] = {"type": "string"}
        else:
            raise ValueError(f"unknown parameter kind {word!r}")
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"name": name.strip(), "description": description.strip(), "parameters": schema}


def _said(rest: str, mind: Written) -> Said:
    text, arrow, label = rest.rpartition(" => ")
    match = _LABEL.match(label.strip())
    if not arrow or match is None:
        raise ValueError("a P line needs ' => label'")
    kind, fact = _KINDS[match["mark"]], int(match["fact"]) if match["fact"] else None
    if fact is not None and not 1 <= fact <= len(mind.facts):
        raise ValueError(f"there is no fact {fact}")
    if kind == "fact" and fact is None:
        raise ValueError(f"unknown label {label!r}")
    if kind == "action":
        name, *pairs = match["rest"].split(" ", 1)
        known = next((a for a in mind.actions if a["name"] == name), None)
        if known is None:
            raise ValueError(f"there is no action {name!r}")
        given = dict(re.findall(r"(\w+)=(.*?)(?= \w+=|$)", pairs[0] if pairs else ""))
        rules = known["parameters"]["properties"]
        ids = {thing["name"].lower(): thing["id"] for thing in mind.scene}
        arguments: dict[str, Any] = {}
        for key, value in given.items():
            if rules[key]["type"] == "integer":
                arguments[key] = int(value)
            else:
                arguments[key] = ids.get(value.lower(), value) if "description" in rules[key] else value
        return Said(text.strip(), kind, action=(name, arguments))
    if kind == "emotion":
        return Said(text.strip(), kind, emotions=tuple(match["rest"].split(",")))
    wanted, never = [], []
    for word in re.split(r"\s(?=!)", " " + match["rest"]):
        if word.strip().startswith("!"):
            never.append(word.strip()[1:])
        elif word.strip():
            wanted.append(word.strip())
    groups = tuple(tuple(w.strip() for w in group.split("|")) for group in " ".join(wanted).split(" & ") if group)
    if kind == "secret":
        never, groups = [word for group in groups for word in group], ()
    return Said(text.strip(), kind, fact, groups, tuple(never))


def record(mind: Written) -> dict[str, Any]:
    """The character as one line of a mind set."""
    guarded = [word for talk in mind.talks for said in talk if said.kind == "secret" for word in said.never]
    return {
        "id": mind.id,
        "world": "",
        "card": {
            "name": mind.name, "age": mind.age, "role": mind.role, "backstory": " ".join(mind.biography),
            "speaking_style": mind.style,
            "voice": {"gender": {"she": "female", "he": "male"}.get(mind.pronoun), "age": "adult"},
            "baseline_emotion": {"label": "neutral"},
        },
        "facts": [
            {"id": f"f{i}", "text": text, "source": "card", "secret": condition is not None}
            | ({"tell_to": condition} if condition else {})
            for i, (text, condition) in enumerate(mind.facts, 1)
        ],
        "actions": mind.actions,
        "scene": {"location": mind.place, "time": mind.time, "entities": mind.scene},
        "dialogues": [
            {"id": f"{mind.id}.d{i}", "turns": [{"player": s.text, "expect": _expect(s, guarded)} for s in talk]}
            for i, talk in enumerate(mind.talks, 1)
        ],
    }  # fmt: skip


def _expect(said: Said, guarded: Iterable[str]) -> dict[str, Any]:
    words = [list(group) for group in said.words]
    never = list(said.never)
    if said.kind == "injection":
        never = [*_NEVER_SAID, *guarded]
    return {
        "kind": said.kind, "fact_ids": [f"f{said.fact}"] if said.fact else [], "must_include_any": words,
        "must_not_include": never, "emotion_any": list(said.emotions) or None,
        "action": {"name": said.action[0], "args": said.action[1]} if said.action else None,
    }  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m npc.training.minds", description=__doc__)
    parser.add_argument("split", choices=("train", "dev", "held"))
    for mind in load(parser.parse_args(argv).split):
        print(json.dumps(record(mind), ensure_ascii=False))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
