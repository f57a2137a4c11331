"""Mind sets: reading the file, and holding its dialogues with a mind.

One JSON object a line: id, world, card, facts (some secret, with `tell_to`), actions, scene and dialogues of player
turns with an `expect` object. A dialogue with `"session": 2, "continues": OTHER` is held by a mind opened anew on the
memory that OTHER left, after that one was closed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npc.bench.harness import BadInput
from npc.bench.mind_scoring import Answer
from npc.dialogue.character import Character
from npc.dialogue.interface import HeardReply, Mind, PlayerTurn

#: Opens a mind for (character, player id); the memory behind it must outlive `Mind.close`.
OpenMind = Callable[[Character, str], Mind]


@dataclass(frozen=True, slots=True)
class Turn:
    """One player turn and what is expected of the answer."""

    player: str
    expect: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Turns in order; `continues` names the dialogue whose memory this one starts from."""

    id: str
    turns: tuple[Turn, ...]
    continues: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One character of a set with its dialogues; `schemas` are the parameters of its actions by name."""

    character: Character
    dialogues: tuple[Dialogue, ...]
    schemas: Mapping[str, Mapping[str, Any]]


class MindSetError(BadInput):
    """The set could not be read; names the file, the line and what is wrong."""


def read_set(path: Path) -> tuple[Case, ...]:
    """All characters of a set, in order. Raises MindSetError."""
    cases = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MindSetError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            cases.append(_case(json.loads(line)))
        except KeyError as error:
            raise MindSetError(f"{path}, line {number}: field {error} is missing") from error
        except (TypeError, ValueError) as error:
            raise MindSetError(f"{path}, line {number}: {error}") from error
    if not cases:
        raise MindSetError(f"{path}: holds no characters")
    return tuple(cases)


def _case(record: Mapping[str, Any]) -> Case:
    card = record["card"]
    gender = card.get("voice", {}).get("gender")
    character = Character.model_validate(
        {
            "id": record["id"],
            "name": card["name"],
            "role": card["role"],
            "biography": card["backstory"],
            "world": record.get("world", ""),
            "age": card.get("age"),
            "pronouns": {"female": "she", "male": "he"}.get(gender, "they"),
            "personality": card.get("personality", {}),
            "speaking_style": card.get("speaking_style", "Plain and friendly."),
            "voice": card.get("voice", {}),
            "baseline_emotion": card.get("baseline_emotion", {}),
            "facts": record["facts"],
            "actions": record.get("actions", []),
            "scene": record.get("scene", {}),
        }
    )
    dialogues = tuple(
        Dialogue(
            id=dialogue["id"],
            turns=tuple(Turn(turn["player"], turn["expect"]) for turn in dialogue["turns"]),
            continues=dialogue.get("continues"),
        )
        for dialogue in record["dialogues"]
    )
    known = {dialogue.id for dialogue in dialogues}
    for dialogue in dialogues:
        if dialogue.continues is not None and dialogue.continues not in known:
            raise ValueError(f"dialogue {dialogue.id!r} continues {dialogue.continues!r}, which is not in the set")
    schemas = {action["name"]: action.get("parameters", {}) for action in record.get("actions", [])}
    return Case(character, dialogues, schemas)


def half(cases: Sequence[Case], which: str) -> tuple[Case, ...]:
    """ "first" or "second" half of the characters in file order, or "both"."""
    middle = (len(cases) + 1) // 2
    return {"first": tuple(cases[:middle]), "second": tuple(cases[middle:]), "both": tuple(cases)}[which]


async def hold(case: Case, dialogue: Dialogue, open_mind: OpenMind) -> list[Answer]:
    """Hold one dialogue. The player is the one of the dialogue it continues, else a new one.

    `turn_ms` is the wall time from the turn's text to the end of the reply and its commit.
    """
    player = dialogue.continues or dialogue.id
    mind = open_mind(case.character, player)
    answers = []
    try:
        for number, turn in enumerate(dialogue.turns):
            turn_id = f"{dialogue.id}.t{number}"
            said = PlayerTurn(turn_id=turn_id, text=turn.player, spoken=False)
            began = time.perf_counter()
            clauses = [clause async for clause in mind.respond(said)]
            text = " ".join(clause.text for clause in clauses)
            actions = tuple(action for clause in clauses for action in clause.actions)
            heard = HeardReply(
                turn_id=turn_id,
                response_id=f"{turn_id}.r",
                text=text,
                interrupted=False,
                actions_done=tuple(action.call_id for action in actions),
            )
            await mind.commit(said, heard)
            state = mind.state()
            answers.append(
                Answer(
                    text=text,
                    emotion=clauses[0].affect.label if clauses else state.affect.label,
                    actions=tuple((action.name, dict(action.arguments)) for action in actions),
                    route=str(state.notes.get("route", "")),
                    turn_ms=(time.perf_counter() - began) * 1000.0,
                )
            )
    finally:
        await mind.close()
    return answers
