"""What a character can do, as statements that a request may mean: chosen among like anything it could say."""

from __future__ import annotations

from collections.abc import Sequence

from npc.dialogue.character import ActionSpec
from npc.dialogue.composed.features import Candidate


def deed_candidates(actions: Sequence[ActionSpec]) -> tuple[Candidate, ...]:
    """What a character can do, as statements a request may mean."""
    return tuple(Candidate(f"deed/{spec.name}", deed_text(spec), "deed") for spec in actions)


def deed_text(spec: ActionSpec) -> str:
    """ "Do this: hand over. Hand something in the cab to the passenger." """
    return f"Do this: {spec.name.replace('_', ' ')}. {spec.description.rstrip('.')}."
