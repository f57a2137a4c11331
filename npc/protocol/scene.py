"""What a game tells a character about the world around it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from npc.protocol.wire import Id, Opt, Wire

Text = Annotated[str, Field(max_length=4000)]
Vector = Annotated[list[float], Field(min_length=3, max_length=3)]


class Entity(Wire):
    """Someone or something nearby. Fields left out stay as they were; `removed` takes the entity away."""

    id: Id
    kind: Opt[Text] = None
    name: Opt[Text] = None
    description: Opt[Text] = None
    position: Opt[Vector] = None
    visible: Opt[bool] = None
    held_by: Opt[str] = None
    removed: Opt[bool] = None


class Scene(Wire):
    """A delta of the world. `player` and `state` take any JSON values the game's author knows."""

    entities: Opt[Annotated[list[Entity], Field(max_length=500)]] = None
    location: Opt[Text] = None
    time: Opt[Text] = None
    player: Opt[dict[str, Any]] = None
    attention: Opt[str] = None
    """Id of the entity that the player attends to."""
    state: Opt[dict[str, Any]] = None
