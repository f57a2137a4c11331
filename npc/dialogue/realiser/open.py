"""The composed responder as it is opened by default: with the trained model where it is there and wanted.

The setting is the environment variable NPC_DIALOGUE_MODEL: `auto` (default: the shipped weights where they can be
loaded), `off`, or a folder of other weights made by `python -m npc.training.mind`.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from npc.dialogue.character import Character
from npc.dialogue.composed.responder import ComposedResponder, Realiser
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.memory.store import PlayerMemory
from npc.dialogue.realiser.model import DialogueModel, shipped_model
from npc.dialogue.realiser.realiser import TrainedRealiser
from npc.dialogue.realiser.talk import TalkGuard, read_examples

VARIABLE = "NPC_DIALOGUE_MODEL"


def composed(character: Character, knowledge: Knowledge, memory: PlayerMemory | None = None) -> ComposedResponder:
    """The composed responder with the realiser that the setting asks for. Raises CheckpointError for a folder named
    there that holds no model."""
    return ComposedResponder(character, knowledge, memory, realiser=realiser_for(character, knowledge))


def realiser_for(character: Character, knowledge: Knowledge) -> Realiser | None:
    """The trained realiser for a character, or None where there is no model or it is switched off."""
    model = chosen_model()
    if model is None:
        return None
    return TrainedRealiser(model, character, TalkGuard(read_examples(model.folder), knowledge.encoder))


def chosen_model() -> DialogueModel | None:
    """What the setting names."""
    wanted = os.environ.get(VARIABLE, "auto")
    if wanted == "off":
        return None
    return shipped_model() if wanted == "auto" else _from_folder(wanted)


@lru_cache(maxsize=2)
def _from_folder(folder: str) -> DialogueModel:
    return DialogueModel(Path(folder).expanduser())
