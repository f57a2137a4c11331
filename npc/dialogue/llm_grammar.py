"""The form a language model's reply may have, as a grammar for llguidance: words, and marks that cannot be malformed.

    start ── <emotion:NAME>? ─┬─ words without brackets ─┬─> …
                              ├─ <cite:ID of a fact in the prompt>
                              └─ <act:NAME {arguments by its schema}>   only what may be done now, things that are there

An engine that takes `Sampling.grammar` masks every token that would leave this form, so an unknown action, an argument
outside its schema, a thing that is not in the scene or half a tag cannot be written at all. With other engines the same
is dropped after the fact (`llm.Assembler`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from npc.dialogue.actions import names_entity
from npc.dialogue.actions_permission import allowed_actions
from npc.dialogue.character import ActionSpec, Character
from npc.dialogue.context import Context, in_focus
from npc.dialogue.prompt import THINGS
from npc.protocol.names import EMOTIONS

#: Characters that only marks are made of: never spoken.
_WORDS = r"/[^<>{}\[\]*#|~_`\n]+/"


def reply_grammar(character: Character, context: Context, fact_ids: Sequence[str]) -> str:
    """The grammar of one reply, in llguidance's Lark. Pure."""
    things = [entity.id for entity in in_focus(context.scene, THINGS)] if context.scene is not None else []
    able = allowed_actions(character, context) if context.act == "open" else ()
    acts = [act for spec in able if not spec.confirm and (act := _act(spec, things)) is not None]
    pieces = ["WORDS", *(["cite"] if fact_ids else []), *(["act"] if acts else [])]
    lines = [
        f"start: mood? ({' | '.join(pieces)})+",
        f"WORDS: {_WORDS}",
        f'mood: "<emotion:" ({_one_of(EMOTIONS)}) ">"',
    ]
    if fact_ids:
        lines.append(f'cite: "<cite:" ({_one_of(fact_ids)}) ">"')
    if acts:
        lines.append(f"act: {' | '.join(f'act{number}' for number in range(len(acts)))}")
        lines += [f'act{number}: "<act:{name} " %json {schema} ">"' for number, (name, schema) in enumerate(acts)]
    return "\n".join(lines)


def _act(spec: ActionSpec, things: Sequence[str]) -> tuple[str, str] | None:
    """The name and JSON Schema of one action; None when it needs a thing and there is none."""
    properties: dict[str, Any] = {}
    for name, schema in spec.parameters.get("properties", {}).items():
        if not names_entity(schema):
            properties[name] = schema
        elif things:
            properties[name] = {"enum": list(things)}
        elif name in spec.parameters.get("required", ()):
            return None
    whole: Mapping[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": [name for name in spec.parameters.get("required", ()) if name in properties],
        "additionalProperties": False,
    }
    return spec.name, json.dumps(whole, ensure_ascii=False)


def _one_of(words: Sequence[Any]) -> str:
    return " | ".join(json.dumps(str(word), ensure_ascii=False) for word in words)
