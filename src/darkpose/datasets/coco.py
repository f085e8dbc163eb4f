"""JSON files in COCO's form: images, and annotations with keypoints x, y, v per landmark."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from darkpose.datasets.reading import Floats, checked_box, read_text
from darkpose.errors import DarkposeError


class Annotation(NamedTuple):
    """One annotation: its fields as the file has them, its image, and where it stands, for messages."""

    fields: dict[str, Any]
    image: Path | None
    where: str


def read_json(file: Path) -> dict[str, Any]:
    """The content of a COCO file, with `images` and `annotations` that can be told apart.

    Raises:
        DarkposeError: the file cannot be read, or is not of that form.
    """
    try:
        content = json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise DarkposeError(f"{file}:{error.lineno}: not JSON ({error.msg})") from error
    lists = [content.get(key) if isinstance(content, dict) else None for key in ("images", "annotations")]
    if not all(isinstance(entries, list) and all(isinstance(e, dict) for e in entries) for entries in lists):
        raise DarkposeError(f"{file}: not a COCO file: expected an object with lists `images` and `annotations`")
    for place, fields in enumerate(content["annotations"], 1):
        if not isinstance(fields.get("image_id", ""), int | str):
            raise DarkposeError(f"{file}: annotation {place} in the list has an `image_id` that is no number or text")
    for place, image in enumerate(content["images"], 1):
        if not isinstance(image.get("id"), int | str) or not isinstance(image.get("file_name"), str):
            raise DarkposeError(f"{file}: image {place} in the list lacks an `id` or a `file_name`")
    counts = Counter(image["id"] for image in content["images"])
    twice = next((identity for identity, count in counts.items() if count > 1), None)
    if twice is not None:
        raise DarkposeError(
            f"{file}: the image id {twice!r} stands {counts[twice]} times; annotations name images by it"
        )
    return dict(content)


def faces(content: dict[str, Any], file: Path, images: Path) -> list[Annotation]:
    """The annotations that count, image by image in the order of `images`, as COCO's own reader gives them.

    Dropped, as in the reference: crowds (`iscrowd` other than 0) and annotations whose keypoints are all 0. Where
    `iscrowd` is missing, COCO's reader stops; here it counts as 0, and the misspelt `is_crowd` is read instead.
    """
    names = {image["id"]: image["file_name"] for image in content["images"]}
    place = {identity: position for position, identity in enumerate(names)}
    kept = [fields for fields in content["annotations"] if not _is_crowd(fields) and not _is_empty(fields)]
    kept.sort(key=lambda fields: place.get(fields.get("image_id"), len(place)))
    return [_annotation(fields, names, file, images) for fields in kept]


def _annotation(fields: dict[str, Any], names: dict[int | str, str], file: Path, images: Path) -> Annotation:
    name = names.get(fields.get("image_id", ""))
    return Annotation(fields, images / name if name else None, f"{file}: annotation {fields.get('id', '?')}")


def _is_crowd(fields: dict[str, Any]) -> bool:
    return bool(fields.get("iscrowd", fields.get("is_crowd", 0)) != 0)


def _is_empty(fields: dict[str, Any]) -> bool:
    try:
        return bool(max(fields["keypoints"]) == 0)
    except (KeyError, TypeError, ValueError):
        return False  # whoever reads it will complain


def image_of(face: Annotation) -> Path:
    """The image of an annotation.

    Raises:
        DarkposeError: its `image_id` is none of the file's images.
    """
    if face.image is None:
        raise DarkposeError(f"{face.where}: its image_id {face.fields.get('image_id')!r} is not among the images")
    return face.image


def keypoints_of(face: Annotation, count: int) -> tuple[Floats, Floats]:
    """Landmarks (count, 2) in image px and visibility (count,) = min(1, v) of an annotation.

    Raises:
        DarkposeError: they are not 3 * count numbers.
    """
    values = numbers_of(face, "keypoints", (3 * count,)).reshape(-1, 3)
    return values[:, :2].copy(), np.clip(values[:, 2], 0, 1)


def box_of(face: Annotation) -> Floats:
    """`bbox`, which is x, y, width, height, as x0, y0, x1, y1 in image px."""
    x, y, width, height = numbers_of(face, "bbox", (4,))
    return checked_box(np.array([x, y, x + width, y + height]), face.where)


def numbers_of(face: Annotation, name: str, shape: tuple[int, ...]) -> Floats:
    """A field that holds numbers in this shape; () is a single one.

    Raises:
        DarkposeError: it is missing, or something else.
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
