"""JSON files in the format of COCO: images, and annotations with x, y, v per landmark."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from darkpose.datasets.reading import checked_box
from darkpose.errors import DarkposeError
from darkpose.files.json_text import read_json
from darkpose.image.geometry import Floats
from darkpose.schema import Pairs


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
    for entries, key in ((content["images"], "id"), (content["annotations"], "image_id")):
        for entry in entries:
            if isinstance(number := entry.get(key), float) and number.is_integer():
                entry[key] = int(number)
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
    names: dict[int | str, str] = {image["id"]: image["file_name"] for image in content["images"]}
    place = {identity: position for position, identity in enumerate(names)}
    kept = [fields for fields in content["annotations"] if not is_crowd(fields) and not _is_empty(fields)]
    kept.sort(key=lambda fields: place.get(fields.get("image_id"), len(place)))
    texts = {str(identity): name for identity, name in names.items()}
    return [_annotation(fields, names, texts, file, images) for fields in kept]


def _annotation(
    fields: dict[str, Any], names: dict[int | str, str], texts: dict[str, str], file: Path, images: Path
) -> Annotation:
    identity = fields.get("image_id", "")
    name = names.get(identity) or texts.get(str(identity))  # some tools write numbers here and texts there
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


def why_left_out(fields: dict[str, Any], category: object) -> str:
    """Why an annotation is no object of a category with landmarks; "" if it is one."""
    own = fields.get("category_id", category)
    if own != category and str(own) != str(category):
        return "of another category"
    return "of a crowd" if is_crowd(fields) else "without landmarks" if _is_unseen(fields) else ""


def category_of(categories: object, file: Path, wanted: str | None) -> tuple[dict[str, Any], list[str], Pairs]:
    """A category, the names of its landmarks, and the edges of its skeleton, counted from 0.

    Raises:
        DarkposeError: there is no category with landmarks, several and none is wanted, or its skeleton is wrong.
    """
    listed = [each for each in categories if isinstance(each, dict)] if isinstance(categories, list) else []
    able = [each for each in listed if isinstance(each.get("keypoints"), list) and each["keypoints"]]
    fits = [each for each in able if wanted is None or each.get("name") == wanted]
    if len(fits) != 1:
        choices = ", ".join(repr(each.get("name")) for each in able) or "none"
        raise DarkposeError(
            f"{file}: expected one category that names its landmarks as `keypoints`"
            f"{'' if wanted is None else f' and is called {wanted!r}'}; choose with category=: {choices}"
        )
    (category,) = fits
    try:
        edges = tuple((int(i) - 1, int(j) - 1) for i, j in category.get("skeleton") or ())
    except (TypeError, ValueError, OverflowError):
        raise DarkposeError(f"{file}: expected `skeleton` to be pairs of landmark numbers from 1") from None
    return category, [str(name) for name in category["keypoints"]], edges


def _is_unseen(fields: dict[str, Any]) -> bool:
    """Whether an annotation has no landmark: an empty list, none, or v = 0 for all."""
    values = fields.get("keypoints")
    return not values or (isinstance(values, list) and all(v == 0 for v in values[2::3]))
