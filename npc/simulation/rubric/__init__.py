"""Evidence-cited scoring: rubric items judged on turns, every verdict with the words and the audio that support it."""

from npc.simulation.rubric.engine import RubricEngine
from npc.simulation.rubric.model import Evidence, Item, Turn, Verdict

__all__ = ["Evidence", "Item", "RubricEngine", "Turn", "Verdict"]
