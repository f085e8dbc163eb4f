"""JSON text, read and written strictly: no NaN or infinity, no key twice in an object."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from darkpose.errors import DarkposeError
from darkpose.files.text import read_text

MAX_DEPTH, MAX_DIGITS = 100, 300  # lists and objects in each other; digits of a whole number
_TOO_DEEP = f"more than {MAX_DEPTH} lists and objects in each other"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str) -> Any:
    """The values of a JSON text.

    Raises:
        DarkposeError: it is not JSON, has a number that is no finite float, a key twice, text that is not Unicode, or
            more than `MAX_DEPTH` lists and objects in each other.
    """
    if not text.strip():
        raise DarkposeError("empty, expected JSON")
    try:
        values = json.loads(
            text, parse_float=_float, parse_int=_int, parse_constant=_no_number, object_pairs_hook=_object
        )
        _check_depth(values)
        if _SURROGATE.search(text):  # single ones stand for bytes of file names that are not UTF-8
            json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogateescape")
        return values
    except json.JSONDecodeError as error:
        place = f"column {error.colno}" if "\n" not in text else f"line {error.lineno}, column {error.colno}"
        raise DarkposeError(f"not JSON ({error.msg}, {place})") from error
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        raise DarkposeError(f"not JSON that can be used (\\u{code:04x} alone is no character)") from error
    except RecursionError as error:
        raise DarkposeError(f"not JSON that can be used ({_TOO_DEEP})") from error
    except ValueError as error:
        raise DarkposeError(f"not JSON that can be used ({error})") from error


def read_json(path: Path) -> Any:
    """The values of a JSON file, as `parse_json`.

    Raises:
        DarkposeError: the file cannot be read, or as `parse_json`; the message names the file.
    """
    text = read_text(path)
    try:
        return parse_json(text)
    except DarkposeError as error:
        raise DarkposeError(f"{path}: {error}") from error


def parse_json_lines(text: str, where: object) -> Iterator[tuple[int, Any]]:
    """Number, from 1, and values of every line that is not blank.

    A last line that a killed process left half-written is left out.

    Raises:
        DarkposeError: as `parse_json`; the message names `where`, the file, and the line.
    """
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = parse_json(line)
        except DarkposeError as error:
            if number == len(lines) and isinstance(error.__cause__, json.JSONDecodeError):
                return
            raise DarkposeError(f"{where}, line {number}: {error}") from error
        yield number, values


def format_json(values: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """JSON text of values; numbers that are not finite become null, and NumPy's are numbers, too."""
    try:
        return json.dumps(values, allow_nan=False, indent=indent, sort_keys=sort_keys, default=_number)
    except ValueError:  # it has such a number
        return json.dumps(_finite(values), allow_nan=False, indent=indent, sort_keys=sort_keys, default=_number)


def finite_or_none(number: float) -> float | None:
    """The number; None if it is not finite, for JSON, which has neither NaN nor infinity."""
    return number if math.isfinite(number) else None


def shortened(value: Any, most: int = 60) -> str:
    """The JSON text of a value for a message, cut off after `most` characters."""
    text = format_json(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _finite(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_finite(value) for value in values]
    return finite_or_none(_number(values)) if isinstance(values, Real) and not isinstance(values, Integral) else values


def _number(value: object) -> int | float:
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"a {type(value).__name__} is no value of JSON")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number


def _int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits, {text[:20]}..., is too large")
    return int(text)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:60]!r} is in an object twice")
    return values


def _check_depth(values: Any) -> None:
    level = [values]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        inner = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level = [value for each in inner for value in each if type(value) in (dict, list)]
    raise ValueError(_TOO_DEEP)
