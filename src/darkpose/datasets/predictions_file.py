"""Files of predictions: written first and measured later, also those of other systems.

The format is JSON lines. The first line describes the run:

    {"darkpose_predictions": 1, "data_set": "wflw-test", "markup": "wflw-98", "system": "...", ...}

"markup" is the name of the schema. Every further line is one face, numbered from 0 in the order of the data set's
reader, in any order:

    {"face": 0, "keypoints": [[x, y], ...], "scores": [...], "box": [x0, y0, x1, y1], "image": "..."}

Coordinates are in image px, the centre of the first pixel at (0, 0). `keypoints` is null for a face that was not found.
`scores`, `box` and `image` are optional; `image` must be the image of the face in the data set. Predictions of other
systems are measured in the same way; their first line needs `darkpose_predictions` only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.files.json_text import parse_json_lines, shortened
from darkpose.files.records import parse_value
from darkpose.files.text import read_text

VERSION = 1
MAX_COORDINATE = 1e6  # px
_TEXTS = ("data_set", "markup", "system", "boxes", "flip_test", "method", "weights", "recipe", "detector")


@dataclass(frozen=True)
class Predictions:
    """The content of a file of predictions.

    Attributes:
        header: its first line.
        keypoints: face number -> (K, 2) float64 image px; None if the face was not found.
        images: face number -> name of its image, if the file has it.
        scores, boxes: face number -> (K,) and (4,), if the file has them.
        lines: face number -> line of the file.
    """

    header: dict[str, Any]
    keypoints: dict[int, NDArray[np.float64] | None] = field(default_factory=dict)
    images: dict[int, str] = field(default_factory=dict)
    scores: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    boxes: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    lines: dict[int, int] = field(default_factory=dict)

    def as_array(self, images: Sequence[str], landmarks: int, source: str) -> NDArray[np.float64]:
        """Landmarks (N, K, 2) in the order of the data set; infinite for faces that were not found.

        Args:
            images: name of the image of every face, in the order of the data set.
            landmarks: K.
            source: the file, for messages.

        Raises:
            DarkposeError: faces are missing or too many, or one is in another image or has another number of landmarks.
        """
        faces = len(images)
        missing = [face for face in range(faces) if face not in self.keypoints]
        extra = [face for face in self.keypoints if not 0 <= face < faces]
        if missing or extra:
            lack = f"lacks {len(missing)} of {faces} faces (the first: {missing[0]})" if missing else ""
            more = f"has the faces {extra[:3]}, but the data set has {faces}" if extra else ""
            raise DarkposeError(f"{source}: predictions of another or an unfinished set: {lack or more}")
        points = np.full((faces, landmarks, 2), np.inf)
        for face, found in self.keypoints.items():
            where = f"{source}, line {self.lines.get(face, '?')}"
            if face in self.images and PurePath(self.images[face]).name != PurePath(images[face]).name:
                theirs = f"{self.images[face]}, face {face} of the data set is in {images[face]}"
                raise DarkposeError(f"{where}: predictions of another set: this face is in {theirs}")
            if found is not None and found.shape != (landmarks, 2):
                raise DarkposeError(f"{where}: face {face} has {len(found)} landmarks, the schema {landmarks}")
            if found is not None:
                points[face] = found
        return points


def read_predictions(path: Path) -> Predictions:
    """Read a file of predictions; a last line that an interrupted run left half-written is ignored.

    Raises:
        DarkposeError: the file cannot be read, or a line is not in the format; the message names the line.
    """
    found = Predictions({})
    for number, values in parse_json_lines(read_text(path), path):
        try:
            if not found.header:
                found.header.update(_header(values))
            else:
                _add(found, values, number)
        except DarkposeError as error:
            raise DarkposeError(f"{path}, line {number}: not a line of a predictions file ({error})") from error
    if not found.header:
        raise DarkposeError(f"{path}: it has no complete line, expected predictions")
    return found


def _header(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict) or type(values.get("darkpose_predictions")) is not int:
        raise DarkposeError(f'the first line must be {{"darkpose_predictions": {VERSION}, ...}}')
    if values["darkpose_predictions"] != VERSION:
        raise DarkposeError(f"of version {values['darkpose_predictions']}, expected {VERSION}")
    for name in _TEXTS:
        parse_value(str, values.get(name, ""), name)
    provenance = parse_value(Mapping[str, Any], values.get("provenance", {}), "provenance")
    parse_value(tuple[str, ...], provenance.get("test_images_learnt", []), "test_images_learnt")
    return values


def _add(found: Predictions, values: Any, number: int) -> None:
    """Add the face of one line."""
    if not isinstance(values, dict) or not {"face", "keypoints"} <= set(values):
        raise DarkposeError(f"expected face and keypoints, got {shortened(values)}")
    face = parse_value(int, values["face"], "face")
    if face in found.keypoints:
        raise DarkposeError(f"face {face} is in line {found.lines[face]}, too")
    found.keypoints[face], found.lines[face] = _keypoints(values["keypoints"]), number
    if values.get("image") is not None:
        found.images[face] = parse_value(str, values["image"], "image")
    points = found.keypoints[face]
    for name, kept, count in (
        ("scores", found.scores, None if points is None else len(points)),
        ("box", found.boxes, 4),
    ):
        if values.get(name) is not None:
            kept[face] = np.array(parse_value(tuple[float | None, ...], values[name], name), np.float64)
            if len(kept[face]) != count and count is not None:
                raise DarkposeError(f"{name} must be {count} numbers, got {len(kept[face])}")


def _keypoints(values: Any) -> NDArray[np.float64] | None:
    if values is None:
        return None
    if not isinstance(values, list) or not all(isinstance(point, list) and len(point) == 2 for point in values):
        raise DarkposeError("keypoints must be [[x, y], ...] or null")
    if not all(type(value) in (int, float) for point in values for value in point):
        raise DarkposeError("keypoints must be numbers")
    points = np.array(values, np.float64).reshape(-1, 2)
    if not (np.abs(points) <= MAX_COORDINATE).all():
        raise DarkposeError(f"keypoints must be finite numbers of at most {MAX_COORDINATE:g} px")
    return points
