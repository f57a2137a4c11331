"""Hypothesis strategies that build any event from its own declaration."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from hypothesis import strategies as st
from pydantic import BaseModel, StringConstraints
from pydantic.fields import FieldInfo

_TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
_JSON = st.dictionaries(_TEXT, st.booleans() | st.integers(-(2**31), 2**31) | _TEXT, max_size=2)
_PATTERNED = {"retain": st.sampled_from(["session", "none", "days:30"]), "name": st.just("give_item")}


def server_event(cls: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Instances of `cls` with every optional field there or not."""
    return _model(cls, depth=0)


def _model(cls: type[BaseModel], depth: int) -> st.SearchStrategy[Any]:
    fields = {name: _field(name, info, depth) for name, info in cls.model_fields.items()}
    return st.fixed_dictionaries(fields).map(cls.model_validate)


def _field(name: str, info: FieldInfo, depth: int) -> st.SearchStrategy[Any]:
    if name in _PATTERNED and any(getattr(meta, "pattern", None) for meta in info.metadata):
        return _PATTERNED[name]
    return _type(info.annotation, info.metadata, depth)


def _type(kind: Any, metadata: list[Any], depth: int) -> st.SearchStrategy[Any]:
    origin = get_origin(kind)
    if origin is typing.Annotated:
        inner, *more = get_args(kind)
        flat = [m for meta in more for m in (meta.metadata if isinstance(meta, FieldInfo) else [meta])]
        return _type(inner, [*metadata, *flat], depth)
    if origin is Literal:
        return st.sampled_from(get_args(kind))
    if origin in (Union, types.UnionType):
        members = get_args(kind)
        if depth > 2 and type(None) in members:
            return st.none()
        return st.one_of([_type(member, metadata, depth + 1) for member in members])
    low = next((m.ge for m in metadata if isinstance(m, Ge)), None)
    high = next((m.le for m in metadata if isinstance(m, Le)), None)
    if origin is list:
        least = next((m.min_length for m in metadata if isinstance(m, MinLen)), 0)
        most = next((m.max_length for m in metadata if isinstance(m, MaxLen)), 2)
        return st.lists(_type(get_args(kind)[0], [], depth + 1), min_size=least, max_size=max(least, min(2, most)))
    if origin is dict:
        value = get_args(kind)[1]
        return _JSON if value is Any else st.dictionaries(_TEXT, _type(value, [], depth + 1), max_size=2)
    if kind is type(None):
        return st.none()
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(low if low is not None else -(2**31), high if high is not None else 2**31)
    if kind is float:
        return st.floats(low, high, allow_nan=False, allow_infinity=False)
    if kind is str:
        pattern = next((m.pattern for m in metadata if isinstance(m, StringConstraints) and m.pattern), None)
        return st.just("x") if pattern else _TEXT
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _model(kind, depth + 1)
    raise AssertionError(f"no strategy for {kind}")
