"""Faces as JSON, CSV, .pts and COCO text."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.files.json_text import finite_or_none, format_json
from darkpose.files.pts import format_pts
from darkpose.predict.face import Face
from darkpose.schema import KeypointSchema


@dataclass(frozen=True)
class ImageResult:
    """All faces of one image.

    Attributes:
        image: the path as the user gave it.
        size: (width, height) px.
        faces: found in it.
    """

    image: str
    size: tuple[int, int]
    faces: Sequence[Face]


def to_dict(result: ImageResult) -> dict[str, Any]:
    """JSON values of one image's faces; coordinates in image px, the first pixel's centre at (0, 0).

    Faces with covariances have "covariances": [[xx, xy], [xy, yy]] in image px^2 per landmark, null if not known.
    """
    return {
        "image": result.image,
        "width": result.size[0],
        "height": result.size[1],
        "faces": [_face_to_dict(face) for face in result.faces],
    }


def _face_to_dict(face: Face) -> dict[str, Any]:
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


def _text(value: float, digits: int) -> str:
    """A number of CSV; empty if it is not finite."""
    return f"{value:.{digits}f}" if np.isfinite(value) else ""


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

    If a face has covariances, also xx, xy and yy in image px^2, empty if not known.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    has_covariances = any(face.covariance is not None for result in results for face in result.faces)
    columns = ["image", "face", "landmark", "name", "x", "y", "score"]
    writer.writerow([*columns, "xx", "xy", "yy"] if has_covariances else columns)
    for result in results:
        for number, face in enumerate(result.faces):
            for k, ((x, y), score) in enumerate(zip(face.keypoints, face.scores, strict=True)):
                row = [result.image, number, k, face.schema.names[k], _text(x, 3), _text(y, 3), _text(score, 4)]
                matrix = None if face.covariance is None else _matrix(face.covariance[k])
                values = [f"{matrix[i][j]:.4f}" for i, j in ((0, 0), (0, 1), (1, 1))] if matrix else ["", "", ""]
                writer.writerow([*row, *values] if has_covariances else row)
    return text.getvalue()


def to_pts(face: Face) -> str:
    """The .pts text of one face; coordinates are 1-based, as the format requires."""
    return format_pts(face.keypoints)


def to_coco(results: Sequence[ImageResult], schema: KeypointSchema) -> str:
    """A COCO keypoints file: 0-based pixel-centre coordinates, visibility 2, boxes as x, y, w, h.

    A landmark that is not finite has 0, 0, 0.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, result in enumerate(results, 1):
        width, height = result.size
        images.append({"id": image_id, "file_name": result.image, "width": width, "height": height})
        for face in result.faces:
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **_coco_annotation(face)})
    edges = sorted({(a + 1, b + 1) for line in schema.outlines for a, b in pairwise(line)})
    category = {"id": 1, "name": "face", "keypoints": list(schema.names), "skeleton": edges}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    return format_json(content)


def _coco_annotation(face: Face) -> dict[str, Any]:
    x0, y0, x1, y1 = (round(float(value), 3) for value in face.box)
    seen = [bool(np.isfinite(point).all()) for point in face.keypoints]
    points = [
        [round(float(x), 3), round(float(y), 3), 2] if known else [0, 0, 0]
        for (x, y), known in zip(face.keypoints, seen, strict=True)
    ]
    return {
        "category_id": 1,
        "keypoints": [value for point in points for value in point],
        "num_keypoints": sum(seen),
        "bbox": [x0, y0, round(x1 - x0, 3), round(y1 - y0, 3)],
        "area": round((x1 - x0) * (y1 - y0), 3),
        "iscrowd": 0,
        "score": _mean_score(face),
    }
