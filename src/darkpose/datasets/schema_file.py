"""Schemas as TOML files that a person can edit.

    name = "cat"
    names = ["left_ear", "right_ear", "nose"]    # the landmarks, in the order of the annotations
    flip_pairs = [["left_ear", "right_ear"]]     # swap in a mirrored image
    outlines = [["left_ear", "nose", "right_ear"]]
    normaliser = ["left_ear", "right_ear"]       # or "box", its longer side, or "diagonal", that of the box

    [regions]
    ears = ["left_ear", "right_ear"]

Only `names` is needed. `left_eye` and `right_eye` may list the landmarks of eyes.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from darkpose.errors import DarkposeError, shown
from darkpose.files.atomic import write_text
from darkpose.files.json_text import shortened
from darkpose.files.text import quoted, read_text
from darkpose.schema import KeypointSchema, name_for_schema

_KEYS = ("name", "names", "flip_pairs", "outlines", "normaliser", "left_eye", "right_eye", "regions")
_WIDTH = 100  # of a line of names


def read_schema(path: Path) -> KeypointSchema:
    """The schema of a TOML file; without `name`, it has that of the file.

    Raises:
        DarkposeError: the file cannot be read, is not TOML, or does not describe a schema; the key is named.
    """
    text = read_text(path)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DarkposeError(f"{path}: not a TOML file ({error})") from error
    try:
        return _schema(values, name_for_schema(path.stem))
    except DarkposeError as error:
        raise DarkposeError(f"{path}: {error}") from error


def _schema(values: dict[str, Any], name: str) -> KeypointSchema:
    if unknown := sorted(set(values) - set(_KEYS)):
        raise DarkposeError(f"unknown key {unknown[0][:60]!r}; the keys are {', '.join(_KEYS)}")
    names = _texts(values.get("names"), "names")
    if not names:
        raise DarkposeError("names: expected the names of the landmarks, got none")
    known = KeypointSchema(values.get("name", name), names, ())

    def indices(landmarks: object, key: str) -> tuple[int, ...]:
        return tuple(map(known.index, _texts(landmarks, key)))

    lines = {
        key: tuple(indices(each, f"a list in {key}") for each in _list(values.get(key, []), key))
        for key in ("flip_pairs", "outlines")
    }
    normaliser, regions = values.get("normaliser", "box"), values.get("regions", {})
    if isinstance(normaliser, str) and normaliser not in ("box", "diagonal"):
        raise DarkposeError(
            f'normaliser: expected two names of landmarks, "box" or "diagonal", got {normaliser[:60]!r}'
        )
    if not isinstance(regions, dict):
        raise DarkposeError(f"regions: expected a table of lists of names, got {_told(regions)}")
    pair = None if isinstance(normaliser, str) else indices(normaliser, "normaliser")
    return KeypointSchema(
        known.name,
        names,
        **lines,  # type: ignore[arg-type]
        nme_pair=pair,  # type: ignore[arg-type]
        left_eye=indices(values.get("left_eye", []), "left_eye"),
        right_eye=indices(values.get("right_eye", []), "right_eye"),
        named_regions=tuple((key, indices(each, f"regions.{key}")) for key, each in regions.items()),
        nme_box="diagonal" if normaliser == "diagonal" else "side",
    )


def _list(value: object, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise DarkposeError(f"{key}: expected a list, got {_told(value)}")
    return value


def _texts(value: object, key: str) -> tuple[str, ...]:
    if wrong := [each for each in _list(value, key) if not isinstance(each, str)]:
        raise DarkposeError(f"{key}: expected names of landmarks in quotes, got {_told(wrong[0])}")
    return tuple(_list(value, key))


def _told(value: object) -> str:
    return shortened(value) if isinstance(value, bool | int | float | str | None) else f"a {type(value).__name__}"


def write_schema(path: Path, schema: KeypointSchema, note: str = "") -> None:
    """Write a schema as a TOML file, which `read_schema` gives back.

    Args:
        path: of the file.
        schema: not a joined one.
        note: sentences for a person, written as comments; one a line.

    Raises:
        DarkposeError: the schema joins others, or the file cannot be written.
    """
    if schema.parts:
        raise DarkposeError(f"{path}: the schema {schema.name} joins others, which the file cannot say")
    write_text(path, format_schema(schema, note))


def format_schema(schema: KeypointSchema, note: str = "") -> str:
    """The text that `write_schema` writes."""
    pair = None if schema.nme_pair is None else list(schema.nme_pair)
    normaliser = _names(schema, pair) if pair else '"box"' if schema.nme_box == "side" else '"diagonal"'
    lines = [
        *(f"# {shown(line)}" for line in note.splitlines()),
        f"name = {quoted(schema.name)}",
        "# in the order of the annotations",
        f"names = {_names(schema, range(len(schema)))}",
        "# landmarks that swap in a mirrored image",
        f"flip_pairs = {_lists(schema, schema.flip_pairs)}",
        "# lines between landmarks, for drawing",
        f"outlines = {_lists(schema, schema.outlines)}",
        '# errors are given in shares of this length: two names, or "box" (its longer side) or "diagonal" (of the box)',
        f"normaliser = {normaliser}",
    ]
    lines += [f"{key} = {_names(schema, part)}" for key in ("left_eye", "right_eye") if (part := getattr(schema, key))]
    if schema.named_regions:
        lines += ["", "[regions]", *(f"{quoted(key)} = {_names(schema, part)}" for key, part in schema.named_regions)]
    return "\n".join(lines) + "\n"


def _lists(schema: KeypointSchema, lists: Sequence[Sequence[int]]) -> str:
    return "[" + "".join(f"\n  {_names(schema, each, '    ')}," for each in lists) + ("\n]" if lists else "]")


def _names(schema: KeypointSchema, indices: Sequence[int], indent: str = "  ") -> str:
    """A TOML list of names, over several lines if it is long."""
    texts, lines = [quoted(schema.names[i]) for i in indices], [""]
    for text in texts:
        if lines[-1] and len(lines[-1]) + len(text) > _WIDTH:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{text},"
    if len(lines) == 1:
        return f"[{lines[0].removesuffix(',')}]"
    return "[" + "".join(f"\n{indent}{line}" for line in lines) + f"\n{indent[2:]}]"
