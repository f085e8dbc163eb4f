"""The file of calibrations beside weights: one for each markup that they were calibrated for."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_text
from darkpose.predict.covariance import Calibration

FORMAT = "2"
KEYS = ("schema", "width", "scale", "floor", "fitted")


def file_beside(weights: Path) -> Path:
    """Where the calibrations of a checkpoint's file lie."""
    return weights.with_suffix(".calibration.json")


def calibration_beside(weights: Path, schema: str) -> Calibration | None:
    """The calibration beside a checkpoint's file for the markup of this name, if there is one.

    Raises:
        DarkposeError: the file cannot be used.
    """
    file = file_beside(weights)
    return read_calibrations(file).get(schema) if file.is_file() else None


def read_calibrations(path: Path) -> dict[str, Calibration]:
    """The calibrations of a file by the names of their markups.

    Raises:
        DarkposeError: it cannot be read, or holds anything but calibrations.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DarkposeError(f"{path}: not a readable JSON file ({error})") from error
    if not isinstance(content, dict) or content.get("darkpose_calibration") != FORMAT:
        raise DarkposeError(f"{path}: expected a calibration of format {FORMAT}; scripts/calibrate.py writes one")
    listed = content.get("markups")
    if not isinstance(listed, list) or set(content) != {"darkpose_calibration", "markups"}:
        raise DarkposeError(f"{path}: expected a list named markups beside the format, got {sorted(content)}")
    try:
        calibrations = [_calibration(values) for values in listed]
    except DarkposeError as error:
        raise DarkposeError(f"{path}: {error}") from error
    found = {each.schema: each for each in calibrations}
    if len(found) < len(listed):
        raise DarkposeError(f"{path}: expected one calibration for a markup, got several")
    return found


def write_calibrations(calibrations: Iterable[Calibration], path: Path) -> None:
    """Write a file of calibrations, each of another markup, in one rename.

    Raises:
        DarkposeError: the file cannot be written.
    """
    markups = [asdict(each) | {"scale": _listed(each.scale), "floor": _listed(each.floor)} for each in calibrations]
    content = {"darkpose_calibration": FORMAT, "markups": markups}
    write_text(path, json.dumps(content, allow_nan=False) + "\n")


def _listed(numbers: Iterable[float]) -> list[float | None]:
    """JSON has no NaN."""
    return [None if math.isnan(number) else number for number in numbers]


def _calibration(values: Any) -> Calibration:
    if not isinstance(values, dict) or set(values) != set(KEYS):
        got = sorted(values) if isinstance(values, dict) else type(values).__name__
        raise DarkposeError(f"expected a calibration with {sorted(KEYS)}, got {got}")
    schema, width, scale, floor, fitted = (values[key] for key in KEYS)
    listed = isinstance(scale, list) and isinstance(floor, list) and type(width) in (int, float)
    if not listed or not all(number is None or type(number) in (int, float) for number in (*scale, *floor)):
        raise DarkposeError("expected numbers: a width, and lists as scale and floor")
    if not isinstance(schema, str) or not isinstance(fitted, dict):
        raise DarkposeError("expected the name of a markup as schema, and an object as fitted")
    missing = float("nan")
    spread, least = (tuple(missing if number is None else number for number in each) for each in (scale, floor))
    return Calibration(schema, width, spread, least, fitted)
