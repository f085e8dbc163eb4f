"""Boxes from the command line: four numbers, or a JSON or CSV file."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from darkpose.errors import DarkposeError
from darkpose.files.paths import check_regular

Boxes = list[list[float]]


class GivenBoxes:
    """Boxes by image.

    "x0,y0,x1,y1" (image px) is a box in every image. A file has boxes by image: JSON
    `{"photo.jpg": [[x0, y0, x1, y1], ...]}` or CSV with the columns image, x0, y0, x1, y1. An image is found by its
    path, however it is spelt, or by its file name, if no other image has it. The boxes of several values are combined.
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
        self._named: dict[str, Path] = {}  # by file name: the first image that was found by it
        self._by_place: dict[str, list[str]] = {}
        for name in self._by_image:
            self._by_place.setdefault(_place(Path(name)), []).append(name)

    def digest(self) -> str:
        """SHA-256 of all boxes, in hex."""
        return hashlib.sha256(json.dumps([self._everywhere, self._by_image], sort_keys=True).encode()).hexdigest()

    def of(self, image: Path) -> Boxes:
        """Boxes of an image, by its path, however it is spelt, or by its file name.

        Raises:
            DarkposeError: there are no boxes for it, or the file names it in several ways.
        """
        keys = self._keys_of(image)
        if not keys and not self._everywhere:
            raise DarkposeError(f"{image}: this image is not in the boxes file")
        return [*self._everywhere, *(box for key in keys for box in self._by_image[key])]

    def _keys_of(self, image: Path) -> list[str]:
        """The names in the boxes file that are this image: those of its path, else its file name."""
        if not self._by_image:
            return []
        same = self._by_place.get(_place(image), [])
        if not same and image.name in self._by_image:
            self._check_single(image)
            return [image.name]
        return same

    def check(self, images: Iterable[Path]) -> None:
        """Refuse images that a boxes file names by a file name that several have.

        Raises:
            DarkposeError: there are such images.
        """
        for image in images:
            self._keys_of(image)

    def _check_single(self, image: Path) -> None:
        """Refuse a file name that an earlier image has, too."""
        other = self._named.setdefault(image.name, image)
        if _place(other) != _place(image):
            raise DarkposeError(
                f"{image}: the boxes file has {image.name}, which is the name of {other}, too; write their paths there"
            )


def _place(path: Path) -> str:
    """Where a path is, however it is spelt; links to the file itself are kept apart."""
    try:
        return f"{_real(str(Path.cwd() / path.parent))}/{path.name}"
    except ValueError:  # a NUL, which no file has
        return str(path)


_real = lru_cache(maxsize=4096)(os.path.realpath)


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
