"""Boxes from the command line: four numbers, or a JSON or CSV file."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from darkpose.errors import DarkposeError
from darkpose.files.json_text import format_json, parse_json
from darkpose.files.paths import exists, is_file, place
from darkpose.files.records import parse_value
from darkpose.files.table import parse_table
from darkpose.files.text import read_text

Boxes = list[list[float]]
_SIDES = ("x0", "y0", "x1", "y1")


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
            self._by_place.setdefault(place(Path(name)), []).append(name)

    def digest(self) -> str:
        """SHA-256 of all boxes, in hex."""
        return hashlib.sha256(format_json([self._everywhere, self._by_image], sort_keys=True).encode()).hexdigest()

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
        same = self._by_place.get(place(image), [])
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
        if place(other) != place(image):
            raise DarkposeError(
                f"{image}: the boxes file has {image.name}, which is the name of {other}, too; write their paths there"
            )


def _four_numbers(text: str) -> list[float] | None:
    parts = text.split(",")
    try:
        return [float(part) for part in parts] if len(parts) == 4 else None
    except ValueError:
        return None


def _read(path: Path) -> dict[str, Boxes]:
    kind = path.suffix.lower()
    if kind not in (".json", ".csv") or not is_file(path):
        found = "" if kind not in (".json", ".csv") else "no regular file" if exists(path) else "there is no such file"
        expected = "expected a box as x0,y0,x1,y1, or a .json or .csv file of boxes"
        raise DarkposeError(f"{path}: {found + '; ' if found else ''}{expected}")
    text = read_text(path)
    try:
        return _parse_json(text) if kind == ".json" else _parse_csv(text, path.name)
    except DarkposeError as error:
        form = '{"photo.jpg": [[x0, y0, x1, y1], ...]} in JSON, or the columns image, x0, y0, x1, y1 in CSV'
        raise DarkposeError(f"{path}: not a boxes file ({error}); expected {form}") from error


def _parse_json(text: str) -> dict[str, Boxes]:
    found = parse_value(Mapping[str, tuple[tuple[float, float, float, float], ...]], parse_json(text))
    return {name: [list(box) for box in boxes] for name, boxes in found.items()}


def _parse_csv(text: str, file: str) -> dict[str, Boxes]:
    boxes: dict[str, Boxes] = {}
    table = parse_table(text, file)
    if missing := [name for name in ("image", *_SIDES) if name not in table.columns]:
        raise DarkposeError(f"{file}:1: there is no column {', '.join(missing)}")
    for where, cells in table.rows:
        row = table.named(where, cells, "image")
        try:
            boxes.setdefault(row["image"], []).append([float(row[side]) for side in _SIDES])
        except ValueError as error:
            raise DarkposeError(f"{where}: expected four numbers ({error})") from error
    return boxes
