"""What a character can do, as statements that a request may mean: chosen among like anything it could say."""

from __future__ import annotations

from collections.abc import Sequence

from npc.dialogue.character import ActionSpec
from npc.dialogue.composed.features import Candidate

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
