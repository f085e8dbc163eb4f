"""COCO keypoint files as annotation tools write them: CVAT, Label Studio, Roboflow, labelme2coco."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from darkpose.datasets.coco import (
    Annotation,
    category_of,
    faces,
    keypoints_of,
    numbers_of,
    read_coco,
    why_left_out,
)
from darkpose.datasets.image_folder import find_image_folder
from darkpose.datasets.labels import Labelled, Labels, labelled
from darkpose.datasets.reading import read_each
from darkpose.errors import DarkposeError
from darkpose.schema import KeypointSchema, name_for_schema


def read_coco_labels(file: Path, images: Path | None, category: str | None, broken: list[str] | None) -> Labels:
    """The objects of one category of a COCO file; the box is `bbox`, else that of the landmarks.

    Crowds, other categories and annotations without landmarks are left out, and counted in a note.

    Raises:
        DarkposeError: the file has another format, or an annotation cannot be read and `broken` is None.
    """
    content = read_coco(file)
    chosen, names, edges = category_of(content.get("categories"), file, category)
    reasons = [why_left_out(fields, chosen.get("id")) for fields in content["annotations"]]
    notes = _notes(content, reasons)
    content["annotations"] = [fields for fields, why in zip(content["annotations"], reasons, strict=True) if not why]
    folder = find_image_folder(file, images, [image["file_name"] for image in content["images"]])
    file_names = {str(image["id"]): image["file_name"] for image in content["images"]}

    def read(face: Annotation) -> Labelled:
        name = file_names.get(str(face.fields.get("image_id")))
        if name is None:
            raise DarkposeError(f"{face.where}: its image_id {face.fields.get('image_id')!r} is not among the images")
        keypoints, _ = keypoints_of(face, len(names))
        visibility = numbers_of(face, "keypoints", (3 * len(names),))[2::3]
        return labelled(folder.find(name, face.where), keypoints, visibility, _box(face), face.where)

    objects = read_each(file, faces(content, file, folder.folder), read, broken)
    called = str(chosen.get("name", ""))
    notes += folder.notes(each.sample.image for each in objects)
    name = file.stem if called in ("", "default") else called  # Label Studio calls all landmarks "default"
    return Labels(objects, len(names), name_for_schema(name), tuple(names), edges, None, called, tuple(notes))


def _box(face: Annotation) -> Sequence[float] | None:
    if not face.fields.get("bbox"):
        return None
    x, y, width, height = numbers_of(face, "bbox", (4,))
    return x, y, x + width, y + height


def _notes(content: dict[str, Any], reasons: Sequence[str]) -> list[str]:
    notes, annotations = [], content["annotations"]
    if left := Counter(filter(None, reasons)):
        told = ", ".join(f"{count} {why}" for why, count in left.items())
        notes.append(f"{left.total()} of {len(reasons)} annotations are left out: {told}")
    if twice := [each for each, count in Counter(str(fields.get("id")) for fields in annotations).items() if count > 1]:
        notes.append(f"ids of several annotations: {len(twice)}, the first: {twice[0]}; all of them are read")
    used = {str(fields.get("image_id")) for fields, why in zip(annotations, reasons, strict=True) if not why}
    if bare := sum(str(image["id"]) not in used for image in content["images"]):
        notes.append(f"{bare} of {len(content['images'])} images have no annotation that is read")
    return notes


def coco_content(
    objects: Sequence[Labelled],
    schema: KeypointSchema,
    category: str,
    names: dict[Path, str],
    sizes: dict[Path, tuple[int, int]],
) -> dict[str, Any]:
    """The values of a COCO file.

    Args:
        objects: of the annotations, in their order.
        schema: of the landmarks.
        category: name of the only category.
        names: image -> its `file_name`.
        sizes: image -> (width, height) px; an image without is written without them.
    """
    numbers = {path: number for number, path in enumerate(names, 1)}
    images = [
        {"id": numbers[path], "file_name": name}
        | ({"width": sizes[path][0], "height": sizes[path][1]} if path in sizes else {})
        for path, name in names.items()
    ]
    annotations = [
        {"id": number, "image_id": numbers[each.sample.image], "category_id": 1, **_annotation(each)}
        for number, each in enumerate(objects, 1)
    ]
    edges = sorted({(a + 1, b + 1) for line in schema.outlines for a, b in pairwise(line)})
    one = {"id": 1, "name": category, "supercategory": "", "keypoints": list(schema.names), "skeleton": edges}
    return {"images": images, "annotations": annotations, "categories": [one]}


def _annotation(each: Labelled) -> dict[str, Any]:
    x0, y0, x1, y1 = each.sample.box.tolist()
    seen = each.sample.visible > 0
    visibility = np.where(seen, np.where(each.hidden, 1, 2), 0)
    points = [
        [*xy, v] if v else [0, 0, 0] for xy, v in zip(each.sample.keypoints.tolist(), visibility.tolist(), strict=True)
    ]
    return {
        "keypoints": [value for point in points for value in point],
        "num_keypoints": int(seen.sum()),
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": (x1 - x0) * (y1 - y0),
        "iscrowd": 0,
        "segmentation": [],
    }
