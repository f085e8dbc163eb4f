"""Faces as JSON, CSV, .pts and COCO text."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import printable
from darkpose.files.json_text import finite_or_none, format_json
from darkpose.files.paths import name_below, shared_folder
from darkpose.files.pts import format_pts
from darkpose.predict.derived_values import NUMBERS, PROBLEM, derived_values
from darkpose.predict.face import Face
from darkpose.schema import SCHEMAS, KeypointSchema


@dataclass(frozen=True)
class ImageResult:
    """All faces of one image.

    Attributes:
        image: the path as the user gave it.
        size: (width, height) px.
        faces: found in it.
        derived: whether pose, openness and five points are told, too.
    """

    image: str
    size: tuple[int, int]
    faces: Sequence[Face]
    derived: bool = False


def to_dict(result: ImageResult) -> dict[str, Any]:
    """JSON values of one image's faces; coordinates in image px, the first pixel's centre at (0, 0).

    Faces with covariances have "covariances": [[xx, xy], [xy, yy]] in image px^2 per landmark, null if not known.
    "derived" has the numbers of `derived_values`, null if not known, and the reason.
    """
    return {
        "image": printable(result.image),
        "width": result.size[0],
        "height": result.size[1],
        "faces": [
            {**face_values(face), **({"derived": derived_values(face, result.size)} if result.derived else {})}
            for face in result.faces
        ],
    }


def face_values(face: Face) -> dict[str, Any]:
    """JSON values of one face, as in `to_dict`."""
    covariances = {} if face.covariance is None else {"covariances": [_matrix(each) for each in face.covariance]}
    return {
        "markup": face.schema.name,
        "box": [_number(value, 3) for value in face.box],
        "found_by": face.found_by,
        "runtime": face.runtime,
        "rolled": face.rolled,
        "reliable": face.is_reliable,
        "detection_score": _number(face.detection_score, 4),
        "score": _mean_score(face),
        "keypoints": [[_number(x, 3), _number(y, 3)] for x, y in face.keypoints],
        "scores": [_number(score, 4) for score in face.scores],
        **covariances,
        "names": list(face.schema.names),
    }


def _mean_score(face: Face) -> float | None:
    return _number(face.scores.mean(), 4)


def _number(value: float, digits: int) -> float | None:
    """A number of JSON, rounded; None if it is not finite."""
    return finite_or_none(round(float(value), digits))


def _text(value: float | None, digits: int) -> str:
    """A number of CSV; empty if there is none."""
    return "" if value is None else f"{value:.{digits}f}"


def _matrix(covariance: NDArray[np.floating[Any]]) -> list[list[float]] | None:
    """Rows of a (2, 2) matrix; None if it is not known."""
    if not np.isfinite(covariance).all():
        return None
    return [[round(float(value), 4) for value in row] for row in covariance]


def to_json(result: ImageResult) -> str:
    """One line of JSON."""
    return format_json(to_dict(result))


def to_csv(results: Sequence[ImageResult]) -> str:
    """One row per landmark: image, face, landmark, name, x, y, score; coordinates in image px, 0-based.

    If a face has covariances, also xx, xy and yy in image px^2, empty if not known; if it has derived numbers, these,
    in each of its rows.
    """
    return "".join(csv_lines([to_dict(result) for result in results]))


def csv_lines(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The rows of `to_csv` for entries as `to_dict` makes them; read twice."""
    has_covariances = any("covariances" in face for entry in entries for face in entry["faces"])
    has_derived = any("derived" in face for entry in entries for face in entry["faces"])
    columns = ["image", "face", "landmark", "name", "x", "y", "score"]
    columns += ["xx", "xy", "yy"] * has_covariances + [*NUMBERS, PROBLEM] * has_derived
    yield _csv_row(columns)
    for entry in entries:
        for number, face in enumerate(entry["faces"]):
            derived = [face.get("derived", {}).get(name) for name in (*NUMBERS, PROBLEM)] if has_derived else []
            each = zip(face["names"], face["keypoints"], face["scores"], strict=True)
            for k, (name, (x, y), score) in enumerate(each):
                row = [entry["image"], number, k, name, _text(x, 3), _text(y, 3), _text(score, 4)]
                matrix = face["covariances"][k] if "covariances" in face else None
                values = [_text(matrix[i][j], 4) for i, j in ((0, 0), (0, 1), (1, 1))] if matrix else ["", "", ""]
                yield _csv_row([*row, *(values if has_covariances else []), *derived])


def _csv_row(values: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def to_pts(face: Face) -> str:
    """The .pts text of one face; coordinates are 1-based, as the format requires."""
    return format_pts(face.keypoints)


def to_coco(results: Sequence[ImageResult], schema: KeypointSchema) -> str:
    """A COCO keypoints file, as CVAT and the converter of Label Studio import it.

    0-based pixel-centre coordinates, visibility 2, boxes as x, y, w, h. A landmark that is not finite has 0, 0, 0. The
    names of the images are those below the folder that all are in. The category is "face", or the name of the schema
    if it is not a shipped one.
    """
    return "".join(coco_lines([to_dict(result) for result in results], schema))


def coco_lines(entries: Iterable[Mapping[str, Any]], schema: KeypointSchema) -> Iterator[str]:
    """The text of `to_coco` for entries as `to_dict` makes them, in parts; read three times."""
    edges = sorted({(a + 1, b + 1) for line in schema.outlines for a, b in pairwise(line)})
    name = "face" if schema.name in SCHEMAS else schema.name
    category = {"id": 1, "name": name, "supercategory": "", "keypoints": list(schema.names), "skeleton": edges}
    folder = shared_folder(entry["image"] for entry in entries)
    images = (
        {
            "id": number,
            "file_name": name_below(folder, entry["image"]),
            "width": entry["width"],
            "height": entry["height"],
        }
        for number, entry in enumerate(entries, 1)
    )
    faces = ((number, face) for number, entry in enumerate(entries, 1) for face in entry["faces"])
    annotations = (
        {"id": number, "image_id": image, **_coco_annotation(face)} for number, (image, face) in enumerate(faces, 1)
    )
    for name, values in (("images", images), ("annotations", annotations), ("categories", [category])):
        yield f'{"{" if name == "images" else ", "}"{name}": ['
        for number, value in enumerate(values):
            yield (", " if number else "") + format_json(value)
        yield "]"
    yield "}"


def _coco_annotation(face: Mapping[str, Any]) -> dict[str, Any]:
    x0, y0, x1, y1 = face["box"]
    seen = [None not in point for point in face["keypoints"]]
    points = [[*point, 2] if known else [0, 0, 0] for point, known in zip(face["keypoints"], seen, strict=True)]
    return {
        "category_id": 1,
        "keypoints": [value for point in points for value in point],
        "num_keypoints": sum(seen),
        "bbox": [x0, y0, round(x1 - x0, 3), round(y1 - y0, 3)],
        "area": round((x1 - x0) * (y1 - y0), 3),
        "iscrowd": 0,
        "segmentation": [],  # CVAT needs the field
        "score": 0.0 if face["score"] is None else face["score"],  # and Label Studio's converter a number here
    }
