"""Frozen records from a bundle's JSON and back.

Part of every bundle's `model.py`: it imports only the standard library and numpy.
"""

from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

__all__ = ["LEFT_OUT", "json_of", "record_of"]

LEFT_OUT = {"left_out": True}
"""Metadata of a field that is not written while it holds its default."""

_PLAIN = frozenset({float, int, bool, str, NoneType})

Record = TypeVar("Record")


def record_of(kind: type[Record], content: Mapping[str, Any]) -> Record:
    """Return the record that a JSON object holds; `KeyError` if it lacks a required field.

    The fields of `kind`, a dataclass, are records, arrays, tuples of these, or plain JSON values.
    Other keys of `content` are ignored.
    """
    kinds = _field_kinds(kind)  # type: ignore[arg-type]  # a type is hashable
    needed = {name for name, (_, required) in kinds.items() if required}
    if missing := sorted(needed - set(content)):
        raise KeyError(f"{kind.__name__} must have {', '.join(missing)}.")
    return kind(
        **{name: _typed(of, content[name]) for name, (of, _) in kinds.items() if name in content}
    )


def json_of(value: Any) -> Any:
    """Return a record as the JSON object that `record_of` reads, in the order of its fields."""
    if type(value) in _PLAIN:
        return value
    if is_dataclass(value):
        return {
            field.name: json_of(held)
            for field, held in ((f, getattr(value, f.name)) for f in fields(value))
            if not field.metadata.get("left_out") or held != field.default
        }
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: json_of(held) for key, held in value.items()}
    if isinstance(value, tuple | list):
        # Most lists hold numbers only, and a call for each would take most of the time.
        return [held if type(held) in _PLAIN else json_of(held) for held in value]
    return value


@cache
def _field_kinds(kind: Hashable) -> dict[str, tuple[Any, bool]]:
    """Return the type of each field of a record, and whether JSON must have it."""
    hints = get_type_hints(kind)
    return {
        field.name: (hints[field.name], field.default is field.default_factory is MISSING)
        for field in fields(kind)  # type: ignore[arg-type]
    }


def _typed(kind: Any, value: Any) -> Any:
    """Return a JSON value as the type of its field; numbers and text are unchanged."""
    if value is None:
        return None
    if is_dataclass(kind):
        return record_of(kind, value)  # type: ignore[arg-type]
    if kind is np.ndarray:
        return np.asarray(value)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        others = [member for member in inner if member is not NoneType]
        return _typed(others[0], value) if len(others) == 1 else value
    if origin is tuple:
        if inner[-1] is not Ellipsis:
            return tuple(_typed(of, held) for of, held in zip(inner, value, strict=True))
        if inner[0] in (float, int, str):
            return tuple(value)
        return tuple(_typed(inner[0], held) for held in value)
    return value
