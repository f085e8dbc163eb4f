"""Frozen dataclasses from JSON values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pytest

from darkpose.errors import DarkposeError
from darkpose.files.json_text import format_json, parse_json
from darkpose.files.records import parse_record, parse_value


@dataclass(frozen=True)
class Inner:
    sides: tuple[int, int]


@dataclass(frozen=True)
class Outer:
    name: str
    factor: float
    is_on: bool
    kind: Literal["big", "small"]
    points: tuple[tuple[float, float], ...]
    inner: Inner
    facts: Mapping[str, Any]
    size: float | None = None
    others: tuple["Outer", ...] = ()


VALUES: dict[str, Any] = {
    **{"name": "a", "factor": 2, "is_on": True, "kind": "small", "points": [[1, 2.5]], "inner": {"sides": [3, 4]}},
    **{"facts": {"any": [None]}, "size": None},
}


def test_a_record_comes_back_from_its_text() -> None:
    record = parse_record(Outer, VALUES)
    assert record == Outer("a", 2.0, True, "small", ((1.0, 2.5),), Inner((3, 4)), {"any": [None]})
    nested = Outer(**{**vars(record), "others": (record,)})
    assert parse_record(Outer, parse_json(format_json(asdict(nested)))) == nested


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 3}, "^name: expected a text, got 3"),
        ({"factor": "2"}, '^factor: expected a number, got "2"'),
        ({"factor": True}, "^factor: expected a number, got true"),
        ({"is_on": 1}, "^is_on: expected true or false, got 1"),
        ({"kind": "medium"}, "^kind: expected one of big, small"),
        ({"kind": []}, "^kind: expected one of big, small"),
        ({"points": [[1, 2], [1]]}, r"^points\[1\]: expected a list of 2, got \[1\]"),
        ({"points": {}}, "^points: expected a list"),
        ({"inner": {"sides": [1.0, 2]}}, r"^inner\.sides\[0\]: expected a whole number, got 1.0"),
        ({"inner": []}, r"^inner: expected an object, got \[\]"),
        ({"inner": {}}, "^inner misses sides"),
        ({"facts": []}, "^facts: expected an object"),
        ({"size": "x"}, "^size: expected a number"),
        ({"wrong": 1}, "^it has the unknown wrong"),
        ({"others": [VALUES, {**VALUES, "name": None}]}, r"^others\[1\]\.name: expected a text, got null"),
    ],
)
def test_a_field_of_another_type_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        parse_record(Outer, {**VALUES, **change})


def test_a_field_without_a_default_must_be_there() -> None:
    with pytest.raises(DarkposeError, match=r"^it misses facts, name$"):
        parse_record(Outer, {key: value for key, value in VALUES.items() if key not in ("facts", "name", "size")})
    with pytest.raises(DarkposeError, match=r"^expected an object, got \[\]$"):
        parse_record(Outer, [])


def test_a_value_needs_no_dataclass() -> None:
    assert parse_value(Mapping[str, tuple[float, ...]], {"a": [1, 2]}) == {"a": (1.0, 2.0)}
    with pytest.raises(DarkposeError, match=r"boxes\.a\[0\]: expected a number"):
        parse_value(Mapping[str, tuple[float, ...]], {"a": ["1"]}, "boxes")
