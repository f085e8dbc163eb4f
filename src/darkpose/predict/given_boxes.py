"""Boxes from the command line: four numbers, or a JSON or CSV file."""

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

from darkpose.errors import DarkposeError
from darkpose.files.paths import check_regular

Boxes = list[list[float]]


class GivenBoxes:
    """Boxes by image.

    "x0,y0,x1,y1" (image px) is a box in every image. A file has boxes by image: JSON
    `{"photo.jpg": [[x0, y0, x1, y1], ...]}` or CSV with the columns image, x0, y0, x1, y1. The boxes of several values
    are combined.
    """

    def __init__(self, values: Sequence[str]) -> None:
        """Read the values of `--boxes`.

        Raises:
            DarkposeError: a value is neither four numbers nor a readable file.
        """
        self._everywhere: Boxes = []
        self._by_image: dict[str, Boxes] = {}
        for value in values:
            if (box := _four_numbers(value)) is not None:
                self._everywhere.append(box)
            else:
                for name, boxes in _read(Path(value)).items():
                    self._by_image.setdefault(str(Path(name)), []).extend(boxes)

    def digest(self) -> str:
        """SHA-256 of all boxes, in hex."""
        return hashlib.sha256(json.dumps([self._everywhere, self._by_image], sort_keys=True).encode()).hexdigest()

    def of(self, image: Path) -> Boxes:
        """Boxes of an image, by its path as given or by its file name.

        Raises:
            DarkposeError: there are no boxes for it.
        """
        named = self._by_image.get(str(image), self._by_image.get(image.name))
        if named is None and not self._everywhere:
            raise DarkposeError(f"{image}: this image is not in the boxes file")
        return [*self._everywhere, *(named or [])]


def _four_numbers(text: str) -> list[float] | None:
    parts = text.split(",")
    try:
        return [float(part) for part in parts] if len(parts) == 4 else None
    except ValueError:
        return None


def _read(path: Path) -> dict[str, Boxes]:
    expected = "expected a box as x0,y0,x1,y1, or a .json or .csv file of boxes"
    try:
        check_regular(path)
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DarkposeError(f"{path}: {expected} ({getattr(error, 'strerror', None) or error})") from error
    try:
        if path.suffix.lower() == ".json":
            return {name: [[float(v) for v in box] for box in boxes] for name, boxes in json.loads(text).items()}
        if path.suffix.lower() == ".csv":
            return _parse_csv(text)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, OverflowError, csv.Error) as error:
        form = '{"photo.jpg": [[x0, y0, x1, y1], ...]} in JSON, or the columns image, x0, y0, x1, y1 in CSV'
        raise DarkposeError(f"{path}: not a boxes file ({error}); expected {form}") from error
    raise DarkposeError(f"{path}: {expected}")


def _parse_csv(text: str) -> dict[str, Boxes]:
    boxes: dict[str, Boxes] = {}
    for number, row in enumerate(csv.DictReader(io.StringIO(text, newline="")), 2):
        if None in row or None in row.values():
            raise ValueError(f"row {number} has another number of columns than the first row")
        boxes.setdefault(row["image"], []).append([float(row[side]) for side in ("x0", "y0", "x1", "y1")])
    return boxes
