"""What every object on the wire has in common: strict types, unknown extra fields forgiven, nulls only where they mean.

Strict: "12" is not a number and 1.0 is not a count, so a client's mistake is named at once. Forgiving: stock SDKs send
fields of other products, and nulls for "not set"; neither is an error.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

T = TypeVar("T")


def _is_none(value: Any) -> bool:
    return value is None


#: Optional field that is left out of the JSON when it has no value.
Opt = Annotated[T | None, Field(exclude_if=_is_none)]
#: Identifiers of events, items, responses, players, characters.
Id = Annotated[str, StringConstraints(min_length=1, max_length=512)]
#: Sample positions and counts; 2**53 keeps them exact in JavaScript.
Sample = Annotated[int, Field(ge=0, le=2**53)]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Signed = Annotated[float, Field(ge=-1.0, le=1.0)]


class Wire(BaseModel):
    """An object inside an event. A null for a field that cannot be null counts as not given."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    #: Fields for which null is a value of its own (`turn_detection: null` is push-to-talk).
    nullable: ClassVar[frozenset[str]] = frozenset()

    def model_post_init(self, context: Any, /) -> None:
        """A constant `type` counts as given: a client event leaves out what was not, and must still say what it is."""
        if isinstance(getattr(self, "type", None), str):
            self.__pydantic_fields_set__.add("type")

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        if isinstance(data, dict) and None in data.values():
            return {name: value for name, value in data.items() if value is not None or name in cls.nullable}
        return data


class ClientEventBase(Wire):
    """An event from the client. `event_id` comes back in the `error` event that it may cause."""

    event_id: Opt[Id] = None


class ServerEventBase(Wire):
    """An event from the server. The carrier writes `event_id` and `npc_seq` when it encodes."""

    event_id: Opt[str] = None
    npc_seq: Opt[Sample] = None


class NpcDown(ServerEventBase):
    """An `npc.*` event from the server: it names its character."""

    character: str
