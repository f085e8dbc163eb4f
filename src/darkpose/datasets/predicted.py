"""Predictions as annotations: files of predictions, lines of `darkpose predict --json`, and folders of its files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from darkpose.datasets.image_folder import ImageFolder, files_below, find_image_folder
from darkpose.datasets.labels import Labelled, Labels, labelled
from darkpose.datasets.predictions_file import read_predictions
from darkpose.datasets.reading import read_each
from darkpose.errors import DarkposeError
from darkpose.files.json_text import parse_json_lines, shortened
from darkpose.files.paths import is_folder
from darkpose.files.text import read_text
from darkpose.schema import SCHEMAS, name_for_schema


def read_predicted(file: Path, images: Path | None, category: str | None, broken: list[str] | None) -> Labels:
    """The faces that were found; their names are those of the file, or of the shipped schema that it names.

    Raises:
        DarkposeError: the file has another format, or a face cannot be read and `broken` is None.
    """
    entries, missed, names, markup = _entries(file)
    sizes = {len(points) for _, _, points, _ in entries}
    if len(sizes) > 1:
        raise DarkposeError(
            f"{file}: expected faces of one schema, got some of {' and '.join(map(str, sorted(sizes)))} landmarks"
        )
    landmarks = max(sizes, default=0)
    folder = find_image_folder(file, images, [image for _, image, _, _ in entries])

    def read(entry: tuple[str, str, Any, Any]) -> Labelled:
        return _labelled(*entry, folder)

    objects = read_each(file, entries, read, broken)
    schema = SCHEMAS.get(markup)
    if names is None and schema is not None and len(schema) == landmarks:
        names = schema.names
    known = schema if schema is not None and names == schema.names else None
    notes = [f"faces that these predictions did not find: {missed}"] if missed else []
    notes += folder.notes(each.sample.image for each in objects)
    return Labels(
        objects,
        landmarks,
        name_for_schema(markup or file.stem),
        names,
        outlines=known.outlines if known else (),
        flip_pairs=known.flip_pairs if known else None,
        notes=tuple(notes),
    )


def _labelled(where: str, image: str, points: Any, box: Any, folder: ImageFolder) -> Labelled:
    keypoints = np.array(points, np.float64).reshape(-1, 2)
    seen = np.isfinite(keypoints).all(axis=1)
    return labelled(folder.find(image, where), keypoints, np.where(seen, 2.0, 0.0), box, where)


Entries = tuple[list[tuple[str, str, Any, Any]], int, tuple[str, ...] | None, str]


def _entries(path: Path) -> Entries:
    """Place, image, landmarks and box of every face; the number of missed faces; names; name of the schema."""
    if not is_folder(path):
        return _entries_of_file(path)
    files = [_entries_of_file(file) for file in files_below(path, (".json",))]
    faces, missed = [face for each in files for face in each[0]], sum(each[1] for each in files)
    return (
        faces,
        missed,
        next((each[2] for each in files if each[2]), None),
        next((each[3] for each in files if each[3]), ""),
    )


def _entries_of_file(file: Path) -> Entries:
    text = read_text(file)
    first = next((values for _, values in parse_json_lines(text, file)), None)
    if isinstance(first, dict) and "darkpose_predictions" in first:
        content = read_predictions(file)
        nameless = next((face for face in content.keypoints if face not in content.images), None)
        if nameless is not None:
            raise DarkposeError(f"{file}, line {content.lines[nameless]}: expected the image of face {nameless}")
        found = [
            (f"{file}, line {content.lines[face]}", content.images[face], points, _listed(content.boxes.get(face)))
            for face, points in content.keypoints.items()
            if points is not None
        ]
        return found, len(content.keypoints) - len(found), None, str(content.header.get("markup", ""))
    found, names, markup = [], None, ""
    for number, values in parse_json_lines(text, file):
        for face in _faces(values, f"{file}, line {number}"):
            given = face.get("names")
            if isinstance(given, list) and all(isinstance(name, str) for name in given):
                names = names or tuple(given)
            markup = markup or str(face.get("markup", ""))
            found.append((f"{file}, line {number}", values["image"], face["keypoints"], face.get("box")))
    return found, 0, names, markup


def _listed(box: Any) -> list[float] | None:
    return None if box is None else box.tolist()


def _faces(values: Any, where: str) -> list[Mapping[str, Any]]:
    """The faces of a line of `predict --json`, their landmarks checked."""
    faces = values.get("faces") if isinstance(values, dict) else None
    if not isinstance(faces, list) or not isinstance(values.get("image"), str):
        raise DarkposeError(f"{where}: expected an image and its faces, got {shortened(values)}")
    for face in faces:
        if (
            not isinstance(face, dict)
            or not _are_rows(face.get("keypoints"), 2)
            or not _are_numbers(face.get("box"), 4)
        ):
            raise DarkposeError(f"{where}: expected a face with keypoints and a box, got {shortened(face)}")
    return faces


def _are_rows(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and bool(values)
        and all(isinstance(v, list) and _are_numbers(v, count) for v in values)
    )


def _are_numbers(values: Any, count: int) -> bool:
    if values is None:
        return True
    return (
        isinstance(values, list) and len(values) == count and all(type(v) in (int, float, type(None)) for v in values)
    )
