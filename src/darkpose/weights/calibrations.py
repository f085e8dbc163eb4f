"""Calibrations of the covariances of landmarks, and their file next to the weights: one for each schema."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_text
from darkpose.files.paths import check_regular

FORMAT = "2"
KEYS = ("schema", "width", "scale", "floor", "fitted")
SMALLEST_FLOOR = 1e-9  # px^2


@dataclass(frozen=True)
class Calibration:
    """Numbers that turn the widths of peaks into covariances of errors (see `predict.covariance`).

    Attributes:
        schema: name of the schema.
        width: heatmap px^2, of the peak where the network is sure.
        scale: (K,) factor of the width in excess, not negative; NaN where a landmark has no calibration.
        floor: (K,) heatmap px^2, along both axes, positive; NaN there, too.
        fitted: method and data of the fit; JSON values.
    """

    schema: str
    width: float
    scale: tuple[float, ...]
    floor: tuple[float, ...]
    fitted: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not self.scale or len(self.scale) != len(self.floor):
            raise DarkposeError(f"one scale and one floor per landmark, got {len(self.scale)} and {len(self.floor)}")
        known = ~(np.isnan(self.scale) & np.isnan(self.floor))
        for name, values, least in (
            ("width", np.array([self.width]), 0),
            ("scale", np.asarray(self.scale, np.float64)[known], 0),
            ("floor", np.asarray(self.floor, np.float64)[known], SMALLEST_FLOOR),
        ):
            if not (np.isfinite(values) & (values >= least)).all():
                raise DarkposeError(f"{name} must be finite and at least {least:g}, got {getattr(self, name)}")


def file_beside(weights: Path) -> Path:
    """Path of the calibrations of a checkpoint file."""
    return weights.with_suffix(".calibration.json")


def calibration_beside(weights: Path, schema: str) -> Calibration | None:
    """The calibration next to a checkpoint file for the schema of this name, if there is one.

    Raises:
        DarkposeError: the file cannot be used.
    """
    file = file_beside(weights)
    return read_calibrations(file).get(schema) if file.is_file() else None


def read_calibrations(path: Path) -> dict[str, Calibration]:
    """The calibrations of a file by the names of their schemas.

    Raises:
        DarkposeError: it cannot be read, or is not a file of calibrations.
    """
    try:
        check_regular(path)
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DarkposeError(f"{path}: not a readable JSON file ({error})") from error
    if not isinstance(content, dict) or content.get("darkpose_calibration") != FORMAT:
        raise DarkposeError(f"{path}: expected a calibration of format {FORMAT}; scripts/calibrate.py writes one")
    listed = content.get("markups")
    if not isinstance(listed, list) or set(content) != {"darkpose_calibration", "markups"}:
        raise DarkposeError(f"{path}: expected a list named markups and the format, got {sorted(content)}")
    try:
        calibrations = [calibration_from_json(values) for values in listed]
    except DarkposeError as error:
        raise DarkposeError(f"{path}: {error}") from error
    found = {each.schema: each for each in calibrations}
    if len(found) < len(listed):
        raise DarkposeError(f"{path}: expected one calibration for each schema, got several")
    return found


def write_calibrations(calibrations: Iterable[Calibration], path: Path) -> None:
    """Write a file of calibrations, each of another schema, whole or not at all.

    Raises:
        DarkposeError: the file cannot be written.
    """
    listed = [calibration_to_json(each) for each in calibrations]
    content = {"darkpose_calibration": FORMAT, "markups": listed}
    write_text(path, json.dumps(content, allow_nan=False) + "\n")


def _listed(numbers: Iterable[float]) -> list[float | None]:
    """JSON has no NaN."""
    return [None if math.isnan(number) else number for number in numbers]


def calibration_to_json(calibration: Calibration) -> dict[str, Any]:
    """A calibration as JSON values; None stands for NaN."""
    scale, floor = _listed(calibration.scale), _listed(calibration.floor)
    return asdict(calibration) | {"scale": scale, "floor": floor}


def calibration_from_json(values: Any) -> Calibration:
    """Inverse of `calibration_to_json`.

    Raises:
        DarkposeError: the values are not those of a calibration.
    """
    if not isinstance(values, dict) or set(values) != set(KEYS):
        got = sorted(values) if isinstance(values, dict) else type(values).__name__
        raise DarkposeError(f"expected a calibration with {sorted(KEYS)}, got {got}")
    schema, width, scale, floor, fitted = (values[key] for key in KEYS)
    listed = isinstance(scale, list) and isinstance(floor, list) and type(width) in (int, float)
    if not listed or not all(number is None or type(number) in (int, float) for number in (*scale, *floor)):
        raise DarkposeError("expected numbers: a width, and lists as scale and floor")
    if not isinstance(schema, str) or not isinstance(fitted, dict):
        raise DarkposeError("expected the name of a schema, and an object as fitted")
    missing = float("nan")
    spread, least = (tuple(missing if number is None else number for number in each) for each in (scale, floor))
    return Calibration(schema, width, spread, least, fitted)
