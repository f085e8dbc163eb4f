"""Frozen dataclasses from JSON values, with the types of their fields checked."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from darkpose.errors import DarkposeError
from darkpose.files.json_text import shortened

Record = TypeVar("Record")
_NAMES: dict[Any, str] = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def parse_record(kind: type[Record], values: Any, where: str = "") -> Record:
    """A dataclass from JSON values: the inverse of `asdict`.

    Fields may be bool, int, float, str, `Any`, a `Literal` of texts, `X | None`, tuples, mappings from texts, and
    dataclasses of these.

    Args:
        kind: the dataclass.
        values: a value for every field; a field with a default may be missing, and a dataclass be there already.
        where: name of the values in messages; empty: they are the whole.

    Raises:
        DarkposeError: a field is missing, unknown, or has another type; or as the dataclass.
    """
    if not isinstance(values, dict):
        raise _other(where, "an object", values)
    hints, required = _fields(cast(Any, kind))
    if wrong := sorted(required - set(values)) or sorted(set(values) - set(hints)):
        what = "misses" if required - set(values) else "has the unknown"
        raise DarkposeError(f"{where or 'it'} {what} {', '.join(wrong)[:200]}")
    prefix = f"{where}." if where else ""
    return kind(**{name: parse_value(hints[name], value, prefix + name) for name, value in values.items()})


@cache
def _fields(kind: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """The types of all fields, and the names of those without a default."""
    known = fields(kind)
    required = (each.name for each in known if each.default is MISSING and each.default_factory is MISSING)
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in known}, frozenset(required)


def parse_value(kind: Any, value: Any, where: str = "") -> Any:
    """A value of a type, as for a field of `parse_record`.

    Raises:
        DarkposeError: it has another type.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, UnionType):
        (kind,) = (each for each in inner if each is not NoneType)
        return None if value is None else parse_value(kind, value, where)
    if is_dataclass(kind):
        return value if isinstance(value, kind) else parse_record(kind, value, where)  # type: ignore[arg-type]
    if origin is tuple:
        return _parse_tuple(inner, value, where)
    if origin is Mapping and isinstance(value, dict):
        return {name: parse_value(inner[1], each, f"{where}.{name}") for name, each in value.items()}
    if origin is Literal and isinstance(value, str) and value in inner:
        return value
    if kind is float and type(value) in (int, float):
        return float(value)
    if kind in _NAMES and type(value) is kind:
        return value
    expected = f"one of {', '.join(inner)}" if origin is Literal else _NAMES.get(kind, "an object")
    raise _other(where, expected, value)


def _parse_tuple(inner: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    """A tuple from a list: of any length, or of one type for each place."""
    if not isinstance(value, list | tuple):
        raise _other(where, "a list", value)
    kinds = inner[:1] * len(value) if inner[1:] == (...,) else inner
    if len(kinds) != len(value):
        raise _other(where, f"a list of {len(kinds)}", value)
    return tuple(
        parse_value(kind, each, f"{where}[{i}]") for i, (kind, each) in enumerate(zip(kinds, value, strict=True))
    )


def _other(where: str, expected: str, value: Any) -> DarkposeError:
    return DarkposeError(f"{where + ': ' if where else ''}expected {expected}, got {shortened(value)}")
