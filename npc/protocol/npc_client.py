"""`npc.*` events that a client sends."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from npc.protocol.scene import Scene
from npc.protocol.wire import ClientEventBase, Id, Opt, Sample, Unit


class NpcSceneUpdate(ClientEventBase):
    """The world changed. Only what changed need be named."""

    type: Literal["npc.scene.update"] = "npc.scene.update"
    scene: Scene


class NpcEvent(ClientEventBase):
    """Something happened: a narrative trigger by name, or free text such as "the player drew a sword"."""

    type: Literal["npc.event"] = "npc.event"
    trigger: Opt[Id] = None
    text: Opt[Annotated[str, Field(max_length=4000)]] = None
    salience: Unit = 0.5
    react: bool = False
    data: Opt[dict[str, Any]] = None

    @model_validator(mode="after")
    def _one_of(self) -> NpcEvent:
        if self.trigger is None and not self.text:
            raise ValueError("npc.event needs a trigger or a text")
        return self


class NpcPlayback(ClientEventBase):
    """What was really heard of an item, in samples of that item; about every 100 ms and at each change of state."""

    type: Literal["npc.playback"] = "npc.playback"
    response_id: Id
    item_id: Id
    played_samples: Sample
    state: Literal["playing", "stopped", "finished"]


class NpcSave(ClientEventBase):
    """Keep conversation and memory under a save slot."""

    type: Literal["npc.save"] = "npc.save"
    slot: Id


class NpcLoad(ClientEventBase):
    """Go back to a save slot; `fork` binds further saves to a new slot of that name."""

    type: Literal["npc.load"] = "npc.load"
    slot: Id
    fork: Opt[Id] = None


class NpcInstructor(ClientEventBase):
    """A trainer's hand in the session; needs the instructor scope."""

    type: Literal["npc.instructor"] = "npc.instructor"
    action: Literal[
        "observe", "whisper", "inject", "take_over", "release", "bookmark", "difficulty", "pause", "resume", "end"
    ]
    text: Opt[Annotated[str, Field(max_length=4000)]] = None
    trigger: Opt[Id] = None
    """With `inject`: a named event of the scenario's story instead of a text."""
    level: Opt[Id] = None
    """With `difficulty`: where the dial goes."""
    session_id: Opt[Id] = None


class NpcRoomUp(ClientEventBase):
    """Several characters or players: who joins, leaves, is spoken to, has the floor."""

    type: Literal["npc.room"] = "npc.room"
    action: Literal["join", "leave", "address", "floor"]
    member: Id
    kind: Opt[Literal["character", "player"]] = None


NpcClientEvent = NpcSceneUpdate | NpcEvent | NpcPlayback | NpcSave | NpcLoad | NpcInstructor | NpcRoomUp
