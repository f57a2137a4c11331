"""What a character can do, as statements that a request may mean, and the words with which it does or refuses it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from npc.dialogue.actions_forms import DANGEROUS
from npc.dialogue.character import ActionSpec, Character
from npc.dialogue.composed import phrases
from npc.dialogue.composed.features import Candidate
from npc.dialogue.composed.reply import Reply, cite
from npc.dialogue.composed.speech import in_first_person
from npc.dialogue.context import Context
from npc.dialogue.knowledge.knowledge import Knowledge

#: Choices of its parameters that are named with a deed.
_CHOICES = 12


def deed_candidates(actions: Sequence[ActionSpec]) -> tuple[Candidate, ...]:
    """What a character can do, as statements a request may mean."""
    return tuple(Candidate(f"deed/{spec.name}", deed_text(spec), "deed") for spec in actions)


def deed_text(spec: ActionSpec) -> str:
    """ "Do this: sell. Sell goods to the player: rope, lamp oil, wicks." """
    rules = spec.parameters.get("properties", {}).values()
    choices = [str(choice).replace("_", " ") for rule in rules for choice in rule.get("enum", ())][:_CHOICES]
    which = f": {', '.join(choices)}" if choices else ""
    return f"Do this: {spec.name.replace('_', ' ')}. {spec.description.rstrip('.')}{which}."


class Line(Protocol):
    """One of some lines in the character's style, its values filled in."""

    def __call__(self, lines: Sequence[str], route: str, /, **values: str) -> Reply: ...


def announced(context: Context, character: Character, line: Line) -> Reply:
    """What is said while the context's action is done."""
    action = context.action
    if action is None:
        return line(phrases.ACTION, "action")
    scene = context.scene
    entities = {entity.id: entity.name for entity in scene.entities} if scene else {}
    spec = next((spec for spec in character.actions if spec.name == action.name), None)
    spoken = {name: entities.get(str(value), str(value).replace("_", " ")) for name, value in action.arguments.items()}
    if spec is not None and spec.say:
        said = line(spec.say, "action")
        return Reply(re.sub(r"\{(\w+)\}", lambda m: spoken.get(m.group(1), ""), said.text), "action")
    thing = next((entities[str(value)] for value in action.arguments.values() if str(value) in entities), "")
    if thing and re.search(r"hand|give|pass|lend", action.name):
        return line(phrases.HANDING, "action", thing=thing)
    if thing and re.search(r"point|show|look", action.name):
        return line(phrases.POINTING, "action", thing=thing)
    return line(phrases.ACTION, "action")


def refused(context: Context, knowledge: Knowledge, line: Line) -> Reply:
    """Why the context's request is not met: the rule against it, cited; the reason given; that it is not done; or
    that the character cannot do it."""
    fact = knowledge.fact(context.refusal_fact) if context.refusal_fact else None
    if fact is not None and not fact.guarded:
        said = in_first_person(fact.text, knowledge.speaker)
        return cite(line(phrases.REFUSED_WHY, "refused", why=said), said, fact.id, fact.source)
    if context.refusal:
        return Reply(context.refusal, "refused")
    if DANGEROUS.search(context.turn.text):
        return line(phrases.REFUSED, "refused")
    return line(phrases.UNABLE, "unable")
