"""CSV tables with one annotated object per row, in the columns of `points.read_csv_points`."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from darkpose.datasets.image_folder import find_image_folder
from darkpose.datasets.labels import Labelled, Labels, labelled
from darkpose.datasets.points import BOX, read_rows, row_landmarks
from darkpose.datasets.reading import numbers, read_each
from darkpose.schema import KeypointSchema, name_for_schema


def read_csv_labels(file: Path, images: Path | None, category: str | None, broken: list[str] | None) -> Labels:
    """The objects of a table; it has no categories.

    Raises:
        DarkposeError: the file has another format, or a row cannot be read and `broken` is None.
    """
    table, names = read_rows(file)
    at = table.columns.index("image")
    folder = find_image_folder(file, images, [row[at].strip() for _, row in table.rows if at < len(row)])

    def read(row: tuple[str, list[str]]) -> Labelled:
        where, cells = row[0], table.named(*row, "image")
        image = folder.find(cells["image"], where)
        keypoints, visibility = row_landmarks(cells, names, where)
        given = [cells.get(side, "") for side in BOX]
        return labelled(image, keypoints, visibility, numbers(given, where).tolist() if any(given) else None, where)

    objects = read_each(file, table.rows, read, broken)
    notes = folder.notes(each.sample.image for each in objects)
    return Labels(objects, len(names), name_for_schema(file.stem), tuple(names), notes=tuple(notes))


def format_csv(objects: Sequence[Labelled], schema: KeypointSchema, names: Mapping[Path, str]) -> str:
    """The text of a table; `names` are those of the images."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", *(f"{name}_{axis}" for name in schema.names for axis in "xyv"), *BOX])
    for sample, hidden in objects:
        cells: list[object] = [names[sample.image]]
        for (x, y), seen, behind in zip(sample.keypoints.tolist(), sample.visible > 0, hidden, strict=True):
            cells += [x, y, 1 if behind else 2] if seen else ["", "", 0]
        writer.writerow([*cells, *sample.box.tolist()])
    return text.getvalue()
