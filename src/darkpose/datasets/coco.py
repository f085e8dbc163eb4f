"""JSON files in the format of COCO: images, and annotations with x, y, v per landmark."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from darkpose.datasets.reading import checked_box
from darkpose.errors import DarkposeError
from darkpose.files.json_text import read_json
from darkpose.image.geometry import Floats


class Annotation(NamedTuple):
    """One annotation: its fields, its image (None if unknown), and its place in the file for messages."""

    fields: dict[str, Any]
    image: Path | None
    where: str


def read_coco(file: Path) -> dict[str, Any]:
    """Read a COCO file with valid lists `images` and `annotations`.

    Raises:
        DarkposeError: the file cannot be read or has another format.
    """
    content = read_json(file)
    lists = [content.get(key) if isinstance(content, dict) else None for key in ("images", "annotations")]
    if not all(isinstance(entries, list) and all(isinstance(e, dict) for e in entries) for entries in lists):
        raise DarkposeError(f"{file}: not a COCO file: expected an object with lists `images` and `annotations`")
    for place, fields in enumerate(content["annotations"], 1):
        if not isinstance(fields.get("image_id", ""), int | str):
            raise DarkposeError(f"{file}: annotation {place} in the list: expected a number or text as `image_id`")
    for place, image in enumerate(content["images"], 1):
        if not isinstance(image.get("id"), int | str) or not isinstance(image.get("file_name"), str):
            raise DarkposeError(f"{file}: image {place} in the list: expected an `id` and a `file_name`")
    counts = Counter(image["id"] for image in content["images"])
    twice = next((identity for identity, count in counts.items() if count > 1), None)
    if twice is not None:
        raise DarkposeError(f"{file}: expected unique image ids, got {twice!r} {counts[twice]} times")
    return dict(content)


def faces(content: dict[str, Any], file: Path, images: Path) -> list[Annotation]:
    """The annotations of faces, image by image in the order of `images`, as the reader of COCO gives them.

    As in the reference, crowds (`iscrowd` other than 0) and annotations with all keypoints 0 are skipped. A missing
    `iscrowd`, at which the reader of COCO stops, and null count as 0; the misspelt `is_crowd` is read, too.
    """
    names = {image["id"]: image["file_name"] for image in content["images"]}
    place = {identity: position for position, identity in enumerate(names)}
    kept = [fields for fields in content["annotations"] if not is_crowd(fields) and not _is_empty(fields)]
    kept.sort(key=lambda fields: place.get(fields.get("image_id"), len(place)))
    return [_annotation(fields, names, file, images) for fields in kept]


def _annotation(fields: dict[str, Any], names: dict[int | str, str], file: Path, images: Path) -> Annotation:
    name = names.get(fields.get("image_id", ""))
    return Annotation(fields, images / name if name else None, f"{file}: annotation {fields.get('id', '?')}")


def is_crowd(fields: dict[str, Any]) -> bool:
    """Whether an annotation is of several faces at once."""
    return bool(fields.get("iscrowd", fields.get("is_crowd", 0)) not in (0, None))


def _is_empty(fields: dict[str, Any]) -> bool:
    try:
        return bool(max(fields["keypoints"]) == 0)
    except (KeyError, TypeError, ValueError):
        return False  # `keypoints_of` raises


def image_of(face: Annotation) -> Path:
    """The path of the image of an annotation.

    Raises:
        DarkposeError: the file has no image with its `image_id`.
    """
    if face.image is None:
        raise DarkposeError(f"{face.where}: its image_id {face.fields.get('image_id')!r} is not among the images")
    return face.image


def keypoints_of(face: Annotation, count: int) -> tuple[Floats, Floats]:
    """Landmarks (count, 2) in image px and visibility (count,) = min(1, v) of an annotation.

    Raises:
        DarkposeError: `keypoints` is not 3 * count numbers.
    """
    values = numbers_of(face, "keypoints", (3 * count,)).reshape(-1, 3)
    return values[:, :2].copy(), np.clip(values[:, 2], 0, 1)


def box_of(face: Annotation) -> Floats:
    """The box (4,) x0, y0, x1, y1 in image px from `bbox`, which is x, y, width, height."""
    x, y, width, height = numbers_of(face, "bbox", (4,))
    return checked_box(np.array([x, y, x + width, y + height]), face.where)


def numbers_of(face: Annotation, name: str, shape: tuple[int, ...]) -> Floats:
    """The numbers in a field, as an array of this shape; () is a single number.

    Raises:
        DarkposeError: the field is missing or different.
    """
    value = face.fields.get(name)
    try:
        values = np.asarray(value, np.float64) if value is not None else None
    except (TypeError, ValueError):
        values = None
    if values is None or values.shape != shape:
        expected = f"{shape[0]} numbers" if shape else "a number"
        got = f"a list of {len(value)}" if isinstance(value, list) else repr(value)
        raise DarkposeError(f"{face.where}: expected {expected} as {name}, got {got}")
    return values
