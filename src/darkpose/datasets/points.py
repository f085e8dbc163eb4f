"""Readers for any set of landmarks: COCO keypoint files and CSV tables.

Coordinates are image px, the centre of the first pixel at (0, 0). Neither format holds flip pairs: give them by name as
`flip_pairs`. Without them, names that differ only in left_ and right_ are paired, with a warning.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from darkpose.datasets.coco import (
    Annotation,
    box_of,
    category_of,
    faces,
    image_of,
    keypoints_of,
    read_coco,
    why_left_out,
)
from darkpose.datasets.reading import (
    BoxSource,
    checked_box,
    numbers,
    read_each,
    tight_box,
    uses_file_box,
)
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError, shown
from darkpose.files.table import Table, parse_table
from darkpose.files.text import read_text
from darkpose.image.geometry import Floats
from darkpose.schema import KeypointSchema, flip_pairs_from_names, name_for_schema

FlipPairs = Sequence[tuple[str, str]]
SamplesAndSchema = tuple[list[Sample], KeypointSchema]
BOX = ("x0", "y0", "x1", "y1")


def read_coco_points(
    file: Path,
    images: Path | None = None,
    *,
    flip_pairs: FlipPairs | None = None,
    box: BoxSource = "landmarks",
    category: str | None = None,
    broken: list[str] | None = None,
) -> SamplesAndSchema:
    """Read the faces and the schema of a COCO keypoints file.

    The schema comes from a category: names from `keypoints`, outlines from `skeleton`, counted from 1. Landmarks with
    v = 0 are not annotated. Crowds, annotations of other categories, and annotations without landmarks (an empty or
    missing list, or v = 0 for all) are left out and counted in a warning.

    Args:
        file: the JSON file.
        images: the folder of the images; None: the folder of the file.
        flip_pairs: names of landmarks that mirror each other; () if none do.
        box: "landmarks": the tight box of the annotated landmarks, as in published data sets; "file": `bbox`.
        category: name of the category; None: the only one that names landmarks.
        broken: collects the messages of faces that cannot be read; None: the first one raises.

    Raises:
        DarkposeError: the file is missing or has another format, or a face cannot be read (the annotation is named).
    """
    content, file_box = read_coco(file), uses_file_box(box)
    chosen, names, edges = category_of(content.get("categories"), file, category)
    reasons = [why_left_out(fields, chosen.get("id")) for fields in content["annotations"]]
    content["annotations"] = [fields for fields, why in zip(content["annotations"], reasons, strict=True) if not why]
    if left := Counter(filter(None, reasons)):
        told = ", ".join(f"{count} {why}" for why, count in left.items())
        warnings.warn(shown(f"{file}: {left.total()} of {len(reasons)} annotations are left out: {told}"), stacklevel=2)
    schema = _schema(file, names, flip_pairs, edges)

    def read(face: Annotation) -> Sample:
        keypoints, visible = keypoints_of(face, len(schema))
        around = box_of(face) if file_box else tight_box(keypoints, visible, face.where)
        return Sample(image_of(face), keypoints, visible, around, source=face.where)

    return read_each(file, faces(content, file, images or file.parent), read, broken), schema


def read_csv_points(
    file: Path, images: Path | None = None, *, flip_pairs: FlipPairs | None = None, broken: list[str] | None = None
) -> SamplesAndSchema:
    """Read the faces and the schema of a CSV table with one face per row.

    Columns: `image`; NAME_x and NAME_y for every landmark, in schema order; optionally NAME_v, 0 if the landmark is not
    annotated; optionally a box x0, y0, x1, y1. A landmark with empty x and y is not annotated. Without a box, or with
    an empty one, the tight box of the annotated landmarks is used. A first column without a name, as pandas writes its
    index, is left out.

    Args:
        file: the table, separated by commas; or by semicolons or tabs, then with decimal points or commas.
        images: the folder of the images; None: the folder of the file.
        flip_pairs: names of landmarks that mirror each other; () if none do.
        broken: collects the messages of rows that cannot be read; None: the first one raises.

    Raises:
        DarkposeError: the file is missing, its columns are wrong, or a row cannot be read (the line is named).
    """
    table, names = read_rows(file)
    folder = images or file.parent

    def read(row: tuple[str, list[str]]) -> Sample:
        where, cells = row[0], table.named(*row, "image")
        if not cells["image"]:
            raise DarkposeError(f"{where}: expected the name of an image, got an empty field")
        keypoints, visibility = row_landmarks(cells, names, where)
        given, visible = [cells.get(side, "") for side in BOX], np.clip(visibility, 0, 1)
        box = checked_box(numbers(given, where), where) if any(given) else tight_box(keypoints, visible, where)
        return Sample(folder / cells["image"], keypoints, visible, box, source=where)

    return read_each(file, table.rows, read, broken), _schema(file, names, flip_pairs)


def read_rows(file: Path) -> tuple[Table, list[str]]:
    """The table of a file, as for `read_csv_points`, and the names of its landmarks.

    Raises:
        DarkposeError: the file cannot be read, or its columns are wrong.
    """
    table = parse_table(read_text(file), file)
    indexed = table.columns[:1] in (("",), ("Unnamed: 0",))
    return table, _landmarks(table.columns[indexed:], file)


def _landmarks(columns: Sequence[str], file: Path) -> list[str]:
    """Names of the landmarks; a DarkposeError lists missing and unknown columns."""
    names = [column.removesuffix("_x") for column in columns if column.endswith("_x")]
    needed = {"image", *(f"{name}_{axis}" for name in names for axis in "xy")}
    known = needed | {f"{name}_v" for name in names} | (set(BOX) if set(BOX) <= set(columns) else set())
    problems = {
        "missing": sorted(needed - set(columns)),
        "unknown": sorted(set(columns) - known),
    }
    if not names or any(problems.values()):
        found = "; ".join(f"{what}: {', '.join(which)}" for what, which in problems.items() if which)
        raise DarkposeError(
            f"{file}:1: expected the columns image, NAME_x and NAME_y for every landmark, optionally NAME_v and the "
            f"box x0, y0, x1, y1, separated by commas, semicolons or tabs; {found or 'no landmarks'}"
        )
    return names


def row_landmarks(cells: dict[str, str], names: Sequence[str], where: str) -> tuple[Floats, Floats]:
    """Landmarks (K, 2), (0, 0) if not annotated, and visibility (K,): 0, 1 or 2, as in COCO."""
    xy = [(cells[f"{name}_x"], cells[f"{name}_y"]) for name in names]
    there = np.array([bool(x or y) for x, y in xy])
    keypoints = numbers([cell if known else "0" for pair, known in zip(xy, there, strict=True) for cell in pair], where)
    given = numbers([cells.get(f"{name}_v") or "2" for name in names], where)
    return keypoints.reshape(-1, 2), there * given


def _schema(
    file: Path, names: list[str], flip_pairs: FlipPairs | None, edges: tuple[tuple[int, int], ...] = ()
) -> KeypointSchema:
    """The schema; warns if its flip pairs are inferred."""
    name = name_for_schema(file.stem)
    schema = KeypointSchema(name, tuple(names), (), edges)
    pairs = [(schema.index(one), schema.index(other)) for one, other in flip_pairs or ()]
    if flip_pairs is None:
        pairs = list(flip_pairs_from_names(schema.names))
        inferred = ", ".join(f"{names[i]} <-> {names[j]}" for i, j in pairs) or "none, as no name has left_ or right_"
        told = (
            f"{file}: flip pairs inferred from the names of the landmarks: {inferred}; to avoid this warning, give "
            "flip_pairs=[(NAME, NAME), ...], or () if there are none"
        )
        warnings.warn(shown(told), stacklevel=3)
    return KeypointSchema(name, schema.names, tuple(pairs), edges)
