"""The composed responder as it is opened by default: with the trained model where it is there and wanted."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from npc.dialogue.character import Character
from npc.dialogue.composed.responder import ComposedResponder, Realiser
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.memory.store import PlayerMemory
from npc.dialogue.realiser.model import DialogueModel, shipped_model
from npc.dialogue.realiser.realiser import TrainedRealiser
from npc.dialogue.realiser.talk import TalkGuard, read_examples

Composer = Callable[[Character, Knowledge, PlayerMemory | None], ComposedResponder]


def composer(wording: str = "auto", adapters: Path | None = None) -> Composer:
    """Makes the composed responder of a session.

    `wording` is `auto` (the shipped weights where they can be loaded), `off`, or a folder of other weights made by
    `python -m npc.training.mind`; `adapters` a folder with one LoRA adapter a character, named by the character's id.
    Raises CheckpointError for a folder that holds no model, or (when a responder is made) no adapter.
    """
    model = None if wording == "off" else shipped_model() if wording == "auto" else _from_folder(wording)

    def make(character: Character, knowledge: Knowledge, memory: PlayerMemory | None = None) -> ComposedResponder:
        realiser = None if model is None else _realiser(model, character, knowledge, adapters)
        return ComposedResponder(character, knowledge, memory, realiser=realiser)

    return make


def composed(character: Character, knowledge: Knowledge, memory: PlayerMemory | None = None) -> ComposedResponder:
    """The composed responder with the shipped model's wording."""
    return composer()(character, knowledge, memory)


def _realiser(model: DialogueModel, character: Character, knowledge: Knowledge, adapters: Path | None) -> Realiser:
    adapter: str | None = None
    if adapters is not None and (adapters / character.id).is_dir():
        adapter = character.id
        if adapter not in model.adapters:
            model.add_adapter(adapter, adapters / character.id)
    guard = TalkGuard(read_examples(model.folder), knowledge.encoder)
    return TrainedRealiser(model, character, guard, adapter=adapter)


@lru_cache(maxsize=2)
def _from_folder(folder: str) -> DialogueModel:
    return DialogueModel(Path(folder).expanduser())
