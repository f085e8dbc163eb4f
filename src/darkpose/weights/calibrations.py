"""Calibrations of the covariances of landmarks, and their file next to the weights: one for each schema."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_text
from darkpose.files.json_text import finite_or_none, format_json, read_json
from darkpose.files.records import parse_record
from darkpose.schema import KeypointSchema

FORMAT = "2"
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

    def check(self, schema: KeypointSchema) -> None:
        """Refuse landmarks of which there are more or fewer.

        Raises:
            DarkposeError: the numbers differ.
        """
        if len(self.scale) != len(schema):
            raise DarkposeError(
                f"expected a calibration of the {len(schema)} landmarks of {schema.name}, got one of {len(self.scale)}"
            )

    def digest(self) -> str:
        """SHA-256 of everything the covariances depend on, in hex."""
        numbers = [self.schema, self.width, self.scale, self.floor]
        return hashlib.sha256(format_json(numbers).encode()).hexdigest()


def file_beside(weights: Path) -> Path:
    """Path of the calibrations of a checkpoint file."""
    return weights.with_suffix(".calibration.json")


def calibration_beside(weights: Path, schema: KeypointSchema) -> Calibration | None:
    """The calibration next to a checkpoint file for the schema of this name, if there is one.

    That of a joined schema joins those of its parts, if they have one width.

    Raises:
        DarkposeError: the file cannot be used, or the calibration has another number of landmarks.
    """
    file = file_beside(weights)
    all_found = read_calibrations(file) if file.is_file() else {}
    found = all_found.get(schema.name) or _joined(schema, all_found)
    if found is not None:
        try:
            found.check(schema)
        except DarkposeError as error:
            raise DarkposeError(f"{file}: {error}; scripts/calibrate.py writes one") from error
    return found


def _joined(schema: KeypointSchema, calibrations: Mapping[str, Calibration]) -> Calibration | None:
    """The calibration of all parts of a schema, one after the other."""
    parts = [calibrations[part.name] for part in schema.parts if part.name in calibrations]
    if not parts or len(parts) < len(schema.parts) or len({part.width for part in parts}) > 1:
        return None
    scale, floor = (tuple(chain.from_iterable(getattr(part, name) for part in parts)) for name in ("scale", "floor"))
    return Calibration(schema.name, parts[0].width, scale, floor, {part.schema: part.fitted for part in parts})


def read_calibrations(path: Path) -> dict[str, Calibration]:
    """The calibrations of a file by the names of their schemas.

    Raises:
        DarkposeError: it cannot be read, or is not a file of calibrations.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("darkpose_calibration") != FORMAT:
        raise DarkposeError(f"{path}: expected a calibration of format {FORMAT}; scripts/calibrate.py writes one")
    try:
        written = parse_record(_Written, content).markups
        calibrations = [each.calibration() for each in written]
    except DarkposeError as error:
        raise DarkposeError(f"{path}: {error}") from error
    found = {each.schema: each for each in calibrations}
    if len(found) < len(written):
        raise DarkposeError(f"{path}: expected one calibration for each schema, got several")
    return found


def write_calibrations(calibrations: Iterable[Calibration], path: Path) -> None:
    """Write a file of calibrations, each of another schema, whole or not at all.

    Raises:
        DarkposeError: the file cannot be written.
    """
    listed = [calibration_to_json(each) for each in calibrations]
    content = {"darkpose_calibration": FORMAT, "markups": listed}
    write_text(path, format_json(content) + "\n")


def calibration_to_json(calibration: Calibration) -> dict[str, Any]:
    """A calibration as JSON values; None stands for NaN."""
    scale, floor = (list(map(finite_or_none, numbers)) for numbers in (calibration.scale, calibration.floor))
    return asdict(calibration) | {"scale": scale, "floor": floor}


def calibration_from_json(values: Any) -> Calibration:
    """Inverse of `calibration_to_json`.

    Raises:
        DarkposeError: the values are not those of a calibration.
    """
    return parse_record(_WrittenCalibration, values).calibration()


@dataclass(frozen=True)
class _WrittenCalibration:
    """A calibration in a file: None stands for NaN."""

    schema: str
    width: float
    scale: tuple[float | None, ...]
    floor: tuple[float | None, ...]
    fitted: Mapping[str, Any]

    def calibration(self) -> Calibration:
        scale, floor = (
            tuple(math.nan if number is None else number for number in numbers) for numbers in (self.scale, self.floor)
        )
        return Calibration(self.schema, self.width, scale, floor, self.fitted)


@dataclass(frozen=True)
class _Written:
    """A file of calibrations."""

    darkpose_calibration: str
    markups: tuple[_WrittenCalibration, ...]
